/** When a turn is over: everything that one moment set off has acted, so that it leaves in one frame and one write. */

/** A turn is over when nothing happened for this many microtasks: a consumer that answers needs a few. */
const QUIET_MICROTASKS = 4;
/** And at the latest after this many, so that one that never pauses cannot hold back what it sends. */
const MOST_MICROTASKS = 256;

export class Turn {
  readonly #end: () => void;
  #scheduled = false;
  #activity = 0;

  /** @param end Called once per turn, with nothing else on the stack. */
  constructor(end: () => void) {
    this.#end = end;
  }

  /** Something happened: the turn goes on, or begins. */
  touch(): void {
    this.#activity++;
    if (this.#scheduled) return;
    this.#scheduled = true;
    let quiet = 0;
    let seen = this.#activity;
    let left = MOST_MICROTASKS;
    const look = () => {
      quiet = seen === this.#activity ? quiet + 1 : 0;
      seen = this.#activity;
      if (quiet < QUIET_MICROTASKS && --left > 0) return queueMicrotask(look);
      this.#scheduled = false;
      this.#end();
    };
    queueMicrotask(look);
  }
}
