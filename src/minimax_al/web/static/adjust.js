/** Contrast and brightness of the images on the screen; files and labels do not change. */

import { byId, make } from "./dom.js";
import { recall, remember, state } from "./state.js";

const PLAIN = 100; // percent
const key = () => `adjust/${state.campaign.id}`;

/** Wires the sliders, and applies what this browser remembers for the campaign. */
export function build() {
  const [brightness, contrast] = (recall(key()) ?? "").split(" ").map(Number);
  byId("brightness").value = brightness || PLAIN;
  byId("contrast").value = contrast || PLAIN;
  for (const id of ["brightness", "contrast"]) byId(id).addEventListener("input", apply);
  byId("adjust-reset").addEventListener("click", reset);
  apply();
}

function reset() {
  for (const id of ["brightness", "contrast"]) byId(id).value = PLAIN;
  apply();
}

function apply() {
  const [brightness, contrast] = ["brightness", "contrast"].map((id) => Number(byId(id).value));
  const plain = brightness === PLAIN && contrast === PLAIN;
  document.body.style.setProperty("--adjust", plain ? "none" : `brightness(${brightness}%) contrast(${contrast}%)`);
  document.body.classList.toggle("adjusted", !plain);
  byId("adjust-reset").disabled = plain;
  byId("adjust-state").replaceChildren(...(plain ? [] : [make("span", { class: "sr" }, "changed: "), `${brightness} / ${contrast} %`]));
  remember(key(), plain ? null : `${brightness} ${contrast}`);
}
