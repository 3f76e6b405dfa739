/** Downloads, uploads and both at once, as the application sees them. */

import assert from "node:assert/strict";
import { type BodyValue, CallError, type Download } from "../../src/client/mod.ts";
import { decodeBody } from "../../src/protocol/body.ts";
import { settle } from "../support/fake_clock.ts";
import { attachedClient, client } from "../support/client_fixture.ts";
import { statedLimits } from "../support/fake_server.ts";
import { watch } from "../support/watched.ts";

/** Everything that a download gives, and how it ends. */
async function takeAll(download: Download<BodyValue>): Promise<{ items: BodyValue[]; error: unknown }> {
  const items: BodyValue[] = [];
  try {
    for await (const item of download) items.push(item);
  } catch (error) {
    return { items, error };
  }
  return { items, error: null };
}

const codeOf = (error: unknown) => error instanceof CallError ? error.code : error;

// @rule channel.order
// @rule channel.finish
Deno.test("a download gives its items in order, and ends when the service is done", async () => {
  const { connection, line } = await attachedClient();
  const all = takeAll(connection.download("count", { to: 5 }));
  await settle();
  const call = line.call("count");
  assert.deepEqual(decodeBody(call.body), { to: 5 });
  assert.deepEqual(call.options, { download: 1, credit: 256 });
  await line.items(call, 1, 2, 3);
  await line.items(call, 4);
  await line.items(call, 5);
  await line.answer(call, null);
  assert.deepEqual(await all, { items: [1, 2, 3, 4, 5], error: null });
});

// @rule channel.reset
Deno.test("a download that breaks off throws, after what had arrived: never an end of data", async () => {
  const { connection, line } = await attachedClient();
  const download = connection.download("count");
  await settle();
  await line.items(line.call(), 1, 2);
  await line.fail(line.call(), "unavailable");
  const { items, error } = await takeAll(download);
  assert.deepEqual([items, codeOf(error)], [[1, 2], "unavailable"]);
  // What was told is told once.
  assert.deepEqual(await takeAll(download), { items: [], error: null });
});

// @rule channel.finish
Deno.test("a good answer after a reset is an error all the same, and so is a malformed item", async () => {
  const { connection, line } = await attachedClient();
  const broken = takeAll(connection.download("a"));
  const malformed = takeAll(connection.download("b"));
  await settle();
  const [a, b] = line.calls();
  await line.items(a!, 1);
  await line.tell({ kind: "reset", connection: 1, channel: a!.options!.download!, reason: "failed" });
  await line.answer({ ...a!, options: {} }, null);
  assert.equal(codeOf((await broken).error), "internal");
  await line.tell({
    kind: "item",
    connection: 1,
    channel: b!.options!.download!,
    body: new Uint8Array([0xc1]),
  });
  assert.equal(codeOf((await malformed).error), "internal");
  assert.equal(line.of("cancel")[0]?.request, b!.request);
});

// @rule channel.credit
Deno.test("credit is what the call says, and more is granted when half was consumed, in steps", async () => {
  const { connection, line } = await attachedClient();
  const iterator = connection.download("count", null, { credit: 8 })[Symbol.asyncIterator]();
  await settle();
  const call = line.call();
  assert.equal(call.options?.credit, 8);
  await line.items(call, 1, 2, 3, 4, 5, 6, 7, 8);
  for (let n = 1; n <= 4; n++) assert.equal((await iterator.next()).value, n);
  await settle();
  // The fourth was handed out; it is consumed when the fifth is asked for.
  assert.deepEqual(line.of("credit"), []);
  await iterator.next();
  await settle();
  assert.deepEqual(line.of("credit").map(({ channel, additional }) => [channel, additional]), [[1, 4]]);
  for (let n = 6; n <= 8; n++) await iterator.next();
  await line.items(call, 9, 10, 11, 12);
  assert.equal((await iterator.next()).value, 9);
  await settle();
  assert.deepEqual(line.of("credit").map(({ additional }) => additional), [4, 4]);
});

// @rule channel.credit
Deno.test("an item without credit is a violation", async () => {
  const { connection, line } = await attachedClient();
  connection.download("count", null, { credit: 2 });
  await settle();
  await line.items(line.call(), 1, 2, 3);
  assert.match(line.of("close")[0]!.detail, /^channel\.credit/);
});

// @rule channel.credit
Deno.test("a consumer that does not come is granted nothing, and holds up nobody else", async () => {
  const { connection, line } = await attachedClient();
  connection.download("slow", null, { credit: 4 });
  const answer = connection.call("quick");
  await settle();
  await line.items(line.call("slow"), 1, 2, 3, 4);
  await line.answer(line.call("quick"), "here");
  assert.equal(await answer, "here");
  assert.deepEqual(line.of("credit"), []);
});

