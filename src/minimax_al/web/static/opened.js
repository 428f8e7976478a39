/** The image of Review or Conflicts that is on the drawing surface, in place of the queue's. */

import { state, update } from "./state.js";

/** The image that the single view shows; undefined without one. */
export const shown = () => state.opened ?? state.queue.find(({ item }) => item === state.at);

/** Opens an image of another view on the drawing surface. */
export const open = (pick) => update({ opened: pick });

/** Returns to the view from which the image was opened. */
export const close = () => state.opened !== null && update({ opened: null });
