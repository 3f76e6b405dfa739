/** What a node counts, by what its clients saw. */

import assert from "node:assert/strict";
import * as z from "zod";
import { CountedMetrics } from "../../src/observe/counted_metrics.ts";
import { describeNode } from "../../src/observe/node_metrics.ts";
import { encodeBody } from "../../src/protocol/body.ts";
import { defineService } from "../../src/service/define_service.ts";
import { echo } from "../../src/service/echo.ts";
import { method, transaction } from "../../src/service/methods.ts";
import type { Service } from "../../src/service/service.ts";
import { levelsOf } from "../../src/session/node_levels.ts";
import { MemorySessionStore } from "../../src/storage/memory_session_store.ts";
import { CallClient } from "../support/call_client.ts";
import { FakeClock, settle } from "../support/fake_clock.ts";
import { FaultyStore } from "../support/faulty_store.ts";
import { parseExposition, valueOf } from "../support/exposition_parser.ts";
import { newStart, plain, RawPeer, TestClient } from "../support/raw_peer.ts";
import { TestAuthenticator } from "../support/test_authenticator.ts";
import { TestNode, type TestNodeOptions } from "../support/test_node.ts";

type Read = (name: string, labels?: Readonly<Record<string, string>>) => number;

function counting(options: TestNodeOptions = {}): { node: TestNode; metrics: CountedMetrics; read: Read } {
  const metrics = new CountedMetrics();
  const node = new TestNode({ ...options, metrics });
  const read: Read = (name, labels) => {
    const text = describeNode(metrics, levelsOf(node.registry), { resident: 1, heap: 1, startedAt: 1 });
    return valueOf(parseExposition(text), name, labels);
  };
  return { node, metrics, read };
}

Deno.test("sessions, conduits and handshakes are counted as they come, break, resume, park and end", async () => {
  const { node, read } = counting();
  const clients = [new TestClient(), new TestClient(), new TestClient()];
  for (const client of clients) await client.connect(node);
  assert.equal(read("holdfast_sessions", { state: "attached" }), 3);
  assert.equal(read("holdfast_conduits"), 3);
  assert.equal(read("holdfast_established_total", { kind: "new" }), 3);

  await clients[0]!.cut();
  await clients[1]!.cut();
  assert.equal(read("holdfast_sessions", { state: "attached" }), 1);
  assert.equal(read("holdfast_sessions", { state: "detached" }), 2);
  assert.equal(read("holdfast_conduits"), 1);

  await clients[0]!.connect(node);
  assert.equal(read("holdfast_established_total", { kind: "resumed" }), 1);
  await node.clock.advance(10_000);
  await settle();
  assert.equal(read("holdfast_sessions", { state: "detached" }), 0, "it is parked");

  clients[0]!.peer!.send({ kind: "close", reason: "done", detail: "" });
  node.registry.find(clients[2]!.session!)!.end("ended", "by a test");
  await settle();
  assert.equal(read("holdfast_ended_total", { reason: "closed" }), 1);
  assert.equal(read("holdfast_ended_total", { reason: "ended" }), 1);
  assert.equal(read("holdfast_sessions", { state: "attached" }), 0);
  node.log.verify();
});

Deno.test("an ending that a sweep makes is counted, with how late it was", async () => {
  const { node, read } = counting({ resumeWindow: 60_000 });
  const client = new TestClient();
  await client.connect(node);
  await client.cut();
  await node.clock.advance(10_000);
  assert.equal(node.registry.size, 0, "it is parked");
  await node.clock.advance(52_500);
  await node.sweeper.sweep();
  assert.equal(read("holdfast_ended_total", { reason: "expired" }), 1);
  assert.equal(read("holdfast_sweeps_total"), 1);
  assert.equal(read("holdfast_sweeper_lag_seconds"), 2.5);
  await node.sweeper.sweep();
  assert.equal(read("holdfast_sweeper_lag_seconds"), 0);
  node.log.verify();
});

Deno.test("messages are counted once, however often they come; frames and bytes each time", async () => {
  const { node, metrics, read } = counting();
  const client = new TestClient();
  const peer = await client.connect(node);
  client.open();
  for (let n = 0; n < 5; n++) client.echo(n);
  await settle();
  assert.equal(read("holdfast_messages_total", { direction: "in" }), 6);
  assert.equal(read("holdfast_messages_total", { direction: "out" }), 6);
  assert.equal(read("holdfast_messages_acked_total"), 6);
  const { framesIn, bytesIn } = metrics;
  peer.send(plain(5, 3), plain(6, 4));
  await settle();
  assert.equal(read("holdfast_messages_deduplicated_total"), 2);
  assert.equal(read("holdfast_messages_total", { direction: "in" }), 6);
  assert.equal(metrics.framesIn, framesIn + 1);
  assert.ok(metrics.bytesIn > bytesIn);
  assert.ok(metrics.bytesOut > 0 && metrics.framesOut > 0);
  node.log.verify();
});

