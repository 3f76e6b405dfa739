/**
 * The client's machine against the server's multiplexer, at random: it never breaks a rule, what it counts is what it holds, and
 * in the end it holds nothing.
 */

import assert from "node:assert/strict";
import type { CallShape } from "../../src/client/client_call_model.ts";
import type { Act, ClientEffect, ClientEvent, Moment } from "../../src/client/client_events.ts";
import {
  type ClientSettings,
  type ClientState,
  newClient,
  type StorePoint,
} from "../../src/client/client_model.ts";
import { MESSAGE_OVERHEAD_BYTES } from "../../src/client/client_numbering_state.ts";
import { restore } from "../../src/client/client_restore.ts";
import { costOf as waitingCost } from "../../src/client/client_sending_state.ts";
import { snapshot } from "../../src/client/client_snapshot.ts";
import { step, wakeAt } from "../../src/client/client_state.ts";
import { all, size } from "../../src/client/fifo.ts";
import { exponentialBackoff } from "../../src/client/reconnect_policy.ts";
import * as mux from "../../src/connection/mux_state.ts";
import { encodeBody } from "../../src/protocol/body.ts";
import { codecFor } from "../../src/protocol/codecs.ts";
import { costOf } from "../../src/protocol/encode.ts";
import { DEFAULT_LIMITS } from "../../src/protocol/limits.ts";
import { isSessionMessage, type Message, type SessionPayload } from "../../src/protocol/messages.ts";
import type { RpcCode } from "../../src/protocol/rpc_codes.ts";
import { encodeFailure } from "../../src/protocol/rpc_error.ts";
import { statedLimits } from "../support/fake_server.ts";
import { SeededRandom } from "../support/seeded_random.ts";

const CALLS = 4;
const SHAPES: readonly CallShape[] = ["unary", "unary", "download", "upload", "duplex"];
const codec = codecFor("holdfast.v1.msgpack", DEFAULT_LIMITS);

function settings(stored: boolean): ClientSettings {
  return {
    requested: {},
    metadata: undefined,
    ownWindow: { messages: 4096, bytes: 8 * 1024 * 1024 },
    storedBytes: 40_000,
    stored,
    authenticated: false,
    repeatsOperations: false,
    reconnect: exponentialBackoff(),
  };
}

type Happening = ClientEvent extends infer E ? E extends ClientEvent ? Omit<E, keyof Moment> : never : never;

class World {
  readonly random: SeededRandom;
  readonly state: ClientState;
  readonly peer = mux.newMux("server", 8, CALLS);
  now = 1_000_000;
  #sent = 0;
  #received = 0;
  /** Connections whose services have yet to say whether they take them. */
  offered: number[] = [];
  /** Calls whose next upload item is wanted. */
  readonly pulled = new Set<number>();
  readonly over = new Set<number>();
  readonly handlers = new Set<string>();
  /** What the server's multiplexer answers by itself. */
  #answers: SessionPayload[] = [];

  constructor(seed: number) {
    this.random = new SeededRandom(seed);
    this.state = newClient(settings(seed % 2 === 0), "challenge-challenge-challenge");
    this.happen({ kind: "serve", service: "mine" });
    this.happen({ kind: "begin", backoff: false });
    this.happen({ kind: "conduit_open", conduit: 1, challenge: "unused" });
    this.turn();
    const limits = { ...statedLimits(), windowMessages: 24, windowBytes: 30_000, concurrentCalls: CALLS };
    this.happen({
      kind: "frame",
      conduit: 1,
      messages: [{
        kind: "established",
        challenge: "challenge-challenge-challenge",
        session: "s",
        token: "t",
        resumed: false,
        received: 0,
        sent: 0,
        durability: "durable",
        resumeWindow: 3_600_000,
        keepalive: { interval: 1e9, timeout: 1e9 },
        limits: { ...limits, connections: 8 },
        node: "n",
      }],
    });
    this.turn();
  }

  happen(happening: Happening): void {
    this.carryOut(
      step(this.state, { ...happening, now: this.now, chance: this.random.int(1000) / 1000 } as ClientEvent),
    );
    check(this.state);
  }

  turn(): void {
    this.happen({ kind: "turn_ended" });
  }

