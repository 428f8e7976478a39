/** Gallery of selectable thumbnails: a listbox with a roving focus. */

import { imageUrl, thumbnailUrl } from "./api.js";
import { byId, fileName, make } from "./dom.js";

const LOOK = 250; // milliseconds after an answer before a key may answer the next image

export class Gallery {
  /** `describe(pick)`: { caption, note, tone, overlay } of a tile; with `frames`, it shows its image once for each { overlay, title }. `onChange()`: the selection has changed. */
  constructor(root, { describe, onChange }) {
    this.root = root;
    this.describe = describe;
    this.onChange = onChange;
    this.picks = [];
    this.tiles = new Map(); // item → element
    this.selected = new Set(); // items
    this.active = null; // item with the focus
    this.anchor = null; // item where a range begins
    this.since = 0; // time at which an answer moved the focus to another image
    root.addEventListener("click", (event) => this.#click(event));
    root.addEventListener("dblclick", () => this.open());
    root.addEventListener("focusin", ({ target }) => this.#activate(this.#itemOf(target)));
  }

  /** Shows these images; existing tiles are reused. */
  show(picks) {
    const focused = this.root.contains(document.activeElement);
    const place = this.picks.findIndex(({ item }) => item === this.active);
    this.picks = picks;
    const items = new Set(picks.map(({ item }) => item));
    for (const item of this.selected) if (!items.has(item)) this.selected.delete(item);
    for (const [item, tile] of this.tiles) if (!items.has(item)) { tile.remove(); this.tiles.delete(item); }
    picks.forEach((pick, index) => this.#put(pick, index));
    if (!items.has(this.active)) this.#next(picks[Math.min(Math.max(0, place), picks.length - 1)]?.item ?? null);
    this.#paint();
    if (byId("large").open) this.#follow();
    if (focused && this.active !== null) this.tiles.get(this.active).focus({ preventScroll: true });
  }

  /** The images that a key would answer: the selected ones, or else the one with the focus. */
  targets() {
    const large = byId("large").open;
    const chosen = large ? [] : this.picks.filter(({ item }) => this.selected.has(item));
    return chosen.length > 0 ? chosen : this.picks.filter(({ item }) => item === this.active);
  }

  /** The image with the focus; undefined without images. */
  get focused() {
    return this.picks.find(({ item }) => item === this.active);
  }

  /** Whether an answer has just moved the focus to another image: a key pressed twice must not answer that one. */
  get soon() {
    return this.selected.size === 0 && performance.now() - this.since < LOOK;
  }

  /** Selects or deselects the image with the focus. */
  toggle(item = this.active) {
    if (item === null) return;
    if (!this.selected.delete(item)) this.selected.add(item);
    this.anchor = item;
    this.#paint();
  }

  /** Selects these images and no others. */
  select(items) {
    this.selected = new Set(items);
    this.#paint();
  }

  selectAll() {
    this.select(this.picks.map(({ item }) => item));
  }

  /** Moves the focus by columns and rows; `extend` selects every image passed. */
  move(dx, dy, extend) {
    const place = this.picks.findIndex(({ item }) => item === this.active);
    const next = this.picks[place + dx + dy * this.#columns()];
    if (next === undefined) return;
    if (extend) this.#extend(this.active, next.item);
    this.#activate(next.item);
    this.tiles.get(next.item).focus();
    if (byId("large").open) this.open();
  }

  /** Shows the image with the focus in the large view. */
  open() {
    const pick = this.picks.find(({ item }) => item === this.active);
    if (pick === undefined) return;
    byId("large-image").src = imageUrl(pick.item);
    byId("large-image").alt = fileName(pick.path);
    byId("large-caption").textContent = [fileName(pick.path), this.describe(pick).caption].filter(Boolean).join(" · ");
    if (!byId("large").open) byId("large").showModal();
  }

  /** Updates the large view to the image with the focus, which may have changed after an answer. */
  #follow() {
    if (this.active === null) byId("large").close();
    else this.open();
  }

  #itemOf(target) {
    const tile = target.closest?.("[role=option]");
    return tile === null || tile === undefined ? null : Number(tile.dataset.item);
  }

  #click(event) {
    const item = this.#itemOf(event.target);
    if (item === null) return;
    if (event.shiftKey && this.anchor !== null) this.#extend(this.anchor, item);
    else this.toggle(item);
    this.#activate(item);
  }

  /** Moves the focus after an answer. */
  #next(item) {
    if (this.active !== null) this.since = performance.now();
    this.active = item;
  }

  #activate(item) {
    if (item === null || item === this.active) return;
    this.since = 0;
    this.active = item;
    this.#paint();
  }

  #extend(from, to) {
    const [one, other] = [from, to].map((wanted) => this.picks.findIndex(({ item }) => item === wanted));
    for (const pick of this.picks.slice(Math.min(one, other), Math.max(one, other) + 1)) this.selected.add(pick.item);
    this.#paint();
  }

  #columns() {
    return getComputedStyle(this.root).gridTemplateColumns.split(" ").length;
  }

  #put(pick, index) {
    const { caption, note, tone, overlay, frames = [{ overlay }] } = this.describe(pick);
    const tile = this.tiles.get(pick.item) ?? this.#tile(pick, frames);
    tile.querySelectorAll(".frame").forEach((frame, place) => lay(frame, frames[place].overlay));
    tile.querySelector(".caption").textContent = caption;
    tile.querySelector(".note").textContent = note ?? "";
    tile.dataset.tone = tone ?? "";
    tile.setAttribute("aria-label", [fileName(pick.path), caption, note].filter(Boolean).join(", "));
    if (this.root.children[index] !== tile) this.root.insertBefore(tile, this.root.children[index] ?? null);
  }

  #tile(pick, frames) {
    const image = () => make("img", { src: thumbnailUrl(pick.item), alt: "", loading: "lazy", decoding: "async", draggable: "false" });
    const words = make("span", { class: "tile-words" }, make("span", { class: "caption" }), make("span", { class: "note" }));
    const shown = frames.map(({ title }) => make("span", { class: "frame" }, image(), title === undefined ? "" : make("span", { class: "frame-title" }, title)));
    const tile = make("div", { role: "option", class: "tile", "data-item": pick.item, title: pick.path }, make("span", { class: "frames" }, shown), words);
    this.tiles.set(pick.item, tile);
    return tile;
  }

  #paint() {
    for (const [item, tile] of this.tiles) {
      tile.setAttribute("aria-selected", String(this.selected.has(item)));
      tile.tabIndex = item === this.active ? 0 : -1;
      tile.classList.toggle("active", item === this.active);
    }
    this.onChange();
  }
}

/** Lays an image of the same proportions over a thumbnail; undefined removes it. */
function lay(frame, url) {
  const laid = frame.querySelector(".laid");
  if (laid !== null && laid.getAttribute("src") === url) return;
  laid?.remove();
  if (url !== undefined) frame.append(make("img", { class: "laid", src: url, alt: "", loading: "lazy" }));
}
