/** How sessions end: on time, once, with the reason told to whoever may know it. */

import assert from "node:assert/strict";
import { MemorySessionStore } from "../../src/storage/memory_session_store.ts";
import { FakeClock, settle } from "../support/fake_clock.ts";
import { FaultyStore } from "../support/faulty_store.ts";
import { type RawPeer, TestClient } from "../support/raw_peer.ts";
import { TestNode, type TestNodeOptions } from "../support/test_node.ts";

const WINDOW = 60_000;

async function opened(
  node: TestNode,
  settings?: ConstructorParameters<typeof TestClient>[0],
): Promise<TestClient> {
  const client = new TestClient(settings);
  await client.connect(node);
  client.open();
  client.echo(0);
  await settle();
  return client;
}

/** Answers pings from now on, so that time can pass. */
function keepAlive(peer: RawPeer): void {
  const take = peer.behave;
  peer.behave = (message) => {
    if (message.kind === "ping") peer.send({ kind: "pong", nonce: message.nonce });
    take(message);
  };
}

async function stopped(...nodes: TestNode[]): Promise<void> {
  for (const node of nodes) {
    await node.sweeper.stop();
    await node.directory.stop();
  }
}

async function toldOnResume(node: TestNode, client: TestClient): Promise<string | undefined> {
  const peer = await client.dial(node);
  return peer.of("refused")[0]?.reason;
}

function shared(
  options: TestNodeOptions = {},
): { clock: FakeClock; store: FaultyStore; node: () => TestNode } {
  const clock = new FakeClock();
  const store = new FaultyStore(new MemorySessionStore({ clock }));
  return {
    clock,
    store,
    node: () => new TestNode({ resumeWindow: WINDOW, sweeps: true, ...options, clock, store }),
  };
}

// @rule end.close
Deno.test("closing is not echoed, is confirmed when it is committed, and is remembered with its reason", async () => {
  const { store, node: start } = shared();
  const node = start();
  const client = await opened(node);
  const peer = client.peer!;
  store.failAtomics("hold");
  peer.send({ kind: "close", reason: "done", detail: "all of it" });
  await settle();
  assert.ok(peer.open);
  store.release();
  await settle();
  assert.equal(peer.closing?.code, 1000);
  assert.deepEqual(peer.of("close"), []);
  assert.equal(node.registry.size, 0);
  const later = await client.dial(node);
  assert.equal(later.of("refused")[0]?.reason, "closed");
  assert.match(later.of("refused")[0]!.detail, /done: all of it/);
  assert.equal(later.closing?.code, 4501);
  await stopped(node);
});

// @rule end.close
Deno.test("a client that repeats its close after a break is told closed", async () => {
  const { node: start } = shared();
  const node = start();
  const client = await opened(node);
  client.peer!.send({ kind: "close", reason: "done", detail: "" });
  client.peer!.pipe.break();
  await settle();
  await settle();
  const peer = await client.dial(node);
  if (peer.of("established").length === 1) {
    peer.send({ kind: "close", reason: "done", detail: "" });
    await settle();
    assert.equal(peer.closing?.code, 1000);
  }
  assert.equal(await toldOnResume(node, client), "closed");
  await stopped(node);
});

// @rule end.close
Deno.test("a WebSocket that closes with any ordinary code is a break, and the session goes on", async () => {
  const { node: start } = shared();
  const node = start();
  const client = await opened(node);
  let number = 1;
  for (const code of [1000, 1001, 1006, 1011, 1012, 4000, 4400]) {
    client.ready = false;
    client.peer!.close(code);
    await settle();
    await client.connect(node);
    client.echo(number++);
    await settle();
  }
  assert.equal(client.echoes.length, number);
  await stopped(node);
});

// @rule end.close
Deno.test("a close with the longest detail that is taken is told to a later resume within what a side may send", async () => {
  const { node: start } = shared();
  const node = start();
  const client = await opened(node);
  client.peer!.send({ kind: "close", reason: "r".repeat(256), detail: "\u{1f600}".repeat(2048) });
  await settle();
  const peer = await client.dial(node);
  const [refused] = peer.of("refused");
  assert.equal(refused?.reason, "closed");
  assert.ok(refused!.detail.length <= 512);
  await stopped(node);
});

