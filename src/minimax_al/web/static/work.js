/** Answers: the page shows each one at once and sends it in the background. */

import * as api from "./api.js";
import { count, fileName, make, sentence } from "./dom.js";
import * as drafts from "./drafts.js";
import * as holding from "./holding.js";
import { Outbox } from "./outbox.js";
import { open } from "./opened.js";
import { say, warn, clear } from "./say.js";
import { session, state, update } from "./state.js";
import { Tabs } from "./tabs.js";

const MOST = 200; // images a request may answer
const REMEMBERED = 100; // actions that can be undone one after the other
const WORDS = { skip: "skipped", unsure: "unsure" };

let outbox = null;
let tabs = null;
let earlierKey = null; // of an undo without an answer yet

/** Sets the author of further answers, and takes over the unsent answers of the author's earlier pages. */
export async function signIn(author) {
  if (tabs !== null) await signOut();
  const signed = new Tabs(state.campaign.id ?? state.campaign.name, author);
  tabs = signed;
  outbox = new Outbox({
    send: (entry) => send(author, entry),
    save: (entries) => signed.save(entries),
    onChange: () => update({ unsent: [...outbox.entries], trouble: outbox.trouble }),
    onSaved: saved,
  });
  update({ author, recent: [] });
  void signed.orphans().then((entries) => tabs === signed && takeOver(author, signed, entries));
  await holding.refill();
}

/** Sends the answers that closed pages could not send, and ends the leases that they kept. */
async function takeOver(author, signed, entries) {
  adopt(entries);
  const ended = signed.holdersGone().map((gone) => api.release(author, gone).catch(() => undefined)); // else they end by themselves
  if (ended.length > 0) await Promise.all(ended).then(holding.refill);
}

function adopt(entries) {
  if (entries.length > 0) say(`${count(entries.length, "answer")} of an earlier visit ${entries.length === 1 ? "is" : "are"} being sent`);
  for (const { kind, items } of entries) if (kind !== "undo") holding.take(items);
  outbox.adopt(entries);
}

async function signOut() {
  leave();
  holding.forget();
}

/** Ends the leases of this page. */
export function leave() {
  if (tabs === null) return;
  void api.release(state.author, session()).catch(() => undefined); // the lease ends by itself
  tabs.leave();
  tabs = null;
  outbox.stop();
}

/** Sends an entry. A page may be frozen or offline for hours: its answer must not replace one that was given meanwhile. */
function send(author, { id, kind, items, className, classId, waiting, unseen, decides, replaces, replace, which, origin, of }) {
  const how = { key: id, ifWaiting: unseen ?? waiting > 0, origin, replace, classId };
  if (kind === "mask") return drafts.send(author, items[0], { ...how, decides, replaces }).catch(overtaken);
  if (kind === "adopt") return api.decideMask(author, items[0], which, how).catch(overtaken);
  if (decides) return api.decide(author, items, className, how).catch(overtaken);
  if (kind === "label") return api.label(author, items, className, how);
  if (kind === "undo") return api.undo(author, id, { item: items[0], ...of });
  return kind === "skip" ? api.skip(author, items, id) : api.unsure(author, items, how);
}

/** Status 409: the image has another answer than the one that was corrected, or another manager's decision, or a class of the mask has left. */
function overtaken(error) {
  if (error.status !== 409) throw error;
  return { overtaken: error.message };
}

const isOpen = ({ answer: given }) => given !== "label" && given !== "unsure"; // "none": it has not been in a round

/**
 * Answers images: kind "label" with a class, "skip" or "unsure"; an answer that `decides` ends a conflict. `origin` is
 * "bulk" where suggestions of the model are confirmed many at a time.
 */
export function answer(kind, picks, className = null, { decides = false, origin } = {}) {
  if (picks.length === 0 || outbox === null) return;
  const before = picks.map((pick) => ({ pick, answer: pick.answer, class_name: pick.class_name }));
  for (const pick of picks) Object.assign(pick, { answer: kind, class_name: className });
  const classId = state.campaign.class_ids[state.campaign.classes.indexOf(className)]; // the class may be renamed before it is sent
  const entries = [true, false].flatMap((waits) => {
    const items = before.filter((known) => isOpen(known) === waits).map(({ pick }) => pick.item);
    // The round waits neither for images outside of it nor for second opinions.
    const ofRound = new Set(before.filter(({ pick, answer: given }) => given === "waiting" && !pick.second_opinion).map(({ pick }) => pick.item));
    return portions(items).map((part) => {
      const waiting = waits ? part.filter((item) => ofRound.has(item)).length : 0;
      return outbox.add({ kind, items: part, className, classId, waiting, unseen: waits, decides, origin });
    });
  });
  remember({ kind, className, classId, before, entries, saved: false });
  holding.take(picks.map((pick) => pick.item));
}