// @rule delivery.bounded
Deno.test("items that nobody consumes are bounded in bytes too: the call fails, the session lives", async () => {
  const { session, connection, line } = await attachedClient({ storedBytes: 10_000 });
  const download = connection.download("large");
  await settle();
  for (let n = 0; n < 12; n++) await line.items(line.call(), "x".repeat(1000));
  assert.equal(line.of("cancel").length, 1);
  const { items, error } = await takeAll(download);
  assert.deepEqual([items.length, codeOf(error)], [9, "resource-exhausted"]);
  assert.equal(session.phase, "attached");
});

// @rule call.cancel
Deno.test("leaving the loop cancels the call; what still comes is dropped and gets no credit", async () => {
  const { session, connection, line } = await attachedClient();
  const download = connection.download("count", null, { credit: 4 });
  await settle();
  await line.items(line.call(), 1, 2);
  for await (const item of download) {
    assert.equal(item, 1);
    break;
  }
  await settle();
  assert.equal(line.of("cancel").length, 1);
  await line.items(line.call(), 3, 4);
  await line.fail(line.call(), "cancelled");
  assert.deepEqual(line.of("credit"), []);
  assert.deepEqual(await takeAll(download), { items: [], error: null });
  assert.equal(session.phase, "attached");
});

// @rule call.cancel
Deno.test("cancel, and a signal, end a loop that waits with cancelled; what was not taken is not given any more", async () => {
  const { connection, line } = await attachedClient();
  const controller = new AbortController();
  const first = connection.download("a");
  const all = [takeAll(first), takeAll(connection.download("b", null, { signal: controller.signal }))];
  const untaken = connection.download("c");
  await settle();
  for (const call of line.calls()) await line.items(call, "item");
  first.cancel();
  controller.abort(new Error("why"));
  untaken.cancel();
  const [byMethod, bySignal] = await Promise.all(all);
  assert.deepEqual([byMethod!.items, codeOf(byMethod!.error)], [["item"], "cancelled"]);
  assert.deepEqual([bySignal!.items, codeOf(bySignal!.error)], [["item"], "cancelled"]);
  assert.deepEqual((bySignal!.error as Error).cause, new Error("why"));
  assert.deepEqual((await takeAll(untaken)).items, []);
  await settle();
  assert.equal(line.of("cancel").length, 3);
  first.cancel();
  await settle();
  assert.equal(line.of("cancel").length, 3);
});

// @rule call.timeout
Deno.test("a download's timeout is for the whole of it", async () => {
  const { connection, line, clock } = await attachedClient();
  const all = takeAll(connection.download("slow", null, { timeout: 2_000 }));
  await settle();
  await line.items(line.call(), 1);
  await clock.advance(2_000);
  const { items, error } = await all;
  assert.deepEqual([items, codeOf(error)], [[1], "deadline-exceeded"]);
  assert.equal(line.of("cancel").length, 1);
});

// @rule channel.resume
Deno.test("a download goes on over a break, credit included, and gives each item once", async () => {
  const { connection, server, clock, line } = await attachedClient();
  const all = takeAll(connection.download("count", null, { credit: 4 }));
  await settle();
  const call = line.call();
  await line.items(call, 1, 2);
  await line.end();
  await clock.advanceToNext();
  await server.establish();
  server.line.replayFrom(3);
  await server.line.items(call, 2, 3, 4);
  await server.line.items(call, 5, 6);
  await server.line.answer(call, null);
  assert.deepEqual(await all, { items: [1, 2, 3, 4, 5, 6], error: null });
});

// @rule connection.end
Deno.test("the end of a connection ends its downloads with an error, after what had arrived", async () => {
  const { connection, line } = await attachedClient();
  const download = connection.download("count");
  await settle();
  await line.items(line.call(), 1);
  await line.tell({ kind: "end", connection: 1 });
  const { items, error } = await takeAll(download);
  assert.deepEqual([items, codeOf(error)], [[1], "indeterminate"]);
  assert.equal(codeOf((await takeAll(connection.download("more"))).error), "unavailable");
});

/** An application's items, with a record of how far it was asked. */
function source(
  count: number,
): { items: Iterable<BodyValue>; readonly asked: number; readonly returned: boolean } {
  const record = { asked: 0, returned: false };
  const items = {
    [Symbol.iterator]: () => ({
      next: () => {
        record.asked++;
        return record.asked <= count
          ? { done: false, value: record.asked }
          : { done: true, value: undefined };
      },
      return: () => {
        record.returned = true;
        return { done: true, value: undefined };
      },
    }),
  } as Iterable<BodyValue>;
  return {
    items,
    get asked() {
      return record.asked;
    },
    get returned() {
      return record.returned;
    },
  };
}

