/** Drawing of masks: the image on the stage, its mask, tools, drafts, and saving. */

import * as api from "./api.js";
import { onReturn } from "./connection.js";
import { byId, count, fileName, kbd, make, percent } from "./dom.js";
import * as drafts from "./drafts.js";
import { Edits } from "./edits.js";
import { cursor, listen } from "./drawkeys.js";
import { decode, encode } from "./maskpng.js";
import * as palette from "./palette.js";
import { Pointers } from "./pointers.js";
import { Raster, VOID } from "./raster.js";
import { Regions } from "./regions.js";
import { say, warn } from "./say.js";
import { on, recall, remember, state } from "./state.js";
import { preload as preloadImages, Surface } from "./surface.js";
import { Brush, Eraser, Fill, outline, Polygon, Superpixels } from "./tools.js";
import { answerMask, undo as undoAnswer } from "./work.js";


const TOOLS = [["brush", "b", "Brush"], ["eraser", "e", "Eraser"], ["polygon", "p", "Polygon"], ["fill", "k", "Fill"], ["superpixels", "x", "Superpixels"], ["hand", "v", "Move"]];
const GRAINS = [["fine", "Fine"], ["medium", "Medium"], ["coarse", "Coarse"]];
const SIZES = [1];
while (SIZES.at(-1) < 600) SIZES.push(Math.max(SIZES.at(-1) + 1, Math.round(SIZES.at(-1) * 1.25)));
const AHEAD = 2; // images whose facts and layers are loaded before they are shown
const LOCAL_PAUSE = 700; // milliseconds from a change to the draft in the browser
const LOOK = 300; // milliseconds for which an image is on the stage before Enter may save it
const FIRST_PAUSE = 500; // milliseconds before an image is requested again; doubled each time
const LONGEST_PAUSE = 15_000;
const SERVER_PAUSE = 4_000; // milliseconds from a change to the draft on the server

let surface = null;
let tools = null;
let tool = "brush";
let grain = "medium";
let saving = false;
const ahead = new Map(); // item → what `load` returns, or null if it failed
let timers = [];
let changes = 0; // steps since the image was opened
let tries = 0; // failed attempts to open the image
let touched = 0; // time of the last stroke
let opened = 0; // time at which the image was opened, or its prediction accepted
let handed = 0; // steps that the server has as a draft

/** The image on the stage, and everything that belongs to it. */
const desk = {
  item: null, info: null, raster: null, edits: null, regions: null, prediction: null, entropy: null,
  showing: "mask", heat: false, size: 15, surface: null,
  get ink() { return palette.current(); },
  show, settle,
};

/** Builds the drawing surface, once; returns it as the stage of the single view. */
export function build(root, onZoom) {
  surface = new Surface(root, onZoom);
  desk.surface = surface;
  tools = { brush: new Brush(desk), eraser: new Eraser(desk), polygon: new Polygon(desk), fill: new Fill(desk), superpixels: new Superpixels(desk) };
  surface.colours = state.campaign.colours;
  surface.hint = hint;
  surface.onLoad = (isLoaded) => (isLoaded ? showReady() : tryAgain());
  new Pointers(surface, hand);
  palette.build(() => surface.redraw("hints"));
  buildBar();
  listen(commands);
  on(["author"], () => state.author !== "" && void drafts.tidy());
  onReturn(() => desk.item !== null && !isReady() && open(desk.item, desk.name, true));
  for (const event of ["pagehide", "visibilitychange"]) addEventListener(event, () => document.hidden !== false && void flush());
  return { get item() { return desk.item; }, get seen() { return isReady(); }, looked: true, show: open, fit: () => surface.fit(), zoom: (way) => surface.zoom(way) };
}

/** Whether the image on the stage can be drawn on. */
export const isReady = () => desk.raster !== null && surface.seen;

function buildBar() {
  byId("draw-tools").replaceChildren(...TOOLS.map(([name, key, words]) =>
    make("button", { type: "button", "data-tool": name, "aria-pressed": String(name === tool), "aria-keyshortcuts": key, onclick: () => choose(name) }, kbd(key), words)));
  byId("draw-grain").replaceChildren(...GRAINS.map(([name, words]) => make("option", { value: name, selected: name === grain }, words)));
  byId("draw-grain").addEventListener("change", ({ target }) => setGrain(target.value));
  const size = byId("draw-size");
  size.max = SIZES.length - 1;
  size.addEventListener("input", () => setSize(Number(size.value)));
  setSize(Math.max(0, SIZES.indexOf(Number(recall("draw-size") ?? 16))));
  byId("draw-void").addEventListener("change", ({ target }) => { if (desk.raster) desk.raster.onlyVoid = target.checked; });
  byId("draw-undo").addEventListener("click", commands.undo);
  byId("draw-redo").addEventListener("click", commands.redo);
  byId("draw-accept").addEventListener("click", commands.accept);
  byId("draw-save").addEventListener("click", () => void save());
  byId("draw-mask").addEventListener("click", commands.mask);
  byId("draw-prediction").addEventListener("click", commands.prediction);
  byId("draw-heat").addEventListener("click", commands.heat);
  byId("overlay-strength").addEventListener("input", strength);
  byId("zoom-actual").addEventListener("click", commands.actual);
  strength();
  choose(tool);
}

