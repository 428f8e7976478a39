/** What the page says: one line for what was done, one for what is wrong. Screen readers hear both. */

import { byId, make } from "./dom.js";

/** Says what was done. */
export function say(text) {
  byId("said").textContent = text;
}

/** Says what is wrong, until `clear` is called with the same topic. */
export function warn(topic, text, ...buttons) {
  clear(topic);
  const close = make("button", { type: "button", class: "link", onclick: () => clear(topic) }, "Dismiss");
  byId("warnings").append(make("div", { class: "warning", "data-topic": topic }, make("span", {}, text), ...buttons, close));
}

/** Takes a warning back. */
export function clear(topic) {
  for (const warning of byId("warnings").children) if (warning.dataset.topic === topic) warning.remove();
}
