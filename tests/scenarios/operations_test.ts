/** Operations: a call with a key runs at most once, whoever makes it, wherever, and however often. */

import assert from "node:assert/strict";
import { defineService } from "../../src/service/define_service.ts";
import { method, transaction } from "../../src/service/methods.ts";
import { OPERATION_TTL_MS } from "../../src/session/operation_record.ts";
import { MemorySessionStore } from "../../src/storage/memory_session_store.ts";
import { CallClient } from "../support/call_client.ts";
import { FakeClock, settle } from "../support/fake_clock.ts";
import { FaultyStore } from "../support/faulty_store.ts";
import { TestAuthenticator } from "../support/test_authenticator.ts";
import { TestNode, type TestNodeOptions } from "../support/test_node.ts";
import * as z from "zod";

class World {
  readonly clock = new FakeClock();
  readonly store = new FaultyStore(new MemorySessionStore({ clock: this.clock }));
  readonly runs: string[] = [];
  waiting: (() => void)[] = [];

  node(options: TestNodeOptions = {}): TestNode {
    return new TestNode({
      clock: this.clock,
      store: this.store,
      services: [this.service()],
      authenticator: new TestAuthenticator().grant("ada", "ada").grant("eve", "eve"),
      ...options,
    });
  }

  async client(node: TestNode, principal = "ada"): Promise<CallClient> {
    const client = new CallClient(undefined, principal);
    await client.connect(node);
    client.openTo("shop");
    await settle();
    return client;
  }

  async release(): Promise<void> {
    for (const go of this.waiting.splice(0)) go();
    await settle();
  }

  service() {
    const wait = (line: string) => {
      this.runs.push(line);
      return new Promise<void>((resolve) => void this.waiting.push(resolve));
    };
    return defineService({
      name: "shop",
      methods: {
        pay: method({ input: z.unknown(), output: z.string() }, async (input) => {
          await wait(`pay ${JSON.stringify(input)}`);
          if (input === "bad") throw new Error("a secret detail");
          return `paid ${JSON.stringify(input)}`;
        }),
        price: method({ input: z.unknown(), output: z.string(), retry: "safe" }, async (input) => {
          await wait(`price ${JSON.stringify(input)}`);
          return "7";
        }),
        large: method({ input: z.int(), output: z.string() }, (size) => "x".repeat(size)),
        add: transaction({ input: z.int(), output: z.int() }, async (by, tx) => {
          this.runs.push(`add ${by}`);
          const total = (await tx.get<number>(["total"]) ?? 0) + by;
          tx.set(["total"], total);
          return total;
        }),
      },
    });
  }
}

// @rule call.operation
Deno.test("a call whose operation runs here waits for the same outcome, in another session of the principal too", async () => {
  const it = new World();
  const node = it.node();
  const [one, two] = [await it.client(node), await it.client(node)];
  const first = one.call("pay", { a: 1, b: 2 }, { operation: "k" });
  await settle();
  // The same value in another order of keys.
  const second = two.call("pay", { b: 2, a: 1 }, { operation: "k" });
  await settle();
  assert.equal(two.answer(second), undefined);
  await it.release();
  assert.equal(one.answer(first)?.value, 'paid {"a":1,"b":2}');
  assert.deepEqual(two.answer(second), one.answer(first));
  assert.equal(it.runs.length, 1);
  assert.equal(node.registry.operations.size, 0);
});

// @rule call.operation
Deno.test("a finished operation is answered from the store, success or failure, across sessions, nodes and restarts", async () => {
  const it = new World();
  const node = it.node();
  const client = await it.client(node);
  const good = client.call("pay", "good", { operation: "good" });
  const bad = client.call("pay", "bad", { operation: "bad" });
  await settle();
  await it.release();
  assert.equal(client.answer(good)?.ok, true);
  assert.equal(client.answer(bad)?.code, "internal");
  node.log.lines.length = 0;
  await node.crash();
  const other = await it.client(it.node());
  assert.deepEqual(await other.ask("pay", "good", { operation: "good" }), client.answer(good));
  assert.deepEqual(await other.ask("pay", "bad", { operation: "bad" }), client.answer(bad));
  assert.equal(it.runs.length, 2);
});

