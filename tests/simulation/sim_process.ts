/** One simulated process: a server node or a client's page, with a clock of its own, that can be paused and lost. */

import type { Clock } from "../../src/system/clock.ts";
import type { Timeline } from "./timeline.ts";

/** A clock that tells how many of its timers are set. */
export class CountedClock implements Clock {
  readonly #inner: Clock;
  readonly #pending = new Set<symbol>();

  constructor(inner: Clock) {
    this.#inner = inner;
  }

  get pending(): number {
    return this.#pending.size;
  }

  now(): number {
    return this.#inner.now();
  }

  wakeAt(at: number, wake: () => void): () => void {
    const timer = Symbol();
    this.#pending.add(timer);
    const cancel = this.#inner.wakeAt(at, () => {
      this.#pending.delete(timer);
      wake();
    });
    return () => {
      this.#pending.delete(timer);
      cancel();
    };
  }
}

/**
 * Whatever reaches a process goes through {@link enter}: timers, frames, answers of the store. Once it is lost nothing
 * does; while it is paused everything waits, in order.
 */
export class SimProcess {
  readonly name: string;
  readonly clock: Clock;
  readonly #timeline: Timeline;
  readonly #timers = new Set<() => void>();
  #waiting: (() => void)[] | null = null;
  #paused = false;
  #lost = false;
  /** How far its clock is ahead of the true time; milliseconds. */
  #skew: number;

  constructor(name: string, timeline: Timeline, skew: number) {
    this.name = name;
    this.#timeline = timeline;
    this.#skew = skew;
    this.clock = { now: () => timeline.now + this.#skew, wakeAt: (at, wake) => this.#wakeAt(at, wake) };
  }

  get alive(): boolean {
    return !this.#lost;
  }

  /** It is paused, or has not caught up with what reached it meanwhile. */
  get waits(): boolean {
    return this.#waiting !== null;
  }

  /** Timers that are set. */
  get timers(): number {
    return this.#timers.size;
  }

  /** Sets its wall clock; timers go on by the machine's own time, as those of the platform do. */
  jump(ms: number): void {
    this.#skew += ms;
  }

  /** Lets something reach the process. */
  enter(run: () => void): void {
    if (this.#lost) return;
    if (this.#waiting !== null) this.#waiting.push(run);
    else run();
  }

  /** Stops the process as SIGSTOP does. */
  pause(): void {
    if (this.#lost) return;
    this.#paused = true;
    this.#waiting ??= [];
  }

  /** Lets it go on with what has reached it meanwhile, one event each; what comes now waits behind it. */
  resume(): void {
    this.#paused = false;
    const next = () => {
      if (this.#paused || this.#waiting === null) return;
      const run = this.#waiting.shift();
      if (run === undefined) {
        this.#waiting = null;
        return;
      }
      run();
      this.#timeline.after(0, next);
    };
    if (this.#waiting !== null) this.#timeline.after(0, next);
  }

  /** Ends it without a word. */
  lose(): void {
    this.#lost = true;
    this.#waiting = null;
    for (const cancel of this.#timers) cancel();
    this.#timers.clear();
  }

  #wakeAt(at: number, wake: () => void): () => void {
    if (this.#lost) return () => {};
    let cancelEvent = () => {};
    const arm = () => {
      cancelEvent = this.#timeline.after(at - this.clock.now(), () => this.enter(fire));
    };
    const fire = () => {
      if (!this.#timers.has(cancel)) return;
      if (this.clock.now() < at) return arm();
      this.#timers.delete(cancel);
      wake();
    };
    const cancel = () => {
      this.#timers.delete(cancel);
      cancelEvent();
    };
    this.#timers.add(cancel);
    arm();
    return cancel;
  }
}
