/** How much goes on, second by second: kept for the last minute, so that whoever begins to look sees it at once. */

import type { CountedMetrics } from "../observe/counted_metrics.ts";
import type { SessionRunner } from "../session/session_runner.ts";
import type { Clock } from "../system/clock.ts";

const EVERY_MS = 1_000;
/** Samples that are kept. */
export const KEPT_RATES = 60;

/** What is counted: totals that only grow. */
export interface RateTotals {
  /** Session messages in both directions. */
  readonly messages: number;
  /** Calls of clients that are over. */
  readonly calls: number;
  /** Conduits attached. */
  readonly handshakes: number;
}

/** Each per second, the oldest sample first. */
export type RateHistory = { readonly [Name in keyof RateTotals]: readonly number[] };

/** Samples totals once a second until it is stopped. */
export class Rates {
  readonly #clock: Clock;
  readonly #read: () => RateTotals;
  #history: RateHistory = { messages: [], calls: [], handshakes: [] };
  #last: { readonly at: number; readonly totals: RateTotals };
  #cancel: (() => void) | null = null;

  constructor(clock: Clock, read: () => RateTotals) {
    this.#clock = clock;
    this.#read = read;
    this.#last = { at: clock.now(), totals: read() };
  }

  get history(): RateHistory {
    return this.#history;
  }

  start(): void {
    this.#cancel = this.#clock.wakeAt(this.#clock.now() + EVERY_MS, () => {
      this.#sample();
      this.start();
    });
  }

  stop(): void {
    this.#cancel?.();
  }

  #sample(): void {
    const at = this.#clock.now();
    const totals = this.#read();
    const { at: before, totals: had } = this.#last;
    const seconds = Math.max(1, at - before) / 1_000;
    const longer = (name: keyof RateTotals) => {
      const rate = Math.max(0, Math.round((totals[name] - had[name]) / seconds));
      return [...this.#history[name].slice(1 - KEPT_RATES), rate];
    };
    this.#history = {
      messages: longer("messages"),
      calls: longer("calls"),
      handshakes: longer("handshakes"),
    };
    this.#last = { at, totals };
  }
}

/** Reads the totals off a node's metrics, without what those who watch it cause themselves. */
export class WorkTotals {
  readonly #metrics: CountedMetrics;
  readonly #own: { readonly service: string; readonly sessions: () => Iterable<SessionRunner> };
  readonly #seen = new WeakMap<SessionRunner, number>();
  #ownMessages = 0;
  #ownHandshakes = 0;

  /** @param own The service that is watched with, and the sessions of those who watch. */
  constructor(
    metrics: CountedMetrics,
    own: { readonly service: string; readonly sessions: () => Iterable<SessionRunner> },
  ) {
    this.#metrics = metrics;
    this.#own = own;
  }

  read(): RateTotals {
    const { messagesIn, messagesOut, sessionsNew, sessionsResumed, calls } = this.#metrics;
    for (const runner of this.#own.sessions()) {
      const { received, sent } = runner.state.delivery;
      const seen = this.#seen.get(runner);
      if (seen === undefined) this.#ownHandshakes++;
      this.#ownMessages += received + sent - (seen ?? 0);
      this.#seen.set(runner, received + sent);
    }
    let over = 0;
    for (const { service, outcomes } of calls.values()) {
      if (service !== this.#own.service) { for (const count of outcomes.counts.values()) over += count; }
    }
    return {
      messages: messagesIn + messagesOut - this.#ownMessages,
      calls: over,
      handshakes: sessionsNew + sessionsResumed - this.#ownHandshakes,
    };
  }
}
