/** Connections: ids, opening, early messages, plain messages under credit, ends, for either side. */

import assert from "node:assert/strict";
import * as mux from "../../src/connection/mux_state.ts";
import { EARLY_CALLS, EARLY_MESSAGES } from "../../src/protocol/limits.ts";
import type { SessionPayload } from "../../src/protocol/messages.ts";
import {
  answered,
  arrives,
  BODY,
  broke,
  broken,
  called,
  calling,
  cancelled,
  ended,
  finished,
  granted,
  item,
  kinds,
  malformed,
  offered,
  opened,
  opening,
  plain,
  serving,
} from "./mux_fixture.ts";

// @rule connection.open
Deno.test("an offered connection is answered once, by accept or by reject", () => {
  const state = mux.newMux("server", 8);
  assert.equal(mux.receive(state, opened(1)).kind, "offered");
  assert.deepEqual(mux.accept(state, 1), [{ kind: "accept", connection: 1 }]);
  assert.deepEqual(mux.accept(state, 1), []);
  assert.equal(mux.reject(state, 1, "no", ""), null);
  mux.receive(state, opened(3));
  assert.deepEqual(mux.reject(state, 3, "no", "why"), {
    kind: "reject",
    connection: 3,
    reason: "no",
    detail: "why",
  });
  assert.deepEqual(mux.accept(state, 3), []);
  assert.equal(mux.reject(state, 3, "no", ""), null);
  assert.deepEqual([...state.connections.keys()], [1]);
});

// @rule connection.open
Deno.test("open and accept say what their side wants to say, and nothing else", () => {
  const client = mux.newMux("client", 8);
  assert.deepEqual(mux.open(client, "a"), { kind: "open", connection: 1, service: "a" });
  assert.deepEqual(mux.open(client, "b", { metadata: { k: "v" }, messageCredit: 20 }), {
    kind: "open",
    connection: 3,
    service: "b",
    metadata: { k: "v" },
    messageCredit: 20,
  });
  const server = mux.newMux("server", 8);
  const outcome = mux.receive(
    server,
    arrives({ kind: "open", connection: 1, service: "a", metadata: { k: "v" } }),
  );
  assert.deepEqual(outcome, { kind: "offered", connection: 1, service: "a", metadata: { k: "v" } });
  assert.deepEqual(server.connections.get(1)?.offer, { k: "v" }, "kept until it is answered");
  assert.deepEqual(mux.accept(server, 1, { metadata: { m: "n" }, messageCredit: 16, schema: "h" }), [
    { kind: "accept", connection: 1, metadata: { m: "n" }, messageCredit: 16, schema: "h" },
  ]);
  assert.equal(server.connections.get(1)?.offer, null);
  const accept = { kind: "accept", connection: 1, metadata: { m: "n" }, schema: "h" } as const;
  assert.deepEqual(mux.receive(client, arrives(accept)), { ...accept, kind: "accepted" });
});

// @rule connection.open
Deno.test("an accept or reject that answers nothing pending is ignored", () => {
  const client = calling();
  assert.equal(mux.receive(client, arrives({ kind: "accept", connection: 1 })).kind, "dropped");
  assert.equal(
    mux.receive(client, arrives({ kind: "reject", connection: 1, reason: "", detail: "" })).kind,
    "dropped",
  );
  assert.equal(client.connections.get(1)?.phase, "open");
  mux.open(client, "echo");
  const rejected = mux.receive(
    client,
    arrives({ kind: "reject", connection: 3, reason: "no", detail: "why" }),
  );
  assert.deepEqual(rejected, {
    kind: "ended",
    connection: 3,
    service: "echo",
    rejected: true,
    reason: "no",
    detail: "why",
  });
  assert.equal(mux.receive(client, arrives({ kind: "accept", connection: 3 })).kind, "dropped");
  // Nor is one for what the other side opened itself.
  const server = offered();
  assert.equal(mux.receive(server, arrives({ kind: "accept", connection: 1 })).kind, "dropped");
  assert.equal(
    mux.receive(server, arrives({ kind: "reject", connection: 1, reason: "", detail: "" })).kind,
    "dropped",
  );
  assert.equal(server.connections.get(1)?.phase, "offered");
});

