/** Points drawn pixel by pixel, for browsers without WebGL, or whose WebGL is computed without a graphics card. */

import { ringColour } from "./glpoints.js";

export class PixelPoints {
  constructor(canvas) {
    this.canvas = canvas;
    this.most = 700_000; // pixels of a frame while the view moves
    this.context = canvas.getContext("2d");
    this.points = new Float32Array(0);
    this.layers = [];
    this.image = null;
  }

  setPoints(points) {
    this.points = points;
  }

  setColours(rgb, chosen) {
    const count = chosen.length;
    this.colours = new Uint32Array(count);
    const bytes = new Uint8Array(this.colours.buffer);
    const layers = [0, 1, 2].map(() => new Int32Array(count)); // without a value, with one, chosen
    const sizes = [0, 0, 0];
    for (let index = 0; index < count; index += 1) {
      bytes.set(rgb.subarray(4 * index, 4 * index + 3), 4 * index);
      bytes[4 * index + 3] = 255;
      const number = chosen[index] ? 2 : rgb[4 * index + 3] > 0 ? 1 : 0;
      layers[number][sizes[number]++] = index;
    }
    this.layers = layers.map((layer, number) => layer.subarray(0, sizes[number]));
  }

  paint({ scale, centre, side, size }) {
    const { width, height } = this.canvas;
    if (this.image?.width !== width || this.image?.height !== height) this.image = this.context.createImageData(width, height);
    const pixels = new Uint32Array(this.image.data.buffer);
    pixels.fill(0);
    const unit = (0.96 * scale * side) / 2;
    const [left, top] = [width / 2 - centre[0] * unit, height / 2 + centre[1] * unit];
    const ring = new Uint32Array(new Uint8Array([...ringColour().map((share) => 255 * share), 255]).buffer)[0];
    this.layers.forEach((layer, number) => {
      const half = Math.max(1, Math.round(number === 2 ? size * 0.75 + 1 : size / 2));
      const { points, colours } = this;
      for (const index of layer) {
        const x = Math.round(left + points[2 * index] * unit);
        const y = Math.round(top - points[2 * index + 1] * unit);
        if (x < -half || y < -half || x >= width + half || y >= height + half) continue;
        if (number === 2) square(pixels, width, height, x, y, half + 1, ring);
        square(pixels, width, height, x, y, half, colours[index]);
      }
    });
    this.context.putImageData(this.image, 0, 0);
  }
}

/** Fills a square; for a few pixels, writing each is faster than a call that fills a row. */
function square(pixels, width, height, x, y, half, colour) {
  const left = x < half ? 0 : x - half;
  const right = x + half > width ? width : x + half;
  const top = y < half ? 0 : y - half;
  const bottom = y + half > height ? height : y + half;
  for (let row = top; row < bottom; row += 1) {
    const start = row * width;
    for (let at = start + left; at < start + right; at += 1) pixels[at] = colour;
  }
}
