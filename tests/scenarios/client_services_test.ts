/** What a server's service does towards its client: connections that it opens, calls that it makes, credit it is given. */

import assert from "node:assert/strict";
import { decodeBody, encodeBody } from "../../src/protocol/body.ts";
import { encodeFailure } from "../../src/protocol/rpc_error.ts";
import type { CallOutcome, Service, ServiceConnection } from "../../src/service/service.ts";
import { CallClient } from "../support/call_client.ts";
import { FakeClock, settle } from "../support/fake_clock.ts";
import { TestNode } from "../support/test_node.ts";

/** A service that gives its connections to the test. */
function open() {
  const connections: ServiceConnection[] = [];
  const lines: string[] = [];
  const service: Service = {
    name: "hub",
    onOpen: (connection) => void connections.push(connection),
    onEnd: (connection, { reason }) => void lines.push(`end ${connection.id} ${reason}`),
  };
  const handler: Service = {
    name: "ui",
    onOpened: (_, metadata) => void lines.push(`opened ${JSON.stringify(metadata)}`),
    onMessage: (_, body) => void lines.push(`message ${String(decodeBody(body))}`),
    onEnd: (_, { reason }) => void lines.push(`ui ended ${reason}`),
  };
  return { connections, lines, service, handler };
}

async function world(settings?: ConstructorParameters<typeof CallClient>[0]) {
  const made = open();
  const clock = new FakeClock();
  const node = new TestNode({ clock, services: [made.service] });
  const client = await CallClient.open(node, "hub", settings);
  return { ...made, clock, node, client, connection: made.connections[0]! };
}

// @rule connection.open, frame.ids
Deno.test("a service opens a connection to its client, which accepts it, and both speak on it", async () => {
  const { connection, client, handler, lines } = await world();
  const ui = connection.openToClient(handler, { theme: "dark" });
  ui.send(encodeBody("early"));
  await settle();
  const opened = client.came.find((m) => m.kind === "open");
  assert.deepEqual(opened?.kind === "open" && [opened.connection, opened.service, opened.metadata], [
    2,
    "ui",
    { theme: "dark" },
  ]);
  client.say({ kind: "accept", connection: 2, metadata: { ready: "yes" } });
  client.echo("hello", 2);
  await settle();
  assert.deepEqual(lines, ['opened {"ready":"yes"}', "message hello"]);
  assert.deepEqual(client.echoes, ["early"]);
  client.say({ kind: "end", connection: 2, reason: "closed" });
  await settle();
  assert.deepEqual(lines.slice(2), ["ui ended closed"]);
});

// @rule connection.open
Deno.test("a client that does not serve it rejects it, and the service hears why", async () => {
  const { connection, client, handler, lines } = await world();
  connection.openToClient(handler);
  await settle();
  client.say({ kind: "reject", connection: 2, reason: "unknown-service", detail: "" });
  await settle();
  assert.deepEqual(lines, ["ui ended unknown-service"]);
});

Deno.test("a connection that a service opened ends with `opener-lost` when its process is lost", async () => {
  const { connection, client, handler, node, service } = await world();
  connection.openToClient(handler);
  await settle();
  client.say({ kind: "accept", connection: 2 });
  await settle();
  await node.crash();
  const second = new TestNode({ clock: node.clock, store: node.store, services: [service] });
  await client.connect(second);
  await settle();
  const end = client.came.find((m) => m.kind === "end");
  assert.deepEqual(end?.kind === "end" && [end.connection, end.reason], [2, "opener-lost"]);
});

// @rule call.once, frame.ids
Deno.test("a service calls its client: one answer each, results and failures, and none waits for another", async () => {
  const { connection, client } = await world();
  const outcomes: CallOutcome[] = [];
  const first = connection.call("ask", encodeBody("name?")).then((outcome) => outcomes.push(outcome));
  const second = connection.call("ask", encodeBody("age?")).then((outcome) => outcomes.push(outcome));
  await settle();
  const calls = client.came.flatMap((m) => m.kind === "call" ? [m] : []);
  assert.deepEqual(calls.map(({ request, method }) => [request, method]), [[1, "ask"], [2, "ask"]]);
  const failure = encodeFailure({ code: "permission-denied", message: "none of your business" });
  client.say({ kind: "response", connection: 1, request: 2, ok: false, body: failure });
  client.say({ kind: "response", connection: 1, request: 1, ok: true, body: encodeBody("Ada") });
  await Promise.all([first, second]);
  assert.equal(outcomes[0]?.ok === false && outcomes[0].error.code, "permission-denied");
  assert.equal(outcomes[1]?.ok === true && decodeBody(outcomes[1].body), "Ada");
});

