import assert from "node:assert/strict";
import type { Reason } from "../../src/protocol/reasons.ts";
import { settle } from "../support/fake_clock.ts";
import { attachedClient, client } from "../support/client_fixture.ts";

// @rule frame.route
Deno.test("a client dials /v1/connect and offers the encoding that it was told to speak", async () => {
  const packed = await client();
  assert.equal(packed.server.line.url, "ws://edge.test/v1/connect");
  assert.equal(packed.server.line.subprotocol, "holdfast.v1.msgpack");
  const json = await client({ encoding: "json" });
  assert.equal(json.server.line.subprotocol, "holdfast.v1.json");
});

// @rule handshake.first
Deno.test("start is the first thing said, and nothing follows it before established", async () => {
  const { session, server, connection } = await openedOffline();
  server.line.open();
  await settle();
  await connection.send("early");
  session.open("echo");
  await settle();
  assert.deepEqual(server.line.messages.map(({ kind }) => kind), ["start"]);
  await server.line.establish();
  assert.deepEqual(server.line.messages.map(({ kind }) => kind), ["start", "ack", "open", "message", "open"]);
});

async function openedOffline() {
  const fixture = await client();
  return { ...fixture, connection: fixture.session.open("echo") };
}

// @rule handshake.confirm
Deno.test("established is answered with an ack at once, also of nothing", async () => {
  const { server } = await client();
  const line = await server.establish();
  assert.deepEqual(line.messages.slice(1), [{ kind: "ack", received: 0 }]);
});

// @rule handshake.challenge
Deno.test("a lost established leaves no orphan: the next start is identical until one is answered", async () => {
  const { server, clock } = await client({ metadata: { app: "test" } });
  for (let attempt = 0; attempt < 3; attempt++) {
    server.line.open();
    await settle();
    await server.line.end();
    await clock.advanceToNext();
  }
  server.line.open();
  await settle();
  const starts = server.lines.map(({ start }) => start);
  assert.equal(starts.length, 4);
  for (const start of starts) assert.deepEqual(start, starts[0]);
  assert.match(starts[0]!.challenge, /^[\x21-\x7e]{22,64}$/);
  assert.equal(starts[0]!.resume, undefined);
});

// @rule handshake.challenge
Deno.test("an established that repeats another challenge is not believed", async () => {
  const { server, clock, session } = await client();
  server.line.open();
  await settle();
  await server.line.establish({ challenge: "somebody-elses-challenge" });
  assert.equal(server.line.closedWith?.code, 4600);
  assert.equal(session.phase, "detached");
  await clock.advanceToNext();
  assert.equal(server.lines.length, 2);
});

// @rule handshake.refused
Deno.test("the client gives up its token only for a refusal that says so", async () => {
  const keeps: Reason[] = ["unavailable", "draining", "rate-limited", "too-many-sessions", "no-slots"];
  const { fixture, server, clock, line } = await attachedClient();
  await line.end();
  for (const reason of keeps) {
    await clock.advanceToNext();
    server.line.open();
    await settle();
    assert.equal(server.line.start.resume?.token, "token-1");
    await server.line.say({ kind: "refused", reason, detail: "" });
    assert.equal(fixture.details("detached").at(-1) !== undefined, true);
  }
  await clock.advanceToNext();
  await server.establish();
  assert.deepEqual(fixture.heard.filter((name) => name === "lost" || name === "ended"), []);
  assert.equal(fixture.heard.at(-1), "resumed");
});

// @rule handshake.refused
Deno.test("a failed dial does not give up the token", async () => {
  const { server, clock, line } = await attachedClient();
  await line.end();
  for (let attempt = 0; attempt < 5; attempt++) {
    await clock.advanceToNext();
    await server.line.end(1006, "no route");
  }
  await clock.advanceToNext();
  server.line.open();
  await settle();
  assert.deepEqual(server.line.start.resume, {
    session: "session-1",
    token: "token-1",
    received: 1,
    sent: 1,
  });
});

for (
  const [reason, event] of [
    ["unknown-session", "lost"],
    ["stale-token", "lost"],
    ["expired", "lost"],
    ["closed", "lost"],
    ["diverged", "lost"],
    ["settings-changed", "lost"],
    ["challenge-used", "lost"],
    ["token-reuse", "lost"],
    ["idle", "ended"],
    ["forbidden", "ended"],
    ["malformed", "ended"],
    ["unsupported-version", "ended"],
    ["unauthorized", "ended"],
  ] as const
) {
  // @rule handshake.refused
  Deno.test(`refused with ${reason} the application hears ${event}, and the client stays away`, async () => {
    const { fixture, session, server, clock, connection, line } = await attachedClient();
    await line.end();
    await clock.advanceToNext();
    server.line.open();
    await settle();
    await server.line.say({ kind: "refused", reason, detail: "so it is" });
    assert.equal(fixture.heard.at(-1), event);
    assert.deepEqual(fixture.details(event), [{ reason, detail: "so it is" }]);
    assert.equal(session.phase, "ended");
    assert.equal(clock.pending, 0);
    assert.deepEqual(await connection.closed, { reason, detail: "so it is" });
    await assert.rejects(connection.send(1), { name: "HoldfastError", reason });
    assert.throws(() => session.open("echo"), { name: "HoldfastError", reason });
  });
}

