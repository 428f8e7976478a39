/**
 * Drafts of masks, and masks that wait to be sent, in the browser's database; drafts also on the server.
 *
 * The browser has a draft within a second, so that a crash loses little; the server has it within some seconds, so that
 * another browser can continue. Without a database (some private windows) both are kept in memory.
 */

import * as api from "./api.js";
import { state } from "./state.js";

const STORES = ["drafts", "saves"];
const KEPT = 40; // drafts of images that are not in front of anybody

const memory = Object.fromEntries(STORES.map((name) => [name, new Map()]));
let opening = null;

function open() {
  opening ??= new Promise((resolve) => {
    try {
      const request = indexedDB.open("minimax-al", 1);
      request.onupgradeneeded = () => STORES.forEach((name) => request.result.createObjectStore(name));
      request.onsuccess = () => resolve(request.result);
      request.onerror = () => resolve(null);
    } catch {
      resolve(null);
    }
  });
  return opening;
}

/** Runs one request on a store; null without a database. */
async function ask(name, mode, request) {
  const database = await open();
  if (database === null) return null;
  return new Promise((resolve) => {
    const transaction = database.transaction(name, mode);
    const asked = request(transaction.objectStore(name));
    transaction.oncomplete = () => resolve({ result: asked.result });
    transaction.onabort = transaction.onerror = () => resolve(null);
  });
}

async function put(name, key, value) {
  if ((await ask(name, "readwrite", (store) => store.put(value, key))) === null) memory[name].set(key, value);
}

async function get(name, key) {
  const found = await ask(name, "readonly", (store) => store.get(key));
  return found?.result ?? memory[name].get(key) ?? null;
}

async function remove(name, key) {
  memory[name].delete(key);
  await ask(name, "readwrite", (store) => store.delete(key));
}

const keyOf = (item) => `${state.campaign.id}/${state.author}/${item}`;

/** Keeps a draft in this browser: { png, digest, classes, at, base }; `base`: id of the answer that it corrects, or 0. */
export async function keep(item, draft) {
  await put("drafts", keyOf(item), draft);
}

/** The draft of an image in this browser; null if there is none, or if the file has changed. */
export async function kept(item, { digest }) {
  const draft = await get("drafts", keyOf(item));
  return draft?.digest === digest ? draft : null;
}

/** Forgets the oldest drafts of this browser. */
export async function tidy() {
  const found = await ask("drafts", "readonly", (store) => store.getAllKeys());
  const keys = found?.result ?? [];
  if (keys.length <= KEPT) return;
  const dated = await Promise.all(keys.map(async (key) => [(await get("drafts", key))?.at ?? 0, key]));
  dated.sort(([one], [other]) => one - other);
  for (const [, key] of dated.slice(0, -KEPT)) await remove("drafts", key);
}

/** Keeps a mask until the server has stored it, under the key of its request; `classIds`: the classes of its numbers. */
export async function keepSave(id, item, png, classIds) {
  await put("saves", id, { item, png, classIds });
}

/** Forgets a mask that the server has stored. */
export const forgetSave = (id) => remove("saves", id);

/** Sends a mask that `keepSave` has kept. */
export async function send(author, item, { key, ifWaiting, replaces, decides }) {
  const save = await get("saves", key);
  if (save === null) throw new api.ApiError("This browser has lost the mask: draw it again", 410);
  return api.putMask(author, item, new Blob([save.png], { type: "image/png" }), { key, ifWaiting, replaces, decides, sure: true, classIds: save.classIds });
}

/** Makes the mask that the server has refused a draft again. */
export async function reopen(item) {
  const draft = await get("drafts", keyOf(item));
  if (draft !== null) await keep(item, { ...draft, at: Date.now(), isSaved: false, isRefused: true });
}

/** Forgets the draft of an image in this browser. */
export const forget = (item) => remove("drafts", keyOf(item));
