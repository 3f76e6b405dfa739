/** What every {@link SessionStore} promises, as tests that run against each implementation. */

import assert from "node:assert/strict";
import {
  type Check,
  type Put,
  type SessionStore,
  type StoredEntry,
  type StoreKey,
  StoreLimitExceeded,
} from "../../src/storage/session_store.ts";
import { keySize } from "../../src/storage/stored_size.ts";

/** One store under test. */
export interface StoreFixture {
  readonly store: SessionStore;
  /** Another node's view of the same data, where the implementation has such a thing. */
  readonly other?: SessionStore;
  /** Lets this much time pass for expiry, where time can be moved. */
  readonly pass?: (ms: number) => void;
  /** Frees everything, the stores included. */
  readonly end: () => Promise<void> | void;
}

/** Declares the suite's tests for one implementation. */
export function testSessionStore(name: string, start: () => Promise<StoreFixture>): void {
  const test = (sentence: string, body: (fixture: StoreFixture) => Promise<void>) => {
    Deno.test(`${name}: ${sentence}`, async () => {
      const fixture = await start();
      try {
        await body(fixture);
      } finally {
        await fixture.end();
      }
    });
  };

  test("an absent key is read as null, each key in its place", async ({ store }) => {
    await write(store, put(["a"], "one"));
    assert.deepEqual(texts(await store.get([["b"], ["a"], ["c"]])), [null, "one", null]);
    assert.deepEqual(await store.get([]), []);
  });

  test("more keys than the platform reads at once are read in one get, in order", async ({ store }) => {
    const keys = Array.from({ length: 37 }, (_, index): StoreKey => ["many", index]);
    await write(store, ...keys.map((key, index) => put(key, `value ${index}`)));
    assert.deepEqual(texts(await store.get(keys)), keys.map((_, index) => `value ${index}`));
  });

  test("an entry comes back with its key, its version and plain bytes", async ({ store }) => {
    const padded = new Uint8Array([9, 9, 1, 2, 3, 9]).subarray(2, 5);
    const version = await write(store, { key: ["session", "x", 7], value: padded });
    const [entry] = await store.get([["session", "x", 7]]);
    assert.deepEqual(entry, { key: ["session", "x", 7], value: new Uint8Array([1, 2, 3]), version });
    assert.equal(Object.getPrototypeOf(entry!.value), Uint8Array.prototype);
  });

  test("an empty value is a value", async ({ store }) => {
    await write(store, { key: ["empty"], value: new Uint8Array() });
    const [entry] = await store.get([["empty"]]);
    assert.equal(entry?.value.byteLength, 0);
  });

  test("neither what was given nor what was read shares bytes with the store", async ({ store }) => {
    const given = new Uint8Array([1, 2, 3]);
    await write(store, { key: ["a"], value: given });
    given.fill(0);
    (await store.get([["a"]]))[0]!.value.fill(9);
    (await store.list({ prefix: [] }, { limit: 1 }))[0]!.value.fill(9);
    assert.deepEqual((await store.get([["a"]]))[0]!.value, new Uint8Array([1, 2, 3]));
  });

  test("an atomic whose check fails changes nothing", async ({ store }) => {
    const version = await write(store, put(["a"], "old"), put(["gone"], "still here"));
    const stale: Check[][] = [
      [{ key: ["a"], version: null }],
      [{ key: ["absent"], version }],
      [{ key: ["a"], version }, { key: ["absent"], version }],
    ];
    for (const checks of stale) {
      const atomic = { checks, puts: [put(["a"], "new"), put(["b"], "new")], deletes: [["gone"]] };
      assert.deepEqual(await store.atomic(atomic), { ok: false });
    }
    assert.deepEqual(texts(await store.get([["a"], ["b"], ["gone"]])), ["old", null, "still here"]);
  });

  test("an atomic whose checks hold happens as a whole, under one version", async ({ store }) => {
    const version = await write(store, put(["a"], "old"), put(["gone"], "x"));
    const result = await store.atomic({
      checks: [{ key: ["a"], version }, { key: ["b"], version: null }],
      puts: [put(["a"], "new"), put(["b"], "new")],
      deletes: [["gone"]],
    });
    assert.ok(result.ok);
    const entries = await store.get([["a"], ["b"], ["gone"]]);
    assert.deepEqual(texts(entries), ["new", "new", null]);
    assert.deepEqual(entries.slice(0, 2).map((entry) => entry?.version), [result.version, result.version]);
  });

  test("of two atomics with the same check only one happens", async ({ store, other = store }) => {
    const version = await write(store, put(["a"], "start"));
    const results = await Promise.all(
      Array.from({ length: 8 }, (_, index) =>
        (index % 2 === 0 ? store : other).atomic({
          checks: [{ key: ["a"], version }],
          puts: [put(["a"], `winner ${index}`)],
          deletes: [],
        })),
    );
    assert.equal(results.filter(({ ok }) => ok).length, 1);
    const winner = results.findIndex(({ ok }) => ok);
    assert.deepEqual(texts(await other.get([["a"]])), [`winner ${winner}`]);
  });

  test("versions never repeat for a key, not after the same value nor after a deletion", async ({ store }) => {
    const versions = new Set<string>();
    for (let round = 0; round < 5; round++) {
      versions.add(await write(store, put(["a"], "same")));
      versions.add(await write(store, put(["a"], "same")));
      await store.atomic({ checks: [], puts: [], deletes: [["a"]] });
    }
    assert.equal(versions.size, 10);
  });

  test("a check against a version from before a deletion fails", async ({ store }) => {
    const version = await write(store, put(["a"], "x"));
    await store.atomic({ checks: [], puts: [], deletes: [["a"]] });
    await write(store, put(["a"], "x"));
    const again = await store.atomic({ checks: [{ key: ["a"], version }], puts: [], deletes: [["a"]] });
    assert.deepEqual(again, { ok: false });
  });

  test("another node reads and lists what was reported committed", async ({ store, other = store }) => {
    for (let round = 0; round < 10; round++) {
      await write(store, put(["a"], `${round}`));
      assert.deepEqual(texts(await other.get([["a"]])), [`${round}`]);
      assert.deepEqual(texts(await other.list({ prefix: [] }, { limit: 5 })), [`${round}`]);
    }
  });

  test("keys order by their parts, numbers by value, text by its bytes", async ({ store }) => {
    const numbers = [-1e9, -2, -1, 0, 1, 2, 9, 10, 255, 256, 1e9, 2 ** 40, 2 ** 53 - 1];
    await write(store, ...[...numbers].reverse().map((number) => put(["n", number], `${number}`)));
    assert.deepEqual(
      texts(await store.list({ prefix: ["n"] }, { limit: 100 })),
      numbers.map((number) => `${number}`),
    );
    const words = ["", "A", "B", "a", "aa", "ab", "b", "é", "€", "\uffff", "😀"];
    await write(store, ...[...words].reverse().map((word) => put(["s", word, 1], word)));
    assert.deepEqual(texts(await store.list({ prefix: ["s"] }, { limit: 100 })), words);
  });

  test("a prefix takes whole parts, and not the key that equals it", async ({ store }) => {
    const keys: StoreKey[] = [["p"], ["p", "a"], ["p", "a", 1], ["p", "a", 2], ["p", "a\0", 3], [
      "p",
      "aa",
      4,
    ], ["q"]];
    await write(store, ...keys.map((key) => put(key, JSON.stringify(key))));
    const listed = await store.list({ prefix: ["p", "a"] }, { limit: 10 });
    assert.deepEqual(listed.map(({ key }) => key), [["p", "a", 1], ["p", "a", 2]]);
  });

  test("a range begins with its start and ends before its end, in both directions", async ({ store }) => {
    await write(store, ...Array.from({ length: 10 }, (_, index) => put(["r", index], `${index}`)));
    const list = async (start: number | null, end: number | null, limit: number, reverse: boolean) =>
      texts(
        await store.list({
          prefix: ["r"],
          ...(start === null ? {} : { start: ["r", start] }),
          ...(end === null ? {} : { end: ["r", end] }),
        }, { limit, reverse }),
      ).join("");
    assert.equal(await list(3, 6, 99, false), "345");
    assert.equal(await list(3, 6, 99, true), "543");
    assert.equal(await list(7, null, 99, false), "789");
    assert.equal(await list(null, 2, 99, false), "01");
    assert.equal(await list(null, null, 3, false), "012");
    assert.equal(await list(null, null, 3, true), "987");
    assert.equal(await list(6, 6, 99, false), "");
    assert.equal(await list(null, null, 0, false), "");
  });

  test("a long listing is complete and in order", async ({ store }) => {
    for (let from = 0; from < 1_200; from += 300) {
      await write(
        store,
        ...Array.from({ length: 300 }, (_, index) => put(["long", from + index], `${from + index}`)),
      );
    }
    const listed = await store.list({ prefix: ["long"] }, { limit: 5_000 });
    assert.deepEqual(texts(listed), Array.from({ length: 1_200 }, (_, index) => `${index}`));
  });

  test("an entry without expiry stays, and one with a distant expiry is there", async ({ store, pass }) => {
    await write(store, put(["stays"], "x"), { ...put(["later"], "y"), expireIn: 3_600_000 });
    pass?.(3_599_999);
    assert.deepEqual(texts(await store.get([["stays"], ["later"]])), ["x", "y"]);
  });

  test("an atomic at each limit is taken", async ({ store }) => {
    const { checks, mutations, atomicBytes, valueBytes } = store.limits;
    const absent = Array.from(
      { length: checks },
      (_, index): Check => ({ key: ["c", index], version: null }),
    );
    assert.ok((await store.atomic({ checks: absent, puts: [put(["x"], "x")], deletes: [] })).ok);
    await write(store, ...Array.from({ length: mutations }, (_, index) => put(["m", index], "x")));
    await write(store, { key: ["v"], value: new Uint8Array(valueBytes) });
    await write(store, ...filling(atomicBytes, valueBytes));
    await write(store, ...longKeys(81_920));
  });

  test("an atomic beyond a limit is refused before anything is written", async ({ store }) => {
    const { checks, mutations, atomicBytes, valueBytes } = store.limits;
    const refused = async (atomic: { checks?: Check[]; puts?: Put[]; deletes?: StoreKey[] }) => {
      const puts = [put(["seen"], "x"), ...atomic.puts ?? []];
      await assert.rejects(
        store.atomic({ checks: atomic.checks ?? [], puts, deletes: atomic.deletes ?? [] }),
        StoreLimitExceeded,
      );
      assert.deepEqual(await store.list({ prefix: [] }, { limit: 1 }), []);
    };
    await refused({
      checks: Array.from({ length: checks + 1 }, (_, index) => ({ key: ["c", index], version: null })),
    });
    await refused({ puts: Array.from({ length: mutations }, (_, index) => put(["m", index], "x")) });
    await refused({ deletes: Array.from({ length: mutations }, (_, index) => ["m", index]) });
    await refused({ puts: [{ key: ["v"], value: new Uint8Array(valueBytes + 1) }] });
    await refused({ puts: filling(atomicBytes, valueBytes) });
    await refused({ puts: longKeys(81_920) });
    await refused({ puts: [put(["k".repeat(2_047)], "x")] });
  });

  test("a failed atomic leaves the store usable", async ({ store }) => {
    await assert.rejects(store.atomic({ checks: [], puts: [put(["k".repeat(3_000)], "x")], deletes: [] }));
    await write(store, put(["a"], "fine"));
    assert.deepEqual(texts(await store.get([["a"]])), ["fine"]);
  });
}

