/** Class numbers of an image's pixels, with a journal of changes and a dirty rectangle. */

export const VOID = 255; // ignored by training, and the value of pixels that nobody has drawn

const FIRST_RUNS = 256;

export class Raster {
  /** `pixels`: class numbers row by row; by default void everywhere. */
  constructor(width, height, pixels = new Uint8Array(width * height).fill(VOID)) {
    Object.assign(this, { width, height, pixels, journal: null, onlyVoid: false });
    this.counts = new Float64Array(256); // pixels per class number
    for (const value of pixels) this.counts[value] += 1;
    this.dirty = null; // { left, top, right, bottom } of the pixels that have changed
  }

  /** The class number of a pixel; null outside of the image. */
  at(x, y) {
    return x >= 0 && y >= 0 && x < this.width && y < this.height ? this.pixels[y * this.width + x] : null;
  }

  /** Gives the pixels `from` to `to` (excluded) of a row a class number; with `onlyVoid`, only those that are void. */
  span(row, from, to, value) {
    if (row < 0 || row >= this.height) return;
    const start = row * this.width;
    const end = start + Math.min(to, this.width);
    let at = start + Math.max(0, from);
    const { pixels, onlyVoid } = this;
    while (at < end) {
      const old = pixels[at];
      let next = at + 1;
      while (next < end && pixels[next] === old) next += 1;
      if (old !== value && !(onlyVoid && old !== VOID)) this.#write(at, next, old, value);
      at = next;
    }
  }

  /** Gives a run of pixels another class number; all of them have `old`. */
  #write(start, end, old, value) {
    this.pixels.fill(value, start, end);
    this.journal?.add(start, end - start, old, value);
    this.#note(start, end, old, value);
  }

  #note(start, end, old, value) {
    this.counts[old] -= end - start;
    this.counts[value] += end - start;
    const [top, bottom] = [Math.floor(start / this.width), Math.floor((end - 1) / this.width) + 1];
    const alone = bottom - top === 1;
    this.touch({
      top,
      bottom,
      left: alone ? start - top * this.width : 0,
      right: alone ? end - top * this.width : this.width,
    });
  }

  /** Adds a rectangle to the dirty one. */
  touch({ left, top, right, bottom }) {
    const known = this.dirty ?? { left: Infinity, top: Infinity, right: 0, bottom: 0 };
    this.dirty = {
      left: Math.min(known.left, left),
      top: Math.min(known.top, top),
      right: Math.max(known.right, right),
      bottom: Math.max(known.bottom, bottom),
    };
  }

  /** The rectangle that has changed since the last call; null if nothing has. */
  takeDirty() {
    const { dirty } = this;
    this.dirty = null;
    return dirty;
  }

  /** Gives the 4-connected region of equal class numbers around a pixel another class number. */
  fill(x, y, value) {
    const old = this.at(x, y);
    if (old === null || old === value || (this.onlyVoid && old !== VOID)) return;
    const { pixels, width, height } = this;
    const stack = [y * width + x];
    while (stack.length > 0) {
      const seed = stack.pop();
      if (pixels[seed] !== old) continue;
      const row = seed - (seed % width);
      let from = seed;
      let to = seed + 1;
      while (from > row && pixels[from - 1] === old) from -= 1;
      while (to < row + width && pixels[to] === old) to += 1;
      this.#write(from, to, old, value);
      for (const next of [row - width, row + width]) {
        if (next < 0 || next >= width * height) continue;
        // One seed for each run of the region above or below this span.
        for (let at = from - row + next; at < to - row + next; at += 1) {
          if (pixels[at] === old && (at === from - row + next || pixels[at - 1] !== old)) stack.push(at);
        }
      }
    }
  }

  /** Takes the class numbers of another map of the same scene, by nearest neighbour; its void pixels only with `withVoid`. */
  take(map, withVoid = false) {
    const columns = nearest(this.width, map.width);
    const rows = nearest(this.height, map.height);
    for (let y = 0; y < this.height; y += 1) {
      const line = rows[y] * map.width;
      let from = 0;
      for (let x = 1; x <= this.width; x += 1) {
        const value = map.pixels[line + columns[from]];
        if (x < this.width && map.pixels[line + columns[x]] === value) continue;
        if (value !== VOID || withVoid) this.span(y, from, x, value);
        from = x;
      }
    }
  }

  /** Starts a change that can be undone; returns the journal of its runs. */
  begin() {
    this.journal = new Runs();
    return this.journal;
  }

  /** Ends the change; returns its runs, or null if no pixel has changed. */
  end() {
    const runs = this.journal?.packed() ?? null;
    this.journal = null;
    return runs !== null && runs.length > 0 ? runs : null;
  }

  /** Applies runs, forwards or backwards. */
  apply(runs, forwards) {
    for (let index = 0; index < runs.length; index += 3) {
      const [start, length, values] = [runs[index], runs[index + 1], runs[index + 2]];
      const [old, value] = forwards ? [values & 255, values >> 8] : [values >> 8, values & 255];
      this.pixels.fill(value, start, start + length);
      this.#note(start, start + length, old, value);
    }
  }
}

/** For each of `large` positions the nearest of `small` ones that cover the same length. */
export function nearest(large, small) {
  return Int32Array.from({ length: large }, (_, at) => Math.min(small - 1, Math.floor(((at + 0.5) * small) / large)));
}

/** Growing list of runs: start, length, and old and new class number. */
class Runs {
  constructor() {
    this.values = new Uint32Array(3 * FIRST_RUNS);
    this.used = 0;
  }

  add(start, length, old, value) {
    if (this.used === this.values.length) {
      const larger = new Uint32Array(2 * this.used);
      larger.set(this.values);
      this.values = larger;
    }
    this.values.set([start, length, old | (value << 8)], this.used);
    this.used += 3;
  }

  /** The runs by position, with neighbours joined. A pixel changes once in a change, so that no runs overlap. */
  packed() {
    const count = this.used / 3;
    const order = Uint32Array.from({ length: count }, (_, run) => run).sort((one, other) => this.values[3 * one] - this.values[3 * other]);
    const packed = new Uint32Array(this.used);
    let used = 0;
    for (const run of order) {
      const [start, length, values] = this.values.subarray(3 * run, 3 * run + 3);
      if (used > 0 && packed[used - 3] + packed[used - 2] === start && packed[used - 1] === values) packed[used - 2] += length;
      else {
        packed.set([start, length, values], used);
        used += 3;
      }
    }
    return packed.slice(0, used);
  }
}
