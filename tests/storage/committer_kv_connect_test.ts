import assert from "node:assert/strict";
import { Committer } from "../../src/storage/committer.ts";
import { openKvSessionStore } from "../../src/storage/kv_session_store.ts";
import { systemClock } from "../../src/system/clock.ts";
import { KvConnectServer } from "../support/kv_connect_server.ts";
import { ScriptedSource } from "../support/scripted_source.ts";
import { SeededRandom } from "../support/seeded_random.ts";
import { TestLog } from "../support/test_log.ts";

Deno.test("over KV Connect two nodes commit for their own sessions, whatever replies are lost", async () => {
  const token = "a-token-of-the-tests";
  Deno.env.set("DENO_KV_ACCESS_TOKEN", token);
  const server = await KvConnectServer.start({ token });
  const log = new TestLog();
  const nodes = await Promise.all([1, 2].map(async (seed) => {
    const store = await openKvSessionStore(server.url, { clock: systemClock });
    const committer = new Committer(store, { clock: systemClock, log, random: new SeededRandom(seed) });
    const sources = Array.from(
      { length: 25 },
      (_, index) => new ScriptedSource(`node ${seed} session ${index}`),
    );
    return { store, committer, sources };
  }));
  for (let round = 1; round <= 3; round++) {
    server.inject({ writes: ["drop_reply", "reject_after", "reject", "drop_reply"] });
    for (const { committer, sources } of nodes) for (const source of sources) committer.request(source);
    await Promise.all(nodes.map(({ committer }) => committer.idle()));
    for (const { store, sources } of nodes) {
      const entries = await store.get(sources.map(({ key }) => key));
      for (const [index, source] of sources.entries()) {
        assert.deepEqual(source.kinds, Array(round).fill("committed"));
        assert.equal(entries[index]?.version, source.version);
        assert.equal(new TextDecoder().decode(entries[index]?.value), `${source.name} ${round}`);
      }
    }
  }
  assert.ok(nodes.some(({ committer }) => committer.stats.unknown > 0));

  // One node's session moves to the other: the old owner is told at its next commit.
  const moved = nodes[0]!.sources[0]!;
  const successor = new ScriptedSource(moved.name);
  successor.version = moved.version;
  nodes[1]!.committer.request(successor);
  await nodes[1]!.committer.idle();
  for (const source of nodes[0]!.sources) nodes[0]!.committer.request(source);
  await nodes[0]!.committer.idle();
  assert.equal(successor.kinds.at(-1), "committed");
  assert.equal(moved.kinds.at(-1), "conflict");
  assert.ok(nodes[0]!.sources.slice(1).every(({ kinds }) => kinds.at(-1) === "committed"));
  log.verify();
  for (const { store } of nodes) store.close();
  await server.close();
});
