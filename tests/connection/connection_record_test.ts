/** A connection's record: that it gives back what was put in, calls and credit included, and that it stays small. */

import fc from "fast-check";
import assert from "node:assert/strict";
import { decodeConnection, encodeConnection } from "../../src/connection/connection_record.ts";
import * as mux from "../../src/connection/mux_state.ts";
import { type BodyValue, decodeBody, encodeBody } from "../../src/protocol/body.ts";

import {
  arrives,
  BODY,
  broken,
  called,
  calling,
  cancelled,
  FAILED,
  granted,
  item,
  offered,
  OK,
  opening,
  plain,
  serving,
} from "./mux_fixture.ts";
import { MuxPair, pairAct } from "./mux_pair.ts";

/** A side's connection 1 after its process was lost. */
function restored(state: mux.MuxState): mux.MuxState {
  const connection = state.connections.get(1)!;
  const words = new Map([...connection.calls?.incoming.values() ?? []].map((call) => [call.seq, call]));
  const read = decodeConnection(1, encodeConnection(connection), (seq) => {
    const { method, operation, metadata } = words.get(seq)!;
    return { method, operation, metadata };
  });
  assert.deepEqual(read, connection);
  return { ...state, connections: new Map([[1, read]]) };
}

Deno.test("a plain connection takes at most 24 bytes, whatever its phase", () => {
  for (const phase of ["opening", "offered", "open"] as const) {
    const connection = mux.newConnection(1, "echo.service", phase);
    connection.early = 16;
    const bytes = encodeConnection(connection);
    assert.ok(bytes.length <= 24, `${bytes.length} bytes`);
    assert.deepEqual(decodeConnection(1, bytes), connection);
  }
  assert.equal(encodeConnection(mux.newConnection(1, "echo", "open")).length, 12);
});

Deno.test("a connection whose calls are over keeps their highest ids and nothing else", () => {
  const state = serving();
  for (let i = 1; i <= 40; i++) {
    mux.receive(state, called(i, { upload: 4 * i - 3, download: 4 * i - 1 }));
    mux.respond(state, 1, i, OK);
  }
  assert.ok(encodeConnection(state.connections.get(1)!).length <= 40);
  const after = restored(state);
  assert.equal(broken(mux.receive(after, called(40))), "frame.ids");
  assert.equal(broken(mux.receive(after, called(41, { upload: 159 }))), "frame.ids");
  assert.equal(mux.receive(after, item(159)).kind, "dropped");
  assert.equal(mux.receive(after, called(41, { upload: 161 })).kind, "called");
});

// @rule channel.resume
Deno.test("channels go on where they were, on either side, credit included", () => {
  const server = serving();
  mux.receive(server, called(1, { upload: 1, download: 3, credit: 20 }));
  for (let i = 0; i < 10; i++) mux.receive(server, item(1));
  for (let i = 0; i < 7; i++) assert.equal(mux.consumeItems(server, 1, 1), null);
  for (let i = 0; i < 19; i++) assert.notEqual(mux.sendItem(server, 1, 3, BODY), null);
  const later = restored(server);
  assert.deepEqual(mux.consumeItems(later, 1, 1), {
    kind: "credit",
    connection: 1,
    channel: 1,
    additional: 8,
  });
  for (let i = 10; i < 24; i++) assert.equal(mux.receive(later, item(1)).kind, "item");
  assert.equal(broken(mux.receive(later, item(1))), "channel.credit");
  assert.notEqual(mux.sendItem(later, 1, 3, BODY), null);
  assert.equal(mux.sendItem(later, 1, 3, BODY), null);
  assert.equal(mux.receive(later, granted(3, 1)).kind, "credited");
  assert.notEqual(mux.sendItem(later, 1, 3, BODY), null);

  const client = calling();
  mux.call(client, 1, "m", BODY, { upload: true, download: true, credit: 2 });
  for (let i = 0; i < 15; i++) mux.sendItem(client, 1, 1, BODY);
  mux.receive(client, item(3));
  const there = restored(client);
  assert.notEqual(mux.sendItem(there, 1, 1, BODY), null);
  assert.equal(mux.sendItem(there, 1, 1, BODY), null);
  assert.equal(mux.receive(there, item(3)).kind, "item");
  assert.equal(broken(mux.receive(there, item(3))), "channel.credit");
});

