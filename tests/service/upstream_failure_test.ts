import assert from "node:assert/strict";
import { PING_EVERY_MS } from "../../src/service/upstream_bridge.ts";
import { FakeUpstreamConnection } from "../support/fake_upstream_connection.ts";
import { frame, RawUpstream, switching } from "../support/raw_upstream.ts";
import { DIAL_TIMEOUT_MS, UpstreamFixture } from "../support/upstream_fixture.ts";
import { UpstreamServer } from "../support/upstream_server.ts";

Deno.test("an upstream that nobody serves rejects with the system's word for it, and without its address", async () => {
  let url = "";
  {
    await using server = await UpstreamServer.listen();
    url = server.url.replace("//", "//user:secret@");
  }
  await using fixture = new UpstreamFixture(url);
  const { rejection } = await FakeUpstreamConnection.open(fixture.service);
  assert.deepEqual(rejection, {
    reason: "upstream-refused",
    detail: "the upstream is not reachable (ECONNREFUSED)",
  });
  assert.ok(!JSON.stringify(fixture.log.lines).includes("secret"));
  assert.equal(fixture.log.of("upstream_refused").length, 1);
});

Deno.test("an upstream that answers otherwise than with 101 rejects with the status", async () => {
  for (const status of ["200 OK", "302 Found\r\nLocation: ws://127.0.0.1:1/", "401 No", "503 Busy"]) {
    await using server = await RawUpstream.listen((socket) => {
      socket.write(`HTTP/1.1 ${status}\r\nContent-Length: 6\r\n\r\nsecret`);
    });
    await using fixture = new UpstreamFixture(server.url);
    const { rejection } = await FakeUpstreamConnection.open(fixture.service);
    assert.deepEqual(rejection, {
      reason: "upstream-refused",
      detail: `the upstream answered ${status.slice(0, 3)}`,
    });
    await server.until("it hung up", () => server.open === 0);
  }
});

Deno.test("an upstream that answers with another handshake is refused", async () => {
  const answers: [(head: string) => string, string][] = [
    [() => switching("sec-websocket-key: other\r\n"), "Invalid Sec-WebSocket-Accept header"],
    [(head) => switching(head, "Sec-WebSocket-Protocol: c"), "Server sent an invalid subprotocol"],
    [(head) => switching(head), "Server sent no subprotocol"],
    [() => "what?\r\n\r\n", "the connection failed"],
  ];
  for (const [answer, detail] of answers) {
    await using server = await RawUpstream.listen((socket, head) => void socket.write(answer(head)));
    await using fixture = new UpstreamFixture(server.url);
    const { rejection } = await FakeUpstreamConnection.open(fixture.service, { protocols: "a,b" });
    assert.equal(rejection?.reason, "upstream-refused");
    assert.equal(rejection?.detail, detail);
    await server.until("it hung up", () => server.open === 0);
  }
});

Deno.test("an upstream that never answers rejects when the time is up, and is dropped", async () => {
  await using server = await RawUpstream.listen();
  await using fixture = new UpstreamFixture(server.url);
  const connection = new FakeUpstreamConnection(fixture.service);
  const offered = connection.offer();
  await server.until("it was asked", () => server.heard[0]?.includes("\r\n\r\n") === true);
  await fixture.clock.advance(DIAL_TIMEOUT_MS - 1);
  assert.equal(connection.rejection, null);
  await fixture.clock.advance(1);
  await offered;
  assert.deepEqual(connection.rejection, {
    reason: "upstream-timeout",
    detail: "the upstream did not answer within 10000 ms",
  });
  await server.until("it hung up", () => server.open === 0);
});

Deno.test("a connection that ends while its upstream is dialled gives the dial up", async () => {
  await using server = await RawUpstream.listen();
  await using fixture = new UpstreamFixture(server.url);
  const connection = new FakeUpstreamConnection(fixture.service);
  const offered = connection.offer();
  await server.until("it was asked", () => server.heard[0]?.includes("\r\n\r\n") === true);
  connection.endFromOutside("close", "1000");
  await offered;
  await server.until("it hung up", () => server.open === 0);
  await fixture.whenGone();
  assert.equal(fixture.clock.pending, 0);
});

Deno.test("an upstream that resets its socket ends the connection with 1006, after its last messages", async () => {
  await using server = await UpstreamServer.listen();
  await using fixture = new UpstreamFixture(server.url);
  const connection = await FakeUpstreamConnection.open(fixture.service);
  server.peer.socket.send("last words");
  await connection.until("they came", () => connection.sent.length === 1);
  server.peer.socket._socket.resetAndDestroy();
  await connection.until("it ended", () => connection.ending !== null);
  assert.deepEqual(connection.ending, { reason: "upstream-closed", detail: "1006" });
  await fixture.whenGone();
});

Deno.test("an upstream that ends its line without a close ends the connection with 1006", async () => {
  await using server = await RawUpstream.listen((socket, head) => {
    socket.write(switching(head));
    socket.end(frame(0x81, "last words"));
  });
  await using fixture = new UpstreamFixture(server.url);
  const connection = await FakeUpstreamConnection.open(fixture.service);
  await connection.until("it ended", () => connection.ending !== null);
  assert.deepEqual(connection.sent, ["last words"]);
  assert.deepEqual(connection.ending, { reason: "upstream-closed", detail: "1006" });
});