// @rule call.timeout, call.cancel
Deno.test("a call of the service's that the client does not answer in time is cancelled, and a late answer is dropped", async () => {
  const { connection, client, clock } = await world();
  const outcome = connection.call("ask", encodeBody(1), { timeout: 100 });
  await settle();
  await clock.advance(100);
  const given = await outcome;
  assert.equal(given.ok === false && given.error.code, "deadline-exceeded");
  assert.equal(client.came.at(-1)?.kind, "cancel");
  client.say({ kind: "response", connection: 1, request: 1, ok: true, body: encodeBody(1) });
  await settle();
  assert.ok(client.peer!.open);
});

Deno.test("what a service waits for is told when the connection, or the session, is over", async () => {
  const { connection, client, node } = await world();
  const lost = connection.call("ask", encodeBody(1));
  await settle();
  client.say({ kind: "end", connection: 1 });
  const given = await lost;
  assert.equal(given.ok === false && given.error.code, "indeterminate");
  const after = await connection.call("ask", encodeBody(1));
  assert.equal(after.ok === false && after.error.code, "unavailable");
  await connection.whenWritable();
  node.registry.find(client.session!)!.end("ended", "");
  await settle();
  await connection.whenWritable();
});

// @rule call.limit
Deno.test("a service has as many calls in flight as the limit, and is told of one more", async () => {
  const { connection } = await world();
  for (let n = 0; n < 64; n++) void connection.call("ask", encodeBody(n));
  const given = await connection.call("ask", encodeBody("one more"));
  assert.equal(given.ok === false && given.error.code, "resource-exhausted");
});

// @rule connection.credit
Deno.test("a service's messages wait for the client's credit, in order, also over the loss of the node; too many end the connection", async () => {
  const { connections, node, service, client } = await world();
  client.openTo("hub", 3, 16);
  await settle();
  const slow = connections[1]!;
  for (let n = 1; n <= 20; n++) slow.send(encodeBody(n));
  assert.equal(slow.writable, false);
  await settle();
  assert.deepEqual(client.echoes, Array.from({ length: 16 }, (_, n) => n + 1));
  await node.crash();
  const second = new TestNode({ clock: node.clock, store: node.store, services: [service] });
  await client.connect(second);
  client.say({ kind: "credit", connection: 3, channel: 0, additional: 2 });
  await settle();
  assert.deepEqual(client.echoes.slice(16), [17, 18]);
  client.say({ kind: "credit", connection: 3, channel: 0, additional: 100 });
  await settle();
  assert.deepEqual(client.echoes.slice(18), [19, 20]);
  assert.deepEqual(client.faults, []);
});

// @rule connection.credit, delivery.bounded
Deno.test("one connection whose client gives no credit is ended when too much waits; the others go on", async () => {
  const { connections, client, connection } = await world();
  client.openTo("hub", 3, 16);
  await settle();
  for (let n = 0; n < 40; n++) connections[1]!.send(encodeBody("x".repeat(1_000)));
  connection.send(encodeBody("alive"));
  await settle();
  const end = client.came.find((m) => m.kind === "end");
  assert.deepEqual(end?.kind === "end" && [end.connection, end.reason], [3, "overloaded"]);
  assert.equal(client.echoes.at(-1), "alive");
});

Deno.test("whoever waits for room is woken when the client has taken what waits for it", async () => {
  const { connection, client } = await world({ windowMessages: 8 });
  client.acks = false;
  for (let n = 0; n < 8; n++) connection.send(encodeBody(n));
  assert.equal(connection.writable, false);
  let woken = false;
  const waiting = connection.whenWritable().then(() => woken = true);
  await settle();
  assert.equal(woken, false);
  client.peer!.send({ kind: "ack", received: client.received });
  await settle();
  await waiting;
  assert.equal(woken, true);
});
