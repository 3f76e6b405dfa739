/** A session's one timer, set to the earliest of its deadlines. */

import type { Clock } from "../system/clock.ts";

/** A deadline that moved later is found out when the timer fires. */
export class SessionTimer {
  readonly #clock: Clock;
  readonly #fired: () => void;
  #cancel: (() => void) | null = null;
  #at = Infinity;

  constructor(clock: Clock, fired: () => void) {
    this.#clock = clock;
    this.#fired = fired;
  }

  /** Fires at `at` at the latest; milliseconds since the Unix epoch. Infinity: nothing changes. */
  arm(at: number): void {
    if (at >= this.#at) return;
    this.#cancel?.();
    this.#at = at;
    this.#cancel = this.#clock.wakeAt(at, () => {
      this.stop();
      this.#fired();
    });
  }

  /** Fires no more, unless it is armed again. */
  stop(): void {
    this.#cancel?.();
    this.#cancel = null;
    this.#at = Infinity;
  }
}
