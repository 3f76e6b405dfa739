/** What the simulation found in calls, messages, transactions and operations, each made small enough to read. */

import assert from "node:assert/strict";
import * as z from "zod";
import { encodeBody } from "../../src/protocol/body.ts";
import { defineService } from "../../src/service/define_service.ts";
import { method, transaction, upload } from "../../src/service/methods.ts";
import { MemorySessionStore } from "../../src/storage/memory_session_store.ts";
import { CallClient } from "../support/call_client.ts";
import { FakeClock, settle } from "../support/fake_clock.ts";
import { FaultyStore } from "../support/faulty_store.ts";
import { TestNode } from "../support/test_node.ts";

// @rule connection.early
Deno.test("the items of an upload that come before the accept are its items, and so is their end", async () => {
  let accept = () => {};
  const late = defineService({
    name: "late",
    methods: {
      sum: upload({ item: z.int(), output: z.int() }, async (_, { items }) => {
        let sum = 0;
        for await (const item of items) sum += item;
        return sum;
      }),
    },
    onOpen: () => new Promise<void>((resolve) => accept = resolve),
  });
  const node = new TestNode({ services: [late] });
  const client = await CallClient.open(node, "late");
  const channel = client.channel();
  const request = client.call("sum", null, { upload: channel });
  for (const n of [1, 2, 3]) client.say({ kind: "item", connection: 1, channel, body: encodeBody(n) });
  client.say({ kind: "finish", connection: 1, channel });
  await settle();
  accept();
  await settle();
  assert.equal(client.answer(request)?.value, 6);
});

/** Accounts, and transactions that a test can hold up. */
class Bank {
  readonly clock = new FakeClock();
  readonly store = new FaultyStore(new MemorySessionStore({ clock: this.clock }));
  /** What handlers wait for, by the name of the account. */
  readonly gates = new Map<string, Promise<void>>();
  runs = 0;

  node(): TestNode {
    const { clock, store } = this;
    const keepalive = { interval: 3_600_000, timeout: 10_000 };
    return new TestNode({ clock, store, keepalive, services: [this.service()] });
  }

  /** What the store holds, as a new node reads it. */
  async total(name: string): Promise<unknown> {
    const client = await CallClient.open(this.node(), "bank");
    return (await client.ask("add", { name, by: 0 }))?.value;
  }

  service() {
    const input = z.object({ name: z.string(), by: z.int() });
    return defineService({
      name: "bank",
      methods: {
        add: transaction({ input, output: z.int() }, async ({ name, by }, tx) => {
          this.runs++;
          const total = (await tx.get<number>([name]) ?? 0) + by;
          tx.set([name], total);
          await this.gates.get(name);
          return total;
        }),
        /** Reads some accounts. */
        peek: transaction({ input: z.array(z.string()), output: z.array(z.int()) }, async (names, tx) => {
          const totals: number[] = [];
          for (const name of names) totals.push(await tx.get<number>([name]) ?? 0);
          return totals;
        }),
      },
      messages: transaction({ input }, async ({ name, by }, tx) => {
        const total = (await tx.get<number>([name]) ?? 0) + by;
        tx.set([name], total);
        tx.send(total);
      }),
    });
  }
}

// @rule call.cancel
Deno.test("a transaction that went on from a cancelled one's writes runs again without them", async () => {
  const it = new Bank();
  const client = await CallClient.open(it.node(), "bank");
  // While a commit of the session is under way, what is decided waits for the next.
  it.store.failAtomics("hold");
  const first = client.call("add", { name: "x", by: 1 });
  await settle();
  const cancelled = client.call("add", { name: "x", by: 10 });
  await settle();
  const later = client.call("add", { name: "x", by: 100 });
  await settle();
  client.say({ kind: "cancel", connection: 1, request: cancelled });
  await settle();
  it.store.release();
  for (let n = 0; n < 5; n++) await settle();
  assert.equal(client.answer(first)?.value, 1);
  assert.equal(client.answer(cancelled)?.code, "cancelled");
  assert.equal(client.answer(later)?.value, 101);
  assert.equal(await it.total("x"), 101);
});

