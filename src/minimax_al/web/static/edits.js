/** Undo and redo of changes of a raster, in bounded memory: each change is kept as the runs that it has changed. */

const LIMIT = 64 << 20; // bytes of all changes together

export class Edits {
  constructor(raster, limit = LIMIT) {
    Object.assign(this, { raster, limit, done: [], undone: [], bytes: 0 });
  }

  /** Runs `change` on the raster as one step; returns whether a pixel has changed. */
  run(change) {
    this.begin();
    change(this.raster);
    return this.end();
  }

  /** Starts a step that lasts longer than one call, such as a stroke. */
  begin() {
    this.raster.begin();
  }

  /** Ends the step, and forgets the oldest ones beyond the limit. */
  end() {
    const runs = this.raster.end();
    if (runs === null) return false;
    for (const dropped of this.undone) this.bytes -= dropped.byteLength;
    this.undone = [];
    this.done.push(runs);
    this.bytes += runs.byteLength;
    while (this.bytes > this.limit && this.done.length > 1) this.bytes -= this.done.shift().byteLength;
    return true;
  }

  /** Ends the step as if it had not begun. */
  cancel() {
    const runs = this.raster.end();
    if (runs !== null) this.raster.apply(runs, false);
  }

  /** Takes the last step back; returns whether there was one. */
  undo() {
    return this.#move(this.done, this.undone, false);
  }

  /** Repeats the step that was taken back last; returns whether there was one. */
  redo() {
    return this.#move(this.undone, this.done, true);
  }

  #move(from, to, forwards) {
    const runs = from.pop();
    if (runs === undefined) return false;
    this.raster.apply(runs, forwards);
    to.push(runs);
    return true;
  }
}