// @rule frame.ids
Deno.test("the client's ids are odd, the server's even; each side's ascend and none is used again", () => {
  const client = mux.newMux("client", 8);
  const server = mux.newMux("server", 8);
  assert.deepEqual([1, 2, 3].map(() => mux.open(client, "a").connection), [1, 3, 5]);
  assert.deepEqual([1, 2, 3].map(() => mux.open(server, "a").connection), [2, 4, 6]);
  mux.end(client, 5);
  assert.equal(mux.open(client, "a").connection, 7);
  for (const id of [0, 2, 4]) {
    assert.equal(broken(mux.receive(mux.newMux("server", 8), opened(id))), "frame.ids");
  }
  for (const id of [0, 1, 3]) {
    assert.equal(broken(mux.receive(mux.newMux("client", 8), opened(id))), "frame.ids");
  }
  const state = mux.newMux("server", 8);
  assert.equal(mux.receive(state, opened(7)).kind, "offered", "gaps are allowed");
  for (const id of [7, 5, 1]) assert.equal(broken(mux.receive(state, opened(id))), "frame.ids");
  assert.equal(mux.receive(state, opened(9)).kind, "offered");
});

/** One of each kind that may be about connection 1. */
const ANYTHING = [
  plain(1),
  called(1),
  answered(1),
  cancelled(1),
  item(1),
  finished(1),
  broke(1),
  granted(1, 1),
  granted(0, 1),
] as const;

// @rule frame.ids
// @rule connection.end
Deno.test("a message for an id that was once open is dropped, for any other it is a violation", () => {
  const ways: ((state: mux.MuxState) => void)[] = [
    (state) => mux.receive(state, ended(1)),
    (state) => mux.end(state, 1),
  ];
  for (const way of ways) {
    const state = serving();
    way(state);
    assert.equal(state.connections.size, 0);
    const late = [
      ...ANYTHING,
      ended(1),
      arrives({ kind: "accept", connection: 1 }),
      arrives({ kind: "reject", connection: 1, reason: "", detail: "" }),
      malformed(plain(1)),
    ];
    for (const message of late) assert.equal(mux.receive(state, message).kind, "dropped", message.kind);
    for (const id of [0, 2, 3, 99]) {
      for (const message of [...late, ...ANYTHING]) {
        assert.equal(broken(mux.receive(state, { ...message, connection: id })), "frame.ids");
      }
    }
  }
});

// @rule connection.end
Deno.test("an end drops the calls of its connection and their channels, in both directions", () => {
  const state = serving();
  mux.receive(state, called(1, { upload: 1, download: 3 }));
  mux.call(state, 1, "back", BODY, { upload: true });
  mux.receive(state, ended(1));
  assert.deepEqual(mux.respond(state, 1, 1, { ok: true, body: BODY, reason: "" }), []);
  assert.equal(mux.sendItem(state, 1, 3, BODY), null);
  assert.equal(mux.endChannel(state, 1, 2, null), null);
  assert.equal(mux.consumeItems(state, 1, 1, 16), null);
  assert.equal(mux.cancel(state, 1, 1), null);
  assert.ok(!mux.mayCall(state, 1) && !mux.maySend(state, 1) && !mux.hasCredit(state, 1, 3));
});

// @rule connection.early
Deno.test("before its accept the opener may send sixteen messages and no more", () => {
  const client = opening();
  for (let i = 0; i < EARLY_MESSAGES; i++) assert.ok(mux.maySend(client, 1));
  assert.ok(!mux.maySend(client, 1));
  mux.receive(client, arrives({ kind: "accept", connection: 1 }));
  assert.ok(mux.maySend(client, 1));
  const server = offered();
  for (let i = 0; i < EARLY_MESSAGES; i++) assert.equal(mux.receive(server, plain(1)).kind, "message");
  assert.equal(broken(mux.receive(server, plain(1))), "connection.early");
});