Deno.test("an uncommitted write shows again when the one after it is dropped", async () => {
  const it = new Bank();
  const client = await CallClient.open(it.node(), "bank");
  it.store.failAtomics("hold");
  client.call("add", { name: "y", by: 1 });
  await settle();
  const first = client.call("add", { name: "x", by: 1 });
  await settle();
  const cancelled = client.call("add", { name: "x", by: 10 });
  await settle();
  client.say({ kind: "cancel", connection: 1, request: cancelled });
  await settle();
  // Both the first and this one are still undecided for the store when this one is taken.
  it.store.failAtomics("hold");
  it.store.release();
  await settle();
  const later = client.call("add", { name: "x", by: 100 });
  await settle();
  it.store.release();
  for (let n = 0; n < 5; n++) await settle();
  assert.equal(client.answer(first)?.value, 1);
  assert.equal(client.answer(later)?.value, 101);
  assert.equal(await it.total("x"), 101);
});

// @rule call.cancel
Deno.test("a cancel that comes while an ephemeral session's transaction is being committed comes too late", async () => {
  const it = new Bank();
  const client = await CallClient.open(it.node(), "bank", { durability: "ephemeral" });
  it.store.failAtomics("hold");
  const request = client.call("add", { name: "x", by: 1 }, { timeout: 500 });
  await settle();
  client.say({ kind: "cancel", connection: 1, request });
  await settle();
  await it.clock.advance(1_000);
  assert.equal(client.answer(request), undefined);
  it.store.release();
  for (let n = 0; n < 5; n++) await settle();
  assert.equal(client.answer(request)?.value, 1);
  assert.equal(await it.total("x"), 1);
});

for (const durability of ["durable", "ephemeral"] as const) {
  // @rule call.timeout
  Deno.test(`the deadline of a ${durability} session's transaction holds after its commit was refuted`, async () => {
    const it = new Bank();
    const client = await CallClient.open(it.node(), "bank", { durability });
    const rival = await CallClient.open(it.node(), "bank");
    await client.ask("add", { name: "x", by: 1 });
    await rival.ask("add", { name: "x", by: 1 });
    // Its node believes in a total of 1.
    it.store.failAtomics("hold");
    const request = client.call("add", { name: "x", by: 1 }, { timeout: 500 });
    await settle();
    await it.clock.advance(600);
    it.gates.set("x", new Promise(() => {}));
    it.store.release();
    for (let n = 0; n < 5; n++) await it.clock.advance(100);
    assert.equal(client.answer(request)?.code, "deadline-exceeded");
    it.gates.clear();
    assert.equal(await it.total("x"), 2);
  });
}

Deno.test("a transaction whose store does not answer waits for it: it is neither a failure of its service nor lost", async () => {
  const it = new Bank();
  const client = await CallClient.open(it.node(), "bank");
  it.store.failReads("fail", "fail");
  const request = client.call("add", { name: "x", by: 1 });
  client.say({ kind: "message", connection: 1, body: encodeBody({ name: "y", by: 2 }) });
  for (let n = 0; n < 5; n++) await it.clock.advance(200);
  assert.equal(client.answer(request)?.value, 1);
  assert.deepEqual(client.echoes, [2]);
});

/** A service that takes its time to accept, and counts what runs. */
function lateService() {
  const world = { accept: () => {}, runs: 0 };
  const service = defineService({
    name: "late",
    methods: {
      run: method({ output: z.int() }, () => {
        world.runs++;
        return new Promise<number>(() => {});
      }),
      sum: upload({ item: z.int(), output: z.int() }, async (_, { items }) => {
        let sum = 0;
        for await (const item of items) sum += item;
        return sum;
      }),
    },
    onOpen: () => new Promise<void>((resolve) => world.accept = resolve),
  });
  return { world, service };
}

