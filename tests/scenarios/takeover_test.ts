/** Two conduits, one session: which one has it, and from when on. */

import assert from "node:assert/strict";
import { FakeClock, settle } from "../support/fake_clock.ts";
import { FaultyStore } from "../support/faulty_store.ts";
import { plain, RawPeer, TestClient } from "../support/raw_peer.ts";
import { TestNode } from "../support/test_node.ts";
import { MemorySessionStore } from "../../src/storage/memory_session_store.ts";

async function attached(): Promise<
  { store: FaultyStore; clock: FakeClock; node: TestNode; client: TestClient }
> {
  const clock = new FakeClock();
  const store = new FaultyStore(new MemorySessionStore({ clock }));
  const node = new TestNode({ clock, store });
  const client = new TestClient();
  await client.connect(node);
  client.open();
  client.echo(0);
  await settle();
  return { store, clock, node, client };
}

// @rule resume.takeover
Deno.test("reconnect beats the server's notice of the break: the newer conduit takes over at once", async () => {
  const { node, client } = await attached();
  const older = client.peer!;
  older.pipe.stall();
  client.echo(1);
  const newer = await client.connect(node);
  await settle();
  assert.deepEqual(client.echoes, [0, 1]);
  assert.ok(newer.open);
  assert.deepEqual(client.faults, []);
});

// @rule resume.takeover
Deno.test("the older conduit is closed with 4510 only when the takeover is committed", async () => {
  const { node, client, store } = await attached();
  const older = client.peer!;
  store.failAtomics("hold");
  await client.dial(node);
  assert.ok(older.open);
  assert.ok(!client.ready);
  store.release();
  await settle();
  assert.deepEqual(older.closing, { code: 4510, reason: "superseded" });
  assert.ok(client.ready);
});

// @rule resume.takeover
Deno.test("nothing is read from the older conduit while the takeover is under way, and nothing is lost by that", async () => {
  const { node, client, store } = await attached();
  const older = client.peer!;
  const before = older.messages.length;
  store.failAtomics("hold");
  await client.dial(node);
  older.send(plain(client.sent + 1, "late, on the older conduit"), { kind: "ping", nonce: 5 });
  await settle();
  assert.equal(older.messages.length, before);
  store.release();
  await settle();
  client.echo("the same number, on the newer one");
  await settle();
  assert.deepEqual(client.echoes, [0, "the same number, on the newer one"]);
});

// @rule resume.takeover
Deno.test("the older conduit is closed also when the resuming one is gone by then", async () => {
  const { node, client, store } = await attached();
  const older = client.peer!;
  store.failAtomics("hold");
  const newer = await client.dial(node);
  newer.pipe.break();
  await settle();
  store.release();
  await settle();
  assert.equal(older.closing?.code, 4510);
  assert.equal(node.registry.find(client.session!)!.attached, false);
  client.echo(1);
  await client.connect(node);
  await settle();
  assert.deepEqual(client.echoes, [0, 1]);
  assert.deepEqual(client.faults, []);
});

// @rule resume.takeover
Deno.test("a late close of a replaced conduit does not detach the newer one", async () => {
  const { node, client } = await attached();
  const older = client.peer!;
  older.pipe.stall();
  const newer = await client.connect(node);
  older.pipe.break();
  await settle();
  assert.ok(node.registry.find(client.session!)!.attached);
  client.echo(1);
  await settle();
  assert.deepEqual(client.echoes, [0, 1]);
  assert.ok(newer.open);
});

// @rule resume.takeover
Deno.test("of several resumes at once the last one has the session and every other is closed", async () => {
  const { node, client } = await attached();
  const first = client.peer!;
  const start = client.start();
  const rivals = [new RawPeer(node), new RawPeer(node), new RawPeer(node)];
  for (const peer of rivals) peer.send(start);
  await settle();
  assert.equal(first.closing?.code, 4510);
  assert.equal(rivals[0]!.closing?.code, 4510);
  assert.equal(rivals[1]!.closing?.code, 4510);
  assert.ok(rivals[2]!.open);
  assert.equal(node.registry.conduits, 1);
});

// @rule resume.repeat
Deno.test("a conduit that broke while the store was read never becomes the session's", async () => {
  const { node, client, store, clock } = await attached();
  await client.cut();
  await clock.advance(11_000);
  assert.equal(node.registry.size, 0);
  store.failReads("hold");
  const gone = new RawPeer(node);
  gone.send(client.start());
  await settle();
  gone.pipe.break();
  await settle();
  store.release();
  await settle();
  assert.equal(node.registry.find(client.session!)?.attached ?? false, false);
  client.echo(1);
  await client.connect(node);
  await settle();
  assert.deepEqual(client.echoes, [0, 1]);
});

// @rule resume.repeat, resume.takeover
Deno.test("a handshake that broke while the store was read takes the session from nobody", async () => {
  const { node, client, store } = await attached();
  const holder = client.peer!;
  store.failReads("hold");
  const gone = new RawPeer(node);
  // Memory would refuse these counters, so the store is asked.
  const start = client.start();
  gone.send({ ...start, resume: { ...start.resume!, sent: client.sent - 1 } });
  await settle();
  gone.pipe.break();
  await settle();
  store.release();
  await settle();
  assert.ok(holder.open);
  assert.ok(node.registry.find(client.session!)!.attached);
});

// @rule resume.repeat
Deno.test("a conduit that breaks during the replay is followed by one that goes on where it stopped", async () => {
  const { node, client } = await attached();
  client.acks = false;
  for (let i = 1; i <= 200; i++) client.echo(i);
  await settle();
  client.acks = true;
  const before = client.echoes.length;
  await client.cut();
  // It forgets what it was not able to keep: as if only half of it had come.
  client.received -= 100;
  client.echoes.length = before - 100;
  for (let cut = 0; cut < 3; cut++) {
    const peer = await client.dial(node);
    const take = peer.behave;
    let left = 20;
    peer.behave = (message) => {
      if ("seq" in message && left-- === 0) peer.pipe.break();
      if (peer.open && left >= 0) take(message);
    };
    await settle();
    await client.cut();
  }
  await client.connect(node);
  await settle();
  assert.deepEqual(client.echoes, Array.from({ length: 201 }, (_, i) => i));
  assert.deepEqual(client.faults, []);
});

// @rule resume.exchange, delivery.window
Deno.test("a replay that is larger than a frame flows under the window, any length", async () => {
  const { node, client } = await attached();
  client.acks = false;
  const big = new Uint8Array(200_000);
  for (let i = 0; i < 20; i++) {
    client.echo(big);
    await settle();
  }
  await client.cut();
  client.acks = true;
  const peer = await client.connect(node);
  await settle();
  assert.equal(client.echoes.length, 21);
  assert.deepEqual(client.faults, []);
  assert.ok(peer.open);
});
