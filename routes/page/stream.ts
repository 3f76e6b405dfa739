/**
 * The numbered messages: sends them at a rate, and tallies what comes back.
 *
 * The tally must survive a reload exactly as the session does. Written by itself, it could be behind or ahead of the
 * SDK's state by one message, which would look lost or doubled although it was neither. So it is kept **with** the
 * connection (`Connection.keep`), in the turn that sends a message and in the turn that consumes an echo: then the one
 * write of the storage that says "sent" or "consumed" holds the tally that agrees with it.
 */

import type { Connection } from "../../src/client/mod.ts";
import { STRIP_SECONDS } from "./strip.ts";
import { inFlight, newTally, type Tally, tallyEcho, tallySent } from "./tally_state.ts";
import { countEcho, type View } from "./view_memory.ts";

/** How often the stream looks whether a message is due. Milliseconds. */
const TICK_MS = 20;

/** A tab in the background is woken once a second or less: what became due meanwhile is sent, up to this time's worth. */
const CATCH_UP_MS = 2_000;

/** The stream waits while so many of its messages are in flight. */
const MOST_IN_FLIGHT = 800;

/** See the top of this file. */
export class Stream {
  tally: Tally = newTally();
  readonly #connection: Connection;
  readonly #view: () => View;
  readonly #onFailure: (error: unknown) => void;
  #timer: ReturnType<typeof setInterval> | undefined;
  /** Up to when the messages that were due are sent. Milliseconds since the Unix epoch. */
  #sentUntil = 0;
  #stopped = false;

  /**
   * @param view The view as it is now.
   * @param onFailure Told once why messages can no longer be sent or received.
   */
  constructor(connection: Connection, view: () => View, onFailure: (error: unknown) => void) {
    this.#connection = connection;
    this.#view = view;
    this.#onFailure = onFailure;
  }

  /** Whether it waits because enough is in flight. */
  get held(): boolean {
    return inFlight(this.tally) >= MOST_IN_FLIGHT;
  }

  /**
   * Goes on with the tally that was kept, tallies echoes and, once the service accepted, sends unless paused.
   *
   * To be called when the SDK has read its storage.
   */
  async run(): Promise<void> {
    // Under this storage key nothing else was ever kept; another shape of the tally gets another key.
    this.tally = this.#connection.kept as Tally | undefined ?? this.tally;
    try {
      const tallied = this.#tallyEchoes();
      // Both fail when the session ends; it is reported once.
      tallied.catch(() => {});
      await this.#connection.opened;
      this.#sentUntil = Date.now();
      if (!this.#stopped) this.#timer = setInterval(() => this.#sendDue(), TICK_MS);
      await tallied;
    } catch (error) {
      this.#fail(error);
    }
  }

  /** Sends no more. */
  stop(): void {
    this.#stopped = true;
    clearInterval(this.#timer);
  }

  #sendDue(): void {
    const now = Date.now();
    if (this.#view().paused || this.held) {
      this.#sentUntil = now;
      return;
    }
    this.#sentUntil = Math.max(this.#sentUntil, now - CATCH_UP_MS);
    const interval = 1_000 / this.#view().rate;
    while (this.#sentUntil + interval <= now && !this.held) {
      this.#sentUntil += interval;
      this.#connection.send({ number: tallySent(this.tally), at: now }).catch((error) => this.#fail(error));
    }
    this.#connection.keep(this.tally);
  }

  async #tallyEchoes(): Promise<void> {
    for await (const body of this.#connection) {
      tallyEcho(this.tally, numberOf(body));
      countEcho(this.#view(), Date.now(), STRIP_SECONDS);
      // The last act, and no `await` before it: the echo is consumed in this same turn, when the loop asks for the next.
      this.#connection.keep(this.tally);
    }
  }

  #fail(error: unknown): void {
    if (this.#stopped) return;
    this.stop();
    this.#onFailure(error);
  }
}

function numberOf(body: unknown): unknown {
  return typeof body === "object" && body !== null && "number" in body ? body.number : undefined;
}
