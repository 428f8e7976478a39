/** Review: all labels of the campaign, imported ones too, where each can be changed; suspected mistakes come first. */

import { labelUrl } from "./api.js";
import { mark } from "./classes.js";
import { byId, count, fileName, make } from "./dom.js";
import { Gallery } from "./gallery.js";
import { Pager } from "./pager.js";
import { open } from "./opened.js";
import { getLabels } from "./poolapi.js";
import { say } from "./say.js";
import { on, state } from "./state.js";
import * as tileSize from "./tilesize.js";
import { answer } from "./work.js";

const PAGE = 100; // images per request
const PAUSE = 250; // milliseconds after the last letter before a search starts
const ORIGINS = { page: "labelled here", bulk: "confirmed in bulk", import: "imported", "label-studio": "Label Studio", program: "Python API", unknown: "not recorded" };
const CONFIDENCES = [["", "Any confidence"], ["0-0.5", "Model below 50 %"], ["0.5-0.8", "Model 50 to 80 %"], ["0.8-0.95", "Model 80 to 95 %"], ["0.95-1", "Model above 95 %"]];
const SELECTS = ["review-class", "review-author", "review-origin", "review-round", "review-opinion", "review-confidence", "review-order"];

export let gallery = null;
let pager = null;
let picks = [];
let counts = null;
let run = null;
let asked = 0;
let timer = null;

/** Builds the view, once. */
export function build() {
  gallery = new Gallery(byId("review-tiles"), { describe, onChange: bar });
  pager = new Pager(byId("review-pager"), PAGE, () => void read());
  options("review-class", [["", "All classes"], ...state.campaign.classes.map((name) => [name, name])]);
  options("review-confidence", CONFIDENCES);
  for (const id of SELECTS) byId(id).addEventListener("change", again);
  byId("review-answers").addEventListener("change", again);
  byId("review-search").addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(again, PAUSE);
  });
  byId("review-open")?.addEventListener("click", confirm);
  tileSize.addTo(byId("review-bar"));
  on(["view"], () => state.view === "review" && again());
  on(["moment", "recent", "unsent", "suggestions"], () => state.view === "review" && show());
  on(["saves"], () => state.view === "review" && void recount());
}

function options(id, entries) {
  const select = byId(id);
  const chosen = select.value;
  select.replaceChildren(...entries.map(([value, words]) => make("option", { value }, words)));
  if (entries.some(([value]) => value === chosen)) select.value = chosen;
}

function again() {
  clearTimeout(timer);
  pager.restart();
  byId("review-scroll").scrollTop = 0;
  void read();
}

const wantedKind = () => document.querySelector("#review-answers input:checked").value;
const valueOf = (id) => byId(id).value;
const ownOnly = () => state.campaign.role === "annotator";

function conditions() {
  const kind = wantedKind();
  const [low, high] = valueOf("review-confidence").split("-");
  const label = kind === "label";
  return {
    kind, low, high, search: valueOf("review-search").trim(), author: ownOnly() ? state.author : valueOf("review-author"), origin: valueOf("review-origin"),
    round: valueOf("review-round"), order: valueOf("review-order"), class_name: label ? valueOf("review-class") : "", opinion: label ? valueOf("review-opinion") : "",
  };
}

/** Reads the page of answers that match the filters. */
async function read() {
  const turn = (asked += 1);
  const kind = wantedKind();
  for (const id of ["review-class", "review-opinion"]) byId(id).disabled = kind !== "label";
  try {
    const page = await getLabels({ ...conditions(), offset: pager.offset, limit: PAGE });
    if (turn !== asked) return;
    ({ images: picks, counts, run } = page);
    pager.show(page.total);
    filters();
    show();
  } catch (error) {
    say(error.message);
  }
}

/** Reads the numbers anew after an answer; the images stay where they are. */
async function recount() {
  const turn = asked;
  const page = await getLabels({ ...conditions(), limit: 1 }).catch(() => null);
  if (page === null || turn !== asked) return;
  counts = page.counts;
  filters();
  bar();
}