// @rule connection.early
Deno.test("before its accept the opener may make sixteen calls and no more, whatever the limit of calls is", () => {
  const client = opening();
  for (let i = 0; i < EARLY_CALLS; i++) {
    assert.ok(mux.mayCall(client, 1));
    mux.call(client, 1, "m", BODY);
  }
  assert.ok(!mux.mayCall(client, 1));
  mux.receive(client, arrives({ kind: "accept", connection: 1 }));
  assert.ok(mux.mayCall(client, 1));
  const server = offered();
  for (let i = 1; i <= EARLY_CALLS; i++) assert.equal(mux.receive(server, called(i)).kind, "called");
  assert.equal(broken(mux.receive(server, called(EARLY_CALLS + 1))), "connection.early");
});

// @rule connection.early
Deno.test("messages and calls before accept are counted apart, and neither counts after it", () => {
  const server = offered();
  for (let i = 1; i <= EARLY_MESSAGES; i++) {
    assert.equal(mux.receive(server, plain(1)).kind, "message");
    assert.equal(mux.receive(server, called(i)).kind, "called");
  }
  mux.accept(server, 1);
  assert.equal(mux.receive(server, plain(1)).kind, "message");
  assert.equal(mux.receive(server, called(EARLY_CALLS + 1)).kind, "called");
});

// @rule connection.early
Deno.test("what was sent early to a connection that was rejected is dropped", () => {
  const server = offered();
  mux.receive(server, called(1, { upload: 1 }));
  assert.equal(mux.reject(server, 1, "no", "")?.kind, "reject");
  for (const late of [plain(1), called(2), item(1), cancelled(1), ended(1)]) {
    assert.equal(mux.receive(server, late).kind, "dropped");
  }
});

// @rule connection.open
Deno.test("anything but accept, reject or end on a connection that is not accepted is a violation", () => {
  for (const message of [...ANYTHING, malformed(plain(1))]) {
    const client = opening();
    mux.call(client, 1, "m", BODY, { upload: true, download: true });
    assert.equal(broken(mux.receive(client, message)), "connection.open", message.kind);
  }
  assert.equal(mux.receive(opening(), arrives({ kind: "accept", connection: 1 })).kind, "accepted");
  for (const kind of ["reject", "end"] as const) {
    const client = opening();
    assert.equal(
      mux.receive(client, arrives({ kind, connection: 1, reason: "r", detail: "" })).kind,
      "ended",
    );
    assert.equal(client.connections.size, 0);
  }
});

// @rule connection.open
Deno.test("the accepting side says nothing on a connection before it accepts", () => {
  const server = offered();
  mux.receive(server, called(1, { upload: 1, download: 3 }));
  for (let i = 0; i < 16; i++) {
    mux.receive(server, plain(1));
    mux.receive(server, item(1));
  }
  assert.ok(!mux.maySend(server, 1));
  assert.ok(!mux.mayCall(server, 1));
  assert.ok(!mux.hasCredit(server, 1, 3));
  assert.equal(mux.sendItem(server, 1, 3, BODY), null);
  assert.equal(mux.endChannel(server, 1, 3, null), null);
  assert.equal(mux.consumeItems(server, 1, 1, 16), null);
  assert.equal(mux.consumeMessage(server, 1), null);
  assert.deepEqual(mux.respond(server, 1, 1, { ok: true, body: BODY, reason: "" }), []);
  assert.ok(!mux.maySend(server, 99) && !mux.mayCall(server, 99));
  // Nothing of it was counted: afterwards everything is as it was.
  assert.deepEqual(kinds(mux.accept(server, 1)), ["accept", "finish", "response"]);
});

