/** Connections: ids, opening, early messages, ends, for either side. */

import assert from "node:assert/strict";
import { decodeBody, encodeBody } from "../../src/protocol/body.ts";
import { EARLY_MESSAGES } from "../../src/protocol/limits.ts";
import type { SessionMessage, SessionPayload } from "../../src/protocol/messages.ts";
import * as mux from "../../src/connection/mux_state.ts";

const BODY = encodeBody("x");

function arrives(payload: SessionPayload): SessionMessage {
  return { ...payload, seq: 1, cost: 1 };
}

const opened = (connection: number, service = "echo") => arrives({ kind: "open", connection, service });
const plain = (connection: number) => arrives({ kind: "message", connection, body: BODY });
const end = (connection: number) => arrives({ kind: "end", connection });

function broken(outcome: mux.MuxOutcome): string | undefined {
  return outcome.kind === "violation" ? outcome.violation.rule : undefined;
}

/** A server with connection 1 open. */
function serving(most = 8): mux.MuxState {
  const state = mux.newMux("server", most);
  mux.receive(state, opened(1));
  assert.notEqual(mux.accept(state, 1), null);
  return state;
}

// @rule connection.open
Deno.test("an offered connection is answered once, by accept or by reject", () => {
  const state = mux.newMux("server", 8);
  assert.equal(mux.receive(state, opened(1)).kind, "offered");
  assert.deepEqual(mux.accept(state, 1), { kind: "accept", connection: 1 });
  assert.equal(mux.accept(state, 1), null);
  assert.equal(mux.reject(state, 1, "no", ""), null);
  mux.receive(state, opened(3));
  assert.equal(mux.reject(state, 3, "no", "why")?.kind, "reject");
  assert.equal(mux.accept(state, 3), null);
  assert.deepEqual([...state.connections.keys()], [1]);
});

// @rule connection.open
Deno.test("an accept or reject that answers nothing pending is ignored", () => {
  const client = mux.newMux("client", 8);
  mux.open(client, "echo");
  assert.equal(mux.receive(client, arrives({ kind: "accept", connection: 1 })).kind, "accepted");
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
});

// @rule frame.ids
Deno.test("the client's ids are odd, the server's even; each side's ascend and none is used again", () => {
  const client = mux.newMux("client", 8);
  const server = mux.newMux("server", 8);
  assert.deepEqual([1, 2, 3].map(() => mux.open(client, "a").connection), [1, 3, 5]);
  assert.deepEqual([1, 2, 3].map(() => mux.open(server, "a").connection), [2, 4, 6]);
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

// @rule frame.ids, connection.end
Deno.test("a message for an id that was once open is dropped, for any other it is a violation", () => {
  const state = serving();
  mux.receive(state, end(1));
  for (
    const late of [
      plain(1),
      end(1),
      arrives({ kind: "call", connection: 1, request: 1, method: "m", body: BODY }),
    ]
  ) {
    assert.equal(mux.receive(state, late).kind, "dropped");
  }
  for (const id of [0, 2, 3, 99]) assert.equal(broken(mux.receive(state, plain(id))), "frame.ids");
});

// @rule connection.early
Deno.test("before its accept the opener may send sixteen messages and no more", () => {
  const client = mux.newMux("client", 8);
  mux.open(client, "echo");
  for (let i = 0; i < EARLY_MESSAGES; i++) assert.ok(mux.maySend(client, 1));
  assert.ok(!mux.maySend(client, 1));
  mux.receive(client, arrives({ kind: "accept", connection: 1 }));
  assert.ok(mux.maySend(client, 1));
  const server = mux.newMux("server", 8);
  mux.receive(server, opened(1));
  for (let i = 0; i < EARLY_MESSAGES; i++) assert.equal(mux.receive(server, plain(1)).kind, "message");
  assert.equal(broken(mux.receive(server, plain(1))), "connection.early");
});

// @rule connection.open
Deno.test("nobody may speak on a connection that is not accepted but its opener", () => {
  const client = mux.newMux("client", 8);
  mux.open(client, "echo");
  assert.equal(broken(mux.receive(client, plain(1))), "connection.open");
  const server = mux.newMux("server", 8);
  mux.receive(server, opened(1));
  assert.ok(!mux.maySend(server, 1));
  assert.ok(!mux.maySend(server, 99));
});

// @rule connection.open
Deno.test("too many connections are rejected, whoever opened the others, and the id counts as used", () => {
  const state = serving(2);
  mux.open(state, "server's own");
  const outcome = mux.receive(state, opened(3));
  assert.ok(outcome.kind === "answer" && outcome.payload.kind === "reject");
  assert.equal(outcome.payload.reason, "too-many-connections");
  assert.equal(mux.receive(state, plain(3)).kind, "dropped");
  assert.equal(broken(mux.receive(state, opened(3))), "frame.ids");
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
});

// @rule frame.body
Deno.test("a malformed body ends its connection alone", () => {
  const state = serving();
  const outcome = mux.receive(state, { ...plain(1), malformed: "bad" } as SessionMessage);
  assert.ok(outcome.kind === "answer" && outcome.payload.kind === "end");
  assert.equal(outcome.payload.reason, "malformed-body");
  assert.equal(outcome.ended, 1);
  assert.equal(state.connections.size, 0);
});

Deno.test("a call to a service without methods is answered unknown-method", () => {
  const outcome = mux.receive(
    serving(),
    arrives({ kind: "call", connection: 1, request: 9, method: "m", body: BODY }),
  );
  assert.ok(outcome.kind === "answer" && outcome.payload.kind === "response");
  assert.equal(outcome.payload.ok, false);
  assert.equal(outcome.payload.request, 9);
  assert.deepEqual(decodeBody(outcome.payload.body), {
    code: "unknown-method",
    message: "this service has no methods",
  });
});

// @rule frame.ids
Deno.test("messages for channels that were never open are violations; late cancels and responses are dropped", () => {
  const payloads: SessionPayload[] = [
    { kind: "item", connection: 1, channel: 1, body: BODY },
    { kind: "finish", connection: 1, channel: 1 },
    { kind: "reset", connection: 1, channel: 1, reason: "r" },
    { kind: "credit", connection: 1, channel: 1, additional: 1 },
  ];
  for (const payload of payloads) assert.equal(broken(mux.receive(serving(), arrives(payload))), "frame.ids");
  assert.equal(
    mux.receive(serving(), arrives({ kind: "cancel", connection: 1, request: 1 })).kind,
    "dropped",
  );
});
