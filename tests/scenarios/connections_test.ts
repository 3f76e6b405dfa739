/** Connections and services on a session of a real registry. */

import assert from "node:assert/strict";
import { decodeBody, encodeBody } from "../../src/protocol/body.ts";
import type { SessionMessage } from "../../src/protocol/messages.ts";
import type { Service } from "../../src/service/service.ts";
import { echo } from "../../src/service/echo.ts";
import { settle } from "../support/fake_clock.ts";
import { type Numbered, openEcho, plain, TestClient } from "../support/raw_peer.ts";
import { TestNode, type TestNodeOptions } from "../support/test_node.ts";

async function connected(options: TestNodeOptions = {}): Promise<{ node: TestNode; client: TestClient }> {
  const node = new TestNode(options);
  const client = new TestClient();
  await client.connect(node);
  await settle();
  return { node, client };
}

function answers(client: TestClient): SessionMessage[] {
  return client.peer!.messages.filter((m): m is SessionMessage => "seq" in m);
}

/** Sends all of it in one frame. */
async function inOneFrame(client: TestClient, ...messages: Numbered[]): Promise<void> {
  client.sent += messages.length;
  client.peer!.send(...messages);
  await settle();
}

/** A service that writes down what happens to its connections. */
function diary(): { service: Service; lines: string[] } {
  const lines: string[] = [];
  const service: Service = {
    name: "diary",
    onOpen: (connection, metadata) => void lines.push(`open ${connection.id} ${JSON.stringify(metadata)}`),
    onMessage: (connection, body) => void lines.push(`message ${connection.id} ${String(decodeBody(body))}`),
    onVolatile: (connection, body) =>
      void lines.push(`volatile ${connection.id} ${String(decodeBody(body))}`),
    onEnd: (connection) => void lines.push(`end ${connection.id}`),
  };
  return { service, lines };
}

const open = (seq: number, connection: number, service: string): Numbered => ({
  seq,
  payload: { kind: "open", connection, service, metadata: { from: "test" } },
});
const end = (seq: number, connection: number): Numbered => ({ seq, payload: { kind: "end", connection } });

// @rule connection.open
Deno.test("an open is answered by exactly one accept, an unknown service by a reject", async () => {
  const { client } = await connected();
  client.open(1);
  client.say({ kind: "open", connection: 3, service: "no-such-service" });
  await settle();
  assert.deepEqual(answers(client).map(({ kind, connection }) => [kind, connection]), [["accept", 1], [
    "reject",
    3,
  ]]);
  const [, reject] = answers(client);
  assert.equal(reject!.kind === "reject" && reject!.reason, "unknown-service");
});

// @rule connection.open
Deno.test("too many connections are rejected and a place that is free again can be taken", async () => {
  const { client } = await connected({ limits: { connections: 2 } });
  client.open(1);
  client.open(3);
  client.open(5);
  client.say({ kind: "end", connection: 1 });
  client.open(7);
  await settle();
  assert.deepEqual(
    answers(client).map((m) => [m.kind, m.connection, m.kind === "reject" ? m.reason : ""]),
    [["accept", 1, ""], ["accept", 3, ""], ["reject", 5, "too-many-connections"], ["accept", 7, ""]],
  );
});

// @rule connection.order, connection.end
Deno.test("what one frame says on a connection happens in order: opened, told, ended", async () => {
  const { service, lines } = diary();
  const { client } = await connected({ services: [service] });
  await inOneFrame(client, open(1, 1, "diary"), plain(2, "first"), plain(3, "last"), end(4, 1));
  assert.deepEqual(lines, ['open 1 {"from":"test"}', "message 1 first", "message 1 last", "end 1"]);
  assert.deepEqual(answers(client).map(({ kind }) => kind), ["accept"]);
});

// @rule connection.order
Deno.test("echoes of one frame come back although the same frame ends the connection", async () => {
  const { client } = await connected();
  await inOneFrame(client, openEcho(1), plain(2, "a"), plain(3, "b"), end(4, 1));
  assert.deepEqual(client.echoes, ["a", "b"]);
});

// @rule connection.end
Deno.test("a service hears of the end of its connection, whoever ended it", async () => {
  const { service, lines } = diary();
  const { client, node } = await connected({ services: [service] });
  client.say({ kind: "open", connection: 1, service: "diary" });
  await settle();
  client.say({ kind: "end", connection: 1, reason: "done" });
  client.say({ kind: "open", connection: 3, service: "diary" });
  await settle();
  node.registry.find(client.session!)!.end("ended", "by a test");
  await settle();
  assert.deepEqual(lines, ["open 1 {}", "end 1", "open 3 {}", "end 3"]);
});

// @rule connection.end
Deno.test("what still arrives for an ended connection is dropped", async () => {
  const { client } = await connected();
  client.open();
  client.say({ kind: "end", connection: 1 });
  client.echo("too late");
  client.say({ kind: "end", connection: 1 });
  client.open(3);
  client.echo("fine", 3);
  await settle();
  assert.deepEqual(client.echoes, ["fine"]);
  assert.ok(client.peer!.open);
});

// @rule frame.ids
Deno.test("an id that was never open, is of the wrong parity or is opened twice ends only its own session", async () => {
  const node = new TestNode();
  const bystander = new TestClient();
  await bystander.connect(node);
  bystander.open();
  for (
    const wrong of [plain(1, "x", 1), plain(1, "x", 2), open(1, 2, "echo"), open(1, 0, "echo"), end(1, 7)]
  ) {
    const client = new TestClient();
    const peer = await client.connect(node);
    await inOneFrame(client, wrong);
    assert.equal(peer.of("close")[0]?.reason, "protocol-error");
    assert.match(peer.of("close")[0]!.detail, /^frame\.ids/);
    assert.equal(peer.closing?.code, 4500);
  }
  const twice = new TestClient();
  await twice.connect(node);
  await inOneFrame(twice, openEcho(1, 5), openEcho(2, 5));
  assert.match(twice.peer!.of("close")[0]!.detail, /^frame\.ids/);
  bystander.echo("undisturbed");
  await settle();
  assert.deepEqual(bystander.echoes, ["undisturbed"]);
  assert.equal(node.registry.size, 1);
});

