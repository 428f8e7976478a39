/** Buttons of the classes, with their keys; with many classes also a box to find one by name. */

import { byId, count, kbd, make } from "./dom.js";
import { CLASS_KEYS } from "./keys.js";
import { state } from "./state.js";

const FILTER_FROM = 11; // smallest number of classes with a box to find one

let choose = () => undefined;
let buttons = [];

/** Draws the buttons. `onChoose(className)`: a class was chosen. `onEmptyKey(key)`: Enter or Backspace in the empty box. */
export function showClasses({ onChoose, onEmptyKey }) {
  choose = onChoose;
  buttons = state.campaign.classes.map((name, index) => button(name, CLASS_KEYS[index]));
  byId("classes").replaceChildren(...buttons);
  const filter = byId("filter");
  byId("filter-row").hidden = buttons.length < FILTER_FROM;
  filter.placeholder = `Find one of ${buttons.length} classes`;
  filter.addEventListener("input", match);
  filter.addEventListener("keydown", (event) => typed(event, filter, onEmptyKey));
}

function button(name, key) {
  const take = () => choose(name);
  const inside = [key ? kbd(key) : "", make("span", { class: "name" }, name)];
  const element = make("button", { type: "button", class: "class", onclick: take, title: name, "aria-keyshortcuts": key }, inside);
  element.dataset.name = name;
  return element;
}

/** Marks the button of the suggested class; null marks none. */
export function mark(name) {
  for (const element of buttons) element.classList.toggle("suggested", element.dataset.name === name);
}

/** Highlights a button for a moment, as feedback for its key. */
export function flash(name) {
  const element = buttons.find(({ dataset }) => dataset.name === name);
  if (element === undefined) return;
  element.classList.remove("flash");
  void element.offsetWidth; // starts the animation anew
  element.classList.add("flash");
}

/** Moves the focus to the box, if it is shown. */
export function focusFilter() {
  const filter = byId("filter");
  if (!byId("filter-row").hidden) filter.focus();
}

function typed(event, filter, onEmptyKey) {
  const { key } = event;
  const found = buttons.filter((element) => !element.hidden);
  if (key === "Escape") {
    if (filter.value === "") filter.blur();
    reset(filter);
  } else if (key === "Enter" && filter.value !== "") {
    if (found.length > 0) choose(found[0].dataset.name);
    reset(filter);
  } else if ((key === "Enter" || key === "Backspace") && filter.value === "" && !event.repeat) {
    onEmptyKey(key);
  } else return;
  event.preventDefault();
}

function reset(filter) {
  filter.value = "";
  match();
}

/** Shows the classes whose names contain the typed letters: matches at the start come first, then at a word's start. */
function match() {
  const wanted = fold(byId("filter").value);
  const ranked = buttons.map((element, index) => ({ element, index, rank: rank(fold(element.dataset.name), wanted) }));
  ranked.sort((one, other) => one.rank - other.rank || one.index - other.index);
  for (const { element, rank: place } of ranked) element.hidden = place === Infinity;
  byId("classes").append(...ranked.map(({ element }) => element));
  const found = ranked.filter((one) => one.rank < Infinity);
  for (const { element } of ranked) element.classList.toggle("first", wanted !== "" && element === found[0]?.element);
  byId("matches").textContent = wanted === "" ? "" : found.length === 0 ? "No class matches" : `${count(found.length, "match").replace("matchs", "matches")} · Enter chooses ${found[0].element.dataset.name}`;
}

function rank(name, wanted) {
  if (name.startsWith(wanted)) return 0;
  const place = name.indexOf(wanted);
  if (place < 0) return Infinity;
  return /[\s_\-./]/.test(name[place - 1]) ? 1 : 2;
}

const fold = (text) => text.trim().toLowerCase().normalize("NFD").replace(/\p{M}/gu, "");
