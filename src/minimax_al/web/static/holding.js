/**
 * Leases of this page: requested, renewed every few seconds, and ended when the page is closed.
 *
 * Leases are short, so that the images of a crashed browser are free again soon. A page in the background renews its
 * leases for at most the campaign's `lease_seconds`.
 */

import * as api from "./api.js";
import { session, state, update } from "./state.js";

const HELD = { single: 12, review: 0, conflicts: 0, confirm: 0, explore: 0, grid: 200 }; // maximum number of leased images per view
const HELD_TO_DRAW = 3; // the same in the single view of masks, where an image takes minutes
const HELD_LIVE = { single: 6, review: 0, grid: 48 }; // the same in live labelling, where later images are chosen by a better model
const FEWEST = 3; // minimum number of images to lease, even if few are free
const MOST = 200; // maximum number of images per request
const LEASE_SECONDS = 30; // duration of a lease, renewed every third of it; that of a hidden page may end
const EXHAUSTED_PAUSE = 4_000; // milliseconds between two requests after one that returned fewer images than requested

const answered = new Map(); // item → turn in which the server acknowledged the answer; Infinity until then
const returning = new Set(); // items whose answer is being undone
let turn = 0;
let running = null;
let again = false;
let enough = true; // whether the last request returned the requested number
let asked = 0;

const held = () => (state.view === "single" && state.campaign?.task === "segmentation" ? HELD_TO_DRAW : HELD[state.view]);

/** The number of images to lease: at most half of the free and own ones; in the grid all of them while no other page is there. */
function fair() {
  if (state.campaign?.live) return HELD_LIVE[state.view] ?? 0; // the queue refills by itself
  const { waiting, with_others: others, lent, pages } = state.lease ?? { waiting: 0, with_others: 0, lent: 0, pages: 2 };
  const share = Math.ceil((waiting - others - lent) / (state.view === "grid" ? Math.min(pages, 2) : 2));
  return Math.min(held(), Math.max(FEWEST, share));
}

/** Whether this page would lease more images if some were free. */
export const wantsMore = () => state.queue.length < fair();

/** Whether this page holds more than its share, so that an annotator who has come since gets no image. */
const greedy = () => {
  if (state.lease === null || state.lease.pages < 2 || state.campaign?.live || held() === 0) return false;
  return state.queue.length > Math.max(FEWEST, Math.ceil((state.lease.waiting - state.lease.lent) / state.lease.pages));
};

/** Leases images up to the number for the view, and renews the leases of this page. */
export function refill() {
  if (running !== null) {
    again = true;
    return running;
  }
  running = request().finally(() => {
    running = null;
    if (again) {
      again = false;
      void refill();
    }
  });
  return running;
}

async function request() {
  const author = state.author;
  if (author === "") return;
  const spare = state.view === "single" && state.queue.length > HELD.single;
  const surplus = greedy();
  const wanted = spare ? held() : surplus ? Math.ceil(state.queue.length / 2) : Math.max(fair(), state.queue.length);
  if (wanted === 0) return;
  const unsent = state.unsent.reduce((sum, entry) => sum + entry.items.length, 0);
  const since = (turn += 1);
  asked = Date.now();
  try {
    if (spare || surplus) await api.release(author, session());
    const given = await api.lease(author, session(), Math.min(MOST, wanted + unsent), LEASE_SECONDS);
    if (author !== state.author) return;
    enough = given.picks.length >= wanted;
    again ||= state.lease === null && given.picks.length > 0; // the first answer tells how many are free
    merge(given, since);
  } catch (error) {
    update({ trouble: error.message });
  }
}

function merge({ picks, ...lease }, since) {
  const known = new Map(state.queue.map((pick) => [pick.item, pick]));
  const fresh = picks.filter((pick) => !((answered.get(pick.item) ?? 0) > since));
  const leased = new Set(fresh.map((pick) => pick.item));
  // The image on the screen is kept even if its lease has ended.
  const kept = state.queue.filter((pick) => !leased.has(pick.item) && (returning.has(pick.item) || pick.item === state.at));
  const queue = [...kept, ...fresh.map((pick) => Object.assign(known.get(pick.item) ?? pick, pick))];
  queue.sort((one, other) => one.round - other.round || one.rank - other.rank);
  const lapsed = kept.find((pick) => pick.item === state.at && !returning.has(pick.item));
  const still = queue.some((pick) => pick.item === state.at);
  update({ queue, lease, lapsed: lapsed?.item ?? null, at: still ? state.at : (queue[0]?.item ?? null), trouble: null });
}

/** Removes answered images from the queue, and shows the next one. */
export function take(items) {
  const gone = new Set(items);
  for (const item of items) answered.set(item, Infinity);
  const place = state.queue.findIndex((pick) => pick.item === state.at);
  const rest = state.queue.filter((pick) => !gone.has(pick.item));
  const next = state.queue.slice(place).find((pick) => !gone.has(pick.item)) ?? rest[0];
  const at = gone.has(state.at) ? (next?.item ?? null) : state.at;
  update({ queue: rest, at, lapsed: at === state.at ? state.lapsed : null });
  const low = rest.length === 0 || (rest.length <= fair() / 2 && (enough || Date.now() - asked > EXHAUSTED_PAUSE));
  if (low && HELD[state.view] > 0) void refill();
}

/** Records that the server has acknowledged the answers of these images. */
export function acknowledge(items) {
  turn += 1;
  for (const item of items) answered.set(item, turn);
}

/** Puts images back into the queue, and shows the first of them. `unseen`: the server never received the answer. */
export function giveBack(picks, unseen) {
  for (const { item } of picks) {
    answered.delete(item);
    if (!unseen) returning.add(item);
  }
  const queue = [...state.queue.filter((pick) => !picks.includes(pick)), ...picks];
  queue.sort((one, other) => one.round - other.round || one.rank - other.rank);
  update({ queue, at: picks[0]?.item ?? state.at, lapsed: null });
}

/** Records that the server has undone the answers of these images. */
export function returned(items) {
  for (const item of items) returning.delete(item);
  void refill();
}

/** Shows another leased image; an image whose lease has ended is dropped. */
export function goTo(item) {
  const queue = state.queue.filter((pick) => pick.item !== state.lapsed || pick.item === item);
  update({ queue, at: item, lapsed: state.lapsed === item ? item : null });
}

/** Clears the queue; `refill` leases images again. */
export function forget() {
  answered.clear();
  returning.clear();
  update({ queue: [], at: null, lapsed: null, lease: null });
}

/** Renews the leases regularly, unless the page has been hidden for longer than `lease_seconds`. */
export function watch() {
  let renewed = Date.now();
  let seen = Date.now();
  setInterval(() => {
    if (state.campaign === null || state.author === "") return;
    const longest = 1000 * state.campaign.lease_seconds;
    if (!document.hidden) seen = Date.now();
    else if (Date.now() - seen > longest || state.queue.length === 0) return;
    const late = Date.now() - renewed > Math.min(1000 * LEASE_SECONDS, longest) / 3;
    const free = state.lease?.next_free_at ? new Date(state.lease.next_free_at) <= new Date() : false;
    const empty = state.queue.length === 0 && Date.now() - renewed > 10_000 && state.status?.round?.is_open;
    if (late || empty || (free && state.queue.length === 0)) {
      renewed = Date.now();
      void refill();
    }
  }, 1_000);
  document.addEventListener("visibilitychange", () => {
    if (!document.hidden && state.author !== "") {
      renewed = Date.now();
      void refill();
    }
  });
}
