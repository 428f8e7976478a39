/** Segmentation: overlays of prediction, uncertainty and mask; masks are uploaded as files. */

import * as api from "./api.js";
import { byId, fileName, kbd, make } from "./dom.js";
import * as holding from "./holding.js";
import { clear, say, warn } from "./say.js";
import { state, update } from "./state.js";
import { leaveAlone, remember } from "./work.js";

const KINDS = [["none", "Image"], ["prediction", "Prediction"], ["entropy", "Uncertainty"], ["label", "Mask"]];

let stage = null;
let kind = "none";
let targets = () => [];

/** Draws the switches over a stage. */
export function showOverlays(onStage) {
  stage = onStage;
  byId("review-class").hidden = true;
  byId("overlay-kinds").replaceChildren(
    ...KINDS.map(([name, words], index) =>
      make("button", { type: "button", "data-kind": name, "aria-pressed": String(name === kind), onclick: () => lay(name) }, kbd(String(index + 1)), words),
    ),
  );
  byId("overlay-strength").addEventListener("input", () => lay(kind));
  byId("legend").replaceChildren(...state.campaign.classes.map(legendEntry));
  byId("mask-file").addEventListener("change", ({ target }) => target.files.length > 0 && send(target.files[0]));
}

/** Sets the function that returns the images to which a chosen mask file applies. */
export function maskFor(wanted) {
  targets = wanted;
}

/** Lays the overlay with this number over the image. */
export const choose = (index) => index < KINDS.length && lay(KINDS[index][0]);

/** Lays an overlay over the image on the screen; called again after every change of image. */
export async function lay(name = kind) {
  kind = name;
  for (const button of byId("overlay-kinds").children) button.setAttribute("aria-pressed", String(button.dataset.kind === kind));
  byId("overlay-note").textContent = "";
  const item = state.at;
  if (item === null) return;
  byId("image-link").href = api.imageUrl(item);
  try {
    await stage.lay(kind === "none" ? null : api.viewUrl(item, kind), Number(byId("overlay-strength").value) / 100);
  } catch {
    if (item !== state.at) return;
    byId("overlay-note").textContent = kind === "label" ? "This image has no mask yet." : "This image has no prediction: no model chose it.";
  }
}

function legendEntry(name, index) {
  const swatch = make("i", { class: "swatch" });
  swatch.style.backgroundColor = state.campaign.colours[index];
  return make("li", {}, swatch, make("b", {}, String(index)), ` ${name}`);
}

/** Sends a mask to the server at once; the image stays on the screen until the server has stored the mask. */
async function send(file, { picks = targets(), key = api.newKey(), sure = false } = {}) {
  byId("mask-file").value = "";
  const [pick] = picks;
  if (picks.length !== 1) {
    say("A mask belongs to one image: select exactly one");
    return;
  }
  byId("mask-label").classList.add("busy");
  say(`Sending ${file.name}; it is not saved yet`);
  try {
    const { answered_before: late } = await api.putMask(state.author, pick.item, file, { key, sure, ifWaiting: pick.answer === "waiting" });
    const before = [{ pick, answer: pick.answer, class_name: null }];
    const entries = [{ kind: "label", className: null, items: [pick.item], tries: 1, refused: null }];
    remember({ kind: "label", className: null, before, entries, saved: true });
    holding.take([pick.item]);
    holding.acknowledge([pick.item]);
    Object.assign(pick, { answer: "label", masked: Date.now() });
    clear("mask");
    say(`${file.name} · saved as the mask of ${fileName(pick.path)}`);
    update({ saves: state.saves + 1, moment: state.moment + 1 });
    if (late.length > 0) leaveAlone(entries[0], late);
  } catch (error) {
    // A refused request needs a new key; a lost one is sent again with the same key, so that it runs once.
    const [words, next] = error.status === 409 ? ["Save it here", { picks, sure: true }] : ["Try again", { picks, key, sure }];
    const again = make("button", { type: "button", class: "link", onclick: () => send(file, next) }, words);
    warn("mask", `${file.name} is not saved: ${error.message}.`, again);
    say("The mask is not saved");
  } finally {
    byId("mask-label").classList.remove("busy");
  }
}
