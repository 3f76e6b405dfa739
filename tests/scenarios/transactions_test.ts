/** Transactions: effects, answer and ack in one commit, on one node and on several, with a store that fails. */

import assert from "node:assert/strict";
import { defineService } from "../../src/service/define_service.ts";
import { transaction } from "../../src/service/methods.ts";
import { RpcError } from "../../src/protocol/rpc_error.ts";
import { encodeBody } from "../../src/protocol/body.ts";
import { encodeDatum } from "../../src/storage/data_cache.ts";
import { MemorySessionStore } from "../../src/storage/memory_session_store.ts";
import type { SessionStore } from "../../src/storage/session_store.ts";
import { CallClient } from "../support/call_client.ts";
import { FakeClock, settle } from "../support/fake_clock.ts";
import { FaultyStore } from "../support/faulty_store.ts";
import { SeededRandom } from "../support/seeded_random.ts";
import { TestNode } from "../support/test_node.ts";
import * as z from "zod";

const bank = () =>
  defineService({
    name: "bank",
    methods: {
      add: transaction(
        { input: z.object({ name: z.string(), by: z.int() }), output: z.int() },
        async ({ name, by }, tx) => {
          const total = (await tx.get<number>(["total", name]) ?? 0) + by;
          tx.set(["total", name], total);
          return total;
        },
      ),
      get: transaction({ input: z.string(), output: z.int() }, async (name, tx) =>
        await tx.get<number>(["total", name]) ?? 0),
      move: transaction(
        { input: z.object({ from: z.string(), to: z.string(), amount: z.int() }), output: z.null() },
        async ({ from, to, amount }, tx) => {
          const has = await tx.get<number>(["total", from]) ?? 0;
          tx.set(["total", from], has - amount);
          tx.set(["total", to], (await tx.get<number>(["total", to]) ?? 0) + amount);
          if (has < amount) {
            throw new RpcError("failed-precondition", `${from} has ${has}`);
          }
          return null;
        },
      ),
      put: transaction(
        { input: z.object({ name: z.string(), to: z.int() }), output: z.null() },
        ({ name, to }, tx) => {
          tx.set(["total", name], to);
          return Promise.resolve(null);
        },
      ),
      many: transaction({ input: z.int(), output: z.int() }, async (count, tx) => {
        for (let n = 0; n < count; n++) {
          await tx.get(["key", n]);
        }
        return count;
      }),
    },
    messages: transaction({ input: z.int() }, async (by, tx) => {
      const total = (await tx.get<number>(["total", "messages"]) ?? 0) + by;
      tx.set(["total", "messages"], total);
      tx.send(total);
      if (by < 0) {
        throw new RpcError("invalid-argument", "only upwards");
      }
    }),
  });

function world() {
  const clock = new FakeClock();
  const store = new FaultyStore(new MemorySessionStore({ clock }));
  const node = (over: SessionStore = store) => new TestNode({ clock, store: over, services: [bank()] });
  return { clock, store, node };
}

/** What the store holds, as a new node reads it. */
async function total(of: { node: () => TestNode }, name: string): Promise<unknown> {
  const client = await CallClient.open(of.node(), "bank");
  return (await client.ask("get", name))?.value;
}

Deno.test("one transaction is one commit: its data, its answer and the ack of its call", async () => {
  const it = world();
  const client = await CallClient.open(it.node(), "bank");
  const before = it.store.calls.atomic;
  assert.equal((await client.ask("add", { name: "a", by: 2 }))?.value, 2);
  assert.equal(it.store.calls.atomic, before + 1);
});

Deno.test("transactions of one frame go on from each other and are one commit", async () => {
  const it = world();
  const client = await CallClient.open(it.node(), "bank");
  client.ready = false;
  const requests = Array.from({ length: 8 }, () => client.call("add", { name: "a", by: 1 }));
  client.ready = true;
  const before = it.store.calls.atomic;
  client.peer!.send(...client.unacked);
  await settle();
  assert.deepEqual(requests.map((request) => client.answer(request)?.value), [1, 2, 3, 4, 5, 6, 7, 8]);
  assert.ok(it.store.calls.atomic - before <= 2, `${it.store.calls.atomic - before} commits`);
  assert.equal(await total(it, "a"), 8);
});

