import assert from "node:assert/strict";
import { settle } from "../support/fake_clock.ts";
import { attachedClient, client } from "../support/client_fixture.ts";

// @rule resume.repeat
Deno.test("resume works any number of times, and with the newest token each time", async () => {
  const { fixture, server, clock } = await attachedClient();
  for (let round = 1; round <= 20; round++) {
    await server.line.end();
    await clock.advanceToNext();
    await server.establish();
    assert.equal(server.line.start.resume?.token, `token-${round}`);
  }
  assert.equal(fixture.heard.filter((name) => name === "resumed").length, 20);
});

// @rule resume.exchange
Deno.test("a quiet session resumes: positions begin at 0 and are in every start", async () => {
  const { fixture, server, clock } = await quiet();
  await server.line.end();
  await clock.advanceToNext();
  await server.establish();
  assert.deepEqual(server.line.start.resume, {
    session: "session-1",
    token: "token-1",
    received: 0,
    sent: 0,
  });
  assert.deepEqual(fixture.details("resumed"), [{ session: "session-1", node: "node-1", replayed: 0 }]);
});

async function quiet() {
  const fixture = await client();
  await fixture.server.establish();
  return { fixture, server: fixture.server, clock: fixture.clock };
}

// @rule resume.exchange
Deno.test("what the server lacks is sent again, in order and with unchanged numbers, and the rest is not", async () => {
  const { fixture, server, clock, connection, line } = await attachedClient();
  for (const n of [1, 2, 3, 4]) await connection.send(n);
  await settle();
  assert.deepEqual(line.numbered.map(({ seq }) => seq), [1, 2, 3, 4, 5]);
  await line.end();
  void connection.send(5);
  await clock.advanceToNext();
  server.line.open();
  await settle();
  await server.line.establish({ received: 3, sent: 1 });
  assert.deepEqual(server.line.numbered.map(({ seq }) => seq), [4, 5, 6]);
  assert.deepEqual(fixture.details("resumed"), [{ session: "session-1", node: "node-1", replayed: 3 }]);
});

// @rule resume.repeat
Deno.test("a conduit that breaks during the handshake or the replay changes nothing", async () => {
  const { server, clock, connection, line } = await attachedClient();
  await connection.send("kept");
  await line.end();
  await clock.advanceToNext();
  server.line.open();
  await settle();
  await server.line.end();
  await clock.advanceToNext();
  server.line.open();
  await settle();
  await server.line.establish({ received: 1, sent: 1 });
  await server.line.end();
  await clock.advanceToNext();
  server.line.open();
  await settle();
  await server.line.establish({ received: 1, sent: 1 });
  assert.deepEqual(server.line.numbered.map(({ seq, kind }) => [seq, kind]), [[2, "message"]]);
});

// @rule delivery.dedupe
Deno.test("repeated recovery makes no duplicate backlog: what was taken before is dropped", async () => {
  const { server, clock, connection, line } = await attachedClient();
  await line.message(1, "a", "b");
  await line.end();
  for (let round = 0; round < 3; round++) {
    await clock.advanceToNext();
    await server.establish();
    server.line.replayFrom(2);
    await server.line.message(1, "a", "b");
    await server.line.end();
  }
  await clock.advanceToNext();
  await server.establish();
  server.line.replayFrom(2);
  await server.line.message(1, "a", "b", "c");
  assert.deepEqual(await take(connection, 3), ["a", "b", "c"]);
});

async function take(source: AsyncIterable<unknown>, most: number): Promise<unknown[]> {
  const taken: unknown[] = [];
  for await (const value of source) if (taken.push(value) === most) break;
  return taken;
}

