/** Masks that an image can begin with, or is compared with: drafts, saved masks, predictions, masks of a conflict. */

import * as api from "./api.js";
import * as drafts from "./drafts.js";
import { decode } from "./maskpng.js";
import { VOID } from "./raster.js";
import { state } from "./state.js";
import { preload as preloadImages } from "./surface.js";

const AHEAD = 2; // images whose facts and layers are loaded before they are shown

const ahead = new Map(); // item → what `read` returns, or null if it failed

/** Loads the next images before they are shown, so that drawing goes on while the network is gone for a while. */
export function preload(items, but) {
  preloadImages(items);
  for (const item of items.slice(1, 1 + AHEAD)) {
    if (ahead.has(item) || item === but) continue;
    ahead.set(item, read(item).catch(() => null));
    while (ahead.size > AHEAD) ahead.delete(ahead.keys().next().value);
  }
}

/** Facts and layers of an image: { info, prediction, entropy }. Opened again, it may have another draft. */
export async function load(item) {
  const early = state.opened === null ? await ahead.get(item) : null;
  ahead.delete(item);
  return early ?? read(item);
}

async function read(item) {
  const info = await api.getDrawing(item, state.author);
  const [prediction, entropy] = await Promise.all(["prediction", "entropy"].map((kind) => (info[kind] ? inNumbersOf(info, api.getPixels(item, kind)).catch(() => null) : null)));
  return { info, prediction, entropy };
}

/** The id of the answer that a mask on the surface corrects; 0 without one. */
export const idOf = (info) => info.answer?.id ?? 0;

const saved = (item, info) => inNumbersOf(info, api.getPixels(item, "label", state.author));

/** A map with the class numbers of the image's facts: the classes may have changed since the facts were read. */
async function inNumbersOf(info, reading) {
  const map = await reading;
  return map.classIds === null ? map : { ...map, pixels: renumbered(map.pixels, map.classIds, info.class_ids) };
}

/** The mask to begin with: { pixels, words, isDraft }; `pixels` undefined for an empty one. */
export async function firstMask(item, info, pick) {
  const local = await drafts.kept(item, info);
  // An image that waits has no label, or one that is being undone, or one that its second annotator must not see.
  const isAnswered = ["label", "conflict"].includes(pick?.answer) && info.label;
  const fits = local !== null && (!isAnswered || (!local.isSaved && (local.isRefused || local.base === idOf(info))));
  const newest = Math.max(fits ? local.at : 0, isAnswered ? info.answer.at : 0);
  if (info.draft_at !== null && info.draft_at > newest) return { pixels: (await inNumbersOf(info, api.getPixels(item, "draft", state.author))).pixels, words: "Your draft from another browser.", isDraft: true };
  if (fits) return { pixels: renumbered((await decode(local.png)).pixels, local.classes, info.class_ids), words: wordsOf(local), isDraft: true };
  if (isAnswered) return { pixels: (await saved(item, info)).pixels, words: `The mask of ${info.answer.author}.` };
  return { words: info.prediction ? "The model's prediction: Enter accepts it." : "" };
}

/** The pixels with the numbers of today's classes; those of classes that have left become void. */
function renumbered(pixels, former, today) {
  if (String(former) === String(today)) return pixels;
  const numbers = new Uint8Array(VOID + 1).fill(VOID);
  former.forEach((identity, number) => today.includes(identity) && (numbers[number] = today.indexOf(identity)));
  return pixels.map((number) => numbers[number]);
}

function wordsOf({ isRefused, isSaved }) {
  if (isRefused) return "Your mask, which is not saved.";
  return isSaved ? "The mask that you saved before." : "Your draft.";
}

/** The masks that the first one is compared with, [{ author, map }]: both of a conflict, or the saved one of a draft. */
export async function otherMasks(item, info, pick, { isDraft }) {
  if (pick.answer === "conflict") {
    const maps = await Promise.all(["first", "second"].map((which) => inNumbersOf(info, api.getOpinion(item, which))));
    return maps.map((map, place) => ({ map, author: [pick.first, pick.second][place].author }));
  }
  return isDraft && info.label ? [{ map: await saved(item, info), author: info.answer.author }] : [];
}
