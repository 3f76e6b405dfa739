/** Calls on a session of a real registry: answers, refusals, cancels, deadlines, limits. */

import assert from "node:assert/strict";
import { encodeBody } from "../../src/protocol/body.ts";
import { defineService } from "../../src/service/define_service.ts";
import { download, duplex, method, upload } from "../../src/service/methods.ts";
import type { Service } from "../../src/service/service.ts";
import { CallClient } from "../support/call_client.ts";
import { FakeClock, settle } from "../support/fake_clock.ts";
import { TestNode, type TestNodeOptions } from "../support/test_node.ts";
import * as z from "zod";

/** Handlers that wait until a test lets them go on, and write down what happens to them. */
function handlers() {
  const waiting: ((value: number) => void)[] = [];
  const aborted: string[] = [];
  const wait = (signal: AbortSignal) =>
    new Promise<number>((resolve) => {
      waiting.push(resolve);
      signal.addEventListener("abort", () => void aborted.push((signal.reason as Error).name));
    });
  const service = defineService({
    name: "bench",
    methods: {
      now: method({ input: z.unknown(), output: z.unknown() }, (value) => value),
      wait: method({ input: z.unknown(), output: z.number() }, (_, call) => wait(call.signal)),
      throws: method({ input: z.unknown(), output: z.unknown() }, () => {
        throw new Error("a secret detail");
      }),
      wrong: method({ input: z.unknown(), output: z.int() }, () => 1.5),
      numbers: download({ input: z.int(), item: z.int() }, async function* (count) {
        for (let n = 1; n <= count; n++) yield await Promise.resolve(n);
      }),
      breaks: download({ input: z.unknown(), item: z.int() }, async function* () {
        yield await Promise.resolve(1);
        throw new Error("a secret detail");
      }),
      sum: upload({ item: z.int(), output: z.int() }, async (_, { items }) => {
        let sum = 0;
        for await (const item of items) sum += item;
        return sum;
      }),
      double: duplex({ upload: z.int(), download: z.int() }, async function* (_, { items }) {
        for await (const item of items) yield 2 * item;
      }),
    },
  });
  return { service, waiting, aborted };
}

async function calling(options: TestNodeOptions = {}) {
  const made = handlers();
  const clock = new FakeClock();
  const node = new TestNode({ clock, services: [made.service], ...options });
  const client = await CallClient.open(node, "bench");
  return { ...made, clock, node, client };
}

/** Nothing of what a test did is left over. */
function assertClean(node: TestNode, client: CallClient): void {
  assert.deepEqual(client.faults, []);
  const { state } = node.registry.find(client.session!)!;
  assert.equal(state.work.size, 0);
  for (const { calls } of state.mux.connections.values()) {
    assert.equal(calls?.incoming.size ?? 0, 0);
    assert.equal(calls?.channels.size ?? 0, 0);
  }
}

// @rule call.once
Deno.test("each call gets one answer, in whatever order handlers finish, and none waits for another", async () => {
  const { node, client, waiting } = await calling();
  const first = client.call("wait", null);
  const second = client.call("wait", null);
  await settle();
  assert.deepEqual(await client.ask("now", "at once"), { ok: true, value: "at once", code: undefined });
  waiting[1]!(2);
  await settle();
  assert.equal(client.answer(first), undefined);
  assert.equal(client.answer(second)?.value, 2);
  waiting[0]!(1);
  await settle();
  assert.equal(client.answer(first)?.value, 1);
  assertClean(node, client);
});

// @rule call.once
Deno.test("an unknown method, a wrong argument, a malformed one, and wrong channels are refused by name", async () => {
  const { node, client } = await calling();
  assert.equal((await client.ask("nothing", null))?.code, "unknown-method");
  assert.equal(
    (await client.ask("numbers", "three", { download: client.channel() }))?.code,
    "invalid-argument",
  );
  assert.equal((await client.ask("now", 1, { download: client.channel() }))?.code, "invalid-argument");
  assert.equal((await client.ask("sum", 1))?.code, "invalid-argument");
  assert.equal(
    (await client.ask("numbers", 1, { download: client.channel(), operation: "k" }))?.code,
    "invalid-argument",
  );
  client.say({ kind: "call", connection: 1, request: 99, method: "now", body: new Uint8Array([0xc1]) });
  await settle();
  assert.equal(client.answer(99)?.code, "invalid-argument");
  assertClean(node, client);
});

// @rule call.once
Deno.test("a handler that throws is internal and logged, without a word of it on the wire; the session goes on", async () => {
  const { node, client } = await calling();
  for (const [name, value] of [["throws", null], ["wrong", null]] as const) {
    const answer = await client.ask(name, value);
    assert.equal(answer?.code, "internal");
    assert.doesNotMatch(JSON.stringify(answer), /secret|1\.5/);
  }
  assert.equal(node.log.lines.filter(({ event }) => event === "service-failed").length, 2);
  node.log.lines.length = 0;
  assert.equal((await client.ask("now", 1))?.value, 1);
  assertClean(node, client);
});

