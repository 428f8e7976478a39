/**
 * Tools to draw with. Each has `start(point, { erases })`, `move(points)`, `end(point)`, `cancel()`, `abort()` and `hint(context)`.
 *
 * Tools work on a desk: { raster, edits, surface, regions, size, ink, isOpen, settle() }; `settle` is called after
 * every finished step. Points are in pixels of the image.
 */

import { VOID } from "./raster.js";
import { polygon, snap, stroke } from "./shapes.js";

const CLOSE = 8; // CSS pixels around the first corner in which a click closes a polygon
const LASSO = 3; // CSS pixels between the corners of a polygon that is drawn without lifting the pointer

/** Common behaviour: a step from press to release. */
class Tool {
  constructor(desk) {
    Object.assign(this, { desk, value: VOID, at: null, drawing: false });
  }

  start(point, { erases = false } = {}) {
    this.drawing = true;
    this.value = erases ? VOID : this.desk.ink;
    this.desk.edits.begin();
    this.press(point);
    this.desk.show();
  }

  move(points) {
    this.at = points.at(-1);
    if (!this.drawing) return;
    for (const point of points) this.drag(point);
    this.desk.show();
  }

  end() {
    if (!this.drawing) return;
    this.drawing = false;
    if (this.desk.edits.end()) this.desk.settle();
  }

  cancel() {
    if (!this.drawing) return;
    this.drawing = false;
    this.desk.edits.cancel();
    this.desk.show();
  }

  /** Takes back what was done since the press. */
  abort() {
    this.cancel();
  }

  hover(point) {
    this.at = point;
  }

  press() {}
  drag() {}
  hint() {}

  /** Paints a span with the value of this step. */
  get span() {
    const { raster } = this.desk;
    return (row, from, to) => raster.span(row, from, to, this.value);
  }
}

/** Paints the pixels within half its size of the pointer's way. */
export class Brush extends Tool {
  press(point) {
    this.last = snap(...point, this.desk.size);
    stroke(this.last, this.last, this.desk.size, this.span);
  }

  drag(point) {
    const next = snap(...point, this.desk.size);
    if (next[0] === this.last[0] && next[1] === this.last[1]) return;
    stroke(this.last, next, this.desk.size, this.span);
    this.last = next;
  }

  hint(context) {
    if (this.at === null) return;
    const { surface, size } = this.desk;
    const [x, y] = snap(...this.at, size).map((half) => half / 2);
    const [left, top] = surface.toStage(x, y);
    outline(context, (path) => path.arc(left, top, Math.max(1.5, (size / 2) * surface.scale), 0, 2 * Math.PI));
  }
}

/** Paints void. */
export class Eraser extends Brush {
  start(point) {
    super.start(point, { erases: true });
  }
}

/** Paints the connected region of one class around the pointer. */
export class Fill extends Tool {
  press([x, y]) {
    this.desk.raster.fill(Math.floor(x), Math.floor(y), this.value);
  }
}

/** Paints every superpixel that the pointer passes, those between two of its positions too. */
export class Superpixels extends Tool {
  press(point) {
    this.last = null;
    this.from = point;
    this.drag(point);
  }

  drag(point) {
    const [x, y] = this.from;
    const [dx, dy] = [point[0] - x, point[1] - y];
    const steps = Math.max(1, Math.ceil(Math.max(Math.abs(dx), Math.abs(dy))));
    for (let step = 1; step <= steps; step += 1) this.#pass(x + (dx * step) / steps, y + (dy * step) / steps);
    this.from = point;
  }

  #pass(x, y) {
    const region = this.desk.regions?.at(Math.floor(x), Math.floor(y)) ?? null;
    if (region === null || region === this.last) return;
    this.desk.regions.spans(region, this.span);
    this.last = region;
  }

  hint(context) {
    if (this.at === null || this.desk.regions === null) return;
    const region = this.desk.regions.at(...this.at.map(Math.floor));
    if (region === null) return;
    const { surface } = this.desk;
    context.fillStyle = "rgb(255 255 255 / 0.45)";
    this.desk.regions.spans(region, (row, from, to) => {
      const [left, top] = surface.toStage(from, row);
      context.fillRect(left, top, (to - from) * surface.scale, surface.scale);
    });
  }
}

/** Paints the inside of a polygon: click for each corner, or draw its outline without lifting the pointer. */
export class Polygon extends Tool {
  constructor(desk) {
    super(desk);
    this.corners = [];
  }

  start(point, { erases = false } = {}) {
    const [first] = this.corners;
    if (this.corners.length >= 3 && this.#near(first, point, CLOSE)) {
      this.close();
      return;
    }
    if (this.corners.length === 0) this.value = erases ? VOID : this.desk.ink;
    this.before = this.corners.length;
    this.drawing = true;
    this.dragged = false;
    this.corners.push(point);
    this.desk.surface.redraw("hints");
  }

  drag(point) {
    if (this.#near(this.corners.at(-1), point, LASSO)) return;
    this.dragged = true;
    this.corners.push(point);
  }

  /** A released outline with an area is a whole polygon. */
  end() {
    if (!this.drawing) return;
    this.drawing = false;
    if (this.dragged && this.corners.length >= 8) this.close();
  }

  cancel() {
    this.drawing = false;
    this.corners = [];
    this.desk.surface.redraw("hints");
  }

  /** Takes back the corners of this press: a pinch in between must not lose the others. */
  abort() {
    if (this.drawing) this.corners.length = this.before;
    this.drawing = false;
    this.desk.surface.redraw("hints");
  }

  /** Whether corners are set. */
  get isOpen() {
    return this.corners.length > 0;
  }

  /** Removes the last corner. */
  back() {
    this.corners.pop();
    this.desk.surface.redraw("hints");
  }

  /** Paints the inside; fewer than three corners paint nothing. */
  close() {
    const { corners } = this;
    this.drawing = false;
    this.corners = [];
    if (corners.length >= 3) {
      const { raster, edits } = this.desk;
      if (edits.run(() => polygon(corners, raster.height, this.span))) this.desk.settle();
    }
    this.desk.show();
    this.desk.surface.redraw("hints");
  }

  hint(context) {
    if (this.corners.length === 0) return;
    const { surface } = this.desk;
    const points = [...this.corners, ...(this.at === null ? [] : [this.at])].map(([x, y]) => surface.toStage(x, y));
    outline(context, (path) => points.forEach(([x, y], index) => (index === 0 ? path.moveTo(x, y) : path.lineTo(x, y))));
    context.fillStyle = "#fff";
    for (const [x, y] of points.slice(0, this.corners.length)) context.fillRect(x - 2.5, y - 2.5, 5, 5);
    if (this.corners.length >= 3) outline(context, (path) => path.arc(...points[0], CLOSE, 0, 2 * Math.PI));
  }

  #near([x1, y1], [x2, y2], distance) {
    return Math.hypot(x1 - x2, y1 - y2) * this.desk.surface.scale <= distance;
  }
}

/** Draws a line that is visible on any ground: black under white. */
export function outline(context, trace) {
  for (const [width, colour] of [[3, "rgb(0 0 0 / 0.7)"], [1, "#fff"]]) {
    context.beginPath();
    trace(context);
    context.lineWidth = width;
    context.strokeStyle = colour;
    context.stroke();
  }
}
