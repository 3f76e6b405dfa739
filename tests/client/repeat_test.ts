/** Operations that go on in the session after a lost one. */

import assert from "node:assert/strict";
import { decodeBody } from "../../src/protocol/body.ts";
import type { ConnectOptions } from "../../src/client/mod.ts";
import { settle } from "../support/fake_clock.ts";
import { client, TestStorage } from "../support/client_fixture.ts";
import { FakeServer } from "../support/fake_server.ts";
import { watch } from "../support/watched.ts";

/** A client that was attached, made calls with a key and without, and lost its session. */
async function lost(options: Omit<ConnectOptions, "clock">) {
  const controller = new AbortController();
  const fixture = await client(options);
  const connection = fixture.session.open("bank", { metadata: { branch: "3" } });
  const line = await fixture.server.establish();
  await line.tell({ kind: "accept", connection: 1 });
  const calls = {
    keyed: watch(connection.call("pay", 5, { operation: "order-1", timeout: 60_000 })),
    other: watch(connection.call("pay", 6, { operation: "order-2", signal: controller.signal })),
    keyless: watch(connection.call("pay", 7)),
    download: connection.download("history"),
  };
  await settle();
  await line.end(4501, "expired");
  return { ...fixture, connection, line, calls, controller };
}

const KEEPS_GOING = { startAnewWhenLost: true, auth: () => "token" } as const;

// @rule call.operation
Deno.test("calls with a key are asked for again in the new session, on a connection of their own, and told", async () => {
  const fixture = await lost(KEEPS_GOING);
  const { calls, clock, server, session } = fixture;
  assert.deepEqual([calls.keyed.outcome, calls.other.outcome, calls.keyless.outcome], [
    "waits",
    "waits",
    "indeterminate",
  ]);
  await assert.rejects(calls.download[Symbol.asyncIterator]().next(), { code: "indeterminate" });
  assert.deepEqual(fixture.heard.slice(-2), ["lost", "repeated"]);
  assert.deepEqual(fixture.details("repeated"), [{
    calls: [
      { service: "bank", method: "pay", operation: "order-1" },
      { service: "bank", method: "pay", operation: "order-2" },
    ],
  }]);
  const mine = session.open("bank");
  assert.deepEqual([mine.id, session.connections.length], [3, 1]);
  await clock.advanceToNext();
  const line = await server.establish({ session: "session-2" });
  assert.deepEqual(line.of("open").map(({ connection, metadata }) => [connection, metadata]), [
    [1, { branch: "3" }],
    [3, undefined],
  ]);
  assert.deepEqual(
    line.calls().map(({ connection, method, body, options }) =>
      [connection, method, decodeBody(body), options?.operation] as const
    ),
    [[1, "pay", 5, "order-1"], [1, "pay", 6, "order-2"]],
  );
  await line.tell({ kind: "accept", connection: 1 }, { kind: "accept", connection: 3 });
  // What the service says there is for nobody.
  await line.message(1, "hello");
  await line.answer(line.calls()[0]!, "paid");
  assert.deepEqual([calls.keyed.outcome, line.of("end").length], ["resolved", 0]);
  await line.fail(line.calls()[1]!, "conflict");
  assert.equal(calls.other.outcome, "conflict");
  assert.deepEqual(line.of("end").map(({ connection }) => connection), [1]);
  assert.deepEqual(session.connections, [mine]);
});

// @rule call.operation
Deno.test("without credentials, or without a new session, a key repeats nothing; the error says which it was", async () => {
  const cases: Omit<ConnectOptions, "clock">[] = [{}, { startAnewWhenLost: true }, { auth: () => "token" }];
  for (const options of cases) {
    const { calls, connection } = await lost(options);
    const outcomes = [calls.keyed, calls.other, calls.keyless].map(({ outcome }) => outcome);
    assert.deepEqual(outcomes, ["indeterminate", "indeterminate", "indeterminate"]);
    void connection;
  }
  const fixture = await client();
  const connection = fixture.session.open("bank");
  const line = await fixture.server.establish();
  const keyed = assert.rejects(connection.call("pay", 5, { operation: "order-1" }), {
    code: "indeterminate",
    operation: "order-1",
    advice: "ask",
  });
  await settle();
  await line.end(4501, "expired");
  await keyed;
});

// @rule call.timeout
Deno.test("a repeated call keeps its deadline, and can be cancelled", async () => {
  const { calls, clock, server, controller } = await lost(KEEPS_GOING);
  await clock.advanceToNext();
  const line = await server.establish({ session: "session-2" });
  await line.tell({ kind: "accept", connection: 1 });
  assert.ok((line.calls()[0]!.options?.timeout ?? 0) <= 60_000);
  for (let n = 0; n < 6; n++) {
    await line.say({ kind: "ping", nonce: n });
    await clock.advance(10_000);
  }
  assert.equal(calls.keyed.outcome, "deadline-exceeded");
  assert.equal(calls.other.outcome, "waits");
  controller.abort();
  await settle();
  assert.equal(calls.other.outcome, "cancelled");
  assert.deepEqual(line.of("cancel").map(({ request }) => request), [1, 2]);
});

// @rule resume.stored-client
Deno.test("a repeated call goes on over a reload too, and is found by who makes it again", async () => {
  const storage = new TestStorage();
  const { server, clock } = await lost({ ...KEEPS_GOING, storage });
  await clock.advanceToNext();
  const line = await server.establish({ session: "session-2" });
  await line.tell({ kind: "accept", connection: 1 });
  await settle();
  await line.end();
  const page = await client({ ...KEEPS_GOING, storage, server: new FakeServer(), clock });
  assert.deepEqual(page.session.connections, []);
  const bank = page.session.open("bank");
  assert.equal(bank.id, 3);
  const answer = bank.call("pay", 5, { operation: "order-1" });
  const established = await page.server.establish({ received: line.numbered.at(-1)!.seq, sent: 1 });
  assert.deepEqual(established.calls(), []);
  await established.message(1, "for nobody");
  await established.answer(line.calls()[0]!, "paid");
  assert.equal(await answer, "paid");
  const other = bank.call("pay", 6, { operation: "order-2" });
  await established.answer(line.calls()[1]!, "paid too");
  assert.equal(await other, "paid too");
  await settle();
  assert.deepEqual((storage.stored?.connections as { id: number }[]).map(({ id }) => id), [3]);
});

Deno.test("a session that is closed while it is lost repeats nothing", async () => {
  const fixture = await client(KEEPS_GOING);
  const connection = fixture.session.open("bank");
  const line = await fixture.server.establish();
  await line.tell({ kind: "accept", connection: 1 });
  const call = watch(connection.call("pay", 5, { operation: "order-1" }));
  await settle();
  const closed = fixture.session.close();
  await settle();
  await line.end(4501, "expired");
  await closed;
  assert.equal(call.outcome, "cancelled");
  assert.equal(fixture.server.lines.length, 1);
});
