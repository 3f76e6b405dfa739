/** Calls as the application makes them: once, in order, cancelled, timed out, limited. */

import assert from "node:assert/strict";
import { type BodyValue, CallError, type Connection, RpcError } from "../../src/client/mod.ts";
import { decodeBody, encodeBody } from "../../src/protocol/body.ts";
import type { Call, SessionPayload } from "../../src/protocol/messages.ts";
import { settle } from "../support/fake_clock.ts";
import { attachedClient, client } from "../support/client_fixture.ts";
import { statedLimits } from "../support/fake_server.ts";
import { watch } from "../support/watched.ts";

// @rule call.once
Deno.test("a call gives its answer, and leaves nothing behind", async () => {
  const { session, connection, line, clock } = await attachedClient();
  const sum = connection.call("add", { by: 2 }, { timeout: 1000 });
  await settle();
  const call = line.call("add");
  assert.deepEqual(decodeBody(call.body), { by: 2 });
  assert.equal(call.request, 1);
  await line.answer(call, 42);
  assert.equal(await sum, 42);
  await line.say({ kind: "ack", received: call.seq });
  await clock.advance(50);
  assert.equal(session.unacked, 0);
  // Only the session's own silence is watched: nothing of the call is left.
  assert.equal(clock.pending, 1);
});

// @rule call.once
Deno.test("a call says what its options say, and nothing where they say nothing", async () => {
  const { connection, line } = await attachedClient();
  void connection.call("plain").catch(() => {});
  void connection.call("full", 1, { operation: "key-1", timeout: 2500, metadata: { a: "b" } }).catch(
    () => {},
  );
  await settle();
  const [plain, full] = line.calls();
  assert.equal(plain!.options, undefined);
  assert.equal(decodeBody(plain!.body), null);
  assert.deepEqual(full!.options, { operation: "key-1", timeout: 2500, metadata: { a: "b" } });
});

// @rule call.once
Deno.test("answers come in any order, each to its call", async () => {
  const { connection, line } = await attachedClient();
  const answers = [1, 2, 3].map((n) => connection.call("echo", n));
  await settle();
  for (const call of line.calls().reverse()) await line.answer(call, decodeBody(call.body));
  assert.deepEqual(await Promise.all(answers), [1, 2, 3]);
});

// @rule call.once
Deno.test("a failure rejects with its code, its data and what to do about it", async () => {
  const { connection, line } = await attachedClient();
  const failed = assert.rejects(connection.call("take", null, { operation: "k" }), (error: unknown) => {
    assert.ok(error instanceof RpcError && error instanceof CallError);
    assert.deepEqual([error.code, error.data, error.advice, error.operation], [
      "not-found",
      { id: 7 },
      "stop",
      "k",
    ]);
    assert.match(error.message, /it was not-found/);
    return true;
  });
  await settle();
  await line.fail(line.call(), "not-found", { data: { id: 7 } });
  await failed;
});

// @rule call.once
Deno.test("a code that only newer servers know, and an answer that is malformed, are internal", async () => {
  const { connection, line } = await attachedClient();
  const answers = ["a", "b", "c"].map((method) => watch(connection.call(method)));
  await settle();
  const [newer, noFailure, malformed] = line.calls();
  await line.fail(newer!, "from-the-future");
  await line.tell(
    { kind: "response", connection: 1, request: noFailure!.request, ok: false, body: encodeBody("no") },
    { kind: "response", connection: 1, request: malformed!.request, ok: true, body: new Uint8Array([0xc1]) },
  );
  assert.deepEqual(answers.map(({ outcome }) => outcome), ["internal", "internal", "internal"]);
});