// @rule frame.body
Deno.test("a malformed body ends its connection, and neither the session nor the others", async () => {
  const { client } = await connected();
  client.open(1);
  client.open(3);
  client.say({ kind: "message", connection: 1, body: new Uint8Array([0xc1]) });
  client.echo("good", 3);
  await settle();
  const ended = answers(client).find(({ kind }) => kind === "end");
  assert.equal(ended?.kind === "end" && ended.reason, "malformed-body");
  client.peer!.send({ kind: "volatile", connection: 3, body: new Uint8Array([0xc1]) });
  await settle();
  assert.equal(answers(client).filter(({ kind }) => kind === "end").length, 2);
  assert.deepEqual(client.echoes, ["good"]);
  assert.ok(client.peer!.open);
});

Deno.test("a service that throws ends its connection with service-failed; the session and the process live", async () => {
  const failing: Service = {
    name: "failing",
    onOpen: (_, metadata) => {
      if (metadata["fail"] !== undefined) throw new Error("secret of the process");
    },
    onMessage: () => {
      throw new Error("secret of the process");
    },
    onEnd: () => {
      throw new Error("even here");
    },
  };
  const { client, node } = await connected({ services: [failing, echo] });
  node.log.expectError("service-failed");
  client.say({ kind: "open", connection: 1, service: "failing" });
  client.say({ kind: "message", connection: 1, body: encodeBody(1) });
  client.say({ kind: "open", connection: 3, service: "failing", metadata: { fail: "" } });
  client.open(5);
  client.echo("lives", 5);
  await settle();
  const told = answers(client).filter((m) => m.kind === "end" || m.kind === "reject");
  assert.deepEqual(told.map((m) => "reason" in m && m.reason), ["service-failed", "service-failed"]);
  assert.ok(!JSON.stringify(told).includes("secret"));
  assert.deepEqual(client.echoes, ["lives"]);
  node.log.verify();
});

// @rule delivery.volatile
Deno.test("a volatile message is delivered now or never: not numbered, not kept, dropped where nobody is", async () => {
  const { client, node } = await connected();
  client.open();
  client.peer!.send({ kind: "volatile", connection: 1, body: encodeBody("now") });
  client.peer!.send({ kind: "volatile", connection: 99, body: encodeBody("nowhere") });
  await settle();
  assert.deepEqual(client.peer!.of("volatile").map(({ body }) => decodeBody(body)), ["now"]);
  assert.equal(client.received, 1);
  await client.cut();
  const peer = await client.connect(node);
  await settle();
  assert.deepEqual(peer.of("volatile"), []);
  assert.ok(peer.open);
});

// @rule delivery.volatile
Deno.test("at most 64 volatile messages wait per connection; newer ones are dropped", async () => {
  const chatty: Service = {
    name: "chatty",
    onMessage: (connection) => {
      for (let i = 0; i < 100; i++) connection.sendVolatile(encodeBody(i));
    },
  };
  const { client } = await connected({ services: [chatty] });
  client.say({ kind: "open", connection: 1, service: "chatty" });
  client.echo("go");
  await settle();
  assert.deepEqual(
    client.peer!.of("volatile").map(({ body }) => decodeBody(body)),
    Array.from({ length: 64 }, (_, i) => i),
  );
});

// @rule delivery.sequence
Deno.test("one choke point: whatever produced a message, it is numbered with all the others", async () => {
  const chatty: Service = {
    name: "chatty",
    onOpen: (_, metadata) => metadata["refuse"] === undefined ? undefined : { reason: "full", detail: "" },
    onMessage: (connection) => {
      connection.send(encodeBody("answer"));
      connection.end("done");
    },
  };
  const { client } = await connected({ services: [chatty, echo] });
  client.say({ kind: "open", connection: 1, service: "chatty" });
  client.say({ kind: "open", connection: 3, service: "chatty", metadata: { refuse: "" } });
  client.say({ kind: "open", connection: 5, service: "nobody" });
  client.say({ kind: "call", connection: 1, request: 1, method: "none", body: encodeBody(null) });
  client.echo("go");
  client.open(7);
  client.say({ kind: "message", connection: 7, body: new Uint8Array([0xc1]) });
  await settle();
  assert.deepEqual(answers(client).map(({ seq, kind }) => `${seq} ${kind}`), [
    "1 accept",
    "2 reject",
    "3 reject",
    "4 response",
    "5 message",
    "6 end",
    "7 accept",
    "8 end",
  ]);
});

// @rule connection.open
Deno.test("what a service sends while it opens a connection follows the accept; of a rejected one nothing is sent", async () => {
  const greeter: Service = {
    name: "greeter",
    onOpen: (connection, metadata) => {
      connection.send(encodeBody("welcome"));
      return metadata.from === "test" ? undefined : { reason: "stranger", detail: "" };
    },
    onMessage: () => {},
  };
  const { client } = await connected({ services: [greeter] });
  client.say(open(1, 1, "greeter").payload);
  client.say({ kind: "open", connection: 3, service: "greeter" });
  await settle();
  assert.deepEqual(answers(client).map(({ kind, connection }) => [kind, connection]), [
    ["accept", 1],
    ["message", 1],
    ["reject", 3],
  ]);
});
