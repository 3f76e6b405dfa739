/** How many there may be: sessions, conduits, handshakes, bytes. Every refusal says when to come back and leaks nothing. */

import assert from "node:assert/strict";
import { FAILED_RESUMES } from "../../src/access/address_state.ts";
import type { Reason } from "../../src/protocol/reasons.ts";
import { DEFAULT_STRANGERS } from "../../src/session/session_registry.ts";
import { DEFAULT_SLOTS, SESSION_BYTES, type SlotLimits } from "../../src/session/slots_runner.ts";
import { settle } from "../support/fake_clock.ts";
import { newStart, RawPeer, TestClient } from "../support/raw_peer.ts";
import { TestAuthenticator } from "../support/test_authenticator.ts";
import { TestNode, type TestNodeOptions } from "../support/test_node.ts";

function node(slots: Partial<SlotLimits>, options: TestNodeOptions = {}): TestNode {
  const authenticator = new TestAuthenticator().grant("alice", "alice").grant("bob", "bob");
  return new TestNode({ authenticator, slots: { ...DEFAULT_SLOTS, ...slots }, ...options });
}

function anonymousNode(slots: Partial<SlotLimits>, options: TestNodeOptions = {}): TestNode {
  return new TestNode({ slots: { ...DEFAULT_SLOTS, ...slots }, ...options });
}

function refused(peer: RawPeer, reason: Reason): void {
  const [refusal, ...more] = peer.of("refused");
  assert.equal(refusal?.reason, reason);
  assert.deepEqual(more, []);
  assert.ok((refusal.retryAfter ?? 0) > 0, "it says when to come back");
  assert.equal(peer.closing?.code, 4400);
}

for (const durability of ["durable", "ephemeral"] as const) {
  Deno.test(`a principal has only so many ${durability} sessions, and another's do not count`, async () => {
    const it = node({ sessionsPerPrincipal: 2 });
    const first = new TestClient({ durability }, "alice");
    await first.connect(it);
    await new TestClient({ durability }, "alice").connect(it);
    const third = new TestClient({ durability }, "alice");
    const peer = await third.dial(it);
    refused(peer, "too-many-sessions");
    assert.match(peer.of("refused")[0]!.detail, /holds 2 sessions of at most 2/);
    await new TestClient({ durability }, "bob").connect(it);
    first.peer!.send({ kind: "close", reason: "done", detail: "" });
    await settle();
    await third.connect(it);
    it.log.verify();
  });
}

Deno.test("a principal's sessions count on all nodes, parked ones too", async () => {
  const a = node({ sessionsPerPrincipal: 2 }, { parkAfter: 1_000 });
  const b = node({ sessionsPerPrincipal: 2 }, { store: a.store, clock: a.clock });
  const parked = new TestClient({}, "alice");
  await parked.connect(a);
  await parked.cut();
  await a.clock.advance(1_000);
  assert.equal(a.registry.size, 0);
  await new TestClient({}, "alice").connect(a);
  refused(await new TestClient({}, "alice").dial(b), "too-many-sessions");
  assert.equal((await a.rows(["principal"])).length, 2);
});

Deno.test("sessions that are asked for at the same time do not share one slot", async () => {
  const it = node({ sessionsPerPrincipal: 3 });
  const peers = Array.from({ length: 10 }, () => {
    const peer = new RawPeer(it);
    peer.send(newStart({ auth: "alice" }));
    return peer;
  });
  await settle();
  assert.equal(peers.filter((peer) => peer.of("established").length === 1).length, 3);
  for (const peer of peers.filter((peer) => peer.of("established").length === 0)) {
    refused(peer, "too-many-sessions");
  }
  it.log.verify();
});

Deno.test("credentials may set another number of sessions", async () => {
  const authenticator = new TestAuthenticator().grant("two", "alice", { limits: { sessions: 2 } });
  const it = node({ sessionsPerPrincipal: 1 }, { authenticator });
  await new TestClient({}, "two").connect(it);
  await new TestClient({}, "two").connect(it);
  refused(await new TestClient({}, "two").dial(it), "too-many-sessions");
});

// @rule handshake.challenge
Deno.test("a repeated start gets its session though that took the last slot", async () => {
  const it = node({ sessionsPerPrincipal: 1 });
  const client = new TestClient({}, "alice");
  client.acks = false;
  await client.connect(it);
  const { session } = client;
  await client.cut();
  client.session = null;
  const again = await client.dial(it);
  assert.equal(again.of("established")[0]?.session, session);
});