Deno.test("a failure discards what was written, and its answer is committed all the same", async () => {
  const it = world();
  const client = await CallClient.open(it.node(), "bank");
  await client.ask("add", { name: "a", by: 5 });
  assert.equal((await client.ask("move", { from: "a", to: "b", amount: 9 }))?.code, "failed-precondition");
  assert.equal((await client.ask("move", { from: "a", to: "b", amount: 3 }))?.ok, true);
  assert.equal(await total(it, "a"), 2);
  assert.equal(await total(it, "b"), 3);
});

Deno.test("a message may be a transaction: its data, what it sends and its end are one commit, a failure ends the connection", async () => {
  const it = world();
  const node = it.node();
  const client = await CallClient.open(node, "bank");
  for (const by of [1, 2, 3]) client.echo(by);
  await settle();
  assert.deepEqual(client.echoes, [1, 3, 6]);
  client.echo(-1);
  client.echo(4);
  await settle();
  const [end] = client.came.filter((m) => m.kind === "end");
  assert.equal(end?.kind === "end" && end.reason, "invalid-argument");
  assert.deepEqual(client.echoes, [1, 3, 6]);
  assert.deepEqual(await node.rows(["work"]), []);
});

Deno.test("more keys than an atomic can check are refused", async () => {
  const it = world();
  const node = it.node();
  const client = await CallClient.open(node, "bank");
  assert.equal((await client.ask("many", 8))?.value, 8);
  assert.equal((await client.ask("many", 9))?.code, "internal");
  node.log.lines.length = 0;
});

Deno.test("sessions of one node that write the same key take turns, and lose nothing", async () => {
  const it = world();
  const node = it.node();
  const clients = await Promise.all(Array.from({ length: 5 }, () => CallClient.open(node, "bank")));
  const requests = clients.map((client) =>
    Array.from({ length: 20 }, () => client.call("add", { name: "hot", by: 1 }))
  );
  for (let n = 0; n < 50; n++) await settle();
  const totals = clients.flatMap((client, n) =>
    requests[n]!.map((request) => client.answer(request)?.value as number)
  );
  assert.deepEqual(totals.sort((a, b) => a - b), Array.from({ length: 100 }, (_, n) => n + 1));
  assert.equal(await total(it, "hot"), 100);
});

Deno.test("nodes that write the same key find each other out by versions: every answer is a total of its own", async () => {
  const it = world();
  const nodes = [it.node(), it.node(), it.node()];
  const clients = await Promise.all(nodes.map((node) => CallClient.open(node, "bank")));
  const requests = clients.map((client) =>
    Array.from({ length: 10 }, () => client.call("add", { name: "hot", by: 1 }))
  );
  for (let n = 0; n < 100; n++) await it.clock.advance(20);
  const totals = clients.flatMap((client, n) =>
    requests[n]!.map((request) => client.answer(request)?.value as number)
  );
  assert.deepEqual(totals.sort((a, b) => a - b), Array.from({ length: 30 }, (_, n) => n + 1));
  assert.equal(await total(it, "hot"), 30);
  for (const client of clients) {
    assert.deepEqual(client.faults, []);
    assert.ok(client.peer!.open, "no conduit broke for another node's write");
  }
});

Deno.test("what was decided beside a refuted transaction is not lost and keeps its order", async () => {
  const it = world();
  const [one, two] = [it.node(), it.node()];
  const client = await CallClient.open(one, "bank");
  const other = await CallClient.open(two, "bank");
  await client.ask("add", { name: "x", by: 1 });
  await other.ask("add", { name: "x", by: 10 });
  // The first node still believes in 1: its next commit is refuted.
  client.openTo("bank", 3);
  const first = client.call("add", { name: "x", by: 100 });
  const push = client.call("get", "y");
  client.openTo("bank", 5);
  for (let n = 0; n < 20; n++) await it.clock.advance(20);
  assert.equal(client.answer(first)?.value, 111);
  assert.equal(client.answer(push)?.value, 0);
  assert.deepEqual(client.came.filter(({ kind }) => kind === "accept").map(({ connection }) => connection), [
    1,
    3,
    5,
  ]);
  assert.deepEqual(client.came.map(({ seq }) => seq), client.came.map((_, n) => n + 1));
  assert.deepEqual(client.faults, []);
});