// @rule resume.exchange
Deno.test("a resume counts what its client lacked, and how long it took to have it", async () => {
  const { node, read } = counting();
  const client = new TestClient();
  await client.connect(node);
  client.open();
  await settle();
  await client.cut();
  await client.connect(node);
  assert.equal(read("holdfast_messages_replayed_total"), 0);
  assert.equal(read("holdfast_resume_caught_up_seconds_count"), 1, "it lacked nothing");

  client.acks = false;
  for (let n = 0; n < 4; n++) client.echo(n);
  await settle();
  assert.ok(read("holdfast_outbox_bytes") > 0);
  await client.cut();
  client.received -= 4;
  client.echoes.length = 0;
  await client.connect(node);
  assert.deepEqual(client.echoes, [0, 1, 2, 3]);
  assert.equal(read("holdfast_messages_replayed_total"), 4);
  assert.equal(read("holdfast_resume_caught_up_seconds_count"), 1);
  await node.clock.advance(700);
  client.peer!.send({ kind: "ack", received: client.received });
  await settle();
  assert.equal(read("holdfast_resume_caught_up_seconds_count"), 2);
  assert.equal(read("holdfast_resume_caught_up_seconds_sum"), 0.7);
  assert.equal(read("holdfast_outbox_bytes"), 0);
  node.log.verify();
});

// @rule delivery.window
Deno.test("a client's full window is counted once for as long as it stays full", async () => {
  const { node, read } = counting();
  const client = new TestClient({ windowMessages: 3 });
  await client.connect(node);
  client.acks = false;
  client.open();
  for (let n = 0; n < 8; n++) client.echo(n);
  await settle();
  client.echo(8);
  await settle();
  assert.equal(read("holdfast_window_waits_total"), 1);
  client.acks = true;
  client.peer!.send({ kind: "ack", received: client.received });
  await settle();
  assert.equal(client.echoes.length, 9);
  node.log.verify();
});

// @rule handshake.refused
// @rule resume.rotate
Deno.test("refusals are counted by reason, a retired token also as suspected theft", async () => {
  const { node, read } = counting();
  const client = new TestClient();
  await client.connect(node);
  await client.cut();
  await client.connect(node);
  await settle();
  const [first = ""] = client.tokens;
  const resume = { session: client.session!, token: first, received: 0, sent: 0 };
  for (const start of [newStart({ resume }), newStart({ version: 7 })]) {
    const peer = new RawPeer(node);
    peer.send(start);
    await settle();
    assert.equal(peer.of("refused").length, 1);
  }
  const mute = new RawPeer(node);
  await node.clock.advance(10_000);
  assert.equal(mute.closing?.code, 4408);
  for (const reason of ["stale-token", "unsupported-version", "handshake-timeout"]) {
    assert.equal(read("holdfast_refused_total", { reason }), 1, reason);
  }
  assert.equal(read("holdfast_token_theft_suspected_total"), 1);
  node.log.verify();
});

// @rule connection.open
// @rule delivery.bounded
Deno.test("connections that are rejected, or end overloaded, are counted by reason, and by no word of a service's own", async () => {
  const choosy: Service = { name: "choosy", onOpen: () => ({ reason: "not-on-mondays", detail: "" }) };
  const full: Service = {
    name: "full",
    onOpen: () => ({ reason: "resource-exhausted", detail: "" }),
  };
  const flood: Service = {
    name: "flood",
    onMessage: (connection) => {
      for (let n = 0; n < 4; n++) connection.send(encodeBody(new Uint8Array(400_000)));
    },
  };
  const { node, read } = counting({
    services: [echo, choosy, full, flood],
    limits: { connections: 2, storedBytes: 1024 * 1024 },
  });
  const client = new TestClient();
  const peer = await client.connect(node);
  ["choosy", "full", "nobody", "echo", "flood", "echo"].forEach((service, index) => {
    client.say({ kind: "open", connection: 2 * index + 1, service });
  });
  await settle();
  client.acks = false;
  client.echo("go", 9);
  await settle();
  assert.deepEqual(peer.of("end").map(({ reason }) => reason), ["overloaded"]);
  const refused = (reason: string) => read("holdfast_connections_refused_total", { reason });
  const reasons = ["other", "resource-exhausted", "unknown-service", "too-many-connections", "overloaded"];
  assert.deepEqual(reasons.map(refused), [1, 1, 1, 1, 1]);
  node.log.verify();
});

