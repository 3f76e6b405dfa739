/** Methods that take items: order, one at a time, and how they fail. */

import assert from "node:assert/strict";
import * as z from "zod";
import { RpcError } from "../../src/protocol/rpc_error.ts";
import { defineService } from "../../src/service/define_service.ts";
import type { UploadCall } from "../../src/service/method_call.ts";
import { duplex, upload } from "../../src/service/methods.ts";
import type { Service } from "../../src/service/service.ts";
import { settle } from "../support/fake_clock.ts";
import { type Did, FakeCall, serve } from "../support/fake_served.ts";

/** A service whose method `u` takes integers. */
function taking(handler: (call: UploadCall<number>) => Promise<unknown>): Service {
  return defineService({
    name: "tested",
    methods: { u: upload({ item: z.int(), output: z.unknown() }, (_, call) => handler(call)) },
  });
}

/** Takes all there is. */
async function all<T>(items: AsyncIterable<T>): Promise<T[]> {
  const taken: T[] = [];
  for await (const item of items) taken.push(item);
  return taken;
}

const collecting = taking(({ items }) => all(items));

const failure = (call: FakeCall) => {
  const last = call.did.at(-1);
  assert.equal(last?.do, "fail");
  return last as Extract<Did, { do: "fail" }>;
};

Deno.test("items reach the handler in order, as they come, and its result is answered behind the last", async () => {
  const call = new FakeCall("u");
  const served = serve(collecting, call);
  call.give(1, 2);
  await settle();
  call.give(3);
  await settle();
  assert.deepEqual(call.did, []);
  call.finish();
  assert.equal(await served, undefined);
  assert.deepEqual(call.did, [{ do: "respond", value: [1, 2, 3] }]);
});

Deno.test("an item is taken only when the handler asks for it", async () => {
  const call = new FakeCall("u");
  call.give(1, 2, 3);
  const go = Promise.withResolvers<void>();
  const service = taking(async ({ items }) => {
    for await (const item of items) {
      await go.promise;
      return item;
    }
    return null;
  });
  const served = serve(service, call);
  await settle();
  assert.equal(call.left, 2);
  go.resolve();
  assert.equal(await served, undefined);
  assert.deepEqual(call.did, [{ do: "respond", value: 1 }]);
  assert.equal(call.left, 2);
});

Deno.test("a loop that is left loses nothing: the next goes on where it stopped, and after the end there is nothing", async () => {
  const call = new FakeCall("u");
  call.give(1, 2, 3);
  call.finish();
  const service = taking(async ({ items }) => {
    let head = 0;
    for await (const item of items) {
      head = item;
      break;
    }
    return { head, rest: await all(items), after: await all(items) };
  });
  assert.equal(await serve(service, call), undefined);
  assert.deepEqual(call.did, [{ do: "respond", value: { head: 1, rest: [2, 3], after: [] } }]);
});

Deno.test("items that are asked for at once come one after the other, each once", async () => {
  const call = new FakeCall("u");
  const service = taking(async ({ items }) => {
    const iterator = items[Symbol.asyncIterator]();
    const steps = await Promise.all([iterator.next(), iterator.next(), iterator.next(), iterator.next()]);
    return steps.map(({ done, value }) => done ? "end" : value);
  });
  const served = serve(service, call);
  await settle();
  call.give(1, 2);
  await settle();
  call.finish();
  assert.equal(await served, undefined);
  assert.deepEqual(call.did, [{ do: "respond", value: [1, 2, "end", "end"] }]);
});

Deno.test("an item that the schema refuses fails the call with invalid-argument, naming the item and the part", async () => {
  const call = new FakeCall("u");
  call.give(1, "two");
  assert.equal(await serve(collecting, call), undefined);
  const { code, message } = failure(call);
  assert.equal(code, "invalid-argument");
  assert.match(message, /^item 2 of the upload: \$: .*expected (number|int)/);
});

Deno.test("an upload that the caller broke off fails the call with cancelled, and is never taken for its end", async () => {
  const call = new FakeCall("u");
  call.give(1);
  call.breakOff();
  assert.equal(await serve(collecting, call), undefined);
  assert.equal(failure(call).code, "cancelled");
  const again = new FakeCall("u");
  again.breakOff();
  const service = taking(async ({ items }) => {
    const errors: unknown[] = [];
    for (let i = 0; i < 2; i++) await all(items).catch((error) => errors.push(error));
    assert.ok(errors[0] instanceof RpcError);
    assert.equal(errors[1], errors[0]);
    return "it may answer all the same";
  });
  assert.equal(await serve(service, again), undefined);
  assert.deepEqual(again.did, [{ do: "respond", value: "it may answer all the same" }]);
});

Deno.test("a handler that waits for an item when its call is over is given the reason, and does nothing more", async () => {
  const call = new FakeCall("u");
  call.give(1);
  let reason: unknown;
  const service = taking(async ({ items }) => {
    try {
      return await all(items);
    } catch (error) {
      reason = error;
      throw error;
    }
  });
  const served = serve(service, call);
  await settle();
  call.over("moved");
  assert.equal(await served, undefined);
  assert.equal((reason as Error).name, "moved");
  assert.deepEqual(call.did, []);
});

Deno.test("a duplex method gives while it takes, under the credit that the caller grants", async () => {
  const service = defineService({
    name: "tested",
    methods: {
      p: duplex({ input: z.int(), upload: z.int(), download: z.int() }, async function* (factor, { items }) {
        for await (const item of items) yield item * factor;
      }),
    },
  });
  const call = new FakeCall("p", { input: 10, credit: 1 });
  call.give(1, 2, 3);
  const served = serve(service, call);
  await settle();
  assert.deepEqual(call.did, [{ do: "item", value: 10 }]);
  // The third waits for the second to be sent.
  assert.equal(call.left, 1);
  call.grant(1);
  await settle();
  call.finish();
  call.grant(1);
  assert.equal(await served, undefined);
  const items: Did[] = [10, 20, 30].map((value) => ({ do: "item", value }));
  assert.deepEqual(call.did, [...items, { do: "respond", value: null }]);
});

Deno.test("a duplex method fails with what is wrong with its upload, and both ways are over when the call is", async () => {
  let closed = 0;
  const service = defineService({
    name: "tested",
    methods: {
      p: duplex({ upload: z.int(), download: z.int() }, async function* (_, { items }) {
        try {
          yield* items;
        } finally {
          closed++;
        }
      }),
    },
  });
  const wrong = new FakeCall("p");
  wrong.give(1, {});
  assert.equal(await serve(service, wrong), undefined);
  assert.equal(failure(wrong).code, "invalid-argument");
  const cancelled = new FakeCall("p");
  cancelled.give(1);
  const served = serve(service, cancelled);
  await settle();
  cancelled.over();
  assert.equal(await served, undefined);
  assert.equal(closed, 2);
  assert.deepEqual(cancelled.did, [{ do: "item", value: 1 }]);
});

Deno.test("an upload never runs again by itself", () => {
  assert.equal(collecting.methods?.get("u")?.retry, "never");
});
