import assert from "node:assert/strict";
import type { BodyValue, Connection } from "../../src/client/mod.ts";
import { settle } from "../support/fake_clock.ts";
import { attachedClient, client, TestStorage } from "../support/client_fixture.ts";
import { FakeServer } from "../support/fake_server.ts";

async function next(connection: Connection): Promise<BodyValue | undefined> {
  return (await connection[Symbol.asyncIterator]().next()).value;
}

// @rule resume.stored-client
Deno.test("the challenge is stored before it is used", async () => {
  const storage = new TestStorage(true);
  storage.held = true;
  const { server } = await client({ storage });
  server.line.open();
  await settle();
  assert.deepEqual(server.line.messages, []);
  await storage.release();
  assert.equal(server.line.start.challenge, storage.stored?.challenge);
});

// @rule resume.stored-client
Deno.test("a new token is stored before the message that proves it", async () => {
  const storage = new TestStorage(true);
  const { server } = await client({ storage });
  server.line.open();
  await settle();
  storage.held = true;
  await server.line.establish();
  await server.line.say({ kind: "ping", nonce: 1 });
  assert.deepEqual(server.line.messages.slice(1), []);
  await storage.release();
  assert.deepEqual(storage.stored?.identity, { session: "session-1", token: "token-1", inUse: null });
  assert.deepEqual(server.line.messages.slice(1).map(({ kind }) => kind), ["ack", "pong"]);
});

// @rule resume.stored-client
Deno.test("nothing is sent or acked before the write that holds it", async () => {
  const storage = new TestStorage(true);
  const { clock, connection, line } = await attachedClient({ storage });
  storage.held = true;
  await line.message(1, "taken");
  let sent = false;
  void connection.send("kept").then(() => sent = true);
  await clock.advance(100);
  assert.ok((line.acked ?? 0) < 2);
  assert.equal(line.of("message").length, 0);
  assert.equal(sent, false);
  await storage.release();
  await storage.release();
  assert.equal(line.acked, 2);
  assert.equal(line.of("message").length, 1);
  assert.equal(sent, true);
});

// @rule delivery.dedupe
Deno.test("what was taken and not yet stored when the conduit broke is not taken twice", async () => {
  const storage = new TestStorage(true);
  const { server, clock, connection, line } = await attachedClient({ storage });
  storage.held = true;
  await line.message(1, "a", "b");
  await line.end();
  await clock.advanceToNext();
  server.line.open();
  await settle();
  assert.equal(server.line.start.resume?.received, 1);
  await server.line.establish({ sent: 3 });
  server.line.replayFrom(2);
  await server.line.message(1, "a", "b", "c");
  storage.held = false;
  await storage.release();
  assert.deepEqual([await next(connection), await next(connection), await next(connection)], ["a", "b", "c"]);
  assert.equal(server.line.acked, 4);
});

Deno.test("writes are not piled up: one is under way, and the next holds all that came meanwhile", async () => {
  const storage = new TestStorage(true);
  const { connection } = await attachedClient({ storage });
  storage.held = true;
  const before = storage.operations.length;
  const sends: Promise<void>[] = [];
  for (let n = 0; n < 50; n++) {
    sends.push(connection.send(n));
    await settle();
  }
  await storage.release();
  await storage.release();
  await Promise.all(sends);
  assert.equal(storage.operations.length - before, 2);
});

/** A page that is gone: nothing of it acts any more. */
async function reload(storage: TestStorage, server: FakeServer) {
  await server.line.end();
  return await client({ storage, server: new FakeServer() });
}

// @rule resume.stored-client
Deno.test("a reload resumes: same session, same connections, unacked sent again, unconsumed given again", async () => {
  for (const asynchronous of [false, true]) {
    const storage = new TestStorage(asynchronous);
    const { connection, server, line } = await attachedClient({ storage });
    await line.message(1, "a", "b", "c");
    assert.equal(await next(connection), "a");
    await connection.send("mine");
    connection.keep({ counted: 1 });
    await settle();

    const reloaded = await reload(storage, server);
    const again = reloaded.session.open("echo");
    assert.equal(again.id, 1);
    assert.equal(again.restored, true);
    assert.deepEqual(again.kept, { counted: 1 });
    await again.opened;
    reloaded.server.line.open();
    await settle();
    const { resume } = reloaded.server.line.start;
    assert.deepEqual(resume, { session: "session-1", token: "token-1", received: 4, sent: 2 });
    await reloaded.server.line.establish({ received: 1, sent: 4 });
    assert.deepEqual(reloaded.heard, ["connecting", "resumed"]);
    assert.deepEqual(reloaded.server.line.numbered.map(({ seq, kind }) => [seq, kind]), [[2, "message"]]);
    // "a" was handed out and nothing was asked for after it: it is not consumed.
    assert.equal(await next(again), "a");
    assert.equal(await next(again), "b");
    assert.equal(await next(again), "c");
  }
});

// @rule resume.stored-client
Deno.test("with a storage that answers at once the restored state is there in connect's own turn", async () => {
  const storage = new TestStorage();
  const { connection, server } = await attachedClient({ storage });
  connection.keep("state");
  await settle();
  await server.line.end();
  const { connect } = await import("../../src/client/mod.ts");
  const session = connect("http://edge.test", { storage, dial: new FakeServer().dial, probe: false });
  assert.equal(session.id, "session-1");
  assert.deepEqual(session.connections.map(({ id, service }) => [id, service]), [[1, "echo"]]);
  assert.equal(session.open("echo").kept, "state");
  assert.equal(session.open("echo").restored, false);
  session.goOffline();
  await settle();
});