// @rule call.operation
Deno.test("the same key with another argument is a conflict; another principal, method or key is another operation", async () => {
  const it = new World();
  const node = it.node();
  const client = await it.client(node);
  assert.equal((await client.ask("add", 1, { operation: "k" }))?.value, 1);
  assert.equal((await client.ask("add", 2, { operation: "k" }))?.code, "conflict");
  assert.equal((await client.ask("add", 2, { operation: "k2" }))?.value, 3);
  const eve = await it.client(node, "eve");
  assert.equal((await eve.ask("add", 2, { operation: "k" }))?.value, 5);
  const running = client.call("pay", 1, { operation: "k" });
  await settle();
  assert.equal((await client.ask("pay", 2, { operation: "k" }))?.code, "conflict");
  await it.release();
  assert.equal(client.answer(running)?.ok, true);
});

// @rule call.operation
Deno.test("without authentication keys end with their session", async () => {
  const it = new World();
  const node = new TestNode({ clock: it.clock, store: it.store, services: [it.service()] });
  const [one, two] = [await CallClient.open(node, "shop"), await CallClient.open(node, "shop")];
  assert.equal((await one.ask("add", 1, { operation: "k" }))?.value, 1);
  assert.equal((await one.ask("add", 1, { operation: "k" }))?.value, 1);
  assert.equal((await two.ask("add", 1, { operation: "k" }))?.value, 2);
});

// @rule call.operation
Deno.test("an operation that was begun and lost with its node is indeterminate for ever; a safe one runs again", async () => {
  const it = new World();
  const node = it.node();
  node.directory.start();
  const client = await it.client(node);
  const pay = client.call("pay", 1, { operation: "pay" });
  const price = client.call("price", 1, { operation: "price" });
  await settle();
  await node.crash();
  it.waiting = [];
  const second = it.node();
  await client.connect(second);
  await settle();
  // The old process may still live, as far as anybody can know.
  assert.equal(client.answer(pay)?.code, "in-progress");
  await it.release();
  assert.equal(client.answer(price)?.value, "7");
  assert.equal((await client.ask("pay", 1, { operation: "pay" }))?.code, "in-progress");
  await it.clock.advance(16_000);
  assert.equal((await client.ask("pay", 1, { operation: "pay" }))?.code, "indeterminate");
  assert.equal((await client.ask("pay", 1, { operation: "pay" }))?.code, "indeterminate");
  assert.deepEqual(it.runs.sort(), ["pay 1", "price 1", "price 1"]);
});

// @rule call.operation
Deno.test("an operation that runs on another node is in-progress there, and its outcome is found when it is done", async () => {
  const it = new World();
  const [one, two] = [it.node(), it.node()];
  one.directory.start();
  const [here, there] = [await it.client(one), await it.client(two)];
  const running = here.call("pay", 1, { operation: "k" });
  await settle();
  assert.equal((await there.ask("pay", 1, { operation: "k" }))?.code, "in-progress");
  await it.release();
  assert.equal(here.answer(running)?.ok, true);
  assert.deepEqual(await there.ask("pay", 1, { operation: "k" }), here.answer(running));
  assert.equal(it.runs.length, 1);
  await one.directory.stop();
});

