/** The committer against a store that fails in every way it can, at random. */

import assert from "node:assert/strict";
import { Committer } from "../../src/storage/committer.ts";
import { MemorySessionStore } from "../../src/storage/memory_session_store.ts";
import type { Version } from "../../src/storage/session_store.ts";
import { FakeClock, settle } from "../support/fake_clock.ts";
import { FaultyStore } from "../support/faulty_store.ts";
import { bytes, ScriptedSource } from "../support/scripted_source.ts";
import { SeededRandom } from "../support/seeded_random.ts";
import { TestLog } from "../support/test_log.ts";

const RUNS = 150;

Deno.test("whatever fails, a commit that is reported is in the store, and a conflict is somebody else's write", async () => {
  const reached = { committed: 0, conflicts: 0, unknown: 0, late: 0, staged: 0 };
  for (let seed = 1; seed <= RUNS; seed++) {
    try {
      await run(new SeededRandom(seed), reached);
    } catch (error) {
      throw new Error(`seed ${seed}`, { cause: error });
    }
  }
  // A run in which nothing happened would prove nothing.
  assert.ok(reached.committed > 5_000 && reached.conflicts > 300, JSON.stringify(reached));
  assert.ok(reached.unknown > 1_000 && reached.late > 30 && reached.staged > 200, JSON.stringify(reached));
});

async function run(random: SeededRandom, reached: Record<string, number>): Promise<void> {
  const clock = new FakeClock();
  const log = new TestLog();
  const inner = new MemorySessionStore({
    clock,
    limits: { checks: random.pick([3, 10, 100]), concurrency: random.pick([1, 2, 8]) },
  });
  const store = new FaultyStore(inner);
  const committer = new Committer(store, { clock, log, random: random.fork() });
  /** What happened to each key, in the order in which it was applied, whoever wrote. */
  const history = new Map<string, { text: string; version: Version }[]>();
  const apply = inner.atomic.bind(inner);
  inner.atomic = async (atomic) => {
    const result = await apply(atomic);
    if (result.ok) {
      for (const { key, value } of atomic.puts) {
        const written = { text: new TextDecoder().decode(value), version: result.version };
        history.set(key.join(), [...history.get(key.join()) ?? [], written]);
      }
    }
    return result;
  };
  const pending: Promise<void>[] = [];
  const sources = Array.from({ length: 12 }, (_, index) => follow(new ScriptedSource(`s${index}`)));

  /** Judges every outcome by the history, then goes on from what the store holds, as an owner would. */
  function follow(source: ScriptedSource): ScriptedSource {
    source.onSettle = (outcome, write) => {
      const all = history.get(source.key.join()) ?? [];
      const text = new TextDecoder().decode(write.core.value);
      const mine = all.findIndex((written) => written.text === text);
      if (outcome.kind === "committed") {
        reached["committed"]!++;
        assert.equal(all[mine]?.version, outcome.version, `${text} is reported, and not in the store`);
        assert.equal(
          all[mine - 1]?.version ?? null,
          write.core.version,
          `${text} was written over something else`,
        );
        for (const put of [...write.puts, ...write.staged]) {
          assert.ok(history.has(put.key.join()), `${put.key.join()} is missing beside ${text}`);
        }
        return;
      }
      reached["conflicts"]!++;
      const last = all.at(-1);
      const challenged = write.checks.some(({ version }) => version !== null);
      assert.ok(challenged || last?.text === "another node", `${text} is a conflict without a reason`);
      source.version = last?.version ?? null;
    };
    return source;
  }

  for (let step = 0; step < 60; step++) {
    const source = random.pick(sources);
    if (source.unsettled === undefined) {
      const name = `${source.name}-${source.prepared}`;
      const chunk = (kind: string, part: number) => ({ key: [kind, name, part], value: bytes(name) });
      source.extras = {
        puts: random.chance(0.5) ? [chunk("outbox", step)] : [],
        checks: random.chance(0.05) ? [{ key: ["never"], version: "ff" }] : [],
        staged: random.chance(0.15) ? [chunk("chunk", step), chunk("chunk", -step)] : [],
      };
    }
    for (let count = random.int(6); count >= 0; count--) committer.request(random.pick(sources));
    store.setRates({
      random,
      atomic: random.chance(0.5)
        ? { fail_before: 0.15, fail_after: 0.15, late: 0.1, lie_conflict: 0.1, hold: 0.1, hold_reply: 0.1 }
        : {},
      read: random.chance(0.3) ? { fail: 0.3, hold: 0.2 } : {},
    });
    store.away = random.chance(0.05);
    if (random.chance(0.3)) {
      pending.push(
        inner.atomic({
          checks: [],
          puts: [{ key: random.pick(sources).key, value: bytes("another node") }],
          deletes: [],
        }).then(() => {}),
      );
    }
    if (random.chance(0.2)) reached["late"]! += await store.applyLate(1);
    if (random.chance(0.5)) store.release(random.int(3));
    if (random.chance(0.6)) await clock.advance(random.int(400));
    else await settle();
  }
  store.away = false;
  store.setRates(undefined);
  let idle = false;
  void committer.idle().then(() => idle = true);
  for (let turn = 0; !idle; turn++) {
    assert.ok(turn < 200, "the committer does not come to rest");
    store.release();
    await clock.advance(500);
  }
  await Promise.all(pending);
  await store.applyLate();
  for (const source of sources) {
    assert.equal(source.unsettled, undefined, `${source.name} was never settled`);
    const all = history.get(source.key.join()) ?? [];
    const texts = all.map(({ text }) => text).filter((text) => text !== "another node");
    assert.equal(new Set(texts).size, texts.length, `a write of ${source.name} was applied twice`);
  }
  reached["unknown"]! += committer.stats.unknown;
  reached["staged"]! += committer.stats.stagedPuts;
  await clock.advance(20_000);
  assert.equal(clock.pending, 0);
  log.verify();
}
