/** An image that can be zoomed and moved: wheel, pinch, drag, double click, or the methods. */

import { imageUrl, thumbnailUrl } from "./api.js";
import { make } from "./dom.js";

const MOST = 16;
const STEP = 1.4;
const SMALL = 8; // from this enlargement on, pixels are drawn as squares
const LOOK = 250; // milliseconds for which an image is on the screen before a key may answer it
const KEPT = 8; // maximum number of preloaded images

const ready = new Map(); // item → its loaded or loading image, oldest first

/** Loads images before they are shown. */
export function preload(items) {
  for (const item of items) {
    if (ready.has(item)) continue;
    const image = new Image();
    image.src = imageUrl(item);
    image.decode().catch(() => ready.delete(item));
    ready.set(item, image);
    while (ready.size > KEPT) ready.delete(ready.keys().next().value);
  }
}

export class Stage {
  /** Builds the stage in `root`. `onZoom(factor)` is called after every change of the zoom. */
  constructor(root, onZoom = () => undefined) {
    this.root = root;
    this.onZoom = onZoom;
    this.placeholder = make("img", { class: "placeholder", alt: "", draggable: "false" });
    this.shown = make("img", { class: "image", alt: "", draggable: "false" });
    this.sheet = make("div", { class: "sheet" }, this.placeholder, this.shown);
    this.message = make("p", { class: "stage-message", hidden: true });
    root.append(this.sheet, this.message);
    this.pointers = new Map();
    this.item = null;
    this.since = Infinity; // time from which the image is on the screen
    this.timer = null;
    this.turn = 0;
    this.#listen();
    this.fit();
  }

  /** Whether the image has been on the screen long enough to be seen: a key pressed twice must not answer the next one. */
  get looked() {
    return performance.now() - this.since >= LOOK;
  }

  /** Whether the image is loaded. */
  get seen() {
    return [this.shown, this.placeholder].some((image) => image.complete && image.naturalWidth > 0);
  }

  /** Shows an image, with its name as the alternative text. */
  show(item, name) {
    if (item === this.item) return;
    this.item = item;
    this.#appear();
    this.fit();
    this.message.hidden = true;
    this.shown.classList.remove("loaded");
    this.placeholder.hidden = false;
    this.placeholder.src = thumbnailUrl(item);
    this.shown.src = imageUrl(item);
    this.shown.alt = name;
    if (this.shown.complete && this.shown.naturalWidth > 0) this.#loaded();
  }

  /** Fits the whole image into the stage. */
  fit() {
    this.#place(1, 0, 0);
  }

  /** Shows one pixel of the image per pixel of the screen; the whole image if it is shown so already. */
  real() {
    const real = this.#real();
    if (real === null) return;
    if (Math.abs(this.scale - real) < 0.001) this.fit();
    else this.#zoomAt(real / this.scale, this.root.clientWidth / 2, this.root.clientHeight / 2);
  }

