/** A map of points on a canvas: drawn by WebGL, or pixel by pixel where WebGL is not available. */

import { GlPoints } from "./glpoints.js";
import { PixelPoints } from "./pixelpoints.js";

const MOST = 60; // largest enlargement
const STEP = 1.25;
const REST = 150; // milliseconds after the last movement before the map is drawn in full resolution
const CELLS = 128; // per side, of the grid that finds points by position

export class PointMap {
  /** `onView()`: the view has moved. */
  constructor(canvas, onView = () => undefined) {
    this.canvas = canvas;
    this.onView = onView;
    this.items = new Int32Array(0);
    this.points = new Float32Array(0);
    this.chosen = new Uint8Array(0);
    this.scale = 1;
    this.centre = [0, 0];
    this.asked = null;
    this.resting = null; // timer that ends a movement
    this.frames = 0; // drawn so far, for measurements
    this.painter = GlPoints.on(canvas) ?? new PixelPoints(canvas);
    canvas.addEventListener("webglcontextrestored", () => {
      this.painter = GlPoints.on(canvas) ?? this.painter;
      this.#send();
    });
    new ResizeObserver(() => this.draw()).observe(canvas);
  }

  /** Shows these points; coordinates are in [-1, 1]. */
  setPoints(items, points) {
    this.items = items;
    this.points = points;
    this.chosen = new Uint8Array(items.length);
    this.rgb = new Uint8Array(4 * items.length);
    this.#index();
    this.#send();
  }

  /** Colours the points: 4 bytes each, red, green, blue, and 255 for those that lie on top. */
  setColours(rgb) {
    this.rgb = rgb;
    this.painter.setColours(rgb, this.chosen);
    this.draw();
  }

  /** Marks the points with these positions as chosen. */
  choose(positions) {
    this.chosen.fill(0);
    for (const position of positions) this.chosen[position] = 1;
    this.painter.setColours(this.rgb, this.chosen);
    this.draw();
  }

  /** Draws before the next frame. */
  draw() {
    this.asked ??= requestAnimationFrame(() => {
      this.asked = null;
      this.paint();
    });
  }

  /** Draws now. */
  paint() {
    const ratio = this.#ratio();
    const [width, height] = [Math.round(this.canvas.clientWidth * ratio), Math.round(this.canvas.clientHeight * ratio)];
    if (width === 0 || height === 0) return;
    if (this.canvas.width !== width || this.canvas.height !== height) Object.assign(this.canvas, { width, height });
    this.painter.paint({ scale: this.scale, centre: this.centre, side: Math.min(width, height), size: this.#size(ratio) });
    this.frames += 1;
    this.onView();
  }

  /** Shows the whole map. */
  fit() {
    this.#look(1, [0, 0]);
  }

  /** Zooms by steps about a point of the canvas, by default its middle. */
  zoom(steps, at = [this.canvas.clientWidth / 2, this.canvas.clientHeight / 2]) {
    const before = this.toMap(at);
    const scale = Math.min(MOST, Math.max(1, this.scale * STEP ** steps));
    this.#look(scale, this.centre);
    const after = this.toMap(at);
    this.#look(scale, [this.centre[0] + before[0] - after[0], this.centre[1] + before[1] - after[1]]);
  }

  /** Moves the view by pixels of the screen. */
  pan(dx, dy) {
    const unit = this.#unit();
    this.#look(this.scale, [this.centre[0] - dx / unit, this.centre[1] + dy / unit]);
  }

  /** The position on the map of a point of the canvas, in pixels of the screen. */
  toMap([x, y]) {
    const unit = this.#unit();
    return [this.centre[0] + (x - this.canvas.clientWidth / 2) / unit, this.centre[1] - (y - this.canvas.clientHeight / 2) / unit];
  }

  /** The point of the canvas of a position on the map. */
  toCanvas([x, y]) {
    const unit = this.#unit();
    return [this.canvas.clientWidth / 2 + (x - this.centre[0]) * unit, this.canvas.clientHeight / 2 - (y - this.centre[1]) * unit];
  }

  /** The position in the list of the point nearest to a point of the canvas, within `reach` pixels; -1 without one. */
  nearest(at, reach = 9) {
    const [x, y] = this.toMap(at);
    const radius = reach / this.#unit();
    let best = -1;
    let least = radius * radius;
    for (const position of this.#around(x - radius, y - radius, x + radius, y + radius)) {
      const distance = (this.points[2 * position] - x) ** 2 + (this.points[2 * position + 1] - y) ** 2;
      if (distance <= least) [best, least] = [position, distance];
    }
    return best;
  }

  /** Positions in the list of the points inside a polygon of points of the canvas. */
  inside(polygon) {
    const corners = polygon.map((corner) => this.toMap(corner));
    const [xs, ys] = [corners.map(([x]) => x), corners.map(([, y]) => y)];
    const found = [];
    for (const position of this.#around(Math.min(...xs), Math.min(...ys), Math.max(...xs), Math.max(...ys))) {
      if (contains(corners, this.points[2 * position], this.points[2 * position + 1])) found.push(position);
    }
    return found.sort((one, other) => one - other);
  }

  /** Pixels of the canvas per pixel of the screen: fewer while the view moves, where each pixel costs time. */
  #ratio() {
    const full = Math.min(2, devicePixelRatio || 1);
    const area = this.canvas.clientWidth * this.canvas.clientHeight;
    return this.resting === null || area === 0 ? full : Math.min(full, Math.sqrt(this.painter.most / area));
  }

  /** Notes that the view moves; once it rests, it is drawn in full resolution. */
  #move() {
    clearTimeout(this.resting);
    this.resting = setTimeout(() => {
      this.resting = null;
      this.draw();
    }, REST);
  }

