/** The classes to press: a button each, with its key; a box to find one by name where there are many. */

import { byId, count, kbd, make } from "./dom.js";
import { CLASS_KEYS } from "./keys.js";
import { state } from "./state.js";

const FILTER_FROM = 11; // with so many classes there is a box to find one

let choose = () => undefined;
let buttons = [];

/** Draws the buttons. `onChoose(className)`: one is taken. `onEmptyKey(key)`: Enter or Backspace in the empty box. */
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

/** Marks what the model suggests, or nothing. */
export function mark(name) {
  for (const element of buttons) element.classList.toggle("suggested", element.dataset.name === name);
}

/** Presses a button for a moment, so that a key is seen to have worked. */
export function flash(name) {
  const element = buttons.find(({ dataset }) => dataset.name === name);
  if (element === undefined) return;
  element.classList.remove("flash");
  void element.offsetWidth; // starts the animation anew
  element.classList.add("flash");
}

/** Puts the cursor into the box, where there is one. */
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

/** Shows the classes whose name has the letters typed: at its start first, then at a word's start, then anywhere. */
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
