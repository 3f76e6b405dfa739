/** A session's side of one connection to a service that passes bodies on, and the record of what the service did with it. */

import assert from "node:assert/strict";
import { type BodyValue, decodeBody, encodeBody } from "../../src/protocol/body.ts";
import type { EncodedBody, Metadata } from "../../src/protocol/messages.ts";
import type { CallOutcome, Rejection, Service, ServiceConnection } from "../../src/service/service.ts";
import { Waiters } from "./waiters.ts";

/** How long a test waits for what must come, milliseconds. */
const PATIENCE_MS = 10_000;

let lastId = -1;

/** See the top of this file. Room for messages is counted in messages; there is plenty unless a test says otherwise. */
export class FakeUpstreamConnection implements ServiceConnection {
  readonly id: number = lastId += 2;
  readonly session = "session";
  readonly principal = "principal";
  readonly kept = null;
  /** What the service sent, decoded. */
  readonly sent: BodyValue[] = [];
  /** What the service said when it took the connection; null while it has not. */
  metadata: Metadata | null = null;
  /** What the service said when it did not take the connection. */
  rejection: Rejection | null = null;
  /** How it was ended, by whom it ever was; null while it is not. */
  ending: { readonly reason: string; readonly detail: string } | null = null;
  /** What it was bound to the node with. */
  bound: string | null = null;
  /** `whenWritable` resolves before the accept, too. */
  eager = false;
  /** Messages that may still be sent without piling up. */
  room = Infinity;
  readonly #service: Service;
  readonly #changes = new Waiters();
  /** Wakes who waits for room. */
  #roomy: (() => void)[] = [];
  #delivering: Promise<void> = Promise.resolve();
  /** Messages that were delivered and whose handling is over. */
  handled = 0;

  /** Resolves when everything delivered was handled, or given up because the connection is over. */
  get delivered(): Promise<void> {
    return this.#delivering;
  }

  /** Opens a connection to a service, as a session does, and resolves when it was accepted or rejected. */
  static async open(service: Service, metadata: Metadata = {}): Promise<FakeUpstreamConnection> {
    const connection = new FakeUpstreamConnection(service);
    await connection.offer(metadata);
    return connection;
  }

  constructor(service: Service) {
    this.#service = service;
  }

  get service(): string {
    return this.#service.name;
  }

  get now(): number {
    return Date.now();
  }

  /** Asks the service to take it. */
  async offer(metadata: Metadata = {}): Promise<void> {
    const answer = await this.#service.onOpen?.(this, metadata) ?? {};
    // A session has things of its own to do before it accepts.
    for (let turn = 0; turn < 20; turn++) await Promise.resolve();
    if (this.ending !== null) return;
    if ("reason" in answer) {
      this.rejection = answer;
      this.ending = answer;
    } else {
      this.metadata = answer.metadata ?? {};
      if (this.room > 0) this.#wakeRoomy();
    }
    this.#changes.wake();
  }

  /** Delivers a message of the client; one at a time, each when the one before was handled. */
  deliver(value: BodyValue): void {
    const body = encodeBody(value);
    this.#delivering = this.#delivering.then(async () => {
      if (this.ending !== null) return;
      await this.#service.onMessage?.(this, body);
      this.handled++;
      this.#changes.wake();
    });
  }

  /** The other side, or the session, ends it. */
  endFromOutside(reason: string, detail = ""): void {
    this.ending = { reason, detail };
    this.#wakeRoomy();
    this.#service.onEnd?.(this, this.ending);
  }

  /** Lets so many more messages out. */
  grant(messages: number): void {
    this.room += messages;
    this.#wakeRoomy();
  }

  /** Resolves when `condition` holds, which is looked at after everything that happens here. */
  async until(what: string, condition: () => boolean): Promise<void> {
    const waiting = this.#changes.within(PATIENCE_MS);
    while (!condition()) {
      if (!await waiting.changed()) {
        assert.fail(`waited in vain: ${what}; ending ${JSON.stringify(this.ending)}`);
      }
    }
  }

  // ServiceConnection

  send(body: EncodedBody): void {
    if (this.ending !== null) return;
    assert.notEqual(this.metadata, null, "a message before the accept");
    assert.ok(this.writable, "a message without room for it");
    this.room--;
    this.sent.push(decodeBody(body));
    this.#changes.wake();
  }

  get writable(): boolean {
    return this.metadata !== null && this.room > 0;
  }

  async whenWritable(): Promise<void> {
    if (this.writable || this.eager || this.ending !== null) return;
    await new Promise<void>((resolve) => void this.#roomy.push(resolve));
  }

  bindToNode(reason: string): void {
    this.bound = reason;
  }

  end(reason = "", detail = ""): void {
    if (this.ending !== null) return;
    assert.notEqual(this.metadata, null, "an end before the accept");
    assert.ok(new TextEncoder().encode(reason).length <= 64 && detail.length <= 512);
    this.endFromOutside(reason, detail);
    this.#changes.wake();
  }

  sendVolatile(): void {
    assert.fail("sendVolatile");
  }

  keep(): void {
    assert.fail("keep");
  }

  openToClient(): ServiceConnection {
    assert.fail("openToClient");
  }

  call(): Promise<CallOutcome> {
    assert.fail("call");
  }

  #wakeRoomy(): void {
    for (const wake of this.#roomy.splice(0)) wake();
  }
}
