/** One client of one system under measurement: it sends texts that come back, loses its transport, and takes up again. */

import { Fate, indexOf, textOf } from "./text.ts";

/** Hears of a conversation. */
export interface Hearer {
  /** One more of its messages is back. @param roundTrip Milliseconds. */
  echoed(conversation: Conversation, roundTrip: number): void;
  /** Its transport broke, and it was not {@link Conversation.cut} or closed here. */
  broke(conversation: Conversation): void;
  /** Anything that makes the run worthless. */
  failed(error: Error): void;
}

/** Where and as what a conversation is held. */
export interface Place {
  /** The server, as the system's own client wants it. */
  readonly url: string;
  /** Tells it from all others of the run; the same in all of a run's processes. */
  readonly number: number;
  /** Its transport is going to be broken. */
  readonly breaks: boolean;
}

/** Round trips that are under way and can be told apart. */
const MOST_OUT = 4096;

/**
 * A client of one system. Implementations send, cut and take up again; numbering and judging are done here.
 *
 * Obligations: texts sent in one call may travel in one frame; {@link cut} ends the transport as a network would, without
 * telling the system that the session is over; after it nothing that was under way is taken.
 */
export abstract class Conversation {
  readonly fate = new Fate();
  sent = 0;
  /** When its last dial had a socket, and when the session was there, `performance.now()`; NaN where its client cannot tell. */
  opened = NaN;
  established = NaN;
  readonly #sentAt = new Float64Array(MOST_OUT);

  constructor(protected readonly place: Place, private readonly hearer: Hearer) {}

  get number(): number {
    return this.place.number;
  }

  /** Messages that were sent and are not back. */
  get outstanding(): number {
    return this.sent - this.fate.arrived;
  }

  /** Begins; settles when texts may be sent. */
  abstract open(): Promise<void>;

  /** Ends the transport, abruptly. */
  abstract cut(): void;

  /**
   * Takes up after {@link cut} or a break, once; rejects if it cannot.
   *
   * @returns True if the system still had the session, false if it had to begin a new one.
   */
  abstract resume(): Promise<boolean>;

  /** Leaves for good. */
  abstract close(): Promise<void>;

  /** Sends `count` further messages. */
  send(count: number): void {
    this.deliver(this.further(count));
  }

  /** Has `count` messages come for it while it is cut off; settles when that is under way and the transport is gone. */
  async miss(count: number): Promise<void> {
    await this.missed(this.further(count), this.sent - count);
  }

  /** Puts texts on their way. */
  protected abstract deliver(texts: readonly string[]): void;

  /** As {@link miss}; `first` is the index of the first text. */
  protected abstract missed(texts: readonly string[], first: number): Promise<void>;

  protected took(text: string): void {
    const index = indexOf(this.place.number, text);
    if (index === null || index >= this.sent) return this.fail(`a text that was never sent: ${text}`);
    this.fate.took(index);
    this.hearer.echoed(this, performance.now() - this.#sentAt[index % MOST_OUT]!);
  }

  protected broke(): void {
    this.hearer.broke(this);
  }

  protected fail(what: string): void {
    this.hearer.failed(new Error(`conversation ${this.place.number}: ${what}`));
  }

  private further(count: number): string[] {
    const now = performance.now();
    return Array.from({ length: count }, () => {
      this.#sentAt[this.sent % MOST_OUT] = now;
      return textOf(this.place.number, this.sent++);
    });
  }
}

/** How long the system's own server may wait before it sends what is to be missed; longer than a cut takes. */
export const MISSED_AFTER_MS = 150;
