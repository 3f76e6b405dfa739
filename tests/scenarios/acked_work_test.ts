/** Acked means that it will be done: messages and calls around ends, closes, refuted commits and full sessions. */

import assert from "node:assert/strict";
import { encodeBody } from "../../src/protocol/body.ts";
import { defineService } from "../../src/service/define_service.ts";
import { duplex, method, transaction, upload } from "../../src/service/methods.ts";
import type { Service } from "../../src/service/service.ts";
import { MemorySessionStore } from "../../src/storage/memory_session_store.ts";
import { CallClient } from "../support/call_client.ts";
import { FakeClock, settle } from "../support/fake_clock.ts";
import { FaultyStore } from "../support/faulty_store.ts";
import { TestNode } from "../support/test_node.ts";
import * as z from "zod";

/** A service whose message handlers wait until the test lets them go on, and send much. */
function slowService(size = 10) {
  const lines: string[] = [];
  const waiting: (() => void)[] = [];
  const service = defineService({
    name: "slow",
    receives: z.string(),
    sends: z.string(),
    methods: {},
    onMessage: async (connection, text) => {
      lines.push(text);
      connection.send("y".repeat(size));
      await new Promise<void>((resolve) => void waiting.push(resolve));
    },
    onVolatile: (_, text) => void lines.push(`volatile ${text}`),
    onEnd: (_, { reason }) => void lines.push(`end ${reason}`),
  });
  const release = async () => {
    for (const go of waiting.splice(0)) go();
    await settle();
  };
  return { lines, service, release, node: new TestNode({ clock: new FakeClock(), services: [service] }) };
}

// @rule connection.end
Deno.test("an ended connection's messages are all handled, whatever their handlers send, and nothing else reaches it", async () => {
  const it = slowService(12_000);
  const client = await CallClient.open(it.node, "slow");
  for (const text of ["a", "b", "c", "d"]) client.echo(text);
  client.say({ kind: "end", connection: 1, reason: "bye" });
  await settle();
  client.peer!.send({ kind: "volatile", connection: 1, body: encodeBody("v") });
  client.peer!.send({ kind: "volatile", connection: 1, body: Uint8Array.of(0xc1) });
  for (let n = 0; n < 5; n++) await it.release();
  assert.deepEqual(it.lines, ["a", "b", "c", "d", "end bye"]);
});

// @rule end.close
Deno.test("a client that closes its session has its messages handled first, also when it breaks off meanwhile", async () => {
  for (const breaks of [false, true]) {
    const it = slowService();
    const client = await CallClient.open(it.node, "slow");
    for (const text of ["a", "b"]) client.echo(text);
    await settle();
    client.peer!.send({ kind: "close", reason: "closed", detail: "" });
    await settle();
    assert.equal(client.peer!.closing, null);
    if (breaks) await client.cut();
    for (let n = 0; n < 3; n++) await it.release();
    assert.deepEqual(it.lines, ["a", "b", "end closed"]);
    if (!breaks) assert.deepEqual(client.peer!.closing, { code: 1000, reason: "closed" });
    assert.equal(it.node.registry.size, 0);
    for (const kind of ["work", "connection", "pending"]) assert.deepEqual(await it.node.rows([kind]), []);
  }
});

const bank = () =>
  defineService({
    name: "bank",
    methods: {
      add: transaction({ input: z.int(), output: z.int() }, async (by, tx) => {
        const total = (await tx.get<number>(["total"]) ?? 0) + by;
        tx.set(["total"], total);
        return total;
      }),
    },
    messages: transaction({ input: z.int() }, async (by, tx) => {
      const total = (await tx.get<number>(["total"]) ?? 0) + by;
      if (total > 1_000) throw new Error("too much");
      tx.set(["total"], total);
      tx.send(total);
    }),
  });

function twoNodes() {
  const clock = new FakeClock();
  const store = new FaultyStore(new MemorySessionStore({ clock }));
  const node = () => new TestNode({ clock, store, services: [bank()] });
  return { clock, store, node };
}

