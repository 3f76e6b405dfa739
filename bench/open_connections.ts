/**
 * Opens many connections in one session and keeps them, a process of its own, so that the server's memory can be looked at.
 *
 * Run as `deno run -A bench/open_connections.ts '{"url": …, "durability": "durable", "service": "echo", "count": 10000}'`. It
 * opens them in bursts of a full window: the next burst follows when the server has acked the one before. It prints one line
 * of JSON, an `Opened`, when all are open and idle. Each line on standard input asks for one thing more:
 *
 * - `use`: uses each connection once. It prints `used`.
 * - `expect`: the server will be killed. It prints `expecting`.
 * - `resume`: the server is there again: resumes, uses each connection once more and prints one line of JSON, a `Resumed`.
 */

import { DEFAULT_LIMITS } from "../src/protocol/limits.ts";
import type { SessionMessage, SessionPayload } from "../src/protocol/messages.ts";
import { TestBody } from "./body.ts";
import {
  type ConnectionsOptions,
  connectionsOptions,
  type Opened,
  type Resumed,
} from "./connections_options.ts";
import { type SessionHandler, SessionSocket } from "./session_socket.ts";

const BODY_BYTES = 100;

class Opener implements SessionHandler {
  readonly #session: SessionSocket;
  readonly #options: ConnectionsOptions;
  readonly #bodies = new TestBody(BODY_BYTES, 0);
  #established = Promise.withResolvers<void>();
  #accepted = 0;
  /** How often each connection was used, and how often in all. */
  readonly #uses: Uint8Array;
  #used = 0;
  #firstUse = 0;
  #changed: () => void = () => {};

  constructor(options: ConnectionsOptions) {
    this.#options = options;
    this.#uses = new Uint8Array(options.count);
    this.#session = new SessionSocket(options, this);
  }

  /** Begins the session, or resumes it. Settles when it is established. */
  async dial(): Promise<void> {
    this.#established = Promise.withResolvers();
    this.#session.dial();
    await this.#established.promise;
  }

  /** @returns How many bursts it took. */
  async open(): Promise<number> {
    const { service, count } = this.#options;
    const bursts = await this.#inBursts((index) => ({ kind: "open", connection: idOf(index), service }));
    await this.#until(() => this.#accepted === count);
    return bursts;
  }

  /** Uses each connection once. @returns When the first answer came. */
  async use(): Promise<number> {
    const round = this.#uses[0]! + 1;
    this.#used = this.#firstUse = 0;
    await this.#inBursts((index) => {
      const body = this.#bodies.number(index);
      const connection = idOf(index);
      return this.#options.service === "echo"
        ? { kind: "message", connection, body }
        : { kind: "call", connection, request: round, method: "echo", body };
    });
    await this.#until(() => this.#used === this.#options.count);
    return this.#firstUse;
  }

  /** Everything is acked, in both directions, and nobody owes anybody anything. */
  async idle(): Promise<void> {
    this.#session.ack();
    await this.#until(() => this.#session.unacked === 0);
    await new Promise((resolve) => setTimeout(resolve, 200));
  }

  broken(): Promise<void> {
    return this.#session.broken();
  }

  end(): Promise<void> {
    return this.#session.end();
  }

  established(): void {
    this.#established.resolve();
  }

  took(message: SessionMessage, now: number): void {
    switch (message.kind) {
      case "accept":
        if (message.connection !== idOf(this.#accepted++)) this.failed("an accept that is out of order");
        return;
      case "credit":
        return;
      case "message":
        return this.#answered(message.connection, message.body, now);
      case "response":
        if (!message.ok) this.failed(`connection ${message.connection}: the call failed`);
        return this.#answered(message.connection, message.body, now);
      default:
        this.failed(`the server says ${JSON.stringify(message)}`);
    }
  }

  frameTaken(): void {
    this.#changed();
  }

  failed(what: string): never {
    console.error(what);
    Deno.exit(1);
  }

  /** Sends one message for each connection, a window at a time. */
  async #inBursts(messageFor: (index: number) => SessionPayload): Promise<number> {
    let bursts = 0;
    for (let from = 0; from < this.#options.count; bursts++) {
      // The confirming ack of the handshake, and what else was said, must be acked too, or it would not be a whole window.
      await this.#until(() => this.#session.unacked === 0);
      const to = Math.min(from + DEFAULT_LIMITS.windowMessages, this.#options.count);
      for (; from < to; from++) this.#session.put(messageFor(from));
      this.#session.flush();
    }
    return bursts;
  }

  async #until(condition: () => boolean): Promise<void> {
    while (!condition()) await new Promise<void>((resolve) => this.#changed = resolve);
  }

  #answered(connection: number, body: Uint8Array, now: number): void {
    const index = (connection - 1) / 2;
    const wrong = this.#bodies.mismatch(body, index);
    if (wrong !== null) this.failed(wrong);
    if (this.#used++ === 0) this.#firstUse = now;
    this.#uses[index]!++;
    if (this.#uses[index] !== this.#uses[0] && index > 0) {
      this.failed(`connection ${connection} was answered ${this.#uses[index]} times`);
    }
  }
}

function idOf(index: number): number {
  return 2 * index + 1;
}

const options = connectionsOptions.parse(JSON.parse(Deno.args[0] ?? "{}"));
const opener = new Opener(options);
await opener.dial();
const began = performance.now();
const bursts = await opener.open();
const opened: Opened = { milliseconds: performance.now() - began, bursts };
await opener.idle();
console.log(JSON.stringify(opened));
const lines = Deno.stdin.readable.pipeThrough(new TextDecoderStream()).getReader();
for (;;) {
  const { value, done } = await lines.read();
  if (done) break;
  switch (value.trim()) {
    case "use":
      await opener.use();
      await opener.idle();
      console.log("used");
      break;
    case "expect": {
      const broken = opener.broken();
      console.log("expecting");
      await broken;
      break;
    }
    case "resume": {
      const dialled = performance.now();
      await opener.dial();
      const established = performance.now() - dialled;
      const first = await opener.use() - dialled;
      const resumed: Resumed = { established, first, all: performance.now() - dialled };
      await opener.idle();
      console.log(JSON.stringify(resumed));
    }
  }
}
await opener.end();
