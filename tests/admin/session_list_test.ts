/** What a listing costs: how much of the store it has read, and at once. */

import assert from "node:assert/strict";
import { SessionList } from "../../src/admin/session_list.ts";
import { MemorySessionStore } from "../../src/storage/memory_session_store.ts";
import type { SessionStore, StoreKey } from "../../src/storage/session_store.ts";
import { FakeClock, settle } from "../support/fake_clock.ts";
import { TestClient } from "../support/raw_peer.ts";
import { TestNode } from "../support/test_node.ts";

const SESSIONS = 120;

/** A store that remembers which kinds of keys were read, and for how many sessions connections were read at once. */
class WatchedReads implements SessionStore {
  readonly #inner: SessionStore;
  readonly kinds = new Set<string>();
  #underWay = 0;
  most = 0;

  constructor(inner: SessionStore) {
    this.#inner = inner;
  }

  get limits() {
    return this.#inner.limits;
  }

  atomic: SessionStore["atomic"] = (atomic) => this.#inner.atomic(atomic);
  close: SessionStore["close"] = () => this.#inner.close();

  get: SessionStore["get"] = (keys) => {
    for (const key of keys) this.#saw(key);
    return this.#inner.get(keys);
  };

  list: SessionStore["list"] = async (range, options) => {
    this.#saw(range.prefix);
    if (range.prefix[0] !== "connection") return await this.#inner.list(range, options);
    this.most = Math.max(this.most, ++this.#underWay);
    await settle();
    this.#underWay--;
    return await this.#inner.list(range, options);
  };

  #saw([kind]: StoreKey): void {
    this.kinds.add(String(kind));
  }
}

Deno.test("a listing by service reads no messages of sessions, and the connections of a few at once", async () => {
  const clock = new FakeClock();
  const store = new MemorySessionStore({ clock });
  const busy = new TestNode({ clock, store });
  const ids: string[] = [];
  for (let at = 0; at < SESSIONS; at++) {
    const client = new TestClient();
    await client.connect(busy);
    if (at % 2 === 0) client.open();
    await settle();
    if (at % 2 === 0) ids.push(client.session!);
  }
  const reads = new WatchedReads(store);
  const list = new SessionList(new TestNode({ clock, store: reads }).registry);
  const { sessions, next } = await list.page({ service: "echo" }, 1_000);
  assert.deepEqual([sessions.map(({ id }) => id).sort(), next], [ids.sort(), null]);
  assert.deepEqual([...reads.kinds].sort(), ["connection", "node", "session"]);
  assert.ok(reads.most <= 4, `${reads.most} at once`);
});
