/** Time as a port, so that a test decides what time it is. */

/**
 * Reads time and wakes up at a time.
 *
 * Obligations: `now` never goes backwards within a process by more than the system's own clock does; a timer never
 * fires early, fires at most once, and never after it was cancelled.
 */
export interface Clock {
  /** Milliseconds since the Unix epoch. Stored times are compared across nodes, so this is wall time. */
  now(): number;
  /**
   * Calls `wake` once, at or after `at`.
   *
   * @param at Milliseconds since the Unix epoch.
   * @returns Cancels the timer; may be called at any time, any number of times.
   */
  wakeAt(at: number, wake: () => void): () => void;
}

const LONGEST_TIMEOUT = 2 ** 31 - 1;

/** The machine's clock. */
export const systemClock: Clock = {
  now: () => Date.now(),
  wakeAt(at, wake) {
    let timer: ReturnType<typeof setTimeout>;
    const arm = () => {
      const left = at - Date.now();
      timer = left > LONGEST_TIMEOUT ? setTimeout(arm, LONGEST_TIMEOUT) : setTimeout(fire, Math.max(0, left));
    };
    // A timer of the platform may fire a fraction of a millisecond early.
    const fire = () => Date.now() < at ? arm() : wake();
    arm();
    return () => clearTimeout(timer);
  },
};

/** Resolves at or after `at`. */
export function sleepUntil(clock: Clock, at: number): Promise<void> {
  return new Promise((resolve) => void clock.wakeAt(at, resolve));
}
