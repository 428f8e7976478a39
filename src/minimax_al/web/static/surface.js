/** Surface to draw on: an image, classes and uncertainty over it, and hints, on canvases of the stage's size. */

import { imageUrl, previewUrl, thumbnailUrl } from "./api.js";
import { make } from "./dom.js";
import { VOID } from "./raster.js";

const STEP = 1.4;
const LARGEST = 48; // CSS pixels per pixel of the image
const PREVIEW = 2048; // longer side of a preview; smaller images are their own
const KEPT = 4; // images kept after they were shown or loaded ahead

const ready = new Map(); // address → image, oldest first

/** Loads an image, or returns it from the few that are kept. */
function load(url) {
  const image = ready.get(url) ?? Object.assign(new Image(), { src: url });
  ready.delete(url);
  ready.set(url, image);
  while (ready.size > KEPT) ready.delete(ready.keys().next().value);
  return image.decode().then(() => image, (error) => {
    ready.delete(url);
    throw error;
  });
}

/** Loads the previews of images before they are shown. */
export function preload(items) {
  for (const item of items.slice(0, 3)) load(previewUrl(item)).catch(() => undefined);
}

export class Surface {
  /** Builds the surface in `root`. `onZoom(scale, fit)` is called after every change of the zoom. */
  constructor(root, onZoom = () => undefined) {
    Object.assign(this, { root, onZoom, item: null, full: null, source: null, scale: 1, x: 0, y: 0, frame: 0 });
    const layer = (name) => make("canvas", { class: name === "image" ? "layer image" : `layer layer-${name}`, "aria-hidden": "true" });
    this.layers = { image: layer("image"), classes: layer("classes"), heat: layer("heat"), hints: layer("hints") };
    this.message = make("p", { class: "stage-message", hidden: true });
    root.classList.add("drawing");
    root.append(...Object.values(this.layers), this.message);
    this.map = null; // classes that are shown: { width, height, pixels }
    this.uncertainty = null; // the same for uncertainty, 0 to 255
    this.palette = new Uint32Array(256);
    this.heat = Uint32Array.from({ length: 256 }, (_, value) => rgba(255, 64, 0, value));
    this.hint = () => undefined; // draws hints: (context, surface)
    this.onLoad = () => undefined; // called after the image was loaded, or could not be: (isLoaded)
    this.stale = new Set();
    new ResizeObserver(() => this.#resize()).observe(root);
    this.#resize();
  }

  /** Width and height of the stage, in CSS pixels and fractions of them. */
  get area() {
    return this.root.getBoundingClientRect();
  }

  /** Whether the image is loaded. */
  get seen() {
    return this.source !== null;
  }

  /** Colours of the classes, #rrggbb; void and numbers that are not classes stay clear. */
  set colours(colours) {
    this.palette.fill(0);
    colours.forEach((colour, index) => {
      const [red, green, blue] = [1, 3, 5].map((at) => parseInt(colour.slice(at, at + 2), 16));
      if (index !== VOID) this.palette[index] = rgba(red, green, blue, 255);
    });
  }

  /** Shows an image of this size, at first as a thumbnail; its full resolution is loaded when the zoom needs it. */
  show(item, name, full) {
    Object.assign(this, { item, full, source: null, detail: 0, map: null, uncertainty: null });
    this.root.setAttribute("aria-label", `Drawing surface over ${name}`);
    this.message.hidden = true;
    this.layers.image.classList.remove("loaded");
    this.fit();
    void this.#load(thumbnailUrl(item), 0.001, true);
    void this.#load(previewUrl(item), Math.min(1, PREVIEW / Math.max(full.width, full.height)));
  }

  /** Loads an image of some detail, 1 for the full resolution, and shows it unless a better one is there. */
  async #load(url, detail, isOptional = false) {
    const { item } = this;
    try {
      const image = await load(url);
      if (item !== this.item || detail <= this.detail) return;
      Object.assign(this, { source: image, detail });
      this.layers.image.classList.toggle("loaded", detail > 0.001);
      this.redraw("image");
      this.#refine();
      this.onLoad(true);
    } catch {
      if (item !== this.item || isOptional || this.detail > 0.001) return;
      this.message.textContent = "This image cannot be loaded. Wait, or skip it.";
      this.message.hidden = false;
      this.onLoad(false);
    }
  }