// @rule end.close
Deno.test("how a session ended is told only to a holder of its token, and forgotten after the resume window", async () => {
  const { node: start, clock } = shared();
  const node = start();
  const client = await opened(node);
  client.peer!.send({ kind: "close", reason: "done", detail: "" });
  await settle();
  const { token } = client;
  client.token = "x".repeat(43);
  assert.equal(await toldOnResume(node, client), "unknown-session");
  client.token = token;
  await clock.advance(WINDOW - 1_000);
  assert.equal(await toldOnResume(node, client), "closed");
  await clock.advance(3_000);
  assert.equal(await toldOnResume(node, client), "unknown-session");
  for (const kind of ["session", "deadline", "attached", "connection", "outbox"]) {
    assert.deepEqual(await node.rows([kind]), [], kind);
  }
  await stopped(node);
});

for (const durability of ["durable", "ephemeral"] as const) {
  for (const parkAfter of [1_000, 10 * WINDOW]) {
    // @rule resume.window
    Deno.test(`a detached ${durability} session (parked after ${parkAfter} ms) expires on time, without any traffic`, async () => {
      const { node: start, clock } = shared({ parkAfter });
      const node = start();
      const early = await opened(node, { durability });
      const late = await opened(node, { durability });
      await early.cut();
      await late.cut();
      await clock.advance(WINDOW - 10);
      await early.connect(node);
      await settle();
      await early.cut();
      await clock.advance(2_000);
      assert.equal(await toldOnResume(node, late), "expired");
      early.echo(1);
      await early.connect(node);
      await settle();
      assert.deepEqual(early.echoes, [0, 1]);
      assert.equal(node.registry.size, 1);
      await stopped(node);
    });
  }
}

// @rule resume.window
Deno.test("a sweeper that only runs on traffic would leave this: expired sessions go without anybody asking", async () => {
  const { node: start, clock } = shared({ parkAfter: 1_000 });
  const node = start();
  for (let i = 0; i < 25; i++) await (await opened(node)).cut();
  await clock.advance(WINDOW + 3_000);
  assert.equal(node.registry.size, 0);
  assert.equal((await node.rows(["deadline"])).length, 25, "what is left are tombstones");
  assert.deepEqual(await node.rows(["connection"]), []);
  await clock.advance(WINDOW + 3_000);
  assert.deepEqual(await node.rows(["session"]), []);
  assert.deepEqual(await node.rows(["deadline"]), []);
  await stopped(node);
});

// @rule resume.window
Deno.test("the sessions of a lost node wait their window from the node's last sign of life", async () => {
  const { node: start, clock } = shared();
  const [a, b] = [start(), start()];
  const comes = await opened(a);
  const stays = await opened(a);
  await clock.advance(20_000);
  keepAlive(comes.peer!);
  await a.crash();
  await clock.advance(40_000);
  assert.equal((await b.rows(["attached", a.boot])).length, 0, "b has released them");
  comes.echo(1);
  await comes.connect(b);
  await settle();
  assert.deepEqual(comes.echoes, [0, 1]);
  keepAlive(comes.peer!);
  await clock.advance(40_000);
  assert.equal(await toldOnResume(b, stays), "expired");
  assert.equal((await b.rows(["node"])).length, 1, "the lost node's own row is gone too");
  await stopped(b);
});

Deno.test("a node that could not write its directory row yet keeps its sessions", async () => {
  const { node: start, clock, store } = shared();
  const b = start();
  await clock.advance(21_000);
  const a = new TestNode({ clock, store });
  const client = await opened(a);
  await clock.advance(6_000);
  a.directory.start();
  await clock.advance(16_000);
  assert.deepEqual(await b.rows(["attached", a.boot]), [`attached/${a.boot}/${client.session}`]);
  client.echo(1);
  await settle();
  assert.deepEqual(client.echoes, [0, 1]);
  assert.ok(client.peer!.open);
  await a.crash();
  await clock.advance(40_000);
  assert.deepEqual(await b.rows(["attached"]), []);
  await stopped(b);
});

