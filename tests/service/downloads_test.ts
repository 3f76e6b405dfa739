/** Methods that answer with items: credit, order, and that no iterator is left behind. */

import assert from "node:assert/strict";
import * as z from "zod";
import { RpcError } from "../../src/protocol/rpc_error.ts";
import { defineService } from "../../src/service/define_service.ts";
import type { DownloadCall } from "../../src/service/method_call.ts";
import { download, type Source } from "../../src/service/methods.ts";
import type { Service } from "../../src/service/service.ts";
import { settle } from "../support/fake_clock.ts";
import { type Did, FakeCall, serve } from "../support/fake_served.ts";

/** A service whose method `d` sends integers. */
function sending(handler: (call: DownloadCall) => Source<number>): Service {
  return defineService({
    name: "tested",
    methods: { d: download({ item: z.int() }, (_, call) => handler(call)) },
  });
}

const items = (...values: number[]): Did[] => values.map((value) => ({ do: "item", value }));
const END: Did = { do: "respond", value: null };
const INTERNAL: Did = { do: "fail", code: "internal", message: "the service failed" };

/** A generator that notes when it is asked, and whether it came to its end. */
function watched(count: number): { readonly seen: string[]; readonly items: () => AsyncGenerator<number> } {
  const seen: string[] = [];
  return {
    seen,
    items: async function* () {
      try {
        for (let i = 1; i <= count; i++) {
          seen.push(`gives ${i}`);
          yield i;
        }
      } finally {
        await Promise.resolve();
        seen.push("closed");
      }
    },
  };
}

Deno.test("items are sent in order, and the answer comes behind the last", async () => {
  const call = new FakeCall("d");
  assert.equal(await serve(sending(() => watched(3).items()), call), undefined);
  assert.deepEqual(call.did, [...items(1, 2, 3), END]);
});

Deno.test("a download of nothing is answered", async () => {
  const call = new FakeCall("d");
  assert.equal(await serve(sending(() => []), call), undefined);
  assert.deepEqual(call.did, [END]);
});

Deno.test("synchronous generators, arrays and streams give items too", async () => {
  const sources: (() => Source<number>)[] = [
    function* () {
      yield 1;
      yield 2;
    },
    () => [1, 2],
    () => ReadableStream.from([1, 2]),
  ];
  for (const source of sources) {
    const call = new FakeCall("d", { credit: 1 });
    const served = serve(sending(source), call);
    await settle();
    assert.deepEqual(call.did, items(1));
    call.grant(1);
    assert.equal(await served, undefined);
    assert.deepEqual(call.did, [...items(1, 2), END]);
  }
});

Deno.test("without credit an item waits, and the iterator is at most one item ahead", async () => {
  const { seen, items: give } = watched(4);
  const call = new FakeCall("d", { credit: 0 });
  const served = serve(sending(give), call);
  await settle();
  assert.deepEqual(seen, ["gives 1"]);
  assert.deepEqual(call.did, []);
  call.grant(2);
  await settle();
  assert.deepEqual(call.did, items(1, 2));
  assert.deepEqual(seen, ["gives 1", "gives 2", "gives 3"]);
  call.grant(5);
  assert.equal(await served, undefined);
  assert.deepEqual(call.did, [...items(1, 2, 3, 4), END]);
  assert.equal(call.refused, 2);
});

Deno.test("a handler that runs again goes on behind the items that are out", async () => {
  const call = new FakeCall("d", { itemsSent: 2, again: true });
  const service = sending(async function* ({ itemsSent, again }) {
    assert.ok(again);
    for (let i = itemsSent + 1; i <= 4; i++) yield i;
  });
  assert.equal(await serve(service, call), undefined);
  assert.deepEqual(call.did, [...items(3, 4), END]);
});

Deno.test("a call that is over while an item waits for credit closes its iterator, and nothing more is sent", async () => {
  const { seen, items: give } = watched(3);
  const call = new FakeCall("d", { credit: 1 });
  const served = serve(sending(give), call);
  await settle();
  call.over();
  assert.equal(await served, undefined);
  assert.deepEqual(seen, ["gives 1", "gives 2", "closed"]);
  assert.deepEqual(call.did, items(1));
});

Deno.test("a call that is over while its iterator waits for the signal closes it", async () => {
  let closed = false;
  const call = new FakeCall("d");
  const service = sending(async function* ({ signal }) {
    try {
      yield 1;
      await new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
    } finally {
      closed = true;
    }
  });
  const served = serve(service, call);
  await settle();
  assert.equal(closed, false);
  call.over();
  assert.equal(await served, undefined);
  assert.ok(closed);
  assert.deepEqual(call.did, items(1));
});

Deno.test("an iterator that ignores the signal is closed when it comes back, and what it gives goes nowhere", async () => {
  const late = Promise.withResolvers<number>();
  const seen: string[] = [];
  const call = new FakeCall("d");
  const service = sending(async function* () {
    try {
      yield await late.promise;
      seen.push("went on");
    } finally {
      seen.push("closed");
    }
  });
  const served = serve(service, call);
  await settle();
  call.over();
  late.resolve(1);
  assert.equal(await served, undefined);
  assert.deepEqual(seen, ["closed"]);
  assert.deepEqual(call.did, []);
});

