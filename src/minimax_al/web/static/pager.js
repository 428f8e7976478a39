/** Pages of a long list: which part is shown, and buttons for the part before and after. */

import { make } from "./dom.js";

export class Pager {
  /** Builds the pager in `root`, with `size` rows per page. `onTurn()`: another page was chosen. */
  constructor(root, size, onTurn) {
    Object.assign(this, { size, onTurn, offset: 0, total: 0 });
    this.words = make("span", { class: "quiet", role: "status" });
    this.before = make("button", { type: "button", onclick: () => this.turn(-1) }, "Previous");
    this.after = make("button", { type: "button", onclick: () => this.turn(1) }, "Next");
    this.root = root;
    root.replaceChildren(this.before, this.words, this.after);
  }

  /** Goes to the first page; the caller reads it. */
  restart() {
    this.offset = 0;
  }

  /** Shows how many rows there are in all. */
  show(total) {
    this.total = total;
    this.root.hidden = total <= this.size;
    const end = Math.min(this.offset + this.size, total);
    this.words.textContent = `${(this.offset + 1).toLocaleString("en")} to ${end.toLocaleString("en")} of ${total.toLocaleString("en")}`;
    this.before.disabled = this.offset === 0;
    this.after.disabled = end >= total;
  }

  /** Goes one page on (1) or back (-1). */
  turn(direction) {
    this.offset = Math.max(0, this.offset + direction * this.size);
    this.onTurn();
  }
}