/** Opens an image: its mask is the newest of the drafts, the label, or void. */
async function open(item, name, isRetry = false) {
  if (item === desk.item && !isRetry) return;
  void flush();
  stop();
  if (!isRetry) tries = 0;
  opened = performance.now();
  Object.assign(desk, { item, name, info: null, raster: null, edits: null, regions: null, prediction: null, entropy: null, showing: "mask" });
  [changes, handed] = [0, 0];
  byId("draw-note").textContent = "Loading …";
  palette.arrange();
  refresh();
  showReady();
  try {
    const loaded = (await ahead.get(item)) ?? (await load(item));
    ahead.delete(item); // opened again, the image may have another draft
    if (item !== desk.item) return;
    const { info, prediction, entropy } = loaded;
    surface.show(item, name, info);
    const found = await firstMask(item, info);
    if (item !== desk.item) return;
    const raster = new Raster(info.width, info.height, found.pixels);
    raster.onlyVoid = byId("draw-void").checked;
    Object.assign(desk, { info, raster, edits: new Edits(raster), prediction, entropy });
    byId("draw-note").textContent = found.words;
    if (prediction !== null && found.pixels === undefined) view("prediction");
    else view("mask");
    if (tool === "superpixels") void readRegions();
    showReady();
  } catch (error) {
    if (item !== desk.item) return;
    byId("draw-note").textContent = `This image cannot be drawn on: ${error.message}`;
    if (error.passes) tryAgain();
  }
}

/** Opens the image again after a pause, as long as it is the one on the stage. */
function tryAgain() {
  const { item, name } = desk;
  tries += 1;
  setTimeout(() => item === desk.item && !isReady() && open(item, name, true), Math.min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** tries));
}

/** Shows whether the image can be drawn on. */
function showReady() {
  surface.root.classList.toggle("ready", isReady());
}

/** Loads the next images before they are shown, so that drawing goes on while the network is gone for a while. */
export function preload(items) {
  preloadImages(items);
  for (const item of items.slice(1, 1 + AHEAD)) {
    if (ahead.has(item) || item === desk.item) continue;
    ahead.set(item, load(item).catch(() => null));
    while (ahead.size > AHEAD) ahead.delete(ahead.keys().next().value);
  }
}

async function load(item) {
  const info = await api.getDrawing(item, state.author);
  const [prediction, entropy] = await Promise.all([layer(item, info, "prediction"), layer(item, info, "entropy")]);
  return { info, prediction, entropy };
}

const pickOf = (wanted) => state.queue.find(({ item }) => item === wanted);

async function layer(item, info, kind) {
  return info[kind] ? api.getPixels(item, kind).catch(() => null) : null;
}

/** The mask to begin with: { pixels, words }; `pixels` undefined for an empty one. */
async function firstMask(item, info) {
  const local = await drafts.kept(item, info);
  // An image that waits has no label, or one that is being undone.
  const isAnswered = pickOf(item)?.answer === "label" && info.label && (local === null || local.isSaved);
  const fromServer = info.draft_at !== null && !isAnswered && info.draft_at > (local?.at ?? 0);
  if (fromServer) return { pixels: (await api.getPixels(item, "draft", state.author)).pixels, words: "Your draft from another browser." };
  if (local !== null && !isAnswered) return { pixels: (await decode(local.png)).pixels, words: local.isSaved ? "The mask that you saved before." : "Your draft." };
  if (isAnswered) return { pixels: (await api.getPixels(item, "label")).pixels, words: "The saved mask." };
  return { words: info.prediction ? "The model's prediction: Enter accepts it." : "" };
}

/** Draws what has changed in the mask. */
function show() {
  const dirty = desk.raster?.takeDirty();
  if (dirty) surface.refresh(dirty);
}

/** Called after every finished step: the draft is kept, and the buttons follow. */
function settle() {
  show();
  changes += 1;
  touched = performance.now();
  if (desk.showing === "prediction") view("mask");
  byId("draw-note").textContent = "";
  refresh();
  stop();
  timers = [setTimeout(keepLocally, LOCAL_PAUSE), setTimeout(() => void flush(), SERVER_PAUSE)];
}

function stop() {
  timers.forEach(clearTimeout);
  timers = [];
}

