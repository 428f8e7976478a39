/** Dialogs: the annotator's name, the keys, and the answers that are not saved yet. */

import { byId, clock, count, make, sentence } from "./dom.js";
import { HELP } from "./keys.js";
import { say } from "./say.js";
import { on, recall, remember, state } from "./state.js";
import { discard, leave, retry, signIn } from "./work.js";

let announced = new Set(); // refused answers whose reason was shown

/** Wires the dialogs. */
export function build() {
  const mine = ([, , task]) => task === undefined || task === state.campaign.task;
  const sections = HELP.filter(([, rows]) => rows.some(mine)).map(([title, rows]) => make("section", {}, make("h3", {}, title), make("dl", {}, rows.filter(mine).map(helpRow))));
  byId("help-keys").replaceChildren(...sections);
  byId("help").addEventListener("keydown", ({ key }) => key === "?" && help());
  byId("help-open").addEventListener("click", help);
  byId("instructions-open")?.addEventListener("click", () => byId("instructions").showModal());
  byId("author-open").addEventListener("click", () => (state.unsent.length > 0 ? byId("unsent").showModal() : void ask()));
  byId("save-state").addEventListener("click", () => byId("unsent").showModal());
  byId("unsent-retry").addEventListener("click", retry);
  for (const dialog of document.querySelectorAll("dialog")) {
    for (const button of dialog.querySelectorAll("[data-close]")) button.addEventListener("click", () => dialog.close());
    dialog.addEventListener("click", ({ target }) => target === dialog && dialog.id !== "author" && dialog.close());
  }
  byId("author").addEventListener("cancel", (event) => state.author === "" && event.preventDefault());
  byId("author-form").addEventListener("submit", named);
  on(["unsent", "trouble", "connected"], unsent);
  on(["author"], () => (byId("author-name").textContent = state.author));
  addEventListener("pagehide", leave);
  addEventListener("pageshow", ({ persisted }) => persisted && void signIn(state.author));
  addEventListener("beforeunload", (event) => state.unsent.length > 0 && event.preventDefault());
}

function helpRow([keys, words]) {
  const shown = keys.map((key) => (key === "…" ? "…" : make("kbd", {}, key)));
  return make("div", {}, make("dt", {}, shown), make("dd", {}, words));
}

/** Opens or closes the list of keys. */
export function help() {
  const dialog = byId("help");
  if (dialog.open) dialog.close();
  else dialog.showModal();
}

/** Signs in under the name that this browser knows, or asks for one. */
export async function welcome() {
  const known = recall("author");
  if (known) await signIn(known);
  else await ask();
}

let resolveNamed = () => undefined;

function ask() {
  byId("author-input").value = state.author;
  byId("author-cancel").hidden = state.author === "";
  byId("author").showModal();
  byId("author-input").select();
  return new Promise((resolve) => (resolveNamed = resolve));
}

function named(event) {
  event.preventDefault();
  const name = byId("author-input").value.trim();
  if (name === "") return;
  byId("author").close();
  remember("author", name);
  if (name === state.author) resolveNamed();
  else void signIn(name).then(resolveNamed);
}

function unsent() {
  const number = state.unsent.reduce((sum, entry) => sum + entry.items.length, 0);
  const refused = state.unsent.filter((entry) => entry.refused !== null);
  const button = byId("save-state");
  const trouble = state.trouble ?? (state.connected ? null : "The server cannot be reached");
  const stage = refused.length > 0 ? "refused" : trouble ? "offline" : number > 0 ? "sending" : "saved";
  button.dataset.stage = stage;
  byId("save-words").textContent = { refused: `${refused.length} refused`, offline: number > 0 ? `${number} not saved yet` : "No connection", sending: `${number} not saved yet`, saved: "All saved" }[stage];
  announce(refused);
  byId("trouble").hidden = !trouble;
  const kept = number > 0 ? `${count(number, "answer")} ${number === 1 ? "is" : "are"} kept in this browser and sent as soon as the connection works again.` : "";
  const words = trouble ? sentence(trouble) : "";
  if (byId("trouble-text").textContent !== words) byId("trouble-text").textContent = words; // announced once, not with every answer that waits
  byId("trouble-kept").textContent = kept;
  byId("unsent-title").textContent = state.unsent.length > 0 ? "Not saved yet" : "All saved";
  byId("unsent-none").hidden = state.unsent.length > 0;
  byId("unsent-retry").hidden = state.unsent.length === 0;
  byId("unsent-list").replaceChildren(...state.unsent.map(unsentRow));
}

/** Shows the reason of a refused answer when the server has refused it. */
function announce(refused) {
  const fresh = refused.find(({ id }) => !announced.has(id));
  announced = new Set(refused.map(({ id }) => id));
  if (fresh !== undefined) say(`Not saved: ${sentence(fresh.refused)} Open “${refused.length} refused” to send it again or to discard it.`);
}

function unsentRow(entry) {
  const what = entry.kind === "undo" ? "undo" : (entry.className ?? (entry.kind === "adopt" ? "mask" : entry.kind));
  const which = entry.items.length === 1 ? `image ${entry.items[0]}` : count(entry.items.length, "image");
  const why = entry.refused ?? (entry.tries > 0 ? `tried ${count(entry.tries, "time")}` : "being sent");
  const give = make("button", { type: "button", onclick: () => discard(entry) }, "Discard");
  const at = Number(entry.id.split("-")[0]);
  return make("li", {}, make("span", {}, make("b", {}, what), ` for ${which}, ${clock(at)}`, make("small", {}, why)), entry.refused !== null && give);
}