// @rule call.restart
Deno.test("an early call that was acked does not run twice where the accept was lost with the node", async () => {
  const clock = new FakeClock();
  const store = new FaultyStore(new MemorySessionStore({ clock }));
  const { world, service } = lateService();
  const node = new TestNode({ clock, store, services: [service] });
  const client = await CallClient.open(node, "late");
  const request = client.call("run", null);
  await clock.advance(100);
  assert.deepEqual(client.unacked, []);
  // The node accepts, and is lost before anybody knows.
  store.failAtomics("hold");
  world.accept();
  await settle();
  await node.crash();
  await client.connect(new TestNode({ clock, store, services: [service] }));
  world.accept();
  await settle();
  assert.ok(world.runs === 1 || client.answer(request)?.code === "indeterminate", `${world.runs} runs`);
});

// @rule call.restart
Deno.test("an early upload whose items went with its node is indeterminate, never a part of a sum", async () => {
  const clock = new FakeClock();
  const { world, service } = lateService();
  const node = new TestNode({ clock, services: [service] });
  const client = await CallClient.open(node, "late");
  const channel = client.channel();
  const request = client.call("sum", null, { upload: channel });
  const item = (n: number) => client.say({ kind: "item", connection: 1, channel, body: encodeBody(n) });
  [1, 2].forEach(item);
  await clock.advance(100);
  assert.deepEqual(client.unacked, []);
  await node.crash();
  await client.connect(new TestNode({ clock, store: node.store, services: [service] }));
  item(3);
  client.say({ kind: "finish", connection: 1, channel });
  world.accept();
  await settle();
  assert.equal(client.answer(request)?.code, "indeterminate");
});

// @rule call.operation
Deno.test("a repeated operation is not in conflict with another argument that comes just before it", async () => {
  for (const retry of ["never", "safe"] as const) {
    let runs = 0;
    const shop = defineService({
      name: "shop",
      methods: {
        pay: method({ input: z.int(), output: z.string(), retry }, (sum) => `${sum} in run ${++runs}`),
      },
    });
    const node = new TestNode({ services: [shop] });
    const client = await CallClient.open(node, "shop");
    const first = await client.ask("pay", 1, { operation: "k" });
    assert.equal(first?.value, "1 in run 1");
    client.ready = false;
    const wrong = client.call("pay", 2, { operation: "k" });
    const again = client.call("pay", 1, { operation: "k" });
    client.ready = true;
    client.peer!.send(...client.unacked);
    await settle();
    assert.equal(client.answer(wrong)?.code, "conflict");
    assert.deepEqual(client.answer(again), first);
    assert.equal(node.registry.operations.size, 0);
  }
});

Deno.test("a commit of an ephemeral session that is applied late changes nothing, whatever was committed since", async () => {
  const clock = new FakeClock();
  const store = new FaultyStore(new MemorySessionStore({ clock }));
  const flags = defineService({
    name: "flags",
    methods: {
      toggle: transaction({ output: z.boolean() }, async (_, tx) => {
        const up = await tx.get<boolean>(["flag"]) ?? false;
        if (up) tx.delete(["flag"]);
        else tx.set(["flag"], true);
        return !up;
      }),
      nothing: transaction({ input: z.string(), output: z.null() }, async (key, tx) => {
        await tx.get([key]);
        return null;
      }),
    },
  });
  const node = () => new TestNode({ clock, store, services: [flags] });
  const client = await CallClient.open(node(), "flags", { durability: "ephemeral" });
  store.failAtomics("late");
  const request = client.call("toggle", null);
  await clock.advance(1_000);
  assert.equal(client.answer(request)?.value, true);
  assert.equal((await client.ask("nothing", "other"))?.ok, true);
  const other = await CallClient.open(node(), "flags");
  assert.equal((await other.ask("toggle", null))?.value, false);
  await store.applyLate();
  const fresh = await CallClient.open(node(), "flags");
  assert.equal((await fresh.ask("toggle", null))?.value, true);
});

