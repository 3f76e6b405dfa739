/** Calls that go on over a reload of the page. */

import assert from "node:assert/strict";
import { type BodyValue, type Connection, type Download } from "../../src/client/mod.ts";
import { decodeBody } from "../../src/protocol/body.ts";
import { FakeClock, settle } from "../support/fake_clock.ts";
import { attachedClient, client, TestStorage } from "../support/client_fixture.ts";
import { type FakeLine, FakeServer, statedLimits } from "../support/fake_server.ts";
import { watch } from "../support/watched.ts";

/** A page that is gone, and the one after it, which is not attached yet. */
async function reload(storage: TestStorage, line: FakeLine, clock: FakeClock) {
  await settle();
  await line.end();
  return await client({ storage, server: new FakeServer(), clock });
}

async function take(download: Download<BodyValue>, most: number): Promise<BodyValue[]> {
  const items: BodyValue[] = [];
  const iterator = download[Symbol.asyncIterator]();
  while (items.length < most) {
    const { done, value } = await iterator.next();
    if (done === true) break;
    items.push(value);
  }
  return items;
}

// @rule resume.stored-client
Deno.test("a call in flight goes on over a reload: the same call gives the one answer, and is not made again", async () => {
  for (const asynchronous of [false, true]) {
    const storage = new TestStorage(asynchronous);
    const { connection, line, clock } = await attachedClient({ storage });
    void connection.call("add", { by: 2 }).catch(() => {});
    await settle();
    const call = line.call();

    const page = await reload(storage, line, clock);
    const again = page.session.open("echo");
    const answer = again.call("add", { by: 2 });
    const other = watch(again.call("add", { by: 3 }));
    await page.server.establish({ received: 1, sent: 1 });
    assert.deepEqual(
      page.server.line.calls().map(({ request, seq, body }) => [request, seq, decodeBody(body)]),
      [
        [1, 2, { by: 2 }],
        [2, 3, { by: 3 }],
      ],
    );
    await page.server.line.answer(call, 42);
    assert.equal(await answer, 42);
    assert.equal(other.outcome, "waits");
    assert.deepEqual(storage.stored?.calls instanceof Array && storage.stored.calls.length, 1);
  }
});

// @rule resume.stored-client
Deno.test("an answer that came before anybody asked is kept, and given once", async () => {
  const storage = new TestStorage();
  const { connection, line, clock } = await attachedClient({ storage });
  void connection.call("one").catch(() => {});
  void connection.call("two").catch(() => {});
  await settle();
  const calls = line.calls();
  const page = await reload(storage, line, clock);
  const established = await page.server.establish({ received: 3, sent: 1 });
  await established.answer(calls[0]!, "first");
  await established.fail(calls[1]!, "not-found");

  const third = await reload(storage, established, clock);
  const again = third.session.open("echo");
  assert.equal(await again.call("one"), "first");
  await assert.rejects(again.call("two"), { code: "not-found" });
  const fresh = watch(again.call("one"));
  assert.equal(await fresh.settled(), "waits");
});

// @rule resume.stored-client
Deno.test("an answer is taken with the turn in which it is given, together with what is kept in it", async () => {
  const storage = new TestStorage(true);
  const { connection, line, clock } = await attachedClient({ storage });
  const counted = connection.call("add").then((total) => connection.keep(total));
  await settle();
  storage.held = true;
  await line.answer(line.call(), 7);
  await counted;
  // Nothing of it is stored yet: a page that is gone now never had the answer, and the server sends it again.
  const before = await client({ storage: copyOf(storage), server: new FakeServer(), clock });
  const unkept = before.session.open("echo");
  await before.session.ready;
  assert.equal(unkept.kept, undefined);
  assert.equal(watch(unkept.call("add")).outcome, "waits");
  await storage.release();
  await storage.release();
  const after = await client({ storage: copyOf(storage), server: new FakeServer(), clock });
  const kept = after.session.open("echo");
  await after.session.ready;
  assert.equal(kept.kept, 7);
  assert.deepEqual(storage.stored?.calls, []);
  for (const { session } of [before, after]) session.goOffline();
  await line.end();
});

