/** Conflicts: images about which two annotators disagree; a manager's answer decides. */

import * as api from "./api.js";
import { byId, count } from "./dom.js";
import { Gallery } from "./gallery.js";
import { open } from "./opened.js";
import { say } from "./say.js";
import { on, state } from "./state.js";
import { adoptMask } from "./work.js";

export let gallery = null;
let picks = [];
const SIDES = ["first", "second"];
const masks = () => state.campaign.task === "segmentation";

/** Builds the view, once. */
export function build() {
  gallery = new Gallery(byId("conflict-tiles"), { describe, onChange: bar });
  byId("conflict-tiles").classList.toggle("wide", masks());
  byId("conflict-open")?.addEventListener("click", confirm);
  for (const [place, side] of SIDES.entries()) byId(`conflict-${side}`)?.addEventListener("click", () => take(place));
  on(["view", "conflicts"], () => state.view === "conflicts" && void read());
  on(["recent", "unsent", "moment", "opened"], () => state.view === "conflicts" && show());
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
    picks = found.map((one) => ({ ...one, answer: "conflict", class_name: null, suggestion: null }));
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

function describe({ item, path, first, second, agreement }) {
  if (agreement === null) return { caption: words(first), note: words(second), tone: "both" };
  const frames = [...SIDES.map((side, place) => [side, [first, second][place].author]), ["difference", "differences"]];
  return {
    caption: path,
    note: `differ on ${percentOf(1 - agreement)} of the drawn pixels`,
    tone: "both",
    frames: frames.map(([layer, title]) => ({ overlay: api.opinionUrl(item, layer), title })),
  };
}

/** At least 1 %: a conflict is never shown as 0 %. */
const percentOf = (share) => `${Math.max(1, Math.round(100 * share))}\u00a0%`;

function bar() {
  const chosen = gallery.selected.size;
  byId("conflict-count").textContent = chosen > 0 ? `${chosen} selected` : count(gallery.picks.length, "conflict");
  if (!masks()) return;
  const targets = gallery.targets();
  byId("conflict-open").disabled = gallery.focused === undefined;
  for (const side of SIDES) {
    const authors = new Set(targets.map((pick) => pick[side].author));
    byId(`conflict-${side}`).disabled = targets.length === 0;
    byId(`conflict-${side}-words`).textContent = authors.size === 1 ? `Take ${[...authors][0]}'s` : `Take the ${side}`;
  }
}

/** Decides by the first (0) or the second (1) mask of the images. */
export function take(place) {
  const side = SIDES[place];
  if (side === undefined) return;
  for (const pick of gallery.targets()) adoptMask(pick, side);
}

/** A conflict has no suggestion to accept; the masks of the image with the focus are opened on the drawing surface. */
export function confirm() {
  if (!masks()) say("Choose a class to decide");
  else if (gallery.focused !== undefined) open(gallery.focused);
}