Deno.test("a commit of an ephemeral session whose outcome is unknown for minutes is not made twice", async () => {
  const it = new Bank();
  const client = await CallClient.open(it.node(), "bank", { durability: "ephemeral" });
  it.store.failAtomics("fail_after");
  const request = client.call("add", { name: "x", by: 1 });
  await settle();
  it.store.away = true;
  await it.clock.advance(180_000);
  it.store.away = false;
  await it.clock.advance(30_000);
  assert.equal(client.answer(request)?.value, 1);
  assert.equal(await it.total("x"), 1);
});

Deno.test("a transaction that read what has changed since runs again, also if its own session writes that key by now", async () => {
  const it = new Bank();
  const node = it.node();
  const [client, beside] = [await CallClient.open(node, "bank"), await CallClient.open(node, "bank")];
  const rival = await CallClient.open(it.node(), "bank");
  await client.ask("add", { name: "x", by: 1 });
  await rival.ask("add", { name: "x", by: 10 });
  // This node believes in 1; what the session decides waits behind its commit.
  it.store.failAtomics("hold");
  client.call("add", { name: "y", by: 1 });
  await settle();
  const peek = client.call("peek", ["x"]);
  await settle();
  // Another session finds out.
  assert.equal((await beside.ask("add", { name: "x", by: 100 }))?.value, 111);
  const add = client.call("add", { name: "x", by: 1_000 });
  await settle();
  it.store.release();
  for (let n = 0; n < 10; n++) await settle();
  assert.equal(client.answer(add)?.value, 1_111);
  assert.ok([[111], [1_111]].some(([total]) => (client.answer(peek)?.value as number[])[0] === total));
  assert.equal(await it.total("x"), 1_111);
});

Deno.test("a write is checked against what it went on from, also if another session has come to doubt that", async () => {
  const it = new Bank();
  const node = it.node();
  const [client, beside] = [await CallClient.open(node, "bank"), await CallClient.open(node, "bank")];
  const rival = await CallClient.open(it.node(), "bank");
  await client.ask("add", { name: "x", by: 1 });
  await rival.ask("add", { name: "x", by: 10 });
  // This node believes in 1. Both have read it when one of them decides to write it.
  it.store.failAtomics("hold", "hold");
  beside.call("peek", ["x"]);
  await settle();
  client.call("add", { name: "y", by: 1 });
  await settle();
  const add = client.call("add", { name: "x", by: 100 });
  await settle();
  it.store.release(1);
  await settle();
  it.store.release();
  for (let n = 0; n < 10; n++) await settle();
  assert.equal(client.answer(add)?.value, 111);
  assert.equal(await it.total("x"), 111);
});

/** A method that never ends, and what became of its calls. */
function endless() {
  const lines: string[] = [];
  const service = defineService({
    name: "endless",
    methods: {
      run: method({ output: z.int(), retry: "safe" }, (_, { signal }) => {
        lines.push("began");
        signal.addEventListener("abort", () => void lines.push(`aborted ${(signal.reason as Error).name}`));
        return new Promise<number>(() => {});
      }),
    },
  });
  return { lines, service };
}

// @rule resume.anywhere
Deno.test("a node that works for a detached session lets go of it when the session is resumed elsewhere", async () => {
  const clock = new FakeClock();
  const { lines, service } = endless();
  const first = new TestNode({ clock, services: [service], sweeps: true });
  const second = new TestNode({ clock, store: first.store, services: [service] });
  const client = await CallClient.open(first, "endless");
  client.call("run", null);
  await clock.advance(100);
  await client.cut();
  await clock.advance(100);
  await client.connect(second);
  await clock.advance(3_000);
  assert.deepEqual(lines, ["began", "began", "aborted moved"]);
  assert.equal(first.registry.size, 0);
  await Promise.all([first.crash(), second.crash()]);
});

