/** Who is kept out, and who is let in again. */

import assert from "node:assert/strict";
import { OPERATOR } from "../../src/access/authenticator.ts";
import { ERRAND_PATIENCE_MS } from "../../src/admin/errand_runner.ts";
import type { Durability } from "../../src/protocol/messages.ts";
import { setBlock } from "../../src/session/blocked.ts";
import { MemorySessionStore } from "../../src/storage/memory_session_store.ts";
import { ADMIN_TOKEN, AdminNode } from "../support/admin_node.ts";
import { FakeClock, settle } from "../support/fake_clock.ts";
import { FaultyStore } from "../support/faulty_store.ts";
import { TestClient } from "../support/raw_peer.ts";
import { TestAuthenticator } from "../support/test_authenticator.ts";

/** Nobody answers pings here. */
const SELDOM = { interval: 600_000, timeout: 600_000 };

interface World {
  readonly clock: FakeClock;
  readonly store: FaultyStore;
  readonly one: AdminNode;
  readonly two: AdminNode;
  readonly three: AdminNode;
}

function setup(): World {
  const clock = new FakeClock();
  const store = new FaultyStore(new MemorySessionStore({ clock }));
  const authenticator = new TestAuthenticator().grant("alice", "alice").grant("bob", "bob");
  const started = () => new AdminNode({ clock, store, authenticator, keepalive: SELDOM });
  return { clock, store, one: started(), two: started(), three: started() };
}

/** As {@link setup}, with the first two nodes known to each other. */
async function known(): Promise<World> {
  const world = setup();
  for (const { node } of [world.one, world.two]) node.directory.start();
  await settle();
  return world;
}

/** Blocks alice by the first node. */
function block({ one }: World): Promise<Response> {
  return one.ask("PUT", "/v1/admin/principals/alice/block?detail=abuse");
}

/** A session of alice's on a node. */
async function attached({ node }: AdminNode, durability: Durability): Promise<TestClient> {
  const client = new TestClient({ durability }, "alice");
  await client.connect(node);
  await settle();
  return client;
}

Deno.test("a blocked principal loses its conduits, and is refused on every node, until it is unblocked", async () => {
  const { one, two } = setup();
  const alice = new TestClient({}, "alice");
  const fleeting = new TestClient({ durability: "ephemeral" }, "alice");
  const bob = new TestClient({}, "bob");
  for (const client of [alice, fleeting, bob]) await client.connect(one.node);
  assert.deepEqual(await one.get("/v1/admin/principals/alice"), {
    principal: "alice",
    sessions: 2,
    sessionLimit: 1008,
    blocked: null,
  });

  const blocked = await one.ask("PUT", "/v1/admin/principals/alice/block?detail=abuse");
  assert.deepEqual((await blocked.json()).blocked, { detail: "abuse", at: one.node.clock.now() });
  await settle();
  assert.ok(!alice.peer!.open && !fleeting.peer!.open && bob.peer!.open);
  for (const { node } of [one, two]) {
    for (const client of [alice, new TestClient({}, "alice")]) {
      const peer = await client.dial(node);
      await settle();
      assert.deepEqual(peer.of("refused").map(({ reason, detail }) => [reason, detail]), [[
        "forbidden",
        "abuse",
      ]]);
      assert.equal(peer.closing?.code, 4600);
    }
  }
  await new TestClient({}, "bob").connect(two.node);

  await two.ask("DELETE", "/v1/admin/principals/alice/block");
  const peer = await alice.connect(two.node);
  assert.equal(peer.of("established")[0]?.resumed, true);
  assert.deepEqual(alice.faults, []);
});

for (const durability of ["durable", "ephemeral"] as const) {
  Deno.test(`a block breaks the conduits of ${durability} sessions on every node, and says of how many`, async () => {
    const world = await known();
    const { clock, one, two } = world;
    const here = await attached(one, durability);
    const there = [await attached(two, durability), await attached(two, durability)];
    const bob = new TestClient({ durability }, "bob");
    await bob.connect(two.node);
    const asking = block(world);
    await settle();
    await two.runErrands();
    await clock.advance(200);
    const { broken, unreached, blocked } = await (await asking).json();
    assert.deepEqual({ broken, unreached }, { broken: 3, unreached: [] });
    assert.equal(blocked.detail, "abuse");
    for (const { peer } of [here, ...there]) assert.equal(peer!.closing?.code, 4400);
    assert.ok(bob.peer!.open);
    for (const { node } of [one, two]) node.log.verify();
  });
}

Deno.test("nodes that do not answer are named, all of them within the time of one", async () => {
  const world = await known();
  const { clock, two, three } = world;
  three.node.directory.start();
  await settle();
  const fleeting = await attached(two, "ephemeral");
  const asking = block(world);
  let answered = false;
  void asking.then(() => answered = true);
  await clock.advance(ERRAND_PATIENCE_MS - 200);
  assert.equal(answered, false);
  await clock.advance(400);
  assert.equal(answered, true);
  const { broken, unreached } = await (await asking).json();
  assert.equal(broken, 0);
  const named = [two, three].map(({ node: { boot } }) => ({ node: boot, boot }));
  assert.deepEqual(new Set(unreached), new Set(named));
  assert.ok(fleeting.peer!.open);
});

Deno.test("a node that could not be asked is named, and the block stands", async () => {
  const world = await known();
  const { store, one, two } = world;
  const fleeting = await attached(two, "ephemeral");
  store.failAtomics("none", "fail_before");
  const { blocked, unreached } = await (await block(world)).json();
  assert.equal(blocked.detail, "abuse");
  assert.deepEqual(unreached, [{ node: two.node.boot, boot: two.node.boot }]);
  assert.ok(fleeting.peer!.open);
  assert.deepEqual(one.node.log.of("errand-not-sent").map(({ level }) => level), ["warn"]);
});

