import assert from "node:assert/strict";
import type { BodyValue, Connection } from "../../src/client/mod.ts";
import { encodeBody } from "../../src/protocol/body.ts";
import { FakeClock, settle } from "../support/fake_clock.ts";
import { attachedClient, client } from "../support/client_fixture.ts";
import { statedLimits } from "../support/fake_server.ts";

async function takeAll(connection: Connection): Promise<{ values: BodyValue[]; error: unknown }> {
  const values: BodyValue[] = [];
  try {
    for await (const value of connection) values.push(value);
  } catch (error) {
    return { values, error };
  }
  return { values, error: null };
}

/** Whether a promise has settled yet, and how. */
function watch(promise: Promise<unknown>): { outcome: string } {
  const watched = { outcome: "waits" };
  promise.then(() => watched.outcome = "resolved", (error) => watched.outcome = String(error.reason));
  return watched;
}

// @rule delivery.sequence
Deno.test("offline sends are numbered and kept, and go out in order once there is a conduit", async () => {
  const { session, server } = await client();
  const connection = session.open("echo");
  await Promise.all([1, 2, 3].map((n) => connection.send(n)));
  assert.equal(session.unacked, 4);
  const line = await server.establish();
  assert.deepEqual(line.numbered.map(({ kind, seq }) => [kind, seq]), [
    ["open", 1],
    ["message", 2],
    ["message", 3],
    ["message", 4],
  ]);
});

// @rule frame.batch
Deno.test("what is sent in one turn leaves in one frame, the ack included", async () => {
  const { connection, line } = await attachedClient();
  const before = line.frames.length;
  await line.message(1, "one");
  for (let n = 0; n < 10; n++) void connection.send(n);
  await settle();
  assert.deepEqual(line.frames.slice(before).map((frame) => frame.map(({ kind }) => kind)), [
    ["ack", ...Array(10).fill("message")],
  ]);
});

// @rule frame.batch
Deno.test("a consumer that answers each of a frame's messages answers all in one frame", async () => {
  const { connection, line } = await attachedClient();
  void (async () => {
    for await (const value of connection) void connection.send(value);
  })();
  await settle();
  const before = line.frames.length;
  await line.message(1, 1, 2, 3, 4, 5, 6, 7, 8);
  assert.equal(line.frames.length, before + 1);
  assert.equal(line.of("message").length, 8);
});

// @rule frame.cost
Deno.test("a turn that is larger than the server's frames is split", async () => {
  const { session, server } = await client();
  const connection = session.open("echo");
  const limits = { ...statedLimits(), frameBytes: 32 * 1024, bodyBytes: 16 * 1024 };
  const line = await server.establish({ limits });
  await line.tell({ kind: "accept", connection: 1 });
  for (let n = 0; n < 10; n++) void connection.send(new Uint8Array(10_000).fill(n));
  await settle();
  assert.equal(line.of("message").length, 10);
  assert.ok(line.frames.every((frame) => frame.length <= 4));
});

// @rule frame.cost
Deno.test("a body that the server would refuse is refused here, and nothing else is", async () => {
  const { session, server } = await client();
  const connection = session.open("echo");
  const large = watch(connection.send("x".repeat(100_000)));
  const next = watch(connection.send("small"));
  await settle();
  // Before the server stated its limits nobody knows: it waits, and what comes after it waits for its turn.
  assert.deepEqual([large.outcome, next.outcome], ["waits", "waits"]);
  const line = await server.establish({ limits: { ...statedLimits(), bodyBytes: 50_000 } });
  assert.deepEqual([large.outcome, next.outcome], ["too-large", "resolved"]);
  assert.equal(line.of("message").length, 1);
  await assert.rejects(connection.send("x".repeat(60_000)), { reason: "too-large" });
});

