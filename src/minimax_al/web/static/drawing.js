/** Drawing of masks: the image on the stage, its mask, tools, drafts, and saving. */

import * as api from "./api.js";
import { onReturn } from "./connection.js";
import { byId, count, fileName, kbd, make, percent } from "./dom.js";
import * as layers from "./drawlayers.js";
import * as drafts from "./drafts.js";
import { Edits } from "./edits.js";
import { cursor, listen } from "./drawkeys.js";
import { encode } from "./maskpng.js";
import * as sources from "./masksources.js";
import * as opened from "./opened.js";
import * as palette from "./palette.js";
import { Pointers } from "./pointers.js";
import { Raster, VOID } from "./raster.js";
import { Regions } from "./regions.js";
import { say, warn } from "./say.js";
import { on, recall, remember, state, update } from "./state.js";
import { Surface } from "./surface.js";
import { Brush, Eraser, Fill, outline, Polygon, Superpixels } from "./tools.js";
import { answerMask, undo as undoAnswer } from "./work.js";


const TOOLS = [["brush", "b", "Brush"], ["eraser", "e", "Eraser"], ["polygon", "p", "Polygon"], ["fill", "k", "Fill"], ["superpixels", "x", "Superpixels"], ["hand", "v", "Move"]];
const GRAINS = [["fine", "Fine"], ["medium", "Medium"], ["coarse", "Coarse"]];
const SIZES = [1];
while (SIZES.at(-1) < 600) SIZES.push(Math.max(SIZES.at(-1) + 1, Math.round(SIZES.at(-1) * 1.25)));
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
let timers = [];
let changes = 0; // steps since the image was opened
let tries = 0; // failed attempts to open the image
let touched = 0; // time of the last stroke
let since = 0; // time at which the image was opened, or a mask was taken
let handed = 0; // steps that the server has as a draft
let isDraft = false; // whether the mask began as a draft

/** The image on the stage, and everything that belongs to it. */
const desk = {
  item: null, info: null, raster: null, edits: null, regions: null, size: 15, surface: null,
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
  layers.build(desk, refresh);
  buildBar();
  listen(commands);
  on(["opened"], leave); // before the single view shows another image
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
  byId("zoom-actual").addEventListener("click", commands.actual);
  choose(tool);
}

/** Leaves the image on the stage; its draft is kept. */
function leave() {
  void flush();
  stop();
  desk.item = null;
}