// @rule connection.end
Deno.test("a message whose transaction another node refutes is handled again, also when its connection was ended meanwhile", async () => {
  for (const ends of [false, true]) {
    const it = twoNodes();
    const client = await CallClient.open(it.node(), "bank");
    const other = await CallClient.open(it.node(), "bank");
    client.echo(1);
    await settle();
    other.echo(10);
    await settle();
    client.echo(100);
    if (ends) client.say({ kind: "end", connection: 1 });
    for (let n = 0; n < 50; n++) await it.clock.advance(20);
    const fresh = await CallClient.open(it.node(), "bank");
    assert.equal((await fresh.ask("add", 0))?.value, 111, String(ends));
    assert.deepEqual(client.faults, []);
  }
});

Deno.test("a message that fails for what another node has overwritten does not end its connection", async () => {
  const it = twoNodes();
  const client = await CallClient.open(it.node(), "bank");
  const other = await CallClient.open(it.node(), "bank");
  client.echo(900);
  await settle();
  other.echo(-800);
  await settle();
  // This node still believes in 900.
  client.echo(500);
  for (let n = 0; n < 50; n++) await it.clock.advance(20);
  const failed = client.came.some(({ kind }) => kind === "end");
  assert.equal(failed, false);
  assert.deepEqual(client.echoes, [900, 600]);
});

// @rule call.timeout
Deno.test("a deadline that passes while a refuted commit is under way is kept", async () => {
  const clock = new FakeClock();
  const store = new FaultyStore(new MemorySessionStore({ clock }));
  let hangs = false;
  const service = defineService({
    name: "bank",
    methods: {
      add: transaction({ input: z.int(), output: z.int() }, async (by, tx) => {
        const total = (await tx.get<number>(["total"]) ?? 0) + by;
        tx.set(["total"], total);
        if (hangs) await new Promise(() => {});
        return total;
      }),
    },
  });
  const [one, two] = [1, 2].map(() => new TestNode({ clock, store, services: [service] }));
  const client = await CallClient.open(one!, "bank");
  const other = await CallClient.open(two!, "bank");
  await client.ask("add", 1);
  await other.ask("add", 10);
  store.failAtomics("hold");
  const request = client.call("add", 100, { timeout: 100 });
  await settle();
  await clock.advance(150);
  hangs = true;
  store.release();
  for (let n = 0; n < 20; n++) await clock.advance(50);
  assert.equal(client.answer(request)?.code, "deadline-exceeded");
});

// @rule call.restart
Deno.test("an early call runs after the loss of the node, since no handler had begun; its items are kept for it", async () => {
  const clock = new FakeClock();
  let accept = () => {};
  let runs = 0;
  const service = defineService({
    name: "up",
    methods: {
      run: method({ output: z.int() }, () => ++runs),
      sum: upload({ item: z.int(), output: z.int() }, async (_, { items }) => {
        let sum = 0;
        for await (const item of items) sum += item;
        return sum;
      }),
    },
    onOpen: () => new Promise<void>((resolve) => accept = resolve),
  });
  const node = new TestNode({ clock, services: [service] });
  const client = await CallClient.open(node, "up");
  const request = client.call("run", null);
  await settle();
  await node.crash();
  await client.connect(new TestNode({ clock, store: node.store, services: [service] }));
  const channel = client.channel();
  const sum = client.call("sum", null, { upload: channel });
  for (const n of [1, 2, 3]) client.say({ kind: "item", connection: 1, channel, body: encodeBody(n) });
  client.say({ kind: "finish", connection: 1, channel });
  await settle();
  accept();
  await settle();
  assert.equal(client.answer(request)?.value, 1);
  assert.equal(client.answer(sum)?.value, 6);
});