function copyOf(storage: TestStorage): TestStorage {
  const copy = new TestStorage(storage.asynchronous);
  for (const [key, value] of storage.values) copy.values.set(key, value);
  return copy;
}

// @rule resume.stored-client
Deno.test("calls that were not numbered yet wait on in their places", async () => {
  const storage = new TestStorage();
  const first = await client({ storage });
  const connection = first.session.open("echo");
  void connection.send("before").catch(() => {});
  void connection.call("a", 1).catch(() => {});
  void connection.send("between").catch(() => {});
  void connection.call("b", 2).catch(() => {});
  const line = await first.server.establish({ limits: { ...statedLimits(), concurrentCalls: 1 } });
  await line.tell({ kind: "accept", connection: 1 });
  assert.deepEqual(line.numbered.map(({ kind }) => kind), ["open", "message", "call", "message"]);

  const page = await reload(storage, line, first.clock);
  assert.equal(page.session.unacked, 5);
  const answers = page.session.open("echo");
  const [a, b] = [watch(answers.call("a", 1)), watch(answers.call("b", 2))];
  const established = await page.server.establish({ received: 4, sent: 1 });
  assert.deepEqual(established.calls(), []);
  await established.answer(line.call("a"), null);
  assert.equal(a.outcome, "resolved");
  await established.answer(established.call("b"), null);
  assert.equal(b.outcome, "resolved");
});

// @rule resume.stored-client
Deno.test("a reload before the first conduit loses no call", async () => {
  const storage = new TestStorage();
  const first = await client({ storage });
  void first.session.open("echo").call("a", 1).catch(() => {});
  await settle();
  const page = await client({ storage, server: new FakeServer() });
  const answer = page.session.open("echo").call("a", 1);
  const line = await page.server.establish();
  assert.equal(line.calls().length, 1);
  await line.tell({ kind: "accept", connection: 1 });
  await line.answer(line.call(), "here");
  assert.equal(await answer, "here");
});

// @rule resume.stored-client
Deno.test("a restored call goes to the same method, argument, shape and operation key, and to nothing else", async () => {
  const storage = new TestStorage();
  const { connection, line, clock } = await attachedClient({ storage });
  void connection.call("pay", 5, { operation: "k" }).catch(() => {});
  await settle();
  const page = await reload(storage, line, clock);
  const again: Connection = page.session.open("echo");
  void again.call("pay", 5).catch(() => {});
  void again.call("pay", 6, { operation: "k" }).catch(() => {});
  void again.call("buy", 5, { operation: "k" }).catch(() => {});
  again.download("pay", 5);
  void page.session.open("echo").call("pay", 5, { operation: "k" }).catch(() => {});
  await settle();
  const established = await page.server.establish({ received: 2, sent: 1 });
  // Five new ones, the one that was in flight is not among them.
  assert.deepEqual(established.calls().map(({ connection, request }) => [connection, request]), [
    [1, 2],
    [1, 3],
    [1, 4],
    [1, 5],
    [3, 1],
  ]);
  const answer = again.call("pay", 5, { operation: "k" });
  await established.answer(line.call(), "paid");
  assert.equal(await answer, "paid");
});

// @rule resume.stored-client
Deno.test("a restored call without items is not a download, nor the other way round", async () => {
  const storage = new TestStorage();
  const { connection, line, clock } = await attachedClient({ storage });
  void connection.call("one", 1).catch(() => {});
  connection.download("two", 2);
  await settle();
  const page = await reload(storage, line, clock);
  const again = page.session.open("echo");
  again.download("one", 1);
  void again.call("two", 2).catch(() => {});
  const established = await page.server.establish({ received: 3, sent: 1 });
  assert.deepEqual(established.calls().map(({ method, request }) => [method, request]), [["one", 3], [
    "two",
    4,
  ]]);
});

