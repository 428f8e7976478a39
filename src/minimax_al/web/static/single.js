/** View of a single image with the reason of its pick and the model's suggestion. */

import { byId, fileName, kbd, make, percent, sentence } from "./dom.js";
import { mark } from "./classes.js";
import * as drawing from "./drawing.js";
import * as holding from "./holding.js";
import { close, shown as current } from "./opened.js";
import { say } from "./say.js";
import { preload, Stage } from "./stage.js";
import { on, state } from "./state.js";
import { answer } from "./work.js";

const AHEAD = 4; // images loaded before they are shown

let stage = null;

/** Builds the view, once. */
export function build() {
  stage = draws() ? drawing.build(byId("stage"), showScale) : new Stage(byId("stage"), (factor) => showZoom(factor === 1, `${factor.toFixed(1)}×`));
  byId("zoom-in").addEventListener("click", () => stage.zoom(1));
  byId("zoom-out").addEventListener("click", () => stage.zoom(-1));
  byId("zoom").addEventListener("click", () => stage.fit());
  byId("zoom-real")?.addEventListener("click", () => stage.real());
  byId("suggestion").addEventListener("click", confirm);
  byId("opened-close")?.addEventListener("click", close);
  on(["queue", "at", "view", "suggestions", "lapsed", "opened"], show);
}

const draws = () => state.campaign.task === "segmentation";
const showScale = (scale, isFit) => showZoom(isFit, `${Math.round(100 * scale * devicePixelRatio)} %`);

function showZoom(isFit, words) {
  byId("zoom").textContent = isFit ? "Fit" : words;
  byId("zoom").disabled = isFit;
}

/** The images that a key would answer: the one on the screen; for a label, only if it is loaded. */
export function targets(kind = "label") {
  const pick = current();
  if (pick === undefined) return [];
  if (stage.item !== pick.item || !stage.looked) {
    say("Pressed too soon: this image was not on the screen yet");
    return [];
  }
  if (stage.seen || kind !== "label") return [pick]; // "look" and "skip" need no image
  say("This image is not loaded yet: wait until you see it");
  return [];
}

/** Answers with the class that the model suggests. */
export function confirm() {
  if (draws()) {
    drawing.confirm();
    return;
  }
  const [pick] = targets();
  if (pick === undefined) return;
  if (!state.suggestions) say("Suggestions are hidden; press h to show them");
  else if (pick.suggestion === null) say("The model has no suggestion for this image");
  else answer("label", [pick], pick.suggestion);
}

/** Shows the image before or after this one. */
export function move(dx, dy) {
  const place = state.queue.findIndex(({ item }) => item === state.at);
  const next = state.queue[place + (dx || dy)];
  if (next === undefined) say(dx + dy > 0 ? "This is the last image reserved for you" : "This is the first image reserved for you");
  else holding.goTo(next.item);
}

export const zoomIn = () => stage.zoom(1);
export const zoomOut = () => stage.zoom(-1);
export const fit = () => stage.fit();
export const real = () => stage.real?.();

function show() {
  const pick = current();
  const { opened } = state;
  if ((state.view !== "single" && opened === null) || pick === undefined) return;
  const name = fileName(pick.path);
  void stage.show(pick.item, name);
  if (opened === null) preloadNext(pick);
  byId("file").textContent = name;
  byId("file").title = pick.path;
  byId("reason").textContent = opened === null ? why(pick.reason) : labelledBy(pick);
  if (draws()) byId("opened-close").hidden = opened === null;
  byId("lapsed").hidden = state.lapsed !== pick.item;
  suggest(pick);
}

function preloadNext(pick) {
  const place = state.queue.indexOf(pick);
  (draws() ? drawing.preload : preload)([...state.queue.slice(place, place + 1 + AHEAD), ...state.queue.slice(0, 1)].map(({ item }) => item));
}

const labelledBy = ({ author, first, second }) => (first ? `Masks of ${first.author} and ${second.author}` : author ? `Answered by ${author}` : "");

const why = (reason) => sentence(/^(drawn|chosen|random)/.test(reason) ? reason : `picked because ${reason}`);

function suggest(pick) {
  const shown = state.suggestions && state.opened === null && pick.suggestion !== null;
  mark(shown ? pick.suggestion : null);
  const button = byId("suggestion");
  button.hidden = !shown;
  if (!shown) return;
  const sure = pick.confidence === null ? null : make("span", { class: "says" }, percent(pick.confidence, 0));
  button.replaceChildren(kbd("↵"), make("span", { class: "name" }, make("span", { class: "quiet" }, "Suggested: "), pick.suggestion), ...(sure ? [sure] : []));
}
