/** A connection's own credit, in either direction, and what its accept says. */

import assert from "node:assert/strict";
import { settle } from "../support/fake_clock.ts";
import { attachedClient, client, TestStorage } from "../support/client_fixture.ts";
import { FakeServer } from "../support/fake_server.ts";
import { watch } from "../support/watched.ts";

/** A client with a connection that gives its service credit for 16 messages. */
async function crediting(options: Parameters<typeof client>[0] = {}) {
  const fixture = await client(options);
  const connection = fixture.session.open("feed", { messageCredit: 16 });
  const line = await fixture.server.establish();
  await line.tell({ kind: "accept", connection: 1 });
  return { ...fixture, connection, line };
}

// @rule connection.credit
Deno.test("credit is given with open, and more when half of it was consumed", async () => {
  const { connection, line } = await crediting();
  assert.equal(line.of("open")[0]?.messageCredit, 16);
  await line.message(1, ...Array.from({ length: 16 }, (_, n) => n));
  assert.deepEqual(line.of("credit"), []);
  let taken = 0;
  for await (const value of connection) {
    assert.equal(value, taken);
    if (++taken === 8) break;
  }
  await settle();
  assert.deepEqual(line.of("credit").map(({ channel, additional }) => [channel, additional]), [[0, 8]]);
});

// @rule connection.credit
Deno.test("a message without credit is a violation; without messageCredit none is counted", async () => {
  const { line } = await crediting();
  await line.message(1, ...Array(17).fill("x"));
  assert.match(line.of("close")[0]!.detail, /^connection\.credit/);
  const plain = await attachedClient();
  await plain.line.message(1, ...Array(500).fill("x"));
  assert.equal(plain.session.phase, "attached");
  assert.throws(() => plain.session.open("feed", { messageCredit: 15 }), RangeError);
});

// @rule connection.credit
Deno.test("sends wait for the credit of the service, counted from the first message, and hold up nobody else", async () => {
  const { session, server } = await client();
  const slow = session.open("slow");
  const other = session.open("other");
  const sends = Array.from({ length: 20 }, (_, n) => watch(slow.send(n)));
  const line = await server.establish();
  const resolved = () => sends.filter(({ outcome }) => outcome === "resolved").length;
  await line.tell({ kind: "accept", connection: 1, messageCredit: 17 }, { kind: "accept", connection: 3 });
  assert.equal(resolved(), 17);
  assert.equal(await watch(other.send("mine")).settled(), "resolved");
  const call = slow.call("behind");
  await line.tell({ kind: "credit", connection: 1, channel: 0, additional: 2 });
  assert.equal(resolved(), 19);
  assert.equal(line.calls().length, 0);
  await line.tell({ kind: "credit", connection: 1, channel: 0, additional: 1 });
  assert.equal(resolved(), 20);
  await line.answer(line.call(), null);
  await call;
});

// @rule connection.credit
Deno.test("credit, given and had, goes on over a reload", async () => {
  const storage = new TestStorage();
  const first = await crediting({ storage });
  await first.line.tell({ kind: "credit", connection: 1, channel: 0, additional: 1 });
  await first.line.message(1, ...Array.from({ length: 16 }, (_, n) => n));
  await settle();
  await first.line.end();
  const page = await client({ storage, server: new FakeServer() });
  const again = page.session.open("feed", { messageCredit: 64 });
  const line = await page.server.establish({ received: 1, sent: 18 });
  let taken = 0;
  for await (const _ of again) if (++taken === 8) break;
  await settle();
  assert.deepEqual(line.of("credit").map(({ channel, additional }) => [channel, additional]), [[0, 8]]);
  await line.message(1, ...Array(8).fill("x"));
  assert.equal(page.session.phase, "attached");
});

// @rule connection.open
// @rule connection.schema
Deno.test("what the accept says is known once it came, and after a reload", async () => {
  const storage = new TestStorage();
  const { session, server } = await client({ storage });
  const connection = session.open("echo");
  assert.deepEqual([connection.metadata, connection.schema], [{}, null]);
  const line = await server.establish();
  await line.tell({ kind: "accept", connection: 1, metadata: { shard: "7" }, schema: "hash-1" });
  await connection.opened;
  assert.deepEqual([connection.metadata, connection.schema], [{ shard: "7" }, "hash-1"]);
  await settle();
  await line.end();
  const page = await client({ storage, server: new FakeServer() });
  const again = page.session.open("echo");
  assert.deepEqual([again.metadata, again.schema], [{ shard: "7" }, "hash-1"]);
  page.session.goOffline();
});
