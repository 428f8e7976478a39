/** Puts the page together: views, keys, panel. */

import * as adjust from "./adjust.js";
import { getCampaign } from "./api.js";
import * as classEditor from "./class_editor.js";
import * as classBar from "./classes.js";
import * as confirmClass from "./confirm.js";
import * as conflicts from "./conflicts.js";
import * as connection from "./connection.js";
import * as dialogs from "./dialogs.js";
import { byId, clock, count } from "./dom.js";
import * as explore from "./explore.js";
import * as grid from "./grid.js";
import * as holding from "./holding.js";
import * as imageRetry from "./image_retry.js";
import * as jobs from "./jobs.js";
import { listen } from "./keys.js";
import * as live from "./live.js";
import * as maskFile from "./maskfile.js";
import * as opened from "./opened.js";
import * as panel from "./panel.js";
import * as review from "./review.js";
import { keepWarnings, say, showKept, warn } from "./say.js";
import * as single from "./single.js";
import { on, recall, remember, state, update } from "./state.js";
import * as transfer from "./transfer.js";
import { answer, hurry, undo } from "./work.js";

const VIEWS = { single, grid, confirm: confirmClass, explore, review, conflicts };
const OWN = ["confirm", "explore", "review", "conflicts"]; // views whose images are not those of the queue
const here = () => VIEWS[state.opened === null ? state.view : "single"];
const shown = () => here().gallery ?? here(); // what has images to move among and to answer
const masks = () => state.campaign.task === "segmentation";
const answered = () => state.opened !== null || ["review", "conflicts"].includes(state.view); // an image of Review or Conflicts stays opened over any view
const decide = (picks) => picks.some(({ answer: given }) => given === "conflict");

const soon = () => here().gallery?.soon ?? false; // the single view has its own test

function label(className) {
  const picks = soon() ? [] : shown().targets();
  if (picks.length === 0) return;
  classBar.flash(className);
  answer("label", picks, className, { decides: decide(picks) });
}

function choose(index) {
  if (masks() && state.view === "conflicts" && state.opened === null) {
    if (!soon()) conflicts.take(index);
    return;
  }
  const name = masks() ? undefined : classBar.classOf(index);
  if (name !== undefined) label(name);
}

function leaveOut(kind) {
  if (kind === "skip" && answered()) say(`Not skipped: the image has an answer; ${masks() ? "correct its mask" : "choose another class"}, or press u for unsure`);
  else if (kind === "skip" && OWN.includes(state.view)) say("Only images of a round can be skipped");
  else if (!soon()) {
    const picks = shown().targets(kind);
    answer(kind, picks, null, { decides: decide(picks) });
    opened.close();
  }
}

function show(view) {
  classBar.mark(null); // a view of many marks the class of its own choice
  update({ view, opened: null, moment: state.moment + 1 });
  remember("view", OWN.includes(view) ? null : view);
  void holding.refill();
}

const toggle = (view) => show(state.view === view && state.opened === null ? "single" : view);

function toggleSuggestions() {
  update({ suggestions: !state.suggestions });
  remember("suggestions", state.suggestions ? null : "hidden");
  say(state.suggestions ? "Suggestions are shown" : "Suggestions are hidden");
}

function escape() {
  if (byId("large").open) byId("large").close();
  else if (document.body.classList.contains("panel-open")) openPanel(false);
  else if (state.opened !== null) opened.close();
  else here().gallery?.select([]);
}

function openLarge() {
  if (byId("large").open) byId("large").close();
  else here().gallery?.open();
}

const commands = {
  choose,
  confirm: () => soon() || here().confirm(),
  unsure: () => leaveOut("unsure"),
  skip: () => leaveOut("skip"),
  undo: () => void undo(),
  suggestions: toggleSuggestions,
  grid: () => toggle("grid"),
  review: () => toggle("review"),
  confirmView: () => masks() || toggle("confirm"),
  explore: () => toggle("explore"),
  like: () => explore.likeThese(shown().targets("look")),
  filter: () => classBar.focusFilter(),
  zoomIn: () => here().zoomIn?.(),
  zoomOut: () => here().zoomOut?.(),
  fit: () => here().fit?.(),
  real: () => here().real?.(),
  open: openLarge,
  select: () => here().gallery?.toggle(),
  selectAll: () => here().gallery?.selectAll(),
  escape,
  help: dialogs.help,
  move: (dx, dy, extend) => (state.opened === null ? shown().move(dx, dy, extend) : openNext(dx || dy)),
};

/** Opens the image before or after the opened one in its view. */
function openNext(by) {
  const picks = VIEWS[state.view].gallery?.picks ?? []; // an image that another answer overtook opens in any view
  const at = picks.indexOf(state.opened);
  const next = at < 0 ? undefined : picks[at + by];
  if (next === undefined) say(by > 0 ? "This is the last image of the list" : "This is the first image of the list");
  else opened.open(next);
}

function openPanel(open) {
  document.body.classList.toggle("panel-open", open);
  byId("panel-open").setAttribute("aria-expanded", String(open));
  byId(open ? "panel" : "panel-open").focus();
}

