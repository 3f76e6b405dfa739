import assert from "node:assert/strict";
import { FakeUpstreamConnection } from "../support/fake_upstream_connection.ts";
import { UpstreamFixture } from "../support/upstream_fixture.ts";
import { UpstreamServer } from "../support/upstream_server.ts";

Deno.test("text and binary messages cross in order and stay apart, each way", async () => {
  await using server = await UpstreamServer.listen();
  await using fixture = new UpstreamFixture(server.url);
  const connection = await FakeUpstreamConnection.open(fixture.service);
  const messages = ["", "hi", new Uint8Array(), new Uint8Array([0, 255]), "žluťoučký 🐎", "x".repeat(60_000)];
  for (const message of messages) connection.deliver(message);
  await server.until("all arrived", () => server.peer.received.length === messages.length);
  assert.deepEqual(server.peer.received, messages);
  for (const message of messages) server.peer.socket.send(message);
  await connection.until("all arrived", () => connection.sent.length === messages.length);
  assert.deepEqual(connection.sent, messages);
});

Deno.test("the offered subprotocols are passed on, and the accept tells which was chosen", async () => {
  await using server = await UpstreamServer.listen({
    handleProtocols: (offered) => [...offered][1] ?? false,
  });
  await using fixture = new UpstreamFixture(server.url);
  const chosen = await FakeUpstreamConnection.open(fixture.service, { protocols: "a.v1, b.v2" });
  assert.deepEqual(chosen.metadata, { protocol: "b.v2" });
  const none = await FakeUpstreamConnection.open(fixture.service);
  assert.deepEqual(none.metadata, {});
  assert.deepEqual(server.peers.map(({ request }) => request.headers["sec-websocket-protocol"]), [
    "a.v1,b.v2",
    undefined,
  ]);
});

Deno.test("what is no list of subprotocols is rejected, and nothing is dialled", async () => {
  await using server = await UpstreamServer.listen();
  await using fixture = new UpstreamFixture(server.url);
  for (const protocols of ["a b", "a,a", "a\r\nX-Evil: 1", "ä", '"a"']) {
    const connection = await FakeUpstreamConnection.open(fixture.service, { protocols });
    assert.equal(connection.rejection?.reason, "invalid-protocols", protocols);
  }
  assert.equal(server.peers.length, 0);
});

Deno.test("nothing that a client says alters the URL", async () => {
  await using server = await UpstreamServer.listen();
  await using fixture = new UpstreamFixture(`${server.url}room?key=1`);
  const metadata = { path: "/other", query: "key=2", url: "ws://127.0.0.1:1/", host: "evil", origin: "evil" };
  await FakeUpstreamConnection.open(fixture.service, metadata);
  assert.equal(server.peer.request.url, "/room?key=1");
  assert.equal(server.peer.request.headers.host, new URL(server.url).host);
  assert.equal(server.peer.request.headers.origin, undefined);
  assert.equal(server.peer.request.headers["sec-websocket-extensions"], undefined);
});

Deno.test("the credentials of a URL are sent as Basic authentication", async () => {
  await using server = await UpstreamServer.listen();
  await using fixture = new UpstreamFixture(server.url.replace("//", "//user:pa%3Ass@"));
  await FakeUpstreamConnection.open(fixture.service);
  assert.equal(server.peer.request.headers.authorization, `Basic ${btoa("user:pa:ss")}`);
});

Deno.test("each connection has one socket of its own", async () => {
  await using server = await UpstreamServer.listen();
  await using fixture = new UpstreamFixture(server.url);
  const [a, b] = [
    await FakeUpstreamConnection.open(fixture.service),
    await FakeUpstreamConnection.open(fixture.service),
  ];
  a.deliver("a");
  b.deliver("b");
  await server.until("both came", () => server.peers.every(({ received }) => received.length === 1));
  assert.deepEqual(server.peers.map(({ received }) => received), [["a"], ["b"]]);
  assert.equal(fixture.upstreams.sockets, 2);
});

Deno.test("an open connection is bound to its node", async () => {
  await using server = await UpstreamServer.listen();
  await using fixture = new UpstreamFixture(server.url);
  const connection = await FakeUpstreamConnection.open(fixture.service);
  assert.equal(connection.bound, "upstream-lost");
});

