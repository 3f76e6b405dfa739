/** What an operator does to sessions, and what is told of it. */

import assert from "node:assert/strict";
import { MemorySessionStore } from "../../src/storage/memory_session_store.ts";
import { HISTORY_ENTRIES } from "../../src/session/history.ts";
import { AdminNode } from "../support/admin_node.ts";
import { FakeClock, settle } from "../support/fake_clock.ts";
import { TestClient } from "../support/raw_peer.ts";

async function attached() {
  const clock = new FakeClock();
  const store = new MemorySessionStore({ clock });
  const admin = new AdminNode({ clock, store });
  const client = new TestClient();
  await client.connect(admin.node);
  client.open();
  await settle();
  return { clock, store, admin, client, session: client.session! };
}

// @rule end.close
Deno.test("an operator ends a session: its client is told, and it is remembered with the reason", async () => {
  const { admin, client, session } = await attached();
  const response = await admin.ask("DELETE", `/v1/admin/sessions/${session}?detail=maintenance`);
  assert.equal(response.status, 200);
  await settle();
  assert.deepEqual(client.peer!.of("close")[0], { kind: "close", reason: "ended", detail: "maintenance" });
  assert.equal(client.peer!.closing?.code, 4502);
  const shown = await admin.get(`/v1/admin/sessions/${session}`);
  assert.equal(shown.state, "ended");
  assert.deepEqual(shown["ended"], { reason: "ended", detail: "maintenance", at: admin.node.clock.now() });
  const again = await admin.ask("DELETE", `/v1/admin/sessions/${session}`);
  assert.equal(again.status, 409);
  assert.equal((await again.json()).type, "urn:holdfast:problem:session-ended");
});

Deno.test("an operator ends a parked session, and its client is told when it comes back", async () => {
  const { admin, client, session, clock } = await attached();
  await client.cut();
  await clock.advance(60_000);
  assert.equal((await admin.ask("DELETE", `/v1/admin/sessions/${session}`)).status, 200);
  const peer = await client.dial(admin.node);
  await settle();
  assert.equal(peer.of("refused")[0]?.reason, "closed");
});

Deno.test("an operator ends and breaks what another live node has attached, through that node", async () => {
  const { admin, client, session, clock, store } = await attached();
  admin.node.directory.start();
  await settle();
  const other = new AdminNode({ clock, store });
  const ask = async (method: string, path: string) => {
    const asking = other.ask(method, `/v1/admin/sessions/${session}${path}`);
    await settle();
    await admin.runErrands();
    await clock.advance(200);
    return await asking;
  };
  assert.deepEqual(await (await ask("POST", "/break")).json(), { session, broken: true });
  assert.equal(client.peer!.closing?.code, 4400);
  await client.connect(admin.node);
  await settle();
  assert.equal((await ask("DELETE", "")).status, 200);
  assert.equal(client.peer!.closing?.code, 4502);
  await admin.node.directory.stop();
});

Deno.test("a session whose node is lost is ended without it", async () => {
  const { admin, session, clock, store } = await attached();
  await admin.node.crash();
  const other = new AdminNode({ clock, store });
  assert.equal((await other.ask("DELETE", `/v1/admin/sessions/${session}`)).status, 200);
  assert.equal((await other.get(`/v1/admin/sessions/${session}`)).state, "ended");
});

Deno.test("a broken conduit leaves the session detached; its client resumes and nothing is lost", async () => {
  const { admin, client, session } = await attached();
  const path = `/v1/admin/sessions/${session}/break`;
  assert.deepEqual(await (await admin.ask("POST", path)).json(), { session, broken: true });
  assert.equal(client.peer!.closing?.code, 4400);
  assert.deepEqual(await (await admin.ask("POST", path)).json(), { session, broken: false });
  client.ready = false;
  client.echo("said while broken");
  await client.connect(admin.node);
  await settle();
  assert.deepEqual(client.echoes, ["said while broken"]);
});

Deno.test("the history tells attach, break, resume with what was replayed, and the node it moved to", async () => {
  const { admin, client, session, clock, store } = await attached();
  const start = clock.now();
  await admin.ask("POST", `/v1/admin/sessions/${session}/break`);
  await clock.advance(1_000);
  await admin.push(session, 1, "one", "k1");
  await admin.push(session, 1, "two", "k2");
  const other = new AdminNode({ clock, store });
  await client.connect(other.node);
  await settle();
  await client.cut();
  const { history } = await other.get(`/v1/admin/sessions/${session}`);
  assert.deepEqual(history, [
    { kind: "attached", at: start, node: admin.node.boot },
    { kind: "detached", at: start, reason: "unavailable" },
    { kind: "resumed", at: start + 1_000, node: other.node.boot, replayed: 2 },
    { kind: "detached", at: start + 1_000, reason: "broke" },
  ]);
  assert.deepEqual(client.faults, []);
});

Deno.test("a history is bounded, survives parking and the end, and is gone with the tombstone", async () => {
  const { admin, client, session, clock } = await attached();
  for (let i = 0; i < HISTORY_ENTRIES; i++) {
    await client.cut();
    await clock.advance(10);
    await client.connect(admin.node);
    await settle();
  }
  await client.cut();
  await clock.advance(60_000);
  const parked = await admin.get(`/v1/admin/sessions/${session}`);
  assert.equal(parked.state, "parked");
  assert.equal(parked.history.length, HISTORY_ENTRIES);
  assert.equal(parked.history.at(-1)?.kind, "detached");
  await admin.ask("DELETE", `/v1/admin/sessions/${session}`);
  assert.deepEqual((await admin.get(`/v1/admin/sessions/${session}`)).history, parked.history);
  await clock.advance(2 * 3_600_000);
  await admin.ask("POST", "/v1/admin/store/sweep");
  assert.equal((await admin.ask("GET", `/v1/admin/sessions/${session}`)).status, 404);
  assert.deepEqual(await admin.node.rows(["history"]), []);
});

Deno.test("a message on a connection costs no write of the history", async () => {
  const { admin, client } = await attached();
  const before = admin.node.registry.committer.stats;
  client.echo("one");
  await settle();
  const after = admin.node.registry.committer.stats;
  assert.ok(after.writes > before.writes);
  assert.equal(after.mutations - before.mutations, after.writes - before.writes);
});
