/** Images that could not be loaded are requested again: after a pause, and at once when the server is back. */

const FIRST_PAUSE = 1_000; // milliseconds before the second request; doubled after every further one
const LONGEST_PAUSE = 15_000;
const RETRIED = /\/(images|thumbnails)\/\d+$/; // a view that does not exist, such as a prediction, is not

const failed = new Map(); // element → { src, tries, timer }

/** Watches all images of the page. */
export function watch() {
  // Neither event bubbles; both pass here on their way down.
  document.addEventListener("error", ({ target }) => target instanceof HTMLImageElement && fail(target), true);
  document.addEventListener("load", ({ target }) => target instanceof HTMLImageElement && forget(target), true);
}

/** Requests all failed images again, now. */
export function retryAll() {
  for (const image of [...failed.keys()]) retry(image);
}

function fail(image) {
  if (!RETRIED.test(new URL(image.src, location.href).pathname)) return;
  const before = failed.get(image);
  const tries = before?.src === image.src ? before.tries + 1 : 1;
  clearTimeout(before?.timer);
  const timer = setTimeout(() => retry(image), Math.min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** (tries - 1)));
  failed.set(image, { src: image.src, tries, timer });
}

function retry(image) {
  const { src, timer } = failed.get(image);
  clearTimeout(timer);
  if (image.isConnected && image.src === src) image.src = src; // setting it requests it again
  else failed.delete(image);
}

function forget(image) {
  clearTimeout(failed.get(image)?.timer);
  failed.delete(image);
}
