/** One session over many conduits of one node. */

import assert from "node:assert/strict";
import { settle } from "../support/fake_clock.ts";
import { TestClient } from "../support/raw_peer.ts";
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
