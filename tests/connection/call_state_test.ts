/** Calls: ids, limits, one answer for each, for either side. */

import assert from "node:assert/strict";
import * as mux from "../../src/connection/mux_state.ts";
import { makeCall, newCalls, receiveCall, reopen } from "../../src/connection/call_state.ts";
import { EARLY_CALLS } from "../../src/protocol/limits.ts";
import {
  answered,
  arrives,
  BODY,
  broke,
  broken,
  called,
  calling,
  cancelled,
  FAILED,
  finished,
  granted,
  inFlight,
  item,
  kinds,
  offered,
  OK,
  opening,
  serving,
} from "./mux_fixture.ts";

// @rule call.once
Deno.test("a call says what it asks for, and no more", () => {
  const client = calling();
  const { payload, call } = mux.call(client, 1, "add", BODY);
  assert.deepEqual(payload, { kind: "call", connection: 1, request: 1, method: "add", body: BODY });
  assert.deepEqual(call, { request: 1, method: "add", upload: null, download: null });
  const all = mux.call(client, 1, "import", BODY, {
    operation: "k",
    timeout: 5,
    upload: true,
    download: true,
    credit: 40,
    metadata: { a: "b" },
  });
  assert.deepEqual(all.payload, {
    kind: "call",
    connection: 1,
    request: 2,
    method: "import",
    body: BODY,
    options: { operation: "k", timeout: 5, upload: 1, download: 3, credit: 40, metadata: { a: "b" } },
  });
  const server = serving();
  const outcome = mux.receive(server, arrives(all.payload, 9), 1_000);
  assert.ok(outcome.kind === "called");
  const { upload, download, ...words } = outcome.call;
  assert.deepEqual(words, {
    request: 2,
    seq: 9,
    method: "import",
    deadline: 1_005,
    operation: "k",
    metadata: { a: "b" },
    broken: null,
    early: null,
  });
  assert.deepEqual([upload?.id, upload?.end.granted], [1, 16]);
  assert.deepEqual([download?.id, download?.end.credit], [3, 40]);
});

// @rule call.once
Deno.test("a call is answered once", () => {
  const server = serving();
  mux.receive(server, called(1));
  assert.deepEqual(mux.respond(server, 1, 1, OK), [
    { kind: "response", connection: 1, request: 1, ok: true, body: BODY },
  ]);
  assert.deepEqual(mux.respond(server, 1, 1, OK), []);
  assert.deepEqual(mux.respond(server, 1, 1, FAILED), []);
  assert.deepEqual(mux.respond(server, 1, 2, OK), [], "never made");
  assert.deepEqual(mux.respond(server, 3, 1, OK), [], "no such connection");
  assert.deepEqual(inFlight(server), { incoming: [], outgoing: [], channels: [] });
});

// @rule call.once
Deno.test("an answer reaches its call, and a second one nobody", () => {
  const client = calling();
  const [first, second] = [1, 2].map(() => mux.call(client, 1, "m", BODY).call);
  const late = mux.receive(client, answered(2, false));
  assert.deepEqual(late, {
    kind: "answered",
    connection: 1,
    call: second,
    ok: false,
    body: BODY,
    malformed: undefined,
  });
  assert.equal(mux.receive(client, answered(2)).kind, "dropped");
  const outcome = mux.receive(client, answered(1));
  assert.ok(outcome.kind === "answered" && outcome.ok);
  assert.equal(outcome.call, first);
  assert.deepEqual(inFlight(client), { incoming: [], outgoing: [], channels: [] });
});

// @rule call.once
// @rule channel.finish
Deno.test("a result comes after the finish of the call's download", () => {
  const server = serving();
  mux.receive(server, called(1, { download: 1 }));
  mux.sendItem(server, 1, 1, BODY);
  assert.deepEqual(mux.respond(server, 1, 1, OK), [
    { kind: "finish", connection: 1, channel: 1 },
    { kind: "response", connection: 1, request: 1, ok: true, body: BODY },
  ]);
  mux.receive(server, called(2, { download: 3 }));
  assert.equal(mux.endChannel(server, 1, 3, null)?.kind, "finish");
  assert.deepEqual(kinds(mux.respond(server, 1, 2, OK)), ["response"], "it is finished already");
});

