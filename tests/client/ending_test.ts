import assert from "node:assert/strict";
import { settle } from "../support/fake_clock.ts";
import { attachedClient, client } from "../support/client_fixture.ts";

// @rule end.close
Deno.test("close waits for its acks, tells the server, and is done when the server closes", async () => {
  const { fixture, session, clock, connection, line } = await attachedClient();
  await connection.send("last words");
  const closed = session.close("bye", "see you");
  await settle();
  assert.deepEqual(line.of("close"), []);
  await line.say({ kind: "ack", received: 2 });
  assert.deepEqual(line.of("close"), [{ kind: "close", reason: "bye", detail: "see you" }]);
  assert.equal(session.phase, "attached");
  await line.end(1000, "closed");
  await closed;
  assert.deepEqual(fixture.details("ended"), [{ reason: "bye", detail: "see you" }]);
  assert.deepEqual(await connection.closed, { reason: "bye", detail: "see you" });
  assert.equal(clock.pending, 0);
});

// @rule end.close
Deno.test("close waits for acks at most 5 s, and for the server at most 15 s", async () => {
  const { session, clock, connection, line } = await attachedClient();
  await connection.send("never acked");
  const closed = session.close();
  await clock.advance(4_999);
  assert.deepEqual(line.of("close"), []);
  await clock.advance(1);
  assert.equal(line.of("close").length, 1);
  await clock.advance(10_000);
  await closed;
  assert.equal(session.phase, "ended");
  assert.equal(clock.pending, 0);
});

// @rule end.close
Deno.test("a conduit that breaks before the closing frame came: the client resumes and repeats its close", async () => {
  const { session, server, clock, line } = await attachedClient();
  await line.say({ kind: "ack", received: 1 });
  const closed = session.close();
  await settle();
  assert.equal(line.of("close").length, 1);
  await line.end(1006);
  await clock.advanceToNext();
  await server.establish();
  assert.equal(server.line.of("close").length, 1);
  await server.line.end(1000);
  await closed;
});

// @rule end.close
Deno.test("the repeated close of a session that is closed already is told closed, and that is fine", async () => {
  const { fixture, session, server, clock, line } = await attachedClient();
  await line.say({ kind: "ack", received: 1 });
  const closed = session.close("bye");
  await settle();
  await line.end(1006);
  await clock.advanceToNext();
  server.line.open();
  await settle();
  await server.line.say({ kind: "refused", reason: "closed", detail: "bye: " });
  await closed;
  assert.deepEqual(fixture.heard.slice(-1), ["ended"]);
});

// @rule end.close
Deno.test("close is never echoed: a server that ends the session hears nothing back", async () => {
  for (
    const [reason, event] of [["idle", "ended"], ["expired", "lost"], ["ended", "ended"], [
      "made-up",
      "ended",
    ]] as const
  ) {
    const { fixture, session, line } = await attachedClient();
    const before = line.messages.length;
    await line.say({ kind: "close", reason, detail: "why" });
    assert.equal(line.messages.length, before);
    assert.deepEqual(fixture.details(event), [{ reason, detail: "why" }]);
    assert.equal(session.phase, "ended");
    await session.close();
  }
});

// @rule end.close
Deno.test("a close code outside 45xx and 46xx is a break: the session resumes", async () => {
  for (const code of [1000, 1001, 1006, 1011, 1012, 4400, 4408, 4409]) {
    const { session, server, clock, line } = await attachedClient();
    await line.end(code);
    assert.equal(session.phase, "detached", `code ${code}`);
    await clock.advanceToNext();
    await server.establish();
    assert.equal(session.phase, "attached", `code ${code}`);
  }
});

// @rule frame.cost
Deno.test("a frame that was too big is never sent again: the session is over", async () => {
  const { fixture, session, clock, line } = await attachedClient();
  await line.end(1009, "frame-too-big");
  assert.equal(session.phase, "ended");
  assert.deepEqual(fixture.details("ended"), [{ reason: "frame-too-big", detail: "" }]);
  assert.equal(clock.pending, 0);
});

// @rule end.protocol
Deno.test("a server that breaks a rule is told which, and the session is over", async () => {
  const offences = [
    { rule: "delivery.gap", offend: (line: Line) => (line.replayFrom(9), line.message(1, "x")) },
    { rule: "delivery.ack", offend: (line: Line) => line.say({ kind: "ack", received: 99 }) },
    { rule: "frame.batch", offend: (line: Line) => line.raw(new Uint8Array([0xc1])) },
    { rule: "handshake.first", offend: (line: Line) => line.say({ kind: "authorise", auth: "x" }) },
    { rule: "frame.ids", offend: (line: Line) => line.message(99, "x") },
  ];
  for (const { rule, offend } of offences) {
    const { fixture, line } = await attachedClient();
    await offend(line);
    const [close] = line.of("close");
    assert.equal(close?.reason, "protocol-error", rule);
    assert.match(close!.detail, new RegExp(`^${rule}: `));
    assert.equal(line.closedWith?.code, 4500);
    assert.equal(fixture.heard.at(-1), "ended");
  }
});

type Line = Awaited<ReturnType<typeof attachedClient>>["line"];

Deno.test("a session that was never asked for closes at once, and dials no more", async () => {
  const { session, clock, server } = await client();
  await session.close();
  await settle();
  assert.equal(session.phase, "ended");
  assert.equal(clock.pending, 0);
  assert.notEqual(server.line.closedWith, null);
});

Deno.test("a send whose session ends before it was numbered rejects with the reason", async () => {
  const { session, line } = await attachedClient({ storedBytes: 20_000_000 });
  const other = session.open("echo");
  const waits = Array.from({ length: 17 }, (_, n) => other.send(n)).at(-1)!;
  const outcome = assert.rejects(waits, { name: "HoldfastError", reason: "expired" });
  await settle();
  await line.end(4501, "expired");
  await outcome;
});

Deno.test("an ending that is longer than the protocol carries is refused before anything ends", async () => {
  const { session, connection } = await attachedClient();
  await assert.rejects(session.close("r".repeat(65)), RangeError);
  assert.throws(() => connection.close("fine", "d".repeat(513)), RangeError);
  assert.equal(session.phase, "attached");
});