// @rule resume.stored-client
Deno.test("what waits to be sent is stored in its place, so that a kept counter never disagrees", async () => {
  const storage = new TestStorage();
  const first = await client({ storage });
  const connection = first.session.open("echo");
  for (let n = 1; n <= 30; n++) {
    void connection.send(n).catch(() => {});
    connection.keep(n);
  }
  await settle();
  const reloaded = await client({ storage });
  const again = reloaded.session.open("echo");
  assert.equal(again.kept, 30);
  const line = await reloaded.server.establish();
  await line.tell({ kind: "accept", connection: 1 });
  assert.deepEqual(
    line.of("message").map(({ body }) => body.at(-1)),
    Array.from({ length: 30 }, (_, n) => n + 1),
  );
});

// @rule handshake.challenge
Deno.test("a reload before established asks for the same session again", async () => {
  const storage = new TestStorage();
  const first = await client({ storage });
  first.server.line.open();
  await settle();
  const reloaded = await client({ storage });
  reloaded.server.line.open();
  await settle();
  assert.deepEqual(reloaded.server.line.start, first.server.line.start);
});

// @rule handshake.settings
Deno.test("a resume states the settings that the application asks for now, so that a change is never silent", async () => {
  const storage = new TestStorage();
  const { server } = await attachedClient({ storage, durability: "durable" });
  await settle();
  await server.line.end();
  const changed = await client({ storage, durability: "ephemeral" });
  changed.server.line.open();
  await settle();
  assert.equal(changed.server.line.start.settings?.durability, "ephemeral");
  await changed.server.line.say({ kind: "refused", reason: "settings-changed", detail: "" });
  assert.equal(changed.heard.at(-1), "lost");
  assert.equal(storage.stored, null);
});

Deno.test("what is over is removed from the storage; what may be resumed later is not", async () => {
  const cases = [[4501, "expired", false], [4502, "idle", false], [4600, "forbidden", true], [
    4510,
    "superseded",
    true,
  ]] as const;
  for (const [code, reason, kept] of cases) {
    const storage = new TestStorage();
    const { line } = await attachedClient({ storage });
    await line.end(code, reason);
    assert.equal(storage.stored !== null, kept, reason);
  }
});

Deno.test("a stored state that cannot be read is lost, told, and not replaced behind the application's back", async () => {
  const good = new TestStorage();
  await attachedClient({ storage: good });
  await settle();
  const [key, value] = [...good.values][0]!;
  const damaged = ["", "{", "null", "[]", `{"format":99}`, value.replace(/"received":\d+/, `"received":-1`)];
  for (const stored of damaged) {
    const storage = new TestStorage();
    storage.values.set(key, stored);
    const fixture = await client({ storage });
    assert.equal(fixture.session.ending?.reason, "unreadable-storage", stored);
    assert.deepEqual(fixture.heard, ["lost"]);
    assert.equal(fixture.server.lines.length, 0);
    assert.throws(() => fixture.session.open("echo"), { reason: "unreadable-storage" });
  }
});

// @rule resume.stored-client
Deno.test("a storage that fails is an error event; nothing is acked or sent until a write succeeds again", async () => {
  const storage = new TestStorage();
  const { fixture, session, clock, connection, line } = await attachedClient({ storage });
  storage.failure = new Error("QuotaExceededError");
  await line.message(1, "taken");
  let sent = false;
  void connection.send("kept").then(() => sent = true);
  await clock.advance(10_000);
  const errors = fixture.details("error") as { error: Error }[];
  assert.match(errors[0]!.error.message, /cannot store the session's state: QuotaExceededError/);
  assert.ok(errors.length >= 3 && errors.length <= 6, `${errors.length} attempts in 10 s`);
  assert.ok((line.acked ?? 0) < 2);
  assert.equal(line.of("message").length, 0);
  assert.equal(sent, false);
  // The application still gets what arrived, and the conduit is kept alive.
  assert.equal(await next(connection), "taken");
  await line.say({ kind: "ping", nonce: 5 });
  assert.equal(line.of("pong").length, 1);
  storage.failure = null;
  await clock.advance(30_000);
  assert.equal(line.acked, 2);
  assert.equal(line.of("message").length, 1);
  assert.equal(sent, true);
  assert.equal(session.phase, "attached");
});

Deno.test("a message that is handed out is consumed when the next one is asked for, and stays so after a reload", async () => {
  const storage = new TestStorage();
  const { connection, server, line } = await attachedClient({ storage });
  await line.message(1, 1, 2, 3);
  const seen: BodyValue[] = [];
  for await (const value of connection) {
    seen.push(value);
    connection.keep(seen);
    if (seen.length === 2) break;
  }
  await settle();
  const reloaded = await reload(storage, server);
  const again = reloaded.session.open("echo");
  assert.deepEqual(again.kept, [1, 2]);
  assert.equal(await next(again), 3);
});

Deno.test("a connection that ended with messages left is given back after a reload, with its end", async () => {
  const storage = new TestStorage();
  const { server, line } = await attachedClient({ storage });
  await line.message(1, "left");
  await line.tell({ kind: "end", connection: 1 });
  const reloaded = await reload(storage, server);
  const again = reloaded.session.open("echo");
  const values: BodyValue[] = [];
  for await (const value of again) values.push(value);
  assert.deepEqual(values, ["left"]);
  assert.equal(reloaded.session.open("echo").id, 3);
});
