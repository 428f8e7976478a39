/** Keys of the drawing surface. They come before the page's own keys, which keep all others. */

import { isTyping, MOVES } from "./keys.js";
import { state } from "./state.js";

const TOOL_KEYS = { b: "brush", e: "eraser", p: "polygon", k: "fill", x: "superpixels", v: "hand" };
const COMMAND_KEYS = {
  z: "undo", y: "redo", a: "accept", m: "mask", r: "prediction", t: "heat", w: "onlyVoid", i: "pick", n: "actual", c: "compare", d: "differences",
  "[": "smaller", "]": "larger", "/": "find", Enter: "confirm", Backspace: "undoAnswer",
};
const REPEATING = new Set(["smaller", "larger", "undo", "redo"]);
const FAR = 10; // pixels of the image per key press with Shift

/** The crosshair that arrow keys move while the surface has the focus; a point in pixels of the image, or null. */
export const cursor = { point: null, isDown: false, isSpaceDown: false };

/** Listens to the keyboard; `commands` by name, see `drawing.js`. */
export function listen(commands) {
  const isShown = () => state.opened !== null || (state.view === "single" && state.queue.length > 0);
  const isActive = () => isShown() && document.querySelector("dialog[open]") === null;
  const take = (event) => {
    if (!isActive() || event.isComposing) return;
    const surface = commands.surface();
    const isOnSurface = event.target === surface.root;
    if (isTyping(event) && !isOnSurface) return;
    if (isOnSurface && drawsByKey(event, commands, surface)) stop(event);
    else if (event.type === "keydown" && means(event, commands)) stop(event);
  };
  document.addEventListener("keydown", take, true);
  document.addEventListener("keyup", take, true);
  addEventListener("blur", () => release(commands));
  document.addEventListener("pointerdown", () => {
    release(commands);
    cursor.point = null;
  }, true);
  document.addEventListener("keyup", ({ key }) => key === " " && (cursor.isSpaceDown = false), true);
}

function stop(event) {
  event.preventDefault();
  event.stopPropagation();
}

/** Runs the command of a key; returns whether it has one. */
function means(event, commands) {
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  if (event.altKey) return false;
  if (event.ctrlKey || event.metaKey) {
    if (key !== "z" && key !== "y") return false;
    commands[key === "y" || event.shiftKey ? "redo" : "undo"]();
    return true;
  }
  if (key === " ") {
    cursor.isSpaceDown = true;
    return true;
  }
  if (key === "Escape") return commands.escape();
  if (/^\d$/.test(key)) return event.repeat || commands.class(key);
  if (key in TOOL_KEYS) commands.tool(TOOL_KEYS[key]);
  else if (key === "z" && event.shiftKey) commands.redo();
  else if (key in COMMAND_KEYS) {
    const name = COMMAND_KEYS[key];
    if (!event.repeat || REPEATING.has(name)) commands[name]();
  } else return false;
  return true;
}

/** Moves the crosshair, and draws with it while Space is held; returns whether the key was one of these. */
function drawsByKey(event, commands, surface) {
  const { hand } = commands;
  if (surface.full === null || event.ctrlKey || event.metaKey || event.altKey) return false;
  if (event.type === "keyup") {
    if (event.key !== " " || !cursor.isDown) return false;
    release(commands);
    return true;
  }
  if (event.key === " " && cursor.point !== null) {
    if (!event.repeat) {
      cursor.isDown = true;
      hand.start(cursor.point, {});
    }
    return true;
  }
  if (!(event.key in MOVES)) return false;
  const { width, height } = surface.full;
  const by = event.shiftKey ? FAR : 1;
  const [dx, dy] = MOVES[event.key];
  const [x, y] = cursor.point ?? [Math.floor(width / 2) + 0.5 - dx * by, Math.floor(height / 2) + 0.5 - dy * by];
  cursor.point = [Math.min(width - 0.5, Math.max(0.5, x + dx * by)), Math.min(height - 0.5, Math.max(0.5, y + dy * by))];
  surface.reveal(...cursor.point);
  if (cursor.isDown) hand.move([cursor.point]);
  else hand.hover(cursor.point);
  return true;
}

function release({ hand }) {
  if (!cursor.isDown) return;
  cursor.isDown = false;
  hand.end(cursor.point);
}
