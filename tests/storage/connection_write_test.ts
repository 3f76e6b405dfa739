/** How connections and accepted work are stored, by the machine and the store alone. */

import assert from "node:assert/strict";
import fc from "fast-check";
import * as mux from "../../src/connection/mux_state.ts";
import { encodeBody } from "../../src/protocol/body.ts";
import { addWork, dropWork } from "../../src/session/work_state.ts";
import { connectionChanged, type SessionState } from "../../src/session/session_model.ts";
import { MemorySessionStore } from "../../src/storage/memory_session_store.ts";
import { loadServices } from "../../src/storage/session_load.ts";
import { FakeClock } from "../support/fake_clock.ts";
import { aSession, StoredMachine } from "../support/stored_sessions.ts";

const SERVICES = ["echo", "chat", "docs"];

function machine(connections = 20_000): StoredMachine {
  const settings = aSession().settings;
  const state = aSession({ limits: { ...settings.limits, connections, storedBytes: 64 * 1024 * 1024 } });
  return new StoredMachine(new MemorySessionStore({ clock: new FakeClock() }), state);
}

function openOne(state: SessionState, id: number): void {
  mux.receive(state.mux, {
    kind: "open",
    connection: id,
    service: SERVICES[id % SERVICES.length]!,
    seq: 1,
    cost: 1,
  });
  mux.accept(state.mux, id);
  connectionChanged(state, id);
  state.changes++;
}

function endOne(state: SessionState, id: number): void {
  mux.end(state.mux, id);
  connectionChanged(state, id);
  state.changes++;
}

function keep(state: SessionState, id: number, text: string): void {
  const connection = state.mux.connections.get(id)!;
  connection.kept = encodeBody(text);
  connection.keptVersion++;
  connectionChanged(state, id);
  state.changes++;
}

/** What matters of the connections. */
function seen(state: SessionState): unknown[] {
  return [...state.mux.connections.values()]
    .map(({ id, service, phase, kept, held }) => [id, service, phase, kept === null ? null : [...kept], held])
    .sort(([a], [b]) => (a as number) - (b as number));
}

async function assertSame(it: StoredMachine): Promise<void> {
  await it.commit();
  assert.deepEqual(seen(await it.load()), seen(it.state));
  assert.deepEqual(
    [...await loadServices(it.store, it.state.id)].sort(),
    [...new Set([...it.state.mux.connections.values()].map(({ service }) => service))].sort(),
  );
}

Deno.test("thousands of connections opened in one commit are written ahead and come back", async () => {
  const it = machine();
  await it.commit();
  for (let n = 0; n < 3_000; n++) openOne(it.state, 2 * n + 1);
  const { write } = await it.commit();
  assert.ok(write.puts.length < 20);
  assert.ok(write.staged.length > 0);
  assert.deepEqual(seen(await it.load()), seen(it.state));
  assert.deepEqual(
    [...await loadServices(it.store, it.state.id)].sort(),
    [...new Set([...it.state.mux.connections.values()].map(({ service }) => service))].sort(),
  );
});

Deno.test("after a spill single changes have records of their own, also ends, and the next spill replaces the first", async () => {
  const it = machine();
  for (let n = 0; n < 1_000; n++) openOne(it.state, 2 * n + 1);
  await assertSame(it);
  endOne(it.state, 1);
  keep(it.state, 3, "three");
  openOne(it.state, 2_001);
  await assertSame(it);
  endOne(it.state, 2_001);
  keep(it.state, 3, "three again");
  await assertSame(it);
  for (let n = 2_000; n < 3_000; n++) openOne(it.state, 2 * n + 1);
  await assertSame(it);
  for (let n = 1; n < 1_000; n++) endOne(it.state, 2 * n + 1);
  await assertSame(it);
});

Deno.test("what connections keep is written when it changed and not before, however large all of it is together", async () => {
  const it = machine();
  for (let n = 0; n < 40; n++) openOne(it.state, 2 * n + 1);
  await it.commit();
  keep(it.state, 1, "x".repeat(30_000));
  const first = await it.commit();
  assert.ok(first.write.puts.some(({ key }) => key[0] === "kept"));
  connectionChanged(it.state, 1);
  it.state.changes++;
  const second = await it.commit();
  assert.ok(!second.write.puts.some(({ key }) => key[0] === "kept"));
  for (let n = 0; n < 40; n++) keep(it.state, 2 * n + 1, `${n} ${"y".repeat(30_000)}`);
  await assertSame(it);
});

Deno.test("work is stored once, in parts that fit, and goes when all of its segment is done", async () => {
  const it = machine();
  openOne(it.state, 1);
  const connection = it.state.mux.connections.get(1)!;
  await it.commit();
  const bodies = [10, 200_000, 400_000].map((size) => encodeBody("z".repeat(size)));
  bodies.forEach((body, n) => {
    assert.ok(addWork(it.state, n + 1, 1, body, null));
    connection.held = [...connection.held, n + 1];
  });
  connectionChanged(it.state, 1);
  it.state.changes++;
  const { write, work } = await it.commit();
  assert.equal(work.length, 3);
  assert.ok(write.staged.length > 5);
  for (const each of work) Object.assign(each, { stored: true, body: new Uint8Array(0) });
  const loaded = await it.load();
  assert.deepEqual([...loaded.work.values()].map(({ body }) => body), bodies);
  assert.ok([...loaded.work.values()].every(({ stored }) => stored));
  for (const seq of [1, 3]) {
    dropWork(it.state, seq);
    connection.held = connection.held.filter((held) => held !== seq);
  }
  connectionChanged(it.state, 1);
  it.state.changes++;
  await it.commit();
  assert.deepEqual([...(await it.load()).work.keys()], [2]);
  dropWork(it.state, 2);
  connection.held = [];
  connectionChanged(it.state, 1);
  it.state.changes++;
  await it.commit();
  assert.deepEqual(await it.store.list({ prefix: ["work"] }, { limit: 10 }), []);
  assert.deepEqual(await it.store.list({ prefix: ["pending"] }, { limit: 10 }), []);
});

Deno.test("whatever is opened, kept and ended in whatever order, the store gives back what is there", async () => {
  const step = fc.record({
    opens: fc.integer({ min: 0, max: 700 }),
    ends: fc.integer({ min: 0, max: 700 }),
    keeps: fc.integer({ min: 0, max: 6 }),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 6 }), async (steps) => {
      const it = machine();
      let next = 1;
      for (const { opens, ends, keeps } of steps) {
        for (let n = 0; n < opens; n++, next += 2) openOne(it.state, next);
        const ids = [...it.state.mux.connections.keys()];
        for (const id of ids.slice(0, ends)) endOne(it.state, id);
        for (const id of [...it.state.mux.connections.keys()].slice(0, keeps)) keep(it.state, id, `${next}`);
        it.state.changes++;
        await assertSame(it);
      }
    }),
    { numRuns: 40, seed: 7 },
  );
});