Deno.test("a write without a read overwrites what another node wrote, and later reads see it", async () => {
  const it = world();
  const client = await CallClient.open(it.node(), "bank");
  const other = await CallClient.open(it.node(), "bank");
  await other.ask("add", { name: "x", by: 10 });
  client.ready = false;
  const put = client.call("put", { name: "x", to: 5 });
  const add = client.call("add", { name: "x", by: 1 });
  client.ready = true;
  client.peer!.send(...client.unacked);
  await settle();
  assert.equal(client.answer(put)?.ok, true);
  assert.equal(client.answer(add)?.value, 6);
  assert.equal(await total(it, "x"), 6);
});

Deno.test("a transaction that is overtaken time and again is told unavailable in the end, and has written nothing", async () => {
  const clock = new FakeClock();
  const inner = new MemorySessionStore({ clock });
  const store = new FaultyStore(inner);
  const node = new TestNode({ clock, store, services: [bank()] });
  const client = await CallClient.open(node, "bank");
  assert.equal((await client.ask("add", { name: "x", by: 1 }))?.value, 1);
  let overtaken = 0;
  // Somebody else writes the key just before each commit of it.
  store.onAtomic = ({ puts }) => {
    const data = puts.filter(({ key }) => key[0] === "data");
    if (data.length === 0) return;
    overtaken++;
    const value = encodeDatum(encodeBody(5));
    void inner.atomic({ checks: [], puts: data.map(({ key }) => ({ key, value })), deletes: [] });
  };
  const request = client.call("add", { name: "x", by: 1_000 });
  for (let n = 0; n < 400 && client.answer(request) === undefined; n++) await clock.advance(100);
  assert.equal(client.answer(request)?.code, "unavailable");
  assert.ok(overtaken > 10, `overtaken ${overtaken} times`);
  store.onAtomic = undefined;
  assert.equal((await client.ask("get", "x"))?.value, 5);
  assert.ok(client.peer!.open);
});

Deno.test("exactly once under every failure of the store: totals are the answers, over restarts, with the same calls", async () => {
  const outcomes: number[] = [];
  for (let seed = 1; seed <= 20; seed++) {
    const clock = new FakeClock();
    const random = new SeededRandom(seed);
    const store = new FaultyStore(new MemorySessionStore({ clock }), {
      rates: {
        random,
        atomic: { fail_before: 0.05, fail_after: 0.1, lie_conflict: 0.1 },
        read: { fail: 0.02 },
      },
    });
    let node = new TestNode({ clock, store, services: [bank()] });
    const client = new CallClient();
    const connect = async () => {
      for (let tries = 0; tries < 200 && !client.ready; tries++) {
        await client.dial(node);
        for (let n = 0; n < 20 && !client.ready && client.peer!.open; n++) await clock.advance(100);
      }
      assert.ok(client.ready, `seed ${seed}: never connected`);
    };
    await connect();
    client.openTo("bank");
    const requests: number[] = [];
    for (let n = 0; n < 40; n++) {
      requests.push(client.call("add", { name: "x", by: 1 }));
      if (n % 7 === 3) {
        await clock.advance(1);
        if (n % 2 === 0) await client.cut();
        else {
          await node.crash();
          client.ready = false;
          node = new TestNode({ clock, store, services: [bank()] });
        }
        await connect();
      }
    }
    for (let n = 0; n < 400 && requests.some((each) => client.answer(each) === undefined); n++) {
      await clock.advance(100);
      if (!client.peer!.open) {
        client.ready = false;
        await connect();
      }
    }
    const values = requests.map((request) => client.answer(request));
    assert.ok(values.every((answer) => answer?.ok === true), `seed ${seed}: ${JSON.stringify(values)}`);
    const totals = values.map((answer) => answer!.value as number).sort((a, b) => a - b);
    assert.deepEqual(totals, requests.map((_, n) => n + 1), `seed ${seed}`);
    outcomes.push(totals.at(-1)!);
    assert.deepEqual(client.faults, [], `seed ${seed}`);
    node.registry.committer.abandon();
  }
  assert.equal(outcomes.length, 20);
});

Deno.test("an ephemeral session's transactions are as durable as any other's", async () => {
  const it = world();
  const node = it.node();
  const client = await CallClient.open(node, "bank", { durability: "ephemeral" });
  const requests = Array.from({ length: 10 }, () => client.call("add", { name: "x", by: 1 }));
  for (let n = 0; n < 10; n++) await settle();
  assert.deepEqual(requests.map((request) => client.answer(request)?.value), [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
  await node.crash();
  assert.equal(await total(it, "x"), 10);
});