  /** The zoom at which a pixel of the image is a pixel of the screen; null before the image is loaded. */
  #real() {
    const { naturalWidth: width, naturalHeight: height } = this.shown;
    if (width === 0) return null;
    return 1 / (Math.min(this.root.clientWidth / width, this.root.clientHeight / height) * devicePixelRatio);
  }

  /** Zooms by a step about the middle: 1 in, -1 out. */
  zoom(direction) {
    this.#zoomAt(STEP ** direction, this.root.clientWidth / 2, this.root.clientHeight / 2);
  }

  /** Zooms so that the point at (x, y), in pixels of the stage, keeps its position. */
  #zoomAt(factor, x, y) {
    const real = this.#real() ?? 1;
    const scale = Math.min(Math.max(MOST, 4 * real), Math.max(Math.min(1, real), this.scale * factor));
    const by = scale / this.scale;
    this.#place(scale, x - by * (x - this.x), y - by * (y - this.y));
  }

  #place(scale, x, y) {
    const { clientWidth: width, clientHeight: height } = this.root;
    this.scale = scale;
    // A small image at its own size is in the middle; a larger one never leaves an edge free.
    this.x = scale < 1 ? (width * (1 - scale)) / 2 : Math.min(0, Math.max(width * (1 - scale), x));
    this.y = scale < 1 ? (height * (1 - scale)) / 2 : Math.min(0, Math.max(height * (1 - scale), y));
    this.sheet.style.transform = `translate(${this.x}px, ${this.y}px) scale(${scale})`;
    this.root.classList.toggle("zoomed", scale > 1);
    this.onZoom(scale);
  }

  #listen() {
    const { root, shown } = this;
    this.placeholder.addEventListener("load", () => this.since < Infinity && !shown.classList.contains("loaded") && this.#appear());
    shown.addEventListener("load", () => this.#loaded());
    shown.addEventListener("error", () => this.#failed());
    root.addEventListener("wheel", (event) => this.#wheel(event), { passive: false });
    root.addEventListener("dblclick", (event) => {
      if (this.scale !== 1) this.fit();
      else this.#zoomAt(2.5, ...this.#inside(event));
    });
    root.addEventListener("pointerdown", (event) => {
      this.pointers.set(event.pointerId, this.#inside(event));
      root.setPointerCapture(event.pointerId);
    });
    root.addEventListener("pointermove", (event) => this.#drag(event));
    for (const end of ["pointerup", "pointercancel"]) root.addEventListener(end, ({ pointerId }) => this.pointers.delete(pointerId));
    new ResizeObserver(() => this.#place(this.scale, this.x, this.y)).observe(root);
  }

  #wheel(event) {
    event.preventDefault();
    const pixels = event.deltaY * (event.deltaMode === 1 ? 16 : 1);
    this.#zoomAt(Math.exp(-pixels / (event.ctrlKey ? 100 : 400)), ...this.#inside(event));
  }

  /** One pointer moves the image, two zoom about the point between them. */
  #drag(event) {
    if (!this.pointers.has(event.pointerId)) return;
    const before = [...this.pointers.values()];
    this.pointers.set(event.pointerId, this.#inside(event));
    const after = [...this.pointers.values()];
    const [from, to] = [middle(before), middle(after)];
    this.#place(this.scale, this.x + to[0] - from[0], this.y + to[1] - from[1]);
    if (after.length === 2) this.#zoomAt(apart(after) / Math.max(1, apart(before)), ...to);
  }

  #inside({ clientX, clientY }) {
    const box = this.root.getBoundingClientRect();
    return [clientX - box.left, clientY - box.top];
  }

  #loaded() {
    const first = !this.shown.classList.contains("loaded");
    if (first && (!this.placeholder.complete || this.placeholder.naturalWidth === 0)) this.#appear();
    this.placeholder.hidden = true;
    this.message.hidden = true;
    this.shown.classList.add("loaded");
    const enlarged = Math.min(this.root.clientWidth / this.shown.naturalWidth, this.root.clientHeight / this.shown.naturalHeight);
    this.shown.classList.toggle("pixels", enlarged > SMALL);
  }

  #failed() {
    this.message.textContent = "This image cannot be loaded. It is requested again; or skip it.";
    this.message.hidden = false;
  }

  /** Notes the time from which an image is on the screen: from the second frame after it was given, or was loaded. */
  #appear() {
    this.since = Infinity;
    this.root.classList.remove("ready");
    clearTimeout(this.timer);
    const turn = (this.turn += 1);
    requestAnimationFrame(() => requestAnimationFrame(() => {
      if (turn !== this.turn) return;
      this.since = performance.now();
      this.timer = setTimeout(() => this.root.classList.add("ready"), LOOK);
    }));
  }
}

const middle = (points) => [0, 1].map((axis) => points.reduce((sum, point) => sum + point[axis], 0) / points.length);
const apart = ([one, other]) => Math.hypot(one[0] - other[0], one[1] - other[1]);
