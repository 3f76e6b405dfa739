/** Counts what is open, so that a stop can wait until nothing is. */

/** A count that can be waited for. */
export class Tally {
  #count = 0;
  #waiting: (() => void)[] = [];

  /** How many were added and not removed. */
  get count(): number {
    return this.#count;
  }

  add(): void {
    this.#count++;
  }

  /** @throws RangeError if nothing is left to remove: a count that drifts would end a stop too early. */
  remove(): void {
    if (this.#count === 0) throw new RangeError("more was removed from a tally than added");
    if (--this.#count > 0) return;
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const resolve of waiting) resolve();
  }

  /** Resolves when the count is 0. */
  whenNone(): Promise<void> {
    if (this.#count === 0) return Promise.resolve();
    return new Promise((resolve) => void this.#waiting.push(resolve));
  }
}
