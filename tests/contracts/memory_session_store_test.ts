import assert from "node:assert/strict";
import { MemorySessionStore } from "../../src/storage/memory_session_store.ts";
import { FakeClock } from "../support/fake_clock.ts";
import { SeededRandom } from "../support/seeded_random.ts";
import { testSessionStore } from "./session_store_contract.ts";

testSessionStore("memory", () => {
  const clock = new FakeClock();
  const store = new MemorySessionStore({ clock });
  return Promise.resolve({ store, pass: (ms) => clock.jump(ms), end: () => store.close() });
});

testSessionStore("memory with the limits of KV Connect", () => {
  const store = new MemorySessionStore({ clock: new FakeClock(), limits: { checks: 10 } });
  return Promise.resolve({ store, end: () => store.close() });
});

Deno.test("an entry is gone, for reads, listings and checks, once its expiry has passed", async () => {
  const clock = new FakeClock();
  const store = new MemorySessionStore({ clock });
  const value = new Uint8Array([1]);
  const puts = ["a", "b", "c"].map((name) => ({ key: [name], value, expireIn: 1_000 }));
  await store.atomic({ checks: [], puts, deletes: [] });
  clock.jump(999);
  assert.equal((await store.list({ prefix: [] }, { limit: 9 })).length, 3);
  clock.jump(1);
  assert.deepEqual(await store.get([["a"]]), [null]);
  const recreated = await store.atomic({
    checks: [{ key: ["b"], version: null }],
    puts: [{ key: ["b"], value }],
    deletes: [],
  });
  assert.ok(recreated.ok);
  assert.deepEqual((await store.list({ prefix: [] }, { limit: 9 })).map(({ key }) => key), [["b"]]);
  assert.equal(store.size, 1);
  clock.jump(3_600_000);
  assert.equal((await store.get([["b"]]))[0]?.version, recreated.version);
  store.close();
});

Deno.test("a listing stays complete and ordered through many insertions and deletions", async () => {
  const random = new SeededRandom(7);
  const store = new MemorySessionStore({ clock: new FakeClock() });
  const expected = new Set<number>();
  for (let round = 0; round < 3_000; round++) {
    const number = random.int(4_000);
    const add = random.chance(0.7);
    const key = ["n", number];
    if (add) expected.add(number);
    else expected.delete(number);
    await store.atomic({
      checks: [],
      puts: add ? [{ key, value: new Uint8Array([1]) }] : [],
      deletes: add ? [] : [key],
    });
  }
  const ascending = [...expected].sort((a, b) => a - b);
  const listed = async (reverse: boolean) =>
    (await store.list({ prefix: ["n"] }, { limit: 10_000, reverse })).map(({ key }) => key[1]);
  assert.deepEqual(await listed(false), ascending);
  assert.deepEqual(await listed(true), ascending.toReversed());
  assert.equal(store.size, expected.size);
  store.close();
});
