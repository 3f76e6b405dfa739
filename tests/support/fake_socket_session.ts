/** A session, as a `HoldfastSocket` needs it, whose other side a test plays. */

import assert from "node:assert/strict";
import { HoldfastError } from "../../src/client/errors.ts";
import type { SocketConnection, SocketEnding, SocketSession } from "../../src/client/socket_ports.ts";
import type { BodyValue } from "../../src/protocol/body.ts";
import type { Metadata } from "../../src/protocol/messages.ts";

/** A connection of a {@link FakeSocketSession}. */
export class FakeSocketConnection implements SocketConnection {
  readonly service: string;
  /** What was opened with. */
  readonly offer: Metadata;
  readonly restored: boolean;
  readonly opened: Promise<void>;
  readonly closed: Promise<SocketEnding>;
  metadata: Metadata = {};
  /** What was sent and is kept by the session. */
  readonly sent: BodyValue[] = [];
  /** How the application closed it; null while it did not. */
  closing: SocketEnding | null = null;
  /** What is sent waits for {@link release}. */
  full = false;
  readonly #opened = Promise.withResolvers<void>();
  readonly #closed = Promise.withResolvers<SocketEnding>();
  #ending: SocketEnding | null = null;
  readonly #inbox: BodyValue[] = [];
  #wake: () => void = () => {};
  #waiting: { readonly value: BodyValue; readonly kept: PromiseWithResolvers<void> }[] = [];

  constructor(service: string, offer: Metadata, restored: boolean) {
    this.service = service;
    this.offer = offer;
    this.restored = restored;
    this.opened = this.#opened.promise;
    this.closed = this.#closed.promise;
    this.opened.catch(() => {});
  }

  /** The service takes it. */
  accept(metadata: Metadata = {}): void {
    this.metadata = metadata;
    this.#opened.resolve();
  }

  /** A message comes. */
  arrive(...values: readonly BodyValue[]): void {
    assert.equal(this.#ending, null);
    this.#inbox.push(...values);
    this.#wake();
  }

  /** It is over: the other side ended or rejected it, or the session is. */
  over(reason: string, detail = ""): void {
    if (this.#ending !== null) return;
    this.#ending = { reason, detail };
    for (const { kept } of this.#waiting.splice(0)) kept.reject(new HoldfastError(reason || "ended", detail));
    this.#opened.reject(new HoldfastError(reason || "ended", detail));
    this.#closed.resolve(this.#ending);
    this.#wake();
  }

  /** What waits is numbered and kept. */
  release(): void {
    this.full = false;
    for (const { value, kept } of this.#waiting.splice(0)) {
      this.sent.push(value);
      kept.resolve();
    }
    if (this.closing !== null) this.over(this.closing.reason, this.closing.detail);
  }

  /** What waits is refused. */
  refuse(reason: string): void {
    for (const { kept } of this.#waiting.splice(0)) kept.reject(new HoldfastError(reason, ""));
  }

  // SocketConnection

  send(value: BodyValue): Promise<void> {
    const kept = Promise.withResolvers<void>();
    if (this.#ending !== null || this.closing !== null) kept.reject(new HoldfastError("ended", ""));
    // As the SDK does, which encodes it.
    else this.#waiting.push({ value: value instanceof Uint8Array ? value.slice() : value, kept });
    if (!this.full) this.release();
    return kept.promise;
  }

  close(reason = "", detail = ""): void {
    if (this.#ending !== null || this.closing !== null) return;
    this.closing = { reason, detail };
    if (this.#waiting.length === 0) this.over(reason, detail);
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<BodyValue, undefined> {
    while (true) {
      const value = this.#inbox.shift();
      if (value !== undefined) {
        yield value;
      } else if (this.#ending === null) {
        await new Promise<void>((resolve) => this.#wake = resolve);
      } else if (this.#ending.reason !== "" && this.closing === null) {
        throw new HoldfastError(this.#ending.reason, this.#ending.detail);
      } else {
        return undefined;
      }
    }
  }
}

/** See the top of this file. */
export class FakeSocketSession implements SocketSession {
  ready: Promise<void> = Promise.resolve();
  readonly connections: FakeSocketConnection[] = [];
  /** Connections from before a reload. */
  restored: FakeSocketConnection[] = [];
  /** What `open` throws. */
  failure: Error | null = null;

  open(service: string, { metadata = {} }: { readonly metadata?: Metadata } = {}): FakeSocketConnection {
    if (this.failure !== null) throw this.failure;
    const restored = this.restored.shift();
    if (restored !== undefined) return restored;
    const connection = new FakeSocketConnection(service, metadata, false);
    this.connections.push(connection);
    return connection;
  }

  /** The only connection that was opened. */
  get connection(): FakeSocketConnection {
    assert.equal(this.connections.length, 1);
    return this.connections[0]!;
  }
}
