/** Mouse, pen and touch on a surface: one pointer draws, two fingers pan and zoom, the wheel zooms. */

const PEN_SECONDS = 5; // for so long after a pen, a single finger moves the image and does not draw: it may be the hand
const ERASER = 32; // button of a pen's other end

export class Pointers {
  /**
   * `hand`: { pans(), start(point, event), move(points), end(), cancel(), hover(point) }; points in pixels of the image.
   * `pans()`: whether a pointer moves the image at the moment.
   */
  constructor(surface, hand) {
    Object.assign(this, { surface, hand, fingers: new Map(), mode: null, owner: null, penAt: -Infinity });
    const { root } = surface;
    root.addEventListener("wheel", (event) => this.#wheel(event), { passive: false });
    root.addEventListener("pointerdown", (event) => this.#down(event));
    root.addEventListener("pointermove", (event) => this.#move(event));
    root.addEventListener("pointerup", (event) => this.#up(event, false));
    root.addEventListener("pointercancel", (event) => this.#up(event, true));
    root.addEventListener("pointerleave", () => this.mode === null && hand.hover(null));
    root.addEventListener("contextmenu", (event) => event.preventDefault());
  }

  #wheel(event) {
    event.preventDefault();
    const pixels = event.deltaY * (event.deltaMode === 1 ? 16 : 1);
    this.surface.zoomAt(Math.exp(-pixels / (event.ctrlKey ? 100 : 400)), ...this.#inside(event));
  }

  #down(event) {
    const { pointerId, pointerType, button } = event;
    if (pointerType === "pen") this.penAt = event.timeStamp;
    if (pointerType === "touch") this.fingers.set(pointerId, this.#inside(event));
    this.surface.root.focus({ preventScroll: true });
    capture(this.surface.root, pointerId);
    if (this.fingers.size === 2) {
      if (this.mode === "draw") this.hand.cancel(); // the first finger was the start of a pinch
      this.mode = "pinch";
      return;
    }
    if (this.mode !== null) return;
    const isPalm = pointerType === "touch" && event.timeStamp - this.penAt < 1000 * PEN_SECONDS;
    const pans = button === 1 || isPalm || this.hand.pans();
    if (!pans && button !== 0 && !(pointerType === "pen" && (event.buttons & ERASER) !== 0)) return;
    event.preventDefault();
    Object.assign(this, { mode: pans ? "pan" : "draw", owner: pointerId, last: this.#inside(event) });
    if (!pans) this.hand.start(this.surface.toImage(event), { erases: (event.buttons & ERASER) !== 0, event });
  }

  #move(event) {
    if (event.pointerType === "pen") this.penAt = event.timeStamp;
    if (this.mode === "pinch") {
      if (this.fingers.has(event.pointerId)) this.#pinch(event);
    } else if (this.mode === null) {
      this.hand.hover(this.surface.toImage(event));
    } else if (event.pointerId === this.owner) {
      if (this.mode === "pan") this.#pan(event);
      else this.hand.move(this.#passed(event).map((one) => this.surface.toImage(one)));
    }
  }

  /** The events that the browser has collected since the last frame; a fast stroke is as smooth as it was drawn. */
  #passed(event) {
    const passed = event.getCoalescedEvents?.() ?? [];
    return passed.length > 0 ? passed : [event];
  }

  #pan(event) {
    const [x, y] = this.#inside(event);
    this.surface.pan(x - this.last[0], y - this.last[1]);
    this.last = [x, y];
  }

  #pinch(event) {
    const before = [...this.fingers.values()];
    this.fingers.set(event.pointerId, this.#inside(event));
    const after = [...this.fingers.values()];
    if (after.length < 2) return;
    const [from, to] = [middle(before), middle(after)];
    this.surface.pan(to[0] - from[0], to[1] - from[1]);
    this.surface.zoomAt(apart(after) / Math.max(1, apart(before)), ...to);
  }

  #up(event, isCancelled) {
    this.fingers.delete(event.pointerId);
    if (this.mode === "pinch") {
      if (this.fingers.size === 0) this.mode = null;
      return;
    }
    if (event.pointerId !== this.owner) return;
    if (this.mode === "draw") this.hand[isCancelled ? "cancel" : "end"](this.surface.toImage(event));
    Object.assign(this, { mode: null, owner: null });
  }

  #inside({ clientX, clientY }) {
    const box = this.surface.root.getBoundingClientRect();
    return [clientX - box.left, clientY - box.top];
  }
}

function capture(element, pointerId) {
  try {
    element.setPointerCapture(pointerId);
  } catch {
    // The pointer is gone already; its last events are enough.
  }
}

const middle = (points) => [0, 1].map((axis) => points.reduce((sum, point) => sum + point[axis], 0) / points.length);
const apart = ([one, other]) => Math.hypot(one[0] - other[0], one[1] - other[1]);
