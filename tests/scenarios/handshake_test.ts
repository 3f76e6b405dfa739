/** The first messages of a conduit: who gets which session, and who is told what instead. */

import assert from "node:assert/strict";
import { FakeClock, settle } from "../support/fake_clock.ts";
import { FaultyStore } from "../support/faulty_store.ts";
import { newChallenge, newStart, openEcho, plain, RawPeer, TestClient } from "../support/raw_peer.ts";
import { TestNode } from "../support/test_node.ts";
import { MemorySessionStore } from "../../src/storage/memory_session_store.ts";

async function answered(node: TestNode, fields: Parameters<typeof newStart>[0]): Promise<RawPeer> {
  const peer = new RawPeer(node);
  peer.send(newStart(fields));
  await settle();
  return peer;
}

function faulty(): { clock: FakeClock; store: FaultyStore } {
  const clock = new FakeClock();
  return { clock, store: new FaultyStore(new MemorySessionStore({ clock })) };
}

// @rule handshake.first
Deno.test("a conduit whose first message is not start is closed with 4600", async () => {
  const node = new TestNode();
  const peer = new RawPeer(node);
  peer.send({ kind: "ping", nonce: 1 });
  await settle();
  assert.equal(peer.of("refused")[0]?.reason, "malformed");
  assert.equal(peer.closing?.code, 4600);
  assert.equal(node.registry.conduits, 0);
  assert.equal(node.timers, 0);
});

// @rule handshake.first
Deno.test("a conduit that says nothing is closed with 4408 in time, and told when to come back", async () => {
  const node = new TestNode();
  const peer = new RawPeer(node);
  await node.clock.advance(9_999);
  assert.ok(peer.open);
  await node.clock.advance(1);
  const [refused] = peer.of("refused");
  assert.deepEqual([refused?.reason, refused?.retryAfter], ["handshake-timeout", 1_000]);
  assert.equal(peer.closing?.code, 4408);
  assert.equal(node.timers, 0);
});

// @rule handshake.first
Deno.test("a frame between start and established ends the conduit, and the session is provisional still", async () => {
  const { clock, store } = faulty();
  const node = new TestNode({ clock, store });
  const peer = new RawPeer(node);
  store.failAtomics("hold");
  const start = newStart();
  peer.send(start);
  await settle();
  peer.send({ kind: "ack", received: 0 });
  await settle();
  assert.equal(peer.closing?.code, 4600);
  store.release();
  await settle();
  const again = await answered(node, start);
  assert.equal(again.of("established")[0]?.resumed, false);
  assert.equal(node.registry.size, 1);
  node.log.verify();
});

// @rule handshake.first
Deno.test("messages in the same frame as start are refused", async () => {
  const node = new TestNode();
  const peer = new RawPeer(node);
  peer.send(newStart(), openEcho(1));
  await settle();
  assert.equal(peer.of("refused")[0]?.reason, "malformed");
  assert.equal(node.registry.size, 0);
});

// @rule handshake.first, end.protocol
Deno.test("a second start on an established conduit is a protocol error", async () => {
  const node = new TestNode();
  const client = new TestClient();
  const peer = await client.connect(node);
  peer.send(newStart());
  await settle();
  assert.match(peer.of("close")[0]!.detail, /^handshake\.first/);
  assert.equal(peer.closing?.code, 4500);
});

// @rule handshake.version, handshake.order
Deno.test("an unknown version is refused before anything else is looked at", async () => {
  const node = new TestNode();
  const peer = await answered(node, { version: 2, challenge: "short" });
  assert.equal(peer.of("refused")[0]?.reason, "unsupported-version");
  assert.match(peer.of("refused")[0]!.detail, /1/);
  assert.equal(peer.closing?.code, 4600);
});

// @rule handshake.challenge
Deno.test("a challenge that is too short or not printable is malformed", async () => {
  const node = new TestNode();
  for (const challenge of ["x".repeat(21), "x".repeat(65), "x".repeat(22) + " ", "x".repeat(22) + "é"]) {
    const peer = await answered(node, { challenge });
    assert.equal(peer.of("refused")[0]?.reason, "malformed", challenge);
  }
  assert.equal(node.registry.size, 0);
});

// @rule handshake.refused
Deno.test("a refusal repeats the challenge and closes with the code of its reason", async () => {
  const node = new TestNode();
  const challenge = newChallenge();
  const resume = { session: "A".repeat(22), token: "nobody", received: 0, sent: 0 };
  const peer = await answered(node, { challenge, resume });
  assert.equal(peer.of("refused")[0]?.challenge, challenge);
  assert.equal(peer.of("refused")[0]?.reason, "unknown-session");
  assert.deepEqual(peer.closing, { code: 4501, reason: "unknown-session" });
});