// @rule delivery.window
Deno.test("a full window makes the producer wait; nothing is dropped and the order stays", async () => {
  const { session, server } = await client();
  const connection = session.open("echo");
  const line = await server.establish({ limits: { ...statedLimits(), windowMessages: 4 } });
  await line.tell({ kind: "accept", connection: 1 });
  const sends = Array.from({ length: 10 }, (_, n) => watch(connection.send(n)));
  await settle();
  const resolved = () => sends.filter(({ outcome }) => outcome === "resolved").length;
  assert.equal(line.numbered.length, 4);
  assert.equal(resolved(), 3);
  assert.equal(session.unacked, 11);
  await line.say({ kind: "ack", received: 3 });
  assert.equal(line.numbered.length, 7);
  await line.say({ kind: "ack", received: 7 });
  assert.equal(resolved(), 10);
  assert.deepEqual(line.of("message").map(({ body }) => body.at(-1)), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
});

// @rule delivery.bounded
Deno.test("a producer that never awaits is told when too much waits; what was taken before still goes", async () => {
  const { session } = await client({ storedBytes: 100_000 });
  const connection = session.open("echo");
  const sends = Array.from({ length: 60 }, () => watch(connection.send("x".repeat(4000))));
  await settle();
  const count = (outcome: string) => sends.filter((send) => send.outcome === outcome).length;
  assert.equal(count("resolved"), 16);
  assert.equal(count("waits"), 24);
  assert.equal(count("overloaded"), 20);
});

// @rule connection.early
Deno.test("16 messages go before accept, the rest after it, and reject discards them", async () => {
  const { session, server } = await client();
  const connection = session.open("echo");
  const sends = Array.from({ length: 20 }, (_, n) => watch(connection.send(n)));
  const line = await server.establish();
  assert.equal(line.of("message").length, 16);
  await line.tell({ kind: "accept", connection: 1 });
  assert.equal(line.of("message").length, 20);
  assert.ok(sends.every(({ outcome }) => outcome === "resolved"));
  await connection.opened;

  const other = session.open("nobody");
  const more = Array.from({ length: 20 }, (_, n) => watch(other.send(n)));
  await settle();
  await line.tell({ kind: "reject", connection: 3, reason: "unknown-service", detail: "no such service" });
  assert.equal(more.filter(({ outcome }) => outcome === "unknown-service").length, 4);
  await assert.rejects(other.opened, { name: "HoldfastError", reason: "unknown-service" });
  assert.deepEqual(await other.closed, { reason: "unknown-service", detail: "no such service" });
});

Deno.test("a rejection that nobody looks at is no unhandled rejection, and a consumer hears it", async () => {
  const { session, server } = await client();
  const connection = session.open("nobody");
  const line = await server.establish();
  await line.tell({ kind: "reject", connection: 1, reason: "unknown-service", detail: "" });
  const { error } = await takeAll(connection);
  assert.equal((error as { reason?: string }).reason, "unknown-service");
});

// @rule connection.end
Deno.test("an end without a reason ends the loop; one with a reason is an error, never an end of data", async () => {
  for (const [reason, failed] of [[undefined, false], ["service-failed", true]] as const) {
    const { connection, line } = await attachedClient();
    await line.message(1, "last");
    await line.tell({ kind: "end", connection: 1, ...(reason === undefined ? {} : { reason }) });
    const { values, error } = await takeAll(connection);
    assert.deepEqual(values, ["last"]);
    assert.equal(error !== null, failed);
  }
});

Deno.test("a lost session is an error in the loop, after what had arrived", async () => {
  const { connection, line } = await attachedClient();
  await line.message(1, "arrived");
  await line.end(4501, "expired");
  const { values, error } = await takeAll(connection);
  assert.deepEqual(values, ["arrived"]);
  assert.equal((error as { reason?: string }).reason, "expired");
});

// @rule connection.end
Deno.test("closing a connection sends what waits first, then its end, and refuses what comes after", async () => {
  const { session, server } = await client();
  const connection = session.open("echo");
  const line = await server.establish({ limits: { ...statedLimits(), windowMessages: 2 } });
  await line.tell({ kind: "accept", connection: 1 });
  for (let n = 0; n < 3; n++) void connection.send(n);
  connection.close("done", "thank you");
  await assert.rejects(connection.send("late"), { name: "HoldfastError" });
  await line.say({ kind: "ack", received: 2 });
  await line.say({ kind: "ack", received: 4 });
  assert.deepEqual(line.numbered.map(({ kind }) => kind), ["open", "message", "message", "message", "end"]);
  assert.deepEqual(line.of("end")[0], {
    kind: "end",
    seq: 5,
    cost: line.of("end")[0]!.cost,
    connection: 1,
    reason: "done",
    detail: "thank you",
  });
  assert.deepEqual(await connection.closed, { reason: "done", detail: "thank you" });
  assert.deepEqual((await takeAll(connection)).error, null);
});

Deno.test("a value that is no body is refused with its path, and the session goes on", async () => {
  const { connection, line } = await attachedClient();
  await assert.rejects(connection.send({ list: [1, undefined] } as unknown as BodyValue), (error: Error) => {
    assert.ok(error instanceof TypeError);
    assert.match(error.message, /\$\.list\[1\]/);
    return true;
  });
  await connection.send({ fine: true });
  await settle();
  assert.equal(line.of("message").length, 1);
});

// @rule delivery.ack
Deno.test("one-way traffic is acked: after 50 ms, or at once after 64 messages", async () => {
  const { clock, line } = await attachedClient();
  await clock.advance(50);
  await line.message(1, "one");
  assert.equal(line.acked, 1);
  await clock.advance(49);
  assert.equal(line.acked, 1);
  await clock.advance(1);
  assert.equal(line.acked, 2);
  await line.message(1, ...Array(64).fill("x"));
  assert.equal(line.acked, 66);
});

// @rule delivery.ack-free
Deno.test("an ack never waits for the application", async () => {
  const { connection, clock, line } = await attachedClient();
  for (let n = 0; n < 2000; n++) {
    await line.message(1, n);
    if (n % 500 === 0) await clock.advance(50);
  }
  await clock.advance(50);
  assert.equal(line.acked, 2001);
  void connection;
});

// @rule delivery.bounded
Deno.test("a connection whose messages nobody consumes is ended with overloaded; the session lives", async () => {
  const { session, connection, line } = await attachedClient({ storedBytes: 10_000 });
  const other = session.open("echo");
  await settle();
  await line.tell({ kind: "accept", connection: 3 });
  for (let n = 0; n < 12; n++) await line.message(1, "x".repeat(1000));
  const [end] = line.of("end");
  assert.deepEqual([end?.connection, end?.reason], [1, "overloaded"]);
  const { values, error } = await takeAll(connection);
  assert.equal(values.length, 9);
  assert.equal((error as { reason?: string }).reason, "overloaded");
  assert.equal(session.phase, "attached");
  await line.message(3, "still here");
  const { value } = await other[Symbol.asyncIterator]().next();
  assert.equal(value, "still here");
});

Deno.test("many tiny messages that nobody consumes are bounded too", async () => {
  const { line } = await attachedClient({ storedBytes: 100_000 });
  for (let n = 0; n < 40; n++) await line.message(1, ...Array(50).fill(1));
  assert.equal(line.of("end")[0]?.reason, "overloaded");
});

// @rule delivery.volatile
Deno.test("volatile messages go now or never, at most 64 in a turn", async () => {
  const { session, connection, line } = await attachedClient();
  const heard: BodyValue[] = [];
  const stop = connection.onVolatile((value) => void heard.push(value));
  const taken = Array.from({ length: 70 }, (_, n) => connection.sendVolatile(n)).filter(Boolean).length;
  assert.equal(taken, 64);
  await settle();
  assert.equal(line.of("volatile").length, 64);
  await line.say({ kind: "volatile", connection: 1, body: encodeBody("hello") });
  stop();
  await line.say({ kind: "volatile", connection: 1, body: encodeBody("unheard") });
  await line.say({ kind: "volatile", connection: 9, body: encodeBody("for nobody") });
  assert.deepEqual(heard, ["hello"]);
  session.goOffline();
  assert.equal(connection.sendVolatile("offline"), false);
});

// @rule connection.open
Deno.test("a service that the server wants at the client is rejected, and the session lives", async () => {
  const { session, line } = await attachedClient();
  await line.tell({ kind: "open", connection: 2, service: "anything" });
  assert.equal(line.of("reject")[0]?.reason, "unknown-service");
  assert.equal(session.phase, "attached");
});

// @rule connection.open
Deno.test("no more connections are opened than the server takes", async () => {
  const { session, server } = await client();
  session.open("echo");
  await server.establish({ limits: { ...statedLimits(), connections: 2 } });
  const second = session.open("echo");
  assert.throws(() => session.open("echo"), { reason: "too-many-connections" });
  second.close();
  await settle();
  session.open("echo");
  assert.throws(() => session.open("Not A Name"), TypeError);
});

Deno.test("what is lost in the middle of a consumer's break is nothing: the next loop goes on", async () => {
  const { connection, line } = await attachedClient();
  await line.message(1, 1, 2, 3);
  for await (const value of connection) {
    assert.equal(value, 1);
    break;
  }
  for await (const value of connection) {
    assert.equal(value, 2);
    break;
  }
});

Deno.test("a listener that throws is an error event and harms nothing else", async () => {
  const clock = new FakeClock();
  const fixture = await client({ clock });
  const problem = new Error("mine");
  fixture.session.on("connected", () => {
    throw problem;
  });
  await fixture.server.establish();
  assert.deepEqual(fixture.details("error"), [{ error: problem }]);
  assert.equal(fixture.session.phase, "attached");
});
