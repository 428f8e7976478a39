/** Grid of all leased images: one answer applies to all selected ones. */

import { mark } from "./classes.js";
import { byId, count, make } from "./dom.js";
import { Gallery } from "./gallery.js";
import { orderByLikeness } from "./poolapi.js";
import { say } from "./say.js";
import { on, recall, remember, state } from "./state.js";
import * as tileSize from "./tilesize.js";
import { answer } from "./work.js";

const OFFERED = 8; // most suggestions with a button that selects their images

export let gallery = null;
let likeness = null; // item → its place among similar images, for the images of `likenessOf`
let likenessOf = "";

/** Builds the view, once. */
export function build() {
  gallery = new Gallery(byId("grid-tiles"), { describe, onChange: bar });
  byId("grid-all").addEventListener("click", () => gallery.selectAll());
  byId("grid-none").addEventListener("click", () => gallery.select([]));
  byId("grid-confirm").addEventListener("click", confirm);
  tileSize.addTo(byId("grid-bar"));
  byId("grid-order").value = recall("grid-order") ?? "rank";
  byId("grid-order").addEventListener("change", ({ target }) => {
    remember("grid-order", target.value);
    show();
  });
  on(["queue", "view", "suggestions"], () => state.view === "grid" && show());
}

const wantedOrder = () => byId("grid-order").value;

/** Shows the queue in the wanted order. */
function show() {
  gallery.show(ordered(state.queue));
  if (wantedOrder() === "likeness") void readLikeness();
}

function ordered(queue) {
  if (wantedOrder() === "suggestion") return bySuggestion(queue).flatMap(([, group]) => group.sort((one, other) => (other.confidence ?? 0) - (one.confidence ?? 0)));
  if (wantedOrder() !== "likeness" || likeness === null) return queue;
  return [...queue].sort((one, other) => (likeness.get(one.item) ?? Infinity) - (likeness.get(other.item) ?? Infinity) || one.rank - other.rank);
}

/** Reads the order of new images; answered ones leave the others where they are. */
async function readLikeness() {
  const items = state.queue.map(({ item }) => item).slice(0, 200);
  const key = [...items].sort((one, other) => one - other).join();
  if (items.length === 0 || key === likenessOf || (likeness !== null && items.every((item) => likeness.has(item)))) return;
  likenessOf = key;
  try {
    const { items: sorted } = await orderByLikeness(items);
    likeness = new Map(sorted.map((item, place) => [item, place]));
    if (state.view === "grid" && wantedOrder() === "likeness") gallery.show(ordered(state.queue));
  } catch (error) {
    say(error.message);
  }
}

function describe({ suggestion, confidence }) {
  if (!state.suggestions || suggestion === null) return { caption: "" };
  return { caption: suggestion, note: confidence === null ? "" : `${Math.round(100 * confidence)} %` };
}

/** Gives every selected image the class that the model suggests for it. */
export function confirm() {
  const targets = gallery.targets();
  const suggested = targets.filter(({ suggestion }) => suggestion !== null);
  // A suggestion that is accepted among many shapes the label; the random sample has to stay a fair one.
  const picks = targets.length > 1 ? suggested.filter(({ at_random: drawn }) => !drawn) : suggested;
  const options = targets.length > 1 ? { origin: "bulk" } : {};
  if (!state.suggestions) say("Suggestions are hidden; press h to show them");
  else if (suggested.length === 0) say("The model has no suggestion for the selected images");
  else for (const [name, group] of bySuggestion(picks)) answer("label", group, name, options);
  if (picks.length < suggested.length) say(`${count(suggested.length - picks.length, "image")} of the random sample ${suggested.length - picks.length === 1 ? "is" : "are"} left: label them by their class keys, so that the accuracy on the sample stays fair`);
}

function bySuggestion(picks) {
  const groups = new Map();
  for (const pick of picks) groups.set(pick.suggestion, [...(groups.get(pick.suggestion) ?? []), pick]);
  return [...groups].sort(([, one], [, other]) => other.length - one.length);
}

function bar() {
  const chosen = gallery.selected.size;
  byId("grid-count").textContent = chosen === 0 ? count(state.queue.length, "image") : `${chosen} selected`;
  byId("grid-none").disabled = chosen === 0;
  byId("grid-confirm").hidden = !state.suggestions || !gallery.targets().some(({ suggestion }) => suggestion !== null);
  const [only, ...more] = gallery.targets();
  if (state.view === "grid") mark(state.suggestions && only && more.length === 0 ? only.suggestion : null);
  const groups = state.suggestions ? bySuggestion(state.queue.filter(({ suggestion }) => suggestion !== null)) : [];
  byId("grid-groups").replaceChildren(...groups.slice(0, OFFERED).map(([name, group]) => chip(name, group)));
}

function chip(name, group) {
  const pick = () => gallery.select(group.map(({ item }) => item));
  const label = `Select the ${count(group.length, "image")} with the suggestion ${name}`;
  return make("button", { type: "button", class: "chip", onclick: pick, "aria-label": label, title: label }, name, make("b", {}, String(group.length)));
}