// @rule call.operation
Deno.test("one caller's cancel or deadline detaches that caller and is never the outcome", async () => {
  const it = new World();
  const node = it.node();
  const [one, two] = [await it.client(node), await it.client(node)];
  const cancelled = one.call("pay", 1, { operation: "k" });
  await settle();
  const late = one.call("pay", 1, { operation: "k", timeout: 50 });
  const patient = two.call("pay", 1, { operation: "k" });
  one.say({ kind: "cancel", connection: 1, request: cancelled });
  await it.clock.advance(50);
  assert.equal(one.answer(cancelled)?.code, "cancelled");
  assert.equal(one.answer(late)?.code, "deadline-exceeded");
  await it.release();
  assert.equal(two.answer(patient)?.ok, true);
  assert.deepEqual((await one.ask("pay", 1, { operation: "k" }))?.ok, true);
  assert.equal(it.runs.length, 1);
});

// @rule call.operation
Deno.test("the outcome is committed before it is sent, and is as if it had never been after its time", async () => {
  const it = new World();
  const node = it.node();
  const client = await it.client(node);
  const request = client.call("pay", 1, { operation: "k" });
  await settle();
  it.store.failAtomics("hold");
  await it.release();
  assert.equal(client.answer(request), undefined);
  it.store.release();
  await settle();
  assert.equal(client.answer(request)?.ok, true);
  await it.clock.advance(OPERATION_TTL_MS + 1);
  const again = await it.client(it.node());
  const second = again.call("pay", 1, { operation: "k" });
  await settle();
  assert.equal(it.runs.length, 2);
  await it.release();
  assert.equal(again.answer(second)?.ok, true);
});

// @rule call.operation
Deno.test("a transaction with a key has its effects once, however often it is called, on how many nodes at once", async () => {
  const it = new World();
  const clients = await Promise.all([it.node(), it.node(), it.node()].map((node) => it.client(node)));
  const requests = clients.flatMap((client) =>
    Array.from({ length: 5 }, () => [client, client.call("add", 4, { operation: "once" })] as const)
  );
  for (let n = 0; n < 60; n++) await it.clock.advance(20);
  for (const [client, request] of requests) assert.equal(client.answer(request)?.value, 4);
  assert.equal((await clients[0]!.ask("add", 0))?.value, 4);
});

Deno.test("an answer of many values is kept whole; one that is too large to keep is refused and nothing is left running", async () => {
  const it = new World();
  const node = it.node();
  const client = await it.client(node);
  const large = await client.ask("large", 200_000, { operation: "large" });
  assert.equal((large?.value as string).length, 200_000);
  assert.deepEqual(await client.ask("large", 200_000, { operation: "large" }), large);
  assert.equal((await client.ask("large", 300_000, { operation: "larger" }))?.code, "internal");
  assert.equal((await client.ask("large", 300_000, { operation: "larger" }))?.code, "internal");
  assert.equal(node.registry.operations.size, 0);
});

Deno.test("a store that does not answer makes a call with a key unavailable, and it can be made again", async () => {
  const it = new World();
  const node = it.node();
  const client = await it.client(node);
  it.store.failReads("fail");
  assert.equal((await client.ask("pay", 1, { operation: "k" }))?.code, "unavailable");
  node.log.lines.length = 0;
  const request = client.call("pay", 1, { operation: "k" });
  await settle();
  await it.release();
  assert.equal(client.answer(request)?.ok, true);
});

// @rule call.operation
Deno.test("no operation's record stays in the store for ever, a transaction's neither; what it wrote does", async () => {
  const it = new World();
  const node = it.node();
  const client = await it.client(node);
  assert.equal((await client.ask("add", 7, { operation: "a" }))?.value, 7);
  client.call("pay", 1, { operation: "b" });
  await settle();
  await it.release();
  assert.equal((await client.ask("large", 100_000, { operation: "c" }))?.ok, true);
  const rows = async (table: string) => (await it.store.list({ prefix: [table] }, { limit: 100 })).length;
  assert.deepEqual([await rows("operation"), await rows("outcome") > 0, await rows("data")], [3, true, 1]);
  await it.clock.advance(31 * OPERATION_TTL_MS);
  assert.deepEqual([await rows("operation"), await rows("outcome"), await rows("data")], [0, 0, 1]);
});
