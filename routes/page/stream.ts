/** The numbered messages: sends them at a rate, and counts what comes back. */

import type { Connection } from "../../src/client/mod.ts";
import { countEcho, type TabMemory } from "./tab_memory.ts";
import { inFlight, tallyEcho, tallySent } from "./tally_state.ts";
import { STRIP_SECONDS } from "./strip.ts";

/** How often the stream looks whether a message is due. Milliseconds. */
const TICK_MS = 20;

/** A tab in the background is woken once a second or less: what became due meanwhile is sent, up to this time's worth. */
const CATCH_UP_MS = 2_000;

/**
 * The stream waits while so many of its messages are in flight.
 *
 * It is below the smallest window that this page is served with, so that the SDK numbers and keeps a message in the turn
 * in which it is sent: a `send` that had to wait for room would be counted here and forgotten by a reload.
 */
export const MOST_IN_FLIGHT = 800;

/** See the top of this file. */
export class Stream {
  readonly #connection: Connection;
  readonly #memory: TabMemory;
  readonly #onFailure: (error: unknown) => void;
  #timer: ReturnType<typeof setInterval> | undefined;
  #sentUntil = 0;

  /** @param onFailure Told once why messages can no longer be sent or received. */
  constructor(connection: Connection, memory: TabMemory, onFailure: (error: unknown) => void) {
    this.#connection = connection;
    this.#memory = memory;
    this.#onFailure = onFailure;
  }

  /** Whether it waits because enough is in flight. */
  get held(): boolean {
    return inFlight(this.#memory.tally) >= MOST_IN_FLIGHT;
  }

  /** Begins to count echoes, and to send unless paused. */
  start(): void {
    this.#sentUntil = Date.now();
    this.#timer = setInterval(() => this.#sendDue(), TICK_MS);
    this.#count().catch((error) => this.#fail(error));
  }

  /** Sends no more. */
  stop(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  #sendDue(): void {
    const { view, tally } = this.#memory;
    const now = Date.now();
    if (view.paused || this.held) {
      this.#sentUntil = now;
      return;
    }
    this.#sentUntil = Math.max(this.#sentUntil, now - CATCH_UP_MS);
    const interval = 1_000 / view.rate;
    while (this.#sentUntil + interval <= now && !this.held) {
      this.#sentUntil += interval;
      this.#connection.send({ number: tallySent(tally), at: now }).catch((error) => this.#fail(error));
    }
  }

  async #count(): Promise<void> {
    for await (const body of this.#connection) {
      // No `await` in here: the echo is counted and the next one asked for in one turn, so that no state in which only
      // one of the two is true can be stored.
      tallyEcho(this.#memory.tally, numberOf(body));
      countEcho(this.#memory.view, Date.now(), STRIP_SECONDS);
    }
  }

  #fail(error: unknown): void {
    if (this.#timer === undefined) return;
    this.stop();
    this.#onFailure(error);
  }
}

function numberOf(body: unknown): unknown {
  return typeof body === "object" && body !== null && "number" in body ? body.number : undefined;
}