for (const parkAfter of [1_000, 3_600_000]) {
  Deno.test(`where it is set, the oldest detached session makes room (parked after ${parkAfter} ms)`, async () => {
    const it = node({ sessionsPerPrincipal: 3, supersedeOldest: true }, { parkAfter });
    const clients: TestClient[] = [];
    for (let i = 0; i < 3; i++) {
      const client = new TestClient({}, "alice");
      await client.connect(it);
      clients.push(client);
      await it.clock.advance(10);
    }
    const [attached, detached, younger] = clients as [TestClient, TestClient, TestClient];
    await younger.cut();
    await detached.cut();
    await it.clock.advance(1_000);
    await new TestClient({}, "alice").connect(it);
    assert.ok(attached.peer!.open);
    const told = await detached.dial(it);
    assert.match(told.of("refused")[0]?.detail ?? "", /^ended: superseded by a newer session/);
    assert.equal(told.closing?.code, 4501);
    await younger.connect(it);
    refused(await new TestClient({}, "alice").dial(it), "too-many-sessions");
  });
}

Deno.test("a node that holds all it may refuses new sessions and parked ones, and keeps what it has", async () => {
  const it = anonymousNode({ sessionsPerNode: 2 }, { parkAfter: 1_000 });
  const parked = new TestClient();
  await parked.connect(it);
  await parked.cut();
  await it.clock.advance(1_000);
  const [first, second] = [new TestClient(), new TestClient({ durability: "ephemeral" })];
  await first.connect(it);
  await second.connect(it);
  refused(await new TestClient().dial(it), "no-slots");
  refused(await new TestClient({ durability: "ephemeral" }).dial(it), "no-slots");
  refused(await parked.dial(it), "no-slots");
  await first.cut();
  await first.connect(it);
  second.peer!.send({ kind: "close", reason: "done", detail: "" });
  await settle();
  await parked.connect(it);
  it.log.verify();
});

Deno.test("what anonymous sessions store together is bounded, and a principal's sessions do not count", async () => {
  const slots = { anonymousBytes: 3 * SESSION_BYTES };
  const it = anonymousNode(slots);
  for (let i = 0; i < 3; i++) await new TestClient().connect(it);
  await it.clock.advance(10_000);
  await new TestClient().dial(it);
  await settle();
  refused(await new TestClient().dial(it), "no-slots");
  const principals = node(slots, { store: it.store, clock: it.clock });
  for (let i = 0; i < 5; i++) await new TestClient({}, "alice").connect(principals);
});

Deno.test("once anonymous sessions store too much, one that does not ack keeps only a little", async () => {
  const it = anonymousNode({ anonymousBytes: 256 * 1024 });
  const client = new TestClient({ windowBytes: 4 * 1024 * 1024, windowMessages: 1_000 });
  client.acks = false;
  const peer = await client.connect(it);
  peer.send({ kind: "ack", received: 0 });
  client.open();
  const body = new Uint8Array(60 * 1024);
  for (let i = 0; i < 12 && peer.of("end").length === 0; i++) {
    client.echo(body);
    await settle();
  }
  assert.deepEqual(peer.of("end").map(({ reason }) => reason), ["overloaded"]);
  const stored = it.registry.slots.anonymousBytes;
  assert.ok(stored > 256 * 1024 && stored < 512 * 1024, `${stored} bytes`);
  assert.ok(peer.open);
  it.log.verify();
});

const FROM = { address: "203.0.113.7", credentials: undefined };

Deno.test("one address makes only so many new sessions a second; others and resumes go on", async () => {
  const strangers = { ...DEFAULT_STRANGERS, handshakesPerAddress: 2, resumesPerAddress: 3 };
  const it = new TestNode({ strangers });
  const dial = (origin = FROM) => {
    const client = new TestClient();
    client.origin = origin;
    return { client, peer: client.dial(it) };
  };
  const { client } = dial();
  await dial().peer;
  const late = await dial().peer;
  refused(late, "rate-limited");
  assert.equal(late.of("refused")[0]?.retryAfter, 500);
  assert.equal((await dial({ ...FROM, address: "203.0.113.8" }).peer).of("established").length, 1);
  for (let i = 0; i < 3; i++) await client.connect(it);
  refused(await client.dial(it), "rate-limited");
  await it.clock.advance(500);
  assert.equal((await dial().peer).of("established").length, 1);
  await client.connect(it);
  it.log.verify();
});