// @rule call.once
// @rule channel.reset
Deno.test("an error comes after the reset of the call's download, never after a finish in its place", () => {
  const server = serving();
  mux.receive(server, called(1, { download: 1 }));
  assert.deepEqual(mux.respond(server, 1, 1, FAILED), [
    { kind: "reset", connection: 1, channel: 1, reason: "internal" },
    { kind: "response", connection: 1, request: 1, ok: false, body: BODY },
  ]);
  mux.receive(server, called(2, { download: 3 }));
  mux.endChannel(server, 1, 3, "own");
  assert.deepEqual(kinds(mux.respond(server, 1, 2, FAILED)), ["response"], "it is reset already");
});

// @rule call.once
Deno.test("an answer before its call's download ended is a violation, whether it is ok or not; an open upload is none", () => {
  for (const ok of [true, false]) {
    for (const over of [null, finished, broke]) {
      const client = calling();
      const { call } = mux.call(client, 1, "m", BODY, { upload: true, download: true });
      if (over !== null) mux.receive(client, over(call.download!.id));
      const outcome = mux.receive(client, answered(1, ok));
      assert.equal(broken(outcome), over === null ? "call.once" : undefined);
      assert.equal(outcome.kind, over === null ? "violation" : "answered");
    }
  }
  const client = calling();
  mux.call(client, 1, "m", BODY, { download: true });
  mux.call(client, 1, "m", BODY, { download: true });
  mux.receive(client, finished(3));
  assert.equal(mux.receive(client, answered(2)).kind, "answered", "each call has its own");
  assert.equal(broken(mux.receive(client, answered(1))), "call.once");
});

// @rule call.once
Deno.test("the answerer never says an answer before the end of the download, so the caller never sees one", () => {
  for (const answer of [OK, FAILED]) {
    const [client, server] = [calling(), serving()];
    mux.receive(server, arrives(mux.call(client, 1, "m", BODY, { download: true }).payload));
    mux.sendItem(server, 1, 1, BODY);
    const said = [
      { kind: "item", connection: 1, channel: 1, body: BODY } as const,
      ...mux.respond(server, 1, 1, answer),
    ];
    assert.deepEqual(said.map((each) => mux.receive(client, arrives(each)).kind), [
      "item",
      "channel_over",
      "answered",
    ]);
  }
});

// @rule call.once
Deno.test("an answer ends the channels of its call on both sides; what still comes for them is dropped", () => {
  const [client, server] = [calling(), serving()];
  const { payload } = mux.call(client, 1, "m", BODY, { upload: true, download: true });
  mux.receive(server, arrives(payload));
  mux.respond(server, 1, 1, OK);
  assert.deepEqual(inFlight(server), { incoming: [], outgoing: [], channels: [] });
  for (const late of [item(1), granted(3, 1), arrives({ kind: "finish", connection: 1, channel: 1 })]) {
    assert.equal(mux.receive(server, late).kind, "dropped");
  }
  assert.equal(mux.sendItem(server, 1, 3, BODY), null);
  mux.receive(client, arrives({ kind: "finish", connection: 1, channel: 3 }));
  mux.receive(client, answered(1));
  assert.deepEqual(inFlight(client), { incoming: [], outgoing: [], channels: [] });
  for (const late of [item(3), granted(1, 1), arrives({ kind: "finish", connection: 1, channel: 3 })]) {
    assert.equal(mux.receive(client, late).kind, "dropped");
  }
  assert.equal(mux.sendItem(client, 1, 1, BODY), null);
});