// @rule call.restart
Deno.test("work of a lost node is taken up also by a node that still has an old memory of its session", async () => {
  const clock = new FakeClock();
  const { lines, service } = endless();
  const first = new TestNode({ clock, services: [service] });
  const client = await CallClient.open(first, "endless");
  client.call("run", null);
  await clock.advance(100);
  await client.cut();
  await clock.advance(100);
  const second = new TestNode({ clock, store: first.store, services: [service] });
  second.directory.start();
  await client.connect(second);
  await settle();
  // What told the first node is gone before it looks.
  await clock.advance(120_000);
  await client.cut();
  await second.crash();
  assert.deepEqual(lines, ["began", "began"]);
  first.directory.start();
  first.sweeper.start();
  await clock.advance(60_000);
  assert.deepEqual(lines, ["began", "began", "aborted moved", "began"]);
  assert.deepEqual(await first.rows(["pending", first.boot]).then((rows) => rows.length), 1);
  await first.crash();
});

// @rule connection.early
Deno.test("an early call that is answered at once takes nothing away from the early calls after it", async () => {
  let accept = () => {};
  const late = defineService({
    name: "late",
    methods: {
      now: method({ output: z.int() }, () => 1),
      sum: upload({ item: z.int(), output: z.int() }, async (_, { items }) => {
        let sum = 0;
        for await (const item of items) sum += item;
        return sum;
      }),
    },
    onOpen: () => new Promise<void>((resolve) => accept = resolve),
  });
  const client = await CallClient.open(new TestNode({ services: [late] }), "late");
  const channel = client.channel();
  const [now, sum] = [client.call("now", null), client.call("sum", null, { upload: channel })];
  await settle();
  accept();
  await settle();
  client.say({ kind: "item", connection: 1, channel, body: encodeBody(5) });
  client.say({ kind: "finish", connection: 1, channel });
  await settle();
  assert.equal(client.answer(now)?.value, 1);
  assert.equal(client.answer(sum)?.value, 5);
});

// @rule call.restart
Deno.test("a call that is run again and answered at once takes nothing away from those restored after it", async () => {
  const lines: string[] = [];
  const service = defineService({
    name: "two",
    methods: {
      quick: method(
        { output: z.int(), retry: "safe" },
        (_, { again }) => again ? 1 : new Promise<number>(() => {}),
      ),
      long: method({ output: z.int(), retry: "safe" }, (_, { again, signal }) => {
        lines.push(`long ${again}`);
        signal.addEventListener("abort", () => void lines.push(`aborted ${(signal.reason as Error).name}`));
        return new Promise<number>(() => {});
      }),
    },
  });
  const first = new TestNode({ services: [service] });
  const client = await CallClient.open(first, "two");
  const [quick, long] = [client.call("quick", null), client.call("long", null)];
  await settle();
  await first.crash();
  await client.connect(new TestNode({ clock: first.clock, store: first.store, services: [service] }));
  await settle();
  assert.equal(client.answer(quick)?.value, 1);
  client.say({ kind: "cancel", connection: 1, request: long });
  await settle();
  assert.equal(client.answer(long)?.code, "cancelled");
  assert.deepEqual(lines, ["long false", "long true", "aborted cancelled"]);
});

// @rule call.timeout
Deno.test("a deadline that passed while a refuted commit was under way ends its call also while the store does not answer", async () => {
  const it = new Bank();
  const node = it.node();
  const client = await CallClient.open(node, "bank");
  const rival = await CallClient.open(it.node(), "bank");
  await client.ask("add", { name: "x", by: 1 });
  await rival.ask("add", { name: "x", by: 1 });
  it.store.failAtomics("hold", "hold");
  client.call("add", { name: "x", by: 1 }, { timeout: 500 });
  await settle();
  await it.clock.advance(600);
  it.gates.set("x", new Promise(() => {}));
  it.store.release(1);
  for (let n = 0; n < 5; n++) await it.clock.advance(100);
  const { mux } = node.registry.find(client.session!)!.state;
  assert.equal(mux.connections.get(1)!.calls!.incoming.size, 0);
});