// @rule end.protocol
Deno.test("a protocol error is counted by the rule that was broken", async () => {
  const { node, read } = counting();
  const client = new TestClient();
  const peer = await client.connect(node);
  peer.send(plain(9, "out of order"));
  await settle();
  assert.equal(read("holdfast_protocol_errors_total", { rule: "delivery.gap" }), 1);
  assert.equal(read("holdfast_ended_total", { reason: "protocol-error" }), 1);
});

Deno.test("commits are counted with their size", async () => {
  const { node, read } = counting();
  await Promise.all(Array.from({ length: 6 }, () => new TestClient().connect(node)));
  assert.ok(read("holdfast_commit_seconds_count") > 0);
  assert.equal(
    read("holdfast_commit_sessions_sum"),
    read("holdfast_commit_writes_total") + read("holdfast_commit_conflicts_total"),
  );
  assert.equal(read("holdfast_commit_attempts_total"), read("holdfast_commit_seconds_count"));
});

const shop = (gates: (() => void)[]) =>
  defineService({
    name: "shop",
    methods: {
      add: transaction({ input: z.int(), output: z.int() }, async (by, tx) => {
        const total = (await tx.get<number>(["total"]) ?? 0) + by;
        tx.set(["total"], total);
        return total;
      }),
      pay: method({ input: z.int() }, () => new Promise<void>((resolve) => void gates.push(resolve))),
    },
  });

// @rule call.operation
Deno.test("calls with an operation key are counted by how they were answered, and what runs or waits is a level", async () => {
  const gates: (() => void)[] = [];
  const clock = new FakeClock();
  const store = new FaultyStore(new MemorySessionStore({ clock }));
  const authenticator = new TestAuthenticator().grant("ada", "ada");
  const shared = { clock, store, authenticator, services: [shop(gates)] };
  const [one, two] = [counting(shared), counting(shared)];
  one.node.directory.start();
  const clientOf = async ({ node }: { readonly node: TestNode }) => {
    const client = new CallClient(undefined, "ada");
    await client.connect(node);
    client.openTo("shop");
    await settle();
    return client;
  };
  const [here, there] = [await clientOf(one), await clientOf(two)];
  const count = (outcome: string, { read } = one) => read("holdfast_operations_total", { outcome });
  here.call("pay", 1, { operation: "k" });
  here.call("pay", 1, { operation: "k" });
  here.call("pay", 2, { operation: "k" });
  await settle();
  await there.ask("pay", 1, { operation: "k" });
  assert.deepEqual([count("joined"), count("conflict"), count("in-progress", two)], [1, 1, 1]);
  assert.equal(one.read("holdfast_operations_running"), 1);
  assert.equal(one.read("holdfast_work"), 2);
  assert.ok(one.read("holdfast_held_bytes") > 0);
  for (const go of gates) go();
  await settle();
  assert.deepEqual([one.read("holdfast_operations_running"), one.read("holdfast_work")], [0, 0]);
  assert.equal(one.read("holdfast_held_bytes"), 0);
  await there.ask("pay", 1, { operation: "k" });
  await there.ask("pay", 3, { operation: "k" });
  assert.deepEqual([count("ran"), count("repeated", two), count("conflict", two)], [1, 1, 1]);

  await here.ask("add", 1, { operation: "t" });
  await there.ask("add", 1, { operation: "t" });
  await there.ask("add", 2, { operation: "t" });
  assert.deepEqual([count("ran"), count("repeated", two), count("conflict", two)], [2, 2, 2]);
  store.failReads("fail");
  await here.ask("pay", 1, { operation: "unread" });
  assert.equal(count("unavailable"), 1);

  here.call("pay", 1, { operation: "lost" });
  await settle();
  await one.node.crash();
  await clock.advance(16_000);
  await there.ask("pay", 1, { operation: "lost" });
  assert.equal(count("indeterminate", two), 1);
});

Deno.test("transactions that run again are counted by what made them: another session of this node, or another node", async () => {
  const clock = new FakeClock();
  const store = new FaultyStore(new MemorySessionStore({ clock }));
  const shared = { clock, store, services: [shop([])] };
  const [one, two] = [counting(shared), counting(shared)];
  const [a, b] = [await CallClient.open(one.node, "shop"), await CallClient.open(one.node, "shop")];
  const c = await CallClient.open(two.node, "shop");
  const reruns = (cause: string, { read } = one) => read("holdfast_transaction_reruns_total", { cause });
  a.call("add", 1);
  b.call("add", 1);
  await settle();
  assert.deepEqual([reruns("overtaken"), reruns("refuted")], [1, 0]);
  await c.ask("add", 1);
  await a.ask("add", 1);
  for (let n = 0; n < 10; n++) await clock.advance(20);
  assert.equal(reruns("refuted"), 1);
  assert.equal((await c.ask("add", 0), reruns("refuted", two)), 1);
});
