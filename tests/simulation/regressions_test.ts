/** What the simulation found first, each made small enough to read. */

import assert from "node:assert/strict";
import { MemorySessionStore } from "../../src/storage/memory_session_store.ts";
import { attachedClient, client, TestStorage } from "../support/client_fixture.ts";
import { FakeClock, settle } from "../support/fake_clock.ts";
import { FaultyStore } from "../support/faulty_store.ts";
import { TestClient } from "../support/raw_peer.ts";
import { TestNode } from "../support/test_node.ts";

// @rule resume.anywhere
Deno.test("a node whose session was only released by another one sends its client back, not away", async () => {
  const clock = new FakeClock();
  const store = new MemorySessionStore({ clock });
  // Its directory does not run: to the others it looks lost, as when it is cut off from the store.
  const cut = new TestNode({ clock, store, keepalive: { interval: 300_000, timeout: 10_000 } });
  const other = new TestNode({ clock, store, sweeps: true });
  const peer = new TestClient();
  const conduit = await peer.connect(cut);
  peer.open();
  await settle();
  await clock.advance(45_000);
  peer.echo("while nobody else had it");
  await settle();
  assert.deepEqual(conduit.closing, { code: 4400, reason: "unavailable" });
  await peer.connect(other);
  await settle();
  assert.deepEqual(peer.echoes, ["while nobody else had it"]);
  assert.deepEqual(peer.faults, []);
  await other.crash();
});

// @rule resume.takeover
Deno.test("a node whose session was resumed elsewhere sends its client away, also when the store answers late", async () => {
  const clock = new FakeClock();
  const store = new FaultyStore(new MemorySessionStore({ clock }));
  const [old, other] = [new TestNode({ clock, store }), new TestNode({ clock, store })];
  const peer = new TestClient();
  const conduit = await peer.connect(old);
  peer.open();
  await settle();
  await peer.connect(other);
  const lost = old.registry.find(peer.session!)!.confirmOwnership();
  // The committer looks for its own attempt first.
  store.failReads("none", "hold");
  await lost;
  await settle();
  assert.equal(conduit.closing, null);
  assert.equal(old.registry.size, 0);
  store.release();
  await settle();
  assert.deepEqual(conduit.closing, { code: 4510, reason: "superseded" });
  await Promise.all([old.crash(), other.crash()]);
});

// @rule handshake.challenge
Deno.test("a creation that is applied when its node has given it up ends all the same", async () => {
  const clock = new FakeClock();
  const store = new FaultyStore(new MemorySessionStore({ clock }));
  const node = new TestNode({ clock, store, sweeps: true });
  const rival = new TestNode({ clock, store });
  const peer = new TestClient();
  await clock.advance(500);
  store.failAtomics("late");
  const first = await peer.dial(node);
  first.close(1000);
  await settle();
  // The same start makes the session elsewhere: the first attempt fails its checks from now on.
  await peer.connect(rival);
  await clock.advance(5_000);
  const { session } = peer;
  // A minute later the challenge's row is gone, and they hold again.
  await clock.advance(61_000);
  await store.applyLate();
  const orphans = (await node.rows(["session"])).filter((key) => !key.endsWith(session!));
  assert.equal(orphans.length, 1);
  await clock.advance(3_000);
  assert.deepEqual((await node.rows(["session"])).filter((key) => !key.endsWith(session!)), []);
  assert.deepEqual((await node.rows(["attached"])).filter((key) => !key.endsWith(session!)), []);
  await Promise.all([node.crash(), rival.crash()]);
});

for (const reason of ["unavailable", "draining"]) {
  // @rule resume.takeover
  Deno.test(`a start refused with ${reason} may still take effect: its takeover is the client's own`, async () => {
    const { fixture, session, server, clock, line } = await attachedClient();
    await line.say({ kind: "goaway", reason: "draining", after: 10 });
    await clock.advance(10);
    server.line.open();
    await settle();
    await server.line.say({ kind: "refused", reason, detail: "its commit could not be waited for" });
    assert.equal(session.phase, "attached");
    await line.end(4510, "superseded");
    assert.notEqual(session.phase, "ended");
    assert.deepEqual(fixture.details("taken-over"), []);
    session.goOffline();
    await settle();
  });
}

// @rule resume.takeover
// @rule resume.stored-client
Deno.test("the start of a page that was reloaded may still take effect: its takeover is the client's own", async () => {
  const storage = new TestStorage();
  const before = await attachedClient({ storage });
  before.session.goOffline();
  await settle();
  const after = await client({ storage });
  await after.server.establish();
  assert.equal(after.session.phase, "attached");
  await after.server.line.end(4510, "superseded");
  assert.deepEqual(after.details("taken-over"), []);
  assert.equal(after.session.phase, "detached");
  after.session.goOffline();
  await settle();
});
