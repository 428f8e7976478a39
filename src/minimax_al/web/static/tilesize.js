/** Size of the tiles of all galleries, and the switches for it. */

import { make } from "./dom.js";
import { recall, remember } from "./state.js";

const SIZES = [["small", "S", "6rem"], ["medium", "M", "9.5rem"], ["large", "L", "15rem"]];

const switches = [];
let chosen = null;

/** Adds a switch for the size to a toolbar. */
export function addTo(toolbar) {
  chosen ??= SIZES.find(([name]) => name === recall("tiles")) ?? null;
  const buttons = SIZES.map((size) => {
    const [name, letter] = size;
    return make("button", { type: "button", title: `${name[0].toUpperCase()}${name.slice(1)} tiles`, "data-size": name, onclick: () => choose(size) }, make("span", { class: "sr" }, `${name} tiles`), make("span", { "aria-hidden": "true" }, letter));
  });
  const group = make("div", { class: "segments sizes", role: "group", "aria-label": "Size of the tiles" }, buttons);
  switches.push(group);
  toolbar.append(group);
  paint();
}

function choose(size) {
  chosen = size;
  remember("tiles", size[0]);
  paint();
}

function paint() {
  if (chosen === null) document.documentElement.style.removeProperty("--tile");
  else document.documentElement.style.setProperty("--tile", chosen[2]);
  for (const group of switches) for (const button of group.children) button.setAttribute("aria-pressed", String(button.dataset.size === (chosen?.[0] ?? "medium")));
}