Deno.test("what comes from an upstream and is no WebSocket ends the connection with 1006", async () => {
  const broken: [string, Uint8Array][] = [
    ["1002", frame(0xf1, "reserved bits")],
    ["1002", new Uint8Array([0x81, 0x80, 0, 0, 0, 0])],
    ["1007", frame(0x81, [0xc3, 0x28])],
    ["1002", frame(0x88, [0x03, 0xed])],
  ];
  for (const [code, bytes] of broken) {
    await using server = await RawUpstream.listen((socket, head) => {
      socket.write(switching(head));
      socket.write(bytes);
    });
    await using fixture = new UpstreamFixture(server.url);
    const connection = await FakeUpstreamConnection.open(fixture.service);
    await connection.until("it ended", () => connection.ending !== null);
    assert.deepEqual(connection.ending, { reason: "upstream-closed", detail: "1006" });
    await server.until("it is told why, and left", () => server.open === 0);
    assert.equal(closeCode(server.heard[0]!), Number(code));
  }
});

Deno.test("a message above the limit ends the connection and closes the upstream with 1009", async () => {
  await using server = await UpstreamServer.listen();
  await using fixture = new UpstreamFixture(server.url, { payloadBytes: 1_000 });
  const connection = await FakeUpstreamConnection.open(fixture.service);
  server.peer.socket.send(new Uint8Array(1_000));
  server.peer.socket.send(new Uint8Array(1_001));
  await connection.until("it ended", () => connection.ending !== null);
  assert.equal(connection.ending?.reason, "upstream-too-big");
  assert.equal(connection.sent.length, 1);
  await server.until("it is closed", () => server.peer.closed !== null);
  assert.equal(server.peer.closed?.code, 1009);
  await fixture.whenGone();
});

Deno.test("an upstream that does not answer a close loses its socket", async () => {
  await using server = await RawUpstream.listen((socket, head) => void socket.write(switching(head)));
  await using fixture = new UpstreamFixture(server.url, { closeTimeout: 20 });
  const connection = await FakeUpstreamConnection.open(fixture.service);
  connection.endFromOutside("close", "4000");
  await fixture.whenGone();
  await server.until("it hung up", () => server.open === 0);
  assert.equal(closeCode(server.heard[0]!), 4000);
});

Deno.test("an upstream that floods while it is closed is not read for longer than the close may take", async () => {
  await using server = await UpstreamServer.listen();
  await using fixture = new UpstreamFixture(server.url, { closeTimeout: 20 });
  const connection = await FakeUpstreamConnection.open(fixture.service);
  connection.room = 0;
  const { socket } = server.peer;
  for (let n = 0; n < 500; n++) socket.send(new Uint8Array(50_000));
  connection.endFromOutside("close", "4000");
  await fixture.whenGone();
  assert.deepEqual(connection.sent, []);
});

Deno.test("a silent upstream is pinged, and stays as long as it answers", async () => {
  await using server = await UpstreamServer.listen();
  await using fixture = new UpstreamFixture(server.url);
  const connection = await FakeUpstreamConnection.open(fixture.service);
  for (let ping = 1; ping <= 5; ping++) {
    await fixture.clock.advance(PING_EVERY_MS);
    await fixture.until("it answers", () => fixture.pongs === ping);
  }
  assert.equal(server.peer.pings, 5);
  assert.equal(connection.ending, null);
});

Deno.test("an upstream that answers no pings is dropped, and the connection ends with 1006", async () => {
  await using server = await UpstreamServer.listen({ autoPong: false });
  await using fixture = new UpstreamFixture(server.url);
  const connection = await FakeUpstreamConnection.open(fixture.service);
  await fixture.clock.advance(PING_EVERY_MS);
  await fixture.clock.advance(PING_EVERY_MS);
  await server.until("two pings", () => server.peer.pings === 2);
  assert.equal(connection.ending, null);
  await fixture.clock.advance(PING_EVERY_MS);
  await connection.until("it ended", () => connection.ending !== null);
  assert.deepEqual(connection.ending, { reason: "upstream-closed", detail: "1006" });
});

Deno.test("an upstream that is not read is not held to its pings", async () => {
  await using server = await UpstreamServer.listen({ autoPong: false });
  await using fixture = new UpstreamFixture(server.url);
  const connection = await FakeUpstreamConnection.open(fixture.service);
  connection.room = 1;
  server.peer.socket.send("one");
  server.peer.socket.send("two");
  await connection.until("one came", () => connection.sent.length === 1);
  server.peer.socket.ping();
  for (let n = 0; n < 10; n++) await fixture.clock.advance(PING_EVERY_MS);
  connection.grant(1);
  await connection.until("two came", () => connection.sent.length === 2);
  await fixture.clock.advance(2 * PING_EVERY_MS);
  assert.equal(connection.ending, null);
});

Deno.test("a connection that throws drops its upstream, and is reported", async () => {
  await using server = await UpstreamServer.listen();
  await using fixture = new UpstreamFixture(server.url);
  fixture.log.expectError("upstream_failed");
  for (const method of ["send", "bindToNode"] as const) {
    const connection = new FakeUpstreamConnection(fixture.service);
    connection[method] = () => {
      throw new Error(`${method} is broken`);
    };
    const offered = connection.offer();
    if (method === "send") {
      await offered;
      server.peers.at(-1)!.socket.send("hi");
    }
    await fixture.whenGone();
    await server.until("it is dropped", () => server.peers.at(-1)?.closed?.code === 1006);
  }
  assert.equal(fixture.log.of("upstream_failed").length, 2);
});

/** The code of the close frame with which a client's bytes end. */
function closeCode(heard: string): number {
  const bytes = Uint8Array.from(heard.slice(heard.indexOf("\r\n\r\n") + 4), (char) => char.charCodeAt(0));
  assert.equal(bytes[0], 0x88);
  const mask = bytes.subarray(2, 6);
  return (bytes[6]! ^ mask[0]!) << 8 | bytes[7]! ^ mask[1]!;
}
