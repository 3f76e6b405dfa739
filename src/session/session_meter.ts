/** Tells the node's metrics what one session's turns moved, by what became of its delivery counters. */

import type { Metrics } from "../observe/metrics.ts";
import type { DeliveryState } from "./delivery_state.ts";

/** One session's meter. It looks once per turn, however many messages the turn had. */
export class SessionMeter {
  readonly #metrics: Metrics;
  #taken: number;
  #duplicates: number;
  #acked: number;
  #full = false;
  /** Resumed at `since`, and not caught up before message `until` is acked. */
  #behind: { readonly since: number; readonly until: number } | null = null;

  constructor(metrics: Metrics, { taken, duplicates, acked }: DeliveryState) {
    this.#metrics = metrics;
    this.#taken = taken;
    this.#duplicates = duplicates;
    this.#acked = acked;
  }

  /**
   * A conduit was attached and nothing was sent on it yet.
   *
   * @param since When its `start` came, milliseconds since the Unix epoch; `now` likewise.
   * @returns How many messages the client lacks.
   */
  established(delivery: DeliveryState, resumed: boolean, since: number, now: number): number {
    const lacking = delivery.secured - delivery.acked;
    this.#metrics.established(resumed, lacking);
    this.#behind = resumed && lacking > 0 ? { since, until: delivery.secured } : null;
    if (resumed && lacking === 0) this.#metrics.caughtUp(now - since);
    return lacking;
  }

  /** A turn is over. */
  turned(delivery: DeliveryState, attached: boolean, now: number): void {
    const { taken, duplicates, acked } = delivery;
    if (taken !== this.#taken || duplicates !== this.#duplicates || acked !== this.#acked) {
      // What a conduit's end left unsafe is taken again from the next one.
      const more = Math.max(0, taken - this.#taken);
      this.#metrics.moved(more, duplicates - this.#duplicates, acked - this.#acked);
      this.#taken = taken;
      this.#duplicates = duplicates;
      this.#acked = acked;
      if (this.#behind !== null && acked >= this.#behind.until) {
        this.#metrics.caughtUp(now - this.#behind.since);
        this.#behind = null;
      }
    }
    const full = attached && delivery.transmitted < delivery.secured;
    if (full && !this.#full) this.#metrics.windowFull();
    this.#full = full;
  }
}