Deno.test("an iterator that hangs for ever keeps nobody: what it is told fails unseen", async () => {
  const call = new FakeCall("d");
  let told = 0;
  const hanging: AsyncIterable<number> = {
    [Symbol.asyncIterator]: () => ({
      next: () => new Promise(() => {}),
      return: () => {
        told++;
        return Promise.reject(new Error("cannot"));
      },
    }),
  };
  void serve(sending(() => hanging), call);
  await settle();
  call.over();
  // An unhandled rejection would fail the test.
  await settle();
  assert.equal(told, 1);
  assert.deepEqual(call.did, []);
});

Deno.test("an iterator of one's own hears at once that the call is over, and once only", async () => {
  let told = 0;
  const waiting = Promise.withResolvers<IteratorResult<number>>();
  const own: AsyncIterable<number> = {
    [Symbol.asyncIterator]: () => ({
      next: () => waiting.promise,
      return: () => {
        told++;
        waiting.resolve({ done: true, value: undefined });
        return Promise.resolve({ done: true, value: undefined });
      },
    }),
  };
  const call = new FakeCall("d");
  const served = serve(sending(() => own), call);
  await settle();
  call.over();
  assert.equal(told, 1);
  assert.equal(await served, undefined);
  assert.equal(told, 1);
  assert.deepEqual(call.did, []);
});

Deno.test("a call that is over before it began is never begun", async () => {
  const call = new FakeCall("d");
  call.over();
  const { seen, items: give } = watched(1);
  assert.equal(await serve(sending(give), call), undefined);
  assert.deepEqual(seen, []);
});

Deno.test("an endless synchronous iterator stops when it is itself the reason that the call is over", async () => {
  let closed = false;
  const call = new FakeCall("d");
  const service = sending(function* () {
    try {
      for (let i = 1;; i++) {
        if (i === 3) call.over("connection-ended");
        yield i;
      }
    } finally {
      closed = true;
    }
  });
  assert.equal(await serve(service, call), undefined);
  assert.ok(closed);
  assert.deepEqual(call.did, items(1, 2));
});

Deno.test("what a generator does when it is closed may fail: that is a defect", async () => {
  const bug = new Error("cleanup failed");
  const call = new FakeCall("d", { credit: 1 });
  const service = sending(async function* () {
    try {
      yield 1;
      yield 2;
    } finally {
      await Promise.reject(bug);
    }
  });
  const served = serve(service, call);
  await settle();
  call.over();
  assert.equal(await served, bug);
});

Deno.test("an RpcError between items is the call's failure", async () => {
  const call = new FakeCall("d");
  const service = sending(async function* () {
    yield 1;
    throw new RpcError("unavailable", "the source is gone");
  });
  assert.equal(await serve(service, call), undefined);
  assert.deepEqual(call.did, [...items(1), {
    do: "fail",
    code: "unavailable",
    message: "the source is gone",
  }]);
});

Deno.test("anything else that is thrown between items is internal, and a defect", async () => {
  const bug = new Error("bug");
  const call = new FakeCall("d");
  const service = sending(async function* () {
    yield 1;
    throw bug;
  });
  assert.equal(await serve(service, call), bug);
  assert.deepEqual(call.did, [...items(1), INTERNAL]);
});

Deno.test("an item that the schema refuses, or that is no body value, breaks the download off and closes the iterator", async () => {
  for (const wrong of ["text", new Date(0), undefined]) {
    const { seen, items: give } = watched(1);
    const call = new FakeCall("d");
    const service = sending(async function* () {
      yield* give();
      try {
        yield wrong as unknown as number;
      } finally {
        seen.push("closed too");
      }
    });
    const defect = await serve(service, call);
    assert.ok(defect instanceof TypeError);
    assert.match(defect.message, /own schema/);
    assert.deepEqual(seen, ["gives 1", "closed", "closed too"]);
    assert.deepEqual(call.did, [...items(1), INTERNAL]);
  }
  const anything = defineService({
    name: "tested",
    methods: { d: download({ item: z.unknown() }, () => [{ when: new Date(0) }]) },
  });
  assert.match((await serve(anything, new FakeCall("d")) as Error).message, /^\$\.when: a Date/);
});

Deno.test("a wrong item is told at once, also where the iterator never returns", async () => {
  const call = new FakeCall("d");
  const service = sending(async function* () {
    try {
      yield "text" as unknown as number;
    } finally {
      await new Promise(() => {});
    }
  });
  assert.match((await serve(service, call) as Error).message, /own schema/);
  assert.deepEqual(call.did, [INTERNAL]);
});

Deno.test("of two errors the first counts", async () => {
  const call = new FakeCall("d");
  const service = sending(async function* () {
    try {
      yield "text" as unknown as number;
    } finally {
      await Promise.reject(new Error("cleanup failed too"));
    }
  });
  assert.match((await serve(service, call) as Error).message, /own schema/);
});

Deno.test("a handler that gives nothing to iterate over is a defect", async () => {
  for (const wrong of [undefined, null, 5, "text", {}, Promise.resolve([])]) {
    const call = new FakeCall("d");
    const defect = await serve(sending(() => wrong as unknown as Source<number>), call);
    assert.ok(defect instanceof TypeError);
    assert.deepEqual(call.did, [INTERNAL]);
  }
});

Deno.test("an argument that the schema refuses begins no download", async () => {
  const service = defineService({
    name: "tested",
    methods: {
      d: download({ input: z.int(), item: z.int() }, () => assert.fail("the handler must not run")),
    },
  });
  const call = new FakeCall("d", { input: "x" });
  assert.equal(await serve(service, call), undefined);
  assert.equal((call.did[0] as Extract<Did, { do: "fail" }>).code, "invalid-argument");
});