// @rule call.operation
Deno.test("an operation that runs elsewhere is asked for again by the next page too", async () => {
  const storage = new TestStorage();
  const { connection, line, clock } = await attachedClient({ storage });
  void connection.call("pay", 5, { operation: "k" }).catch(() => {});
  await settle();
  await line.fail(line.call(), "in-progress");
  const page = await reload(storage, line, clock);
  const answer = page.session.open("echo").call("pay", 5, { operation: "k" });
  const established = await page.server.establish({ received: 2, sent: 2 });
  await clock.advance(1_000);
  const call = established.call("pay");
  assert.deepEqual([call.request, call.options?.operation, decodeBody(call.body)], [2, "k", 5]);
  await established.answer(call, "paid");
  assert.equal(await answer, "paid");
});

// @rule call.timeout
Deno.test("a restored call keeps its deadline, which is a time and not a length", async () => {
  const storage = new TestStorage();
  const { connection, line, clock } = await attachedClient({ storage });
  void connection.call("slow", null, { timeout: 10_000 }).catch(() => {});
  await clock.advance(4_000);
  const page = await reload(storage, line, clock);
  const answer = watch(page.session.open("echo").call("slow"));
  const established = await page.server.establish({ received: 2, sent: 1 });
  await clock.advance(5_999);
  assert.equal(answer.outcome, "waits");
  await clock.advance(1);
  assert.equal(answer.outcome, "deadline-exceeded");
  assert.equal(established.of("cancel").length, 1);
});

Deno.test("restored calls that nobody asks for are forgotten after a minute, and a download is cancelled", async () => {
  const storage = new TestStorage();
  const { connection, line, clock } = await attachedClient({ storage });
  void connection.call("unary").catch(() => {});
  connection.download("download");
  await settle();
  const [unary, download] = line.calls();
  const page = await reload(storage, line, clock);
  const established = await page.server.establish({ received: 3, sent: 1 });
  await established.items(download!, 1, 2);
  for (let elapsed = 0; elapsed < 60_000; elapsed += 20_000) {
    await established.say({ kind: "ping", nonce: elapsed });
    await clock.advance(20_000);
  }
  assert.deepEqual(established.of("cancel").map(({ request }) => request), [download!.request]);
  await established.answer(unary!, "late");
  await established.fail(download!, "cancelled");
  assert.deepEqual(storage.stored?.calls, []);
  const again = page.session.open("echo");
  void again.call("unary").catch(() => {});
  await settle();
  assert.equal(established.calls().length, 1);
});

// @rule resume.stored-client
// @rule channel.resume
Deno.test("a download goes on over a reload: what was consumed is not given again, what was not is", async () => {
  const storage = new TestStorage();
  const { connection, line, clock } = await attachedClient({ storage });
  const download = connection.download("count", "to 9", { credit: 8 });
  await settle();
  const call = line.call();
  await line.items(call, 1, 2, 3, 4, 5);
  // The third is handed out and nothing was asked for after it.
  assert.deepEqual(await take(download, 3), [1, 2, 3]);
  connection.keep("after 2");

  const page = await reload(storage, line, clock);
  const again = page.session.open("echo");
  assert.equal(again.kept, "after 2");
  const rest = again.download("count", "to 9", { credit: 8 });
  const established = await page.server.establish({ received: 2, sent: 6 });
  await established.items(call, 6, 7, 8);
  assert.deepEqual(await take(rest, 6), [3, 4, 5, 6, 7, 8]);
  await settle();
  assert.deepEqual(established.of("credit").map(({ channel, additional }) => [channel, additional]), [[
    1,
    4,
  ]]);
  await established.items(call, 9);
  await established.answer(call, null);
  assert.deepEqual(await take(rest, 9), [9]);
  await settle();
  assert.deepEqual(storage.stored?.calls, []);
});

// @rule resume.stored-client
Deno.test("a download that was over, and not consumed to its end, is given to its end by the next page", async () => {
  const storage = new TestStorage();
  const { connection, line, clock } = await attachedClient({ storage });
  connection.download("good");
  connection.download("bad");
  await settle();
  const [good, bad] = line.calls();
  await line.items(good!, 1, 2);
  await line.answer(good!, null);
  await line.items(bad!, 3);
  await line.fail(bad!, "unavailable");
  await line.tell({ kind: "end", connection: 1 });
  const page = await reload(storage, line, clock);
  const again = page.session.open("echo");
  assert.deepEqual(await take(again.download("good"), 9), [1, 2]);
  const rest = again.download("bad");
  assert.deepEqual(await take(rest, 1), [3]);
  await assert.rejects(take(rest, 1), { code: "unavailable" });
  await settle();
  assert.deepEqual(storage.stored?.connections, []);
  assert.equal(page.session.open("echo").id, 3);
});

