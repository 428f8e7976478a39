/** Classes on the digits where there are more classes than digits: the likeliest for the image, then recent ones. */

import { getLikeliest } from "./api.js";
import { byId, make, percent } from "./dom.js";
import { DIGITS } from "./keys.js";
import { on, recall, remember, state } from "./state.js";

const LIKELY = 5; // digits for the likeliest classes; the others are for recent ones
const ASKED = 40; // images per request

const known = new Map(); // item → [{ class_name, probability }], of the model `run`
let run = null;
let asking = false;
let draw = null; // makes a button; null where every class has a digit
let slots = []; // class on each digit; undefined for none
let recent = []; // class in each slot of the recent ones: a class keeps its slot while it is recent
let uses = []; // recent classes, the last used first

/** Builds the row of shortcuts. `makeButton(name, key)`: a button of a class. */
export function build(makeButton) {
  const first = draw === null;
  draw = makeButton;
  uses = JSON.parse(recall(storage()) ?? "[]").filter((name) => state.campaign.classes.includes(name));
  recent = [...uses];
  byId("shortcuts").hidden = false;
  known.clear();
  show();
  if (!first) return;
  on(["queue", "at", "view", "suggestions", "status"], () => {
    if (byId("shortcuts").hidden) return;
    show();
    void ask();
  });
}

/** Removes the row: every class has a digit. */
export function hide() {
  byId("shortcuts").hidden = true;
}

const storage = () => `recent/${state.campaign.id}`;

/** The class on a digit, by its position; undefined without one. */
export const at = (index) => slots[index];

/** Records that a class was chosen: it is among the recent ones from now on. */
export function used(name) {
  if (draw === null || byId("shortcuts").hidden) return;
  const most = DIGITS.length - LIKELY;
  uses = [name, ...uses.filter((other) => other !== name)].slice(0, most);
  const oldest = recent.findIndex((other) => !uses.includes(other));
  if (!recent.includes(name)) {
    if (recent.length < most) recent.push(name);
    else recent[oldest] = name;
  }
  remember(storage(), JSON.stringify(uses));
  show();
}

function show() {
  const pick = state.queue.find((one) => one.item === state.at);
  const likely = state.view === "single" && state.suggestions && pick ? guesses(pick) : [];
  const shares = new Map(likely.map(({ class_name: name, probability }) => [name, probability]));
  slots = Array.from({ length: DIGITS.length }, (_, index) => (index < LIKELY ? likely[index]?.class_name : recent[index - LIKELY]));
  const row = () => slots.map((name, index) => name !== undefined && button(name, DIGITS[index], shares.get(name), index)).filter(Boolean);
  byId("large-classes").replaceChildren(...row());
  byId("shortcuts").replaceChildren(...(slots.some(Boolean) ? row() : [make("p", { class: "quiet" }, "Classes that the model suggests and classes that you used get the keys 1 to 0.")]));
}

function button(name, key, share, index) {
  const element = draw(name, key);
  element.classList.toggle("likely", index < LIKELY);
  if (index < LIKELY && share !== undefined) element.append(make("span", { class: "says" }, percent(share, 0)));
  return element;
}

/** The likeliest classes of an image: all that are known, else the suggestion alone. */
function guesses({ item, suggestion, confidence }) {
  const found = known.get(item) ?? [];
  if (suggestion === null || found[0]?.class_name === suggestion) return found;
  return [{ class_name: suggestion, probability: confidence ?? undefined }, ...found.filter(({ class_name: name }) => name !== suggestion)].slice(0, LIKELY);
}

async function ask() {
  const model = state.status?.model?.run ?? null;
  if (model !== run) {
    run = model;
    known.clear();
  }
  const missing = state.queue.map(({ item }) => item).filter((item) => !known.has(item)).slice(0, ASKED);
  if (asking || run === null || missing.length === 0) return;
  asking = true;
  try {
    const found = await getLikeliest(missing);
    for (const one of missing) known.set(one, []);
    for (const { item, classes } of found) known.set(item, classes);
    show();
  } catch {
    // The suggestion alone is on its key until the next change.
  } finally {
    asking = false;
  }
}
