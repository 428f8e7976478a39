import { newKey } from "./api.js";

/**
 * Queue of answers to send. An answer stays in the queue until the server has acknowledged it; until then it is kept
 * in the browser's storage, so that neither a lost network nor a closed page loses it.
 *
 * An entry: { id, kind: "label" | "skip" | "unsure" | "undo", items, className, tries, refused }. The id is sent as the
 * idempotency key: if only the acknowledgement was lost, the server does not run the repeated entry again.
 */

const FIRST_PAUSE = 1_000; // milliseconds before the second try; doubled after every further one
const LONGEST_PAUSE = 30_000;

export class Outbox {
  /**
   * send(entry): resolves to the server's answer; rejects with an ApiError.
   * save(entries): stores the entries; called before an entry is sent.
   * onChange(): called after the entries have changed. onSaved(entry, answer): called after the server's answer.
   */
  constructor({ send, save, onChange, onSaved }) {
    this.entries = [];
    this.trouble = null; // reason why nothing can be sent at the moment
    Object.assign(this, { send, save, onChange, onSaved, sending: null, timer: null, stopped: false });
  }

  /** Appends an answer to the queue, and returns the entry. */
  add(entry) {
    const kept = { id: newKey(), tries: 0, refused: null, ...entry };
    this.entries.push(kept);
    this.#changed();
    void this.pump();
    return kept;
  }

  /** Appends the unsent entries of a page that was closed. */
  adopt(entries) {
    if (entries.length === 0) return;
    this.entries.push(...entries);
    this.#changed();
    void this.pump();
  }

  /** Removes an entry that the server cannot have received; returns false if it may have received it. */
  cancel(entry) {
    const place = this.entries.indexOf(entry);
    if (place < 0 || entry === this.sending || (entry.tries > 0 && entry.refused === null)) return false;
    this.entries.splice(place, 1);
    this.#changed();
    return true;
  }

  /** Sends all entries at once, including the refused ones. */
  retry() {
    for (const entry of this.entries) entry.refused = null;
    this.#changed();
    clearTimeout(this.timer);
    void this.pump();
  }

  /** Sends at once what waits for its pause: the server can be reached again. */
  hurry() {
    clearTimeout(this.timer);
    void this.pump();
  }

  /** Stops sending; the remaining entries stay in the storage for the next page. */
  stop() {
    this.stopped = true;
    clearTimeout(this.timer);
  }

  /** Sends the entries one after the other, in order. */
  async pump() {
    if (this.sending !== null || this.stopped) return;
    clearTimeout(this.timer);
    for (let entry = this.#next(); entry !== undefined; entry = this.#next()) {
      this.sending = entry;
      const arrived = await this.#try(entry);
      this.sending = null;
      if (this.stopped) return;
      if (!arrived && entry.refused === null) {
        this.timer = setTimeout(() => this.pump(), Math.min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** (entry.tries - 1)));
        break;
      }
    }
  }

  #next() {
    return this.entries.find((entry) => entry.refused === null);
  }

  async #try(entry) {
    try {
      entry.tries += 1;
      this.save(this.entries); // the stored number of tries shows a later page that the entry may have been sent
      const answer = await this.send(entry);
      this.entries.splice(this.entries.indexOf(entry), 1);
      this.#settled(null);
      this.onSaved(entry, answer);
      return true;
    } catch (error) {
      if (!error.passes) entry.refused = error.message;
      this.#settled(error.passes ? error.message : null);
      return false;
    }
  }

  #settled(trouble) {
    this.trouble = trouble;
    this.#changed();
  }

  #changed() {
    this.save(this.entries);
    this.onChange();
  }
}