// @rule channel.resume
Deno.test("a channel that ended stays ended", () => {
  const client = calling();
  mux.call(client, 1, "m", BODY, { upload: true, download: true });
  mux.endChannel(client, 1, 1, null);
  mux.receive(client, arrives({ kind: "reset", connection: 1, channel: 3, reason: "r" }));
  const later = restored(client);
  assert.equal(mux.sendItem(later, 1, 1, BODY), null);
  for (const late of [item(3), granted(1, 1)]) assert.equal(mux.receive(later, late).kind, "dropped");
  const outcome = mux.receive(
    later,
    arrives({ kind: "response", connection: 1, request: 1, ok: true, body: BODY }),
  );
  assert.ok(outcome.kind === "answered");
  assert.deepEqual([outcome.call.upload?.id, outcome.call.download?.id], [1, 3]);
});

// @rule channel.resume
// @rule call.once
Deno.test("calls stay in flight, and answers that wait for the accept stay decided", () => {
  const server = offered();
  for (const request of [1, 2]) {
    mux.receive(
      server,
      called(request, { download: 2 * request - 1, timeout: 50, operation: "k" }, request),
      5,
    );
  }
  mux.respond(server, 1, 1, FAILED);
  const later = restored(server);
  mux.respond(later, 1, 1, OK);
  assert.deepEqual(mux.accept(later, 1), [
    { kind: "accept", connection: 1 },
    { kind: "reset", connection: 1, channel: 1, reason: "internal" },
    { kind: "response", connection: 1, request: 1, ok: false, body: BODY },
  ]);
  const outcome = mux.receive(later, cancelled(2));
  assert.ok(outcome.kind === "cancelled");
  assert.deepEqual(
    [outcome.call.deadline, outcome.call.operation, outcome.call.method],
    [55, "k", "m"],
  );
});

// @rule call.timeout
Deno.test("the latest deadline there can be is kept", () => {
  const server = serving();
  mux.receive(server, called(1, { timeout: Number.MAX_SAFE_INTEGER }), 1_700_000_000_000);
  restored(server);
});

// @rule connection.credit
// @rule connection.early
Deno.test("the credit of plain messages and what was sent before the accept are kept", () => {
  const client = opening();
  for (let i = 0; i < 15; i++) mux.maySend(client, 1);
  const later = restored(client);
  assert.deepEqual([mux.maySend(later, 1), mux.maySend(later, 1)], [true, false]);
  mux.receive(later, arrives({ kind: "accept", connection: 1, messageCredit: 17 }));
  const latest = restored(later);
  assert.deepEqual([mux.maySend(latest, 1), mux.maySend(latest, 1)], [true, false]);
  const server = offered();
  for (let i = 0; i < 10; i++) mux.receive(server, plain(1));
  mux.accept(server, 1, { messageCredit: 16 });
  for (let i = 0; i < 7; i++) mux.consumeMessage(server, 1);
  assert.equal(mux.consumeMessage(restored(server), 1)?.kind, "credit");
});

Deno.test("what waits, what is not handled yet, the offer, the reason for its loss and its end are kept", () => {
  const connection = mux.newConnection(7, "s", "offered");
  connection.offer = { k: "v", größe: "ß" };
  connection.lostWith = "overloaded";
  connection.held = [3, 2 ** 40];
  connection.waiting = [encodeBody("a"), encodeBody(new Uint8Array(300))];
  connection.ending = { reason: "größe", detail: "" };
  assert.deepEqual(decodeConnection(7, encodeConnection(connection)), connection);
  const nothing = mux.newConnection(7, "s", "offered");
  nothing.offer = {};
  assert.deepEqual(decodeConnection(7, encodeConnection(nothing)).offer, {});
});

// @rule connection.end
Deno.test("that the other side has ended it is kept, with its words, until the last message is handled", () => {
  for (const reason of [undefined, "done"]) {
    const server = serving();
    mux.receive(server, called(1, { upload: 1, download: 3 }));
    const connection = server.connections.get(1)!;
    connection.held = [5, 9];
    connection.waiting = [BODY];
    const words = reason === undefined ? {} : { reason, detail: "bye" };
    assert.equal(mux.receive(server, arrives({ kind: "end", connection: 1, ...words })).kind, "ending");
    const later = restored(server);
    const { ending, held, waiting, calls } = later.connections.get(1)!;
    assert.deepEqual(ending, { reason: reason ?? "", detail: reason === undefined ? "" : "bye" });
    assert.deepEqual([held, waiting, calls], [[5, 9], [], null]);
    assert.equal(mux.receive(later, plain(1)).kind, "dropped");
    assert.ok(!mux.maySend(later, 1) && !mux.mayCall(later, 1));
    assert.equal(mux.end(later, 1), null);
    assert.equal(later.connections.size, 0);
  }
});