/**
 * Answers an image with a mask that `drafts` keeps as `id` until the server has stored it. `replaces`: id of the answer
 * that the mask corrects; undefined for an image of the queue. A mask that `decides` ends a conflict.
 */
export function answerMask(pick, id, { replaces, decides = false } = {}) {
  const waits = pick.answer === "waiting";
  addMask(pick, { id, kind: "mask", waiting: waits && !pick.second_opinion ? 1 : 0, unseen: waits && replaces === undefined, replaces, decides });
}

/** Decides a conflict by the "first" or the "second" mask. */
export const adoptMask = (pick, which) => addMask(pick, { kind: "adopt", which, waiting: 0 });

function addMask(pick, entry) {
  const before = [{ pick, answer: pick.answer, class_name: null, author: pick.author }];
  const entries = [outbox.add({ items: [pick.item], className: null, ...entry })];
  Object.assign(pick, { answer: "label", class_name: null, author: state.author, masked: Date.now() });
  remember({ kind: "label", className: null, before, entries, saved: false });
  holding.take([pick.item]);
}

const portions = (items) => (items.length === 0 ? [] : [items.slice(0, MOST), ...portions(items.slice(MOST))]);

/** An action that can be undone and is listed among the recent ones. */
export function remember(action) {
  update({ recent: [action, ...state.recent].slice(0, REMEMBERED) });
}

/** "egret", "unsure"; "12 images: egret". */
export function describe({ kind, className, before }) {
  const what = className ?? WORDS[kind] ?? "mask";
  return before.length === 1 ? what : `${count(before.length, "image")}: ${what}`;
}

/** Whether the action is the latest answer of each of its images. */
export function isLatest(action) {
  const items = new Set(action.before.map(({ pick }) => pick.item));
  const later = state.recent.slice(0, state.recent.indexOf(action));
  return !later.some(({ before }) => before.some(({ pick }) => items.has(pick.item)));
}

/** Undoes an action, by default the last one; without an action on this page, the author's last answer on any page. */
export async function undo(action = state.recent[0]) {
  if (outbox === null) return;
  if (action === undefined) {
    await undoEarlier();
    return;
  }
  update({ recent: state.recent.filter((other) => other !== action) });
  let unseen = true;
  for (const entry of action.entries) {
    if (outbox.cancel(entry)) continue;
    unseen = false;
    const of = { kind: action.kind, class_name: action.className, class_id: action.classId };
    for (const item of entry.items) outbox.add({ kind: "undo", items: [item], className: null, of });
  }
  for (const { pick, ...fields } of action.before) Object.assign(pick, fields);
  const waiting = action.before.map(({ pick }) => pick).filter((pick) => pick.answer === "waiting");
  if (waiting.length > 0) holding.giveBack(waiting, unseen);
  update({ moment: state.moment + 1 });
  say(`Undone: ${describe(action)}`);
}

async function undoEarlier() {
  if (state.unsent.length > 0) {
    say("Answers are still being sent; undo again when they are saved");
    return;
  }
  try {
    earlierKey ??= api.newKey(); // kept until the server has answered: a repeated request must not undo two answers
    const { item, path, pick } = await api.undo(state.author, earlierKey);
    earlierKey = null;
    say(`Undone: the answer for ${fileName(path)}`);
    if (pick?.answer === "waiting") {
      holding.giveBack([pick], true);
      await holding.refill();
      holding.goTo(state.queue.some((held) => held.item === item) ? item : state.at);
    }
    update({ moment: state.moment + 1 });
  } catch (error) {
    if (!error.passes) earlierKey = null;
    say(error.status === 400 ? "You have no answer that can be undone" : error.message);
  }
}

function saved(entry, { answered_before: late = [], overtaken: why }) {
  if (entry.kind === "undo") {
    holding.returned(entry.items);
  } else if (why !== undefined) {
    if (entry.kind === "mask") void keepRefused(entry, why);
    else takeBack(entry, why);
  } else {
    if (entry.kind === "mask") void drafts.forgetSave(entry.id);
    holding.acknowledge(entry.items);
    settle(entry);
    if (entry.replace) update({ conflicts: state.conflicts + 1 });
    if (late.length > 0) leaveAlone(entry, late);
  }
  update({ saves: state.saves + 1 });
}

