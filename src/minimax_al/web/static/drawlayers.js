/** Layers over the image: mask, prediction, uncertainty; in a comparison also other masks, and where they differ. */

import { byId, kbd, make } from "./dom.js";
import { VOID } from "./raster.js";
import { say } from "./say.js";

const DIFFERS = 150; // strength of a pixel that differs, of 255

let desk = null;

/** Wires the switches; `changed()` is called after another layer is shown. */
export function build(theDesk, changed) {
  desk = Object.assign(theDesk, { prediction: null, entropy: null, others: [], showing: "mask", heat: false, differs: false, changed });
  byId("draw-mask").addEventListener("click", () => toggle("mask"));
  byId("draw-prediction").addEventListener("click", () => toggle("prediction"));
  byId("draw-heat").addEventListener("click", toggleHeat);
  byId("draw-differs").addEventListener("click", toggleDifferences);
  byId("overlay-strength").addEventListener("input", strength);
  strength();
}

function strength() {
  desk.surface.layers.classes.style.opacity = Number(byId("overlay-strength").value) / 100;
}

/** Removes the layers of the image before. */
export function clear() {
  Object.assign(desk, { prediction: null, entropy: null, others: [], showing: "mask", differs: false });
  listOthers();
}

/** Sets the other masks of the image: [{ author, map }]. Where there are any, the differences are shown. */
export function compare(others) {
  Object.assign(desk, { others, differs: others.length > 0 });
  listOthers();
}

function listOthers() {
  byId("draw-others").replaceChildren(...desk.others.map(({ author }, place) =>
    make("button", { type: "button", "data-other": place, "aria-pressed": "false", "aria-label": `Mask of ${author}`, onclick: () => toggle(place) }, place === 0 ? kbd("c") : "", make("span", { class: "name" }, author))));
  byId("draw-differs").hidden = desk.others.length === 0;
}

/** The map that a layer shows; layers are "mask", "prediction", "none", or the place of another mask. */
const mapOf = (name) => ({ mask: desk.raster, prediction: desk.prediction, none: null })[name] ?? desk.others[name]?.map ?? null;

/** The mask that can be taken: the other mask on the screen, or else the prediction; { map, words }, or null. */
export function onOffer() {
  const other = desk.others[desk.showing];
  if (other !== undefined) return { map: other.map, words: `${other.author}'s mask` };
  return desk.prediction === null ? null : { map: desk.prediction, words: "prediction" };
}

/** Shows one layer of classes over the image. */
export function view(name) {
  desk.showing = name;
  desk.surface.map = mapOf(name);
  desk.surface.uncertainty = desk.differs && desk.raster !== null ? difference() : desk.heat ? desk.entropy : null;
  desk.surface.redraw("classes", "heat");
  refresh();
  desk.changed();
}

export function toggle(name) {
  if (name === "prediction" && desk.prediction === null) say("This image has no prediction: no model chose it");
  else view(desk.showing === name ? (name === "mask" ? "none" : "mask") : name);
}

/** Shows the next one of the other masks, and after the last one the own. */
export function next() {
  if (desk.others.length === 0) say("There is no other mask of this image to compare with");
  else view(typeof desk.showing === "number" ? (desk.showing + 1 < desk.others.length ? desk.showing + 1 : "mask") : 0);
}

export function toggleHeat() {
  desk.heat = !desk.heat;
  if (desk.heat) desk.differs = false;
  if (desk.heat && desk.entropy === null) say("This image has no uncertainty: no model chose it");
  view(desk.showing);
}

export function toggleDifferences() {
  if (desk.others.length === 0) say("There is no other mask of this image to compare with");
  desk.differs = !desk.differs && desk.others.length > 0;
  view(desk.showing);
}

/** Whether a stroke has changed where the masks differ. */
export const isStale = () => desk.differs && desk.others.length === 1;

/** Where the other masks differ; a single one is compared with the mask that is drawn. */
function difference() {
  const [one, other = { map: desk.raster }] = desk.others;
  const { width, height, pixels } = one.map;
  return { width, height, pixels: Uint8Array.from(pixels, (value, at) => (value === other.map.pixels[at] ? 0 : DIFFERS)) };
}

/** Updates the switches. */
function refresh() {
  const { showing, prediction, entropy, heat, differs } = desk;
  const press = (id, isOn) => byId(id).setAttribute("aria-pressed", String(isOn));
  press("draw-mask", showing === "mask");
  press("draw-prediction", showing === "prediction");
  press("draw-heat", heat && !differs);
  press("draw-differs", differs);
  for (const [id, map] of [["draw-prediction", prediction], ["draw-heat", entropy]]) {
    byId(id).disabled = map === null;
    byId(id).hidden = map === null && desk.others.length > 0; // the others need the space
  }
  for (const button of byId("draw-others").children) button.setAttribute("aria-pressed", String(Number(button.dataset.other) === showing));
  const offer = onOffer();
  byId("draw-accept").disabled = offer === null;
  byId("draw-accept-words").textContent = offer === null || offer.map === prediction ? "Accept prediction" : `Take ${offer.words}`;
}

/** The values of all layers at a point of the image that is inside of it: [words]. */
export function valuesAt([x, y], { nameOf, percent }) {
  const { info, prediction, entropy, others } = desk;
  const at = (map) => map.pixels[Math.floor(((Math.floor(y) + 0.5) * map.height) / info.height) * map.width + Math.floor(((Math.floor(x) + 0.5) * map.width) / info.width)];
  const said = [];
  if (prediction !== null && at(prediction) !== VOID) said.push(`predicted ${nameOf(at(prediction))}`);
  if (entropy !== null) said.push(`uncertainty ${percent(at(entropy) / 255, 0)}`);
  for (const { author, map } of others) said.push(`${author}: ${nameOf(at(map))}`);
  return said;
}
