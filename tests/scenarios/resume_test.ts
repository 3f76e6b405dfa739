/** One session over many conduits of one node. */

import assert from "node:assert/strict";
import { settle } from "../support/fake_clock.ts";
import { plain, TestClient } from "../support/raw_peer.ts";
import { TestNode } from "../support/test_node.ts";

// @rule delivery.sequence
Deno.test("a new session opens a connection and gets its message back", async () => {
  const node = new TestNode();
  const client = new TestClient();
  const peer = await client.connect(node);
  client.open();
  client.echo("hello");
  await settle();
  assert.deepEqual(client.echoes, ["hello"]);
  assert.equal(peer.of("established")[0]!.resumed, false);
  assert.deepEqual(client.faults, []);
  node.log.verify();
});

// @rule resume.repeat, resume.exchange
Deno.test("resume works any number of times", async () => {
  const node = new TestNode();
  const client = new TestClient();
  await client.connect(node);
  client.open();
  for (let i = 0; i < 30; i++) {
    client.echo(2 * i);
    await settle();
    await client.cut();
    client.echo(2 * i + 1);
    const peer = await client.connect(node, i % 2 === 0 ? "holdfast.v1.json" : "holdfast.v1.msgpack");
    await settle();
    assert.equal(peer.of("established")[0]!.resumed, true);
  }
  assert.deepEqual(client.echoes, Array.from({ length: 60 }, (_, i) => i));
  assert.deepEqual(client.faults, []);
  assert.equal(node.registry.size, 1);
  node.log.verify();
});

// @rule delivery.dedupe, resume.exchange
Deno.test("messages that a client sends again, because it does not know better, are taken once", async () => {
  const node = new TestNode();
  const client = new TestClient();
  await client.connect(node);
  client.open();
  client.echo("a");
  client.echo("b");
  const everything = [...client.unacked];
  await settle();
  client.peer!.send(...everything, ...everything);
  await settle();
  assert.deepEqual(client.echoes, ["a", "b"]);
  await client.cut();
  await client.connect(node);
  client.peer!.send(...everything);
  client.echo("c");
  await settle();
  assert.deepEqual(client.echoes, ["a", "b", "c"]);
  assert.deepEqual(client.faults, []);
});

// @rule resume.exchange
Deno.test("a resume tells the client what the server has, and the server sends what the client lacks, first and in order", async () => {
  const node = new TestNode();
  const client = new TestClient();
  await client.connect(node);
  client.open();
  client.acks = false;
  for (let i = 0; i < 5; i++) client.echo(i);
  await settle();
  await client.cut();
  // It was able to keep only the first three of the six.
  client.received = 3;
  client.echoes.length = 2;
  client.acks = true;
  client.echo(5);
  const peer = await client.connect(node);
  await settle();
  const [{ received, sent } = assert.fail()] = peer.of("established");
  assert.deepEqual({ received, sent }, { received: 6, sent: 6 });
  assert.deepEqual(peer.messages.flatMap((m) => "seq" in m ? [m.seq] : []), [4, 5, 6, 7]);
  assert.deepEqual(client.echoes, [0, 1, 2, 3, 4, 5]);
  assert.deepEqual(client.faults, []);
});

// @rule frame.batch
Deno.test("what a turn produced leaves in one frame: the ack, then the echoes", async () => {
  const node = new TestNode();
  const client = new TestClient();
  const peer = await client.connect(node);
  client.open();
  await settle();
  const frames: string[][] = [];
  const onFrame = peer.onFrame.bind(peer);
  peer.onFrame = (frame) => {
    const from = peer.messages.length;
    onFrame(frame);
    frames.push(peer.messages.slice(from).map(({ kind }) => kind));
  };
  peer.send(...[1, 2, 3].map((i) => plain(client.sent + i, i)));
  client.sent += 3;
  await settle();
  assert.deepEqual(frames, [["ack", "message", "message", "message"]]);
});

// @rule resume.repeat
Deno.test("a resume of a live session is never refused for being connected, nor made to wait", async () => {
  const node = new TestNode();
  const client = new TestClient();
  for (let i = 0; i < 5; i++) {
    const older = client.peer;
    older?.pipe.stall();
    await client.connect(node);
    if (i === 0) client.open();
    client.echo(i);
    await settle();
  }
  assert.deepEqual(client.echoes, [0, 1, 2, 3, 4]);
  assert.equal(node.clock.now(), new TestNode().clock.now(), "no time passed");
});