// @rule connection.open
Deno.test("too many connections are rejected, whoever opened the others, and the id counts as used", () => {
  const state = serving(2);
  mux.open(state, "server's own");
  const outcome = mux.receive(state, opened(3));
  assert.ok(outcome.kind === "answer" && outcome.payload.kind === "reject");
  assert.equal(outcome.payload.reason, "too-many-connections");
  assert.equal(outcome.ended, null);
  assert.equal(mux.receive(state, plain(3)).kind, "dropped");
  assert.equal(broken(mux.receive(state, opened(3))), "frame.ids");
  mux.end(state, 1);
  assert.equal(mux.receive(state, opened(5)).kind, "offered");
});

// @rule connection.end
Deno.test("an end names the connection's service and closes both directions", () => {
  const state = serving();
  const outcome = mux.receive(state, arrives({ kind: "end", connection: 1, reason: "bye", detail: "now" }));
  assert.deepEqual(outcome, {
    kind: "ended",
    connection: 1,
    service: "echo",
    rejected: false,
    reason: "bye",
    detail: "now",
  });
  assert.ok(!mux.maySend(state, 1));
  assert.equal(mux.end(state, 1), null);
  const other = serving();
  assert.deepEqual(mux.end(other, 1, "r", "d"), { kind: "end", connection: 1, reason: "r", detail: "d" });
  assert.deepEqual(mux.receive(other, plain(1)), { kind: "dropped" });
  assert.deepEqual(mux.end(calling(), 1), { kind: "end", connection: 1 });
});

/** A server with connection 1 open, a message that it still handles, and calls in either direction. */
function busy(): mux.MuxState {
  const state = serving();
  mux.receive(state, called(1, { upload: 1, download: 3 }));
  mux.call(state, 1, "back", BODY, { upload: true, download: true });
  const connection = state.connections.get(1)!;
  connection.held = [4, 7];
  connection.waiting = [BODY];
  return state;
}

// @rule connection.end
Deno.test("an end waits for messages from before it that are still handled, and for nothing else", () => {
  const state = busy();
  const end = arrives({ kind: "end", connection: 1, reason: "bye", detail: "now" });
  assert.deepEqual(mux.receive(state, end), { kind: "ending", connection: 1 });
  const connection = state.connections.get(1)!;
  assert.deepEqual(connection.ending, { reason: "bye", detail: "now" });
  assert.deepEqual(connection.held, [4, 7]);
  // What this side wanted to say on it, and calls in either direction, are over at once.
  assert.deepEqual([connection.waiting, connection.calls], [[], null]);
  const late = [
    ...ANYTHING,
    ended(1),
    end,
    arrives({ kind: "accept", connection: 1 }),
    arrives({ kind: "reject", connection: 1, reason: "", detail: "" }),
    malformed(plain(1)),
    answered(99),
    item(99),
  ];
  for (const message of late) assert.equal(mux.receive(state, message).kind, "dropped", message.kind);
  assert.equal(state.connections.get(1), connection, "nothing that comes ends it sooner");
  assert.equal(broken(mux.receive(state, opened(1))), "frame.ids");
});

// @rule connection.end
Deno.test("on a connection that the other side has ended this side says nothing, not even that it ends", () => {
  const state = busy();
  state.connections.get(1)!.receiving = { initial: 16, granted: 16, received: 16, consumed: 0 };
  mux.receive(state, ended(1));
  assert.ok(!mux.maySend(state, 1) && !mux.mayCall(state, 1));
  for (const channel of [1, 2, 3, 4]) {
    assert.ok(!mux.hasCredit(state, 1, channel));
    assert.equal(mux.sendItem(state, 1, channel, BODY), null);
    assert.equal(mux.endChannel(state, 1, channel, null), null);
    assert.equal(mux.consumeItems(state, 1, channel, 16), null);
  }
  for (let i = 0; i < 16; i++) assert.equal(mux.consumeMessage(state, 1), null);
  assert.deepEqual(mux.respond(state, 1, 1, { ok: true, body: BODY, reason: "" }), []);
  assert.equal(mux.cancel(state, 1, 1), null);
  assert.deepEqual(mux.accept(state, 1), []);
  assert.equal(mux.reject(state, 1, "no", ""), null);
  assert.equal(mux.end(state, 1, "r", "d"), null);
  assert.equal(state.connections.size, 0);
  assert.equal(mux.receive(state, plain(1)).kind, "dropped");
});

