/** The side panel: progress of the round, recent answers, the model, the advice, the classes. */

import { thumbnailUrl } from "./api.js";
import { drawCurve } from "./curve.js";
import { byId, clock, count, make, percent } from "./dom.js";
import { on, state } from "./state.js";
import { describe, isLatest, undo } from "./work.js";

const SHOWN = 5; // recent actions
const FEWEST = 10; // images of which a score is shown
const METRICS = { accuracy: "accuracy", miou: "mIoU" };
const DECISIONS = { "go on": ["Continue", "good"], stop: ["You can stop", "stop"], "too early": ["Too early to tell", "quiet"] };

/** Updates the panel after every change of the state. */
export function build() {
  on(["status", "lease", "unsent", "queue"], progress);
  on(["recent", "unsent"], recent);
  on(["status"], () => {
    model();
    classes();
    notes();
  });
}

/** Number of images of the round that wait; an image whose answer is being sent counts as answered. */
export function waiting() {
  const round = state.status?.round;
  if (!round) return 0;
  return Math.max(0, round.waiting - state.unsent.reduce((sum, entry) => sum + (entry.waiting ?? 0), 0));
}

function progress() {
  const round = state.status?.round ?? null;
  byId("round").hidden = round === null;
  if (round === null) return;
  const done = round.picks - waiting();
  byId("round-title").textContent = `Round ${round.number}`;
  byId("round-strategy").textContent = round.strategy === "random" ? "random sample" : `strategy ${round.strategy}`;
  byId("round-bar").max = round.picks;
  byId("round-bar").value = done;
  byId("round-done").textContent = `${done.toLocaleString("en")} of ${count(round.picks, "image")} answered`;
  if (!state.campaign.live) byId("top-done").textContent = `${done} / ${round.picks}`;
  byId("round-others").textContent = round.is_open ? others() : round.waiting > 0 ? "This round is closed." : "This round is done.";
}

function others() {
  const { with_others: number, next_free_at: free, lent } = state.lease ?? {};
  const people = number ? `${count(number, "image")} reserved for other annotators${free ? `, until ${clock(free)} or later` : ""}.` : "";
  return [people, lent ? `${count(lent, "image")} in Label Studio.` : ""].filter(Boolean).join(" ");
}

function recent() {
  byId("recent").hidden = state.recent.length === 0;
  byId("recent-list").replaceChildren(...state.recent.slice(0, SHOWN).map(row));
}

const images = new WeakMap(); // action → its thumbnail, kept while the list is drawn anew

function thumbnail(action) {
  const image = images.get(action) ?? make("img", { src: thumbnailUrl(action.before[0].pick.item), alt: "", width: 32, height: 32 });
  images.set(action, image);
  return image;
}

function row(action) {
  const words = describe(action);
  const refused = action.entries.some((entry) => entry.refused !== null && state.unsent.includes(entry));
  const stage = refused ? "refused" : action.saved ? "saved" : "not saved yet";
  const again = make("button", { type: "button", class: "link", onclick: () => undo(action), "aria-label": `Undo: ${words}` }, "Undo");
  return make(
    "li", { "data-stage": stage },
    thumbnail(action),
    make("span", { class: "name" }, words),
    isLatest(action) && again,
    make("span", { class: "stage-word" }, stage),
  );
}

const hasFigure = ({ score, interval, measured_on: measured }) => score !== null && interval !== null && measured >= FEWEST;

function measuredOn(trained) {
  const { score, interval, held_out: held, measured_on: measured } = trained;
  if (score === null && measured !== 0) return "no labels are held out";
  if (!hasFigure(trained)) return `measured on ${measured} of the ${FEWEST} labels that a figure needs`;
  const range = `${percent(interval[0], 0)} to ${percent(interval[1], 0)} `;
  return held > 0 ? `${range}on ${count(held, "held-out label")}` : `${range}by cross-validation over ${count(measured, "label")}`;
}

function model() {
  const { model: trained, curve, advice } = state.status;
  byId("model-none").hidden = trained !== null;
  byId("score").hidden = trained === null;
  const sure = curve.filter(({ low }) => low !== null && trained?.measured_on >= FEWEST); // a score without an interval tells too little
  byId("curve").replaceChildren(...(sure.length > 0 ? [drawCurve(sure, advice)] : []));
  const [words, tone] = DECISIONS[advice.decision];
  byId("advice-word").textContent = words;
  byId("advice-word").dataset.tone = tone;
  byId("advice-reason").textContent = advice.reason;
  if (trained === null) return;
  byId("score-number").textContent = hasFigure(trained) ? percent(trained.score) : "No figure yet";
  byId("score-words").textContent = `${METRICS[trained.metric]}, ${measuredOn(trained)}`;
  const facts = [`Trained on ${count(trained.labels, "label")}`];
  const { random_accuracy: fair, random_count: drawn } = trained.metrics;
  if (drawn > 0) facts.push(`${percent(fair, 0)} on the ${count(drawn, "label")} of the random sample`);
  if (trained.labels_since > 0) facts.push(`${count(trained.labels_since, "new label")} since then`);
  if (trained.agreement !== null) facts.push(`agrees with the previous model on ${percent(trained.agreement, 0)}`);
  byId("model-facts").textContent = `${facts.join("; ")}.`;
}

function classes() {
  const { labelled, unlabelled, unsure, held_out: held, confirmed } = state.status;
  byId("totals").textContent = `${count(labelled, "image")} labelled${held > 0 ? ` (${held} held out to measure the model)` : ""}, ${unsure} unsure, ${unlabelled.toLocaleString("en")} without an answer.${confirmed > 0 ? ` ${count(confirmed, "label")} ${confirmed === 1 ? "is a suggestion" : "are suggestions"} confirmed in bulk, on which no model is measured.` : ""}`;
  const counts = [...state.status.classes];
  byId("class-bars").hidden = counts.length === 0;
  byId("class-key").hidden = held === 0; // on features no label is held out
  const most = Math.max(1, ...counts.map(({ labels }) => labels));
  const many = counts.length > 12;
  if (many) counts.sort((one, other) => other.labels - one.labels);
  byId("class-list").replaceChildren(...counts.map((one) => bar(one, most)));
}

function bar({ name, labels, held_out: held }, most) {
  const train = make("i", { class: "bar-train" });
  const kept = make("i", { class: "bar-held" });
  train.style.width = `${(100 * (labels - held)) / most}%`;
  kept.style.width = `${(100 * held) / most}%`;
  const title = `${name}: ${count(labels, "label")}${held > 0 ? `, ${held} of them held out` : ""}`;
  return make("li", { title }, make("span", { class: "name" }, name), make("span", { class: "bar", "aria-hidden": "true" }, train, kept), make("span", { class: "number" }, String(labels)));
}

function notes() {
  const { notes: said, set_aside: aside } = state.status;
  byId("notes").hidden = said.length === 0 && aside.length === 0;
  byId("notes-list").replaceChildren(...said.map((note) => make("li", {}, note)));
  byId("aside").hidden = aside.length === 0;
  byId("aside-title").textContent = `${count(aside.length, "file")} set aside`;
  byId("aside-list").replaceChildren(...aside.slice(0, 100).map(([path, reason]) => make("li", {}, make("b", {}, path), ` ${reason}`)));
}
