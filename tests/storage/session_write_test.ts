/** What a commit of one session writes: that it is all that is needed, no more than fits, and nothing left behind. */

import assert from "node:assert/strict";
import fc from "fast-check";
import { encodeBody } from "../../src/protocol/body.ts";
import { acknowledge, retainedMessage, take } from "../../src/session/delivery_state.ts";
import * as mux from "../../src/connection/mux_state.ts";
import type { SessionPayload } from "../../src/protocol/messages.ts";
import { connectionChanged, type SessionState } from "../../src/session/session_model.ts";
import { endSession } from "../../src/session/session_ending_state.ts";
import { offerToken, proveToken } from "../../src/session/token_state.ts";
import { keySize } from "../../src/storage/stored_size.ts";
import { loadSession } from "../../src/storage/session_load.ts";
import { MemorySessionStore } from "../../src/storage/memory_session_store.ts";
import { aSession, StoredMachine } from "../support/stored_sessions.ts";
import { FakeClock } from "../support/fake_clock.ts";

function machine(settings: Partial<SessionState["settings"]> = {}): StoredMachine {
  return new StoredMachine(new MemorySessionStore({ clock: new FakeClock() }), aSession(settings));
}

const message = (bytes: number): SessionPayload => ({
  kind: "message",
  connection: 1,
  body: encodeBody(new Uint8Array(bytes)),
});

/** What must be equal of a session and of what the store makes of it. */
function kept(state: SessionState): unknown {
  const { delivery, tokens, mux: { connections, highestOwn, highestPeer }, movedAt, settings } = state;
  const retained = Array.from(
    { length: delivery.secured - delivery.acked },
    (_, i) => [...retainedMessage(delivery, delivery.acked + 1 + i)!],
  );
  return {
    tokens,
    connections,
    highestOwn,
    highestPeer,
    movedAt,
    settings,
    received: delivery.received,
    retained,
  };
}

function openConnection(state: SessionState, id: number): void {
  mux.receive(state.mux, { kind: "open", connection: id, service: "echo", seq: 1, cost: 1 });
  mux.accept(state.mux, id);
  connectionChanged(state, id);
  state.changes++;
}

async function rows(
  store: MemorySessionStore | StoredMachine["store"],
  ...kinds: string[]
): Promise<string[]> {
  const found = await Promise.all(kinds.map((kind) => store.list({ prefix: [kind] }, { limit: 10_000 })));
  return found.flat().map(({ key }) => key.join("/"));
}

Deno.test("a session comes back from the store as it was committed", async () => {
  const stored = machine();
  const { state } = stored;
  offerToken(state.tokens, "a", null);
  proveToken(state.tokens, "a");
  offerToken(state.tokens, "b", "a");
  for (const id of [1, 3, 5]) openConnection(state, id);
  for (let seq = 1; seq <= 4; seq++) take(state.delivery, seq, 10);
  stored.produce([message(10), message(20)]);
  await stored.commit();
  assert.deepEqual(kept(await stored.load()), kept(state));
});

Deno.test("small unacked messages live in the core: one value is written and nothing is deleted later", async () => {
  const it = machine();
  it.produce([message(100)]);
  await it.commit();
  it.produce([message(100)]);
  const { write } = await it.commit();
  assert.deepEqual([write.puts, write.deletes, write.staged], [[], [], []]);
  acknowledge(it.state.delivery, 2);
  it.produce([message(100)]);
  await it.commit();
  assert.deepEqual(kept(await it.load()), kept(it.state));
});

Deno.test("what outgrows the core spills into a segment, and goes when all of it is acked", async () => {
  const it = machine();
  it.produce([message(5_000)]);
  await it.commit();
  it.produce([message(5_000)]);
  await it.commit();
  assert.equal((await rows(it.store, "outbox")).length, 1);
  it.produce([message(100)]);
  await it.commit();
  assert.deepEqual(kept(await it.load()), kept(it.state));
  acknowledge(it.state.delivery, 1);
  it.state.changes++;
  await it.commit();
  assert.equal((await rows(it.store, "outbox")).length, 1, "half of it is still needed");
  assert.deepEqual(kept(await it.load()), kept(it.state));
  acknowledge(it.state.delivery, 2);
  it.state.changes++;
  await it.commit();
  assert.deepEqual(await rows(it.store, "outbox"), []);
  assert.deepEqual(kept(await it.load()), kept(it.state));
});