// @rule resume.window
Deno.test("the sessions of a process without a directory row are released in the end", async () => {
  const { node: start, clock, store } = shared();
  const a = new TestNode({ clock, store });
  const client = await opened(a);
  await a.crash();
  const b = start();
  await clock.advance(45_000);
  assert.deepEqual(await b.rows(["attached"]), []);
  client.echo(1);
  await client.connect(b);
  await settle();
  assert.deepEqual(client.echoes, [0, 1]);
  await stopped(b);
});

Deno.test("a store that was away makes all rows look old, and nobody is judged by that", async () => {
  const { node: start, clock, store } = shared();
  const [a, b] = [start(), start()];
  const clients = [await opened(a), await opened(b)];
  for (const client of clients) keepAlive(client.peer!);
  await clock.advance(20_000);
  store.away = true;
  await clock.advance(120_000);
  store.away = false;
  await clock.advance(60_000);
  for (const client of clients) {
    assert.ok(client.peer!.open);
    client.echo(1);
    await settle();
    assert.deepEqual(client.echoes, [0, 1]);
  }
  await stopped(a, b);
});

// @rule end.idle
Deno.test("a session in which nothing moves ends idle on time, attached or parked, and the peer is told", async () => {
  const { node: start, clock } = shared({ idleTimeout: 30_000, parkAfter: 1_000 });
  const node = start();
  const attached = await opened(node);
  keepAlive(attached.peer!);
  const parked = await opened(node);
  await parked.cut();
  await clock.advance(29_000);
  assert.ok(attached.peer!.open);
  await clock.advance(2_500);
  assert.equal(attached.peer!.of("close")[0]?.reason, "idle");
  assert.equal(attached.peer!.closing?.code, 4502);
  assert.equal(await toldOnResume(node, parked), "closed");
  assert.equal(node.registry.size, 0);
  await stopped(node);
});

// @rule end.idle
Deno.test("a write-only session is not idle: both directions count, pings and acks do not", async () => {
  let tell = () => {};
  const ticker = {
    name: "ticker",
    onOpen: (connection: { send(body: Uint8Array): void }) => {
      tell = () => connection.send(new Uint8Array([1]));
    },
    onMessage: () => {},
  };
  const { node: start, clock } = shared({ idleTimeout: 30_000, services: [ticker] });
  const node = start();
  const client = new TestClient();
  await client.connect(node);
  keepAlive(client.peer!);
  client.say({ kind: "open", connection: 1, service: "ticker" });
  for (let i = 0; i < 5; i++) {
    await clock.advance(20_000);
    tell();
  }
  assert.ok(client.peer!.open);
  for (let i = 0; i < 5; i++) {
    await clock.advance(20_000);
    client.echo(i);
  }
  assert.ok(client.peer!.open);
  await clock.advance(31_000);
  assert.equal(client.peer!.of("close")[0]?.reason, "idle");
  await stopped(node);
});

// @rule keepalive.ping
Deno.test("a conduit that no longer answers is given up, and its session resumes", async () => {
  const { node: start, clock } = shared();
  const node = start();
  const client = await opened(node);
  const peer = client.peer!;
  await clock.advance(26_000);
  assert.equal(peer.of("ping").length, 1);
  peer.send({ kind: "pong", nonce: peer.of("ping")[0]!.nonce + 1 });
  await clock.advance(10_000);
  assert.deepEqual(peer.closing, { code: 4409, reason: "keepalive-timeout" });
  client.echo(1);
  await client.connect(node);
  await settle();
  assert.deepEqual(client.echoes, [0, 1]);
  await stopped(node);
});

// @rule keepalive.ping
Deno.test("the server answers a ping with its nonce, at once", async () => {
  const { node: start } = shared();
  const node = start();
  const client = await opened(node);
  client.peer!.send({ kind: "ping", nonce: 77 });
  await settle();
  assert.deepEqual(client.peer!.of("pong").map(({ nonce }) => nonce), [77]);
  await stopped(node);
});

