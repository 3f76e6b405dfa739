import assert from "node:assert/strict";
import { openKvSessionStore, StoreUnavailable } from "../../src/storage/kv_session_store.ts";
import { StoreUnanswered } from "../../src/storage/session_store.ts";
import { systemClock } from "../../src/system/clock.ts";
import { FakeClock } from "../support/fake_clock.ts";
import { KvConnectServer } from "../support/kv_connect_server.ts";
import { testSessionStore } from "./session_store_contract.ts";

const ports = { clock: systemClock };
const TOKEN = "a-token-of-the-tests";

testSessionStore("Deno KV in memory", async () => {
  const store = await openKvSessionStore(":memory:", ports);
  return { store, end: () => store.close() };
});

testSessionStore("Deno KV in a file", async () => {
  const directory = await Deno.makeTempDir();
  const store = await openKvSessionStore(`${directory}/made/on/the/way/holdfast.sqlite3`, ports);
  return {
    store,
    end: async () => {
      store.close();
      await Deno.remove(directory, { recursive: true });
    },
  };
});

testSessionStore("KV Connect", async () => {
  const server = await startServer();
  const store = await openKvSessionStore(server.url, ports);
  const other = await openKvSessionStore(server.url, ports);
  return {
    store,
    other,
    end: async () => {
      store.close();
      other.close();
      await server.close();
    },
  };
});

Deno.test("a file that is open is not opened a second time, and is free again after it was closed", async () => {
  const directory = await Deno.makeTempDir();
  const path = `${directory}/holdfast.sqlite3`;
  const first = await openKvSessionStore(path, ports);
  await first.atomic({ checks: [], puts: [{ key: ["a"], value: new Uint8Array([1]) }], deletes: [] });
  const clock = new FakeClock();
  const patience = {
    now: () => clock.now(),
    wakeAt: (at: number, wake: () => void) => skip(clock, at, wake),
  };
  await assert.rejects(openKvSessionStore(path, { clock: patience }), (error: unknown) => {
    assert.ok(error instanceof StoreUnavailable);
    assert.match(error.message, /open in another process/);
    return true;
  });
  first.close();
  const second = await openKvSessionStore(path, ports);
  assert.equal((await second.get([["a"]]))[0]?.value[0], 1);
  second.close();
  await Deno.remove(directory, { recursive: true });
});

Deno.test("over KV Connect an atomic whose reply was lost is applied, and reported as failed or as unknown", async () => {
  const server = await startServer();
  const store = await openKvSessionStore(server.url, ports);
  const create = (name: string) =>
    store.atomic({
      checks: [{ key: [name], version: null }],
      puts: [{ key: [name], value: new Uint8Array([1]) }],
      deletes: [],
    });
  server.inject({ writes: ["drop_reply"] });
  assert.deepEqual(await create("repeated by the client"), { ok: false });
  server.inject({ writes: ["reject_after", "reject"] });
  await assert.rejects(create("reported"), StoreUnanswered);
  await assert.rejects(create("not applied"), StoreUnanswered);
  const entries = await store.get([["repeated by the client"], ["reported"], ["not applied"]]);
  assert.deepEqual(entries.map((entry) => entry !== null), [true, true, false]);
  store.close();
  await server.close();
});

Deno.test("what is asked wrongly is a defect of whoever asks, and not the store's", async () => {
  const store = await openKvSessionStore(":memory:", ports);
  await assert.rejects(store.get([["x".repeat(5_000)]]), TypeError);
  await assert.rejects(store.list({ prefix: ["x".repeat(5_000)] }, { limit: 1 }), TypeError);
  store.close();
});

Deno.test("over KV Connect a request that gets no answer within 10 s is unanswered", async () => {
  const server = await startServer();
  const clock = new FakeClock();
  const store = await openKvSessionStore(server.url, { clock });
  const arrived = server.holdNext();
  const asking = assert.rejects(store.get([["a"]]), StoreUnanswered);
  await arrived.reached;
  await clock.advance(10_000);
  await asking;
  arrived.release();
  assert.deepEqual(await store.get([["a"]]), [null]);
  store.close();
  await server.close();
});

async function startServer(): Promise<KvConnectServer> {
  Deno.env.set("DENO_KV_ACCESS_TOKEN", TOKEN);
  return await KvConnectServer.start({ token: TOKEN });
}

/** Time that jumps to each timer at once. */
function skip(clock: FakeClock, at: number, wake: () => void): () => void {
  clock.jump(Math.max(0, at - clock.now()));
  let cancelled = false;
  queueMicrotask(() => cancelled || wake());
  return () => void (cancelled = true);
}
