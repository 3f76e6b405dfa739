/** Time that stands still until a test moves it. */

import { setImmediate } from "node:timers";
import type { Clock } from "../../src/system/clock.ts";

interface Timer {
  readonly at: number;
  readonly wake: () => void;
}

/** A {@link Clock} that a test advances. */
export class FakeClock implements Clock {
  #now: number;
  /** Ascending by time; timers of one time in the order they were set. */
  readonly #timers: Timer[] = [];

  /** @param now Where time begins, in milliseconds since the Unix epoch. */
  constructor(now = Date.UTC(2030, 0, 1)) {
    this.#now = now;
  }

  now(): number {
    return this.#now;
  }

  wakeAt(at: number, wake: () => void): () => void {
    const timer: Timer = { at, wake };
    let low = 0;
    let high = this.#timers.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#timers[middle]!.at <= at) low = middle + 1;
      else high = middle;
    }
    this.#timers.splice(low, 0, timer);
    return () => {
      const index = this.#timers.indexOf(timer);
      if (index >= 0) this.#timers.splice(index, 1);
    };
  }

  /** How many timers are set. A test that ends with one left has found a leak. */
  get pending(): number {
    return this.#timers.length;
  }

  /** When the earliest timer fires; `undefined` without one. */
  get next(): number | undefined {
    return this.#timers[0]?.at;
  }

  /**
   * Moves time forward, firing each timer that becomes due at its own time, in order; promises settle before, between
   * and after them. Timers set meanwhile fire too if they are due by then; one set in the past fires at once.
   *
   * @param ms Milliseconds.
   */
  async advance(ms: number): Promise<void> {
    const target = this.#now + ms;
    await settle();
    for (let timer = this.#timers[0]; timer !== undefined && timer.at <= target; timer = this.#timers[0]) {
      this.#timers.shift();
      this.#now = Math.max(this.#now, timer.at);
      timer.wake();
      await settle();
    }
    this.#now = target;
  }

  /** Moves to the earliest timer and fires it. @returns Whether there was one. */
  async advanceToNext(): Promise<boolean> {
    if (this.next === undefined) return false;
    await this.advance(Math.max(0, this.next - this.#now));
    return true;
  }

  /** Moves the wall clock without firing anything: a machine that slept, or a clock that was set. */
  jump(ms: number): void {
    this.#now += ms;
  }
}

/**
 * Resolves when every promise that can settle without a timer, or other I/O, has: one turn of the event loop
 * drains all microtasks, however long their chains are.
 */
export function settle(): Promise<void> {
  return new Promise((resolve) => void setImmediate(resolve));
}