// @rule call.once
Deno.test("an answer that answers nothing in flight is ignored, one to a request never made is a violation", async () => {
  const { session, connection, line } = await attachedClient();
  const answer = connection.call("once");
  await settle();
  await line.answer(line.call(), 1);
  await line.answer(line.call(), 2);
  assert.equal(await answer, 1);
  assert.equal(session.phase, "attached");
  await line.tell({ kind: "response", connection: 1, request: 9, ok: true, body: encodeBody(1) });
  assert.match(line.of("close")[0]!.detail, /^frame\.ids/);
});

// @rule connection.order
Deno.test("a message before a call stays before it, whatever holds them up", async () => {
  const { session, server } = await client();
  const connection = session.open("echo");
  for (let n = 0; n < 18; n++) void connection.send(n);
  void connection.call("after").catch(() => {});
  void connection.send("last");
  const line = await server.establish();
  assert.equal(line.calls().length, 0);
  await line.tell({ kind: "accept", connection: 1 });
  assert.deepEqual(line.numbered.slice(-4).map(({ kind }) => kind), [
    "message",
    "message",
    "call",
    "message",
  ]);
});

// @rule connection.early
Deno.test("16 calls go before accept, the rest after it, and messages do not wait behind them", async () => {
  const { session, server } = await client();
  const connection = session.open("echo");
  for (let n = 0; n < 20; n++) void connection.call("c", n).catch(() => {});
  const line = await server.establish();
  void connection.send("not behind them");
  await settle();
  assert.deepEqual([line.calls().length, line.of("message").length], [16, 1]);
  await line.tell({ kind: "accept", connection: 1 });
  assert.deepEqual(line.calls().map(({ body }) => body[0]), Array.from({ length: 20 }, (_, n) => n));
});

// @rule connection.open
Deno.test("calls on a connection that is rejected fail with what the reason means for a caller", async () => {
  const cases = [
    ["unknown-service", "unknown-method"],
    ["forbidden", "permission-denied"],
    ["too-many-connections", "resource-exhausted"],
    ["some-reason", "unavailable"],
  ] as const;
  for (const [reason, code] of cases) {
    const { session, server } = await client();
    const connection = session.open("nobody");
    const calls = Array.from({ length: 20 }, () => watch(connection.call("c")));
    const line = await server.establish();
    await line.tell({ kind: "reject", connection: 1, reason, detail: "why" });
    assert.deepEqual(calls.map(({ outcome }) => outcome), Array(20).fill(code), reason);
    assert.equal(await watch(connection.call("later")).settled(), code);
  }
});

// @rule call.limit
Deno.test("as many calls are in flight as the server said; the rest wait, in order, and messages pass them", async () => {
  const { session, server } = await client();
  const connection = session.open("echo");
  const line = await server.establish({ limits: { ...statedLimits(), concurrentCalls: 2 } });
  await line.tell({ kind: "accept", connection: 1 });
  const calls = Array.from({ length: 5 }, (_, n) => watch(connection.call("c", n)));
  await connection.send("passes");
  await settle();
  assert.deepEqual(line.calls().map(({ body }) => body[0]), [0, 1]);
  assert.equal(line.of("message").length, 1);
  assert.equal(session.unacked, 7);
  await line.answer(line.calls()[1]!, "done");
  assert.deepEqual(line.calls().map(({ body }) => body[0]), [0, 1, 2]);
  for (const n of [0, 2, 3, 4]) await line.answer(line.calls().find(({ body }) => body[0] === n)!, n);
  assert.deepEqual(calls.map(({ outcome }) => outcome), Array(5).fill("resolved"));
});

// @rule call.limit
Deno.test("a call that waited for its turn is made before one that waited for room, when both may go", async () => {
  const { session, server } = await client();
  const connection = session.open("echo");
  const limits = { ...statedLimits(), concurrentCalls: 1, windowMessages: 4 };
  const line = await server.establish({ limits });
  await line.tell({ kind: "accept", connection: 1 });
  for (const n of [0, 1]) void connection.call("c", n).catch(() => {});
  for (const n of [0, 1]) void connection.send(n);
  await settle();
  void connection.call("c", 2).catch(() => {});
  await settle();
  assert.equal(line.numbered.length, 4);
  await line.mixed([{ kind: "ack", received: 4 }], [answerTo(line.call())]);
  await line.mixed([{ kind: "ack", received: 5 }], [answerTo(line.call())]);
  assert.deepEqual(line.calls().map(({ body }) => body[0]), [0, 1, 2]);
});