// @rule handshake.settings
Deno.test("windows that could never hold two bodies are refused", async () => {
  const node = new TestNode();
  for (const settings of [{ windowMessages: 0 }, { windowBytes: 1024 * 1024 - 1 }]) {
    const peer = await answered(node, { settings });
    assert.equal(peer.of("refused")[0]?.reason, "malformed");
  }
});

// @rule handshake.settings
Deno.test("a resume that states other settings is refused, and one that states the same is not", async () => {
  const node = new TestNode();
  const client = new TestClient({ windowMessages: 32 });
  await client.connect(node);
  await client.cut();
  for (
    const settings of [{ durability: "ephemeral" } as const, { windowMessages: 33 }, { windowBytes: 2 ** 22 }]
  ) {
    const peer = await answered(node, { ...client.start(), settings });
    assert.equal(peer.of("refused")[0]?.reason, "settings-changed");
    assert.equal(peer.closing?.code, 4501);
  }
  const peer = await answered(node, {
    ...client.start(),
    settings: { durability: "durable", windowMessages: 32 },
  });
  assert.equal(peer.of("established")[0]?.resumed, true);
});

// @rule handshake.challenge
Deno.test("a lost established leaves no orphan: the same start gets the same session", async () => {
  const node = new TestNode();
  const start = newStart();
  const sessions = new Set<string>();
  for (let i = 0; i < 7; i++) {
    const peer = await answered(node, start);
    const established = peer.of("established")[0]!;
    sessions.add(established.session);
    assert.equal(established.resumed, false);
    assert.equal(established.challenge, start.challenge);
    peer.pipe.break();
    await settle();
  }
  assert.equal(sessions.size, 1);
  assert.equal(node.registry.size, 1);
  assert.equal((await node.rows(["session"])).length, 1);
});

// @rule handshake.challenge
Deno.test("two nodes that get the same start at once make one session", async () => {
  const { clock, store } = faulty();
  const a = new TestNode({ clock, store });
  const b = new TestNode({ clock, store });
  const start = newStart();
  const [first, second] = [new RawPeer(a), new RawPeer(b)];
  first.send(start);
  second.send(start);
  await settle();
  const sessions = [...first.of("established"), ...second.of("established")].map(({ session }) => session);
  assert.ok(sessions.length >= 1);
  assert.equal(new Set(sessions).size, 1);
  assert.equal((await a.rows(["session"])).length, 1);
  a.log.verify();
  b.log.verify();
});

// @rule handshake.challenge
Deno.test("once a token is proven, the same start is refused and the session untouched", async () => {
  const node = new TestNode();
  const client = new TestClient();
  const first = client.start();
  await client.connect(node);
  await settle();
  const peer = await answered(node, first);
  assert.equal(peer.of("refused")[0]?.reason, "challenge-used");
  client.open();
  client.echo(1);
  await settle();
  assert.deepEqual(client.echoes, [1]);
});

for (const durability of ["durable", "ephemeral"] as const) {
  // @rule handshake.challenge
  Deno.test(`a start whose ${durability} session has ended already never makes a second one`, async () => {
    const node = new TestNode();
    const client = new TestClient({ durability });
    const first = client.start();
    const peer = await client.connect(node);
    await settle();
    peer.send({ kind: "close", reason: "done", detail: "" });
    await settle();
    const again = await answered(node, first);
    assert.equal(again.of("refused")[0]?.reason, "challenge-used");
    assert.equal(node.registry.size, 0);
  });

  // @rule handshake.challenge
  Deno.test(`a ${durability} session that nobody proves ends with the challenge's memory: no slot, no rows`, async () => {
    const node = new TestNode({ sweeps: true });
    const start = newStart({ settings: { durability } });
    const first = await answered(node, start);
    first.pipe.break();
    await node.clock.advance(64_000);
    assert.equal(node.registry.size, 0);
    for (const kind of ["session", "challenge", "deadline", "attached", "connection", "outbox"]) {
      assert.deepEqual(await node.rows([kind]), [], kind);
    }
    const again = await answered(node, start);
    assert.notEqual(again.of("established")[0]!.session, first.of("established")[0]!.session);
    await node.sweeper.stop();
    await node.directory.stop();
    node.log.verify();
  });
}

