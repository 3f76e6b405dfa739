/** Who may have a session, and for how long: credentials over the whole life of a session. */

import assert from "node:assert/strict";
import type { Reason } from "../../src/protocol/reasons.ts";
import { settle } from "../support/fake_clock.ts";
import { newStart, openEcho, type RawPeer, RawPeer as Peer, TestClient } from "../support/raw_peer.ts";
import { TestAuthenticator } from "../support/test_authenticator.ts";
import { TestNode, type TestNodeOptions } from "../support/test_node.ts";

function authenticating(options: TestNodeOptions = {}): { node: TestNode; authenticator: TestAuthenticator } {
  const authenticator = new TestAuthenticator().grant("alice", "alice").grant("bob", "bob");
  return { node: new TestNode({ authenticator, ...options }), authenticator };
}

function refusedWith(peer: RawPeer, reason: Reason, code: number): void {
  assert.deepEqual(peer.of("refused").map((refused) => refused.reason), [reason]);
  assert.equal(peer.closing?.code, code);
}

Deno.test("a new session needs credentials that are good, in start or in the upgrade", async () => {
  const { node } = authenticating();
  for (const auth of [undefined, "mallory", "x".repeat(16_384)]) {
    refusedWith(await new TestClient({}, auth).dial(node), "unauthorized", 4601);
  }
  const inStart = new TestClient({}, "alice");
  await inStart.connect(node);
  const inUpgrade = new TestClient();
  inUpgrade.origin = { address: null, credentials: "bob" };
  await inUpgrade.connect(node);
  assert.equal(node.registry.find(inStart.session!)?.state.principal, "alice");
  assert.equal(node.registry.find(inUpgrade.session!)?.state.principal, "bob");
  assert.equal(node.registry.size, 2);
  node.log.verify();
});

Deno.test("credentials in start count before those of the upgrade", async () => {
  const { node, authenticator } = authenticating();
  const client = new TestClient({}, "alice");
  client.origin = { address: null, credentials: "bob" };
  await client.connect(node);
  assert.deepEqual(authenticator.presented, ["alice"]);
  node.log.verify();
});

for (const durability of ["durable", "ephemeral"] as const) {
  // @rule resume.reauthorise
  Deno.test(`a resume of a ${durability} session is authorised anew and must be the same principal`, async () => {
    const { node } = authenticating();
    const client = new TestClient({ durability }, "alice");
    await client.connect(node);
    await client.cut();
    for (const auth of [undefined, "mallory", "bob"]) {
      client.auth = auth;
      refusedWith(await client.dial(node), "unauthorized", 4601);
    }
    client.auth = "alice";
    const peer = await client.connect(node);
    assert.equal(peer.of("established")[0]?.resumed, true);
    node.log.verify();
  });
}

// @rule resume.reauthorise, handshake.order
Deno.test("a parked session is given to its principal alone; who has no token learns nothing of it", async () => {
  const { node } = authenticating({ parkAfter: 1_000 });
  const client = new TestClient({}, "alice");
  await client.connect(node);
  await client.cut();
  await node.clock.advance(1_000);
  assert.equal(node.registry.size, 0);
  const { token } = client;
  client.auth = "bob";
  refusedWith(await client.dial(node), "unauthorized", 4601);
  client.token = "another".padEnd(43, "x");
  refusedWith(await client.dial(node), "unknown-session", 4501);
  client.token = token;
  client.auth = "alice";
  await client.connect(node);
  node.log.verify();
});

// @rule resume.reauthorise
Deno.test("how a session ended is told to its principal alone", async () => {
  const { node } = authenticating();
  const client = new TestClient({}, "alice");
  const peer = await client.connect(node);
  peer.send({ kind: "close", reason: "done", detail: "" });
  await settle();
  client.auth = "bob";
  refusedWith(await client.dial(node), "unauthorized", 4601);
  client.auth = "alice";
  refusedWith(await client.dial(node), "closed", 4501);
  node.log.verify();
});

// @rule resume.reauthorise
Deno.test("sessions of principals are not resumed where authentication was switched off, nor the other way", async () => {
  const { node, authenticator } = authenticating();
  const hers = new TestClient({}, "alice");
  await hers.connect(node);
  await node.crash();
  const open = new TestNode({ store: node.store, clock: node.clock });
  refusedWith(await hers.dial(open), "unauthorized", 4601);
  const nobodys = new TestClient();
  await nobodys.connect(open);
  await open.crash();
  const closed = new TestNode({ store: node.store, clock: node.clock, authenticator });
  nobodys.auth = "alice";
  refusedWith(await nobodys.dial(closed), "unauthorized", 4601);
  await hers.connect(closed);
});

Deno.test("the same challenge of two principals makes two sessions", async () => {
  const { node } = authenticating();
  const [a, b] = [new TestClient({}, "alice"), new TestClient({}, "bob")];
  b.challenge = a.challenge;
  await a.connect(node);
  await b.connect(node);
  assert.notEqual(a.session, b.session);
  node.log.verify();
});