function answerTo({ connection, request }: Call): SessionPayload {
  return { kind: "response", connection, request, ok: true, body: encodeBody(null) };
}

// @rule call.limit
Deno.test("no call is made before the server said how many it takes", async () => {
  const { session, server } = await client();
  const connection = session.open("echo");
  for (let n = 0; n < 3; n++) void connection.call("c", n).catch(() => {});
  const line = await server.establish({ limits: { ...statedLimits(), concurrentCalls: 1 } });
  assert.equal(line.calls().length, 1);
});

// @rule call.limit
Deno.test("calls that wait on one connection hold up no other", async () => {
  const { session, server } = await client();
  const busy = session.open("busy");
  const other = session.open("other");
  const line = await server.establish({ limits: { ...statedLimits(), concurrentCalls: 1 } });
  await line.tell({ kind: "accept", connection: 1 }, { kind: "accept", connection: 3 });
  for (let n = 0; n < 3; n++) void busy.call("c").catch(() => {});
  const answer = other.call("quick");
  await settle();
  await line.answer(line.call("quick"), "here");
  assert.equal(await answer, "here");
});

// @rule delivery.window
Deno.test("calls wait for room in the window", async () => {
  const { session, server } = await client();
  const connection = session.open("echo");
  const line = await server.establish({ limits: { ...statedLimits(), windowMessages: 3 } });
  await line.tell({ kind: "accept", connection: 1 });
  for (let n = 0; n < 5; n++) void connection.call("c", n).catch(() => {});
  await settle();
  assert.equal(line.calls().length, 2);
  await line.say({ kind: "ack", received: 3 });
  assert.equal(line.calls().length, 5);
});

// @rule delivery.bounded
Deno.test("what waits is bounded: beyond it a call fails with resource-exhausted, and nothing was done", async () => {
  const { session } = await client({ storedBytes: 20_000 });
  const connection = session.open("echo");
  const calls = Array.from({ length: 10 }, () => watch(connection.call("c", "x".repeat(4000))));
  await settle();
  assert.deepEqual(calls.map(({ outcome }) => outcome), [
    ...Array(4).fill("waits"),
    ...Array(6).fill("resource-exhausted"),
  ]);
});

// @rule frame.cost
Deno.test("an argument that the server would refuse is refused here, once its limits are known", async () => {
  const { session, server } = await client();
  const connection = session.open("echo");
  const large = watch(connection.call("c", "x".repeat(100_000)));
  const small = watch(connection.call("c", "x"));
  const line = await server.establish({ limits: { ...statedLimits(), bodyBytes: 50_000 } });
  assert.deepEqual([large.outcome, small.outcome], ["invalid-argument", "waits"]);
  assert.equal(line.calls().length, 1);
  assert.equal(await watch(connection.call("c", "x".repeat(60_000))).settled(), "invalid-argument");
});

// @rule call.cancel
Deno.test("a signal that aborts cancels the call: the promise rejects at once, and a late answer is ignored", async () => {
  const { session, connection, line } = await attachedClient();
  const controller = new AbortController();
  const answer = connection.call("slow", null, { signal: controller.signal });
  await settle();
  const reason = new Error("changed my mind");
  controller.abort(reason);
  await assert.rejects(answer, (error: unknown) => {
    assert.ok(error instanceof CallError);
    assert.deepEqual([error.code, error.cause], ["cancelled", reason]);
    return true;
  });
  await settle();
  assert.deepEqual(line.of("cancel").map(({ connection, request }) => [connection, request]), [[1, 1]]);
  await line.answer(line.call(), "too late");
  assert.equal(session.phase, "attached");
});

