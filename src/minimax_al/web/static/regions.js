/** Superpixels of an image: regions of similar colour, at the image's size or coarser. */

import { nearest } from "./raster.js";

export class Regions {
  /** `labels`: number of each pixel's region, row by row, for `width` × `height` pixels that cover the `full` image. */
  constructor(labels, { width, height }, full) {
    Object.assign(this, { labels, width, height });
    this.columns = nearest(full.width, width);
    this.rows = nearest(full.height, height);
    this.boxes = boxes(labels, width);
  }

  /** The number of the region at a pixel of the image; null outside. */
  at(x, y) {
    if (x < 0 || y < 0 || x >= this.columns.length || y >= this.rows.length) return null;
    return this.labels[this.rows[y] * this.width + this.columns[x]];
  }

  /** Calls `span(y, from, to)` for the pixels of a region. */
  spans(region, span) {
    const box = this.boxes.subarray(4 * region, 4 * region + 4);
    const [left, right] = range(this.columns, box[0], box[2]);
    const [top, bottom] = range(this.rows, box[1], box[3]);
    for (let y = top; y < bottom; y += 1) {
      const line = this.rows[y] * this.width;
      let from = -1;
      for (let x = left; x <= right; x += 1) {
        const inside = x < right && this.labels[line + this.columns[x]] === region;
        if (inside && from < 0) from = x;
        if (!inside && from >= 0) {
          span(y, from, x);
          from = -1;
        }
      }
    }
  }
}

/** Left, top, right and bottom (included) of every region, one after the other. */
function boxes(labels, width) {
  let most = 0;
  for (const label of labels) if (label > most) most = label;
  const found = new Int32Array(4 * (most + 1));
  for (let region = 0; region <= most; region += 1) found.set([width, labels.length, -1, -1], 4 * region);
  for (let at = 0; at < labels.length; at += 1) {
    const place = 4 * labels[at];
    const x = at % width;
    const y = (at - x) / width;
    if (x < found[place]) found[place] = x;
    if (y < found[place + 1]) found[place + 1] = y;
    if (x > found[place + 2]) found[place + 2] = x;
    if (y > found[place + 3]) found[place + 3] = y;
  }
  return found;
}

/** The positions (end excluded) whose coarse position, which never decreases, is from `low` to `high`. */
function range(coarse, low, high) {
  const first = (wanted) => {
    let [from, to] = [0, coarse.length];
    while (from < to) {
      const middle = (from + to) >> 1;
      if (coarse[middle] < wanted) from = middle + 1;
      else to = middle;
    }
    return from;
  };
  return [first(low), first(high + 1)];
}
