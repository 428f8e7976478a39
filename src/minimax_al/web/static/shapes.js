/**
 * Shapes as spans of pixels: `span(y, from, to)` is called for each row, `to` excluded.
 *
 * A pixel belongs to a shape if its centre does. Nothing is anti-aliased: a pixel of a mask has one class.
 */

/** Snaps a point to a pixel's centre (odd sizes) or corner (even sizes), in half pixels, so that strokes are symmetric. */
export function snap(x, y, size) {
  return size % 2 === 1 ? [2 * Math.floor(x) + 1, 2 * Math.floor(y) + 1] : [2 * Math.round(x), 2 * Math.round(y)];
}

/**
 * The pixels within `size / 2` of the segment from (ax, ay) to (bx, by).
 *
 * Points are integers in half pixels, as `snap` returns them; the centre of pixel (x, y) is (2x + 1, 2y + 1). The test
 * is in integers, which are exact below 2^53, so that the result does not depend on rounding.
 */
export function stroke([ax, ay], [bx, by], size, span) {
  const [dx, dy] = [bx - ax, by - ay];
  const length2 = dx * dx + dy * dy;
  const radius2 = size * size;
  const isInside = (x, y) => {
    const [px, py] = [x - ax, y - ay];
    const along = px * dx + py * dy;
    if (along <= 0) return px * px + py * py <= radius2;
    if (along >= length2) return (x - bx) ** 2 + (y - by) ** 2 <= radius2;
    return (px * dy - py * dx) ** 2 <= radius2 * length2;
  };
  const first = Math.ceil((Math.min(ay, by) - size - 1) / 2);
  const last = Math.floor((Math.max(ay, by) + size - 1) / 2);
  for (let row = first; row <= last; row += 1) {
    const y = 2 * row + 1;
    const [low, high] = reach(y, { ax, ay, bx, by, dx, dy, length2, size });
    if (low > high) continue;
    // The shape is convex, so that each row is one span; its ends are estimated in floating point and then corrected.
    let from = Math.ceil((low - 1) / 2) - 1;
    let to = Math.floor((high - 1) / 2) + 1;
    while (from <= to && !isInside(2 * from + 1, y)) from += 1;
    while (to >= from && !isInside(2 * to + 1, y)) to -= 1;
    if (from <= to) span(row, from, to + 1);
  }
}

/** The smallest and largest x of a stroke at height y, in half pixels; low > high if it does not reach there. */
function reach(y, { ax, ay, bx, by, dx, dy, length2, size }) {
  let [low, high] = [Infinity, -Infinity];
  for (const [cx, cy] of [[ax, ay], [bx, by]]) {
    const half2 = size * size - (y - cy) ** 2;
    if (half2 < 0) continue;
    low = Math.min(low, cx - Math.sqrt(half2));
    high = Math.max(high, cx + Math.sqrt(half2));
  }
  const [from, to] = between(y - ay, dx, dy, length2, size * Math.sqrt(length2));
  return from > to ? [low, high] : [Math.min(low, ax + from), Math.max(high, ax + to)];
}

/** The part of the straight middle at height h above its start, relative to the start's x. */
function between(h, dx, dy, length2, wide) {
  let [low, high] = [-Infinity, Infinity];
  if (length2 === 0) return [1, 0];
  if (dy === 0) {
    if (Math.abs(dx * h) > wide) return [1, 0];
  } else {
    const ends = [(dx * h - wide) / dy, (dx * h + wide) / dy];
    [low, high] = [Math.min(...ends), Math.max(...ends)];
  }
  if (dx === 0) return h * dy < 0 || h * dy > length2 ? [1, 0] : [low, high];
  const ends = [-(h * dy) / dx, (length2 - h * dy) / dx];
  return [Math.max(low, Math.min(...ends)), Math.min(high, Math.max(...ends))];
}

/**
 * The pixels whose centres are inside of a polygon by the even-odd rule.
 *
 * A centre on an edge belongs to the polygon to its right, or below it, so that neighbours with a common edge share no
 * pixel and leave none between them. Points are [x, y] in pixels; they may lie outside of the image.
 */
export function polygon(points, height, span) {
  const ys = points.map(([, y]) => y);
  const first = Math.max(0, Math.ceil(Math.min(...ys) - 0.5));
  const last = Math.min(height - 1, Math.floor(Math.max(...ys) - 0.5));
  const edges = points.map((point, index) => [point, points[(index + 1) % points.length]]);
  for (let row = first; row <= last; row += 1) {
    const y = row + 0.5;
    const crossings = [];
    for (const [[x1, y1], [x2, y2]] of edges) {
      if (y1 <= y === y2 <= y) continue;
      // From the upper end, whatever the direction: neighbours must compute the same crossing of a common edge.
      crossings.push(y1 < y2 ? x1 + ((y - y1) * (x2 - x1)) / (y2 - y1) : x2 + ((y - y2) * (x1 - x2)) / (y1 - y2));
    }
    crossings.sort((one, other) => one - other);
    for (let index = 0; index + 1 < crossings.length; index += 2) {
      const [from, to] = [Math.ceil(crossings[index] - 0.5), Math.ceil(crossings[index + 1] - 0.5)];
      if (from < to) span(row, from, to);
    }
  }
}
