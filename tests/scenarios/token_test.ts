/** Resume tokens: what resumes, what is stale, and what a refusal leaves alone. */

import assert from "node:assert/strict";
import { FakeClock, settle } from "../support/fake_clock.ts";
import { FaultyStore } from "../support/faulty_store.ts";
import { RawPeer, TestClient } from "../support/raw_peer.ts";
import { TestNode, type TestNodeOptions } from "../support/test_node.ts";
import { MemorySessionStore } from "../../src/storage/memory_session_store.ts";
import type { ResumeRequest } from "../../src/protocol/messages.ts";

/** What a client that holds `token` would be answered. */
async function resumed(node: TestNode, client: TestClient, fields: Partial<ResumeRequest>): Promise<RawPeer> {
  const peer = new RawPeer(node);
  const start = client.start();
  peer.send({ ...start, resume: { ...start.resume!, ...fields } });
  await settle();
  return peer;
}

/** A client that resumed `times` times, each proven. */
async function resumedOften(times: number, options: TestNodeOptions = {}): Promise<[TestNode, TestClient]> {
  const node = new TestNode(options);
  const client = new TestClient();
  await client.connect(node);
  client.open();
  for (let i = 0; i < times; i++) {
    await settle();
    await client.cut();
    await client.connect(node);
  }
  await settle();
  return [node, client];
}

// @rule resume.rotate
Deno.test("every established carries a new token", async () => {
  const [, client] = await resumedOften(10);
  assert.equal(new Set(client.tokens).size, 11);
  assert.ok(client.tokens.every((token) => token.length === 43));
});

// @rule resume.rotate
Deno.test("a token stays valid while its successors are lost, any number of times", async () => {
  const [node, client] = await resumedOften(1);
  const { token } = client;
  await client.cut();
  for (let i = 0; i < 12; i++) {
    const peer = await resumed(node, client, { token });
    assert.equal(peer.of("established").length, 1, `attempt ${i}`);
    peer.pipe.break();
    await settle();
  }
  client.echo("through");
  await client.connect(node);
  await settle();
  assert.deepEqual(client.echoes, ["through"]);
});

// @rule resume.rotate
Deno.test("a token that arrived but was never proven stays valid however often its successors are lost", async () => {
  const [node, client] = await resumedOften(1);
  await client.cut();
  client.acks = false;
  const peer = await client.connect(node);
  peer.pipe.break();
  await settle();
  // The client holds the new token now. All it gets after this is lost.
  const { token } = client;
  for (let i = 0; i < 12; i++) {
    const lost = await resumed(node, client, { token });
    assert.equal(lost.of("established").length, 1, `attempt ${i}: ${lost.of("refused")[0]?.reason}`);
    lost.pipe.break();
    await settle();
  }
});

// @rule resume.rotate
Deno.test("any of the successors may be the one that is proven; its rivals are stale then", async () => {
  const [node, client] = await resumedOften(0);
  const used = client.token;
  await client.cut();
  const offered: string[] = [];
  for (let i = 0; i < 3; i++) {
    const peer = await resumed(node, client, { token: used });
    offered.push(peer.of("established")[0]!.token);
    peer.pipe.break();
    await settle();
  }
  const second = await resumed(node, client, { token: offered[1]! });
  second.send({ kind: "ack", received: client.received });
  await settle();
  for (const token of [used, ...offered]) {
    const peer = await resumed(node, client, { token });
    assert.equal(peer.of("refused")[0]?.reason, "stale-token");
  }
  assert.ok(second.open);
});

// @rule resume.rotate, resume.refused
Deno.test("a stale token is refused, counted and logged as suspected theft; the session does not notice", async () => {
  const [node, client] = await resumedOften(3);
  const holder = client.peer!;
  for (const token of client.tokens.slice(0, -1)) {
    const thief = await resumed(node, client, { token });
    assert.equal(thief.of("refused")[0]?.reason, "stale-token");
    assert.equal(thief.closing?.code, 4501);
  }
  assert.equal(node.log.of("suspected-token-theft").length, 3);
  assert.ok(holder.open);
  client.echo("still here");
  await settle();
  assert.deepEqual(client.echoes, ["still here"]);
});

// @rule resume.rotate
Deno.test("of the retired tokens the last eight are stale, older ones unknown", async () => {
  const [node, client] = await resumedOften(12);
  const judged: string[] = [];
  for (const token of client.tokens.slice(0, -1)) {
    judged.push((await resumed(node, client, { token })).of("refused")[0]!.reason);
  }
  assert.deepEqual(judged, [...Array(4).fill("unknown-session"), ...Array(8).fill("stale-token")]);
});

