/**
 * The connections' machine against a model that remembers every id there ever was, against itself as its other side, and
 * against messages by chance.
 */

import fc from "fast-check";
import assert from "node:assert/strict";
import { decodeConnection, encodeConnection } from "../../src/connection/connection_record.ts";
import * as mux from "../../src/connection/mux_state.ts";
import type { CallOptions, SessionPayload } from "../../src/protocol/messages.ts";
import { MuxPair, pairAct } from "../connection/mux_pair.ts";
import { MOST_CALLS, MOST_CONNECTIONS, ReferenceMux } from "../connection/reference_mux.ts";

const BODY = Uint8Array.of(0xc0);

const ARRIVES = [
  ...["open", "message", "message", "malformed", "accept", "accept", "reject", "end"] as const,
  ...["call", "call", "call", "call", "response", "response", "cancel"] as const,
  ...["item", "item", "item", "item", "item", "finish", "reset", "credit", "credit", "credit"] as const,
];
const DOES = [
  ...["open", "accept", "accept", "reject", "end", "say", "call", "call", "cancel"] as const,
  ...["respond", "respond", "send", "send", "send", "endChannel", "consume", "consume", "consume"] as const,
  ...["hold", "hold", "hold", "handled", "handled"] as const,
];

/**
 * A message or an action; which ids it names is chosen from those that there are when its turn comes, or, if `wild`, from
 * all. Only one that is wild or pushes may be a violation: it ends the session.
 */
interface Step {
  readonly what: { readonly arrives: typeof ARRIVES[number] } | { readonly does: typeof DOES[number] };
  readonly wild: boolean;
  /** Says it again and again, until it is too much. */
  readonly pushes: boolean;
  readonly picks: readonly [number, number, number];
  readonly yes: boolean;
  readonly also: boolean;
}

const step: fc.Arbitrary<Step> = fc.record({
  what: fc.oneof(
    { weight: 2, arbitrary: fc.constantFrom(...ARRIVES).map((arrives) => ({ arrives })) },
    { weight: 1, arbitrary: fc.constantFrom(...DOES).map((does) => ({ does })) },
  ),
  wild: fc.nat(49).map((n) => n === 7),
  pushes: fc.nat(79).map((n) => n === 7),
  picks: fc.tuple(fc.nat(1_000), fc.nat(1_000), fc.nat(1_000)),
  yes: fc.boolean(),
  also: fc.boolean(),
}, { noNullPrototype: true });

/** Ids to name: those that there are, or any small number. */
class Names {
  readonly connection: number;
  readonly #known: ReturnType<ReferenceMux["ids"]["get"]>;
  readonly #step: Step;

  constructor(model: ReferenceMux, step: Step) {
    const { wild, picks: [pick] } = step;
    const live = model.live.map(([id]) => id);
    // Of a wild message it is mostly something else that is.
    this.connection = wild && pick % 4 === 0 || live.length === 0 ? pick % 12 : live[pick % live.length]!;
    this.#known = model.ids.get(this.connection);
    this.#step = step;
  }