// @rule handshake.challenge
Deno.test("a session that was never proven ends though its conduit stands", async () => {
  const node = new TestNode();
  const peer = await answered(node, {});
  await node.clock.advance(30_000);
  assert.ok(peer.open);
  await node.clock.advance(31_000);
  assert.ok(!peer.open);
  assert.equal(node.registry.conduits, 0);
});

Deno.test("a challenge whose row the store still shows after its time counts as forgotten", async () => {
  const clock = new FakeClock();
  const inner = new MemorySessionStore({ clock });
  // A store that never expires anything by itself.
  const store = new FaultyStore({
    limits: inner.limits,
    get: (keys) => inner.get(keys),
    list: (range, options) => inner.list(range, options),
    close: () => inner.close(),
    atomic: (atomic) =>
      inner.atomic({ ...atomic, puts: atomic.puts.map(({ key, value }) => ({ key, value })) }),
  });
  const node = new TestNode({ clock, store });
  const start = newStart();
  const first = await answered(node, start);
  await clock.advance(61_000);
  const again = await answered(node, start);
  assert.notEqual(again.of("established")[0]!.session, first.of("established")[0]!.session);
  node.log.verify();
});

// @rule resume.committed
Deno.test("the recovery snapshot is in the store before established leaves", async () => {
  const { clock, store } = faulty();
  const node = new TestNode({ clock, store });
  store.failAtomics("hold_reply");
  const peer = await answered(node, {});
  assert.deepEqual(peer.messages, []);
  store.release();
  await settle();
  assert.equal(peer.of("established").length, 1);
});

Deno.test("a store that does not answer is told in time, and the slot is released", async () => {
  const { clock, store } = faulty();
  const node = new TestNode({ clock, store });
  store.away = true;
  const peer = await answered(node, {});
  await clock.advance(10_000);
  assert.equal(peer.of("refused")[0]?.reason, "unavailable");
  assert.ok(peer.of("refused")[0]!.retryAfter! > 0);
  assert.equal(peer.closing?.code, 4400);
  assert.equal(node.registry.conduits, 0);
  await clock.advance(60_000);
  store.away = false;
  await clock.advance(20_000);
  assert.equal(node.registry.size, 0);
  await node.sweeper.sweep();
  await clock.advance(20_000);
  assert.deepEqual(await node.rows(["session"]), []);
});

Deno.test("a handshake for which the store gave no answer is refused unavailable, and is no error", async () => {
  const { clock, store } = faulty();
  const node = new TestNode({ clock, store });
  store.failReads("unanswered");
  const peer = new RawPeer(node);
  const resume = { session: "s".repeat(22), token: "t".repeat(43), received: 0, sent: 0 };
  peer.send(newStart({ resume }));
  await settle();
  assert.deepEqual(peer.of("refused").map(({ reason }) => reason), ["unavailable"]);
  assert.deepEqual(node.log.of("admission-unanswered").map(({ level }) => level), ["warn"]);
  node.log.verify();
});

Deno.test("a setup that fails or times out leaks neither a slot, a timer nor a lock", async () => {
  const node = new TestNode();
  for (let i = 0; i < 20; i++) {
    const peer = new RawPeer(node);
    if (i % 4 === 0) peer.send(plain(1, 1));
    if (i % 4 === 1) peer.sendFrame(new Uint8Array([0xc1]));
    if (i % 4 === 2) peer.sendFrame("text on a binary conduit");
    if (i % 4 === 3) peer.pipe.break();
  }
  await settle();
  await node.clock.advance(10_000);
  assert.equal(node.registry.conduits, 0);
  assert.equal(node.registry.size, 0);
  assert.equal(node.timers, 0);
});

// @rule end.goaway
Deno.test("a draining node refuses new handshakes with draining and lets sessions go detached", async () => {
  const clock = new FakeClock();
  const store = new MemorySessionStore({ clock });
  const a = new TestNode({ clock, store });
  const client = new TestClient();
  const peer = await client.connect(a);
  client.open();
  client.echo("before");
  client.echo("last");
  await a.registry.drain();
  await settle();
  assert.equal(peer.of("goaway").length, 1);
  assert.equal(peer.of("goaway")[0]!.reason, "draining");
  assert.deepEqual(peer.closing, { code: 4400, reason: "draining" });
  const late = await answered(a, {});
  assert.equal(late.of("refused")[0]?.reason, "draining");
  assert.ok(late.of("refused")[0]!.retryAfter! > 0);
  const b = new TestNode({ clock, store });
  await client.connect(b);
  await settle();
  assert.deepEqual(client.echoes, ["before", "last"]);
  assert.deepEqual(client.faults, []);
  a.log.verify();
  b.log.verify();
});
