/**
 * Two multiplexers wired back to back, both correct, with a ledger beside each that counts on its own what the rules want.
 *
 * What one side sends waits until it is delivered, so that any two messages may cross.
 */

import fc from "fast-check";
import assert from "node:assert/strict";
import { receivingOf, sendingOf } from "../../src/connection/call_state.ts";
import {
  type CallWords,
  decodeConnection,
  encodeConnection,
} from "../../src/connection/connection_record.ts";
import * as mux from "../../src/connection/mux_state.ts";
import { decodeBody, encodeBody } from "../../src/protocol/body.ts";
import type { SessionMessage, SessionPayload } from "../../src/protocol/messages.ts";

/** Small, so that they are reached. */
const MOST_CONNECTIONS = 4;
const MOST_CALLS = 3;

const WHAT = [
  ...["open", "accept", "accept", "reject", "end", "store"] as const,
  ...["say", "say", "call", "call", "call", "cancel", "respond", "respond"] as const,
  ...["item", "item", "item", "item", "over", "take", "take", "take", "take"] as const,
  ...["hold", "hold", "handle"] as const,
  ...["deliver", "deliver", "deliver", "deliver", "deliver", "deliver"] as const,
];

/** One thing that one side does; the numbers choose among what is there when it is done. */
export interface PairAct {
  readonly what: typeof WHAT[number];
  readonly side: mux.Side;
  readonly pick: number;
  readonly count: number;
  readonly yes: boolean;
  readonly also: boolean;
}

/** What two applications and the network between them may do. */
export const pairAct: fc.Arbitrary<PairAct> = fc.record({
  what: fc.constantFrom(...WHAT),
  side: fc.constantFrom("client", "server"),
  pick: fc.nat(1_000),
  count: fc.nat(20),
  yes: fc.boolean(),
  also: fc.boolean(),
}, { noNullPrototype: true });

/** Counters by connection and channel. */
class Tally {
  readonly #counts = new Map<string, number>();

  get(connection: number, channel: number): number {
    return this.#counts.get(`${connection}/${channel}`) ?? 0;
  }

  has(connection: number, channel: number): boolean {
    return this.#counts.has(`${connection}/${channel}`);
  }

  add(connection: number, channel: number, by = 1): number {
    const sum = this.get(connection, channel) + by;
    this.#counts.set(`${connection}/${channel}`, sum);
    return sum;
  }

  /** Those that are not 0. */
  entries(): [connection: number, channel: number, count: number][] {
    return [...this.#counts].filter(([, count]) => count !== 0).map(([key, count]) => {
      const [connection = 0, channel = 0] = key.split("/").map(Number);
      return [connection, channel, count];
    });
  }
}

/** One side: its machine, what is under way to it, and its ledger. */
export class Half {
  mux: mux.MuxState;
  peer!: Half;
  readonly arriving: SessionMessage[] = [];
  readonly words = new Map<number, CallWords>();
  now = 0;
  /** How often each outcome was met. */
  readonly outcomes = new Map<string, number>();
  #seq = 0;
  /** Connections that the other side opened and this side has not answered. */
  readonly pending = new Set<number>();
  /** Connections that the other side has ended: nothing more is said on them. */
  readonly #hushed = new Set<number>();
  /** Items and plain messages (channel 0): sent, allowed to be sent, taken in, and of those not taken by the application. */
  readonly sent = new Tally();
  readonly allowed = new Tally();
  readonly got = new Tally();
  readonly untaken = new Tally();
  readonly #highest = new Tally();
  /** The download of each call that this side was asked. */
  readonly #downloads = new Map<string, number>();
  readonly #answered = new Set<string>();
  readonly #answers = new Set<string>();
  readonly #ended = new Set<string>();
  readonly #heardOver = new Set<string>();

  constructor(side: mux.Side) {
    this.mux = mux.newMux(side, MOST_CONNECTIONS, MOST_CALLS);
  }

  get connections(): mux.ConnectionState[] {
    return [...this.mux.connections.values()];
  }