async function keepLocally() {
  const { item, info, raster } = desk;
  if (raster === null) return null;
  const png = await encode(raster);
  await drafts.keep(item, { png, digest: info.digest, classes: info.class_ids, at: Date.now(), isSaved: false });
  return png;
}

/** Keeps the draft in the browser and on the server, if something has changed since. */
async function flush() {
  if (desk.raster === null || changes === handed) return;
  stop();
  handed = changes;
  const { item } = desk;
  const at = Date.now();
  const png = await keepLocally();
  await api.putDraft(state.author, item, png, at).catch(() => { if (item === desk.item) handed = -1; });
}

/** Saves the mask as the answer for the image, and shows the next image. */
async function save() {
  const pick = pickOf(desk.item);
  if (saving || pick === undefined || !isReady()) return;
  if (desk.raster.counts[VOID] === desk.raster.pixels.length) {
    say("Nothing is drawn yet: draw something, or press s to skip the image");
    return;
  }
  saving = true;
  stop();
  try {
    const { item, info, raster } = desk;
    const id = api.newKey();
    const png = await encode(raster);
    await drafts.keepSave(id, item, png);
    await drafts.keep(item, { png, digest: info.digest, classes: info.class_ids, at: Date.now(), isSaved: true });
    handed = changes;
    desk.item = null; // after an undo the image is opened anew
    answerMask(pick, id);
    say(`The mask of ${fileName(pick.path)} is being saved`);
  } catch (error) {
    warn("mask", `The mask is not saved: ${error.message}.`);
  } finally {
    saving = false;
  }
}

/** Enter: closes an open polygon, accepts the prediction on an empty mask, or saves. */
export function confirm() {
  if (tools.polygon.isOpen) tools.polygon.close();
  else if (touched < opened && performance.now() - opened < LOOK) return; // a key pressed twice must not save what nobody has seen
  else if (desk.raster !== null && desk.prediction !== null && changes === 0 && desk.raster.counts[VOID] === desk.raster.pixels.length) accept();
  else void save();
}

function accept() {
  if (desk.raster === null) return;
  if (desk.prediction === null) {
    say("This image has no prediction: no model chose it");
    return;
  }
  const { onlyVoid } = desk.raster;
  if (desk.edits.run((raster) => raster.take(desk.prediction))) settle();
  desk.raster.onlyVoid = onlyVoid;
  view("mask");
  opened = performance.now();
  say("The prediction is in the mask: correct it, then press Enter to save");
}

const hand = {
  pans: () => tool === "hand" || cursor.isSpaceDown,
  start(point, how) {
    if (!isReady()) say("This image is not loaded yet: wait until you see it");
    else tools[tool]?.start(point, how);
    hover(point);
  },
  move(points) {
    tools[tool]?.move(points);
    hover(points.at(-1));
  },
  end: (point) => tools[tool]?.end(point),
  cancel: () => tools[tool]?.cancel(),
  hover(point) {
    tools[tool]?.hover(point);
    hover(point);
  },
};

/** Names what is under the pointer. */
function hover(point) {
  surface.redraw("hints");
  const [x, y] = point === null ? [-1, -1] : point.map(Math.floor);
  const value = desk.raster?.at(x, y) ?? null;
  if (value === null) {
    byId("draw-under").textContent = "";
    return;
  }
  const said = [`${x}, ${y}`, palette.nameOf(value)];
  const at = (map) => map.pixels[Math.floor(((y + 0.5) * map.height) / desk.info.height) * map.width + Math.floor(((x + 0.5) * map.width) / desk.info.width)];
  if (desk.prediction !== null && at(desk.prediction) !== VOID) said.push(`predicted ${palette.nameOf(at(desk.prediction))}`);
  if (desk.entropy !== null) said.push(`uncertainty ${percent(at(desk.entropy) / 255, 0)}`);
  byId("draw-under").textContent = said.join(" · ");
}

function hint(context) {
  tools[tool]?.hint(context);
  if (cursor.point === null) return;
  const [x, y] = surface.toStage(cursor.point[0], cursor.point[1]);
  outline(context, (path) => {
    for (const [dx, dy] of [[9, 0], [0, 9]]) {
      path.moveTo(x - dx, y - dy);
      path.lineTo(x + dx, y + dy);
    }
  });
}

function choose(name) {
  tools[tool]?.cancel();
  tool = name;
  for (const button of byId("draw-tools").children) button.setAttribute("aria-pressed", String(button.dataset.tool === name));
  byId("draw-size-row").hidden = !["brush", "eraser"].includes(name);
  byId("draw-grain-row").hidden = name !== "superpixels";
  surface.root.dataset.tool = name;
  surface.redraw("hints");
  if (name === "superpixels") void readRegions();
}