// @rule resume.diverged
Deno.test("a server that lost state is not resumed: lost with diverged, nothing guessed", async () => {
  const claims = [
    { received: 9, sent: 1, problem: /received 9 of 2/ },
    { received: 1, sent: 1, problem: /already acked 2/ },
    { received: 2, sent: 0, problem: /sent 0 but 1 were received/ },
  ];
  for (const { problem, ...claim } of claims) {
    const { fixture, server, clock, connection, line } = await attachedClient();
    await connection.send(1);
    await settle();
    await line.say({ kind: "ack", received: 2 });
    await line.end();
    await clock.advanceToNext();
    server.line.open();
    await settle();
    await server.line.establish(claim);
    const [lost] = fixture.details("lost") as { reason: string; detail: string }[];
    assert.equal(lost?.reason, "diverged");
    assert.match(lost!.detail, problem);
    assert.deepEqual(server.line.messages.map(({ kind }) => kind), ["start"]);
  }
});

// @rule resume.diverged
Deno.test("an unknown key never silently becomes a fresh session", async () => {
  for (const answer of [{ resumed: false }, { session: "another" }]) {
    const { fixture, server, clock, line } = await attachedClient();
    await line.end();
    await clock.advanceToNext();
    await server.establish(answer);
    assert.equal(fixture.heard.at(-1), "lost");
    assert.deepEqual(fixture.heard.filter((name) => name === "connected"), ["connected"]);
  }
});

Deno.test("lost, new and resumed are told apart, and only startAnewWhenLost starts anew, after a backoff", async () => {
  const { fixture, session, server, clock, connection, line } = await attachedClient({
    startAnewWhenLost: true,
  });
  await line.end();
  await clock.advanceToNext();
  server.line.open();
  await settle();
  await server.line.say({ kind: "refused", reason: "expired", detail: "" });
  assert.deepEqual(fixture.heard.slice(-1), ["lost"]);
  assert.equal((await connection.closed).reason, "expired");
  assert.equal(server.lines.length, 2);
  await clock.advanceToNext();
  await server.establish({ session: "session-2" });
  assert.notEqual(server.line.start.challenge, server.lines[0]!.start.challenge);
  assert.equal(server.line.start.resume, undefined);
  assert.equal(fixture.heard.at(-1), "connected");
  assert.equal(session.id, "session-2");
  const again = session.open("echo");
  await settle();
  assert.equal(again.id, 1);
});

// @rule resume.takeover
Deno.test("a client whose current conduit is closed with 4510 stays away and is told taken-over", async () => {
  const { fixture, session, server, clock, line } = await attachedClient();
  await line.end(4510, "superseded");
  assert.deepEqual(fixture.details("taken-over"), [{ session: "session-1" }]);
  assert.equal(session.phase, "ended");
  assert.equal(clock.pending, 0);
  assert.equal(server.lines.length, 1);
});

// @rule resume.takeover
Deno.test("a late close of a replaced conduit changes nothing", async () => {
  const { fixture, session, server, clock, line } = await attachedClient();
  session.breakConduit();
  await settle();
  await clock.advanceToNext();
  await server.establish();
  await line.end(4510, "superseded");
  assert.equal(session.phase, "attached");
  assert.equal(fixture.heard.at(-1), "resumed");
});

// @rule resume.takeover
Deno.test("a start of one's own that was given up and took effect late is not somebody else's", async () => {
  const { fixture, session, server, clock, line } = await attachedClient();
  await line.end();
  await clock.advanceToNext();
  server.line.open();
  await clock.advance(12_000); // Nobody answers.
  await clock.advanceToNext();
  await server.establish();
  assert.equal(session.phase, "attached");
  await server.line.end(4510, "superseded");
  assert.equal(session.phase, "detached");
  await clock.advanceToNext();
  await server.establish();
  assert.equal(fixture.heard.at(-1), "resumed");
  // Once the server has answered on a conduit, nothing older can win: now it is somebody else.
  await server.line.say({ kind: "pong", nonce: 0 });
  await server.line.end(4510, "superseded");
  assert.equal(fixture.heard.at(-1), "taken-over");
});

