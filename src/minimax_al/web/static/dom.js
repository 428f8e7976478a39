/** Elements, and the few words that every module needs. */

const SVG = "http://www.w3.org/2000/svg";

/** The element with this id. */
export const byId = (id) => document.getElementById(id);

/** An element: `make("button", { class: "quiet", onclick: f }, "Undo")`. Absent, null and false attributes are left out. */
export function make(tag, attributes = {}, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

/** Likewise, of SVG. */
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

/** A key as it is printed on a button. */
export const kbd = (key) => make("kbd", { "aria-hidden": "true" }, key);

/** "1 image", "12 images". */
export const count = (number, noun) => `${number.toLocaleString("en")} ${noun}${number === 1 ? "" : "s"}`;

/** 0.8417 → "84.2 %". */
export const percent = (fraction, digits = 1) => `${(100 * fraction).toFixed(digits)} %`;

/** The end of a path: what a person calls the file. */
export const fileName = (path) => path.slice(path.lastIndexOf("/") + 1);

/** "14:32", in the reader's own time. */
export const clock = (time) => new Date(time).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });

/** A sentence with its first letter large and a full stop at its end. */
export function sentence(text) {
  const large = text.charAt(0).toUpperCase() + text.slice(1);
  return /[.!?]$/.test(large) ? large : `${large}.`;
}