// @rule call.cancel
Deno.test("a cancel aborts the handler, answers cancelled, and what the handler does later is nothing", async () => {
  const { node, client, waiting, aborted } = await calling();
  const request = client.call("wait", null);
  await settle();
  client.say({ kind: "cancel", connection: 1, request });
  await settle();
  assert.equal(client.answer(request)?.code, "cancelled");
  assert.deepEqual(aborted, ["cancelled"]);
  waiting[0]!(1);
  client.say({ kind: "cancel", connection: 1, request });
  await settle();
  assert.equal(client.answer(request)?.code, "cancelled");
  assertClean(node, client);
});

// @rule call.cancel
Deno.test("the loss of the conduit cancels nothing: the answer waits for the resume", async () => {
  const { node, client, waiting, aborted } = await calling();
  const request = client.call("wait", null);
  await settle();
  await client.cut();
  waiting[0]!(7);
  await settle();
  assert.equal(client.answer(request), undefined);
  await client.connect(node);
  await settle();
  assert.equal(client.answer(request)?.value, 7);
  assert.deepEqual(aborted, []);
  assertClean(node, client);
});

// @rule call.timeout
Deno.test("a call whose time is over is answered deadline-exceeded, on time and also while nobody is attached", async () => {
  const { clock, node, client, aborted } = await calling();
  const request = client.call("wait", null, { timeout: 500 });
  const later = client.call("wait", null, { timeout: 900 });
  await settle();
  await client.cut();
  await clock.advance(499);
  assert.deepEqual(aborted, []);
  await clock.advance(1);
  assert.deepEqual(aborted, ["deadline-exceeded"]);
  await clock.advance(400);
  await client.connect(node);
  await settle();
  assert.equal(client.answer(request)?.code, "deadline-exceeded");
  assert.equal(client.answer(later)?.code, "deadline-exceeded");
  assertClean(node, client);
});

// @rule call.limit
Deno.test("more calls in flight than the limit break the session's rule, and not one before", async () => {
  const { node, client, waiting } = await calling({ limits: { concurrentCalls: 3 } });
  for (let n = 0; n < 3; n++) client.call("wait", null);
  await settle();
  assert.equal(waiting.length, 3);
  waiting[0]!(1);
  await settle();
  client.call("wait", null);
  await settle();
  assert.ok(client.peer!.open);
  client.call("wait", null);
  await settle();
  assert.match(client.peer!.of("close")[0]!.detail, /^call\.limit/);
  assert.equal(node.registry.find(client.session!), undefined);
});

// @rule connection.early, connection.open
Deno.test("calls before the accept wait for it, and those that are over by then are answered after it", async () => {
  const { clock, node } = await calling();
  let answer: (rejection: void) => void = () => {};
  const slow: Service = {
    ...handlers().service,
    name: "late",
    onOpen: () => new Promise<void>((resolve) => answer = resolve),
  };
  await node.crash();
  const second = new TestNode({ clock, store: node.store, services: [slow] });
  const fresh = new CallClient();
  await fresh.connect(second);
  fresh.openTo("late");
  const early = fresh.call("now", "early");
  const cancelled = fresh.call("wait", null);
  fresh.say({ kind: "cancel", connection: 1, request: cancelled });
  const expired = fresh.call("wait", null, { timeout: 10 });
  await settle();
  await clock.advance(10);
  assert.deepEqual(fresh.kinds, []);
  answer();
  await settle();
  assert.equal(fresh.kinds[0], "accept");
  assert.equal(fresh.answer(early)?.value, "early");
  assert.equal(fresh.answer(cancelled)?.code, "cancelled");
  assert.equal(fresh.answer(expired)?.code, "deadline-exceeded");
  assertClean(second, fresh);
});

