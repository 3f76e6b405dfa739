import assert from "node:assert/strict";
import { Committer } from "../../src/storage/committer.ts";
import { MemorySessionStore } from "../../src/storage/memory_session_store.ts";
import type { Atomic, StoreLimits } from "../../src/storage/session_store.ts";
import { FakeClock, settle } from "../support/fake_clock.ts";
import { FaultyStore } from "../support/faulty_store.ts";
import { bytes, ScriptedSource } from "../support/scripted_source.ts";
import { SeededRandom } from "../support/seeded_random.ts";
import { TestLog } from "../support/test_log.ts";

function setUp(limits: Partial<StoreLimits> = {}) {
  const clock = new FakeClock();
  const log = new TestLog();
  const inner = new MemorySessionStore({ clock, limits: { concurrency: 1, ...limits } });
  const store = new FaultyStore(inner);
  const atomics: Atomic[] = [];
  store.onAtomic = (atomic) => void atomics.push(atomic);
  const committer = new Committer(store, { clock, log, random: new SeededRandom(1) });
  const sources = (count: number) =>
    Array.from({ length: count }, (_, index) => new ScriptedSource(`s${index}`));
  /** Somebody else writes the core of this source. */
  const takeOver = async (source: ScriptedSource) => {
    const result = await inner.atomic({
      checks: [],
      puts: [{ key: source.key, value: bytes("another node") }],
      deletes: [],
    });
    assert.ok(result.ok);
    return result.version;
  };
  const stored = async (source: ScriptedSource) => {
    const [entry] = await inner.get([source.key]);
    return entry === null || entry === undefined ? null : new TextDecoder().decode(entry.value);
  };
  const end = () => {
    log.verify();
    assert.equal(clock.pending, 0, "a timer is left");
    assert.equal(store.underWay, 0);
  };
  return { clock, log, inner, store, atomics, committer, sources, takeOver, stored, end };
}

Deno.test("what is requested in one turn goes into one atomic", async () => {
  const { committer, sources, atomics, stored, end } = setUp();
  const all = sources(50);
  for (const source of all) {
    committer.request(source);
    committer.request(source);
  }
  assert.equal(atomics.length, 0, "nothing starts before the turn is over");
  await committer.idle();
  assert.equal(atomics.length, 1);
  assert.deepEqual(all.map(({ kinds }) => kinds), all.map(() => ["committed"]));
  assert.equal(await stored(all[49]!), "s49 1");
  assert.deepEqual(
    { ...committer.stats },
    { atomics: 1, writes: 50, mutations: 50, conflicts: 0, unknown: 0, stagedPuts: 0 },
  );
  end();
});

Deno.test("one request alone is at the store within the same turn", async () => {
  const { committer, sources, atomics, end } = setUp();
  committer.request(sources(1)[0]!);
  await Promise.resolve();
  assert.equal(atomics.length, 1);
  await committer.idle();
  end();
});

Deno.test("what comes while a commit is under way gathers, and goes into the next one", async () => {
  const { committer, sources, store, atomics, end } = setUp();
  const all = sources(20);
  store.failAtomics("hold");
  committer.request(all[0]!);
  await settle();
  for (const source of all) committer.request(source);
  for (const source of all.slice(5)) committer.request(source);
  await settle();
  assert.equal(atomics.length, 1);
  assert.equal(all[0]!.prepared, 1);
  store.release();
  await committer.idle();
  assert.equal(atomics.length, 2);
  assert.equal(atomics[1]!.checks.length, 20);
  assert.equal(all[0]!.prepared, 2);
  end();
});

Deno.test("a source is never in two atomics at once, with however many under way", async () => {
  const { committer, sources, store, end } = setUp({ concurrency: 4, checks: 3 });
  const all = sources(10);
  for (let round = 0; round < 30; round++) {
    store.failAtomics("hold", "hold_reply", "hold");
    for (const source of all) committer.request(source);
    await settle();
    for (const source of all) committer.request(source);
    store.release();
    await settle();
  }
  while (store.held > 0) {
    store.release();
    await settle();
  }
  await committer.idle();
  assert.equal(store.mostUnderWay, 4);
  for (const source of all) {
    assert.ok(source.kinds.every((kind) => kind === "committed") && source.prepared > 20);
  }
  end();
});

Deno.test("a source that has nothing to write after all is not settled, and may ask again", async () => {
  const { committer, atomics, sources, end } = setUp();
  const [source] = sources(1);
  let settled = 0;
  const silent = { prepare: () => null, settle: () => void settled++ };
  committer.request(silent);
  await committer.idle();
  committer.request(silent);
  committer.request(source!);
  await committer.idle();
  assert.equal(settled, 0);
  assert.equal(atomics.length, 1);
  end();
});