  /** The server speaks. */
  tell(...payloads: (SessionPayload | null)[]): void {
    const messages: Message[] = [];
    for (const payload of payloads) {
      if (payload === null) continue;
      const seq = ++this.#sent;
      messages.push({ ...payload, seq, cost: costOf(seq, payload) } as Message);
    }
    this.happen({ kind: "frame", conduit: 1, messages });
  }

  ack(): void {
    this.happen({ kind: "frame", conduit: 1, messages: [{ kind: "ack", received: this.#received }] });
  }

  carryOut(effects: readonly ClientEffect[]): void {
    const stored: StorePoint[] = [];
    for (const effect of effects) {
      switch (effect.kind) {
        case "transmit": {
          const decoded = codec.decode(codec.join(effect.messages));
          assert.ok(decoded.ok);
          for (const message of decoded.messages) this.receive(message);
          break;
        }
        case "store":
          stored.push(effect.point);
          break;
        case "pull":
          this.pulled.add(effect.call);
          break;
        case "call_over":
          assert.ok(!this.over.has(effect.call), "an outcome is told once");
          this.over.add(effect.call);
          break;
        case "called":
          this.handlers.add(`${effect.connection} ${effect.request}`);
          break;
        case "abort":
          assert.ok(this.handlers.delete(`${effect.connection} ${effect.request}`));
          break;
        case "tell":
          assert.ok(effect.name !== "ended" && effect.name !== "lost", JSON.stringify(effect));
          break;
        default:
      }
    }
    const answers = this.#answers.splice(0);
    if (answers.length > 0) this.tell(...answers);
    for (const point of stored) {
      this.happen({ kind: "stored", point });
      this.turn();
    }
  }

  receive(message: Message): void {
    if (!isSessionMessage(message)) return;
    this.#received = message.seq;
    const outcome = mux.receive(this.peer, message, this.now);
    assert.notEqual(outcome.kind, "violation", JSON.stringify(outcome));
    if (outcome.kind === "offered") this.offered.push(outcome.connection);
    if (outcome.kind === "answer") this.#answers.push(outcome.payload);
  }

  // What can happen

  client(): void {
    const { state, random } = this;
    const open = [...state.connections.values()].filter(({ over }) => over === null);
    const connection = open.length === 0 ? 0 : random.pick(open).id;
    const calls = [...state.calls.values()];
    const call = calls.length === 0 ? null : random.pick(calls);
    const body = encodeBody("x".repeat(random.pick([1, 10, 100, 3000])));
    const act = (act: Act) => this.happen(act);
    switch (random.int(12)) {
      case 0:
        if (this.peer.connections.size + this.offered.length >= 6) return;
        return act({
          kind: "open",
          service: "theirs",
          metadata: undefined,
          messageCredit: random.pick([undefined, 16]),
        });
      case 1:
        return act({ kind: "send", connection, body, ticket: 1 });
      case 2:
      case 3:
      case 4: {
        const shape = random.pick(SHAPES);
        const words = {
          method: "m",
          shape,
          body,
          operation: shape === "unary" ? random.pick([null, "key"]) : null,
          timeout: random.pick([null, null, 500, 5_000]),
          metadata: random.pick([null, { a: "b" }]),
          credit: random.pick([1, 4, 20]),
        };
        return act({ kind: "call", connection, words });
      }
      case 5:
        if (call !== null) act({ kind: random.pick(["cancel_call", "leave_call"] as const), call: call.key });
        return;
      case 6:
      case 7:
        for (const { key, items } of calls) {
          if (items !== null && random.int(2) === 0) act({ kind: "item_consumed", call: key });
        }
        return;
      case 8:
      case 9:
        for (const key of [...this.pulled]) {
          this.pulled.delete(key);
          const reason = random.pick([null, null, "failed"]);
          if (random.int(6) === 0) act({ kind: "upload_over", call: key, reason });
          else act({ kind: "upload_item", call: key, body });
        }
        return;
      case 10:
        return act({ kind: "consumed", connection });
      default:
        if (random.int(10) === 0) act({ kind: "end", connection, reason: undefined, detail: undefined });
    }
  }

  server(): void {
    const { random, peer } = this;
    const connections = [...peer.connections.values()].filter(({ phase }) => phase === "open");
    const id = connections.length === 0 ? 0 : random.pick(connections).id;
    const calls = peer.connections.get(id)?.calls ?? null;
    const incoming = [...calls?.incoming.values() ?? []];
    const call = incoming.length === 0 ? null : random.pick(incoming);
    const body = encodeBody("y".repeat(random.pick([1, 10, 2000])));
    switch (random.int(11)) {
      case 0: {
        const opened = this.offered.shift();
        if (opened === undefined) return;
        const credit = random.pick([{}, { messageCredit: 20 }]);
        if (random.int(8) === 0) return this.tell(mux.reject(peer, opened, "busy", ""));
        return this.tell(...mux.accept(peer, opened, credit));
      }
      case 1:
        if (id !== 0 && mux.maySend(peer, id)) this.tell({ kind: "message", connection: id, body });
        return;
      case 2:
      case 3:
      case 4:
        if (call !== null) this.answer(id, call);
        return;
      case 5:
      case 6:
        if (call?.download == null) return;
        return this.tell(...[1, 2, 3].map(() => mux.sendItem(peer, id, call.download!.id, body)));
      case 7:
        if (call?.upload == null) return;
        return this.tell(
          mux.consumeItems(peer, id, call.upload.id, call.upload.end.received - call.upload.end.consumed),
        );
      case 8:
        if (id !== 0) this.tell(mux.consumeMessage(peer, id));
        return;
      case 9: {
        if (id === 0 || !mux.mayCall(peer, id)) return;
        const made = mux.call(peer, id, "m", body, random.pick([{}, { timeout: 300 }, { download: true }]));
        this.tell(made.payload);
        if (random.int(3) === 0) this.tell(mux.cancel(peer, id, made.call.request));
        return;
      }
      default:
        if (random.int(12) === 0 && id !== 0) this.tell(mux.end(peer, id, random.pick([undefined, "why"])));
        else if (random.int(4) === 0 && peer.connections.size < 6) this.tell(mux.open(peer, "mine"));
    }
  }

  answer(id: number, { request }: { readonly request: number }): void {
    const code = this.random.pick<RpcCode | null>([null, null, "internal", "in-progress"]);
    const answer = code === null
      ? { ok: true, body: encodeBody("z"), reason: "" }
      : { ok: false, body: encodeFailure({ code, message: "" }), reason: code };
    this.tell(...mux.respond(this.peer, id, request, answer));
  }

  /** What the client serves is answered, or taken. */
  serve(): void {
    for (const connection of [...this.state.connections.values()]) {
      if (connection.serving && !connection.accepted && connection.over === null) {
        this.happen(
          this.random.int(4) === 0
            ? { kind: "decline", connection: connection.id, reason: "no", detail: "" }
            : { kind: "accept", connection: connection.id, messageCredit: 16 },
        );
      }
    }
    for (const handler of [...this.handlers]) {
      this.handlers.delete(handler);
      const [connection = 0, request = 0] = handler.split(" ").map(Number);
      this.happen({ kind: "respond", connection, request, ok: true, body: encodeBody(1) });
    }
  }

  time(ms: number): void {
    this.now += ms;
    if (this.now >= (wakeAt(this.state) ?? Infinity)) this.happen({ kind: "woke" });
  }

  /** Everything that is open comes to its end. */
  finish(): void {
    for (let round = 0; round < 400 && this.state.calls.size > 0; round++) {
      this.turn();
      this.ack();
      while (this.offered.length > 0) this.tell(...mux.accept(this.peer, this.offered.shift()!));
      for (const { id, calls } of [...this.peer.connections.values()]) {
        for (const call of [...calls?.incoming.values() ?? []]) this.answer(id, call);
        this.tell(mux.consumeMessage(this.peer, id), {
          kind: "credit",
          connection: id,
          channel: 0,
          additional: 9,
        });
      }
      this.serve();
      for (const { key, stage, items } of [...this.state.calls.values()]) {
        while (items !== null && size(items) > 0) this.happen({ kind: "item_consumed", call: key });
        if (stage === "over") this.happen({ kind: "leave_call", call: key });
      }
      this.time(3_000);
    }
    for (const { id, inbox } of [...this.state.connections.values()]) {
      while (size(inbox) > 0) this.happen({ kind: "consumed", connection: id });
    }
    this.turn();
    this.ack();
    this.turn();
  }
}

const sum = (numbers: Iterable<number>) => [...numbers].reduce((a, b) => a + b, 0);
const held = (bodies: readonly Uint8Array[]) =>
  sum(bodies.map(({ length }) => length + MESSAGE_OVERHEAD_BYTES));

/** What is counted is what is held. */
function check(state: ClientState): void {
  const connections = [...state.connections.values()];
  const calls = [...state.calls.values()];
  for (const call of calls) {
    const outcome = call.claimed || call.outcome === null ? [] : [call.outcome.body];
    assert.equal(call.held, held(call.items === null ? [] : all(call.items)) + held(outcome));
    assert.equal(call.stage === "sent", call.request !== 0);
    if (call.stage === "sent") {
      assert.equal(state.connections.get(call.connection)?.requests.get(call.request), call);
    }
    if (call.stage !== "over") assert.ok(state.callsDueAt <= Math.min(call.deadline, call.retryAt));
    assert.ok(call.stage !== "over" || call.outcome !== null);
  }
  assert.equal(
    state.inboxBytes,
    sum(connections.map(({ inbox }) => held(all(inbox)))) + sum(calls.map((c) => c.held)),
  );
  assert.equal(
    state.waitingBytes,
    sum(connections.flatMap(({ waiting }) => all(waiting).map(waitingCost))) +
      sum(connections.flatMap(({ parked }) => all(parked).map(({ cost }) => cost))) +
      held(calls.flatMap(({ pending }) => pending ?? [])),
  );
  assert.equal(state.keptBytes, sum(calls.filter(({ kept }) => kept).map(({ cost }) => cost)));
  assert.deepEqual(
    [...state.uploading].map(({ key }) => key).sort(),
    calls.filter(({ pending }) => pending !== null).map(({ key }) => key).sort(),
  );
  assert.equal(state.unclaimed, calls.filter(({ claimed }) => !claimed).length);
  assert.equal(
    sum(connections.map(({ requests }) => requests.size)),
    calls.filter((c) => c.request !== 0).length,
  );
  const running = connections.flatMap(({ running }) => [...running.values()]);
  assert.ok(running.every((deadline) => state.runningDueAt <= deadline));
  if (calls.length === 0) assert.equal(state.callsDueAt, Infinity);
  if (running.length === 0) assert.equal(state.runningDueAt, Infinity);
}

/** A state that was written down and read back holds what it should, and counts it. */
function checkRestored(state: ClientState, now: number): void {
  const restored = restore(state.settings, snapshot(state));
  step(restored, { kind: "serve", service: "mine", now, chance: 0 });
  step(restored, { kind: "begin", backoff: true, now, chance: 0 });
  check(restored);
  const kept = [...state.calls.values()].filter(({ shape }) => shape === "unary" || shape === "download");
  assert.equal(restored.calls.size, kept.length);
  // Nothing is lost by being read and written again.
  const again = restore(restored.settings, snapshot(restored));
  assert.equal(snapshot(again), snapshot(restored));
}

// @rule call.once
// @rule call.limit
// @rule channel.credit
// @rule connection.credit
Deno.test("whatever happens, no rule is broken, each outcome is told once, and nothing is left in the end", () => {
  let told = 0;
  for (let seed = 1; seed <= 100; seed++) {
    const world = new World(seed);
    const { random, state } = world;
    for (let n = 0; n < 300; n++) {
      const what = random.int(10);
      if (what < 4) world.client();
      else if (what < 7) world.server();
      else if (what === 7) world.turn();
      else if (what === 8) world.ack();
      else if (random.int(2) === 0) world.serve();
      else world.time(random.pick([1, 50, 400]));
      if (n % 60 === 59 && state.settings.stored) checkRestored(state, world.now);
    }
    world.finish();
    assert.equal(state.calls.size, 0, `seed ${seed}`);
    assert.deepEqual(
      [state.waitingBytes, state.keptBytes, state.inboxBytes, state.uploading.size, state.unsecured.length],
      [0, 0, 0, 0, 0],
      `seed ${seed}`,
    );
    told += world.over.size;
  }
  assert.ok(told > 2_000, `only ${told} outcomes`);
});
