/** Keyboard shortcuts, independent of the focus. */

const RESERVED = "fghlosuz";
const LETTERS = [..."abcdefghijklmnopqrstuvwxyz"].filter((letter) => !RESERVED.includes(letter));
/** The digits, in the order of the keyboard. */
export const DIGITS = [..."1234567890"];

/** The keys of classes, in order: 1–9, 0, then letters without another meaning. Further classes have no key. */
export const CLASS_KEYS = [...DIGITS, ...LETTERS];

/** The entries of the help by section: keys, description, and the task if the key is for one task only. */
export const HELP = [
  ["Answer", [
    [["1", "…", "9", "0"], "the class with this key; with more than ten classes, likely and recent ones", "classification"],
    [["Enter"], "the class that the model suggests", "classification"],
    [["u"], "unsure: the class cannot be told; no later round chooses the image again"],
    [["s"], "skip: a later round may choose the image again"],
    [["z", "Backspace"], "undo the last answer; press again for the one before it", "classification"],
    [["Backspace"], "undo the last answer; press again for the one before it", "segmentation"],
    [["/"], "find a class by its name; ↑ and ↓ move among the matches, Enter chooses", "classification"],
  ]],
  ["In a grid", [
    [["Space"], "select or deselect the image"],
    [["←", "→", "↑", "↓"], "move; with Shift, select every image passed"],
    [["Ctrl", "a"], "select all"],
    [["Esc"], "select none"],
    [["o"], "open the image large; press o again or Esc to close it"],
  ]],
  ["Look", [
    [["+", "−", "f"], "zoom in, zoom out, fit; or wheel, pinch and drag"],
    [[","], "one pixel of the image per pixel of the screen", "classification"],
    [["←", "→"], "previous or next image, without an answer"],
    [["h"], "hide or show the model's suggestions", "classification"],
    [["g"], "grid, or back to one image"],
    [["Shift", "c"], "confirm by class: many suggestions at once, or back", "classification"],
    [["Shift", "e"], "explore: search, similar images, map, or back"],
    [["."], "more like this: the images that are most similar"],
    [["l"], "review all labels, or back to one image"],
    [["?"], "show or close this list of keys"],
  ]],
  ["Draw", [
    [["b", "e"], "brush, eraser; on the image the arrow keys move a cross and Space draws", "segmentation"],
    [["p"], "polygon: click its corners, or draw its outline; Enter closes it", "segmentation"],
    [["k", "x"], "fill a region; paint superpixels", "segmentation"],
    [["v", "Space"], "move the image; or two fingers, or the middle button", "segmentation"],
    [["[", "]"], "smaller or larger brush, finer or coarser superpixels", "segmentation"],
    [["1", "…", "9", "0"], "the class with this key; 0 is void", "segmentation"],
    [["/"], "find a class by its name; ↑ and ↓ move among the matches, Enter chooses", "segmentation"],
    [["i"], "the class under the pointer", "segmentation"],
    [["a"], "accept the model's prediction as the mask, to correct it", "segmentation"],
    [["z", "y"], "undo or redo the last stroke", "segmentation"],
    [["w"], "draw on unlabelled pixels only", "segmentation"],
    [["m", "r", "t"], "show or hide the mask, the prediction, the uncertainty", "segmentation"],
    [["c", "d"], "in a comparison: the other masks one by one, and where they differ", "segmentation"],
    [["n", "f"], "one pixel of the image per pixel of the screen; fit", "segmentation"],
    [["Enter"], "save the mask; in Review and Conflicts: open it to correct it", "segmentation"],
  ]],
];

const COMMANDS = {
  Enter: "confirm", u: "unsure", s: "skip", z: "undo", Backspace: "undo", h: "suggestions", g: "grid", l: "review",
  "/": "filter", "+": "zoomIn", "=": "zoomIn", "-": "zoomOut", "−": "zoomOut", f: "fit", ",": "real", o: "open", " ": "select",
  Escape: "escape", "?": "help", ".": "like",
};
const SHIFTED = { c: "confirmView", e: "explore" };
/** Columns and rows that an arrow key moves. */
export const MOVES = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
const REPEATING = new Set(["zoomIn", "zoomOut"]); // a key held down must not answer ten images

/** Listens to the keyboard. `commands`: by name, and `choose(index)`, `move(dx, dy, extend)`, `selectAll()`. */
export function listen(commands) {
  document.addEventListener("keydown", (event) => {
    if (isTyping(event) || event.isComposing) return;
    const call = meaning(event, commands);
    if (call === null) return;
    event.preventDefault();
    call();
  });
}

/** Whether an event belongs to an element that takes text, or that its own keys operate. */
export function isTyping({ target, key }) {
  if (!(target instanceof HTMLElement)) return false;
  if (target.closest("dialog:not(.acts)") !== null || target.isContentEditable) return true;
  if (target.matches("input, select, textarea")) return true;
  return target.matches("button, a, summary") && (key === "Enter" || key === " ");
}

function meaning(event, commands) {
  if ((event.ctrlKey || event.metaKey) && !event.altKey && event.key.toLowerCase() === "a") return commands.selectAll;
  if (event.ctrlKey || event.metaKey || event.altKey) return null;
  if (event.key in MOVES) return () => commands.move(...MOVES[event.key], event.shiftKey);
  const key = plain(event);
  const name = event.shiftKey && key in SHIFTED ? SHIFTED[key] : COMMANDS[key];
  if (name !== undefined) return event.repeat && !REPEATING.has(name) ? () => undefined : commands[name];
  const index = CLASS_KEYS.indexOf(key);
  return index < 0 || event.shiftKey ? null : () => (event.repeat ? undefined : commands.choose(index));
}

/** The key independent of the keyboard layout: some layouts have other letters, or need Shift for digits. */
function plain({ key, code, shiftKey }) {
  if (!shiftKey && /^Digit\d$/.test(code ?? "")) return code.slice(5);
  if (/^\P{ASCII}$/u.test(key) && /^Key[A-Z]$/.test(code ?? "")) return code.slice(3).toLowerCase();
  return key.length === 1 ? key.toLowerCase() : key;
}
