/** What the simulation found in calls, messages, transactions and operations, each made small enough to read. */

import assert from "node:assert/strict";
import * as z from "zod";
import { encodeBody } from "../../src/protocol/body.ts";
import { defineService } from "../../src/service/define_service.ts";
import { transaction, upload } from "../../src/service/methods.ts";
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
    return new TestNode({ clock, store, services: [this.service()] });
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