for (const unblocked of [false, true]) {
  const outcome = unblocked ? "nobody who was let in again" : "whoever is blocked still";
  Deno.test(`a node that was away for a while keeps out ${outcome}`, async () => {
    const world = await known();
    const { clock, one, two } = world;
    const fleeting = await attached(two, "ephemeral");
    const asking = block(world);
    await clock.advance(ERRAND_PATIENCE_MS + 1_000);
    assert.equal((await asking).status, 200);
    if (unblocked) await one.ask("DELETE", "/v1/admin/principals/alice/block");
    await two.runErrands();
    await settle();
    assert.equal(fleeting.peer!.open, unblocked);
  });
}

Deno.test("a handshake that was being decided when its principal was blocked is refused", async () => {
  const world = setup();
  const { store, one } = world;
  // It is not blocked; how many sessions it has is being read.
  store.failReads("none", "hold");
  const late = new TestClient({}, "alice");
  const peer = await late.dial(one.node);
  assert.equal(store.held, 1);
  await block(world);
  store.release();
  await settle();
  assert.deepEqual(peer.of("refused").map(({ reason, detail }) => [reason, detail]), [[
    "forbidden",
    "abuse",
  ]]);
  assert.deepEqual(peer.of("established"), []);
  assert.equal(one.node.registry.size, 0);
  one.node.log.verify();
});

Deno.test("a handshake whose session was being committed when its principal was blocked is refused", async () => {
  const world = setup();
  const { store, one } = world;
  store.failAtomics("hold");
  const late = new TestClient({}, "alice");
  const peer = await late.dial(one.node);
  assert.equal(store.held, 1);
  await block(world);
  store.release();
  await settle();
  assert.deepEqual(peer.of("refused").map(({ reason }) => reason), ["forbidden"]);
  assert.deepEqual(peer.of("established"), []);
  assert.ok(!peer.open);
  assert.deepEqual([...one.node.registry.sessions()].map((session) => session.attached), [false]);
  one.node.log.verify();
});

// @rule resume.reauthorise
Deno.test("fresh credentials of a principal that is blocked break the live conduit, also where the block did not reach it", async () => {
  const world = setup();
  const { one, two } = world;
  const fleeting = await attached(two, "ephemeral");
  fleeting.peer!.send({ kind: "authorise", auth: "alice" });
  await settle();
  assert.equal(fleeting.peer!.of("authorised").length, 1);
  assert.deepEqual((await (await block(world)).json()).unreached, []);
  assert.ok(fleeting.peer!.open, "no row says that there is a second node");
  fleeting.peer!.send({ kind: "authorise", auth: "alice" });
  await settle();
  assert.deepEqual(fleeting.peer!.closing, { code: 4600, reason: "forbidden" });
  assert.equal(fleeting.peer!.of("authorised").length, 1);
  for (const { node } of [one, two]) node.log.verify();
});

// @rule resume.reauthorise
Deno.test("while no block can be read, fresh credentials have no answer and those in force go on", async () => {
  const { store, two } = setup();
  const fleeting = await attached(two, "ephemeral");
  store.failReads("fail");
  fleeting.peer!.send({ kind: "authorise", auth: "alice" });
  await settle();
  assert.ok(fleeting.peer!.open);
  assert.deepEqual(fleeting.peer!.of("authorised"), []);
  assert.deepEqual(two.node.log.of("block-not-read").map(({ level }) => level), ["warn"]);
  fleeting.peer!.send({ kind: "authorise", auth: "alice" });
  await settle();
  assert.equal(fleeting.peer!.of("authorised").length, 1);
  two.node.log.verify();
});

Deno.test("operators are not blocked, and a block of theirs from before keeps nobody out", async () => {
  const { store, one } = setup();
  const refused = await one.ask("PUT", `/v1/admin/principals/${OPERATOR}/block`);
  assert.equal(refused.status, 409);
  assert.equal((await refused.json()).type, "urn:holdfast:problem:operators-not-blocked");
  assert.equal((await one.get(`/v1/admin/principals/${OPERATOR}`))["blocked"], null);
  await setBlock(store, OPERATOR, { detail: "as it was possible", at: 0 });
  await new TestClient({ durability: "ephemeral" }, ADMIN_TOKEN).connect(one.node);
  assert.equal((await one.ask("DELETE", `/v1/admin/principals/${OPERATOR}/block`)).status, 200);
});

Deno.test("a principal's sessions are listed, by its index where that holds them all", async () => {
  const { one } = setup();
  const alice = new TestClient({}, "alice");
  const ended = new TestClient({}, "alice");
  for (const client of [alice, ended, new TestClient({}, "bob")]) await client.connect(one.node);
  await settle();
  await one.ask("DELETE", `/v1/admin/sessions/${ended.session}`);
  const listed = async (query: string) =>
    (await one.get(`/v1/admin/sessions?${query}`)).sessions.map(({ id }) => id);
  assert.deepEqual(await listed("principal=alice&state=attached"), [alice.session]);
  assert.deepEqual(await listed("principal=alice&state=ended"), [ended.session]);
  assert.deepEqual(await listed("principal=alice&state=parked"), []);
  assert.deepEqual((await listed("principal=alice")).sort(), [alice.session!, ended.session!].sort());
});

Deno.test("a principal whose name no token could carry is refused", async () => {
  const { one } = setup();
  assert.equal((await one.ask("GET", `/v1/admin/principals/${"x".repeat(513)}`)).status, 400);
  assert.equal((await one.ask("PUT", "/v1/admin/principals/alice/block?detail=")).status, 400);
});