// @rule end.protocol
Deno.test("a protocol error ends its own session with the rule's id, and nobody else's", async () => {
  const { node: start } = shared();
  const node = start();
  const bystander = await opened(node);
  const cases: [string, (peer: RawPeer, client: TestClient) => void][] = [
    ["delivery.gap", (_, client) => {
      client.sent++;
      client.echo("gap");
    }],
    ["delivery.ack", (peer) => peer.send({ kind: "ack", received: 99 })],
    ["frame.batch", (peer) => peer.sendFrame("text")],
    ["frame.batch", (peer) => peer.sendFrame(new Uint8Array([0x94]))],
    ["frame.unknown", (peer) => peer.sendFrame(new Uint8Array([0x93, 99, 3, 1]))],
    ["handshake.first", (peer) => peer.send({ kind: "goaway", reason: "no", after: 1 })],
  ];
  for (const [rule, offend] of cases) {
    const client = await opened(node);
    offend(client.peer!, client);
    await settle();
    const [close] = client.peer!.of("close");
    assert.equal(close?.reason, "protocol-error", rule);
    assert.ok(close!.detail.startsWith(rule), `${close!.detail} for ${rule}`);
    assert.equal(client.peer!.closing?.code, 4500);
    assert.equal(await toldOnResume(node, client), "closed");
  }
  bystander.echo(1);
  await settle();
  assert.deepEqual(bystander.echoes, [0, 1]);
  assert.equal(node.registry.size, 1);
  await stopped(node);
});

// @rule end.close
Deno.test("a session that is ended while a resume is under way refuses that resume with the reason", async () => {
  const { node: start, store } = shared();
  const node = start();
  const client = await opened(node);
  store.failAtomics("hold");
  const peer = await client.dial(node);
  node.registry.find(client.session!)!.end("ended", "by a test");
  await settle();
  store.release();
  await settle();
  assert.deepEqual(peer.messages.map(({ kind }) => kind), ["refused"]);
  assert.equal(peer.of("refused")[0]?.reason, "ended");
  assert.equal(peer.closing?.code, 4502);
  assert.equal(node.registry.size, 0);
  await stopped(node);
});

Deno.test("gauges are derived: after any ending no session, conduit or timer is counted", async () => {
  const { node: start, clock } = shared({ sweeps: false });
  const node = start();
  for (let i = 0; i < 10; i++) {
    const client = await opened(node, i % 2 === 0 ? { durability: "ephemeral" } : undefined);
    if (i < 4) client.peer!.send({ kind: "close", reason: "x", detail: "" });
    else if (i < 6) client.peer!.send({ kind: "ack", received: 1000 });
    else if (i < 8) node.registry.find(client.session!)!.end("ended", "x");
    else client.peer!.pipe.break();
    await settle();
  }
  await clock.advance(WINDOW + 1);
  assert.equal(node.registry.size, 0);
  assert.equal(node.registry.conduits, 0);
  assert.equal(node.timers, 0);
  assert.equal(clock.pending, 0);
});

Deno.test("leftovers that appear under a tombstone while it is swept do not keep the sweeper busy for ever", async () => {
  const { node: start, clock, store } = shared({ sweeps: false });
  const node = start();
  const client = await opened(node);
  client.peer!.send({ kind: "close", reason: "x", detail: "" });
  await settle();
  const session = client.session!;
  const core = ["session", session];
  await clock.advance(WINDOW + 1_000);
  // Another sweeper rewrites the tombstone between this one's read and its deletion.
  let lists = 0;
  await store.atomic({
    checks: [],
    puts: [{ key: ["outbox", session, 9, 9, 0], value: new Uint8Array(1) }],
    deletes: [],
  });
  store.onAtomic = (atomic) => {
    if (atomic.checks.length > 0 && ++lists > 50) throw new Error("the sweeper goes round and round");
  };
  const [tombstone] = await store.get([core]);
  const get = store.get.bind(store);
  store.get = async (keys) => {
    const found = await get(keys);
    await store.atomic({ checks: [], puts: [{ key: core, value: tombstone!.value }], deletes: [] });
    return found;
  };
  await node.sweeper.sweep();
  assert.ok(lists > 0 && lists < 10);
});