// @rule end.goaway
Deno.test("goaway moves within its time: the new conduit is there before the old one is left", async () => {
  const { fixture, session, server, clock, connection, line } = await attachedClient();
  await line.say({ kind: "goaway", reason: "draining", after: 4000 });
  assert.equal(server.lines.length, 1);
  const began = clock.now();
  while (server.lines.length === 1) await clock.advanceToNext();
  assert.ok(clock.now() - began < 4000);
  await connection.send("while connecting");
  await settle();
  assert.equal(line.of("message").length, 1);
  server.line.open();
  await settle();
  // From here on the counters of `start` must stay true: the old conduit is only listened to.
  const acked = line.acked;
  await connection.send("while moving");
  await line.message(1, "from the old one");
  await clock.advance(100);
  assert.equal(line.of("message").length, 1);
  assert.equal(line.acked, acked);
  assert.equal(session.phase, "attached");
  await server.line.establish({ received: 2, sent: 2 });
  await line.end(4510, "superseded");
  assert.equal(session.phase, "attached");
  assert.deepEqual(server.line.numbered.map(({ seq }) => seq), [3]);
  assert.equal(server.line.acked, 2);
  assert.deepEqual(fixture.heard, ["connecting", "connected", "resumed"]);
});

// @rule end.goaway
Deno.test("a move that fails goes on with the old conduit, and tries again after a backoff", async () => {
  const { fixture, server, clock, connection, line } = await attachedClient();
  await line.say({ kind: "goaway", reason: "draining", after: 1000 });
  while (server.lines.length === 1) await clock.advanceToNext();
  server.line.open();
  await settle();
  await connection.send("waits for the answer");
  await settle();
  assert.equal(line.of("message").length, 0);
  await server.line.say({ kind: "refused", reason: "draining", detail: "" });
  assert.equal(line.of("message").length, 1);
  while (server.lines.length === 2) await clock.advanceToNext();
  assert.deepEqual(fixture.heard, ["connecting", "connected"]);
});

// @rule end.goaway
Deno.test("when the old conduit is closed first, the move goes on without a detour", async () => {
  const { fixture, server, clock, line } = await attachedClient();
  await line.say({ kind: "goaway", reason: "draining", after: 1000 });
  while (server.lines.length === 1) await clock.advanceToNext();
  server.line.open();
  await settle();
  await line.end(4510, "superseded");
  await server.line.establish({ sent: 1 });
  assert.deepEqual(fixture.heard, ["connecting", "connected", "resumed"]);
});

Deno.test("offline by request nothing is dialled, what is sent waits, and online it goes on at once", async () => {
  const { fixture, session, server, clock, connection } = await attachedClient();
  session.goOffline();
  await settle();
  assert.equal(session.phase, "idle");
  assert.deepEqual(fixture.details("detached"), [{ code: 1000, reason: "cut", retryIn: null }]);
  await connection.send("sent offline");
  await clock.advance(600_000);
  assert.equal(server.lines.length, 1);
  session.goOnline();
  await server.establish({ received: 1, sent: 1 });
  assert.deepEqual(server.line.numbered.map(({ seq }) => seq), [2]);
});

// @rule resume.rotate
Deno.test("a newest token that the server no longer knows falls back once to the one in use before it", async () => {
  const { fixture, server, clock, line } = await attachedClient();
  await line.end();
  await clock.advanceToNext();
  await server.establish();
  await server.line.end();
  await clock.advanceToNext();
  server.line.open();
  await settle();
  assert.equal(server.line.start.resume?.token, "token-2");
  await server.line.say({ kind: "refused", reason: "unknown-session", detail: "" });
  await clock.advanceToNext();
  server.line.open();
  await settle();
  assert.equal(server.line.start.resume?.token, "token-1");
  await server.line.say({ kind: "refused", reason: "unknown-session", detail: "" });
  assert.equal(fixture.details("lost").length, 1);
});

// @rule resume.rotate
Deno.test("a token that is known to be proven is the only one that is presented", async () => {
  const { fixture, server, clock, connection, line } = await attachedClient();
  await line.end();
  await clock.advanceToNext();
  await server.establish();
  await connection.send("proves it");
  await settle();
  await server.line.say({ kind: "ack", received: 2 });
  await server.line.end();
  await clock.advanceToNext();
  server.line.open();
  await settle();
  await server.line.say({ kind: "refused", reason: "unknown-session", detail: "" });
  assert.equal(fixture.details("lost").length, 1);
});
