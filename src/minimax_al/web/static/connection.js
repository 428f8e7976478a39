/** Connection to the server: a heartbeat notices within seconds that the server is gone, and that it is back. */

import { beat, wire } from "./api.js";
import { state, update } from "./state.js";

const BEAT = 5_000; // milliseconds without an answer after which the server is asked whether it is there
const LOST_BEAT = 2_000; // the same while the server cannot be reached

const listeners = [];
let heard = 0; // time of the last answer
let asking = false;

/** Calls `listener` whenever the server can be reached again, and at once when the network returns. */
export function onReturn(listener) {
  listeners.push(listener);
}

/** Watches the connection from now on. */
export function watch() {
  wire.addEventListener("answered", answered);
  wire.addEventListener("lost", () => state.connected && update({ connected: false }));
  addEventListener("offline", () => update({ connected: false }));
  addEventListener("online", () => {
    announce(); // what waits is sent without waiting for the next beat
    void ask();
  });
  setInterval(() => {
    const pause = state.connected ? BEAT : LOST_BEAT;
    if (Date.now() - heard >= pause && !(state.connected && document.hidden)) void ask();
  }, 1_000);
}

function answered() {
  heard = Date.now();
  if (state.connected) return;
  update({ connected: true });
  announce();
}

function announce() {
  for (const listener of listeners) listener();
}

async function ask() {
  if (asking) return;
  asking = true;
  await beat().catch(() => undefined); // `wire` reports the failure
  asking = false;
}
