/** The map of the pool in the explore view: choice of the map, colours with a legend, selection, computation. */

import { thumbnailUrl } from "./api.js";
import { byId, count, make } from "./dom.js";
import { Lasso } from "./lasso.js";
import { blank, colourPoints, css } from "./mapcolours.js";
import { PointMap } from "./pointmap.js";
import { getColours, getMaps, getPoints, startMap } from "./poolapi.js";
import { say } from "./say.js";
import { on, recall, remember, state } from "./state.js";

const NAMES = { pca: "Principal components", tsne: "Neighbours (t-SNE)" };
const POLL = 1_000; // milliseconds between two looks at a running computation
const LISTED = 12; // entries of the legend before "more"

export let map = null;
let lasso = null;
let shown = null; // { method, version } of the points on the canvas
let columns = null;
let maps = null;
let only = null; // class index that alone has its colour
let timer = null;
let chosen = new Set(); // positions of selected points

/** Builds the map. `selected(items)`: images were selected on it; `like(item)`: one image was clicked. */
export function build({ selected, like }) {
  map = new PointMap(byId("map"));
  lasso = new Lasso(map, byId("map-layer"), {
    onSelect: (positions, adds) => select(positions, adds, selected),
    onPoint: (position) => like(map.items[position]),
    onRest: peek,
    say: (words) => (byId("map-said").textContent = words),
  });
  byId("map-method").addEventListener("change", ({ target }) => {
    remember("map", target.value);
    void refresh();
  });
  byId("map-colour").addEventListener("change", () => {
    only = null;
    paint();
  });
  byId("map-lasso").addEventListener("click", () => draws(!lasso.drawing));
  byId("map-in").addEventListener("click", () => map.zoom(2));
  byId("map-out").addEventListener("click", () => map.zoom(-2));
  byId("map-fit").addEventListener("click", () => map.fit());
  byId("map-compute").addEventListener("click", compute);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", paint);
  on(["saves", "moment"], () => state.view === "explore" && shown !== null && void recolour());
}

/** Whether a drag draws a lasso. */
function draws(drawing) {
  lasso.drawing = drawing;
  byId("map-lasso").setAttribute("aria-pressed", String(drawing));
  byId("map").classList.toggle("drawing", drawing);
}

/** Reads which maps there are, and shows the chosen one. */
export async function refresh() {
  clearTimeout(timer);
  try {
    maps = await getMaps();
  } catch (error) {
    return say(error.message);
  }
  byId("map-pane").hidden = !maps.features;
  if (!maps.features) return undefined;
  offer();
  const running = maps.job.state === "running";
  if (running) timer = setTimeout(() => state.view === "explore" && void refresh(), POLL);
  progress(maps.job, running);
  const found = maps.maps.find(({ method }) => method === byId("map-method").value);
  byId("map-none").hidden = found.version !== null || running;
  byId("map-none-words").textContent = `The map of ${count(maps.images, "image")} is not computed yet.`;
  byId("map-compute").hidden = running || (found.version !== null && found.images === maps.images);
  byId("map-compute").textContent = found.version === null ? "Compute the map" : "Compute it again";
  byId("map-old").hidden = found.version === null || found.images === maps.images;
  byId("map-old").textContent = `${found.images.toLocaleString("en")} of ${count(maps.images, "image")} are on the map.`;
  if (found.version !== null && (shown?.method !== found.method || shown.version !== found.version)) await load(found);
  return undefined;
}

function offer() {
  const select = byId("map-method");
  const wanted = select.value || recall("map") || "pca";
  const methods = maps.maps.filter(({ method, version }) => method !== "tsne" || maps.tsne || version !== null).map(({ method }) => method);
  select.replaceChildren(...methods.map((method) => make("option", { value: method }, NAMES[method])));
  select.value = methods.includes(wanted) ? wanted : "pca";
}

function progress(job, running) {
  byId("map-job").hidden = !running && job.state !== "failed";
  byId("map-bar").hidden = !running;
  if (running && job.epochs) Object.assign(byId("map-bar"), { max: job.epochs, value: job.epoch ?? 0 });
  else byId("map-bar").removeAttribute("value");
  byId("map-step").textContent = job.state === "failed" ? `The map could not be computed: ${job.message}` : `Computing: ${job.training ?? "starting"}${job.epochs ? `, ${job.epoch} of ${job.epochs}` : ""}`;
}

async function compute() {
  try {
    await startMap(byId("map-method").value);
  } catch (error) {
    say(error.message);
  }
  await refresh();
}

async function load({ method, version }) {
  const [{ items, points }, read] = await Promise.all([getPoints(method), getColours(method)]);
  shown = { method, version };
  columns = read;
  chosen = new Set();
  map.setPoints(items, points);
  paint();
}

async function recolour() {
  const { method } = shown;
  const read = await getColours(method).catch(() => null);
  if (read === null || shown.method !== method || read.label.length !== map.items.length) return;
  columns = read;
  paint();
}

function paint() {
  if (columns === null) return;
  const { rgb, legend } = colourPoints(columns, byId("map-colour").value, state.campaign.classes, only);
  map.setColours(rgb);
  const entries = legend.slice(0, LISTED).map(entry);
  const more = legend.length - LISTED;
  byId("map-legend").replaceChildren(...entries, ...(more > 0 ? [make("li", { class: "quiet" }, `${more} more`)] : []));
}

function entry({ name, colour, count: number, value }) {
  const swatch = make("i", { class: "swatch" });
  swatch.style.backgroundColor = css(value === undefined || only === null || only === value ? colour : blank());
  const words = [swatch, name, number === undefined ? "" : make("span", { class: "quiet" }, number.toLocaleString("en"))];
  if (value === undefined) return make("li", {}, make("span", { class: "legend-entry" }, words));
  const toggle = () => {
    only = only === value ? null : value;
    paint();
  };
  return make("li", {}, make("button", { type: "button", class: "legend-entry", "aria-pressed": String(only === value), title: `Colour ${name} alone`, onclick: toggle }, words));
}

function select(positions, adds, selected) {
  chosen = adds ? new Set([...chosen, ...positions]) : new Set(positions);
  map.choose(chosen);
  byId("map-said").textContent = `${count(chosen.size, "image")} selected`;
  if (chosen.size > 0) selected([...chosen].map((position) => map.items[position]));
}

/** Marks images on the map. */
export function mark(items) {
  if (shown === null) return;
  const wanted = new Set(items);
  chosen = new Set();
  map.items.forEach((item, position) => wanted.has(item) && chosen.add(position));
  map.choose(chosen);
}

/** Shows the image under the pointer in the corner. */
function peek(position) {
  const box = byId("map-peek");
  box.hidden = position < 0;
  if (position < 0) return;
  const item = map.items[position];
  const name = (column) => (columns[column][position] >= 0 ? state.campaign.classes[columns[column][position]] : null);
  const said = name("label") ?? (columns.label[position] === -2 ? "mask" : null);
  const words = said ?? (name("predicted") === null ? "no label" : `model: ${name("predicted")}`);
  box.replaceChildren(make("img", { src: thumbnailUrl(item), alt: "" }), make("span", {}, words));
}