// @rule resume.stored-client
Deno.test("leaving the loop is final: the next page makes a new call", async () => {
  const storage = new TestStorage();
  const { connection, line, clock } = await attachedClient({ storage });
  const download = connection.download("count");
  await settle();
  await line.items(line.call(), 1, 2);
  for await (const _ of download) break;
  const page = await reload(storage, line, clock);
  page.session.open("echo").download("count");
  const established = await page.server.establish({ received: 2, sent: 3 });
  assert.deepEqual(established.numbered.map(({ kind }) => kind), ["cancel", "call"]);
});

// @rule resume.stored-client
Deno.test("an upload cannot go on over a reload: it is reset and cancelled by the next page", async () => {
  const storage = new TestStorage();
  const { connection, line, clock } = await attachedClient({ storage });
  void connection.upload("sum", null, endless()).catch(() => {});
  void connection.upload("done", null, [1]).catch(() => {});
  connection.duplex("echo", null, endless());
  await settle();
  const page = await reload(storage, line, clock);
  const established = await page.server.establish({ received: line.numbered.at(-1)!.seq, sent: 1 });
  assert.deepEqual(
    established.numbered.map((message) => [message.kind, "channel" in message ? message.channel : undefined]),
    [["reset", 1], ["cancel", undefined], ["reset", 5], ["cancel", undefined]],
  );
  assert.deepEqual(established.of("cancel").map(({ request }) => request), [1, 3]);
  for (const call of line.calls()) await established.fail(call, "cancelled");
  assert.equal(page.session.phase, "attached");
});

function* endless(): Generator<BodyValue> {
  for (let n = 0;; n++) yield n;
}

// @rule resume.stored-client
Deno.test("nothing of a call is stored without need: no bodies without a storage, none after the answer", async () => {
  const storage = new TestStorage();
  const { connection, line } = await attachedClient({ storage });
  const answer = connection.call("c", "x".repeat(10_000));
  await settle();
  const withCall = [...storage.values.values()][0]!.length;
  await line.say({ kind: "ack", received: line.call().seq });
  await line.answer(line.call(), null);
  await answer;
  await settle();
  assert.ok(withCall > 10_000);
  assert.ok([...storage.values.values()][0]!.length < 2_000);
  assert.deepEqual(storage.stored?.calls, []);
});

Deno.test("a state of the format before is of another version, and lost", async () => {
  const storage = new TestStorage();
  storage.values.set("holdfast ws://edge.test/v1/connect", JSON.stringify({ format: 1 }));
  const { session } = await client({ storage });
  assert.match(session.ending!.detail, /stored state has format 1, not 2/);
});

Deno.test("a stored call that is damaged makes the whole state unreadable", async () => {
  const good = new TestStorage();
  const { connection, line } = await attachedClient({ storage: good });
  connection.download("d", 1);
  await settle();
  await line.items(line.call(), 1);
  await settle();
  const [key, value] = [...good.values][0]!;
  const breaks: [RegExp | string, string][] = [
    ['"shape":"download"', '"shape":"upload"'],
    ['"stage":"sent"', '"stage":"lost"'],
    ['"request":1', '"request":7'],
    ['"claimed', '"x'],
    [/"record":"[^"]+"/, '"record":"AAAA"'],
    ['"tried":true', '"tried":1'],
    [/"body":"[^"]+"/, '"body":"!"'],
  ];
  for (const [from, to] of breaks) {
    const broken = value.replace(from, to);
    if (broken === value) continue;
    const storage = new TestStorage();
    storage.values.set(key, broken);
    const fixture = await client({ storage });
    assert.equal(fixture.session.ending?.reason, "unreadable-storage", to);
  }
});
