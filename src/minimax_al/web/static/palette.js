/** Classes to draw with: buttons with colour, key and share of the image; with many classes also a box to find one. */

import { byId, kbd, make } from "./dom.js";
import { fold, rank } from "./matching.js";
import { VOID } from "./raster.js";
import { recall, remember, state } from "./state.js";

const KEYS = [..."123456789"];
const MANY = 20; // from this number of classes on, the latest ones come first
const RECENT = 9; // classes that come first

let buttons = new Map(); // class number → element
let order = []; // class numbers, in the order of the keys
let chosen = 0;
let onChoose = () => undefined;
let matching = []; // class numbers that match the typed letters, best first
let active = 0; // position among them

const names = () => state.campaign.classes;

/** The name of a class number. */
export const nameOf = (number) => (number === VOID ? "void" : (names()[number] ?? `class ${number}`));

/** The class number to draw with. */
export const current = () => chosen;

/** Draws the buttons; `chose(number)` is called after a choice. */
export function build(chose) {
  onChoose = chose;
  const filter = byId("palette-filter");
  byId("palette-find").hidden = names().length <= KEYS.length;
  filter.placeholder = `Find one of ${names().length} classes`;
  filter.addEventListener("input", match);
  filter.addEventListener("keydown", (event) => typed(event, filter));
  for (const number of [VOID, ...names().keys()]) buttons.set(number, button(number));
  arrange();
  choose(order[0], false);
}

function button(number) {
  const swatch = make("i", { class: number === VOID ? "swatch void" : "swatch" });
  if (number !== VOID) swatch.style.backgroundColor = state.campaign.colours[number];
  const inside = [swatch, make("span", { class: "name" }, nameOf(number)), make("span", { class: "share quiet" })];
  const title = number === VOID ? "Void: ignored by training" : nameOf(number);
  return make("button", { type: "button", class: "ink", title, "data-number": number, "aria-pressed": "false", onclick: () => choose(number) }, inside);
}

/** Brings the latest classes to the front, with their keys; called between two images, never under the hand. */
export function arrange() {
  const all = [...names().keys()];
  const latest = all.length < MANY ? [] : recent().map((name) => names().indexOf(name)).filter((number) => number >= 0);
  order = [...latest, ...all.filter((number) => !latest.includes(number))];
  [VOID, ...order].forEach((number, place) => {
    const element = buttons.get(number);
    const key = number === VOID ? "0" : KEYS[place - 1];
    element.querySelector("kbd")?.remove();
    if (key !== undefined) element.prepend(kbd(key));
    if (key !== undefined) element.setAttribute("aria-keyshortcuts", key);
    else element.removeAttribute("aria-keyshortcuts");
  });
  byId("palette").replaceChildren(...[VOID, ...order].map((number) => buttons.get(number)));
}

const recent = () => JSON.parse(recall(`${state.campaign.id}/inks`) ?? "[]");

/** Chooses the class to draw with. */
export function choose(number, byHand = true) {
  if (!buttons.has(number)) return;
  chosen = number;
  for (const [other, element] of buttons) element.setAttribute("aria-pressed", String(other === number));
  if (byHand && number !== VOID) {
    const name = names()[number];
    remember(`${state.campaign.id}/inks`, JSON.stringify([name, ...recent().filter((other) => other !== name)].slice(0, RECENT)));
  }
  buttons.get(number).scrollIntoView({ block: "nearest" });
  onChoose(number);
}

/** Chooses the class of a key; returns whether there is one. */
export function chooseKey(key) {
  const number = key === "0" ? VOID : order[KEYS.indexOf(key)];
  if (number === undefined) return false;
  choose(number);
  return true;
}

/** Shows the share of the image that each class has. */
export function showShares(counts, pixels) {
  for (const [number, element] of buttons) {
    const share = (100 * counts[number]) / pixels;
    element.querySelector(".share").textContent = share === 0 ? "" : share < 1 ? "< 1 %" : `${Math.round(share)} %`;
  }
}

/** Moves the focus to the box, if it is shown. */
export function focusFilter() {
  if (!byId("palette-find").hidden) byId("palette-filter").focus();
}

function typed(event, filter) {
  const { key } = event;
  if (key === "Escape" || key === "Enter") {
    if (key === "Enter" && filter.value !== "" && matching.length > 0) choose(matching[active]);
    filter.value = "";
    match();
    byId("stage").focus({ preventScroll: true });
  } else if ((key === "ArrowDown" || key === "ArrowUp") && filter.value !== "" && matching.length > 0) {
    active = (active + (key === "ArrowDown" ? 1 : -1) + matching.length) % matching.length;
    paintMatch();
  } else return;
  event.preventDefault();
}

/** Shows the classes whose names contain the typed letters, those that begin with them first. */
function match() {
  const wanted = fold(byId("palette-filter").value);
  const ranked = [VOID, ...order].map((number, place) => ({ number, place, rank: rank(fold(nameOf(number)), wanted) }));
  if (wanted !== "") ranked.sort((one, other) => one.rank - other.rank || one.place - other.place);
  for (const { number, rank: found } of ranked) buttons.get(number).hidden = found === Infinity;
  byId("palette").append(...ranked.map(({ number }) => buttons.get(number)));
  matching = wanted === "" ? [] : ranked.filter((one) => one.rank < Infinity).map(({ number }) => number);
  active = 0;
  paintMatch();
}

/** Marks the match that Enter chooses. */
function paintMatch() {
  for (const [number, element] of buttons) element.classList.toggle("first", number === matching[active]);
  buttons.get(matching[active])?.scrollIntoView({ block: "nearest" });
  const none = byId("palette-filter").value === "" ? "" : "No class matches";
  byId("palette-matches").textContent = matching.length === 0 ? none : `Enter chooses ${nameOf(matching[active])}${matching.length > 1 ? " · ↑ ↓" : ""}`;
}