// @rule handshake.refused
Deno.test("a refusal that retries at once would be a storm: every one is followed by a growing backoff", async () => {
  const { server, clock } = await client();
  const began = clock.now();
  for (let refusal = 0; refusal < 12; refusal++) {
    server.line.open();
    await settle();
    await server.line.say({ kind: "refused", reason: "unavailable", detail: "" });
    const before = clock.now();
    await clock.advanceToNext();
    assert.ok(clock.now() - before >= 100);
  }
  assert.ok(clock.now() - began > 30_000, `12 refusals took only ${clock.now() - began} ms`);
});

Deno.test("a session that is established and broken over and over backs off as well", async () => {
  const { server, clock } = await client();
  const began = clock.now();
  for (let round = 0; round < 12; round++) {
    const line = await server.establish();
    await line.end();
    await clock.advanceToNext();
  }
  assert.ok(clock.now() - began > 30_000, `12 rounds took only ${clock.now() - began} ms`);
});

// @rule handshake.refused
Deno.test("retryAfter is waited for", async () => {
  const { server, clock } = await client();
  server.line.open();
  await settle();
  await server.line.say({ kind: "refused", reason: "unavailable", detail: "", retryAfter: 60_000 });
  await clock.advance(59_999);
  assert.equal(server.lines.length, 1);
  await clock.advance(600);
  assert.equal(server.lines.length, 2);
});

// @rule handshake.refused
Deno.test("a reason that this version does not know is judged by the close code", async () => {
  for (
    const [code, heard] of [[4450, "detached"], [4599, "ended"], [4501, "lost"], [4650, "ended"]] as const
  ) {
    const fixture = await client();
    fixture.server.line.open();
    await settle();
    await fixture.server.line.say({ kind: "refused", reason: "brand-new", detail: "" });
    assert.equal(fixture.session.phase, "handshaking");
    await fixture.server.line.end(code, "brand-new");
    assert.equal(fixture.heard.at(-1), heard, `code ${code}`);
  }
});

Deno.test("credentials are asked for with each handshake, and refused ones are asked for again", async () => {
  const asked: (string | null)[] = [];
  const { server, clock, fixture } = await attachedClient({
    auth: ({ refused }) => {
      asked.push(refused);
      return `ticket-${asked.length}`;
    },
  });
  assert.equal(server.line.start.auth, "ticket-1");
  await server.line.end(4601, "authorisation-expired");
  assert.deepEqual(fixture.heard.slice(-2), ["credentials", "detached"]);
  await clock.advanceToNext();
  server.line.open();
  await settle();
  assert.equal(server.line.start.auth, "ticket-2");
  assert.equal(server.line.start.resume?.token, "token-1");
  assert.deepEqual(asked, [null, "authorisation-expired"]);
});

Deno.test("credentials that cannot be had are an error and a backoff, not the end", async () => {
  const problem = new Error("signed out");
  let broken = true;
  const { server, clock, fixture } = await authenticated(() => {
    if (broken) throw problem;
    return "ticket";
  });
  server.line.open();
  await settle();
  assert.deepEqual(fixture.details("error"), [{ error: problem }]);
  broken = false;
  await clock.advanceToNext();
  await server.establish();
  assert.equal(fixture.heard.at(-1), "connected");
});

async function authenticated(auth: () => string) {
  const fixture = await client({ auth });
  return { fixture, server: fixture.server, clock: fixture.clock };
}

Deno.test("a dial that never opens and a start that nobody answers are given up", async () => {
  const { server, clock } = await client();
  await clock.advance(10_000);
  assert.notEqual(server.lines[0]!.closedWith, null);
  await clock.advanceToNext();
  assert.equal(server.lines.length, 2);
  server.line.open();
  await clock.advance(12_000);
  assert.notEqual(server.lines[1]!.closedWith, null);
});

Deno.test("a policy that gives up ends the session, and says after how many attempts", async () => {
  const fixture = await client({ reconnect: ({ attempt }) => attempt < 2 ? 1000 : null });
  for (let attempt = 0; attempt < 3; attempt++) {
    await fixture.server.line.end();
    await fixture.clock.advanceToNext();
  }
  assert.equal(fixture.server.lines.length, 3);
  assert.deepEqual(fixture.session.ending, {
    reason: "gave-up",
    detail: "no conduit after 3 attempts; the last one: closed with 1006",
  });
});

Deno.test("what answers before established and is no answer is given up like a break", async () => {
  const { server, clock } = await client();
  server.line.open();
  await settle();
  await server.line.raw("<html>");
  assert.equal(server.line.closedWith?.code, 4600);
  await clock.advanceToNext();
  server.line.open();
  await settle();
  await server.line.say({ kind: "ping", nonce: 1 });
  assert.equal(server.line.closedWith?.code, 4600);
});
