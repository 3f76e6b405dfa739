/** Windows and bounds: what a session may keep, and what a client that does not take its messages costs. */

import assert from "node:assert/strict";
import { encodeBody } from "../../src/protocol/body.ts";
import type { Service } from "../../src/service/service.ts";
import { echo } from "../../src/service/echo.ts";
import { settle } from "../support/fake_clock.ts";
import { TestClient } from "../support/raw_peer.ts";
import { TestNode, type TestNodeOptions } from "../support/test_node.ts";

async function opened(
  options: TestNodeOptions = {},
  settings?: ConstructorParameters<typeof TestClient>[0],
): Promise<{ node: TestNode; client: TestClient }> {
  const node = new TestNode(options);
  const client = new TestClient(settings);
  await client.connect(node);
  client.open();
  await settle();
  return { node, client };
}

/** Sends this many messages for each one it is told. */
function fountain(count: number, body: Uint8Array): Service {
  return {
    name: "fountain",
    onMessage: (connection) => {
      for (let i = 0; i < count; i++) connection.send(body);
    },
  };
}

for (const durability of ["durable", "ephemeral"] as const) {
  // @rule delivery.window, delivery.ack-free
  Deno.test(`the server stops at the ${durability} client's window, acks all the same, and goes on after an ack`, async () => {
    const { client } = await opened({}, { durability, windowMessages: 10 });
    client.acks = false;
    const peer = client.peer!;
    for (let i = 0; i < 25; i++) {
      client.echo(i);
      await settle();
    }
    // The accept is acked; ten more may be under way.
    assert.equal(client.received, 11);
    assert.ok(client.faults.length === 0);
    peer.send({ kind: "ack", received: 5 });
    await settle();
    assert.equal(client.received, 15);
    for (let acked = 15; acked <= 26; acked += 5) {
      peer.send({ kind: "ack", received: Math.min(acked, client.received) });
      await settle();
    }
    assert.deepEqual(client.echoes, Array.from({ length: 25 }, (_, i) => i));
    assert.ok(peer.open);
  });
}

// @rule delivery.window
Deno.test("the server stops at the client's bytes, and one body fits any window", async () => {
  const { client } = await opened({}, { windowBytes: 1024 * 1024 });
  client.acks = false;
  for (let i = 0; i < 6; i++) {
    client.echo(new Uint8Array(300_000));
    await settle();
  }
  assert.equal(client.echoes.length, 3);
  client.peer!.send({ kind: "ack", received: client.received });
  await settle();
  assert.equal(client.echoes.length, 6);
  assert.deepEqual(client.faults, []);
});

// @rule delivery.window
Deno.test("a replay counts: it waits for the window as everything does", async () => {
  const { client, node } = await opened({}, { windowMessages: 4 });
  client.acks = false;
  for (let i = 0; i < 12; i++) {
    client.echo(i);
    await settle();
  }
  await client.cut();
  const received = client.received;
  const peer = await client.connect(node);
  await settle();
  assert.equal(client.received, received + 4);
  peer.send({ kind: "ack", received: client.received });
  await settle();
  assert.equal(client.received, received + 8);
  assert.deepEqual(client.faults, []);
});

// @rule delivery.window
Deno.test("a client that sends beyond the server's window is in protocol error", async () => {
  const { client } = await opened({ limits: { windowMessages: 8 } });
  const burst = Array.from({ length: 9 }, (_, i) => ({
    seq: client.sent + 1 + i,
    payload: { kind: "message", connection: 1, body: encodeBody(i) } as const,
  }));
  client.peer!.send(...burst);
  await settle();
  assert.match(client.peer!.of("close")[0]!.detail, /^delivery\.window/);
  assert.equal(client.peer!.closing?.code, 4500);
});

// @rule delivery.ack
Deno.test("one-way traffic is acked by itself: after 64 messages, 64 KiB or 50 ms, whichever is first", async () => {
  const silent: Service = { name: "silent", onMessage: () => {} };
  const node = new TestNode({ services: [silent] });
  const client = new TestClient();
  const peer = await client.connect(node);
  client.say({ kind: "open", connection: 1, service: "silent" });
  await settle();
  await node.clock.advance(60);
  const acked = () => peer.of("ack").at(-1)?.received ?? 0;
  client.echo("one");
  await node.clock.advance(49);
  assert.equal(acked(), 1);
  await node.clock.advance(1);
  assert.equal(acked(), 2);
  for (let i = 0; i < 64; i++) client.echo(i);
  await settle();
  assert.equal(acked(), 66);
  client.echo(new Uint8Array(65 * 1024));
  await settle();
  assert.equal(acked(), 67);
  assert.deepEqual(client.unacked, []);
});

// @rule frame.cost
Deno.test("a body of the largest size comes back, and one byte more is a protocol error", async () => {
  const { client } = await opened();
  // A binary of this length takes five bytes of header.
  client.echo(new Uint8Array(512 * 1024 - 5).fill(7));
  await settle();
  assert.equal((client.echoes[0] as Uint8Array).length, 512 * 1024 - 5);
  client.echo(new Uint8Array(512 * 1024 - 4));
  await settle();
  assert.match(client.peer!.of("close")[0]!.detail, /^frame\.cost/);
});

