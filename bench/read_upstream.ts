/**
 * Reads a transfer from an upstream through an ephemeral session, no faster than told, a process of its own.
 *
 * Run as `deno run -A bench/read_upstream.ts '{"url": …, "service": "upstream:flood", "messages": 2000, …}'`. First it reads some
 * at full speed, so that the server's pools have grown, and prints `warm`; after a line on standard input it makes the transfer
 * and prints one line of JSON, a `TransferResult`. A message that is wrong, missing, doubled or out of order ends it with exit
 * code 1.
 */

import { bodyOf, payloadOf } from "../src/protocol/payload.ts";
import type { EncodedBody, SessionMessage } from "../src/protocol/messages.ts";
import { CLOSED_BY_UPSTREAM } from "../src/protocol/socket_closing.ts";
import { FLOOD_BYTES, floodMismatch } from "./flood.ts";
import { type SessionHandler, SessionSocket } from "./session_socket.ts";
import { type TransferOptions, transferOptions, type TransferResult } from "./transfer_options.ts";

const WARM_MESSAGES = 1_000;
/** How often the reader looks at the clock. */
const TICK_MS = 4;

/** The session, and a connection for each transfer. */
class Reader implements SessionHandler {
  readonly ready: Promise<void>;
  readonly #ready = Promise.withResolvers<void>();
  readonly #session: SessionSocket;
  readonly #options: TransferOptions;
  #connection = -1;
  #accepted = false;
  #queue: EncodedBody[] = [];
  #came = 0;
  #read = 0;
  #granted = 0;
  /** What the upstream's end was called; null before it. */
  #ending: string | null = null;
  /** Messages that were there and not read, at most. */
  mostWaiting = 0;

  constructor(options: TransferOptions) {
    this.#options = options;
    this.ready = this.#ready.promise;
    this.#session = new SessionSocket({ url: options.url, durability: "ephemeral", noDelay: true }, this);
    this.#session.dial();
  }

  /** @param rate Bytes per second. @returns Milliseconds. */
  async transfer(messages: number, rate: number): Promise<number> {
    this.#connection += 2;
    this.#accepted = false;
    this.#came = this.#read = this.mostWaiting = 0;
    this.#ending = null;
    const { credit, service } = this.#options;
    this.#granted = credit;
    const connection = this.#connection;
    this.#session.put({ kind: "open", connection, service, messageCredit: credit });
    const text = new TextEncoder().encode(String(messages));
    this.#session.put({ kind: "message", connection, body: bodyOf({ bytes: text, binary: false }) });
    this.#session.flush();
    const began = performance.now();
    while (this.#read < messages || this.#ending === null) {
      await new Promise((resolve) => setTimeout(resolve, TICK_MS));
      const budget = Math.floor((performance.now() - began) / 1000 * rate / FLOOD_BYTES) - this.#read;
      this.#take(Math.min(budget, this.#queue.length));
    }
    if (this.#read !== messages) this.failed(`${this.#read} messages instead of ${messages}`);
    if (this.#ending !== CLOSED_BY_UPSTREAM) this.failed(`the connection ended with ${this.#ending}`);
    return performance.now() - began;
  }

  close(): Promise<void> {
    return this.#session.end();
  }

  established(): void {
    this.#ready.resolve();
  }

  took(message: SessionMessage): void {
    if (!("connection" in message) || message.connection !== this.#connection) {
      return this.failed(`the server says ${message.kind} on another connection`);
    }
    switch (message.kind) {
      case "accept":
        this.#accepted = true;
        return;
      case "message":
        if (!this.#accepted || ++this.#came > this.#granted) {
          this.failed(`message ${this.#came} of ${this.#granted} granted`);
        }
        // As a view it would keep its frame.
        this.#queue.push(message.body.slice());
        this.mostWaiting = Math.max(this.mostWaiting, this.#queue.length);
        return;
      case "credit":
        return;
      case "end":
        this.#ending = message.reason ?? "";
        return;
      default:
        this.failed(`the server says ${message.kind}`);
    }
  }

  frameTaken(): void {
    this.#session.ack();
  }

  failed(what: string): never {
    console.error(what);
    Deno.exit(1);
  }

  /** Reads what waits, and grants as much once half of the credit was read (`connection.credit`). */
  #take(count: number): void {
    for (const body of this.#queue.splice(0, Math.max(0, count))) {
      const payload = payloadOf(body);
      const wrong = payload?.binary === true ? floodMismatch(payload.bytes, this.#read) : "it is not binary";
      if (wrong !== null) this.failed(wrong);
      this.#read++;
    }
    const { credit } = this.#options;
    const additional = credit - (this.#granted - this.#read);
    if (this.#ending !== null || additional * 2 < credit) return;
    this.#granted += additional;
    this.#session.put({ kind: "credit", connection: this.#connection, channel: 0, additional });
    this.#session.flush();
  }
}

const options = transferOptions.parse(JSON.parse(Deno.args[0] ?? "{}"));
const reader = new Reader(options);
await reader.ready;
await reader.transfer(WARM_MESSAGES, Infinity);
console.log("warm");
await Deno.stdin.read(new Uint8Array(1));
const milliseconds = await reader.transfer(options.messages, options.rate);
const result: TransferResult = {
  bytes: options.messages * FLOOD_BYTES,
  milliseconds,
  mostWaiting: reader.mostWaiting * FLOOD_BYTES,
};
console.log(JSON.stringify(result));
await reader.close();