  #look(scale, [x, y]) {
    this.#move();
    this.scale = scale;
    const limit = 1.05 - 0.5 / scale;
    this.centre = [x, y].map((value) => Math.min(limit, Math.max(-limit, scale === 1 ? 0 : value)));
    this.draw();
  }

  /** Pixels of the screen per unit of the map. */
  #unit() {
    return (0.96 * this.scale * Math.min(this.canvas.clientWidth, this.canvas.clientHeight)) / 2;
  }

  #size(ratio) {
    const many = this.items.length > 20_000 ? 2 : this.items.length > 2_000 ? 4 : 7;
    return ratio * Math.min(12, many * Math.sqrt(this.scale) ** 0.8);
  }

  #send() {
    this.painter.setPoints(this.points);
    this.painter.setColours(this.rgb, this.chosen);
    this.draw();
  }

  /** Sorts the points into the cells of a grid, so that a search need not read all of them. */
  #index() {
    const count = this.items.length;
    this.cell = new Int32Array(CELLS * CELLS + 1);
    const cellOf = (index) => place(this.points[2 * index + 1]) * CELLS + place(this.points[2 * index]);
    for (let index = 0; index < count; index += 1) this.cell[cellOf(index) + 1] += 1;
    for (let cell = 0; cell < CELLS * CELLS; cell += 1) this.cell[cell + 1] += this.cell[cell];
    const next = this.cell.slice();
    this.sorted = new Int32Array(count);
    for (let index = 0; index < count; index += 1) this.sorted[next[cellOf(index)]++] = index;
  }

  *#around(left, bottom, right, top) {
    if (this.items.length === 0) return;
    for (let row = place(bottom); row <= place(top); row += 1) {
      for (let column = place(left); column <= place(right); column += 1) {
        const cell = row * CELLS + column;
        for (let at = this.cell[cell]; at < this.cell[cell + 1]; at += 1) yield this.sorted[at];
      }
    }
  }
}

const place = (value) => Math.min(CELLS - 1, Math.max(0, Math.floor(((value + 1) / 2) * CELLS)));

/** Whether a polygon contains a point (even-odd rule). */
export function contains(corners, x, y) {
  let inside = false;
  for (let index = 0, before = corners.length - 1; index < corners.length; before = index, index += 1) {
    const [[x1, y1], [x2, y2]] = [corners[index], corners[before]];
    if (y1 > y !== y2 > y && x < ((x2 - x1) * (y - y1)) / (y2 - y1) + x1) inside = !inside;
  }
  return inside;
}