// @rule call.cancel
Deno.test("a call that still waits is withdrawn without a word; one whose signal is aborted is never made", async () => {
  const { session, server } = await client();
  const connection = session.open("echo");
  const controller = new AbortController();
  const waiting = watch(connection.call("waits", null, { signal: controller.signal }));
  const never = watch(connection.call("never", null, { signal: AbortSignal.abort() }));
  await settle();
  controller.abort();
  await settle();
  const line = await server.establish();
  assert.deepEqual([waiting.outcome, never.outcome], ["cancelled", "cancelled"]);
  assert.deepEqual(line.numbered.map(({ kind }) => kind), ["open"]);
  assert.equal(session.unacked, 1);
});

// @rule call.cancel
Deno.test("a cancelled call counts as in flight until the server answered it", async () => {
  const { session, server } = await client();
  const connection = session.open("echo");
  const line = await server.establish({ limits: { ...statedLimits(), concurrentCalls: 1 } });
  await line.tell({ kind: "accept", connection: 1 });
  const controller = new AbortController();
  void connection.call("first", null, { signal: controller.signal }).catch(() => {});
  void connection.call("second").catch(() => {});
  await settle();
  controller.abort();
  await settle();
  assert.deepEqual(line.calls().map(({ method }) => method), ["first"]);
  await line.fail(line.call("first"), "cancelled");
  assert.deepEqual(line.calls().map(({ method }) => method), ["first", "second"]);
});

// @rule call.cancel
Deno.test("losing the conduit is no cancel: the call goes on, and its answer comes on the next one", async () => {
  const { connection, line, server, clock } = await attachedClient();
  const answer = connection.call("slow");
  await settle();
  const call = line.call();
  await line.say({ kind: "ack", received: call.seq });
  await line.end();
  await clock.advanceToNext();
  await server.establish();
  assert.deepEqual(server.line.numbered, []);
  await server.line.answer(call, "still there");
  assert.equal(await answer, "still there");
});

// @rule call.timeout
Deno.test("a timeout is told to the server, and kept here too", async () => {
  const { connection, line, clock } = await attachedClient();
  const answer = watch(connection.call("slow", null, { timeout: 3_000 }));
  await settle();
  assert.equal(line.call().options?.timeout, 3_000);
  await clock.advance(2_999);
  assert.equal(answer.outcome, "waits");
  await clock.advance(1);
  assert.equal(answer.outcome, "deadline-exceeded");
  assert.equal(line.of("cancel").length, 1);
});

// @rule call.timeout
Deno.test("a call that waits is timed from when it was made, and the server is told what is left", async () => {
  const { session, server, clock } = await client();
  const connection = session.open("echo");
  const short = watch(connection.call("short", null, { timeout: 1_000 }));
  const long = watch(connection.call("long", null, { timeout: 5_000 }));
  await clock.advance(2_000);
  assert.equal(short.outcome, "deadline-exceeded");
  const line = await server.establish();
  assert.deepEqual(line.calls().map(({ method, options }) => [method, options?.timeout]), [["long", 3_000]]);
  await line.tell({ kind: "accept", connection: 1 });
  await line.answer(line.call(), null);
  assert.equal(long.outcome, "resolved");
});

// @rule call.timeout
Deno.test("many timeouts are one timer, and none once the calls are answered", async () => {
  const { connection, line, clock } = await attachedClient();
  const before = clock.pending;
  for (let n = 0; n < 50; n++) void connection.call("c", n, { timeout: 10_000 + n }).catch(() => {});
  await settle();
  assert.equal(clock.pending, before);
  for (const call of line.calls()) await line.answer(call, null);
  await clock.advance(15_000);
  assert.equal(line.of("cancel").length, 0);
});

