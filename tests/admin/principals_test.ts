/** Who is kept out, and who is let in again. */

import assert from "node:assert/strict";
import { MemorySessionStore } from "../../src/storage/memory_session_store.ts";
import { AdminNode } from "../support/admin_node.ts";
import { FakeClock, settle } from "../support/fake_clock.ts";
import { TestClient } from "../support/raw_peer.ts";
import { TestAuthenticator } from "../support/test_authenticator.ts";

function setup(): { one: AdminNode; two: AdminNode } {
  const clock = new FakeClock();
  const store = new MemorySessionStore({ clock });
  const authenticator = new TestAuthenticator().grant("alice", "alice").grant("bob", "bob");
  const [one, two] = [1, 2].map(() => new AdminNode({ clock, store, authenticator })) as [
    AdminNode,
    AdminNode,
  ];
  return { one, two };
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