Deno.test("a commit of more than 256 KiB is staged ahead, in values that fit, and reachable only by its core", async () => {
  const it = machine();
  it.produce([message(10)]);
  await it.commit();
  it.produce(Array.from({ length: 10 }, () => message(100_000)));
  const before = kept(await it.load());
  const staged = await it.commit();
  assert.ok(staged.write.staged.length >= 16);
  assert.deepEqual(staged.write.puts.map(({ key }) => key[0]), ["principal"]);
  for (const { value } of staged.write.staged) assert.ok(value.length <= 60 * 1024);
  assert.notDeepEqual(kept(it.state), before);
  assert.deepEqual(kept(await it.load()), kept(it.state));
});

Deno.test("a core whose segment is gone is read again and never served with a hole", async () => {
  const it = machine();
  it.produce([message(20_000)]);
  await it.commit();
  const [row] = await it.store.list({ prefix: ["outbox"] }, { limit: 1 });
  await it.store.atomic({ checks: [], puts: [], deletes: [row!.key] });
  assert.equal((await loadSession(it.store, it.state.id)).kind, "moved");
});

Deno.test("a thousand connections opened and ended in one commit cost nothing; those that stay cost one row each", async () => {
  const it = machine({ limits: { ...aSession().settings.limits, connections: 256 } });
  await it.commit();
  for (let i = 0; i < 1_000; i++) {
    openConnection(it.state, 2 * i + 1);
    if (i < 990) mux.end(it.state.mux, 2 * i + 1);
  }
  const { write } = await it.commit();
  assert.equal(write.puts.length, 10);
  assert.equal(write.deletes.length, 0);
  assert.deepEqual(kept(await it.load()), kept(it.state));
});

Deno.test("every connection replaced by another one in one commit fits one atomic", async () => {
  const it = machine();
  for (let i = 0; i < 256; i++) openConnection(it.state, 2 * i + 1);
  await it.commit();
  for (let i = 0; i < 256; i++) {
    mux.end(it.state.mux, 2 * i + 1);
    connectionChanged(it.state, 2 * i + 1);
  }
  for (let i = 256; i < 512; i++) openConnection(it.state, 2 * i + 1);
  const { write } = await it.commit();
  assert.equal(write.puts.length, 256);
  assert.equal(write.deletes.length, 256);
  assert.deepEqual(kept(await it.load()), kept(it.state));
});

Deno.test("a core with as many segments as a session may keep, and the largest numbers, fits one value", async () => {
  const it = machine();
  await it.commit();
  // Far into the session's life: numbers take their full width.
  const far = 2 ** 40;
  const { delivery } = it.state;
  delivery.sent =
    delivery.secured =
    delivery.acked =
    delivery.transmitted =
      far;
  it.stored = { ...it.stored, flush: 2 ** 40, epoch: 2 ** 33 };
  while (delivery.retainedBytes < it.state.settings.limits.storedBytes) {
    it.produce([message(8_200)]);
    await it.commit();
  }
  const { write } = await it.commit();
  assert.ok(it.stored.segments.length > 1_000);
  assert.ok(write.core.value.length < 60_000, `${write.core.value.length} bytes`);
  assert.deepEqual(kept(await it.load()), kept(it.state));
  acknowledge(delivery, delivery.sent);
  let commits = 0;
  for (; it.stored.segments.length > 0 && commits < 10; commits++) {
    it.state.changes++;
    await it.commit();
  }
  assert.ok(commits > 1 && commits < 10);
  assert.deepEqual(await rows(it.store, "outbox"), []);
});

Deno.test("index rows follow the core: attached to a process, or due at a time, both only while provisional, never left behind", async () => {
  const it = machine();
  await it.commit(1_000_001);
  assert.deepEqual(await rows(it.store, "attached", "deadline"), [`deadline/1060000/${it.state.id}`]);
  it.state.attaching = {
    conduit: 1,
    offered: "t",
    access: { expiresAt: null, services: null },
    peer: { received: 0, sent: 0 },
    resumed: false,
    lost: false,
  };
  await it.commit(1_000_002);
  // A creation that is applied when its node has given it up is found by nobody but the sweeper.
  assert.deepEqual(await rows(it.store, "attached", "deadline"), [
    `attached/boot/${it.state.id}`,
    `deadline/1060000/${it.state.id}`,
  ]);
  offerToken(it.state.tokens, "t", null);
  proveToken(it.state.tokens, "t");
  await it.commit(1_000_003);
  assert.deepEqual(await rows(it.store, "attached", "deadline"), [`attached/boot/${it.state.id}`]);
  it.state.attaching.lost = true;
  it.state.detachedAt = 1_000_500;
  await it.commit(1_000_600);
  assert.deepEqual(await rows(it.store, "attached", "deadline"), [`deadline/4600500/${it.state.id}`]);
});