// @rule call.operation
Deno.test("an operation that runs elsewhere is asked for again, with the same key, until it is answered", async () => {
  const { connection, line, clock } = await attachedClient();
  const answer = connection.call("pay", 5, { operation: "order-1" });
  await settle();
  for (let attempt = 1; attempt <= 4; attempt++) {
    assert.equal(line.calls().length, attempt);
    const call = line.call();
    assert.deepEqual([call.request, call.options?.operation, call.body[0]], [attempt, "order-1", 5]);
    await line.fail(call, "in-progress");
    assert.equal(line.calls().length, attempt);
    await clock.advance(2_500);
  }
  await line.answer(line.call(), "paid");
  assert.equal(await answer, "paid");
});

// @rule call.operation
Deno.test("asking again for an operation ends with the call's timeout, and with its cancellation", async () => {
  const { connection, line, clock } = await attachedClient();
  const controller = new AbortController();
  const timed = watch(connection.call("pay", 1, { operation: "a", timeout: 3_000 }));
  const cancelled = watch(connection.call("pay", 2, { operation: "b", signal: controller.signal }));
  const keyless = watch(connection.call("pay", 3));
  await settle();
  for (const call of line.calls()) await line.fail(call, "in-progress");
  assert.equal(keyless.outcome, "in-progress");
  controller.abort();
  await settle();
  assert.equal(cancelled.outcome, "cancelled");
  const made = line.calls().length;
  for (let seen = made, n = 0; n < 60; n++) {
    await clock.advance(50);
    if (line.calls().length > seen) await line.fail(line.call(), "in-progress");
    seen = line.calls().length;
  }
  assert.equal(timed.outcome, "deadline-exceeded");
  assert.ok(line.calls().length > made);
});

// @rule call.operation
Deno.test("a session that is being closed does not ask again", async () => {
  const { session, connection, line } = await attachedClient();
  const answer = watch(connection.call("pay", 1, { operation: "a" }));
  await settle();
  void session.close();
  await line.fail(line.call(), "in-progress");
  assert.equal(answer.outcome, "in-progress");
});