Deno.test("a source that asks for itself in prepare and writes nothing does not keep the others waiting", async () => {
  const { committer, sources, end } = setUp();
  let left = 5;
  const eager = {
    prepare: () => {
      if (left-- > 0) committer.request(eager);
      return null;
    },
    settle: () => {},
  };
  committer.request(eager);
  const [source] = sources(1);
  committer.request(source!);
  await committer.idle();
  assert.deepEqual(source!.kinds, ["committed"]);
  assert.equal(left, -1);
  end();
});

// @rule resume.anywhere
Deno.test("a session whose core somebody else wrote is told so; those beside it are committed", async () => {
  const { committer, sources, takeOver, stored, atomics, end } = setUp();
  const all = sources(10);
  await takeOver(all[3]!);
  all[7]!.extras = { checks: [{ key: ["challenge", "x"], version: "ff" }] };
  for (const source of all) committer.request(source);
  await committer.idle();
  assert.deepEqual(
    all.map(({ kinds }) => kinds.join()),
    all.map((_, index) => index === 3 || index === 7 ? "conflict" : "committed"),
  );
  assert.equal(atomics.length, 2);
  assert.equal(await stored(all[3]!), "another node");
  assert.equal(await stored(all[7]!), null);
  assert.equal(await stored(all[9]!), "s9 1");
  assert.equal(all[9]!.prepared, 1, "an innocent write is committed with the same bytes");
  assert.equal(committer.stats.conflicts, 2);
  end();
});

Deno.test("a commit that failed before it was applied is repeated byte for byte", async () => {
  const { committer, sources, store, clock, atomics, stored, end } = setUp();
  const [source] = sources(1);
  store.failAtomics("fail_before", "fail_before");
  committer.request(source!);
  await clock.advance(300);
  await committer.idle();
  assert.deepEqual(source!.kinds, ["committed"]);
  assert.equal(source!.prepared, 1);
  assert.deepEqual(atomics, [atomics[0], atomics[0], atomics[0]]);
  assert.equal(committer.stats.unknown, 2);
  assert.equal(await stored(source!), "s0 1");
  await clock.advance(1_000);
  end();
});

Deno.test("a commit whose answer was lost is found to be applied", async () => {
  const { committer, sources, store, clock, inner, end } = setUp();
  const all = sources(3);
  store.failAtomics("fail_after");
  for (const source of all) committer.request(source);
  await clock.advance(200);
  await committer.idle();
  for (const source of all) {
    assert.deepEqual(source.kinds, ["committed"]);
    assert.equal(source.version, (await inner.get([source.key]))[0]?.version);
  }
  end();
});

Deno.test("a failure at the first attempt is not believed: the store's client may have repeated it", async () => {
  const { committer, sources, store, inner, end } = setUp();
  const [source] = sources(1);
  store.failAtomics("lie_conflict");
  store.failReads("none");
  committer.request(source!);
  await committer.idle();
  assert.deepEqual(source!.kinds, ["committed"]);
  assert.equal(source!.version, (await inner.get([source!.key]))[0]?.version);
  end();
});

Deno.test("a commit that is applied late, after its repetition, changes nothing any more", async () => {
  const { committer, sources, store, clock, stored, end } = setUp();
  const [source] = sources(1);
  store.failAtomics("late");
  committer.request(source!);
  await clock.advance(200);
  assert.deepEqual(source!.kinds, ["committed"]);
  committer.request(source!);
  await committer.idle();
  assert.equal(await store.applyLate(), 0);
  assert.equal(await stored(source!), "s0 2");
  end();
});

Deno.test("a commit that is applied late, before its repetition, is found to be applied", async () => {
  const { committer, sources, store, clock, stored, end } = setUp();
  const [source] = sources(1);
  store.failAtomics("late");
  committer.request(source!);
  await settle();
  assert.equal(await store.applyLate(), 1);
  await clock.advance(200);
  assert.deepEqual(source!.kinds, ["committed"]);
  assert.equal(await stored(source!), "s0 1");
  end();
});

Deno.test("of an atomic whose answer was lost, a session that was taken over since is told so, the others are not", async () => {
  const { committer, sources, store, clock, takeOver, stored, end } = setUp();
  const all = sources(3);
  store.failAtomics("fail_after");
  for (const source of all) committer.request(source);
  await settle();
  await takeOver(all[1]!);
  await clock.advance(200);
  assert.deepEqual(all.map(({ kinds }) => kinds.join()), ["committed", "conflict", "committed"]);
  assert.equal(await stored(all[1]!), "another node");
  end();
});

