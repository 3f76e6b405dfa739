/** A node lets go of its sessions over a window, and can be told not to. */

import assert from "node:assert/strict";
import { MemorySessionStore } from "../../src/storage/memory_session_store.ts";
import { FakeClock, settle } from "../support/fake_clock.ts";
import { newStart, RawPeer, TestClient } from "../support/raw_peer.ts";
import { TestNode } from "../support/test_node.ts";

async function nodeWith(count: number): Promise<{ node: TestNode; clients: TestClient[]; peers: RawPeer[] }> {
  const clock = new FakeClock();
  const node = new TestNode({ clock, store: new MemorySessionStore({ clock }) });
  const clients = Array.from({ length: count }, () => new TestClient());
  const peers: RawPeer[] = [];
  for (const client of clients) {
    peers.push(await client.connect(node));
    client.open();
  }
  await settle();
  return { node, clients, peers };
}

const asked = (peers: readonly RawPeer[]) => peers.filter((peer) => peer.of("goaway").length > 0).length;

// @rule end.goaway
Deno.test("clients are asked to move at different moments of the window, and closed with 4400 at its end", async () => {
  const { node, peers } = await nodeWith(8);
  const done = node.registry.drain({ window: 10_000 });
  await settle();
  assert.equal(node.registry.draining, true);
  assert.equal(asked(peers), 1);
  const moments: number[] = [asked(peers)];
  for (let second = 1; second <= 8; second++) {
    await node.clock.advance(1_000);
    moments.push(asked(peers));
  }
  assert.deepEqual(moments, [1, 2, 3, 4, 5, 6, 7, 8, 8]);
  for (const peer of peers) {
    assert.equal(peer.of("goaway").length, 1);
    assert.equal(peer.of("goaway")[0]!.reason, "draining");
    assert.ok(peer.of("goaway")[0]!.after > 0 && peer.of("goaway")[0]!.after <= 2_000);
    assert.ok(peer.open);
  }
  await node.clock.advance(2_000);
  await done;
  for (const peer of peers) assert.deepEqual(peer.closing, { code: 4400, reason: "draining" });
  assert.equal(node.registry.conduits, 0);
  node.log.verify();
});

// @rule end.goaway
// @rule resume.anywhere
Deno.test("messages flow while a node drains, and it is over as soon as all have moved on, with nothing lost", async () => {
  const { node, clients, peers } = await nodeWith(3);
  const other = new TestNode({ clock: node.clock, store: node.store });
  let over = false;
  const done = node.registry.drain({ window: 60_000 }).then(() => over = true);
  await settle();
  for (const [index, client] of clients.entries()) {
    client.echo(`on the draining node ${index}`);
    await settle();
    assert.equal(over, false);
    await client.connect(other);
    // The old node learns of it by its sweep.
    await node.sweeper.sweep();
    client.echo(`on the other node ${index}`);
    await settle();
  }
  await node.clock.advance(100);
  await done;
  for (const [index, client] of clients.entries()) {
    assert.deepEqual(client.echoes, [`on the draining node ${index}`, `on the other node ${index}`]);
    assert.deepEqual(client.faults, []);
    assert.equal(peers[index]!.closing?.code, 4510);
  }
  node.log.verify();
  other.log.verify();
});

// @rule end.goaway
Deno.test("a drain that is taken back asks and closes nobody else, and handshakes are taken again", async () => {
  const { node, clients, peers } = await nodeWith(4);
  const done = node.registry.drain({ window: 10_000 });
  await node.clock.advance(2_500);
  assert.equal(asked(peers), 2);
  const refused = new RawPeer(node);
  refused.send(newStart());
  await settle();
  assert.equal(refused.of("refused")[0]?.reason, "draining");

  node.registry.undrain();
  await done;
  assert.equal(node.registry.draining, false);
  await node.clock.advance(20_000);
  assert.equal(asked(peers), 2);
  for (const peer of peers) assert.ok(peer.open);
  await new TestClient().connect(node);
  clients[0]!.echo("still here");
  await settle();
  assert.deepEqual(clients[0]!.echoes, ["still here"]);

  // Drained once more, those that were asked before and stayed are not asked again.
  await node.registry.drain();
  for (const peer of peers) {
    assert.equal(peer.of("goaway").length, 1);
    assert.equal(peer.closing?.code, 4400);
  }
  node.log.verify();
});

// @rule end.goaway
Deno.test("a second drain makes the window shorter, never longer, and asks nobody twice", async () => {
  const { node, peers } = await nodeWith(6);
  const first = node.registry.drain({ window: 60_000 });
  await settle();
  const longer = node.registry.drain({ window: 600_000 });
  await node.clock.advance(10_000);
  const before = asked(peers);
  assert.ok(before >= 1 && before < 6, `${before}`);
  const shorter = node.registry.drain({ window: 1_000 });
  await node.clock.advance(1_000);
  await Promise.all([first, longer, shorter]);
  for (const peer of peers) {
    assert.equal(peer.of("goaway").length, 1);
    assert.equal(peer.closing?.code, 4400);
  }
  node.log.verify();
});

Deno.test("a node that nobody is attached to is drained at once", async () => {
  const { node, clients } = await nodeWith(2);
  for (const client of clients) await client.cut();
  await node.registry.drain({ window: 60_000 });
  assert.equal(node.registry.draining, true);
  node.log.verify();
});