/** The section that the middle of the page shows: images, or the reason why no image is shown. */
function phase() {
  if (state.opened !== null) return "single";
  if (OWN.includes(state.view)) return state.view;
  if (state.queue.length > 0) return state.view;
  if (state.status === null || (state.lease === null && state.author !== "")) return "loading";
  if (state.campaign.live) return state.unsent.length > 0 ? "sending" : "live";
  if (state.job.state === "running") return "job";
  if (state.status.round === null) return "start";
  if (state.unsent.length > 0) return "sending";
  if (!state.status.round.is_open || panel.waiting() === 0) return "done";
  return state.lease?.with_others > 0 || state.lease?.lent > 0 ? "others" : "loading";
}

function paint() {
  const now = phase();
  for (const section of byId("main").querySelectorAll("[data-phase]")) section.hidden = section.dataset.phase !== now;
  const working = now in VIEWS;
  document.body.dataset.shown = now;
  byId("answers").hidden = !working;
  byId("skip").hidden = answered() || OWN.includes(state.view);
  for (const tab of document.querySelectorAll("[data-view]")) tab.setAttribute("aria-pressed", String(tab.dataset.view === state.view));
  byId("suggestions-toggle")?.setAttribute("aria-pressed", String(state.suggestions));
  if (now === "others") explainOthers();
  if (now === "done") explainDone();
}

function explainOthers() {
  const { with_others: number, next_free_at: free, lent } = state.lease;
  byId("lent").hidden = lent === 0;
  byId("lent-text").textContent = `${count(lent, "image")} of this round ${lent === 1 ? "was" : "were"} sent to Label Studio and ${lent === 1 ? "is" : "are"} not shown on this page.`;
  byId("others-text").hidden = number === 0;
  byId("others-text").textContent = `${count(number, "image")} of this round ${number === 1 ? "is" : "are"} reserved for other annotators. Images that they leave unanswered are shown here ${free ? `from ${clock(free)} on` : "later"}.`;
}

function explainDone() {
  const { round, advice, unlabelled } = state.status;
  byId("done-title").textContent = `Round ${round.number} is done`;
  byId("done-advice").textContent = advice.decision === "too early" ? "It is too early to tell how much more labels would help." : advice.reason;
  byId("done-form").hidden = unlabelled === 0;
}

function wire() {
  for (const tab of document.querySelectorAll("[data-view]")) tab.addEventListener("click", () => show(tab.dataset.view));
  byId("undo").addEventListener("click", commands.undo);
  byId("skip").addEventListener("click", commands.skip);
  byId("unsure").addEventListener("click", commands.unsure);
  byId("suggestions-toggle")?.addEventListener("click", toggleSuggestions);
  byId("panel-open").addEventListener("click", () => openPanel(!document.body.classList.contains("panel-open")));
  byId("panel-close").addEventListener("click", () => openPanel(false));
  byId("scrim").addEventListener("click", () => openPanel(false));
  // A click on an answer button must not move the focus: Enter has to accept the suggestion, not press the button again.
  document.addEventListener("mousedown", (event) => event.target.closest("[data-quick] button") && event.preventDefault());
  on(["view", "opened", "queue", "status", "lease", "unsent", "author", "suggestions", "job", "live"], paint);
  imageRetry.watch();
  on(["status"], () => !masks() && state.status && differ(state.status.classes) && void followClasses());
  connection.onReturn(hurry);
  connection.onReturn(imageRetry.retryAll);
  connection.onReturn(() => state.author !== "" && void jobs.readStatus().then(holding.refill));
  on(["classChecks"], () => void followClasses());
  on(["recent"], () => (byId("undo").disabled = false));
}

let classesAsked = 0;
let classesShown = 0;

/** Shows the classes as they are now, after an edit here or elsewhere; masks have numbers of classes, so their page starts again. */
async function followClasses() {
  const asked = (classesAsked += 1);
  const campaign = await getCampaign().catch(() => null);
  if (campaign === null || asked < classesShown) return; // the answer to a later request is shown already
  classesShown = asked;
  if (!["classes", "class_ids"].some((name) => JSON.stringify(campaign[name]) !== JSON.stringify(state.campaign[name]))) return;
  if (masks()) {
    keepWarnings();
    location.reload();
    return;
  }
  update({ campaign, moment: state.moment + 1 });
  showClasses();
  say("The classes have changed");
}

const differ = (counts) => JSON.stringify(counts.map(({ name }) => name)) !== JSON.stringify(state.campaign.classes);

function showClasses() {
  classBar.showClasses({ onChoose: label, onEmptyKey: (key) => (key === "Enter" ? commands.confirm() : commands.undo()) });
}

async function begin() {
  update({ campaign: await getCampaign(), suggestions: recall("suggestions") === null, view: recall("view") === "grid" ? "grid" : "single" });
  document.body.dataset.task = state.campaign.task;
  for (const part of [single, grid, confirmClass, explore, review, conflicts, panel, jobs, transfer, dialogs, live]) part.build();
  classEditor.build(followClasses);
  if (!masks()) adjust.build();
  if (!masks()) showClasses();
  else maskFile.build(() => shown().targets());
  wire();
  showKept();
  listen(commands);
  holding.watch();
  connection.watch();
  await Promise.all([jobs.readStatus(), dialogs.welcome()]);
}

begin().catch((error) => warn("begin", `${error.message}. Reload the page.`));