Deno.test("an outcome stays open until the read back is answered", async () => {
  const { committer, sources, store, clock, end } = setUp();
  const [source] = sources(1);
  store.failAtomics("lie_conflict");
  store.failReads("fail", "fail", "fail");
  committer.request(source!);
  await settle();
  assert.deepEqual(source!.kinds, []);
  await clock.advance(1_000);
  assert.deepEqual(source!.kinds, ["committed"]);
  end();
});

Deno.test("while one outcome is unknown, other sources are committed, also with one atomic at a time", async () => {
  const { committer, sources, store, clock, end } = setUp({ concurrency: 1 });
  const [stuck, other] = sources(2);
  store.failAtomics("fail_before");
  committer.request(stuck!);
  await settle();
  committer.request(stuck!);
  committer.request(other!);
  await settle();
  assert.deepEqual(other!.kinds, ["committed"]);
  assert.deepEqual(stuck!.kinds, []);
  assert.equal(stuck!.prepared, 1);
  await clock.advance(100);
  await committer.idle();
  assert.deepEqual(stuck!.kinds, ["committed", "committed"]);
  end();
});

Deno.test("a store that is away for minutes is asked seldom, and everything is committed when it is back", async () => {
  const { committer, sources, store, clock, stored, end } = setUp({ concurrency: 4 });
  const all = sources(400);
  store.away = true;
  for (const source of all) {
    committer.request(source);
    await clock.advance(600);
  }
  assert.ok(all.every(({ kinds }) => kinds.length === 0));
  const asked = store.calls.atomic;
  await clock.advance(60_000);
  assert.ok(store.calls.atomic - asked < 60 * 60, `${store.calls.atomic - asked} attempts in one minute`);
  store.away = false;
  await clock.advance(2_000);
  await committer.idle();
  for (const source of all) {
    assert.deepEqual(source.kinds, ["committed"]);
    assert.equal(source.prepared, 1);
  }
  assert.equal(await stored(all[399]!), "s399 1");
  end();
});

Deno.test("an atomic holds at most the checks, mutations and bytes that the store takes", async () => {
  const { committer, sources, atomics, end } = setUp({ checks: 10, mutations: 30, atomicBytes: 20_000 });
  const all = sources(60);
  for (const [index, source] of all.entries()) {
    const value = new Uint8Array(index % 3 * 1_000);
    source.extras = {
      checks: index % 4 === 0 ? [{ key: ["absent", index], version: null }] : [],
      puts: Array.from({ length: index % 5 }, (_, part) => ({ key: ["outbox", source.name, part], value })),
      deletes: index % 2 === 0 ? [["deadline", index, source.name]] : [],
    };
    committer.request(source);
  }
  await committer.idle();
  assert.ok(all.every(({ kinds }) => kinds.join() === "committed"));
  assert.ok(atomics.length > 6 && atomics.length < 30, `${atomics.length} atomics`);
  for (const { checks } of atomics.slice(0, -1)) assert.ok(checks.length <= 10);
  end();
});

Deno.test("a write that no atomic can hold is an error of its source alone", async () => {
  const { committer, sources, log, end } = setUp({ checks: 10 });
  log.expectError("commit_prepare_failed");
  const [checks, value, staged, fine] = sources(4);
  checks!.extras = {
    checks: Array.from({ length: 10 }, (_, index) => ({ key: ["absent", index], version: null })),
  };
  value!.extras = { puts: [{ key: ["large"], value: new Uint8Array(65_537) }] };
  staged!.extras = { staged: [{ key: ["large"], value: new Uint8Array(65_537) }] };
  for (const source of [checks, value, staged, fine]) committer.request(source!);
  await committer.idle();
  assert.deepEqual(
    [checks, value, staged, fine].map((source) => source!.kinds.join()),
    ["conflict", "conflict", "conflict", "committed"],
  );
  end();
});