  emit(payload: SessionPayload | null): void {
    if (payload === null) return;
    this.#enter(payload);
    this.peer.arriving.push({ ...payload, seq: ++this.#seq, cost: 1 });
  }

  /** Judges what is sent. */
  #enter(payload: SessionPayload): void {
    const { connection, kind } = payload;
    assert.ok(!this.#hushed.has(connection), `${kind} after the other side's end`);
    if (kind === "open") return this.#ascends(connection, 0, 0, connection);
    const answersOffer = kind === "accept" || kind === "reject" || kind === "end";
    if (!answersOffer) assert.ok(!this.pending.has(connection), `${kind} before the accept`);
    this.pending.delete(connection);
    switch (kind) {
      case "message":
        this.sent.add(connection, 0);
        if (this.allowed.has(connection, 0)) {
          assert.ok(this.sent.get(connection, 0) <= this.allowed.get(connection, 0));
        }
        return;
      case "call": {
        const { upload, download } = payload.options ?? {};
        this.#ascends(payload.request, connection, 1);
        for (const channel of [upload, download]) {
          if (channel !== undefined) this.#ascends(channel, connection, 2, channel);
        }
        if (upload !== undefined) this.allowed.add(connection, upload, 16);
        return;
      }
      case "item":
        assert.ok(!this.#ended.has(`${connection}/${payload.channel}`), "an item after the end");
        assert.ok(
          this.sent.add(connection, payload.channel) <= this.allowed.get(connection, payload.channel),
        );
        return;
      case "finish":
      case "reset":
        assert.ok(once(this.#ended, `${connection}/${payload.channel}`), "a channel ends once");
        return;
      case "response": {
        const call = `${connection}/${payload.request}`;
        assert.ok(once(this.#answered, call), "a call is answered once");
        const download = this.#downloads.get(call);
        if (download !== undefined) assert.ok(this.#ended.has(`${connection}/${download}`));
        return;
      }
    }
  }

  /** Ids of one kind ascend, so that none is used again; those with a parity have this side's. */
  #ascends(id: number, connection: number, kind: number, ofParity?: number): void {
    const highest = this.#highest.get(connection, kind);
    assert.ok(id > highest, `id ${id} is not above ${highest}`);
    this.#highest.add(connection, kind, id - highest);
    if (ofParity !== undefined) assert.equal(ofParity % 2 === 1, this.mux.side === "client");
  }

  /** Takes the next message that is under way to this side. */
  deliver(): void {
    const message = this.arriving.shift();
    if (message === undefined) return;
    const outcome = mux.receive(this.mux, message, this.now);
    const { connection } = message;
    this.outcomes.set(outcome.kind, 1 + (this.outcomes.get(outcome.kind) ?? 0));
    switch (outcome.kind) {
      case "violation":
        throw new assert.AssertionError({ message: `${message.kind}: ${outcome.violation.detail}` });
      case "answer":
        this.peer.arriving.push({ ...outcome.payload, seq: ++this.#seq, cost: 1 });
        return;
      case "offered":
        this.pending.add(connection);
        this.#allow(message);
        return;
      case "accepted":
        return this.#allow(message);
      case "ended":
      case "ending":
        this.pending.delete(connection);
        this.#hushed.add(connection);
        return;
      case "message":
        return this.#take(connection, 0, outcome.body);
      case "item":
        assert.ok(!this.#heardOver.has(`${connection}/${outcome.channel}`));
        return this.#take(connection, outcome.channel, outcome.body);
      case "messages_credited":
      case "credited":
        assert.ok(message.kind === "credit");
        this.allowed.add(connection, message.channel, message.additional);
        return;
      case "channel_over":
        this.#heardOver.add(`${connection}/${outcome.channel}`);
        // A normal end is the end of all that was sent.
        if (outcome.reason === null) {
          const [got, sent] = [this.got, this.peer.sent].map((tally) =>
            tally.get(connection, outcome.channel)
          );
          assert.equal(got, sent);
        }
        return;
      case "called": {
        const { seq, method, operation, metadata, request, download } = outcome.call;
        this.words.set(seq, { method, operation, metadata });
        if (download === null) return;
        this.#downloads.set(`${connection}/${request}`, download.id);
        assert.ok(message.kind === "call");
        this.allowed.add(connection, download.id, message.options?.credit ?? 16);
        return;
      }
      case "answered": {
        const { request, download } = outcome.call;
        assert.ok(once(this.#answers, `${connection}/${request}`), "an answer comes once");
        if (download !== null) assert.ok(this.#heardOver.has(`${connection}/${download.id}`));
        return;
      }
    }
  }

  #allow(message: SessionMessage): void {
    assert.ok(message.kind === "open" || message.kind === "accept");
    if (message.messageCredit !== undefined) {
      this.allowed.add(message.connection, 0, message.messageCredit);
    }
  }

  #take(connection: number, channel: number, body: Uint8Array): void {
    assert.equal(decodeBody(body), this.got.add(connection, channel), "in the order in which it was sent");
    this.untaken.add(connection, channel);
  }

  /** Does what its application does. */
  perform({ what, pick, count, yes, also }: PairAct): void {
    const chosen = <T>(candidates: readonly T[]): T | undefined => candidates[pick % candidates.length];
    switch (what) {
      case "open":
        // Now and then too many, which the other side rejects.
        if (this.mux.connections.size >= (pick % 4 === 0 ? MOST_CONNECTIONS + 2 : 2)) return;
        return this.emit(mux.open(this.mux, "s", also ? { messageCredit: 16 + count } : {}));
      case "accept": {
        const id = chosen([...this.pending]);
        if (id !== undefined) this.accept(id, also ? { messageCredit: 16 + count } : {});
        return;
      }
      case "reject": {
        const id = chosen([...this.pending]);
        if (id !== undefined && yes && also) this.emit(mux.reject(this.mux, id, "no", ""));
        return;
      }
      case "end": {
        const found = chosen(this.connections);
        if (found !== undefined && yes && also) this.emit(mux.end(this.mux, found.id));
        return;
      }
      case "say": {
        const found = chosen(this.connections);
        for (let i = 0; found !== undefined && i < count; i++) this.say(found.id);
        return;
      }
      case "call": {
        const found = chosen(this.connections);
        if (found === undefined || !mux.mayCall(this.mux, found.id)) return;
        const options = { upload: yes, download: also, ...(yes ? { credit: count, timeout: pick } : {}) };
        return this.emit(mux.call(this.mux, found.id, "m", encodeBody(pick), options).payload);
      }
      case "cancel": {
        const found = chosen(this.#calls("outgoing"));
        if (found !== undefined) this.emit(mux.cancel(this.mux, ...found));
        return;
      }
      case "respond": {
        const found = chosen(this.#calls("incoming"));
        if (found !== undefined) this.respond(...found, yes);
        return;
      }
      case "item": {
        const found = chosen(this.#sending());
        for (let i = 0; found !== undefined && i < count; i++) this.send(...found);
        return;
      }
      case "over": {
        const found = chosen(this.#sending());
        if (found !== undefined) this.emit(mux.endChannel(this.mux, ...found, yes ? null : "broke"));
        return;
      }
      case "take": {
        const found = chosen(this.untaken.entries());
        if (found !== undefined) this.take(found[0], found[1], Math.min(found[2], count));
        return;
      }
      case "hold": {
        // Where nothing came yet there is nothing to hold.
        const found = chosen(
          this.connections.filter(({ id, ending }) => this.got.has(id, 0) && ending === null),
        );
        if (found !== undefined) found.held = [...found.held, pick];
        return;
      }
      case "handle": {
        const found = chosen(this.connections.filter(({ held }) => held.length > 0));
        if (found !== undefined) this.handle(found);
        return;
      }
      case "deliver":
        for (let i = 0; i < count; i++) this.deliver();
        return;
      case "store":
        return this.store();
    }
  }

  accept(id: number, opening: mux.Opening = {}): void {
    const [accept, ...rest] = mux.accept(this.mux, id, opening);
    assert.equal(accept?.kind, "accept");
    for (const payload of [accept!, ...rest]) this.emit(payload);
  }

  say(id: number): void {
    if (!mux.maySend(this.mux, id)) return;
    this.emit({ kind: "message", connection: id, body: encodeBody(this.sent.get(id, 0) + 1) });
  }

  send(id: number, channel: number): void {
    const body = encodeBody(this.sent.get(id, channel) + 1);
    const may = mux.hasCredit(this.mux, id, channel);
    const payload = mux.sendItem(this.mux, id, channel, body);
    assert.equal(payload !== null, may);
    this.emit(payload);
  }

  respond(id: number, request: number, ok: boolean): void {
    const payloads = mux.respond(this.mux, id, request, { ok, body: encodeBody(null), reason: "failed" });
    for (const payload of payloads) this.emit(payload);
  }

  take(connection: number, channel: number, items: number): void {
    // Its application hears of nothing before it accepts.
    if (this.pending.has(connection) || items === 0) return;
    this.untaken.add(connection, channel, -items);
    if (channel > 0) return this.emit(mux.consumeItems(this.mux, connection, channel, items));
    for (let i = 0; i < items; i++) this.emit(mux.consumeMessage(this.mux, connection));
  }

  /** The oldest message that is held was handled. */
  handle(connection: mux.ConnectionState): void {
    connection.held = connection.held.slice(1);
    if (connection.ending === null || connection.held.length > 0) return;
    this.emit(mux.end(this.mux, connection.id));
    assert.ok(!this.mux.connections.has(connection.id));
  }

  handleAll(): void {
    for (const connection of this.connections) while (connection.held.length > 0) this.handle(connection);
  }

  /** Goes on with what a store gives back. */
  store(): void {
    for (const connection of this.connections) {
      const bytes = encodeConnection(connection);
      const read = decodeConnection(connection.id, bytes, (seq) => this.words.get(seq)!);
      assert.deepEqual(read, connection);
      this.mux.connections.set(connection.id, read);
    }
  }

  answerAll(): void {
    for (const [id, request] of this.#calls("incoming")) this.respond(id, request, true);
  }

  takeAll(): void {
    for (const [connection, channel, items] of this.untaken.entries()) this.take(connection, channel, items);
  }

  /** Fails if something is over for this side and still kept, or if it would wait for ever. */
  checkLive(): void {
    for (const { id } of this.connections) {
      assert.ok(mux.maySend(this.mux, id), `nothing may be said on connection ${id}`);
      this.emit({ kind: "message", connection: id, body: encodeBody(this.sent.get(id, 0) + 1) });
      assert.equal(this.peer.got.get(id, 0) + 1, this.sent.get(id, 0), "what was said was heard");
    }
    for (const [id, channel] of this.#sending()) {
      assert.equal(this.peer.got.get(id, channel), this.sent.get(id, channel), "what was sent has come");
      // One that began with no credit has nothing that could be consumed.
      const began = this.allowed.get(id, channel) > 0;
      assert.equal(
        mux.hasCredit(this.mux, id, channel),
        began,
        `channel ${channel} of connection ${id} waits`,
      );
    }
  }

  checkNoCalls(): void {
    for (const { calls } of this.connections) {
      if (calls === null) continue;
      assert.deepEqual([calls.incoming.size, calls.outgoing.size, calls.channels.size], [0, 0, 0]);
    }
  }

  /** What is kept never grows beyond what was agreed, and nothing in it is loose. */
  checkBounds(): void {
    const peers = this.connections.filter(({ id }) => (id % 2 === 1) !== (this.mux.side === "client"));
    assert.ok(peers.length <= MOST_CONNECTIONS);
    for (const { calls } of this.connections) {
      if (calls === null) continue;
      assert.ok(calls.incoming.size <= MOST_CALLS && calls.outgoing.size <= MOST_CALLS);
      for (const [channel, call] of calls.channels) {
        assert.ok([sendingOf(call)?.id, receivingOf(call)?.id].includes(channel));
        assert.ok(calls.incoming.get(call.request) === call || calls.outgoing.get(call.request) === call);
      }
    }
  }

  #calls(which: "incoming" | "outgoing"): [connection: number, request: number][] {
    return this.connections.flatMap(({ id, calls }) =>
      [...calls?.[which].keys() ?? []].map((request): [number, number] => [id, request])
    );
  }

  #sending(): [connection: number, channel: number][] {
    return this.connections.flatMap(({ id, calls }) =>
      [...calls?.channels ?? []].filter(([channel, call]) => sendingOf(call)?.id === channel).map((
        [channel],
      ): [number, number] => [id, channel])
    );
  }
}

/** The first time that something is entered. */
function once(seen: Set<string>, key: string): boolean {
  return seen.size < seen.add(key).size;
}

/** Both sides. */
export class MuxPair {
  readonly client = new Half("client");
  readonly server = new Half("server");

  constructor() {
    this.client.peer = this.server;
    this.server.peer = this.client;
  }

  /** With a connection that is open, opened by either side. */
  static connected(): MuxPair {
    const pair = new MuxPair();
    for (const half of pair.halves) half.emit(mux.open(half.mux, "s"));
    pair.settle();
    for (const half of pair.halves) for (const id of [...half.pending]) half.accept(id);
    return pair;
  }

  get halves(): [Half, Half] {
    return [this.client, this.server];
  }

  perform(act: PairAct): void {
    const half = this[act.side];
    half.now += act.pick;
    half.perform(act);
    for (const each of this.halves) each.checkBounds();
  }

  /** Until nothing is under way. */
  settle(): void {
    while (this.halves.some(({ arriving }) => arriving.length > 0)) {
      for (const half of this.halves) half.deliver();
    }
  }

  /** Comes to rest, checks that nobody waits for ever, answers all calls, ends all connections: nothing is left. */
  finish(): void {
    this.settle();
    for (const half of this.halves) for (const id of [...half.pending]) half.accept(id);
    this.settle();
    for (const half of this.halves) half.handleAll();
    const [client, server] = this.halves.map(({ connections }) =>
      connections.map(({ id, phase }) => `${id} ${phase}`).sort()
    );
    assert.deepEqual(client, server);
    for (const half of this.halves) half.takeAll();
    this.settle();
    for (const half of this.halves) half.checkLive();
    this.settle();
    for (const half of this.halves) half.answerAll();
    this.settle();
    for (const half of this.halves) half.checkNoCalls();
    for (const half of this.halves) {
      for (const { id } of half.connections) if (id % 4 < 2) half.emit(mux.end(half.mux, id));
    }
    this.settle();
    for (const half of this.halves) {
      for (const { id } of half.connections) half.emit(mux.end(half.mux, id));
    }
    this.settle();
    for (const half of this.halves) assert.equal(half.mux.connections.size, 0);
  }
}