// @rule call.restart
Deno.test("an early call whose upload was over before its node was lost hears of that, and how, where it runs", async () => {
  const clock = new FakeClock();
  let accept = () => {};
  const service = defineService({
    name: "up",
    methods: {
      count: upload({ item: z.int(), output: z.string() }, async (_, { items }) => {
        try {
          let count = 0;
          for await (const _ of items) count++;
          return `${count} items`;
        } catch (error) {
          return (error as Error).message;
        }
      }),
    },
    onOpen: () => new Promise<void>((resolve) => accept = resolve),
  });
  const node = new TestNode({ clock, services: [service] });
  const client = await CallClient.open(node, "up");
  const [finished, broken] = [client.channel(), client.channel()];
  const whole = client.call("count", null, { upload: finished });
  client.say({ kind: "finish", connection: 1, channel: finished });
  const part = client.call("count", null, { upload: broken });
  client.say({ kind: "reset", connection: 1, channel: broken, reason: "gone" });
  await settle();
  await node.crash();
  await client.connect(new TestNode({ clock, store: node.store, services: [service] }));
  await settle();
  accept();
  await settle();
  assert.equal(client.answer(whole)?.value, "0 items");
  assert.equal(client.answer(part)?.value, "the caller broke off the upload");
});

// @rule delivery.bounded
Deno.test("items that handlers do not take count to what the session may hold: then their call is refused, and others live", async () => {
  const clock = new FakeClock();
  const service = defineService({
    name: "up",
    methods: {
      pipe: duplex({ upload: z.unknown(), download: z.unknown() }, async function* (_, { items }) {
        for await (const item of items) yield item;
      }),
      echo: method({ input: z.unknown(), output: z.unknown() }, (value) => value),
    },
  });
  const node = new TestNode({ clock, services: [service] });
  const client = await CallClient.open(node, "up");
  const body = encodeBody(new Uint8Array(256 * 1024));
  const requests: number[] = [];
  for (let n = 0; n < 8; n++) {
    const [upload, download] = [client.channel(), client.channel()];
    requests.push(client.call("pipe", null, { upload, download, credit: 1 }));
    for (let item = 0; item < 16; item++) {
      client.say({ kind: "item", connection: 1, channel: upload, body });
      await settle();
      await clock.advance(60);
    }
  }
  const { state } = node.registry.find(client.session!)!;
  assert.ok(state.heldBytes <= state.settings.limits.storedBytes, `${state.heldBytes}`);
  const refused = requests.filter((request) => client.answer(request)?.code === "resource-exhausted");
  assert.ok(refused.length >= 4, `${refused.length} were refused`);
  assert.equal((await client.ask("echo", 1))?.value, 1);
  for (const request of requests) client.say({ kind: "cancel", connection: 1, request });
  await settle();
  assert.equal(state.heldBytes, 0);
});

// @rule connection.credit, delivery.bounded
Deno.test("a client within its credit is never ended for what a slow service holds", async () => {
  const clock = new FakeClock();
  const service: Service = { name: "up", messageCredit: 16, onMessage: () => new Promise(() => {}) };
  const node = new TestNode({ clock, services: [service] });
  const client = await CallClient.open(node, "up");
  const body = encodeBody(new Uint8Array(512 * 1024 - 5));
  for (let n = 0; n < 16; n++) {
    client.say({ kind: "message", connection: 1, body });
    await settle();
    await clock.advance(60);
  }
  assert.deepEqual(client.kinds, ["accept"]);
  assert.deepEqual(client.unacked, []);
});

// @rule delivery.bounded
Deno.test("one session has at most 1,024 pieces of work; a call beyond it is refused", async () => {
  const clock = new FakeClock();
  const service = defineService({
    name: "up",
    methods: { wait: method({ output: z.null() }, () => new Promise<null>(() => {})) },
  });
  const node = new TestNode({ clock, services: [service], limits: { concurrentCalls: 2_000 } });
  const client = await CallClient.open(node, "up");
  for (let n = 0; n < 1_025; n++) {
    client.call("wait", null);
    if (n % 256 === 255) {
      await settle();
      await clock.advance(60);
    }
  }
  await settle();
  assert.equal(client.answer(1_024), undefined);
  assert.equal(client.answer(1_025)?.code, "resource-exhausted");
});