function filters() {
  const number = (value) => value.toLocaleString("en");
  const listed = (entries, names = {}) => Object.entries(entries).map(([value, n]) => [value, `${names[value] ?? value} (${number(n)})`]);
  options("review-author", [["", "Everybody"], ...listed(counts.authors)]);
  options("review-origin", [["", "All sources"], ...listed(counts.origins, ORIGINS)]);
  options("review-class", [["", "All classes"], ...listed(counts.classes)]);
  const latest = state.status?.round?.number ?? 0;
  options("review-round", [["", "All rounds"], ...Array.from({ length: latest }, (_, index) => [String(latest - index), `Round ${latest - index}`])]);
  options("review-opinion", [["any", "Any opinion of the model"], ["suspected", `Suspected mistakes (${number(counts.suspected)})`], ["differs", `Model differs (${number(counts.differing)})`], ["agrees", `Model agrees (${number(counts.judged - counts.differing)})`]]);
  for (const [kind, n] of Object.entries(counts.kinds)) byId(`review-kind-${kind}`).textContent = number(n);
  byId("review-author").hidden = ownOnly();
  for (const id of ["review-opinion", "review-confidence"]) byId(id).closest("label").hidden = state.campaign.task !== "classification";
  byId("review-opinion").closest("label").hidden ||= run === null;
  byId("review-confidence").closest("label").hidden ||= run === null;
}

const differs = ({ suggestion, class_name: name }) => suggestion !== null && name !== null && suggestion !== name;

function show() {
  gallery.show(picks);
  byId("review-empty").hidden = picks.length > 0;
  const none = counts !== null && Object.values(counts.kinds).every((n) => n === 0);
  byId("review-empty").textContent = none ? "No answer yet: all labels are listed here, imported ones too, and can be changed." : "No answer satisfies these filters.";
}

function describe(pick) {
  const said = { label: pick.class_name ?? fileName(pick.path), skip: "skipped", unsure: "unsure", waiting: "waits again", none: "no label" }[pick.answer];
  const pending = state.unsent.some(({ items }) => items.includes(pick.item));
  const contradicts = state.suggestions && differs(pick);
  const model = contradicts ? `${pick.suspected ? "suspected: " : "model: "}${pick.suggestion} ${Math.round(100 * pick.confidence)}\u00a0%` : "";
  const source = [pick.author, ORIGINS[pick.origin]].filter(Boolean).join(" · ");
  const overlay = state.campaign.task === "segmentation" && pick.answer === "label" ? labelUrl(pick.item, state.author, pick.masked ?? pick.at, onlyClass()) : undefined;
  return { caption: said, overlay, note: pending ? "not saved yet" : model || source, tone: pending ? "pending" : contradicts ? "differs" : pick.answer };
}

/** The number of the class that the list is filtered by: of masks, only its pixels are shown. */
function onlyClass() {
  const number = state.campaign.classes.indexOf(valueOf("review-class"));
  return number < 0 ? "" : number;
}

function bar() {
  const chosen = gallery.selected.size;
  byId("review-count").textContent = chosen > 0 ? `${chosen} selected` : count(pager.total, "answer");
  const [only, ...more] = gallery.targets();
  if (state.campaign.task === "segmentation") byId("review-open").disabled = gallery.focused === undefined;
  else if (state.view === "review") mark(only && more.length === 0 ? only.class_name : null);
}

/** Gives the images the class that the model suggests; a mask is opened on the drawing surface. */
export function confirm() {
  if (state.campaign.task === "segmentation") {
    openMask();
    return;
  }
  const chosen = gallery.targets().filter(differs);
  if (chosen.length === 0) say("The model suggests no other class for these images");
  for (const pick of chosen) answer("label", [pick], pick.suggestion, chosen.length > 1 ? { origin: "bulk" } : {});
}

function openMask() {
  if (gallery.focused === undefined) say("No image is listed");
  else open(gallery.focused);
}