Deno.test("what cannot be said is refused before anything is sent", async () => {
  const { connection, line } = await attachedClient();
  const before = line.messages.length;
  const refused: [() => Promise<unknown>, RegExp][] = [
    [() => connection.call("Not A Name"), /a method's name is/],
    [() => connection.call("m", 1, { timeout: 0 }), /timeout must be above 0/],
    [() => connection.call("m", 1, { operation: "" }), /an operation key has 1 to 128 bytes/],
    [() => connection.call("m", 1, { operation: "x".repeat(129) }), /an operation key/],
    [() => connection.call("m", 1, { metadata: { a: "x".repeat(5000) } }), /metadata of/],
    [() => connection.call("m", { a: undefined } as unknown as BodyValue), /\$\.a/],
  ];
  for (const [make, message] of refused) await assert.rejects(make(), message);
  assert.throws(() => connection.download("m", 1, { credit: 0 }), /credit must be/);
  await settle();
  assert.equal(line.messages.length, before);
});

/** A call that is in flight, one that waits for its turn, and one that is made when all is over. */
async function threeCalls(end: (world: Awaited<ReturnType<typeof limited>>) => Promise<unknown>) {
  const world = await limited();
  const { connection } = world;
  const calls = [watch(connection.call("sent")), watch(connection.call("waits"))];
  await settle();
  await end(world);
  calls.push(watch(connection.call("late")));
  await settle();
  return calls.map(({ outcome }) => outcome);
}

async function limited() {
  const fixture = await client();
  const connection: Connection = fixture.session.open("echo");
  const line = await fixture.server.establish({ limits: { ...statedLimits(), concurrentCalls: 1 } });
  await line.tell({ kind: "accept", connection: 1 });
  return { ...fixture, connection, line };
}

// @rule connection.end
Deno.test("a connection that the service ends: what was sent is indeterminate, what was not is unavailable", async () => {
  const outcomes = await threeCalls(({ line }) => line.tell({ kind: "end", connection: 1 }));
  assert.deepEqual(outcomes, ["indeterminate", "unavailable", "unavailable"]);
});

// @rule connection.end
Deno.test("a connection or a session that is closed here cancels its calls", async () => {
  const byConnection = await threeCalls(async ({ connection }) => {
    connection.close();
    await settle();
  });
  assert.deepEqual(byConnection, ["cancelled", "cancelled", "cancelled"]);
  const bySession = await threeCalls(async ({ session, line }) => {
    const closed = session.close();
    await settle();
    await line.say({ kind: "ack", received: 2 });
    await line.end(1000);
    await closed;
  });
  assert.deepEqual(bySession, ["cancelled", "cancelled", "cancelled"]);
});

Deno.test("a session that is closed still gives the answers that come in time", async () => {
  const { session, connection, line } = await attachedClient();
  const answer = connection.call("logout");
  await settle();
  const closed = session.close();
  await settle();
  await line.answer(line.call(), "bye");
  assert.equal(await answer, "bye");
  await line.say({ kind: "ack", received: 2 });
  await line.end(1000);
  await closed;
});

Deno.test("a session that is lost, taken over or ended: what was sent is indeterminate, what was not is unavailable", async () => {
  for (const [code, reason] of [[4501, "expired"], [4510, "superseded"], [4502, "ended"]] as const) {
    const outcomes = await threeCalls(({ line }) => line.end(code, reason));
    assert.deepEqual(outcomes, ["indeterminate", "unavailable", "unavailable"], reason);
  }
});

Deno.test("calls of a session that never came to be are unavailable: nothing was done", async () => {
  const { session, server } = await client();
  const connection = session.open("echo");
  const call = watch(connection.call("c"));
  server.line.open();
  await settle();
  await server.line.say({ kind: "refused", reason: "forbidden", detail: "" });
  assert.equal(call.outcome, "unavailable");
});

Deno.test("a signal that outlives its calls is not listened to any more", async () => {
  const { connection, line } = await attachedClient();
  const { signal } = new AbortController();
  let listeners = 0;
  const { addEventListener, removeEventListener } = signal;
  signal.addEventListener = (...args: Parameters<typeof addEventListener>) => {
    listeners++;
    addEventListener.apply(signal, args);
  };
  signal.removeEventListener = (...args: Parameters<typeof removeEventListener>) => {
    listeners--;
    removeEventListener.apply(signal, args);
  };
  const answers = [1, 2, 3].map((n) => connection.call("c", n, { signal }));
  await settle();
  assert.equal(listeners, 3);
  for (const call of line.calls()) await line.answer(call, null);
  await Promise.all(answers);
  assert.equal(listeners, 0);
});

Deno.test("thousands of calls leave nothing behind: no call, no waiter, no timer", async () => {
  const { session, connection, line, clock } = await attachedClient();
  const controller = new AbortController();
  let answered = 0;
  for (let round = 0; round < 20; round++) {
    const calls = Array.from(
      { length: 100 },
      (_, n) =>
        connection.call("c", n, { timeout: 60_000, ...(n % 10 === 0 ? { signal: controller.signal } : {}) }),
    );
    const all = Promise.all(calls);
    let from = round * 100;
    while (from < (round + 1) * 100) {
      await settle();
      const fresh = line.calls().slice(from);
      from += fresh.length;
      await line.say({ kind: "ack", received: line.numbered.at(-1)!.seq });
      for (const call of fresh) await line.answer(call, null);
    }
    answered += (await all).length;
  }
  await clock.advance(50);
  assert.equal(answered, 2000);
  assert.equal(session.unacked, 0);
  assert.equal(clock.pending, 1);
  controller.abort();
  await settle();
  assert.equal(line.of("cancel").length, 0);
});
