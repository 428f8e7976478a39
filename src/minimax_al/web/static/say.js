/** Messages of the page: one line for the last action, and a list of warnings. Screen readers announce both. */

import { byId, make } from "./dom.js";

/** Shows a message about the last action. */
export function say(text) {
  byId("said").textContent = text;
}

/** Shows a warning until it is dismissed, or until `clear` is called with the same topic. */
export function warn(topic, text, ...buttons) {
  clear(topic);
  const close = make("button", { type: "button", class: "link", onclick: () => clear(topic) }, "Dismiss");
  byId("warnings").append(make("div", { class: "warning", "data-topic": topic }, make("span", {}, text), ...buttons, close));
}

const KEPT = "minimax-al/warnings";

/** Keeps the warnings for the page that this one reloads as. */
export function keepWarnings() {
  const shown = [...byId("warnings").children].map((warning) => [warning.dataset.topic, warning.firstChild.textContent]);
  try {
    sessionStorage.setItem(KEPT, JSON.stringify(shown));
  } catch {
    // a browser without storage
  }
}

/** Shows the warnings that `keepWarnings` has kept. */
export function showKept() {
  try {
    for (const [topic, text] of JSON.parse(sessionStorage.getItem(KEPT) ?? "[]")) warn(topic, text);
    sessionStorage.removeItem(KEPT);
  } catch {
    // a browser without storage
  }
}

/** Removes the warnings of a topic. */
export function clear(topic) {
  for (const warning of byId("warnings").children) if (warning.dataset.topic === topic) warning.remove();
}
