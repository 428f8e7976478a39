/**
 * Mouse, pen and touch on a surface: one pointer draws, two fingers pan and zoom, the wheel zooms.
 *
 * A pen beats touch: while it is down, fingers and the hand are ignored, and it takes over what they have begun.
 */

const PEN_SECONDS = 5; // for so long after a pen, a single finger moves the image and does not draw: it may be the hand
const ERASER = 32; // button of a pen's other end

export class Pointers {
  /**
   * `hand`: { pans(), start(point, event), move(points), end(), abort(), hover(point) }; points in pixels of the image.
   * `abort` takes back what the pointer has done since it was pressed.
   * `pans()`: whether a pointer moves the image at the moment.
   */
  constructor(surface, hand) {
    Object.assign(this, { surface, hand, fingers: new Map(), mode: null, owner: null, isPenDown: false, penAt: -Infinity });
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
    if (pointerType === "pen") {
      this.penAt = event.timeStamp;
      this.#dropTouch();
    } else if (pointerType === "touch") {
      if (this.isPenDown) return; // the hand that holds the pen
      this.fingers.set(pointerId, this.#inside(event));
    }
    this.surface.root.focus({ preventScroll: true });
    capture(this.surface.root, pointerId);
    if (this.fingers.size === 2) {
      if (this.mode === "draw") this.hand.abort(); // the first finger was the start of a pinch
      const { scale, x, y } = this.surface;
      Object.assign(this, { mode: "pinch", grip: { view: { scale, x, y }, points: [...this.fingers.values()] } });
      return;
    }
    if (this.mode !== null) return;
    const isPalm = pointerType === "touch" && event.timeStamp - this.penAt < 1000 * PEN_SECONDS;
    const pans = button === 1 || isPalm || this.hand.pans();
    if (!pans && button !== 0 && !(pointerType === "pen" && (event.buttons & ERASER) !== 0)) return;
    event.preventDefault();
    Object.assign(this, { mode: pans ? "pan" : "draw", owner: pointerId, isPenDown: pointerType === "pen", last: this.#inside(event) });
    if (!pans) this.hand.start(this.surface.toImage(event), { erases: (event.buttons & ERASER) !== 0, event });
  }

  /** Ends what fingers have begun, a stroke as if it had not been; until they are lifted they do nothing. */
  #dropTouch() {
    if (this.fingers.size === 0) return;
    if (this.mode === "draw") this.hand.abort();
    this.fingers.clear();
    Object.assign(this, { mode: null, owner: null });
  }

  #move(event) {
    if (event.pointerType === "pen") this.penAt = event.timeStamp;
    if (this.fingers.has(event.pointerId)) this.fingers.set(event.pointerId, this.#inside(event));
    if (this.mode === "pinch") {
      if (this.fingers.size === 2) this.#pinch();
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

  /** Keeps what was under the two fingers under them: computed from the start, so that no error adds up. */
  #pinch() {
    const now = [...this.fingers.values()];
    const { view, points } = this.grip;
    this.surface.follow(view, middle(points), middle(now), apart(now) / Math.max(1, apart(points)));
  }

  #up(event, isCancelled) {
    this.fingers.delete(event.pointerId);
    if (this.mode === "pinch") {
      if (this.fingers.size === 0) this.mode = null;
      return;
    }
    if (event.pointerId !== this.owner) return;
    if (this.mode === "draw") this.hand[isCancelled ? "abort" : "end"](this.surface.toImage(event));
    Object.assign(this, { mode: null, owner: null, isPenDown: false });
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