/** Takes back a decision that the server refuses, since another manager has decided; it can be sent to replace theirs. */
function takeBack(entry, why) {
  const action = state.recent.find(({ entries }) => entries.includes(entry));
  const known = (action?.before ?? []).filter(({ pick }) => entry.items.includes(pick.item));
  for (const undoing of outbox.entries.filter(({ kind, items }) => kind === "undo" && entry.items.includes(items[0]))) outbox.cancel(undoing);
  for (const { pick, ...fields } of known) Object.assign(pick, fields);
  holding.acknowledge(entry.items);
  update({ recent: state.recent.filter((other) => other !== action), moment: state.moment + 1, conflicts: state.conflicts + 1 });
  const replace = () => {
    clear("decision");
    const { kind, items, className, classId, which, decides } = entry;
    for (const { pick } of known) Object.assign(pick, { answer: kind === "adopt" ? "label" : kind, class_name: className });
    const again = outbox.add({ kind, items, className, classId, which, decides, waiting: 0, replace: true });
    remember({ kind: kind === "adopt" ? "label" : kind, className, classId, before: known, entries: [again], saved: false });
  };
  const mine = entry.kind === "adopt" ? "your choice of mask" : describe({ kind: entry.kind, className: entry.className, before: known });
  warn("decision", sentence(why), make("button", { type: "button", class: "link", onclick: replace }, `Replace by ${mine}`));
}

/** Keeps a mask that another answer has overtaken as a draft, and asks what to do with it. */
async function keepRefused(entry, why) {
  const [item] = entry.items;
  await drafts.reopen(item);
  void drafts.forgetSave(entry.id);
  for (const undoing of outbox.entries.filter(({ kind, items }) => kind === "undo" && items[0] === item)) outbox.cancel(undoing);
  const action = state.recent.find(({ entries }) => entries.includes(entry));
  const [{ pick, ...fields }] = action?.before ?? [{ pick: { item, path: `image ${item}`, suggestion: null } , answer: "label" }];
  Object.assign(pick, fields, { masked: Date.now() });
  update({ recent: state.recent.filter((other) => other !== action), moment: state.moment + 1 });
  const choice = (words, act) => make("button", { type: "button", class: "link", onclick: () => { clear("mask"); act(); } }, words);
  warn("mask", `${sentence(why)} Your mask is kept as a draft.`, choice("Compare both", () => open(pick)), choice("Discard mine", () => void drafts.forget(item)));
  update({ classChecks: state.classChecks + 1 });
}

/** Keeps the answers that other annotators gave first, and removes these images from the actions that can be undone. */
export function leaveAlone(entry, late) {
  const action = state.recent.find(({ entries }) => entries.includes(entry));
  entry.items = entry.items.filter((item) => !late.includes(item));
  if (action !== undefined) action.before = action.before.filter(({ pick }) => !late.includes(pick.item));
  const undos = outbox.entries.filter(({ kind, items }) => kind === "undo" && late.includes(items[0]));
  for (const undoing of undos) if (outbox.cancel(undoing)) holding.returned(undoing.items);
  update({ recent: state.recent.filter(({ before }) => before.length > 0), moment: state.moment + 1 });
  say(`${count(late.length, "image")} had been answered before, and ${late.length === 1 ? "that answer is" : "those answers are"} kept: open Review to change ${late.length === 1 ? "it" : "them"}`);
}

function settle(entry) {
  const action = state.recent.find(({ entries }) => entries.includes(entry));
  const round = state.status?.round;
  if (round && entry.waiting) round.waiting = Math.max(0, round.waiting - entry.waiting);
  if (action === undefined) return;
  action.saved = action.entries.every((other) => !outbox.entries.includes(other));
  update({ recent: [...state.recent] });
  if (action.saved && action === state.recent[0]) say(`${describe(action)} · saved${round && !state.campaign.live ? `, ${round.picks - round.waiting} of ${round.picks}` : ""}`);
}

/** Sends waiting answers now. */
export const hurry = () => outbox?.hurry();

/** Sends refused answers once more. */
export const retry = () => outbox?.retry();

/** Gives up an answer that the server refuses. */
export function discard(entry) {
  const action = state.recent.find(({ entries }) => entries.includes(entry));
  if (action === undefined) outbox?.cancel(entry);
  else void undo(action);
  if (entry.kind === "undo") holding.returned(entry.items);
}
