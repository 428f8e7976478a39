/** Buttons of the classes, with their keys; with many classes also likely and recent ones, and a box to find one by name. */

import { byId, kbd, make } from "./dom.js";
import { CLASS_KEYS, DIGITS } from "./keys.js";
import { fold, rank } from "./matching.js";
import * as shortcuts from "./shortcuts.js";
import { state } from "./state.js";

let choose = () => undefined;
let buttons = [];
let matching = []; // buttons of the classes that match the typed letters, best first
let active = 0; // position among them

const many = () => state.campaign.classes.length > DIGITS.length;

/** Draws the buttons. `onChoose(className)`: a class was chosen. `onEmptyKey(key)`: Enter or Backspace in the empty box. */
export function showClasses({ onChoose, onEmptyKey }) {
  choose = onChoose;
  // With many classes the digits belong to the likely and the recent ones.
  const keys = many() ? CLASS_KEYS.slice(DIGITS.length) : CLASS_KEYS;
  buttons = state.campaign.classes.map((name, index) => button(name, keys[index]));
  byId("classes").replaceChildren(...buttons);
  const longest = Math.max(...state.campaign.classes.map((name) => name.length));
  byId("answers").style.setProperty("--class-width", `${Math.min(15, Math.max(7.5, 3.2 + 0.48 * longest))}rem`);
  matching = buttons;
  byId("filter-row").hidden = !many();
  const filter = byId("filter");
  filter.placeholder = `Find one of ${buttons.length} classes`;
  filter.oninput = match; // the classes may be drawn anew
  filter.onkeydown = (event) => typed(event, filter, onEmptyKey);
  if (many()) shortcuts.build(button);
  else shortcuts.hide();
  if (!many()) byId("large-classes").replaceChildren(...state.campaign.classes.map((name, index) => button(name, keys[index])));
}

/** The class that a key stands for, by the position of the key; undefined without one. */
export function classOf(index) {
  if (!many()) return state.campaign.classes[index];
  return index < DIGITS.length ? shortcuts.at(index) : state.campaign.classes[index - DIGITS.length];
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
  shortcuts.used(name);
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
  if (key === "Escape") {
    if (filter.value === "") filter.blur();
    reset(filter);
  } else if ((key === "ArrowDown" || key === "ArrowUp") && filter.value !== "") {
    step(key === "ArrowDown" ? 1 : -1);
  } else if (key === "Enter" && filter.value !== "") {
    if (matching.length > 0) choose(matching[active].dataset.name);
    reset(filter);
  } else if ((key === "Enter" || key === "Backspace") && filter.value === "" && !event.repeat) {
    onEmptyKey(key);
  } else return;
  event.preventDefault();
}

function step(by) {
  if (matching.length === 0) return;
  active = (active + by + matching.length) % matching.length;
  paint(true);
}

function reset(filter) {
  filter.value = "";
  match();
}

/** Shows the classes whose names contain the typed letters: matches at the start come first, then at a word's start. */
function match() {
  const list = byId("classes");
  const wanted = fold(byId("filter").value);
  // The list keeps its height while one types, so that the image above keeps its size.
  list.style.minHeight = wanted === "" ? "" : list.style.minHeight || `${list.getBoundingClientRect().height}px`;
  const ranked = buttons.map((element, index) => ({ element, index, rank: rank(fold(element.dataset.name), wanted) }));
  ranked.sort((one, other) => one.rank - other.rank || one.index - other.index);
  for (const { element, rank: place } of ranked) element.hidden = place === Infinity;
  list.append(...ranked.map(({ element }) => element));
  matching = ranked.filter((one) => one.rank < Infinity).map(({ element }) => element);
  active = 0;
  paint(wanted !== "");
}

function paint(isTyping) {
  for (const element of buttons) element.classList.toggle("first", isTyping && element === matching[active]);
  if (isTyping) matching[active]?.scrollIntoView({ block: "nearest" });
  const total = matching.length;
  byId("matches").textContent = !isTyping ? "" : total === 0 ? "No class matches" : `${active + 1} of ${total} · ${matching[active].dataset.name} · ↑ ↓ for others, Enter chooses`;
}
