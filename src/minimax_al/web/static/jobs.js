/** Jobs (training, and the choice of the next round): started from the page, run by the server, followed until they end. */

import * as api from "./api.js";
import { byId, count, make, sentence } from "./dom.js";
import * as holding from "./holding.js";
import { clear, say, warn } from "./say.js";
import { on, state, update } from "./state.js";

const LOOK = { running: 1_000, idle: 15_000 }; // milliseconds between two looks at the job or the status
const SETTLE = 1_200; // milliseconds after an answer before the status is read again
const FIRST_BUDGET = 50;

let settling = null;

/** Wires the panel's buttons and reads the status now and then. */
export function build() {
  byId("train").addEventListener("click", () => start({ kind: "train" }));
  byId("query-form").addEventListener("submit", (event) => submit(event, "budget"));
  byId("start-form").addEventListener("submit", (event) => submit(event, "start-budget"));
  byId("done-form").addEventListener("submit", (event) => submit(event, "done-budget"));
  byId("done-train").addEventListener("click", () => start({ kind: "train" }));
  byId("close-round").addEventListener("click", close);
  byId("recall").addEventListener("click", recall);
  byId("strategy").replaceChildren(...offered(state.campaign));
  byId("strategy").addEventListener("change", explain);
  explain();
  on(["status", "job", "unsent"], show);
  on(["saves"], () => {
    if (state.campaign.live) return; // the learner's next publication is the time to read
    settling ??= setTimeout(() => {
      settling = null;
      void readStatus();
    }, SETTLE);
  });
  setInterval(() => document.hidden || state.job.state === "running" || void readStatus(), LOOK.idle);
  setInterval(() => document.hidden || state.job.state !== "running" || void readJob(), LOOK.running);
  document.addEventListener("visibilitychange", () => document.hidden || void readStatus());
}

/** The options of the list of strategies: the usual ones, then all others. */
function offered({ strategies, strategy, usual }) {
  const option = (name) => make("option", { value: name, selected: name === strategy, title: usual[name] }, name);
  const known = Object.keys(usual);
  const others = strategies.filter((name) => !known.includes(name));
  return [make("optgroup", { label: "Usual" }, known.map(option)), make("optgroup", { label: "Others" }, others.map(option))];
}

/** Describes the selected strategy. */
function explain() {
  const why = state.campaign.usual[byId("strategy").value];
  byId("strategy-why").textContent = why === undefined ? "" : sentence(why);
}

/** Reads the status and, if a new round has been opened, its images. */
export async function readStatus() {
  try {
    const before = state.status?.round;
    const status = await api.getStatus();
    follow(status.job);
    update({ status, trouble: state.unsent.length > 0 ? state.trouble : null });
    const another = !state.campaign.live && before !== undefined && before?.number !== status.round?.number;
    if (another && status.round?.is_open) say(`Round ${status.round.number} is open: ${count(status.round.picks, "image")}`);
    if (another || (status.round?.is_open && state.queue.length === 0)) await holding.refill();
  } catch (error) {
    update({ trouble: error.message });
  }
}

async function readJob() {
  try {
    follow(await api.getJob());
  } catch (error) {
    update({ trouble: error.message });
  }
}

/** Stores the state of the job; when the job has ended, reports it and reads everything again. */
function follow(job) {
  const ended = state.job.state === "running" && job.state !== "running";
  const opened = JSON.stringify(job) !== JSON.stringify(state.job);
  if (opened) update({ job });
  if (!ended) return;
  if (job.state === "failed") warn("job", sentence(`${job.kind === "query" ? "The choice of the next round" : "The training"} failed: ${job.message}`));
  else if (job.kind === "train") say("The training has finished");
  void readStatus().then(holding.refill);
}

async function start(wish) {
  clear("job");
  try {
    update({ job: await api.startJob(wish) });
    say(wish.kind === "train" ? "Training has started; you can continue to label" : "The choice of the next round has started");
  } catch (error) {
    warn("job", sentence(error.message));
    void readStatus();
  }
}

function submit(event, box) {
  event.preventDefault();
  const wish = { kind: "query", budget: Number(byId(box).value) };
  if (event.target.id === "query-form") {
    Object.assign(wish, { strategy: byId("strategy").value, random_share: Number(byId("random-share").value) / 100 });
  }
  void start(wish);
}

async function close() {
  const { round } = state.status;
  const left = count(round.waiting, "image");
  if (!confirm(`Close round ${round.number}? ${left} without an answer may be chosen again in a later round.`)) return;
  try {
    const { closed } = await api.closeRound(round.number);
    say(`Round ${closed} is closed`);
    holding.forget();
    await readStatus();
    await holding.refill();
  } catch (error) {
    warn("job", sentence(error.message));
  }
}

async function recall() {
  try {
    const { released } = await api.recall(state.status.round.number);
    say(`${count(released, "image")} from Label Studio ${released === 1 ? "is" : "are"} shown on this page again`);
    await holding.refill();
  } catch (error) {
    warn("job", sentence(error.message));
  }
}

function show() {
  const { status, job } = state;
  if (status === null) return;
  const running = job.state === "running";
  const open = Boolean(status.round?.is_open) && status.round.waiting > 0;
  byId("job").hidden = byId("top-job").hidden = !running;
  if (running) progress(job);
  const nothing = status.labelled === 0;
  disable(["train", "done-train"], running || nothing);
  byId("train-why").textContent = running ? "" : nothing ? "Label some images first." : "";
  disable(["query", "start-query", "done-query"], running || open || status.unlabelled === 0);
  byId("query-why").hidden = !open;
  byId("query-why-text").textContent = open ? `Round ${status.round.number} is still open.` : "";
  budgets(status);
}

function disable(ids, off) {
  for (const id of ids) byId(id).disabled = off;
}

/** Proposes the size of the last round until the user types another number. */
function budgets({ round, unlabelled }) {
  const offered = Math.max(1, Math.min(unlabelled, round?.picks ?? FIRST_BUDGET));
  for (const id of ["budget", "start-budget", "done-budget"]) {
    const box = byId(id);
    box.max = Math.max(1, unlabelled);
    if (box.dataset.offered === box.value || box.value === "") box.value = box.dataset.offered = offered;
  }
}

function progress({ kind, training, epoch, epochs, unit, message, started_at: started }) {
  const what = kind === "query" ? "Choosing the next round" : "Training";
  for (const id of ["job-title", "wait-title"]) byId(id).textContent = what;
  for (const bar of [byId("job-bar"), byId("wait-bar")]) {
    bar.max = epochs || 1;
    if (epochs) bar.value = epoch ?? 0;
    else bar.removeAttribute("value");
  }
  const step = training ? `${training.replaceAll("_", " ")}${epochs ? `: ${epoch} of ${epochs} ${unit ?? "epochs"}` : ""}` : (message ?? "starting");
  for (const id of ["job-step", "wait-step"]) byId(id).textContent = step;
  byId("job-time").textContent = started ? elapsed(started) : "";
  byId("top-job").textContent = epochs ? `${what.split(" ")[0]} ${Math.round((100 * (epoch ?? 0)) / epochs)} %` : `${what.split(" ")[0]} …`;
}

function elapsed(started) {
  const seconds = Math.max(0, Math.round((Date.now() - new Date(started)) / 1000));
  return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
}
