/** Helpers for elements and for formatting numbers, times and sentences. */

const SVG = "http://www.w3.org/2000/svg";

/** The element with this id. */
export const byId = (id) => document.getElementById(id);

/** An element: `make("button", { class: "quiet", onclick: f }, "Undo")`. Absent, null and false attributes are left out. */
export function make(tag, attributes = {}, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

/** An SVG element, with arguments as for `make`. */
export function draw(tag, attributes = {}, ...children) {
  return fill(document.createElementNS(SVG, tag), attributes, children);
}

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

/** A key symbol on a button. */
export const kbd = (key) => make("kbd", { "aria-hidden": "true" }, key);

/** "1 image", "12 images". */
export const count = (number, noun) => `${number.toLocaleString("en")} ${noun}${number === 1 ? "" : "s"}`;

/** 0.8417 → "84.2 %". */
export const percent = (fraction, digits = 1) => `${(100 * fraction).toFixed(digits)} %`;

/** The file name at the end of a path. */
export const fileName = (path) => path.slice(path.lastIndexOf("/") + 1);

/** "14:32", in the user's time zone. */
export const clock = (time) => new Date(time).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });

/** The text as a sentence: with a capital letter and a full stop. */
export function sentence(text) {
  const large = text.charAt(0).toUpperCase() + text.slice(1);
  return /[.!?]$/.test(large) ? large : `${large}.`;
}