// @rule connection.end
Deno.test("an end before the accept waits for nothing: what came early is dropped", () => {
  const state = offered();
  mux.receive(state, plain(1));
  state.connections.get(1)!.held = [2];
  assert.equal(mux.receive(state, ended(1)).kind, "ended");
  assert.equal(state.connections.size, 0);
});

// @rule connection.end
// @rule connection.open
Deno.test("a connection that the other side has ended counts until its messages are handled", () => {
  const state = serving(1);
  state.connections.get(1)!.held = [2];
  mux.receive(state, ended(1));
  const outcome = mux.receive(state, opened(3));
  assert.ok(outcome.kind === "answer" && outcome.payload.kind === "reject");
  assert.equal(outcome.payload.reason, "too-many-connections");
  mux.end(state, 1);
  assert.equal(mux.receive(state, opened(5)).kind, "offered");
});

// @rule connection.schema
Deno.test("the hash of a service's description goes with the accept to whoever opened, and is absent where there is none", () => {
  const schema = "q1w2e3";
  const server = offered();
  assert.deepEqual(mux.accept(server, 1, { schema }), [{ kind: "accept", connection: 1, schema }]);
  assert.deepEqual(mux.receive(opening(), arrives({ kind: "accept", connection: 1, schema })), {
    kind: "accepted",
    connection: 1,
    metadata: {},
    schema,
  });
  const without = mux.receive(opening(), arrives({ kind: "accept", connection: 1 }));
  assert.deepEqual(without, { kind: "accepted", connection: 1, metadata: {} });
});

// @rule frame.body
Deno.test("a malformed plain message ends its connection alone; one that is not accepted yet is rejected", () => {
  for (const [state, kind] of [[serving(), "end"], [offered(), "reject"]] as const) {
    mux.receive(state, opened(3));
    const outcome = mux.receive(state, malformed(plain(1)));
    assert.deepEqual(outcome, {
      kind: "answer",
      payload: { kind, connection: 1, reason: "malformed-body", detail: "bad" },
      ended: 1,
      service: "echo",
    });
    assert.deepEqual([...state.connections.keys()], [3]);
  }
});

// @rule frame.body
Deno.test("a call, an answer or an item with a malformed body is handed on as that", () => {
  const server = serving();
  const call = mux.receive(server, malformed(called(1, { upload: 1 })));
  assert.ok(call.kind === "called");
  assert.equal(call.malformed, "bad");
  const sent = mux.receive(server, malformed(item(1)));
  assert.ok(sent.kind === "item");
  assert.equal(sent.malformed, "bad");
  assert.deepEqual(kinds(mux.respond(server, 1, 1, { ok: false, body: BODY, reason: "r" })), ["response"]);
  const client = calling();
  mux.call(client, 1, "m", BODY);
  const answer = mux.receive(client, malformed(answered(1)));
  assert.ok(answer.kind === "answered");
  assert.equal(answer.malformed, "bad");
  for (const outcome of [mux.receive(serving(), called(1)), mux.receive(serving(), called(1))]) {
    assert.ok(outcome.kind === "called");
    assert.equal(outcome.malformed, undefined);
  }
});

/** A client that gave 16 and was given 20 on connection 1. */
function credited(): mux.MuxState {
  const client = mux.newMux("client", 8);
  mux.open(client, "echo", { messageCredit: 16 });
  mux.receive(client, arrives({ kind: "accept", connection: 1, messageCredit: 20 }));
  return client;
}