  request(ours: boolean): number {
    const { wild, picks: [, pick] } = this.#step;
    const all = [...this.#known?.[ours ? "ours" : "theirs"].keys() ?? []];
    return wild || all.length === 0 ? pick % 8 : all[pick % all.length]!;
  }

  /** One that was not used, and now and then leaves a gap. */
  nextRequest(): number {
    const { wild, picks: [, pick] } = this.#step;
    if (wild) return pick % 8;
    return Math.max(0, ...this.#known?.theirs.keys() ?? []) + (pick % 5 === 0 ? 2 : 1);
  }

  channel(): number {
    const { wild, picks: [, pick] } = this.#step;
    if (wild) return pick % 10;
    const all = [...this.#known?.channels ?? []].filter(([, { open }]) => open || pick % 8 === 0);
    return [0, ...all.map(([id]) => id)][pick % (all.length + 1)]!;
  }

  nextChannel(after: number): number {
    const { wild, picks: [, , pick] } = this.#step;
    if (wild) return (pick + after) % 10;
    const odd = [...this.#known?.channels.keys() ?? []].filter((id) => id % 2 === 1);
    return Math.max(after, -1, ...odd) + 2;
  }
}

function arriving(model: ReferenceMux, step: Step): SessionPayload {
  assert.ok("arrives" in step.what);
  const { wild, picks: [pick, , number], yes, also } = step;
  const names = new Names(model, step);
  const { connection } = names;
  const messageCredit = also ? { messageCredit: 16 + number % 10 } : {};
  switch (step.what.arrives) {
    case "open":
      return {
        kind: "open",
        connection: wild ? pick % 12 : model.highestOf(true) + (model.highestOf(true) === 0 ? 1 : 2),
        service: "s",
        ...messageCredit,
      };
    case "accept":
      return { kind: "accept", connection, ...messageCredit };
    case "reject":
      return { kind: "reject", connection, reason: "r", detail: "" };
    case "end":
      return yes && also ? { kind: "end", connection } : { kind: "message", connection, body: BODY };
    case "message":
      return { kind: "message", connection, body: BODY };
    case "malformed":
      if (number % 4 > 0) return { kind: "message", connection, body: BODY };
      return { kind: "message", connection, body: new Uint8Array(), malformed: "m" };
    case "call": {
      const upload = yes ? names.nextChannel(-1) : undefined;
      const download = also ? names.nextChannel(upload ?? -1) : undefined;
      const options: CallOptions = {
        ...(upload === undefined ? {} : { upload }),
        ...(download === undefined ? {} : { download }),
        ...(number % 3 === 0 ? { credit: number % 20 } : {}),
      };
      return { kind: "call", connection, request: names.nextRequest(), method: "m", body: BODY, options };
    }
    case "response":
      return { kind: "response", connection, request: names.request(true), ok: yes, body: BODY };
    case "cancel":
      return { kind: "cancel", connection, request: names.request(false) };
    case "item":
      return { kind: "item", connection, channel: names.channel(), body: BODY };
    case "finish":
      return { kind: "finish", connection, channel: names.channel() };
    case "reset":
      return { kind: "reset", connection, channel: names.channel(), reason: "r" };
    case "credit": {
      const additional = wild ? Number.MAX_SAFE_INTEGER - number % 20 : number % 20;
      return { kind: "credit", connection, channel: names.channel(), additional };
    }
  }
}

function repeats({ what, pushes, picks: [, , number] }: Step): number {
  if (!("arrives" in what)) return 1;
  if (pushes) return 40;
  return what.arrives === "item" || what.arrives === "message" ? 1 + number % 10 : 1;
}

/** Does one thing on the machine and on the model, and compares what is said. */
function act(state: mux.MuxState, model: ReferenceMux, step: Step): void {
  assert.ok("does" in step.what);
  const { picks: [, , number], yes, also } = step;
  const names = new Names(model, step);
  const { connection: id } = names;
  const messageCredit = also ? 16 + number % 10 : undefined;
  const opening = messageCredit === undefined ? {} : { messageCredit };
  const kinds = (...payloads: (SessionPayload | null)[]) =>
    payloads.flatMap((payload) => payload === null ? [] : [payload.kind]);
  switch (step.what.does) {
    case "open":
      if (model.live.length < MOST_CONNECTIONS || step.wild) {
        assert.equal(mux.open(state, "s", opening).connection, model.open(messageCredit));
      }
      return;
    case "accept":
      assert.deepEqual(kinds(...mux.accept(state, id, opening)), model.accept(id, messageCredit));
      return;
    case "reject":
      if (yes && also) assert.deepEqual(kinds(mux.reject(state, id, "r", "")), model.reject(id));
      return;
    case "end":
      if (yes && also) assert.deepEqual(kinds(mux.end(state, id)), model.end(id));
      return;
    case "hold":
      if (model.hold(id)) hold(state.connections.get(id)!, number);
      return;
    case "handled": {
      const connection = state.connections.get(id);
      if (connection === undefined) return;
      connection.held = connection.held.slice(1);
      const over = connection.ending !== null && connection.held.length === 0;
      assert.equal(over, model.handled(id));
      if (over) assert.equal(mux.end(state, id), null, "the other side knows");
      return;
    }
    case "say":
      for (let i = 0; i < number % 20; i++) assert.equal(mux.maySend(state, id), model.say(id));
      return;
    case "call": {
      const wants = { upload: yes, download: also };
      const expected = model.call(id, wants, number % 20);
      assert.equal(mux.mayCall(state, id), expected !== null);
      if (expected === null) return;
      const { call } = mux.call(state, id, "m", BODY, { ...wants, credit: number % 20 });
      assert.deepEqual([call.request, call.upload?.id, call.download?.id], Object.values(expected));
      return;
    }
    case "cancel": {
      const request = names.request(true);
      assert.equal(mux.cancel(state, id, request) !== null, model.cancel(id, request));
      return;
    }
    case "respond": {
      const request = names.request(false);
      const answer = { ok: yes, body: BODY, reason: "r" };
      assert.deepEqual(kinds(...mux.respond(state, id, request, answer)), model.respond(id, request, yes));
      return;
    }
    case "send": {
      const channel = names.channel();
      for (let i = 0; i < number % 20; i++) {
        const may = mux.hasCredit(state, id, channel);
        const sent = mux.sendItem(state, id, channel, BODY) !== null;
        assert.deepEqual([may, sent], Array(2).fill(model.send(id, channel)));
      }
      return;
    }
    case "endChannel": {
      const channel = names.channel();
      const reason = yes ? null : "r";
      assert.equal(mux.endChannel(state, id, channel, reason) !== null, model.endChannel(id, channel));
      return;
    }
    case "consume": {
      const channel = names.channel();
      if (model.ids.get(id)?.phase === "ending") assert.equal(mux.consumeMessage(state, id), null);
      for (let i = 0; i < (channel === 0 ? number % 20 : 1); i++) {
        const { items, grant } = model.consume(id, channel, channel === 0 ? 1 : 1 + number % 20);
        if (items === 0) return;
        const said = channel === 0
          ? mux.consumeMessage(state, id)
          : mux.consumeItems(state, id, channel, items);
        const expected = { kind: "credit", connection: id, channel, additional: grant };
        assert.deepEqual(said, grant === 0 ? null : expected);
      }
      return;
    }
  }
}

/** A message that was taken is handled later: what a session does with it. */
function hold(connection: mux.ConnectionState, seq: number): void {
  connection.held = [...connection.held, seq];
}

/** What half of the runs begin with. */
const CONNECTED: readonly SessionPayload[] = [
  { kind: "open", connection: 1, service: "s", messageCredit: 16 },
  { kind: "open", connection: 3, service: "s" },
];

/** What the machine keeps is what the model still has, and no more. */
function compare(state: mux.MuxState, model: ReferenceMux): void {
  const { live } = model;
  assert.deepEqual([...state.connections.keys()].sort(), live.map(([id]) => id).sort());
  for (const [id, known] of live) {
    const { phase, calls, held, ending } = state.connections.get(id)!;
    assert.equal(ending === null ? phase : "ending", known.phase);
    assert.equal(held.length, known.held);
    const inFlight = (of: typeof known.ours) =>
      [...of].filter(([, { state }]) => state !== "over").map(([id]) => id);
    const open = [...known.channels].filter(([, { open }]) => open).map(([id]) => id);
    assert.deepEqual([...calls?.incoming.keys() ?? []], inFlight(known.theirs));
    assert.deepEqual([...calls?.outgoing.keys() ?? []], inFlight(known.ours));
    assert.deepEqual(new Set(calls?.channels.keys() ?? []), new Set(open));
  }
}

// @rule frame.ids
// @rule connection.open
// @rule connection.early
// @rule connection.end
// @rule connection.credit
// @rule call.once
// @rule call.limit
// @rule channel.credit
// @rule channel.order
Deno.test("whatever arrives and whatever this side does, it comes to what the rules say, and nothing is kept of what is over", () => {
  fc.assert(
    fc.property(fc.boolean(), fc.array(step, { maxLength: 200, size: "max" }), (connected, steps) => {
      const state = mux.newMux("server", MOST_CONNECTIONS, MOST_CALLS);
      const model = new ReferenceMux();
      for (const open of connected ? CONNECTED : []) {
        assert.equal(mux.receive(state, { ...open, seq: 1, cost: 1 }).kind, model.receive(open));
        mux.accept(state, open.connection, { messageCredit: 20 });
        model.accept(open.connection, 20);
      }
      for (const each of steps) {
        if ("does" in each.what) act(state, model, each);
        else {
          for (let i = 0; i < repeats(each); i++) {
            const message = arriving(model, each);
            const expected = model.receive(message);
            if (expected === "violation" && !each.wild && !each.pushes) break;
            const outcome = mux.receive(state, { ...message, seq: 1, cost: 1 });
            assert.equal(outcome.kind, expected, JSON.stringify(message));
            // The session is over; nothing is asked of the machine afterwards.
            if (outcome.kind === "violation") return;
          }
        }
        compare(state, model);
      }
    }),
    { numRuns: 3_000 },
  );
});

// @rule frame.ids
// @rule connection.open
// @rule connection.early
// @rule connection.credit
// @rule call.once
// @rule call.cancel
// @rule call.limit
// @rule channel.credit
// @rule channel.order
// @rule channel.finish
// @rule channel.resume
Deno.test("between two correct sides there is never a violation, nobody waits for ever, and in the end nothing is left", () => {
  fc.assert(
    fc.property(fc.boolean(), fc.array(pairAct, { maxLength: 300, size: "max" }), (connected, acts) => {
      const pair = connected ? MuxPair.connected() : new MuxPair();
      for (const act of acts) pair.perform(act);
      pair.finish();
    }),
    { numRuns: 1_000 },
  );
});

const number = fc.oneof(
  { weight: 8, arbitrary: fc.nat(7) },
  fc.constantFrom(16, 2 ** 32, Number.MAX_SAFE_INTEGER),
);
const optional = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { nil: undefined });
const record = <T>(model: { [K in keyof T]: fc.Arbitrary<T[K]> }) =>
  fc.record(model, { noNullPrototype: true });

/** Any message that a decoder lets pass. */
const anything = fc.oneof(
  record({
    kind: fc.constant("open"),
    connection: number,
    service: fc.string(),
    messageCredit: optional(number),
  }),
  record({ kind: fc.constant("accept"), connection: number, messageCredit: optional(number) }),
  record({
    kind: fc.constantFrom("reject", "end"),
    connection: number,
    reason: fc.string(),
    detail: fc.string(),
  }),
  record({
    kind: fc.constant("message"),
    connection: number,
    body: fc.constant(BODY),
    malformed: optional(fc.string()),
  }),
  record({
    kind: fc.constant("call"),
    connection: number,
    request: number,
    method: fc.string(),
    body: fc.constant(BODY),
    malformed: optional(fc.string()),
    options: optional(
      record({
        timeout: optional(number),
        upload: optional(number),
        download: optional(number),
        credit: optional(number),
      }),
    ),
  }),
  record({
    kind: fc.constant("response"),
    connection: number,
    request: number,
    ok: fc.boolean(),
    body: fc.constant(BODY),
  }),
  record({ kind: fc.constant("cancel"), connection: number, request: number }),
  record({ kind: fc.constant("item"), connection: number, channel: number, body: fc.constant(BODY) }),
  record({
    kind: fc.constantFrom("finish", "reset"),
    connection: number,
    channel: number,
    reason: fc.string(),
  }),
  record({ kind: fc.constant("credit"), connection: number, channel: number, additional: number }),
) as fc.Arbitrary<SessionPayload>;

const OUTCOMES: ReadonlySet<mux.MuxOutcome["kind"]> = new Set<mux.MuxOutcome["kind"]>([
  ...["offered", "accepted", "message", "ended", "ending", "answer"] as const,
  ...["called", "answered", "cancelled", "item"] as const,
  ...["channel_over", "credited", "messages_credited", "dropped", "violation"] as const,
]);

// @rule end.protocol
Deno.test("whatever a hostile side sends, each message comes to a defined outcome, nothing throws and nothing grows", () => {
  fc.assert(
    fc.property(
      fc.constantFrom<mux.Side>("client", "server"),
      fc.array(fc.tuple(anything, fc.nat(7)), { maxLength: 150, size: "max" }),
      (side, messages) => {
        const state = mux.newMux(side, MOST_CONNECTIONS, MOST_CALLS);
        for (let i = 0; i < 2; i++) mux.open(state, "own");
        const [own = 0] = state.connections.keys();
        for (const [message, does] of messages) {
          const outcome = mux.receive(state, { ...message, seq: 1, cost: 1 }, Number.MAX_SAFE_INTEGER);
          assert.ok(OUTCOMES.has(outcome.kind));
          if (outcome.kind === "violation") {
            // It would be the end; here the machine has to stand more.
            assert.match(outcome.violation.rule, /^[a-z]+\.[a-z-]+$/);
            assert.notEqual(outcome.violation.detail, "");
          }
          if (outcome.kind === "called" && does < 3) {
            const { request } = outcome.call;
            mux.respond(state, outcome.connection, request, { ok: does === 0, body: BODY, reason: "" });
          }
          if (outcome.kind === "message" && does > 4) hold(state.connections.get(outcome.connection)!, 1);
          if (outcome.kind === "offered" && does > 1) {
            mux.accept(state, outcome.connection, { messageCredit: 16 });
          }
          if (mux.mayCall(state, own)) {
            mux.call(state, own, "m", BODY, { upload: does > 3, download: does > 1 });
          }
          assert.ok(state.connections.size <= MOST_CONNECTIONS);
          for (const connection of state.connections.values()) {
            const { id, calls, ending, held } = connection;
            if (ending !== null) assert.ok(calls === null && held.length > 0);
            assert.ok(
              (calls?.incoming.size ?? 0) <= MOST_CALLS && (calls?.channels.size ?? 0) <= 4 * MOST_CALLS,
            );
            assert.equal(decodeConnection(id, encodeConnection(connection)).phase, connection.phase);
          }
        }
      },
    ),
    { numRuns: 1_500 },
  );
});
