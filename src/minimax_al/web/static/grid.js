/** Grid of all leased images: one answer applies to all selected ones. */

import { mark } from "./classes.js";
import { byId, count, make } from "./dom.js";
import { Gallery } from "./gallery.js";
import { say } from "./say.js";
import { on, state } from "./state.js";
import { answer } from "./work.js";

const OFFERED = 8; // most suggestions with a button that selects their images

export let gallery = null;

/** Builds the view, once. */
export function build() {
  gallery = new Gallery(byId("grid-tiles"), { describe, onChange: bar });
  byId("grid-all").addEventListener("click", () => gallery.selectAll());
  byId("grid-none").addEventListener("click", () => gallery.select([]));
  byId("grid-confirm").addEventListener("click", confirm);
  on(["queue", "view", "suggestions"], () => state.view === "grid" && gallery.show(state.queue));
}

function describe({ suggestion, confidence }) {
  if (!state.suggestions || suggestion === null) return { caption: "" };
  return { caption: suggestion, note: confidence === null ? "" : `${Math.round(100 * confidence)} %` };
}

/** Gives every selected image the class that the model suggests for it. */
export function confirm() {
  const picks = gallery.targets().filter(({ suggestion }) => suggestion !== null);
  if (!state.suggestions) say("Suggestions are hidden; press h to show them");
  else if (picks.length === 0) say("The model has no suggestion for the selected images");
  else for (const [name, group] of bySuggestion(picks)) answer("label", group, name);
}

function bySuggestion(picks) {
  const groups = new Map();
  for (const pick of picks) groups.set(pick.suggestion, [...(groups.get(pick.suggestion) ?? []), pick]);
  return [...groups].sort(([, one], [, other]) => other.length - one.length);
}

function bar() {
  const chosen = gallery.selected.size;
  byId("grid-count").textContent = chosen === 0 ? `${count(state.queue.length, "image")}` : `${chosen} selected`;
  byId("grid-none").disabled = chosen === 0;
  byId("grid-confirm").hidden = !state.suggestions || !gallery.targets().some(({ suggestion }) => suggestion !== null);
  const [only, ...more] = gallery.targets();
  if (state.view === "grid") mark(state.suggestions && only && more.length === 0 ? only.suggestion : null);
  const groups = state.suggestions ? bySuggestion(state.queue.filter(({ suggestion }) => suggestion !== null)) : [];
  byId("grid-groups").replaceChildren(...groups.slice(0, OFFERED).map(([name, group]) => chip(name, group)));
}

function chip(name, group) {
  const pick = () => gallery.select(group.map(({ item }) => item));
  const label = `Select the ${count(group.length, "image")} with the suggestion ${name}`;
  return make("button", { type: "button", class: "chip", onclick: pick, "aria-label": label, title: label }, name, make("b", {}, String(group.length)));
}