// @rule connection.credit
Deno.test("plain messages flow under the credit that the other side gave, in either direction", () => {
  const client = credited();
  for (let i = 0; i < 20; i++) assert.ok(mux.maySend(client, 1), `message ${i + 1}`);
  assert.ok(!mux.maySend(client, 1));
  for (let i = 0; i < 16; i++) assert.equal(mux.receive(client, plain(1)).kind, "message");
  assert.equal(broken(mux.receive(client, plain(1))), "connection.credit");
  const server = mux.newMux("server", 8);
  mux.receive(server, arrives({ kind: "open", connection: 1, service: "s", messageCredit: 16 }));
  mux.accept(server, 1, { messageCredit: 20 });
  for (let i = 0; i < 16; i++) assert.ok(mux.maySend(server, 1));
  assert.ok(!mux.maySend(server, 1));
  for (let i = 0; i < 20; i++) assert.equal(mux.receive(server, plain(1)).kind, "message");
  assert.equal(broken(mux.receive(server, plain(1))), "connection.credit");
});

// @rule connection.credit
Deno.test("the credit of plain messages counts from the first message, those before the accept included", () => {
  const client = opening();
  for (let i = 0; i < 10; i++) assert.ok(mux.maySend(client, 1));
  mux.receive(client, arrives({ kind: "accept", connection: 1, messageCredit: 16 }));
  for (let i = 10; i < 16; i++) assert.ok(mux.maySend(client, 1));
  assert.ok(!mux.maySend(client, 1));
  const server = offered();
  for (let i = 0; i < 10; i++) mux.receive(server, plain(1));
  mux.accept(server, 1, { messageCredit: 16 });
  for (let i = 10; i < 16; i++) assert.equal(mux.receive(server, plain(1)).kind, "message");
  assert.equal(broken(mux.receive(server, plain(1))), "connection.credit");
});

// @rule connection.credit
Deno.test("more plain messages are granted on channel 0 when half was consumed, early ones too", () => {
  const server = offered();
  for (let i = 0; i < 10; i++) mux.receive(server, plain(1));
  mux.accept(server, 1, { messageCredit: 16 });
  for (let i = 0; i < 7; i++) assert.equal(mux.consumeMessage(server, 1), null);
  assert.deepEqual(mux.consumeMessage(server, 1), {
    kind: "credit",
    connection: 1,
    channel: 0,
    additional: 8,
  });
  for (let i = 10; i < 24; i++) assert.equal(mux.receive(server, plain(1)).kind, "message");
  assert.equal(broken(mux.receive(server, plain(1))), "connection.credit");
  const client = credited();
  for (let i = 0; i < 20; i++) mux.maySend(client, 1);
  assert.deepEqual(mux.receive(client, granted(0, 2)), { kind: "messages_credited", connection: 1 });
  assert.deepEqual([1, 2, 3].map(() => mux.maySend(client, 1)), [true, true, false]);
});

// @rule connection.credit
Deno.test("on a connection without its own credit nothing is counted, granted or held up", () => {
  const [client, server] = [calling(), serving()];
  for (let i = 0; i < 100; i++) {
    assert.ok(mux.maySend(client, 1));
    assert.equal(mux.receive(server, plain(1)).kind, "message");
    assert.equal(mux.consumeMessage(server, 1), null);
  }
  assert.equal(mux.receive(client, granted(0, 1)).kind, "dropped");
  assert.equal(mux.receive(client, granted(0, Number.MAX_SAFE_INTEGER)).kind, "dropped");
  assert.ok(mux.maySend(client, 1));
});

// @rule connection.credit
Deno.test("a credit for plain messages that no count can hold is a violation", () => {
  assert.equal(
    broken(mux.receive(credited(), granted(0, Number.MAX_SAFE_INTEGER - 19))),
    "connection.credit",
  );
  assert.equal(
    mux.receive(credited(), granted(0, Number.MAX_SAFE_INTEGER - 20)).kind,
    "messages_credited",
  );
});

// @rule frame.ids
Deno.test("channel 0 carries credit and nothing else", () => {
  const payloads: SessionPayload[] = [
    { kind: "item", connection: 1, channel: 0, body: BODY },
    { kind: "finish", connection: 1, channel: 0 },
    { kind: "reset", connection: 1, channel: 0, reason: "r" },
  ];
  for (const payload of payloads) {
    assert.equal(broken(mux.receive(credited(), arrives(payload))), "frame.ids");
  }
});