Deno.test("an address whose resumes fail counts as new", async () => {
  const strangers = { ...DEFAULT_STRANGERS, handshakesPerAddress: 1 };
  const it = new TestNode({ strangers });
  const guess = async () => {
    const peer = new RawPeer(it, undefined, FROM);
    const resume = { session: "s".repeat(22), token: "t".repeat(43), received: 0, sent: 0 };
    peer.send(newStart({ resume }));
    await settle();
    return peer.of("refused")[0]?.reason;
  };
  for (let i = 0; i < FAILED_RESUMES; i++) assert.equal(await guess(), "unknown-session");
  assert.equal(await guess(), "unknown-session");
  assert.equal(await guess(), "rate-limited");
  it.log.verify();
});

// @rule handshake.first
for (const bounds of [{ conduits: 8 }, { silent: 8 }]) {
  Deno.test(`silent conduits are bounded by ${JSON.stringify(bounds)}: the one that was silent longest makes room, and who starts is served`, async () => {
    const it = new TestNode({ strangers: { ...DEFAULT_STRANGERS, ...bounds } });
    const silent: RawPeer[] = [];
    for (let i = 0; i < 100; i++) {
      silent.push(new RawPeer(it));
      await settle();
      assert.ok(it.registry.handshaking <= 8);
    }
    assert.equal(silent.filter((peer) => peer.open).length, 8);
    assert.deepEqual(silent[0]!.closing, { code: 4408, reason: "handshake-timeout" });
    assert.equal(silent[0]!.of("refused")[0]?.retryAfter, 1_000);
    const client = new TestClient();
    await client.connect(it);
    await it.clock.advance(10_000);
    assert.equal(silent.filter((peer) => peer.open).length, 0);
    assert.equal(it.registry.handshaking, 0);
    assert.ok(client.peer!.open);
    it.log.verify();
  });
}

Deno.test("where all the handshakes under way are being judged, a further one is refused", async () => {
  const authenticator = { authenticate: () => new Promise<never>(() => {}) };
  const it = new TestNode({ authenticator, strangers: { ...DEFAULT_STRANGERS, conduits: 2 } });
  for (let i = 0; i < 2; i++) {
    new RawPeer(it).send(newStart());
    await settle();
  }
  const late = new RawPeer(it);
  await settle();
  refused(late, "no-slots");
});

Deno.test("no path of refusal or ending leaves a slot, an index row, a link or a timer behind", async () => {
  const it = node({ sessionsPerPrincipal: 2, sessionsPerNode: 3 }, {
    sweeps: true,
    resumeWindow: 5_000,
    parkAfter: 1_000,
    strangers: { ...DEFAULT_STRANGERS, handshakesPerAddress: 50 },
  });
  const dial = async (client: TestClient) => {
    client.origin = FROM;
    await client.dial(it);
    return client;
  };
  const alices = [];
  for (let i = 0; i < 4; i++) alices.push(await dial(new TestClient({}, "alice")));
  await dial(new TestClient({ durability: "ephemeral" }, "bob"));
  await dial(new TestClient({}, "bob"));
  await dial(new TestClient({}, "mallory"));
  await dial(new TestClient({ windowMessages: 0 }, "alice"));
  new RawPeer(it);
  new RawPeer(it).send({ kind: "ping", nonce: 1 });
  const gone = new RawPeer(it);
  gone.send(newStart({ auth: "alice" }));
  gone.pipe.break();
  for (let i = 0; i < 60; i++) await dial(new TestClient({}, "alice"));
  const [first] = alices;
  first!.peer!.send({ kind: "volatile", connection: 1, body: new Uint8Array([0xc0]) }, newStart());
  await settle();
  for (const client of alices) await client.cut();
  await it.clock.advance(120_000);
  await it.clock.advance(120_000);
  assert.deepEqual(
    { sessions: it.registry.size, conduits: it.registry.conduits, handshaking: it.registry.handshaking },
    { sessions: 0, conduits: 0, handshaking: 0 },
  );
  assert.deepEqual([...it.registry.sessionsOf("alice"), ...it.registry.sessionsOf("bob")], []);
  assert.deepEqual(await it.rows(["principal"]), []);
  assert.deepEqual(await it.rows(["session"]), []);
  await new TestClient({}, "alice").connect(it);
  await it.sweeper.stop();
  await it.directory.stop();
});
