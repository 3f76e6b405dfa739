/** The client's end of the load: one plain or Holdfast conversation each, checked for order and exactly-once. */

import type { Durability, SessionMessage } from "../src/protocol/messages.ts";
import { TestBody } from "./body.ts";
import { type SessionHandler, type SessionPlace, SessionSocket } from "./session_socket.ts";

/** Takes each round trip's time. */
export interface Meter {
  /** @param roundTrip Milliseconds. */
  record(roundTrip: number): void;
  /** Anything that makes the run worthless. */
  failed(error: Error): void;
}

/** What one peer does. */
export interface PeerOptions {
  /** `http://HOST:PORT` of the server. */
  readonly url: string;
  /** Which peer of its process it is. */
  readonly number: number;
  /** Bytes of each body. */
  readonly bytes: number;
  /** Most messages that are out at once. */
  readonly inFlight: number;
  readonly meter: Meter;
}

/** One connection of the load. Each answer leads to another message while {@link Peer.refilling} is set. */
export abstract class Peer {
  refilling = false;
  protected readonly options: PeerOptions;

  constructor(options: PeerOptions) {
    this.options = options;
  }

  /** Settles when messages may be sent. */
  abstract readonly ready: Promise<void>;

  /** Messages sent and not yet answered. */
  abstract readonly outstanding: number;

  /** Sends as many messages as may be in flight, in one turn. */
  fill(): void {
    this.sendNext(this.options.inFlight - this.outstanding, performance.now());
  }

  /** Acks what was not acked yet. */
  abstract ack(): void;

  /** Leaves; a Holdfast session is ended. Settles when the transport is closed. */
  abstract close(): Promise<void>;

  /** Closes the transport and says nothing of an end: a conduit break. */
  abstract break(): Promise<void>;

  protected abstract sendNext(count: number, now: number): void;

  protected fail(what: string): void {
    this.options.meter.failed(new Error(`peer ${this.options.number}: ${what}`));
  }
}

/** Numbered bodies on their way, and their echoes, which come in order. */
class Echoes {
  readonly #options: PeerOptions;
  readonly #body: TestBody;
  readonly #fail: (what: string) => void;
  /** When message `n` was sent, at `n % inFlight`. */
  readonly #sentAt: Float64Array;
  #sent = 0;
  #echoed = 0;

  constructor(options: PeerOptions, fail: (what: string) => void) {
    this.#options = options;
    this.#body = new TestBody(options.bytes, options.number);
    this.#fail = fail;
    this.#sentAt = new Float64Array(options.inFlight);
  }

  get outstanding(): number {
    return this.#sent - this.#echoed;
  }

  /** The next message's body, valid until the next call. */
  next(now: number): Uint8Array<ArrayBuffer> {
    const index = this.#sent++;
    this.#sentAt[index % this.#sentAt.length] = now;
    return this.#body.number(index);
  }

  came(body: Uint8Array, now: number): void {
    const index = this.#echoed++;
    if (index >= this.#sent) return this.#fail(`an echo too many: ${this.#sent} messages were sent`);
    const wrong = this.#body.mismatch(body, index);
    if (wrong !== null) return this.#fail(wrong);
    this.#options.meter.record(now - this.#sentAt[index % this.#sentAt.length]!);
  }
}

/** Speaks to a server that echoes WebSocket messages: one message, one frame. */
export class PlainPeer extends Peer {
  readonly ready: Promise<void>;
  readonly #echoes: Echoes;
  readonly #socket: WebSocket;
  readonly #closed = Promise.withResolvers<void>();
  #closing = false;

  constructor(options: PeerOptions) {
    super(options);
    this.#echoes = new Echoes(options, this.fail.bind(this));
    this.#socket = new WebSocket(`${options.url.replace(/^http/, "ws")}/`);
    this.#socket.binaryType = "arraybuffer";
    this.#socket.onclose = ({ code, reason }) => {
      if (!this.#closing) this.fail(`the server closed with ${code} ${reason}`);
      this.#closed.resolve();
    };
    this.#socket.onmessage = ({ data }) => this.#received(new Uint8Array(data));
    this.ready = new Promise((resolve) => this.#socket.onopen = () => resolve());
  }

  override get outstanding(): number {
    return this.#echoes.outstanding;
  }

  override ack(): void {}

  override close(): Promise<void> {
    return this.break();
  }

  override break(): Promise<void> {
    this.#closing = true;
    this.#socket.close();
    return this.#closed.promise;
  }

  protected override sendNext(count: number, now: number): void {
    for (; count > 0; count--) this.#socket.send(this.#echoes.next(now));
  }

  #received(frame: Uint8Array): void {
    const now = performance.now();
    this.#echoes.came(frame, now);
    if (this.refilling) this.sendNext(1, now);
  }
}

/** The one connection of a session under load. */
export const CONNECTION = 1;

/** A session with one connection to one service. */
export abstract class SessionPeer extends Peer implements SessionHandler {
  readonly ready: Promise<void>;
  protected readonly session: SessionSocket;
  readonly #service: string;
  readonly #accepted = Promise.withResolvers<void>();
  /** Answers of the frame that is being taken. */
  #answers = 0;

  constructor(options: PeerOptions, service: string, place: Omit<SessionPlace, "url">) {
    super(options);
    this.#service = service;
    this.ready = this.#accepted.promise;
    this.session = new SessionSocket({ url: options.url, ...place }, this);
    this.session.dial();
  }

  override ack(): void {
    this.session.ack();
  }

  override close(): Promise<void> {
    return this.session.end();
  }

  override break(): Promise<void> {
    return this.session.break();
  }

  established(): void {
    this.session.put({ kind: "open", connection: CONNECTION, service: this.#service });
  }

  took(message: SessionMessage, now: number): void {
    if (!("connection" in message) || message.connection !== CONNECTION) {
      return this.fail(`the server says ${message.kind} on another connection`);
    }
    if (message.kind === "accept") return this.#accepted.resolve();
    this.#answers += this.answered(message, now);
  }

  frameTaken(now: number): void {
    const answers = this.#answers;
    this.#answers = 0;
    if (this.refilling && answers > 0) this.sendNext(answers, now);
  }

  failed(what: string): void {
    this.fail(what);
  }

  /** Checks what came. @returns How many messages may be sent in its place; anything unexpected is a failure. */
  protected abstract answered(message: SessionMessage, now: number): number;
}

/** How a {@link HoldfastPeer} talks. */
export interface Manner {
  readonly durability: Durability;
  /** What one frame caused goes into one frame, as `frame.batch` wants it; else each message has a frame of its own. */
  readonly batched: boolean;
}

/** Speaks to `echo`. */
export class HoldfastPeer extends SessionPeer {
  readonly #echoes: Echoes;
  readonly #batched: boolean;

  constructor(options: PeerOptions, { durability, batched }: Manner) {
    super(options, "echo", { durability });
    this.#batched = batched;
    this.#echoes = new Echoes(options, this.fail.bind(this));
  }

  override get outstanding(): number {
    return this.#echoes.outstanding;
  }

  protected override sendNext(count: number, now: number): void {
    for (; count > 0; count--) {
      this.session.put({ kind: "message", connection: CONNECTION, body: this.#echoes.next(now) });
      if (!this.#batched) this.session.flush();
    }
    this.session.flush();
  }

  protected override answered(message: SessionMessage, now: number): number {
    if (message.kind !== "message") {
      this.fail(`the server says ${message.kind}`);
      return 0;
    }
    this.#echoes.came(message.body, now);
    return 1;
  }
}