  /** Loads the full resolution once the zoom shows more than the preview has. */
  #refine() {
    if (this.full === null || this.detail === 1 || this.detail <= 0.001) return;
    if (this.scale * devicePixelRatio > 1.2 * this.detail) void this.#load(imageUrl(this.item), 1);
  }

  /** Fits the whole image into the stage. */
  fit() {
    if (this.full === null) return;
    const { width, height } = this.area;
    this.fitted = true;
    this.scale = this.#fitting();
    this.x = (width - this.scale * this.full.width) / 2;
    this.y = (height - this.scale * this.full.height) / 2;
    this.#moved();
  }

  /** Shows one pixel of the image as one pixel of the screen. */
  actual() {
    this.zoomAt(1 / devicePixelRatio / this.scale, this.area.width / 2, this.area.height / 2);
  }

  #fitting() {
    const { width, height } = this.area;
    return Math.min(LARGEST, Math.max(1e-6, Math.min(width / this.full.width, height / this.full.height)));
  }

  /** Zooms by a step about the middle: 1 in, -1 out. */
  zoom(direction) {
    this.zoomAt(STEP ** direction, this.area.width / 2, this.area.height / 2);
  }

  /** Zooms so that the point at (x, y), in CSS pixels of the stage, keeps its position. */
  zoomAt(factor, x, y) {
    this.follow(this, [x, y], [x, y], factor);
  }

  /** Shows an earlier view { scale, x, y } scaled by a factor, and so that its point at `from` is at `to`. */
  follow(view, from, to, factor) {
    if (this.full === null) return;
    const smallest = Math.min(this.#fitting(), 1 / devicePixelRatio);
    const scale = Math.min(LARGEST, Math.max(smallest, view.scale * factor));
    const by = scale / view.scale;
    this.fitted = false;
    Object.assign(this, { scale, x: to[0] - by * (from[0] - view.x), y: to[1] - by * (from[1] - view.y) });
    this.#moved();
  }

  /** Moves the image by CSS pixels; a part of it stays on the stage. */
  pan(dx, dy) {
    this.fitted = false;
    this.x += dx;
    this.y += dy;
    this.#moved();
  }

  #moved() {
    const { width, height } = this.area;
    const keep = 48;
    this.x = Math.min(width - keep, Math.max(keep - this.scale * this.full.width, this.x));
    this.y = Math.min(height - keep, Math.max(keep - this.scale * this.full.height, this.y));
    this.onZoom(this.scale, this.fitted);
    this.redraw("image", "classes", "heat", "hints");
    this.#refine();
  }

  /** The point of the image at a point of the window, in pixels of the image. */
  toImage({ clientX, clientY }) {
    const box = this.root.getBoundingClientRect();
    return [(clientX - box.left - this.x) / this.scale, (clientY - box.top - this.y) / this.scale];
  }

  /** The point of the stage, in CSS pixels, at a point of the image. */
  toStage(x, y) {
    return [this.x + x * this.scale, this.y + y * this.scale];
  }

  /** Moves the image so far that a point of it is on the stage. */
  reveal(x, y) {
    const [left, top] = this.toStage(x, y);
    const { width, height } = this.area;
    const dx = left < 0 ? 40 - left : left > width ? width - 40 - left : 0;
    const dy = top < 0 ? 40 - top : top > height ? height - 40 - top : 0;
    if (dx !== 0 || dy !== 0) this.pan(dx, dy);
  }

  /** Draws layers anew in the next frame. */
  redraw(...names) {
    for (const name of names) this.stale.add(name);
    this.frame ||= requestAnimationFrame(() => this.#paint());
  }

  /** Draws the classes of a rectangle of the image anew, at once. */
  refresh({ left, top, right, bottom }) {
    if (this.stale.has("classes")) return;
    const ratio = devicePixelRatio;
    const [x1, y1] = this.toStage(left, top);
    const [x2, y2] = this.toStage(right, bottom);
    this.#lay("classes", this.map, this.palette, [x1 * ratio - 1, y1 * ratio - 1, x2 * ratio + 1, y2 * ratio + 1]);
  }

  #resize() {
    const ratio = devicePixelRatio;
    for (const canvas of Object.values(this.layers)) {
      canvas.width = Math.max(1, Math.round(this.area.width * ratio));
      canvas.height = Math.max(1, Math.round(this.area.height * ratio));
      canvas.style.width = `${canvas.width / ratio}px`;
      canvas.style.height = `${canvas.height / ratio}px`;
    }
    if (this.full === null) return;
    if (this.fitted) this.fit();
    else this.#moved();
  }

  #paint() {
    this.frame = 0;
    const stale = this.stale;
    this.stale = new Set();
    if (this.full === null) return;
    const { width, height } = this.layers.image;
    if (stale.has("image")) this.#paintImage();
    if (stale.has("classes")) this.#lay("classes", this.map, this.palette, [0, 0, width, height]);
    if (stale.has("heat")) this.#lay("heat", this.uncertainty, this.heat, [0, 0, width, height]);
    if (stale.has("hints")) {
      const context = this.layers.hints.getContext("2d");
      context.setTransform(1, 0, 0, 1, 0, 0);
      context.clearRect(0, 0, width, height);
      context.scale(devicePixelRatio, devicePixelRatio);
      this.hint(context, this);
    }
  }

  #paintImage() {
    const { source, full, scale } = this;
    const { width, height } = this.layers.image;
    const ratio = devicePixelRatio;
    const context = this.layers.image.getContext("2d");
    context.clearRect(0, 0, width, height);
    if (source === null) return;
    // Only the visible part is drawn, cut at whole pixels of the source.
    const [across, down] = [source.naturalWidth / full.width, source.naturalHeight / full.height];
    const left = Math.max(0, Math.floor((-this.x / scale) * across));
    const top = Math.max(0, Math.floor((-this.y / scale) * down));
    const right = Math.min(source.naturalWidth, Math.ceil(((width / ratio - this.x) / scale) * across));
    const bottom = Math.min(source.naturalHeight, Math.ceil(((height / ratio - this.y) / scale) * down));
    if (left >= right || top >= bottom) return;
    context.imageSmoothingEnabled = this.detail < 1 || scale * ratio < 1;
    const [x1, y1] = this.toStage(left / across, top / down);
    const [x2, y2] = this.toStage(right / across, bottom / down);
    context.drawImage(source, left, top, right - left, bottom - top, x1 * ratio, y1 * ratio, (x2 - x1) * ratio, (y2 - y1) * ratio);
  }

  /** Draws a map into a rectangle of a layer, in pixels of the screen, each by the pixel of the image at its centre. */
  #lay(name, map, colours, [left, top, right, bottom]) {
    const { layers, full } = this;
    const context = layers[name].getContext("2d");
    const [x1, y1] = [Math.max(0, Math.floor(left)), Math.max(0, Math.floor(top))];
    const [x2, y2] = [Math.min(layers[name].width, Math.ceil(right)), Math.min(layers[name].height, Math.ceil(bottom))];
    if (x1 >= x2 || y1 >= y2) return;
    if (map === null) {
      context.clearRect(x1, y1, x2 - x1, y2 - y1);
      return;
    }
    const columns = this.#places(x1, x2, this.x, full.width, map.width);
    const rows = this.#places(y1, y2, this.y, full.height, map.height);
    const image = context.createImageData(x2 - x1, y2 - y1);
    const dots = new Uint32Array(image.data.buffer);
    const width = x2 - x1;
    for (let y = 0; y < rows.length; y += 1) {
      if (rows[y] < 0) continue;
      if (y > 0 && rows[y] === rows[y - 1]) {
        dots.copyWithin(y * width, (y - 1) * width, y * width);
        continue;
      }
      const line = rows[y] * map.width;
      for (let x = 0; x < width; x += 1) if (columns[x] >= 0) dots[y * width + x] = colours[map.pixels[line + columns[x]]];
    }
    context.putImageData(image, x1, y1);
  }

  /** For each pixel of the screen from `from` to `to` the position in a map of `count` pixels; -1 outside of the image. */
  #places(from, to, offset, size, count) {
    const ratio = devicePixelRatio;
    return Int32Array.from({ length: to - from }, (_, at) => {
      const place = Math.floor(((from + at + 0.5) / ratio - offset) / this.scale);
      if (place < 0 || place >= size) return -1;
      return count === size ? place : Math.min(count - 1, Math.floor(((place + 0.5) * count) / size));
    });
  }
}

/** A colour as the four bytes of a canvas, in the order of the machine's memory. */
function rgba(red, green, blue, alpha) {
  return new Uint32Array(Uint8Array.of(red, green, blue, alpha).buffer)[0];
}
