import { newKey } from "./api.js";

/**
 * Answers on their way to the server. An answer leaves this box only when the server has acknowledged it; until then
 * it is kept in the browser's storage, so that neither a lost network nor a closed page loses it.
 *
 * An entry: { id, kind: "label" | "skip" | "unsure" | "undo", items, className, tries, refused }. Its id goes with it:
 * where only the acknowledgement was lost, the server knows the entry again and does not do it twice.
 */

const FIRST_PAUSE = 1_000; // milliseconds before the second try; doubled after every further one
const LONGEST_PAUSE = 30_000;

export class Outbox {
  /**
   * send(entry): resolves when the server has it; rejects with an ApiError.
   * save(entries): keeps them; called before anything is sent.
   * onChange(): the entries have changed. onSaved(entry, said): one of them has arrived, and was answered so.
   */
  constructor({ send, save, onChange, onSaved }) {
    this.entries = [];
    this.trouble = null; // why nothing gets through at the moment
    Object.assign(this, { send, save, onChange, onSaved, sending: null, timer: null, stopped: false });
  }

  /** Takes an answer, and sends it behind those before it. Returns the entry. */
  add(entry) {
    const kept = { id: newKey(), tries: 0, refused: null, ...entry };
    this.entries.push(kept);
    this.#changed();
    void this.pump();
    return kept;
  }

  /** Takes over entries that another page left behind. */
  adopt(entries) {
    if (entries.length === 0) return;
    this.entries.push(...entries);
    this.#changed();
    void this.pump();
  }

  /** Takes back an answer that the server has certainly not seen; false where it may have. */
  cancel(entry) {
    const place = this.entries.indexOf(entry);
    if (place < 0 || entry === this.sending || (entry.tries > 0 && entry.refused === null)) return false;
    this.entries.splice(place, 1);
    this.#changed();
    return true;
  }

  /** Sends again what was refused, and everything else at once. */
  retry() {
    for (const entry of this.entries) entry.refused = null;
    this.#changed();
    clearTimeout(this.timer);
    void this.pump();
  }

  /** Sends nothing any more; what is left is kept for the next page. */
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
      this.save(this.entries); // a page that is closed now must not take this entry for one that was never sent
      const said = await this.send(entry);
      this.entries.splice(this.entries.indexOf(entry), 1);
      this.#settled(null);
      this.onSaved(entry, said);
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