function put(key: StoreKey, text: string): Put {
  return { key, value: new TextEncoder().encode(text) };
}

async function write(store: SessionStore, ...puts: Put[]): Promise<string> {
  const result = await store.atomic({ checks: [], puts, deletes: [] });
  assert.ok(result.ok, "an atomic without checks was reported as failed");
  return result.version;
}

function texts(entries: readonly (StoredEntry | null)[]): (string | null)[] {
  return entries.map((entry) => entry === null ? null : new TextDecoder().decode(entry.value));
}

/** Puts whose keys and values together weigh exactly `bytes`. */
function filling(bytes: number, valueBytes: number): Put[] {
  const puts: Put[] = [];
  for (let left = bytes; left > 0;) {
    const key: StoreKey = ["fill", puts.length];
    const value = new Uint8Array(Math.min(valueBytes, left - keySize(key)));
    puts.push({ key, value });
    left -= keySize(key) + value.byteLength;
  }
  return puts;
}

/** Puts with empty values whose keys together weigh exactly `bytes`. */
function longKeys(bytes: number): Put[] {
  const puts: Put[] = [];
  for (let left = bytes; left > 0;) {
    const size = Math.min(2_048, left);
    puts.push({ key: [puts.length, "k".repeat(size - keySize([0, ""]))], value: new Uint8Array() });
    left -= size;
  }
  return puts;
}
