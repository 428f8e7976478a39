/**
 * The images that a person holds: leased, renewed every few seconds, returned when the page is left.
 *
 * Leases are short, so that the images of a browser that ended without a word return soon. A page in the background
 * renews them for as long as the campaign's `lease_seconds`.
 */

import * as api from "./api.js";
import { session, state, update } from "./state.js";

const HELD = { single: 12, review: 0, grid: 48 }; // most images to hold in each view
const FEWEST = 6; // images to hold however few there are
const MOST = 200; // images a request may ask for
const LEASE_SECONDS = 90; // of one lease; a hidden page's timer may run once a minute only
const EXHAUSTED_PAUSE = 4_000; // milliseconds between two requests when the last gave less than was asked for

const answered = new Map(); // item → when the server had the answer, in turns; Infinity while it has not
const returning = new Set(); // items whose answer is being taken back
let turn = 0;
let running = null;
let again = false;
let enough = true; // whether the last request gave as many as it asked for
let asked = 0;

/** How many to hold: no more than half of what is free or held here, so that another person finds some, too. */
function fair() {
  const { waiting, with_others: others, lent } = state.lease ?? { waiting: 0, with_others: 0, lent: 0 };
  const half = state.lease === null ? HELD.single : Math.ceil((waiting - others - lent) / 2);
  return Math.min(HELD[state.view], Math.max(FEWEST, half));
}

/** Asks the server for images, so many as the view wants; renews those that are held. */
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
  const wanted = spare ? HELD.single : Math.max(fair(), state.queue.length);
  if (wanted === 0) return;
  const unsent = state.unsent.reduce((sum, entry) => sum + entry.items.length, 0);
  const since = (turn += 1);
  asked = Date.now();
  try {
    if (spare) await api.release(author, session());
    const given = await api.lease(author, session(), Math.min(MOST, wanted + unsent), LEASE_SECONDS);
    if (author !== state.author) return;
    enough = given.picks.length >= wanted;
    merge(given, since);
  } catch (error) {
    update({ trouble: error.message });
  }
}

function merge({ picks, ...lease }, since) {
  const known = new Map(state.queue.map((pick) => [pick.item, pick]));
  const fresh = picks.filter((pick) => !((answered.get(pick.item) ?? 0) > since));
  const leased = new Set(fresh.map((pick) => pick.item));
  // The image on the screen never changes under somebody's eyes.
  const kept = state.queue.filter((pick) => !leased.has(pick.item) && (returning.has(pick.item) || pick.item === state.at));
  const queue = [...kept, ...fresh.map((pick) => Object.assign(known.get(pick.item) ?? pick, pick))];
  queue.sort((one, other) => one.round - other.round || one.rank - other.rank);
  const lapsed = kept.find((pick) => pick.item === state.at && !returning.has(pick.item));
  const still = queue.some((pick) => pick.item === state.at);
  update({ queue, lease, lapsed: lapsed?.item ?? null, at: still ? state.at : (queue[0]?.item ?? null), trouble: null });
}

/** These images have their answer here; the next one comes up. */
export function take(items) {
  const gone = new Set(items);
  for (const item of items) answered.set(item, Infinity);
  const place = state.queue.findIndex((pick) => pick.item === state.at);
  const rest = state.queue.filter((pick) => !gone.has(pick.item));
  const next = state.queue.slice(place).find((pick) => !gone.has(pick.item)) ?? rest[0];
  const at = gone.has(state.at) ? (next?.item ?? null) : state.at;
  update({ queue: rest, at, lapsed: at === state.at ? state.lapsed : null });
  const low = rest.length === 0 || (rest.length <= fair() / 2 && (enough || Date.now() - asked > EXHAUSTED_PAUSE));
  if (low && state.view !== "review") void refill();
}

/** The server has these answers. */
export function acknowledge(items) {
  turn += 1;
  for (const item of items) answered.set(item, turn);
}

/** These images wait again; the first of them comes up. `unseen`: the server never had the answer. */
export function giveBack(picks, unseen) {
  for (const { item } of picks) {
    answered.delete(item);
    if (!unseen) returning.add(item);
  }
  const queue = [...state.queue.filter((pick) => !picks.includes(pick)), ...picks];
  queue.sort((one, other) => one.round - other.round || one.rank - other.rank);
  update({ queue, at: picks[0]?.item ?? state.at, lapsed: null });
}

/** The server has taken back what was said of these. */
export function returned(items) {
  for (const item of items) returning.delete(item);
  void refill();
}

/** Shows another image of those held; one whose lease has lapsed is let go. */
export function goTo(item) {
  const queue = state.queue.filter((pick) => pick.item !== state.lapsed || pick.item === item);
  update({ queue, at: item, lapsed: state.lapsed === item ? item : null });
}

/** Forgets everything that is held; `refill` asks anew. */
export function forget() {
  answered.clear();
  returning.clear();
  update({ queue: [], at: null, lapsed: null, lease: null });
}

/** Renews leases; those of a page that nobody has looked at for `lease_seconds` end. */
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
