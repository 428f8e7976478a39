/** Review of the answers of a round, where each can be changed. */

import { getPicks, viewUrl } from "./api.js";
import { mark } from "./classes.js";
import { byId, count, make } from "./dom.js";
import { Gallery } from "./gallery.js";
import { say } from "./say.js";
import { on, state } from "./state.js";
import { answer } from "./work.js";

const PAGE = 100; // images per request

export let gallery = null;
let picks = [];
let total = 0;
let asked = 0;

/** Builds the view, once. */
export function build() {
  gallery = new Gallery(byId("review-tiles"), { describe, onChange: bar });
  byId("review-class").append(...state.campaign.classes.map((name) => make("option", { value: name }, name)));
  for (const id of ["review-round", "review-class"]) byId(id).addEventListener("change", () => read());
  byId("review-answers").addEventListener("change", () => read());
  byId("review-differs").addEventListener("change", show);
  byId("review-more").addEventListener("click", () => read(picks.length));
  on(["view"], () => state.view === "review" && enter());
  on(["moment", "recent", "unsent", "suggestions"], () => state.view === "review" && show());
}

function enter() {
  const latest = state.status?.round?.number ?? 0;
  const rounds = Array.from({ length: latest }, (_, index) => latest - index);
  const chosen = byId("review-round").value;
  byId("review-round").replaceChildren(...rounds.map((number) => make("option", { value: number }, `Round ${number}`)));
  if (chosen && rounds.includes(Number(chosen))) byId("review-round").value = chosen;
  void read();
}

const wantedAnswer = () => document.querySelector("#review-answers input:checked").value;

/** Reads the images that match the filters, from `offset` on. */
async function read(offset = 0) {
  const turn = (asked += 1);
  const kind = wantedAnswer();
  byId("review-class").disabled = kind !== "label";
  const wanted = { round: byId("review-round").value, answer: kind, offset, limit: PAGE, author: state.campaign.role === "annotator" ? state.author : "", class_name: kind === "label" ? byId("review-class").value : "" };
  try {
    const page = byId("review-round").value === "" ? { picks: [], total: 0 } : await getPicks(wanted);
    if (turn !== asked) return;
    picks = offset === 0 ? page.picks : [...picks, ...page.picks];
    total = page.total;
    show();
  } catch (error) {
    say(error.message);
  }
}

const differs = ({ suggestion, class_name: name }) => suggestion !== null && name !== null && suggestion !== name;

function show() {
  const only = byId("review-differs").checked;
  const shown = only ? picks.filter(differs) : picks;
  gallery.show(shown);
  byId("review-differs-row").hidden = !picks.some(({ suggestion }) => suggestion !== null);
  byId("review-empty").hidden = shown.length > 0;
  byId("review-empty").textContent = only && picks.length > 0
    ? "Every answer here agrees with the model's suggestion."
    : "No answer yet: the answers of this round are listed here and can be changed.";
  byId("review-more").hidden = picks.length >= total;
}

function describe(pick) {
  const said = { label: pick.class_name ?? "mask", skip: "skipped", unsure: "unsure", waiting: "waits again" }[pick.answer];
  const pending = state.unsent.some(({ items }) => items.includes(pick.item));
  const model = state.suggestions && differs(pick) ? `model: ${pick.suggestion}` : "";
  const overlay = state.campaign.task === "segmentation" && pick.answer === "label" ? `${viewUrl(pick.item, "label")}?${pick.masked ?? ""}` : undefined;
  return { caption: said, overlay, note: pending ? "not saved yet" : model, tone: pending ? "pending" : model ? "differs" : pick.answer };
}

function bar() {
  const chosen = gallery.selected.size;
  byId("review-count").textContent = chosen > 0 ? `${chosen} selected` : count(total, "image");
  const [only, ...more] = gallery.targets();
  if (state.view === "review") mark(only && more.length === 0 ? only.class_name : null);
}

/** Gives the images the class that the model suggested. */
export function confirm() {
  const chosen = gallery.targets().filter(differs);
  if (chosen.length === 0) say("The model suggests no other class for these images");
  for (const pick of chosen) answer("label", [pick], pick.suggestion);
}