// @rule channel.credit
Deno.test("an upload sends against credit, asks for the next item only when the one before is numbered, and finishes", async () => {
  const { connection, line } = await attachedClient();
  const mine = source(20);
  const answer = connection.upload("sum", { of: "items" }, mine.items);
  await settle();
  const call = line.call("sum");
  assert.deepEqual(call.options, { upload: 1 });
  assert.equal(line.of("item").length, 16);
  assert.equal(mine.asked, 17);
  await line.tell({ kind: "credit", connection: 1, channel: 1, additional: 2 });
  assert.deepEqual([line.of("item").length, mine.asked], [18, 19]);
  await line.tell({ kind: "credit", connection: 1, channel: 1, additional: 8 });
  assert.deepEqual(
    line.of("item").map(({ body }) => decodeBody(body)),
    Array.from({ length: 20 }, (_, n) => n + 1),
  );
  assert.deepEqual(line.of("finish").map(({ channel }) => channel), [1]);
  await line.answer(call, 210);
  assert.equal(await answer, 210);
  assert.equal(mine.returned, false);
});

// @rule channel.finish
Deno.test("an upload without items is a finish, and one of an async iterable is like any other", async () => {
  const { connection, line } = await attachedClient();
  const empty = connection.upload("sum", null, []);
  const three = connection.upload(
    "sum",
    null,
    async function* () {
      for (let n = 1; n <= 3; n++) yield await Promise.resolve(n);
    }(),
  );
  await settle();
  const [a, b] = line.calls();
  assert.deepEqual(line.of("finish").map(({ channel }) => channel).sort(), [1, 3]);
  assert.deepEqual(line.of("item").map(({ channel }) => channel), [3, 3, 3]);
  await line.answer(a!, 0);
  await line.answer(b!, 6);
  assert.deepEqual(await Promise.all([empty, three]), [0, 6]);
});

// @rule delivery.window
Deno.test("items wait for room in the window, and other connections' messages take turns with them", async () => {
  const { session, server } = await client();
  const connection = session.open("echo");
  const line = await server.establish({ limits: { ...statedLimits(), windowMessages: 6 } });
  await line.tell({ kind: "accept", connection: 1 });
  const mine = source(100);
  void connection.upload("sum", null, mine.items).catch(() => {});
  await settle();
  assert.equal(line.of("item").length, 4);
  const other = session.open("other");
  const sent = watch(other.send("mine too"));
  assert.equal(await sent.settled(), "waits");
  await line.say({ kind: "ack", received: 6 });
  assert.equal(sent.outcome, "resolved");
  assert.ok(line.of("item").length > 4);
  assert.equal(mine.asked, line.of("item").length + 1);
});

// @rule channel.reset
Deno.test("items that throw reset the upload, and the call fails with what was thrown", async () => {
  const { session, connection, line } = await attachedClient();
  const problem = new Error("the disk is gone");
  const sync = connection.upload(
    "a",
    null,
    (function* () {
      yield 1;
      throw problem;
    })(),
  );
  const asynchronous = connection.upload(
    "b",
    null,
    (async function* () {
      yield await Promise.resolve(1);
      throw problem;
    })(),
  );
  await assert.rejects(sync, problem);
  await assert.rejects(asynchronous, problem);
  await settle();
  assert.deepEqual(line.of("item").length, 2);
  assert.deepEqual(line.of("reset").map(({ channel, reason }) => [channel, reason]), [[1, "failed"], [
    3,
    "failed",
  ]]);
  assert.deepEqual(line.of("cancel"), []);
  // The late answers are ignored.
  for (const call of line.calls()) await line.fail(call, "cancelled");
  assert.equal(session.phase, "attached");
});

// @rule channel.reset
Deno.test("an item that is no body value, or larger than the server takes, resets the upload", async () => {
  const { connection, line } = await attachedClient();
  let closed = false;
  const none = connection.upload(
    "a",
    null,
    (function* (): Generator<BodyValue> {
      try {
        yield 1;
        yield { x: undefined } as unknown as BodyValue;
      } finally {
        closed = true;
      }
    })(),
  );
  await assert.rejects(none, /\$\.x/);
  assert.ok(closed);
  const large = watch(connection.upload("b", null, ["x".repeat(600_000)]));
  assert.equal(await large.settled(), "invalid-argument");
  assert.equal(line.of("reset").length, 2);
});

