/** Pointer and keys on the map: drag to move, draw around points to select them; with keys, a circle does the same. */

import { draw } from "./dom.js";
import { MOVES } from "./keys.js";

const NEAR = 6; // pixels between two corners of a lasso
const STILL = 4; // pixels that a click may move
const REST = 120; // milliseconds of rest before the image under the pointer is shown
const SHARE = 1 / 20; // of the map's shorter side that an arrow key moves the circle
const GROWTH = 1.25;

export class Lasso {
  /**
   * On a `PointMap`, with an SVG layer above it. `onSelect(positions, adds)`: points were selected; `onPoint(position)`:
   * a point was clicked; `onRest(position)`: the pointer rests on a point, or -1; `say(words)`: for screen readers.
   */
  constructor(map, layer, { onSelect, onPoint, onRest, say }) {
    Object.assign(this, { map, layer, onSelect, onPoint, onRest, say });
    this.drawing = false; // whether a drag draws a lasso rather than moves the map
    this.corners = null;
    this.circle = null; // { at, radius } in pixels of the canvas
    this.pointers = new Map();
    this.rest = null;
    this.#listen();
  }

  #listen() {
    const { canvas } = this.map;
    canvas.addEventListener("pointerdown", (event) => this.#down(event));
    canvas.addEventListener("pointermove", (event) => this.#move(event));
    canvas.addEventListener("pointerup", (event) => this.#up(event, true));
    canvas.addEventListener("pointercancel", (event) => this.#up(event, false));
    canvas.addEventListener("pointerleave", () => this.#restOn(-1));
    canvas.addEventListener("wheel", (event) => this.#wheel(event), { passive: false });
    canvas.addEventListener("keydown", (event) => this.#key(event));
    canvas.addEventListener("blur", () => this.#drop());
  }

  #at({ clientX, clientY }) {
    const box = this.map.canvas.getBoundingClientRect();
    return [clientX - box.left, clientY - box.top];
  }

  #down(event) {
    if (event.button > 0) return;
    const at = this.#at(event);
    this.map.canvas.setPointerCapture(event.pointerId);
    this.pointers.set(event.pointerId, { at, from: at, moved: false });
    this.#drop();
    if (this.pointers.size > 1) this.corners = null;
    else if (this.drawing || event.shiftKey) this.corners = [at];
  }

  #move(event) {
    const at = this.#at(event);
    const held = this.pointers.get(event.pointerId);
    if (held === undefined) {
      clearTimeout(this.rest);
      this.rest = setTimeout(() => this.#restOn(this.map.nearest(at)), REST);
      return;
    }
    held.moved ||= Math.hypot(at[0] - held.from[0], at[1] - held.from[1]) > STILL;
    if (this.pointers.size === 2) this.#pinch(event.pointerId, at);
    else if (this.corners !== null) this.#corner(at);
    else if (held.moved) this.map.pan(at[0] - held.at[0], at[1] - held.at[1]);
    held.at = at;
  }

  #corner(at) {
    const last = this.corners[this.corners.length - 1];
    if (Math.hypot(at[0] - last[0], at[1] - last[1]) < NEAR) return;
    this.corners.push(at);
    this.layer.replaceChildren(draw("polygon", { points: this.corners.join(" ") }));
  }

  #pinch(id, at) {
    const other = [...this.pointers].find(([key]) => key !== id)[1].at;
    const before = this.pointers.get(id).at;
    const apart = (one) => Math.max(1, Math.hypot(one[0] - other[0], one[1] - other[1]));
    this.map.zoom(Math.log(apart(at) / apart(before)) / Math.log(1.25), [(at[0] + other[0]) / 2, (at[1] + other[1]) / 2]);
  }

  #up(event, counts) {
    const held = this.pointers.get(event.pointerId);
    this.pointers.delete(event.pointerId);
    const { corners } = this;
    this.corners = null;
    this.layer.replaceChildren();
    if (held === undefined || !counts) return;
    if (corners !== null && corners.length > 2) this.onSelect(this.map.inside(corners), event.ctrlKey || event.metaKey);
    else if (!held.moved) {
      const position = this.map.nearest(held.from);
      if (position >= 0) this.onPoint(position);
    }
  }

  #wheel(event) {
    event.preventDefault();
    this.map.zoom(-event.deltaY * (event.deltaMode === 1 ? 16 : 1) / 120, this.#at(event));
  }

  #restOn(position) {
    clearTimeout(this.rest);
    this.onRest(position);
  }

  #key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const act = {
      "+": () => this.map.zoom(1, this.circle?.at), "=": () => this.map.zoom(1, this.circle?.at),
      "-": () => this.map.zoom(-1, this.circle?.at), "−": () => this.map.zoom(-1, this.circle?.at),
      f: () => this.map.fit(), "[": () => this.#grow(1 / GROWTH), "]": () => this.#grow(GROWTH),
      Enter: () => this.#take(event.shiftKey), " ": () => this.#take(event.shiftKey),
    };
    if (event.key in MOVES) this.#step(...MOVES[event.key]);
    else if (event.key in act) act[event.key]();
    else if (event.key === "Escape" && this.circle !== null) this.#drop();
    else return; // Tab, and the page's own keys
    event.preventDefault();
    event.stopPropagation();
  }

  #side() {
    return Math.min(this.map.canvas.clientWidth, this.map.canvas.clientHeight);
  }

  /** The circle of the keyboard; it begins in the middle. */
  #ring() {
    this.circle ??= { at: [this.map.canvas.clientWidth / 2, this.map.canvas.clientHeight / 2], radius: this.#side() / 10 };
    return this.circle;
  }

  #step(dx, dy) {
    const first = this.circle === null;
    const ring = this.#ring();
    const by = first ? 0 : this.#side() * SHARE;
    const { clientWidth: width, clientHeight: height } = this.map.canvas;
    ring.at = [ring.at[0] + dx * by, ring.at[1] + dy * by];
    const inside = [Math.min(width, Math.max(0, ring.at[0])), Math.min(height, Math.max(0, ring.at[1]))];
    this.map.pan(inside[0] - ring.at[0], inside[1] - ring.at[1]); // at the edge, the map moves instead
    ring.at = inside;
    this.#show();
  }

  #grow(factor) {
    const ring = this.#ring();
    ring.radius = Math.min(this.#side(), Math.max(4, ring.radius * factor));
    this.#show();
  }

  #corners() {
    const { at, radius } = this.#ring();
    return Array.from({ length: 32 }, (_, index) => {
      const angle = (2 * Math.PI * index) / 32;
      return [at[0] + radius * Math.cos(angle), at[1] + radius * Math.sin(angle)];
    });
  }

  #show() {
    this.layer.replaceChildren(draw("polygon", { points: this.#corners().join(" ") }));
    const inside = this.map.inside(this.#corners()).length;
    this.say(`${inside.toLocaleString("en")} ${inside === 1 ? "image" : "images"} in the circle`);
  }

  #take(adds) {
    if (this.circle === null) this.#show();
    this.onSelect(this.map.inside(this.#corners()), adds);
  }

  #drop() {
    this.circle = null;
    this.layer.replaceChildren();
  }
}