// @rule resume.rotate
Deno.test("where token reuse ends a session, a stale token ends it for its holder too, and it says so", async () => {
  const [node, client] = await resumedOften(2, { tokenReuse: "end" });
  const holder = client.peer!;
  await resumed(node, client, { token: client.tokens[0]! });
  assert.equal(holder.of("close")[0]?.reason, "token-reuse");
  assert.equal(holder.closing?.code, 4501);
  const later = await resumed(node, client, {});
  assert.equal(later.of("refused")[0]?.reason, "token-reuse");
  assert.equal(node.registry.size, 0);
});

// @rule resume.refused
Deno.test("an unknown session and a wrong token are refused alike, and no session comes of it", async () => {
  const [node, client] = await resumedOften(0);
  const holder = client.peer!;
  const answers = [
    await resumed(node, client, { token: "a".repeat(43) }),
    await resumed(node, client, { session: "A".repeat(22) }),
    await resumed(node, client, { session: "../../etc" }),
  ].map((peer) => peer.of("refused")[0]!);
  for (const { reason, detail } of answers) {
    assert.equal(reason, "unknown-session");
    assert.equal(detail, answers[0]!.detail);
  }
  assert.equal(node.registry.size, 1);
  assert.equal(node.log.of("suspected-token-theft").length, 0);
  assert.ok(holder.open);
});

// @rule resume.refused, handshake.order
Deno.test("the token is judged before settings and counters", async () => {
  const [node, client] = await resumedOften(1);
  const peer = new RawPeer(node);
  const start = client.start();
  peer.send({
    ...start,
    resume: { ...start.resume!, token: "wrong", received: 99 },
    settings: { durability: "ephemeral" },
  });
  await settle();
  assert.equal(peer.of("refused")[0]?.reason, "unknown-session");
});

// @rule resume.diverged
Deno.test("a side that lost state is told diverged, each way, and the session is untouched", async () => {
  const [node, client] = await resumedOften(1);
  client.echo("a");
  client.echo("b");
  await settle();
  const { received, sent } = client;
  const holder = client.peer!;
  for (
    const fields of [{ received: received + 1 }, { received: received - 1 }, { sent: sent - 1 }, { sent: 0 }]
  ) {
    const peer = await resumed(node, client, fields);
    assert.equal(peer.of("refused")[0]?.reason, "diverged", JSON.stringify(fields));
    assert.equal(peer.closing?.code, 4501);
  }
  assert.ok(holder.open);
  await client.cut();
  const ahead = await resumed(node, client, { sent: sent + 3 });
  assert.equal(ahead.of("established")[0]?.resumed, true, "messages on their way are no divergence");
});

// @rule resume.refused
Deno.test("memory never refuses: a resume waits for what is pending and is decided by the store", async () => {
  const clock = new FakeClock();
  const store = new FaultyStore(new MemorySessionStore({ clock }));
  const a = new TestNode({ clock, store });
  const b = new TestNode({ clock, store });
  const client = new TestClient();
  await client.connect(a);
  await settle();
  await client.cut();
  await client.connect(b);
  await settle();
  await client.cut();
  // Node a still holds the session in memory, and there this token is unknown.
  const peer = await client.connect(a);
  assert.equal(peer.of("established")[0]?.resumed, true);
  assert.deepEqual(client.faults, []);
});

// @rule resume.refused, resume.rotate
Deno.test("a token is refused only after the commit that retired it", async () => {
  const clock = new FakeClock();
  const store = new FaultyStore(new MemorySessionStore({ clock }));
  const node = new TestNode({ clock, store });
  const client = new TestClient();
  await client.connect(node);
  await settle();
  const used = client.token;
  await client.cut();
  store.failAtomics("none", "hold");
  await client.connect(node);
  await settle();
  assert.equal(store.held, 1, "the proof is on its way to the store");
  const thief = await resumed(node, client, { token: used });
  assert.deepEqual(thief.messages, []);
  store.release();
  await settle();
  assert.equal(thief.of("refused")[0]?.reason, "stale-token");
});

// @rule resume.secret
Deno.test("the store and the log never hold a token", async () => {
  const [node, client] = await resumedOften(3);
  await resumed(node, client, { token: client.tokens[0]! });
  const text = new TextDecoder("latin1");
  for (const kind of ["session", "challenge", "deadline", "attached", "connection"]) {
    for (const { key, value } of await node.store.list({ prefix: [kind] }, { limit: 100 })) {
      for (const token of client.tokens) assert.ok(!(key.join() + text.decode(value)).includes(token));
    }
  }
  const lines = JSON.stringify(node.log.lines);
  assert.ok(node.log.lines.length > 0);
  for (const token of client.tokens) assert.ok(!lines.includes(token));
});
