/** Conflicts: images about which two annotators disagree; a manager's answer decides. */

import * as api from "./api.js";
import { byId, count } from "./dom.js";
import { Gallery } from "./gallery.js";
import { say } from "./say.js";
import { on, state } from "./state.js";

export let gallery = null;
let picks = [];

/** Builds the view, once. */
export function build() {
  gallery = new Gallery(byId("conflict-tiles"), { describe, onChange: bar });
  on(["view"], () => state.view === "conflicts" && void read());
  on(["recent", "unsent", "moment"], () => state.view === "conflicts" && show());
  on(["status", "view"], tab);
}

/** Shows the tab while there is something to decide. */
function tab() {
  const number = state.status?.conflicts ?? 0;
  const button = byId("conflicts-tab");
  button.hidden = number === 0 && state.view !== "conflicts";
  button.textContent = number === 0 ? "Conflicts" : `Conflicts (${number})`;
}

async function read() {
  try {
    const found = await api.getConflicts();
    picks = found.map((one) => ({ ...one, answer: "conflict", class_name: null }));
    show();
  } catch (error) {
    say(error.message);
  }
}

function show() {
  gallery.show(picks.filter(({ answer }) => answer === "conflict"));
  byId("conflict-empty").hidden = gallery.picks.length > 0;
}

const words = ({ author, class_name: name }) => `${author}: ${name ?? "unsure"}`;

function describe({ first, second }) {
  return { caption: words(first), note: words(second), tone: "both" };
}

function bar() {
  const chosen = gallery.selected.size;
  byId("conflict-count").textContent = chosen > 0 ? `${chosen} selected` : count(gallery.picks.length, "conflict");
}

/** A conflict has no suggestion to accept. */
export const confirm = () => say("Choose a class to decide");
