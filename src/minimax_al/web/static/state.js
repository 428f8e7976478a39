/** State of the page: read `state`, change it with `update`, subscribe to changes with `on`. */

export const state = {
  campaign: null, // answer of /api/campaign, read once
  author: "", // name of the annotator
  view: "single", // name of the view that is shown
  status: null, // latest answer of /api/status
  live: null, // latest answer of /api/live; null in rounds, and before the first
  job: { state: "idle" }, // latest answer of /api/job
  queue: [], // leased images without an answer, by rank
  at: null, // item that the single view shows
  opened: null, // image of Review or Conflicts that is on the drawing surface instead
  lapsed: null, // item on the screen whose lease has ended
  lease: null, // { until, waiting, with_others, next_free_at, lent } of the last lease; null before the first
  suggestions: true, // whether the model's suggestions are shown
  unsent: [], // answers that the server has not acknowledged, oldest first
  connected: true, // whether the server has answered the last request
  trouble: null, // reason why answers cannot be sent at the moment
  recent: [], // actions on this page, latest first
  classChecks: 0, // number of times that the classes seemed to have changed
  saves: 0, // number of acknowledged answers
  moment: 0, // version of the round: views read it again after an increase
  conflicts: 0, // version of the conflicts: the view reads them again after an increase
};

const listeners = [];
let changed = new Set();

/** Calls `listener` after any of these fields has changed, once for all changes of one turn. */
export function on(fields, listener) {
  listeners.push([fields, listener]);
}

/** Changes fields of the state, and notifies their listeners. */
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

/** Reads a value from the browser's storage; null if it is missing or the storage is not available. */
export function recall(key) {
  try {
    return localStorage.getItem(`minimax-al/${key}`);
  } catch {
    return null;
  }
}

/** Stores a value in the browser's storage; returns false if the storage is not available. */
export function remember(key, value) {
  try {
    if (value === null) localStorage.removeItem(`minimax-al/${key}`);
    else localStorage.setItem(`minimax-al/${key}`, value);
    return true;
  } catch {
    return false;
  }
}

/** The keys of all stored values with this prefix. */
export function recallNames(prefix) {
  try {
    const whole = `minimax-al/${prefix}`;
    return Object.keys(localStorage).filter((key) => key.startsWith(whole)).map((key) => key.slice("minimax-al/".length));
  } catch {
    return [];
  }
}

const page = crypto.getRandomValues(new Uint32Array(3)).join("-");

/** Identifier of this page: another page of the same author, in this browser or elsewhere, leases other images. */
export const session = () => page;