// @rule call.cancel
Deno.test("a cancel names a call in flight and leaves it there until its answer", () => {
  const client = calling();
  mux.call(client, 1, "m", BODY);
  assert.deepEqual(mux.cancel(client, 1, 1), { kind: "cancel", connection: 1, request: 1 });
  assert.deepEqual(inFlight(client).outgoing, [1]);
  assert.equal(mux.receive(client, answered(1, false)).kind, "answered");
  assert.equal(mux.cancel(client, 1, 1), null);
  assert.equal(mux.cancel(client, 1, 2), null);
  assert.equal(mux.cancel(client, 3, 1), null);
  const server = serving();
  mux.receive(server, called(1));
  const outcome = mux.receive(server, cancelled(1));
  assert.ok(outcome.kind === "cancelled");
  assert.equal(outcome.call.request, 1);
  assert.deepEqual(kinds(mux.respond(server, 1, 1, FAILED)), ["response"], "it is to be answered");
});

// @rule call.cancel
Deno.test("a cancel that crosses the answer is dropped", () => {
  const server = serving();
  mux.receive(server, called(1));
  mux.respond(server, 1, 1, OK);
  assert.deepEqual(mux.receive(server, cancelled(1)), { kind: "dropped" });
});

// @rule call.limit
Deno.test("no more calls are in flight than agreed: the caller may not make one, and one that arrives is a violation", () => {
  const client = calling(8, 3);
  for (let i = 0; i < 3; i++) {
    assert.ok(mux.mayCall(client, 1));
    mux.call(client, 1, "m", BODY);
  }
  assert.ok(!mux.mayCall(client, 1));
  mux.cancel(client, 1, 2);
  assert.ok(!mux.mayCall(client, 1), "cancelled, but not answered");
  mux.receive(client, answered(2));
  assert.ok(mux.mayCall(client, 1));
  const server = serving(8, 3);
  for (let i = 1; i <= 3; i++) assert.equal(mux.receive(server, called(i)).kind, "called");
  mux.respond(server, 1, 2, OK);
  assert.equal(mux.receive(server, called(4)).kind, "called");
  assert.equal(broken(mux.receive(server, called(5))), "call.limit");
});

// @rule call.limit
Deno.test("calls of one connection do not count on another, nor those of one side for the other", () => {
  const server = serving(8, 1);
  mux.receive(server, arrives({ kind: "open", connection: 3, service: "echo" }));
  mux.accept(server, 3);
  mux.receive(server, called(1));
  assert.equal(mux.receive(server, { ...called(1), connection: 3 }).kind, "called");
  assert.ok(mux.mayCall(server, 1));
  mux.call(server, 1, "back", BODY);
  assert.ok(!mux.mayCall(server, 1));
});

// @rule call.limit
Deno.test("sixty-four calls are in flight where nothing else is agreed", () => {
  const server = serving();
  for (let i = 1; i <= 64; i++) assert.equal(mux.receive(server, called(i)).kind, "called");
  assert.equal(broken(mux.receive(server, called(65))), "call.limit");
});

// @rule call.timeout
Deno.test("a deadline is the time of arrival and the call's timeout, absolute", () => {
  const server = serving();
  const deadlines = [0, 1, 5_000, undefined].map((timeout, i) => {
    const outcome = mux.receive(
      server,
      called(i + 1, timeout === undefined ? undefined : { timeout }),
      1_700_000_000_000,
    );
    assert.ok(outcome.kind === "called");
    return outcome.call.deadline;
  });
  assert.deepEqual(deadlines, [1_700_000_000_000, 1_700_000_000_001, 1_700_000_005_000, null]);
});

// @rule call.timeout
Deno.test("the longest timeout ends at the last time that a count can hold", () => {
  const outcome = mux.receive(serving(), called(1, { timeout: Number.MAX_SAFE_INTEGER }), 1_700_000_000_000);
  assert.ok(outcome.kind === "called");
  assert.equal(outcome.call.deadline, Number.MAX_SAFE_INTEGER);
});

