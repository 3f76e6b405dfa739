/** Simulated time: one queue of events for a whole cluster. Nothing happens between two of them. */

import { settle } from "../support/fake_clock.ts";

interface Entry {
  readonly at: number;
  /** Breaks ties: events of one moment happen in the order they were asked for. */
  readonly order: number;
  run: (() => void) | null;
}

/** A priority queue of what will happen, and what time it is. */
export class Timeline {
  #now: number;
  #orders = 0;
  #pending = 0;
  readonly #heap: Entry[] = [];
  /** Events that happened. */
  steps = 0;

  /** @param now Where time begins, milliseconds since the Unix epoch. */
  constructor(now = Date.UTC(2030, 0, 1)) {
    this.#now = now;
  }

  /** The true time, that no node knows exactly. Milliseconds since the Unix epoch. */
  get now(): number {
    return this.#now;
  }

  /** Events that wait; cancelled ones are not counted. */
  get pending(): number {
    return this.#pending;
  }

  /** Runs `run` after `ms` milliseconds, rounded up, never at once. @returns Cancels it. */
  after(ms: number, run: () => void): () => void {
    const entry: Entry = { at: this.#now + Math.ceil(Math.max(0, ms)), order: this.#orders++, run };
    this.#pending++;
    this.#push(entry);
    return () => {
      if (entry.run === null) return;
      entry.run = null;
      this.#pending--;
    };
  }

  /** Moves every clock forward at once, as if the whole cluster had slept: what was due meanwhile is late. */
  sleep(ms: number): void {
    this.#now += ms;
  }

  /**
   * Lets events happen, in order, until `ms` milliseconds have passed or `stop` says so. All promises settle after each.
   */
  async run(ms: number, stop: () => boolean): Promise<void> {
    const until = this.#now + ms;
    await settle();
    for (let next = this.#heap[0]; next !== undefined && next.at <= until && !stop(); next = this.#heap[0]) {
      this.#pop();
      if (next.run === null) continue;
      this.#now = Math.max(this.#now, next.at);
      const { run } = next;
      next.run = null;
      this.#pending--;
      this.steps++;
      run();
      await settle();
    }
    if (!stop()) this.#now = Math.max(this.#now, until);
  }

  #push(entry: Entry): void {
    const heap = this.#heap;
    let at = heap.push(entry) - 1;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (isBefore(heap[parent]!, entry)) break;
      heap[at] = heap[parent]!;
      at = parent;
    }
    heap[at] = entry;
  }

  #pop(): void {
    const heap = this.#heap;
    const last = heap.pop()!;
    if (heap.length === 0) return;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && isBefore(heap[child + 1]!, heap[child]!)) child++;
      if (isBefore(last, heap[child]!)) break;
      heap[at] = heap[child]!;
      at = child;
    }
    heap[at] = last;
  }
}

function isBefore(a: Entry, b: Entry): boolean {
  return a.at < b.at || a.at === b.at && a.order < b.order;
}
