/** Pages of the same campaign and author in this browser: who is alive, and whose unsent answers nobody looks after. */

import { recall, recallNames, remember } from "./state.js";

const ROLL_CALL = 400; // milliseconds within which a living page answers

export class Tabs {
  constructor(campaign, author) {
    this.id = crypto.getRandomValues(new Uint32Array(2)).join("");
    this.prefix = `${campaign}/unsent/${author}/`;
    this.others = new Set();
    this.gone = false;
    this.channel = new BroadcastChannel(`minimax-al/${campaign}/${author}`);
    this.channel.onmessage = ({ data }) => this.#hear(data);
    this.#say("hello");
  }

  /** Whether another page of this author is open: their images must not be given back then. */
  get alone() {
    return this.others.size === 0;
  }

  /** Keeps this page's unsent entries; false where the browser keeps nothing. */
  save(entries) {
    return remember(this.prefix + this.id, entries.length === 0 ? null : JSON.stringify(entries));
  }

  /** The unsent entries of pages that are gone; they are this page's from now on. */
  async orphans() {
    await new Promise((resolve) => setTimeout(resolve, ROLL_CALL));
    if (this.gone) return []; // whoever is here now asks for them
    const gone = recallNames(this.prefix).filter((name) => {
      const id = name.slice(this.prefix.length);
      // "ann/bob" is a name, too: what is theirs begins as what is ann's.
      return id !== this.id && !this.others.has(id) && !id.includes("/");
    });
    return gone.flatMap((name) => {
      const entries = JSON.parse(recall(name) ?? "[]");
      remember(name, null);
      return entries;
    });
  }

  /** This page goes, or changes its author. */
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