for (const durability of ["durable", "ephemeral"] as const) {
  // @rule delivery.bounded
  Deno.test(`a session is not destroyed by a full buffer: its piling ${durability} connection ends overloaded, the rest lives`, async () => {
    const services = [fountain(10, encodeBody(new Uint8Array(100_000))), echo];
    const { client, node } = await opened({ services, limits: { storedBytes: 2 * 1024 * 1024 } }, {
      durability,
    });
    client.say({ kind: "open", connection: 3, service: "fountain" });
    client.acks = false;
    for (let i = 0; i < 8; i++) {
      client.echo(i, 3);
      await settle();
    }
    const { retainedBytes } = node.registry.find(client.session!)!.state.delivery;
    assert.ok(retainedBytes <= 2 * 1024 * 1024 + 64 * 1024, `${retainedBytes} bytes`);
    client.acks = true;
    client.peer!.send({ kind: "ack", received: client.received });
    await settle();
    const end = client.peer!.messages.findLast((message) => message.kind === "end");
    assert.equal(end?.kind === "end" && end.reason, "overloaded");
    assert.equal(end?.kind === "end" && end.connection, 3);
    client.echo("the other connection");
    await settle();
    assert.equal(client.echoes.at(-1), "the other connection");
    assert.deepEqual(client.faults, []);
    assert.ok(client.peer!.open);
  });
}

// @rule delivery.bounded
Deno.test("control replies that nobody takes are bounded too: that client is in protocol error", async () => {
  const { client, node } = await opened({ limits: { storedBytes: 1024 } });
  client.acks = false;
  const peer = client.peer!;
  let number = 3;
  for (let round = 0; round < 60 && peer.open; round++) {
    for (let i = 0; i < 50; i++, number += 2) {
      client.say({ kind: "open", connection: number, service: "nobody-serves-this" });
    }
    await settle();
  }
  assert.match(peer.of("close")[0]!.detail, /^delivery\.bounded/);
  assert.equal(peer.closing?.code, 4500);
  assert.equal(node.registry.size, 0);
});

// @rule delivery.bounded
Deno.test("a client that acks everything it held back in one ack keeps its session, however much that was", async () => {
  const { client, node } = await opened({}, { windowMessages: 2_000, windowBytes: 16 * 1024 * 1024 });
  client.acks = false;
  // Each commit spills a segment of its own; then one ack makes all of them superfluous.
  for (let i = 0; i < 950; i++) {
    client.echo(new Uint8Array(8_300));
    await settle();
  }
  const { delivery } = node.registry.find(client.session!)!.state;
  assert.ok(delivery.retainedBytes > 7_800_000, `${delivery.retainedBytes} bytes are retained`);
  client.peer!.send({ kind: "ack", received: client.received });
  await settle();
  assert.equal(client.echoes.length, 950);
  assert.deepEqual(client.faults, []);
  assert.ok(client.peer!.open);
  assert.equal((await node.rows(["outbox"])).length, 0);
  node.log.verify();
});

// @rule delivery.bounded, resume.exchange
Deno.test("all that a session may keep is in the store and comes back from it", async () => {
  const { client, node } = await opened();
  client.acks = false;
  const sent: number[] = [];
  for (let i = 0; i < 15; i++) {
    client.echo(new Uint8Array(500_000).fill(i));
    sent.push(i);
    await settle();
  }
  await node.crash();
  const other = new TestNode({ clock: node.clock, store: node.store });
  client.acks = true;
  await client.connect(other);
  for (let i = 0; i < 20; i++) await settle();
  assert.deepEqual(client.echoes.map((body) => (body as Uint8Array)[0]), sent);
  assert.deepEqual(client.faults, []);
  assert.equal((await other.rows(["outbox"])).length, 0);
  other.log.verify();
});

// @rule delivery.ack-free
Deno.test("two full windows do not wait for each other", async () => {
  const { client, node } = await opened({ limits: { windowMessages: 4 } }, { windowMessages: 4 });
  client.acks = false;
  for (let i = 0; i < 12; i++) {
    client.echo(i);
    await node.clock.advance(60);
  }
  // The client's window is full, and yet everything it sent is acked.
  assert.equal(client.echoes.length, 4);
  assert.deepEqual(client.unacked, []);
});

// @rule delivery.bounded
Deno.test("connections that were opened and ended leave nothing behind in memory, however many there were", async () => {
  for (const durability of ["durable", "ephemeral"] as const) {
    const { client, node } = await opened({}, { durability });
    for (let connection = 3; connection < 203; connection += 2) {
      client.open(connection);
      client.echo(connection, connection);
      client.say({ kind: "end", connection, reason: "done" });
      await settle();
    }
    assert.equal(client.echoes.length, 100);
    const { mux, changedConnections, work, heldOf } = node.registry.find(client.session!)!.state;
    assert.deepEqual(
      [mux.connections.size, changedConnections.size, work.size, heldOf.size],
      [1, 0, 0, 0],
      durability,
    );
  }
});
