/** Confirm by class: a grid of what the model takes for one class; the wrong ones are deselected, the rest confirmed at once. */

import { byId, count, make } from "./dom.js";
import { Gallery } from "./gallery.js";
import { getCandidates } from "./poolapi.js";
import { say } from "./say.js";
import { on, session, state } from "./state.js";
import * as tileSize from "./tilesize.js";
import { answer } from "./work.js";

const SHOWN = 48; // tiles at once
const PER_REQUEST = 200;
const LOOK = 400; // milliseconds for which a tile is on the screen before a key may confirm it
const KEEP = 0.5; // share of a tile that counts as on the screen

export let gallery = null;
let picks = []; // those in the grid
let total = 0;
let className = null;
let run = null;
let turn = 0;
let watcher = null;
let stale = false; // whether answers were undone since the images were read
const seenSince = new Map(); // item → time since which its tile is on the screen
const rejected = new Map(); // class → items that were deselected when the others were confirmed
const answered = new Map(); // item → pick that was answered here

/** The class keys answer the image with the focus alone: the selected ones wait for Enter. */
class ConfirmGallery extends Gallery {
  targets() {
    return this.picks.filter(({ item }) => item === this.active);
  }
}

/** Builds the view, once. */
export function build() {
  if (state.campaign.task !== "classification") return;
  gallery = new ConfirmGallery(byId("confirm-tiles"), { describe, onChange: bar });
  byId("confirm-class").addEventListener("change", ({ target }) => open(target.value));
  byId("confirm-order").addEventListener("change", () => read());
  byId("confirm-all").addEventListener("click", confirm);
  byId("confirm-back").addEventListener("click", bringBack);
  tileSize.addTo(byId("confirm-bar"));
  watcher = new IntersectionObserver(see, { root: byId("confirm-tiles"), threshold: KEEP });
  on(["view"], () => state.view === "confirm" && read());
  on(["moment", "recent", "unsent"], () => state.view === "confirm" && refresh());
  on(["saves", "unsent"], () => state.view === "confirm" && (picks.length === 0 || stale) && settled());
  on(["status"], () => state.view === "confirm" && state.status?.model?.run !== run && run !== null && read());
}

function settled() {
  if (state.unsent.length > 0) return;
  stale = false;
  void read();
}

function open(name) {
  className = name;
  void read();
}

const rejectedHere = () => rejected.get(className) ?? new Set();

/** Reads the images of the class, without those that were answered or left out here. */
async function read() {
  const asked = (turn += 1);
  const found = [];
  try {
    className ??= await largest();
    let page = null;
    for (let offset = 0; found.length < SHOWN && (page === null || offset < page.total); offset += PER_REQUEST) {
      page = await getCandidates({ class_name: className, order: wantedOrder(), author: state.author, session: session(), offset, limit: PER_REQUEST });
      if (asked !== turn) return;
      found.push(...page.images.filter(({ item }) => !rejectedHere().has(item) && !answered.has(item)));
    }
    const pending = [...answered.keys()].filter((item) => state.unsent.some(({ items }) => items.includes(item)));
    total = Math.max(found.length, page.total - rejectedHere().size - pending.length);
    run = page.run;
    list(page);
    show(found.slice(0, SHOWN));
  } catch (error) {
    say(error.message);
  }
}

/** The class with the most images to confirm. */
async function largest() {
  const { classes } = await getCandidates({ class_name: state.campaign.classes[0], limit: 1 });
  return classes.reduce((most, one) => (one.images > most.images ? one : most)).name;
}

const wantedOrder = () => document.querySelector("#confirm-order input:checked").value;

function list({ classes, predicted, unlabelled }) {
  const select = byId("confirm-class");
  select.replaceChildren(...classes.map(({ name, images }) => make("option", { value: name }, `${name} (${images.toLocaleString("en")})`)));
  select.value = className;
  byId("confirm-empty").hidden = total > 0;
  byId("confirm-empty").textContent = run === null
    ? "No model yet. Once a model is trained, the images that it takes for a class are listed here, to be confirmed many at a time."
    : `The model takes no ${rejectedHere().size > 0 ? "other " : ""}unlabelled image for ${className}.`;
  byId("confirm-note").textContent = predicted < unlabelled ? `The model has predicted ${predicted.toLocaleString("en")} of ${count(unlabelled, "unlabelled image")}.` : "";
}

/** Shows images, all selected. */
function show(images) {
  picks = images;
  seenSince.clear();
  watcher.disconnect();
  gallery.show(picks);
  gallery.select(picks.map(({ item }) => item));
  for (const tile of gallery.tiles.values()) watcher.observe(tile);
  byId("confirm-tiles").scrollTop = 0;
}

/** Removes images that were answered, and reads further ones when few are left. */
function refresh() {
  const isAnswered = ({ answer: given }) => given === "label" || given === "unsure";
  const left = picks.filter((pick) => !isAnswered(pick));
  const undone = [...answered].filter(([, pick]) => !isAnswered(pick));
  for (const [item] of undone) answered.delete(item);
  stale ||= undone.length > 0; // the server lists them again once it has the undo
  if (left.length === picks.length) return;
  for (const pick of picks) if (!left.includes(pick)) answered.set(pick.item, pick);
  total -= picks.length - left.length;
  picks = left;
  gallery.show(picks);
  if (picks.length === 0) void read();
}

function see(entries) {
  for (const { target, isIntersecting } of entries) {
    const item = Number(target.dataset.item);
    if (!isIntersecting || seenSince.has(item)) continue;
    const image = target.querySelector("img");
    const mark = () => seenSince.set(item, performance.now());
    if (image.complete && image.naturalWidth > 0) mark();
    else image.addEventListener("load", mark, { once: true });
  }
}

const wasSeen = ({ item }) => performance.now() - (seenSince.get(item) ?? Infinity) >= LOOK;

/** Confirms the selected images that were on the screen; the deselected ones among them are left out from now on. */
export function confirm() {
  if (gallery === null || picks.length === 0) return;
  const seen = picks.filter(wasSeen);
  const chosen = seen.filter(({ item }) => gallery.selected.has(item));
  const wrong = seen.filter(({ item }) => !gallery.selected.has(item));
  const unseen = picks.length - seen.length;
  if (seen.length === 0) return say("Look at the images first: a tile is confirmed only after it was on the screen");
  if (wrong.length > 0) rejected.set(className, new Set([...rejectedHere(), ...wrong.map(({ item }) => item)]));
  picks = picks.filter((pick) => !wrong.includes(pick));
  if (chosen.length > 0) answer("label", chosen, className, { origin: "bulk" });
  else refreshAfterRejecting();
  if (unseen > 0) say(`${count(chosen.length, "image")} confirmed; ${unseen} further ones were not on the screen yet`);
  return undefined;
}

function refreshAfterRejecting() {
  gallery.show(picks);
  if (picks.length === 0) void read();
}

function bringBack() {
  rejected.delete(className);
  void read();
}

function describe({ confidence }) {
  return { caption: confidence === null ? "" : `${Math.round(100 * confidence)} %` };
}

function bar() {
  const chosen = gallery.selected.size;
  byId("confirm-count").textContent = picks.length === 0 ? "" : `${chosen} of ${count(picks.length, "image")} selected, ${total.toLocaleString("en")} in all`;
  byId("confirm-all").disabled = picks.length === 0;
  byId("confirm-words").textContent = chosen > 0 ? `Confirm ${chosen} as ${className}` : "None of these";
  byId("confirm-left").hidden = rejectedHere().size === 0;
  byId("confirm-left-words").textContent = `${count(rejectedHere().size, "image")} left out.`;
}
