/** What an operator pushes reaches its session once, wherever that is. */

import assert from "node:assert/strict";
import { MemorySessionStore } from "../../src/storage/memory_session_store.ts";
import { AdminNode, type AdminNodeOptions } from "../support/admin_node.ts";
import { FakeClock, settle } from "../support/fake_clock.ts";
import { FaultyStore } from "../support/faulty_store.ts";
import { TestClient } from "../support/raw_peer.ts";

async function attached(
  options: AdminNodeOptions = {},
  settings?: ConstructorParameters<typeof TestClient>[0],
) {
  const clock = new FakeClock();
  const store = new FaultyStore(new MemorySessionStore({ clock }));
  const admin = new AdminNode({ clock, store, ...options });
  const client = new TestClient(settings);
  await client.connect(admin.node);
  client.open();
  await settle();
  return { clock, store, admin, client, session: client.session! };
}

Deno.test("a push reaches an attached session and is answered with its number", async () => {
  const { admin, client, session } = await attached();
  const response = await admin.push(session, 1, { hello: [1, { $bin: "AQI" }] }, "k1");
  assert.equal(response.status, 200);
  const { sequence, repeated } = await response.json();
  assert.deepEqual([sequence, repeated], [2, false]);
  await settle();
  assert.deepEqual(client.echoes, [{ hello: [1, new Uint8Array([1, 2])] }]);
  assert.deepEqual(client.faults, []);
});

Deno.test("a push is answered when it is committed, and not before", async () => {
  const { admin, store, session } = await attached();
  store.failAtomics("hold");
  let answered = false;
  const pushing = admin.push(session, 1, 1, "k1").then((response) => (answered = true, response));
  await settle();
  await settle();
  assert.ok(!answered);
  store.release();
  assert.equal((await pushing).status, 200);
});

Deno.test("a push reaches a session that is detached, in memory or parked, when it resumes", async () => {
  for (const wait of [0, 60_000]) {
    const { admin, client, session, clock } = await attached();
    await client.cut();
    await clock.advance(wait);
    assert.equal(
      (await admin.get(`/v1/admin/sessions/${session}`)).state,
      wait === 0 ? "detached" : "parked",
    );
    assert.equal((await admin.push(session, 1, "for later", "k1")).status, 200);
    assert.equal(admin.node.registry.find(session) === undefined, wait !== 0);
    await client.connect(admin.node);
    await settle();
    assert.deepEqual(client.echoes, ["for later"]);
    assert.deepEqual(client.faults, []);
  }
});

Deno.test("a repeated push is answered as the first was, and sent once: attached, parked, on another node, after the end", async () => {
  const { admin, client, session, clock, store } = await attached();
  const first = await (await admin.push(session, 1, "once", "k1")).json();
  const again = async (from: AdminNode) => {
    const response = await from.push(session, 1, "once", "k1");
    assert.equal(response.status, 200);
    assert.deepEqual(await response.json(), { ...first, repeated: true });
  };
  await again(admin);
  await client.cut();
  await clock.advance(60_000);
  await again(admin);
  await again(new AdminNode({ clock, store }));
  await client.connect(admin.node);
  await settle();
  assert.deepEqual(client.echoes, ["once"]);
  assert.equal((await admin.ask("DELETE", `/v1/admin/sessions/${session}`)).status, 200);
  await again(admin);
});

Deno.test("a push whose node was lost between the commit and the answer is not sent again by its repeat", async () => {
  const { admin, client, session, clock, store } = await attached();
  await admin.push(session, 1, "once", "k1");
  await admin.node.crash();
  const other = new AdminNode({ clock, store });
  const repeat = await (await other.push(session, 1, "once", "k1")).json();
  assert.equal(repeat.repeated, true);
  await client.connect(other.node);
  await settle();
  assert.deepEqual(client.echoes, ["once"]);
});

Deno.test("pushes under one key at the same time are one push", async () => {
  const { admin, client, session } = await attached();
  const responses = await Promise.all([1, 2, 3].map(() => admin.push(session, 1, "once", "k1")));
  const answers = await Promise.all(responses.map((response) => response.json()));
  assert.deepEqual(answers.map(({ repeated }) => repeated).sort(), [false, true, true]);
  await settle();
  assert.deepEqual(client.echoes, ["once"]);
});

Deno.test("a key that was used for another message is refused, and nothing is sent", async () => {
  const { admin, client, session } = await attached();
  await admin.push(session, 1, "one", "k1");
  const response = await admin.push(session, 1, "two", "k1");
  assert.equal(response.status, 409);
  assert.equal((await response.json()).type, "urn:holdfast:problem:key-reused");
  await settle();
  assert.deepEqual(client.echoes, ["one"]);
});

Deno.test("an ephemeral session is pushed to once as well", async () => {
  const { admin, client, session } = await attached({}, { durability: "ephemeral" });
  assert.equal((await (await admin.push(session, 1, "once", "k1")).json()).repeated, false);
  assert.equal((await (await admin.push(session, 1, "once", "k1")).json()).repeated, true);
  await settle();
  assert.deepEqual(client.echoes, ["once"]);
  assert.deepEqual(await admin.node.rows(["push"]), []);
});

Deno.test("a push to a session that another live node has attached is that node's to send", async () => {
  const { admin, client, session, clock, store } = await attached();
  admin.node.directory.start();
  await settle();
  const other = new AdminNode({ clock, store });
  const pushing = other.push(session, 1, "x".repeat(200_000), "k1");
  await settle();
  assert.ok((await admin.node.rows(["errand"])).length > 1);
  await admin.runErrands();
  await clock.advance(200);
  const response = await pushing;
  assert.equal(response.status, 200);
  await settle();
  assert.deepEqual(client.echoes, ["x".repeat(200_000)]);
  assert.ok(client.peer!.open);
  for (const kind of ["errand", "answer"]) assert.deepEqual(await admin.node.rows([kind]), []);
  await admin.node.directory.stop();
});

Deno.test("an errand that the other node never runs is a 503, is not run late, and its repeat is safe", async () => {
  const { admin, client, session, clock, store } = await attached();
  admin.node.directory.start();
  await settle();
  const other = new AdminNode({ clock, store });
  const pushing = other.push(session, 1, "once", "k1");
  await clock.advance(9_000);
  assert.equal((await pushing).status, 503);
  await admin.runErrands();
  await settle();
  assert.deepEqual(client.echoes, []);
  const repeat = other.push(session, 1, "once", "k1");
  await settle();
  await admin.runErrands();
  await clock.advance(200);
  assert.equal((await repeat).status, 200);
  await settle();
  assert.deepEqual(client.echoes, ["once"]);
  await admin.node.directory.stop();
});

Deno.test("a push that would exceed what a session may store is refused, and its connection lives", async () => {
  const { admin, client, session } = await attached({ limits: { storedBytes: 1024 * 1024 } });
  client.acks = false;
  const big = "x".repeat(500_000);
  assert.equal((await admin.push(session, 1, big, "k1")).status, 200);
  assert.equal((await admin.push(session, 1, big, "k2")).status, 200);
  const refused = await admin.push(session, 1, big, "k3");
  assert.equal(refused.status, 409);
  assert.equal((await refused.json()).type, "urn:holdfast:problem:session-full");
  const { connections } = await admin.get(`/v1/admin/sessions/${session}`);
  const [connection, ...others] = connections as { readonly id: number; readonly phase: string }[];
  assert.deepEqual([connection?.id, connection?.phase, others], [1, "open", []]);
});