Deno.test("a source that throws is told of a conflict and disturbs nobody", async () => {
  const { committer, sources, log, end } = setUp();
  log.expectError("commit_prepare_failed");
  log.expectError("commit_settle_failed");
  const [before, after] = sources(2);
  const told: string[] = [];
  const throwing = (at: "prepare" | "settle") => ({
    prepare() {
      if (at === "prepare") throw new Error("prepare broke");
      const core = { key: ["session", "broken"], version: null, value: bytes("x") };
      return { core, checks: [], puts: [], deletes: [], staged: [] };
    },
    settle(outcome: { kind: string }) {
      told.push(`${at} ${outcome.kind}`);
      if (at === "settle") throw new Error("settle broke");
    },
  });
  committer.request(before!);
  committer.request(throwing("prepare"));
  committer.request(throwing("settle"));
  committer.request(after!);
  await committer.idle();
  assert.deepEqual(told, ["prepare conflict", "settle committed", "settle conflict"]);
  assert.deepEqual([before!.kinds, after!.kinds], [["committed"], ["committed"]]);
  end();
});

Deno.test("what is too large for one atomic is staged before it, in atomics of its own", async () => {
  const { committer, sources, atomics, inner, end } = setUp({ concurrency: 1 });
  const [large, small] = sources(2);
  const staged = Array.from({ length: 40 }, (_, part) => ({
    key: ["chunk", "s0", part],
    value: new Uint8Array(60_000).fill(part),
  }));
  large!.extras = { staged };
  committer.request(large!);
  committer.request(small!);
  await settle();
  await committer.idle();
  assert.deepEqual([large!.kinds, small!.kinds], [["committed"], ["committed"]]);
  const core = atomics.findIndex(({ puts }) => puts.some(({ key }) => key.join() === "session,s0"));
  assert.equal(core, atomics.length - 1, "the core comes after all that is staged");
  assert.ok(core >= 4);
  assert.equal(committer.stats.stagedPuts, 40);
  assert.equal((await inner.list({ prefix: ["chunk"] }, { limit: 100 })).length, 40);
  end();
});

Deno.test("staging is repeated until it is done", async () => {
  const { committer, sources, store, clock, inner, end } = setUp();
  const [large] = sources(1);
  large!.extras = { staged: [{ key: ["chunk", "s0", 1], value: bytes("part") }] };
  store.failAtomics("fail_before", "fail_after", "lie_conflict");
  committer.request(large!);
  await clock.advance(2_000);
  assert.deepEqual(large!.kinds, ["committed"]);
  assert.equal((await inner.list({ prefix: ["chunk"] }, { limit: 9 })).length, 1);
  end();
});

Deno.test("what was staged for a write that certainly was not applied is removed", async () => {
  const { committer, sources, inner, takeOver, end } = setUp();
  const [refuted, beside, overtaken] = sources(3);
  refuted!.extras = {
    checks: [{ key: ["challenge", "x"], version: "ff" }],
    staged: [{ key: ["chunk", "s0", 1], value: bytes("part") }],
  };
  overtaken!.extras = { staged: [{ key: ["chunk", "s2", 1], value: bytes("part") }] };
  await takeOver(overtaken!);
  for (const source of [refuted, beside, overtaken]) committer.request(source!);
  await committer.idle();
  assert.equal(refuted!.kinds.join(), "conflict");
  assert.equal(overtaken!.kinds.join(), "conflict");
  await settle();
  const left = (await inner.list({ prefix: ["chunk"] }, { limit: 9 })).map(({ key }) => key[1]);
  assert.ok(!left.includes("s0"));
  end();
});

Deno.test("what was staged stays where the write may have been applied before it was overwritten", async () => {
  const { committer, sources, store, clock, inner, takeOver, end } = setUp();
  const [source] = sources(1);
  source!.extras = { staged: [{ key: ["chunk", "s0", 1], value: bytes("part") }] };
  store.failAtomics("none", "fail_after");
  committer.request(source!);
  await settle();
  await takeOver(source!);
  await clock.advance(200);
  await committer.idle();
  assert.deepEqual(source!.kinds, ["conflict"]);
  assert.equal((await inner.list({ prefix: ["chunk"] }, { limit: 9 })).length, 1);
  end();
});

Deno.test("a committer that was abandoned asks, prepares and settles nothing more", async () => {
  const { committer, sources, store, clock, atomics, end } = setUp({ concurrency: 2 });
  const [repeated, held, late] = sources(3);
  store.failAtomics("fail_before", "hold_reply");
  committer.request(repeated!);
  await settle();
  committer.request(held!);
  await settle();
  const asked = atomics.length;
  committer.abandon();
  committer.request(late!);
  await committer.idle();
  store.release();
  await clock.advance(10_000);
  assert.equal(atomics.length, asked);
  assert.deepEqual([repeated!.kinds, held!.kinds, late!.kinds], [[], [], []]);
  assert.equal(late!.prepared, 0);
  end();
});
