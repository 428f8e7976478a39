/** What the page knows, in one place: read `state`, change it with `update`, hear of changes with `on`. */

export const state = {
  campaign: null, // as /api/campaign gives it, once
  author: "", // who answers here
  view: "single", // "single", "grid" or "review"
  status: null, // as /api/status gave it last
  job: { state: "idle" }, // as /api/job gave it last
  queue: [], // images that this person holds and has not answered, by rank
  at: null, // the item that the single view shows
  lapsed: null, // the item shown whose lease went to somebody else meanwhile
  lease: null, // { until, waiting, with_others, next_free_at, lent } of the last lease; null before the first
  suggestions: true, // whether the model's suggestions are shown
  unsent: [], // answers that the server has not acknowledged, oldest first
  trouble: null, // why answers do not get through at the moment
  recent: [], // what was done here, latest first
  saves: 0, // raised with every answer that the server has acknowledged
  moment: 0, // raised when a round has changed, so that views read it again
};

const listeners = [];
let changed = new Set();

/** Calls `listener` after any of these fields has changed, once for all changes of one turn. */
export function on(fields, listener) {
  listeners.push([fields, listener]);
}

/** Changes fields. */
export function update(changes) {
  Object.assign(state, changes);
  if (changed.size === 0) queueMicrotask(notify);
  for (const field of Object.keys(changes)) changed.add(field);
}

function notify() {
  const fields = changed;
  changed = new Set();
  for (const [wanted, listener] of listeners) if (wanted.some((field) => fields.has(field))) listener();
}

/** A note that this browser keeps; null where it keeps none, or keeps nothing at all. */
export function recall(key) {
  try {
    return localStorage.getItem(`minimax-al/${key}`);
  } catch {
    return null;
  }
}

/** Keeps a note in this browser; false where it cannot. */
export function remember(key, value) {
  try {
    if (value === null) localStorage.removeItem(`minimax-al/${key}`);
    else localStorage.setItem(`minimax-al/${key}`, value);
    return true;
  } catch {
    return false;
  }
}

/** The names of all notes that begin so. */
export function recallNames(prefix) {
  try {
    const whole = `minimax-al/${prefix}`;
    return Object.keys(localStorage).filter((key) => key.startsWith(whole)).map((key) => key.slice("minimax-al/".length));
  } catch {
    return [];
  }
}

let browser = null;

/** This browser's identifier, which its pages share: another browser under the same name holds other images. */
export function session() {
  browser ??= recall("session");
  if (browser === null) {
    browser = crypto.getRandomValues(new Uint32Array(3)).join("-");
    remember("session", browser);
  }
  return browser;
}