// @rule call.once
Deno.test("an upload that is answered early ends its source, and sends nothing more", async () => {
  const { connection, line } = await attachedClient();
  const mine = source(100);
  let closed = false;
  const sync = connection.upload("a", null, mine.items);
  const asynchronous = connection.upload(
    "b",
    null,
    (async function* () {
      try {
        for (;;) yield await Promise.resolve(1);
      } finally {
        closed = true;
      }
    })(),
  );
  await settle();
  const sent = line.of("item").length;
  for (const call of line.calls()) await line.answer(call, "enough");
  assert.deepEqual(await Promise.all([sync, asynchronous]), ["enough", "enough"]);
  await settle();
  assert.deepEqual([mine.returned, closed], [true, true]);
  assert.equal(line.of("item").length, sent);
  // The credit that was under way is for nobody.
  await line.tell({ kind: "credit", connection: 1, channel: 1, additional: 8 });
  assert.equal(line.of("item").length, sent);
});

// @rule call.cancel
Deno.test("a cancelled upload ends its source; its items are not reset but its call cancelled", async () => {
  const { session, connection, line } = await attachedClient();
  const mine = source(100);
  const controller = new AbortController();
  const answer = watch(connection.upload("a", null, mine.items, { signal: controller.signal }));
  await settle();
  controller.abort();
  assert.equal(await answer.settled(), "cancelled");
  assert.equal(mine.returned, true);
  assert.deepEqual([line.of("cancel").length, line.of("reset").length], [1, 0]);
  assert.equal(session.unacked, 1 + 1 + 16 + 1);
});

Deno.test("a source that fails when it is told to return is an error event", async () => {
  const { fixture, connection, line } = await attachedClient();
  const problem = new Error("cannot close");
  const failing = (method: string, items: Iterable<BodyValue> | AsyncIterable<BodyValue>) => {
    const controller = new AbortController();
    connection.upload(method, null, items, { signal: controller.signal }).catch(() => {});
    return controller;
  };
  const controllers = [
    failing("a", {
      [Symbol.iterator]: () => ({
        next: () => ({ done: false, value: 1 }),
        return: () => {
          throw problem;
        },
      }),
    }),
    failing("b", {
      [Symbol.asyncIterator]: () => ({
        next: () => Promise.resolve({ done: false, value: 1 }),
        return: () => Promise.reject(problem),
      }),
    }),
  ];
  await settle();
  for (const controller of controllers) controller.abort();
  await settle();
  assert.deepEqual(fixture.details("error"), [{ error: problem }, { error: problem }]);
  assert.equal(line.of("cancel").length, 2);
});

// @rule channel.order
Deno.test("a duplex call has items both ways, each under its own credit", async () => {
  const { connection, line } = await attachedClient();
  const all = takeAll(connection.duplex("echo", "start", [1, 2, 3], { credit: 32 }));
  await settle();
  const call = line.call();
  assert.deepEqual(call.options, { upload: 1, download: 3, credit: 32 });
  assert.deepEqual(line.of("item").map(({ channel, body }) => [channel, decodeBody(body)]), [[1, 1], [1, 2], [
    1,
    3,
  ]]);
  await line.items(call, "a", "b");
  await line.answer(call, null);
  assert.deepEqual(await all, { items: ["a", "b"], error: null });
});

// @rule channel.reset
Deno.test("a duplex call whose items throw ends its download with what was thrown", async () => {
  const { connection, line } = await attachedClient();
  const problem = new Error("no more");
  const all = takeAll(connection.duplex(
    "echo",
    null,
    (async function* () {
      yield await Promise.resolve(1);
      throw problem;
    })(),
  ));
  assert.equal((await all).error, problem);
  await settle();
  assert.equal(line.of("reset").length, 1);
});

Deno.test("leaving a duplex loop ends its source", async () => {
  const { connection, line } = await attachedClient();
  const mine = source(100);
  const download = connection.duplex("echo", null, mine.items);
  await settle();
  await line.items(line.call(), 1);
  for await (const _ of download) break;
  assert.equal(mine.returned, true);
});

Deno.test("a download that is consumed leaves nothing behind", async () => {
  const { session, connection, line, clock } = await attachedClient();
  for (let round = 0; round < 30; round++) {
    const all = takeAll(connection.download("count", round, { timeout: 60_000 }));
    await settle();
    const call = line.call();
    await line.items(call, ...Array.from({ length: 200 }, (_, n) => n));
    await line.answer(call, null);
    assert.equal((await all).items.length, 200);
    await settle();
    await line.say({ kind: "ack", received: line.numbered.at(-1)!.seq });
  }
  await clock.advance(50);
  assert.equal(session.unacked, 0);
  assert.equal(clock.pending, 1);
});
