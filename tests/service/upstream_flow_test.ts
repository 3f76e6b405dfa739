import assert from "node:assert/strict";
import type { Service } from "../../src/service/service.ts";
import { HIGH_WATER_BYTES } from "../../src/service/ws_upstream_socket.ts";
import { FakeUpstreamConnection } from "../support/fake_upstream_connection.ts";
import { UpstreamFixture } from "../support/upstream_fixture.ts";
import { type LibrarySocket, UpstreamServer } from "../support/upstream_server.ts";

const KIB = 1024;
const MIB = 1024 * KIB;

/** What the system's own buffers between two sockets take at most here, with room to spare. */
const KERNEL_BYTES = 40 * MIB;

/** Lets time pass without a clock: messages go to and fro on another connection while nothing moves on the first. */
async function meanwhile(service: Service, server: UpstreamServer): Promise<void> {
  const other = await FakeUpstreamConnection.open(service);
  const peer = server.peers.at(-1)!;
  peer.socket.on("message", (data) => peer.socket.send(data));
  for (let n = 1; n <= 200; n++) {
    other.deliver(new Uint8Array([n]));
    await other.until("the echo", () => other.sent.length === n);
  }
  other.endFromOutside("close", "1000");
}

/** Sends numbered messages of a size, as many as make up `bytes`. */
function flood(socket: LibrarySocket, bytes: number, size: number): number {
  const count = Math.floor(bytes / size);
  for (let n = 0; n < count; n++) {
    const message = new Uint8Array(size);
    new DataView(message.buffer).setUint32(0, n);
    socket.send(message);
  }
  return count;
}

function numbers(connection: FakeUpstreamConnection): number[] {
  return connection.sent.map((message) => {
    const bytes = message as Uint8Array;
    return new DataView(bytes.buffer, bytes.byteOffset).getUint32(0);
  });
}

function upTo(count: number): number[] {
  return Array.from({ length: count }, (_, n) => n);
}

Deno.test("an upstream that floods is read no faster than the client takes, and nothing is lost", async () => {
  await using server = await UpstreamServer.listen();
  await using fixture = new UpstreamFixture(server.url);
  const connection = await FakeUpstreamConnection.open(fixture.service);
  connection.room = 10;
  const { socket } = server.peer;
  const count = flood(socket, KERNEL_BYTES + 16 * MIB, 60 * KIB);
  await connection.until("its room is used", () => connection.sent.length === 10);
  await meanwhile(fixture.service, server);
  assert.ok(
    socket.bufferedAmount > 8 * MIB,
    `only ${socket.bufferedAmount} bytes are left at the upstream`,
  );
  assert.equal(connection.sent.length, 10);
  for (let granted = 10; granted < 200; granted++) {
    connection.grant(1);
    await connection.until("one more", () => connection.sent.length === granted + 1);
  }
  connection.grant(Infinity);
  await connection.until("the rest", () => connection.sent.length === count);
  assert.deepEqual(numbers(connection), upTo(count));
});

Deno.test("many small messages of one read go out one by one as the client has room", async () => {
  await using server = await UpstreamServer.listen();
  await using fixture = new UpstreamFixture(server.url);
  const connection = await FakeUpstreamConnection.open(fixture.service);
  connection.room = 0;
  const count = flood(server.peer.socket, 20 * KIB, 4);
  for (let granted = 1; granted <= 100; granted++) {
    connection.grant(1);
    await connection.until("one more", () => connection.sent.length === granted);
  }
  connection.grant(Infinity);
  await connection.until("the rest", () => connection.sent.length === count);
  assert.deepEqual(numbers(connection), upTo(count));
});

Deno.test("what an upstream sent before it closed reaches a client that takes it later, and then its close", async () => {
  await using server = await UpstreamServer.listen();
  await using fixture = new UpstreamFixture(server.url);
  const connection = await FakeUpstreamConnection.open(fixture.service);
  connection.room = 1;
  const count = flood(server.peer.socket, 2 * MIB, 10 * KIB);
  server.peer.socket.close(4000, "done");
  await connection.until("its room is used", () => connection.sent.length === 1);
  await meanwhile(fixture.service, server);
  assert.equal(connection.ending, null);
  connection.grant(Infinity);
  await connection.until("it ended", () => connection.ending !== null);
  assert.deepEqual(numbers(connection), upTo(count));
  assert.deepEqual(connection.ending, { reason: "upstream-closed", detail: "4000 done" });
});

Deno.test("a client that floods an upstream waits for it, and nothing is lost", async () => {
  await using server = await UpstreamServer.listen();
  await using fixture = new UpstreamFixture(server.url);
  const connection = await FakeUpstreamConnection.open(fixture.service);
  const { peer } = server;
  peer.socket.pause();
  const size = 60 * KIB;
  const count = Math.ceil((KERNEL_BYTES + 16 * MIB) / size);
  const message = new Uint8Array(size);
  for (let n = 0; n < count; n++) connection.deliver(message);
  await meanwhile(fixture.service, server);
  const before = connection.handled;
  await meanwhile(fixture.service, server);
  assert.equal(connection.handled, before);
  assert.ok(before * size < KERNEL_BYTES + HIGH_WATER_BYTES, `${before} messages were taken`);
  peer.socket.resume();
  await connection.delivered;
  await server.until("all arrived", () => peer.bytes === count * size);
});

Deno.test("a message that waits for a slow upstream is given up when the connection ends", async () => {
  await using server = await UpstreamServer.listen();
  await using fixture = new UpstreamFixture(server.url, { closeTimeout: 20 });
  const connection = await FakeUpstreamConnection.open(fixture.service);
  server.peer.socket.pause();
  for (let n = 0; n < 1_000; n++) connection.deliver(new Uint8Array(60 * KIB));
  await meanwhile(fixture.service, server);
  connection.endFromOutside("expired");
  await connection.delivered;
  await fixture.whenGone();
  assert.ok(connection.handled < 1_000);
});

Deno.test("a message that waits for a slow upstream is given up when that breaks", async () => {
  await using server = await UpstreamServer.listen();
  await using fixture = new UpstreamFixture(server.url);
  const connection = await FakeUpstreamConnection.open(fixture.service);
  const { socket } = server.peer;
  socket.pause();
  for (let n = 0; n < 1_000; n++) connection.deliver(new Uint8Array(60 * KIB));
  await meanwhile(fixture.service, server);
  socket._socket.resetAndDestroy();
  await connection.until("it ended", () => connection.ending !== null);
  await connection.delivered;
  assert.deepEqual(connection.ending, { reason: "upstream-closed", detail: "1006" });
});
