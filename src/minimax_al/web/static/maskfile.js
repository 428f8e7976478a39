/** Segmentation: a mask that was drawn elsewhere is uploaded as a file. */

import * as api from "./api.js";
import { byId, fileName, make } from "./dom.js";
import * as holding from "./holding.js";
import { clear, say, warn } from "./say.js";
import { on, state, update } from "./state.js";
import { leaveAlone, remember } from "./work.js";

let targets = () => [];

/** Wires the file box; `wanted()` returns the images to which a chosen file applies. */
export function build(wanted) {
  targets = wanted;
  byId("mask-file").addEventListener("change", ({ target }) => target.files.length > 0 && send(target.files[0]));
  on(["at"], () => state.at !== null && (byId("image-link").href = api.imageUrl(state.at)));
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
    const { answered_before: late } = await api.putMask(state.author, pick.item, file, { key, sure, ifWaiting: pick.answer === "waiting", classIds: state.campaign.class_ids });
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
    say(""); // the warning is announced
  } finally {
    byId("mask-label").classList.remove("busy");
  }
}
