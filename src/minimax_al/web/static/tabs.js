/** Pages of the same campaign and author in this browser: which are open, and which closed ones left unsent answers. */

import { recall, recallNames, remember, session } from "./state.js";

const ROLL_CALL = 400; // milliseconds within which an open page answers

export class Tabs {
  constructor(campaign, author) {
    this.id = crypto.getRandomValues(new Uint32Array(2)).join("");
    this.prefix = `${campaign}/unsent/${author}/`;
    this.holders = `${campaign}/holder/${author}/`;
    this.others = new Set();
    this.gone = false;
    this.channel = new BroadcastChannel(`minimax-al/${campaign}/${author}`);
    this.channel.onmessage = ({ data }) => this.#hear(data);
    this.#say("hello");
    remember(this.holders + this.id, session());
  }

  /** Stores this page's unsent entries; returns false if the storage is not available. */
  save(entries) {
    return remember(this.prefix + this.id, entries.length === 0 ? null : JSON.stringify(entries));
  }

  /** Takes over the unsent entries of closed pages. */
  async orphans() {
    await new Promise((resolve) => setTimeout(resolve, ROLL_CALL));
    if (this.gone) return []; // the pages that are open now take the entries over
    return this.#takeAway(this.prefix).flatMap((entries) => JSON.parse(entries ?? "[]"));
  }

  /** Identifiers of closed pages, whose leases may not have ended; call it after `orphans`. */
  holdersGone() {
    return this.gone ? [] : this.#takeAway(this.holders).filter((one) => one !== null && one !== session());
  }

  /** Removes the values that closed pages stored under a prefix, and returns them. */
  #takeAway(prefix) {
    const gone = recallNames(prefix).filter((name) => {
      const id = name.slice(prefix.length);
      // An author may be called "ann/bob", whose keys have the prefix of "ann": skip keys with a further slash.
      return id !== this.id && !this.others.has(id) && !id.includes("/");
    });
    const values = gone.map(recall);
    for (const name of gone) remember(name, null);
    return values;
  }

  /** Signs off, because the page is closed or changes its author. */
  leave() {
    this.gone = true;
    this.#say("bye");
    this.channel.close();
  }

  #say(word) {
    this.channel.postMessage({ word, id: this.id });
  }

  #hear({ word, id }) {
    if (word === "bye") this.others.delete(id);
    else this.others.add(id);
    if (word === "hello") this.#say("here");
  }
}