Deno.test("credentials that end break the conduit at that moment, and the session waits for new ones", async () => {
  const { node, authenticator } = authenticating();
  const end = node.clock.now() + 20_000;
  authenticator.grant("short", "alice", { expiresAt: end });
  const client = new TestClient({}, "short");
  const peer = await client.connect(node);
  await node.clock.advance(19_999);
  assert.ok(peer.open);
  await node.clock.advance(1);
  assert.deepEqual(peer.closing, { code: 4601, reason: "authorisation-expired" });
  assert.equal(node.registry.find(client.session!)?.attached, false);
  client.auth = "alice";
  const again = await client.connect(node);
  assert.equal(again.of("established")[0]?.resumed, true);
  node.log.verify();
});

Deno.test("fresh credentials on the live conduit are answered with their end, and go on from there", async () => {
  const { node, authenticator } = authenticating();
  const now = node.clock.now();
  authenticator.grant("short", "alice", { expiresAt: now + 5_000 });
  authenticator.grant("longer", "alice", { expiresAt: now + 9_000 });
  const client = new TestClient({}, "short");
  const peer = await client.connect(node);
  await node.clock.advance(1_000);
  peer.send({ kind: "authorise", auth: "longer" });
  await settle();
  assert.deepEqual(peer.of("authorised"), [{ kind: "authorised", expires: 8_000 }]);
  await node.clock.advance(7_999);
  assert.ok(peer.open);
  await node.clock.advance(1);
  assert.equal(peer.closing?.code, 4601);
  node.log.verify();
});

for (const auth of ["mallory", "bob"]) {
  Deno.test(`credentials of ${auth} on alice's live conduit break it; the session stays`, async () => {
    const { node } = authenticating();
    const client = new TestClient({}, "alice");
    const peer = await client.connect(node);
    peer.send({ kind: "authorise", auth });
    await settle();
    assert.deepEqual(peer.closing, { code: 4601, reason: "unauthorized" });
    assert.deepEqual(peer.of("authorised"), []);
    await client.connect(node);
    node.log.verify();
  });
}

Deno.test("while nobody can judge, new ones are told when to come back, and live ones go on to their end", async () => {
  const { node, authenticator } = authenticating();
  authenticator.grant("short", "alice", { expiresAt: node.clock.now() + 5_000 });
  const client = new TestClient({}, "short");
  const peer = await client.connect(node);
  authenticator.available = false;
  const other = await new TestClient({}, "alice").dial(node);
  refusedWith(other, "unavailable", 4400);
  assert.equal(other.of("refused")[0]?.retryAfter, 5_000);
  peer.send({ kind: "authorise", auth: "alice" });
  await node.clock.advance(4_999);
  assert.ok(peer.open);
  await node.clock.advance(1);
  assert.equal(peer.closing?.code, 4601);
  node.log.verify();
});

Deno.test("a flood of fresh credentials is judged one after the other, the newest last", async () => {
  const { node, authenticator } = authenticating();
  const client = new TestClient({}, "alice");
  const peer = await client.connect(node);
  authenticator.presented.length = 0;
  peer.send(...Array.from({ length: 500 }, () => ({ kind: "authorise", auth: "alice" }) as const));
  await settle();
  assert.ok(authenticator.presented.length <= 3, `${authenticator.presented.length} were judged`);
  assert.ok(peer.of("authorised").length >= 1);
  assert.ok(peer.open);
  node.log.verify();
});

Deno.test("a service that credentials do not allow is rejected as forbidden; fresh ones can allow it", async () => {
  const { node, authenticator } = authenticating();
  authenticator.grant("narrow", "alice", { services: ["other"] });
  const client = new TestClient({}, "narrow");
  const peer = await client.connect(node);
  peer.send(openEcho(1, 1));
  await settle();
  assert.deepEqual(peer.of("reject").map(({ reason }) => reason), ["forbidden"]);
  peer.send({ kind: "authorise", auth: "alice" });
  await settle();
  peer.send(openEcho(2, 3));
  await settle();
  assert.equal(peer.of("accept").length, 1);
  node.log.verify();
});

Deno.test("credentials may allow fewer connections than the node", async () => {
  const { node, authenticator } = authenticating();
  authenticator.grant("small", "alice", { limits: { connections: 1 } });
  const client = new TestClient({}, "small");
  const peer = await client.connect(node);
  assert.equal(peer.of("established")[0]?.limits.connections, 1);
  peer.send(openEcho(1, 1), openEcho(2, 3));
  await settle();
  assert.deepEqual(peer.of("reject").map(({ reason }) => reason), ["too-many-connections"]);
  node.log.verify();
});

Deno.test("no credentials are logged, whatever becomes of them", async () => {
  const { node, authenticator } = authenticating();
  authenticator.grant("secret-credentials", "alice");
  const client = new TestClient({}, "secret-credentials");
  const peer = await client.connect(node);
  peer.send({ kind: "authorise", auth: "wrong-secret-credentials" });
  await settle();
  new Peer(node).send(newStart({ auth: "wrong-secret-credentials" }));
  await settle();
  assert.doesNotMatch(JSON.stringify(node.log.lines), /secret-credentials/);
  node.log.verify();
});