// @rule connection.open
// @rule call.once
Deno.test("answers that were decided before the accept follow it, in the order of their calls, with their downloads' ends", () => {
  const server = offered();
  for (let i = 1; i <= 4; i++) mux.receive(server, called(i, i > 1 ? { download: 2 * i - 1 } : undefined));
  for (const [request, answer] of [[3, FAILED], [1, OK], [2, OK]] as const) {
    assert.deepEqual(mux.respond(server, 1, request, answer), []);
  }
  assert.deepEqual(mux.accept(server, 1), [
    { kind: "accept", connection: 1 },
    { kind: "response", connection: 1, request: 1, ok: true, body: BODY },
    { kind: "finish", connection: 1, channel: 3 },
    { kind: "response", connection: 1, request: 2, ok: true, body: BODY },
    { kind: "reset", connection: 1, channel: 5, reason: "internal" },
    { kind: "response", connection: 1, request: 3, ok: false, body: BODY },
  ]);
  assert.deepEqual(inFlight(server), { incoming: [4], outgoing: [], channels: [7] });
  assert.deepEqual(kinds(mux.respond(server, 1, 4, OK)), ["finish", "response"]);
});

// @rule connection.open
// @rule call.once
Deno.test("of two answers before the accept the first one counts, and the call is in flight until it is told", () => {
  const server = offered(8, 2);
  mux.receive(server, called(1));
  mux.respond(server, 1, 1, { ok: false, body: BODY, reason: "cancelled" });
  mux.respond(server, 1, 1, OK);
  assert.equal(mux.receive(server, cancelled(1)).kind, "cancelled");
  assert.equal(mux.receive(server, called(2)).kind, "called");
  assert.equal(broken(mux.receive(server, called(3))), "call.limit");
  const [, response] = mux.accept(server, 1);
  assert.ok(response?.kind === "response" && !response.ok);
  assert.equal(mux.receive(server, cancelled(1)).kind, "dropped");
});

// @rule connection.early
Deno.test("calls that were answered before the accept still count as early", () => {
  const server = offered();
  for (let i = 1; i <= EARLY_CALLS; i++) {
    mux.receive(server, called(i));
    mux.respond(server, 1, i, OK);
  }
  assert.equal(broken(mux.receive(server, called(EARLY_CALLS + 1))), "connection.early");
});

// @rule frame.ids
Deno.test("request ids ascend from 1, may have gaps, and none is used again", () => {
  const client = calling();
  const requests = [1, 2, 3].map(() => {
    const { call } = mux.call(client, 1, "m", BODY);
    mux.receive(client, answered(call.request));
    return call.request;
  });
  assert.deepEqual(requests, [1, 2, 3]);
  const server = serving();
  assert.equal(broken(mux.receive(server, called(0))), "frame.ids");
  assert.equal(mux.receive(server, called(2)).kind, "called", "gaps are allowed");
  assert.equal(mux.receive(server, called(1_000)).kind, "called", "either parity is a request");
  mux.respond(server, 1, 2, OK);
  for (const used of [1, 2, 999, 1_000]) {
    assert.equal(broken(mux.receive(server, called(used))), "frame.ids");
  }
  assert.equal(mux.receive(server, called(Number.MAX_SAFE_INTEGER)).kind, "called");
});

// @rule frame.ids
Deno.test("the requests of the two sides are apart", () => {
  const server = serving();
  mux.receive(server, called(5));
  assert.equal(mux.call(server, 1, "back", BODY).call.request, 1);
  const outcome = mux.receive(server, answered(1));
  assert.ok(outcome.kind === "answered");
  assert.equal(outcome.call.method, "back");
  assert.equal(broken(mux.receive(server, answered(5))), "frame.ids", "that is the other side's to answer");
  assert.equal(mux.receive(server, cancelled(1)).kind, "dropped", "below the highest of the other side");
});