function setSize(place) {
  const index = Math.min(SIZES.length - 1, Math.max(0, place));
  desk.size = SIZES[index];
  byId("draw-size").value = index;
  byId("draw-size").setAttribute("aria-valuetext", count(desk.size, "pixel"));
  byId("draw-size-value").textContent = `${desk.size} px`;
  remember("draw-size", String(desk.size));
  surface?.redraw("hints");
}

function setGrain(name) {
  grain = name;
  byId("draw-grain").value = name;
  desk.regions = null;
  void readRegions();
}

/** Reads the superpixels of the image; the server computes them once per content. */
async function readRegions() {
  const { item, info } = desk;
  if (item === null || info === null || desk.regions !== null) return;
  const wanted = grain;
  byId("draw-note").textContent = "Computing superpixels …";
  try {
    const map = await api.getPixels(item, `superpixels-${wanted}`);
    if (item !== desk.item || wanted !== grain) return;
    desk.regions = new Regions(map.pixels, map, info);
    byId("draw-note").textContent = "";
  } catch (error) {
    if (item === desk.item) byId("draw-note").textContent = `No superpixels: ${error.message}`;
  }
  surface.redraw("hints");
}

/** Shows "mask", "prediction" or "none" over the image. */
function view(name) {
  desk.showing = name;
  surface.map = { mask: desk.raster, prediction: desk.prediction, none: null }[name];
  surface.uncertainty = desk.heat ? desk.entropy : null;
  surface.redraw("classes", "heat");
  refresh();
}

function toggle(name) {
  if (name === "prediction" && desk.prediction === null) say("This image has no prediction: no model chose it");
  else view(desk.showing === name ? (name === "mask" ? "none" : "mask") : name);
}

function toggleHeat() {
  desk.heat = !desk.heat;
  if (desk.heat && desk.entropy === null) say("This image has no uncertainty: no model chose it");
  view(desk.showing);
}

function strength() {
  const value = Number(byId("overlay-strength").value) / 100;
  surface.layers.classes.style.opacity = value;
}

function step(way) {
  if (tools.polygon.isOpen) {
    if (way === "undo") tools.polygon.back();
    return;
  }
  if (desk.edits === null) return;
  tools[tool]?.cancel();
  if (desk.edits[way]()) settle();
  else say(way === "undo" ? "Nothing drawn that can be undone; Backspace undoes the last answer" : "Nothing to redo");
}

/** Updates buttons, shares, and the switches of the layers. */
function refresh() {
  const { raster, edits } = desk;
  byId("draw-undo").disabled = !edits?.done.length;
  byId("draw-redo").disabled = !edits?.undone.length;
  byId("draw-accept").disabled = desk.prediction === null;
  byId("draw-save").disabled = raster === null;
  byId("draw-mask").setAttribute("aria-pressed", String(desk.showing === "mask"));
  byId("draw-prediction").setAttribute("aria-pressed", String(desk.showing === "prediction"));
  byId("draw-prediction").disabled = desk.prediction === null;
  byId("draw-heat").setAttribute("aria-pressed", String(desk.heat));
  byId("draw-heat").disabled = desk.entropy === null;
  if (raster !== null) {
    palette.showShares(raster.counts, raster.pixels.length);
    const share = 1 - raster.counts[VOID] / raster.pixels.length;
    byId("draw-share").textContent = `${Math.floor(100 * share)} % labelled`;
  }
}

const commands = {
  tool: choose,
  class: palette.chooseKey,
  find: palette.focusFilter,
  smaller: () => (tool === "superpixels" ? finer(-1) : setSize(SIZES.indexOf(desk.size) - 1)),
  larger: () => (tool === "superpixels" ? finer(1) : setSize(SIZES.indexOf(desk.size) + 1)),
  undo: () => step("undo"),
  redo: () => step("redo"),
  undoAnswer: () => (tools.polygon.isOpen ? tools.polygon.back() : void undoAnswer()),
  accept: () => accept(),
  confirm,
  mask: () => toggle("mask"),
  prediction: () => toggle("prediction"),
  heat: toggleHeat,
  onlyVoid() {
    byId("draw-void").click();
  },
  pick() {
    const value = cursorValue();
    if (value !== null) palette.choose(value);
  },
  actual: () => surface.actual(),
  escape() {
    if (!tools.polygon.isOpen && !tools[tool]?.drawing) return false;
    tools[tool].cancel();
    return true;
  },
  surface: () => surface,
  hand,
};

function finer(way) {
  const place = GRAINS.findIndex(([name]) => name === grain) + way;
  if (place >= 0 && place < GRAINS.length) setGrain(GRAINS[place][0]);
}

function cursorValue() {
  const point = cursor.point ?? tools[tool]?.at ?? null;
  return point === null ? null : (desk.raster?.at(...point.map(Math.floor)) ?? null);
}