// @rule end.close
Deno.test("an ending is one atomic that leaves the tombstone, its deadline and nothing else of the session", async () => {
  const it = machine();
  offerToken(it.state.tokens, "t", null);
  proveToken(it.state.tokens, "t");
  for (const id of [1, 3]) openConnection(it.state, id);
  it.produce([message(20_000), message(300_000)]);
  await it.commit();
  endSession(it.state, "ended", "by a test", 1_000_100, []);
  await it.commit(1_000_100);
  assert.deepEqual(await rows(it.store, "connection", "outbox", "attached"), []);
  assert.deepEqual(await rows(it.store, "session", "deadline"), [
    `session/${it.state.id}`,
    `deadline/4600100/${it.state.id}`,
  ]);
  const loaded = await loadSession(it.store, it.state.id);
  assert.ok(loaded.kind === "tombstone");
  assert.deepEqual([loaded.tombstone.reason, loaded.tombstone.until], ["ended", 4_600_100]);
});

Deno.test("an ending of the largest session fits one atomic too: the rest is due to the sweeper at once", async () => {
  const it = machine();
  offerToken(it.state.tokens, "t", null);
  proveToken(it.state.tokens, "t");
  for (let i = 0; i < 256; i++) openConnection(it.state, 2 * i + 1);
  while (it.state.delivery.retainedBytes < it.state.settings.limits.storedBytes) {
    it.produce([message(8_200)]);
    await it.commit();
  }
  endSession(it.state, "ended", "by a test", 1_000_100, []);
  const { write } = await it.commit(1_000_100);
  assert.ok(write.deletes.length <= 302);
  assert.deepEqual(await rows(it.store, "deadline"), [`deadline/1000100/${it.state.id}`]);
});

Deno.test("no key comes near the limit of a key", async () => {
  const it = machine();
  openConnection(it.state, Number.MAX_SAFE_INTEGER);
  it.produce([message(20_000)]);
  const { write } = await it.commit();
  for (const { key } of [write.core, ...write.puts, ...write.staged]) assert.ok(keySize(key) < 200);
});

Deno.test("whatever is produced, acked and committed in whatever order, the store gives back what is unacked", async () => {
  const act = fc.oneof(
    fc.record({ what: fc.constant("produce" as const), bytes: fc.integer({ min: 1, max: 40_000 }) }),
    fc.record({ what: fc.constant("produce" as const), bytes: fc.integer({ min: 1, max: 400 }) }),
    fc.record({
      what: fc.constantFrom("ack" as const, "take" as const),
      bytes: fc.integer({ min: 1, max: 6 }),
    }),
    fc.record({ what: fc.constantFrom("commit" as const, "reload" as const), bytes: fc.constant(0) }),
  );
  await fc.assert(
    fc.asyncProperty(fc.array(act, { maxLength: 60 }), async (acts) => {
      const it = machine();
      await it.commit();
      for (const { what, bytes } of acts) {
        const { delivery } = it.state;
        if (what === "produce") it.produce([message(bytes)]);
        else if (what === "ack") {
          acknowledge(delivery, Math.min(delivery.transmitted, delivery.acked + bytes));
        } else if (what === "take") take(delivery, delivery.taken + 1, bytes);
        else await it.commit();
        if (what === "reload") {
          const loaded = await it.load();
          assert.deepEqual(kept(loaded), kept(it.state));
          it.state = loaded;
          it.stored = { ...it.stored, epoch: it.stored.epoch + 1 };
          loaded.delivery.transmitted = loaded.delivery.sent;
          loaded.delivery.inFlightBytes = loaded.delivery.retainedBytes;
        }
      }
      await it.commit();
      assert.deepEqual(kept(await it.load()), kept(it.state));
      const named = it.stored.segments.reduce((sum, { parts }) => sum + parts, 0);
      assert.equal((await rows(it.store, "outbox")).length, named, "nothing unreachable is left");
    }),
    { numRuns: 60, seed: 3 },
  );
});
