/** Live labelling: what the learner has published reaches the page while its annotator answers. */

import * as api from "./api.js";
import { byId, count, percent } from "./dom.js";
import * as holding from "./holding.js";
import { readStatus } from "./jobs.js";
import { on, state, update } from "./state.js";

const PAUSE = { busy: 500, quiet: 3_000 }; // milliseconds between two looks: while the learner is behind, and otherwise
const STATUS_PAUSE = 2_000; // milliseconds between two readings of the whole status

let timer = null;
let readAt = 0;
let measured = null; // version of the learner's state with which the status was read

/** Starts to follow the learner; does nothing on a page of rounds. */
export function build() {
  if (!state.campaign.live) return;
  document.body.dataset.live = "";
  const { batch, random_share: share } = state.campaign.live;
  byId("live-how").textContent = `The model chooses ${count(batch, "image")} at a time${share > 0 ? `, of which ${percent(share, 0)} are a random sample` : ""}.`;
  on(["saves"], () => schedule(PAUSE.busy));
  on(["live", "status", "unsent"], show);
  document.addEventListener("visibilitychange", () => document.hidden || void look());
  void look();
}

function schedule(pause) {
  clearTimeout(timer);
  timer = setTimeout(look, pause);
}

async function look() {
  clearTimeout(timer);
  if (document.hidden) return;
  try {
    take(await api.getLive());
  } catch (error) {
    update({ trouble: error.message });
  }
  schedule(isBusy() ? PAUSE.busy : PAUSE.quiet);
}

/** Whether news are expected within a second or two. */
const isBusy = () => state.live === null || state.live.is_behind || state.live.learner.state !== "learning" || state.queue.length === 0 || state.unsent.length > 0 || state.live.state?.measured !== state.live.state?.labels;

function take(live) {
  update({ live });
  suggest(live.suggestions);
  if (live.free > 0 && holding.wantsMore() && state.author !== "") void holding.refill();
  const version = live.state?.version ?? null;
  if (version !== measured && Date.now() - readAt > STATUS_PAUSE) {
    readAt = Date.now();
    measured = version;
    void readStatus();
  }
}

/** Gives waiting images the present model's suggestion. A suggestion that is on the screen stays: Enter may be on its way. */
function suggest(suggestions) {
  const news = new Map(suggestions.map((one) => [one.item, one]));
  let changed = false;
  for (const pick of state.queue) {
    const found = news.get(pick.item);
    const seen = state.view === "single" ? pick.item === state.at : true;
    if (found === undefined || (seen && pick.suggestion !== null)) continue;
    changed ||= seen;
    Object.assign(pick, { suggestion: found.class_name, confidence: found.confidence });
  }
  if (changed) update({ queue: [...state.queue] });
}

function show() {
  const { live, status } = state;
  if (status !== null) byId("top-done").textContent = `${status.labelled.toLocaleString("en")} labelled`;
  if (live === null) return;
  byId("live-state").textContent = live.learner.state === "learning" && !live.is_behind ? "up to date" : "learning";
  byId("live-labels").textContent = knows(live);
  byId("live-last").hidden = !live.state?.last_answers;
  if (live.state?.last_answers) byId("live-last").textContent = lastAnswers(live.state.last_answers);
  explainWaiting(live);
}

function knows({ state: published }) {
  if (!published?.labels) return "No model yet: it needs labels of two classes.";
  return `The suggestions reflect ${count(published.labels, "label")}.`;
}

function lastAnswers({ answers, before, after }) {
  const change = Math.round(1000 * (after - before)) / 10;
  const sign = change > 0 ? "+" : change < 0 ? "−" : "±";
  return `The last ${answers} answers changed the accuracy from ${percent(before)} to ${percent(after)} (${sign}${Math.abs(change).toFixed(1)} points).`;
}

/** The middle of the page while no image is here. */
function explainWaiting({ learner, state: published }) {
  const bar = byId("live-bar");
  const done = published?.reason ?? null;
  byId("live-title").textContent = done !== null ? "Every image has its answer" : TITLES[learner.state];
  byId("live-text").textContent = done !== null ? state.status?.advice.reason ?? "" : text(learner);
  byId("live-review").hidden = !state.status?.labelled;
  bar.hidden = done !== null || learner.state === "failed";
  if (learner.total) {
    bar.max = learner.total;
    bar.value = learner.done;
  } else bar.removeAttribute("value");
}

const TITLES = {
  starting: "The learner is starting",
  standby: "Another server's learner chooses the images",
  features: "The images are being described",
  learning: "The next images are being chosen",
  failed: "The learner has stopped",
};

function text({ state: now, done, total, message }) {
  if (now === "features") return `The encoder has seen ${(done ?? 0).toLocaleString("en")} of ${count(total ?? 0, "image")}. This happens once.`;
  if (now === "failed") return `${message}. It is started again by itself.`;
  return "This takes a few seconds.";
}
