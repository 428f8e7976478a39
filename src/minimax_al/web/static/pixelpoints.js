/** Points drawn pixel by pixel, for browsers without WebGL. */

import { ringColour } from "./glpoints.js";

export class PixelPoints {
  constructor(canvas) {
    this.canvas = canvas;
    this.context = canvas.getContext("2d");
    this.points = new Float32Array(0);
    this.layers = [[], [], []];
    this.image = null;
  }

  setPoints(points) {
    this.points = points;
  }

  setColours(rgb, chosen) {
    const count = chosen.length;
    this.colours = new Uint32Array(count);
    const bytes = new Uint8Array(this.colours.buffer);
    const layers = [[], [], []]; // without a value, with one, chosen
    for (let index = 0; index < count; index += 1) {
      bytes.set(rgb.subarray(4 * index, 4 * index + 3), 4 * index);
      bytes[4 * index + 3] = 255;
      layers[chosen[index] ? 2 : rgb[4 * index + 3] > 0 ? 1 : 0].push(index);
    }
    this.layers = layers;
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
      for (const index of layer) {
        const x = Math.round(left + this.points[2 * index] * unit);
        const y = Math.round(top - this.points[2 * index + 1] * unit);
        if (x < -half || y < -half || x >= width + half || y >= height + half) continue;
        if (number === 2) square(pixels, width, height, x, y, half + 1, ring);
        square(pixels, width, height, x, y, half, this.colours[index]);
      }
    });
    this.context.putImageData(this.image, 0, 0);
  }
}

function square(pixels, width, height, x, y, half, colour) {
  const [from, to] = [Math.max(0, x - half), Math.min(width, x + half)];
  for (let row = Math.max(0, y - half); row < Math.min(height, y + half); row += 1) pixels.fill(colour, row * width + from, row * width + to);
}