/** Opens an image: its mask is the newest of the drafts, the label, or void. */
async function open(item, name, isRetry = false) {
  if (item === desk.item && !isRetry) return;
  leave();
  if (!isRetry) tries = 0;
  since = performance.now();
  Object.assign(desk, { item, name, info: null, raster: null, edits: null, regions: null });
  layers.clear();
  [changes, handed] = [0, 0];
  byId("draw-note").textContent = "Loading …";
  palette.arrange();
  refresh();
  showReady();
  try {
    const { info, prediction, entropy } = await sources.load(item);
    if (item !== desk.item) return;
    if (String(info.class_ids) !== String(state.campaign.class_ids)) { // the palette has the numbers of former classes
      update({ classChecks: state.classChecks + 1 });
      tryAgain(); // the page is reloaded first, unless the change was taken back
      return;
    }
    surface.show(item, name, info);
    const pick = pickOf(item);
    const found = await sources.firstMask(item, info, pick);
    const others = pick !== undefined && pick === state.opened ? await sources.otherMasks(item, info, pick, found) : [];
    if (item !== desk.item) return;
    const raster = new Raster(info.width, info.height, found.pixels);
    raster.onlyVoid = byId("draw-void").checked;
    Object.assign(desk, { info, raster, edits: new Edits(raster), prediction, entropy });
    isDraft = found.isDraft === true;
    byId("draw-note").textContent = found.words;
    layers.compare(others);
    layers.view(prediction !== null && found.pixels === undefined ? "prediction" : "mask");
    if (tool === "superpixels") void readRegions();
    showReady();
  } catch (error) {
    if (item !== desk.item) return;
    byId("draw-note").textContent = ""; // one short line: the reason may be long
    if (!isRetry) say(`This image cannot be drawn on: ${error.message}`);
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

/** The image on the stage, as its view knows it; undefined if the view has gone on. */
function pickOf(item) {
  const pick = opened.shown();
  return pick?.item === item ? pick : state.queue.find((other) => other.item === item);
}

/** Loads the next images before they are shown. */
export const preload = (items) => sources.preload(items, desk.item);

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
  if (desk.showing !== "mask" || layers.isStale()) layers.view("mask");
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
  await drafts.keep(item, { png, digest: info.digest, classes: info.class_ids, at: Date.now(), isSaved: false, base: sources.idOf(info) });
  return png;
}

/** Keeps the draft in the browser and on the server, if something has changed since. */
async function flush() {
  if (desk.raster === null || changes === handed) return;
  stop();
  handed = changes;
  const { item, info } = desk;
  const at = Date.now();
  const png = await keepLocally();
  await api.putDraft(state.author, item, png, at, info.class_ids).catch(() => { if (item === desk.item) handed = -1; });
}

/** Saves the mask as the answer for the image, and shows the next image. */
async function save() {
  const pick = pickOf(desk.item);
  if (saving || pick === undefined || !isReady()) return;
  if (desk.raster.counts[VOID] === desk.raster.pixels.length) {
    say("Nothing is drawn yet: draw something, or press s to skip the image");
    return;
  }
  const isOpened = pick === state.opened;
  if (isOpened && changes === 0 && !isDraft && pick.answer === "label") {
    say(`Nothing has changed: the mask of ${fileName(pick.path)} stays as it is`);
    opened.close();
    return;
  }
  saving = true;
  stop();
  try {
    const { item, info, raster } = desk;
    const id = api.newKey();
    const png = await encode(raster);
    await drafts.keepSave(id, item, png, info.class_ids);
    await drafts.keep(item, { png, digest: info.digest, classes: info.class_ids, at: Date.now(), isSaved: true });
    handed = changes;
    desk.item = null; // after an undo the image is opened anew
    answerMask(pick, id, isOpened ? { replaces: sources.idOf(info), decides: pick.answer === "conflict" } : {});
    opened.close();
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
  else if (touched < since && performance.now() - since < LOOK) return; // a key pressed twice must not save what nobody has seen
  else if (desk.raster !== null && desk.prediction !== null && changes === 0 && desk.raster.counts[VOID] === desk.raster.pixels.length) accept();
  else void save();
}

/** Takes the other mask on the screen, or the prediction. */
function accept() {
  if (desk.raster === null) return;
  const offer = layers.onOffer();
  if (offer === null) {
    say("This image has no prediction: no model chose it");
    return;
  }
  const isPrediction = offer.map === desk.prediction;
  const { onlyVoid } = desk.raster;
  desk.raster.onlyVoid &&= isPrediction;
  if (desk.edits.run((raster) => raster.take(offer.map, !isPrediction))) settle();
  desk.raster.onlyVoid = onlyVoid;
  layers.view("mask");
  since = performance.now();
  say(`The ${offer.words} is in the mask: correct it, then press Enter to save`);
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
  abort: () => tools[tool]?.abort(),
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
  const others = layers.valuesAt(point, { nameOf: palette.nameOf, percent });
  byId("draw-under").textContent = [`${x}, ${y}`, palette.nameOf(value), ...others].join(" · ");
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
    if (item !== desk.item) return;
    byId("draw-note").textContent = "";
    say(`No superpixels: ${error.message}`);
  }
  surface.redraw("hints");
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

/** Updates the buttons and the shares. */
function refresh() {
  const { raster, edits } = desk;
  byId("draw-undo").disabled = !edits?.done.length;
  byId("draw-redo").disabled = !edits?.undone.length;
  byId("draw-save").disabled = raster === null;
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
  mask: () => layers.toggle("mask"),
  prediction: () => layers.toggle("prediction"),
  heat: layers.toggleHeat,
  compare: layers.next,
  differences: layers.toggleDifferences,
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