// @rule frame.ids
Deno.test("an answer to or a cancel of a request above the highest is a violation", () => {
  for (const request of [0, 1, 2]) {
    assert.equal(broken(mux.receive(calling(), answered(request))), "frame.ids");
    assert.equal(broken(mux.receive(serving(), cancelled(request))), "frame.ids");
  }
  const client = calling();
  mux.call(client, 1, "m", BODY);
  assert.equal(broken(mux.receive(client, answered(2))), "frame.ids");
  assert.equal(broken(mux.receive(client, answered(0))), "frame.ids");
  const server = serving();
  mux.receive(server, called(3));
  mux.respond(server, 1, 3, OK);
  assert.equal(broken(mux.receive(server, cancelled(4))), "frame.ids");
  assert.equal(broken(mux.receive(server, cancelled(0))), "frame.ids");
  for (const old of [1, 2, 3]) assert.equal(mux.receive(server, cancelled(old)).kind, "dropped");
});

// @rule frame.ids
Deno.test("channels of the client's calls are odd, of the server's even, and both ascend over all calls of a connection", () => {
  const client = calling();
  const both = { upload: true, download: true };
  mux.call(client, 1, "m", BODY);
  assert.deepEqual(
    [both, { download: true }, both].map((want) => {
      const { upload, download } = mux.call(client, 1, "m", BODY, want).call;
      return [upload?.id, download?.id];
    }),
    [[1, 3], [undefined, 5], [7, 9]],
  );
  const server = serving();
  assert.deepEqual(
    [both, { upload: true }].map((want) => {
      const { upload, download } = mux.call(server, 1, "m", BODY, want).call;
      return [upload?.id, download?.id];
    }),
    [[2, 4], [6, undefined]],
  );
});

// @rule frame.ids
Deno.test("a call with a channel of the wrong parity, used before, twice, or 0, is a violation", () => {
  const wrong = [
    { upload: 0 },
    { download: 0 },
    { upload: 2 },
    { download: 4 },
    { upload: 1, download: 2 },
    { upload: 1, download: 1 },
  ];
  for (const options of wrong) {
    assert.equal(broken(mux.receive(serving(), called(1, options))), "frame.ids", JSON.stringify(options));
  }
  for (const options of [{ upload: 1 }, { download: 3 }, { upload: 2, download: 1 }]) {
    assert.equal(broken(mux.receive(calling(), called(1, options))), "frame.ids", JSON.stringify(options));
  }
  const server = serving();
  assert.equal(mux.receive(server, called(1, { upload: 5 })).kind, "called", "gaps are allowed");
  assert.equal(mux.receive(server, called(2, { upload: 9, download: 7 })).kind, "called");
  mux.respond(server, 1, 1, OK);
  for (const used of [1, 3, 5, 7, 9]) {
    assert.equal(broken(mux.receive(server, called(3, { download: used }))), "frame.ids");
  }
  assert.equal(mux.receive(calling(), called(1, { upload: 2, download: 4 })).kind, "called");
});

Deno.test("a call that breaks a rule leaves nothing behind", () => {
  const calls = newCalls();
  const message = { ...called(1, { upload: 1, download: 2 }), kind: "call" } as Parameters<
    typeof receiveCall
  >[1];
  const outcome = receiveCall(calls, message, { clientCalls: true, most: 8, now: 0 });
  assert.ok("rule" in outcome);
  assert.deepEqual(calls, newCalls());
});

Deno.test("a call that was answered by mistake is in flight again", () => {
  const server = serving();
  const outcome = mux.receive(server, called(1));
  assert.ok(outcome.kind === "called");
  mux.respond(server, 1, 1, OK);
  reopen(server.connections.get(1)!.calls!, outcome.call);
  assert.equal(mux.receive(server, cancelled(1)).kind, "cancelled");
  assert.deepEqual(kinds(mux.respond(server, 1, 1, FAILED)), ["response"]);
});

Deno.test("a call on a connection that is not there is the caller's mistake", () => {
  assert.throws(() => mux.call(opening(), 3, "m", BODY), /connection 3/);
  assert.equal(makeCall(newCalls(), "m", {}, true).call.request, 1);
});