// @rule channel.credit, channel.order, channel.finish, call.once
Deno.test("a download sends under credit, in order, then finish, then the one response", async () => {
  const { node, client } = await calling();
  const channel = client.channel();
  const request = client.call("numbers", 10, { download: channel, credit: 4 });
  await settle();
  assert.deepEqual(client.items(channel), [1, 2, 3, 4]);
  client.say({ kind: "credit", connection: 1, channel, additional: 2 });
  client.say({ kind: "credit", connection: 1, channel, additional: 1 });
  await settle();
  assert.deepEqual(client.items(channel), [1, 2, 3, 4, 5, 6, 7]);
  client.say({ kind: "credit", connection: 1, channel, additional: 100 });
  await settle();
  assert.deepEqual(client.items(channel), [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
  assert.deepEqual(client.kinds.slice(-2), ["finish", "response"]);
  assert.equal(client.answer(request)?.ok, true);
  assertClean(node, client);
});

// @rule channel.reset
Deno.test("a download that fails is reset and its call is not ok: never an end of data", async () => {
  const { node, client } = await calling();
  const channel = client.channel();
  const request = client.call("breaks", null, { download: channel });
  await settle();
  assert.deepEqual(client.kinds.slice(-3), ["item", "reset", "response"]);
  assert.equal(client.answer(request)?.code, "internal");
  node.log.lines.length = 0;
  assertClean(node, client);
});

// @rule channel.credit, channel.finish
Deno.test("an upload is granted more as its items are taken, and its sum is the answer", async () => {
  const { node, client } = await calling();
  const channel = client.channel();
  const request = client.call("sum", null, { upload: channel });
  let sent = 0;
  let credit = 16;
  for (let n = 1; n <= 100; n++) {
    if (credit === 0) {
      await settle();
      const granted = client.came.flatMap((m) =>
        m.kind === "credit" && m.channel === channel ? [m.additional] : []
      );
      credit = 16 + granted.reduce((sum, each) => sum + each, 0) - sent;
      assert.ok(credit > 0, `no credit after ${sent} items`);
    }
    client.say({ kind: "item", connection: 1, channel, body: encodeBody(n) });
    sent++;
    credit--;
  }
  client.say({ kind: "finish", connection: 1, channel });
  await settle();
  assert.equal(client.answer(request)?.value, 5050);
  assertClean(node, client);
});

// @rule channel.credit
Deno.test("an item without credit is a protocol error", async () => {
  const { client } = await calling();
  const channel = client.channel();
  client.call("wait", null);
  await settle();
  client.call("sum", null, { upload: channel });
  // In one frame: the service has no chance to take any.
  const items = Array.from({ length: 17 }, (_, n) => {
    return {
      seq: ++client.sent,
      payload: { kind: "item", connection: 1, channel, body: encodeBody(n) } as const,
    };
  });
  client.peer!.send(...items);
  await settle();
  const [close] = client.peer!.of("close");
  // The handler takes items between frames only; the seventeenth of one frame is without credit.
  assert.match(close?.detail ?? "", /^channel\.credit/);
});

// @rule channel.reset
Deno.test("an upload that the client breaks off fails its handler, and a wrong item answers invalid-argument", async () => {
  const { node, client } = await calling();
  const broken = client.channel();
  const first = client.call("sum", null, { upload: broken });
  client.say({ kind: "item", connection: 1, channel: broken, body: encodeBody(1) });
  client.say({ kind: "reset", connection: 1, channel: broken, reason: "out-of-paper" });
  await settle();
  assert.equal(client.answer(first)?.ok, false);
  const wrong = client.channel();
  const second = client.call("sum", null, { upload: wrong });
  client.say({ kind: "item", connection: 1, channel: wrong, body: encodeBody("one") });
  await settle();
  assert.equal(client.answer(second)?.code, "invalid-argument");
  // What still arrives for it is dropped.
  client.say({ kind: "item", connection: 1, channel: wrong, body: encodeBody(2) });
  client.say({ kind: "finish", connection: 1, channel: wrong });
  await settle();
  assert.ok(client.peer!.open);
  node.log.lines.length = 0;
  assertClean(node, client);
});

// @rule channel.resume
Deno.test("both directions of a duplex call go on where they were after the conduit broke, credit included", async () => {
  const { node, client } = await calling();
  const [up, down] = [client.channel(), client.channel()];
  const request = client.call("double", null, { upload: up, download: down, credit: 2 });
  for (const n of [1, 2, 3]) client.say({ kind: "item", connection: 1, channel: up, body: encodeBody(n) });
  await settle();
  assert.deepEqual(client.items(down), [2, 4]);
  await client.cut();
  client.say({ kind: "credit", connection: 1, channel: down, additional: 5 });
  client.say({ kind: "item", connection: 1, channel: up, body: encodeBody(4) });
  client.say({ kind: "finish", connection: 1, channel: up });
  await client.connect(node);
  await settle();
  assert.deepEqual(client.items(down), [2, 4, 6, 8]);
  assert.equal(client.answer(request)?.ok, true);
  assertClean(node, client);
});

// @rule connection.end
Deno.test("the end of a connection aborts what runs on it and leaves nothing behind", async () => {
  const { node, client, aborted, waiting } = await calling();
  client.call("wait", null);
  client.call("sum", null, { upload: client.channel() });
  await settle();
  client.say({ kind: "end", connection: 1 });
  await settle();
  assert.deepEqual(aborted, ["connection-ended"]);
  waiting[0]!(1);
  await settle();
  assert.deepEqual(client.kinds, ["accept"]);
  assertClean(node, client);
  assert.deepEqual(await node.rows(["work"]), []);
  assert.deepEqual(await node.rows(["connection"]), []);
});

Deno.test("timers and work are gone when all calls are over, however they ended", async () => {
  const { clock, node, client, waiting } = await calling();
  const before = node.timers;
  const done = client.call("wait", null, { timeout: 60_000 });
  client.call("wait", null, { timeout: 50 });
  const cancelled = client.call("wait", null, { timeout: 60_000 });
  await settle();
  waiting[0]!(1);
  client.say({ kind: "cancel", connection: 1, request: cancelled });
  await clock.advance(100);
  assert.equal(client.answer(done)?.ok, true);
  assert.ok(node.timers <= before);
  assertClean(node, client);
  for (const kind of ["work", "pending"]) assert.deepEqual(await node.rows([kind]), []);
});