Deno.test("the code and the reason of an upstream's close end the connection", async () => {
  await using server = await UpstreamServer.listen();
  await using fixture = new UpstreamFixture(server.url);
  const closes: [number | undefined, string, string][] = [
    [1000, "", "1000"],
    [1000, "bye", "1000 bye"],
    [4001, "too  many täbs", "4001 too  many täbs"],
    [1011, "x".repeat(123), `1011 ${"x".repeat(123)}`],
    [undefined, "", "1005"],
  ];
  for (const [code, reason, detail] of closes) {
    const connection = await FakeUpstreamConnection.open(fixture.service);
    const { socket } = server.peers.at(-1)!;
    socket.send("last words");
    socket.close(code, reason);
    await connection.until("it ended", () => connection.ending !== null);
    assert.deepEqual(connection.ending, { reason: "upstream-closed", detail });
    assert.deepEqual(connection.sent, ["last words"]);
  }
  await fixture.whenGone();
});

Deno.test("the code and the reason with which a client closes reach the upstream, behind its messages", async () => {
  await using server = await UpstreamServer.listen();
  await using fixture = new UpstreamFixture(server.url);
  const closes: [string, number, string][] = [
    ["1000", 1000, ""],
    ["4001 too many täbs", 4001, "too many täbs"],
    ["1005", 1005, ""],
    // No application closes with these.
    ["1006", 1001, "close"],
    ["1002 protocol", 1001, "close"],
    ["hello", 1001, "close"],
    [`4000 ${"x".repeat(124)}`, 1001, "close"],
  ];
  for (const [detail, code, reason] of closes) {
    const connection = await FakeUpstreamConnection.open(fixture.service);
    connection.deliver("last words");
    await connection.until("it is handled", () => connection.handled === 1);
    connection.endFromOutside("close", detail);
    const peer = server.peers.at(-1)!;
    await server.until("it is closed", () => peer.closed !== null);
    assert.deepEqual(peer.closed, { code, reason });
    assert.deepEqual(peer.received, ["last words"]);
  }
  await fixture.whenGone();
});

Deno.test("a connection that is gone for another reason closes the upstream with 1001 and that reason", async () => {
  await using server = await UpstreamServer.listen();
  await using fixture = new UpstreamFixture(server.url);
  for (
    const [given, told] of [["expired", "expired"], ["", "ended"], ["moved", "moved"], [
      "é".repeat(62),
      "ended",
    ]]
  ) {
    const connection = await FakeUpstreamConnection.open(fixture.service);
    connection.endFromOutside(given!, "1000 no close");
    const peer = server.peers.at(-1)!;
    await server.until("it is closed", () => peer.closed !== null);
    assert.deepEqual(peer.closed, { code: 1001, reason: told });
  }
  await fixture.whenGone();
});

Deno.test("a body that no WebSocket carries ends the connection and closes the upstream", async () => {
  await using server = await UpstreamServer.listen();
  await using fixture = new UpstreamFixture(server.url);
  for (const body of [null, 1, { a: 1 }, ["a"]]) {
    const connection = await FakeUpstreamConnection.open(fixture.service);
    connection.deliver(body);
    await connection.until("it ended", () => connection.ending !== null);
    assert.equal(connection.ending?.reason, "unsupported-body");
    const peer = server.peers.at(-1)!;
    await server.until("it is closed", () => peer.closed !== null);
    assert.deepEqual(peer.closed, { code: 1001, reason: "unsupported-body" });
    assert.deepEqual(peer.received, []);
  }
});

Deno.test("messages that come with the handshake's answer wait for the accept", async () => {
  await using server = await UpstreamServer.listen({ onSocket: (socket) => socket.send("welcome") });
  await using fixture = new UpstreamFixture(server.url);
  for (const eager of [false, true]) {
    const connection = new FakeUpstreamConnection(fixture.service);
    connection.eager = eager;
    await connection.offer();
    await connection.until("the welcome", () => connection.sent.length === 1);
    assert.deepEqual(connection.sent, ["welcome"]);
  }
});

Deno.test("when the node stops all upstreams are closed with 1001", async () => {
  await using server = await UpstreamServer.listen();
  await using fixture = new UpstreamFixture(server.url);
  await FakeUpstreamConnection.open(fixture.service);
  await FakeUpstreamConnection.open(fixture.service);
  fixture.upstreams.stop();
  await server.until("both are closed", () => server.peers.every(({ closed }) => closed !== null));
  assert.deepEqual(server.peers.map(({ closed }) => closed), [
    { code: 1001, reason: "node-stopped" },
    { code: 1001, reason: "node-stopped" },
  ]);
  await fixture.whenGone();
});