Deno.test("the words of a call may be left out where it is only answered", () => {
  const server = serving();
  mux.receive(server, called(1, { download: 1 }));
  const read = decodeConnection(1, encodeConnection(server.connections.get(1)!));
  const { method, operation, metadata } = read.calls!.incoming.get(1)!;
  assert.deepEqual({ method, operation, metadata }, { method: "", operation: null, metadata: {} });
});

/** A connection with something in every field. */
function full(): mux.ConnectionState {
  const server = mux.newMux("server", 8);
  mux.receive(server, arrives({ kind: "open", connection: 1, service: "s", messageCredit: 16 }));
  for (let i = 1; i <= 3; i++) {
    mux.receive(server, called(i, { upload: 4 * i - 3, download: 4 * i - 1, timeout: i }));
  }
  mux.respond(server, 1, 3, OK);
  const connection = server.connections.get(1)!;
  const early = connection.calls!.incoming.get(3)!;
  mux.accept(server, 1, { messageCredit: 20 });
  connection.calls!.incoming.set(3, early);
  mux.call(server, 1, "back", BODY, { upload: true, download: true });
  connection.offer = { k: "v" };
  connection.held = [4];
  connection.waiting = [BODY];
  connection.lostWith = "r";
  connection.ending = { reason: "r", detail: "d" };
  return connection;
}

Deno.test("a record that is cut short, or goes on, is refused", () => {
  for (const connection of [full(), mux.newConnection(1, "s", "open")]) {
    const bytes = encodeConnection(connection);
    assert.deepEqual(
      decodeConnection(1, bytes, () => ({ method: "m", operation: null, metadata: {} })),
      connection,
    );
    for (let length = 0; length < bytes.length; length++) {
      assert.throws(() => decodeConnection(1, bytes.subarray(0, length)), Error, `${length} bytes`);
    }
    assert.throws(() => decodeConnection(1, Uint8Array.of(...bytes, 0xc0)), Error);
  }
});

Deno.test("a record of another form is refused, with words that say so", () => {
  const wrong: BodyValue[] = [
    ...[null, "open", {}, [], ["s", "open"], ["s", "open", 0, null]],
    ...[["s", "closed", 0], ["s", "open", -1], ["s", "open", 0.5], ["s", "open", 2n ** 60n], [1, "open", 0]],
  ];
  for (const each of wrong) {
    assert.throws(
      () => decodeConnection(1, encodeBody(each)),
      /^Error: the record of a connection is damaged: /,
    );
  }
});

/** Every copy of a record in which one value, at any depth, is another one. */
function* altered(value: unknown): Generator<unknown> {
  const others: unknown[] = [
    null,
    true,
    -1,
    1.5,
    2n ** 60n,
    "open!",
    new Uint8Array(1),
    [],
    [1, 2, 3, 4, 5],
    { k: 1 },
  ];
  for (const other of others) yield other;
  if (!Array.isArray(value)) return;
  for (const [i, each] of value.entries()) {
    for (const other of altered(each)) yield value.with(i, other);
    yield value.toSpliced(i, 1);
  }
}

Deno.test("a record with a value that cannot be there is refused or read as what it says, never as something else", () => {
  let [refused, read] = [0, 0];
  for (const other of altered(decodeBody(encodeConnection(full())))) {
    const bytes = encodeBody(other as BodyValue);
    let connection: mux.ConnectionState;
    try {
      connection = decodeConnection(1, bytes);
    } catch (error) {
      assert.ok(error instanceof Error);
      assert.match(error.message, /^the record of a connection is damaged: /);
      refused++;
      continue;
    }
    assert.deepEqual(encodeConnection(connection), bytes);
    read++;
  }
  assert.ok(refused > 500, `${refused} refused, ${read} read`);
});

// @rule channel.resume
Deno.test("whatever two sides did, each connection comes back equal from its record, and both go on with it", () => {
  fc.assert(
    fc.property(
      fc.array(pairAct, { maxLength: 200, size: "max" }),
      fc.array(pairAct, { maxLength: 40, size: "max" }),
      (before, after) => {
        const pair = MuxPair.connected();
        for (const act of before) pair.perform(act);
        for (const half of pair.halves) half.store();
        for (const act of after) pair.perform(act);
        pair.finish();
      },
    ),
    { numRuns: 300 },
  );
});
