/** Explore: find images by words, by likeness, or on a map of the pool, and label many of them at once. */

import { mark as markClass } from "./classes.js";
import { byId, count, fileName } from "./dom.js";
import { Gallery } from "./gallery.js";
import { Pager } from "./pager.js";
import { getNeighbours, lookUp, search } from "./poolapi.js";
import * as poolMap from "./poolmap.js";
import { say } from "./say.js";
import { on, state, update } from "./state.js";
import * as tileSize from "./tilesize.js";
import { answer } from "./work.js";

const PAGE = 60;
const PAUSE = 250; // milliseconds after the last letter before a search starts
const EXAMPLES = 50; // most images that a search by likeness starts from

export let gallery = null;
let pager = null;
let source = { kind: "search" }; // or { kind: "like", items, name }, { kind: "selection", items }
let picks = [];
let turn = 0;
let timer = null;

/** Builds the view, once. */
export function build() {
  gallery = new Gallery(byId("explore-tiles"), { describe, onChange: bar });
  pager = new Pager(byId("explore-pager"), PAGE, () => void read());
  poolMap.build({ selected: (items) => start({ kind: "selection", items }), like: (item) => likeThese([{ item, path: null }]) });
  byId("explore-text").addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(() => start({ kind: "search" }), PAUSE);
  });
  byId("explore-text").addEventListener("keydown", ({ key }) => key === "Enter" && start({ kind: "search" }));
  byId("explore-wanted").addEventListener("change", () => start(source));
  byId("explore-like").addEventListener("click", () => likeThese(gallery.targets()));
  byId("explore-clear").addEventListener("click", clear);
  byId("explore-all").addEventListener("click", () => gallery.selectAll());
  byId("explore-none").addEventListener("click", () => gallery.select([]));
  tileSize.addTo(byId("explore-bar"));
  on(["view"], () => state.view === "explore" && enter());
  on(["recent", "unsent", "suggestions", "moment"], () => state.view === "explore" && gallery.show(picks));
}

function enter() {
  void poolMap.refresh();
  void read();
}

function clear() {
  byId("explore-text").value = "";
  poolMap.mark([]);
  start({ kind: "search" });
}

function start(next) {
  clearTimeout(timer);
  source = next;
  pager.restart();
  gallery.select([]);
  byId("explore-scroll").scrollTop = 0;
  void read();
}

/** Shows the images that are most similar to these; opens the view from another one. */
export function likeThese(examples) {
  if (examples.length === 0) return say("Select an image first");
  const items = examples.slice(0, EXAMPLES).map(({ item }) => item);
  const name = examples.length > 1 ? count(items.length, "image") : examples[0].path === null ? `image ${items[0]}` : fileName(examples[0].path);
  if (state.view !== "explore") update({ view: "explore", moment: state.moment + 1 });
  start({ kind: "like", items, name });
  poolMap.mark(items);
  return undefined;
}

const wanted = () => byId("explore-wanted").value;

async function read() {
  const asked = (turn += 1);
  try {
    const page = await fetchPage();
    if (asked !== turn) return;
    const known = new Map(picks.map((pick) => [pick.item, pick]));
    picks = page.images.map((image) => (unsaved(image.item) ? (known.get(image.item) ?? image) : image));
    gallery.show(picks);
    pager.show(page.total);
    title(page.total);
  } catch (error) {
    if (asked !== turn) return;
    picks = [];
    gallery.show(picks);
    pager.show(0);
    title(0, error.message);
  }
}

const unsaved = (item) => state.unsent.some(({ items }) => items.includes(item));

function fetchPage() {
  const { offset } = pager;
  if (source.kind === "like") return getNeighbours({ items: source.items, wanted: wanted(), offset, limit: PAGE });
  if (source.kind === "search") return search({ text: byId("explore-text").value.trim(), wanted: wanted(), offset, limit: PAGE });
  return lookUp(source.items.slice(offset, offset + PAGE)).then(({ images }) => ({ images, total: source.items.length }));
}

function title(total, trouble = null) {
  const text = byId("explore-text").value.trim();
  const words = {
    search: `${count(total, "image")}${text ? ` with “${text}”` : ""}`,
    like: `${count(total, "image")}, most similar to ${source.name} first`,
    selection: `${count(total, "image")} selected on the map`,
  }[source.kind];
  byId("explore-title").textContent = trouble ?? words;
  byId("explore-clear").hidden = source.kind === "search" && text === "";
  byId("explore-wanted").disabled = source.kind === "selection";
}

function describe(pick) {
  const pending = unsaved(pick.item);
  const said = { label: pick.class_name ?? (state.campaign.role === "annotator" ? "labelled" : "mask"), unsure: "unsure", skip: "skipped", waiting: "", none: "" }[pick.answer];
  const suggested = state.suggestions && pick.suggestion !== null ? `model: ${pick.suggestion} ${Math.round(100 * pick.confidence)}\u00a0%` : "";
  const note = pending ? "not saved yet" : pick.answer !== "label" || pick.class_name !== pick.suggestion ? suggested : "";
  return { caption: said, note, tone: pending ? "pending" : said === "" ? "" : "label" };
}

function bar() {
  const chosen = gallery.selected.size;
  byId("explore-count").textContent = chosen > 0 ? `${chosen} selected` : "";
  byId("explore-none").disabled = chosen === 0;
  byId("explore-like").disabled = gallery.targets().length === 0;
  const [only, ...more] = gallery.targets();
  if (state.view === "explore" && state.campaign.task === "classification") markClass(only && more.length === 0 ? (only.class_name ?? (state.suggestions ? only.suggestion : null)) : null);
}

/** Gives the images the class that the model suggests. */
export function confirm() {
  const targets = gallery.targets();
  // A suggestion that is accepted among many shapes the label; the random sample has to stay a fair one.
  const fair = targets.filter(({ at_random: drawn }) => targets.length === 1 || !drawn);
  const open = fair.filter(({ suggestion, class_name: name, answer: given }) => suggestion !== null && (given !== "label" || name !== suggestion));
  if (!state.suggestions) return say("Suggestions are hidden; press h to show them");
  if (open.length === 0) return say("The model suggests no other class for these images");
  for (const name of new Set(open.map(({ suggestion }) => suggestion))) {
    const group = open.filter(({ suggestion }) => suggestion === name);
    answer("label", group, name, open.length > 1 ? { origin: "bulk" } : {});
  }
  return undefined;
}

/** Moves the focus among the images. */
export const move = (dx, dy, extend) => gallery.move(dx, dy, extend);
