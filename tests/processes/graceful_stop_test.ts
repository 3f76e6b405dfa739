/** A deploy: the process is asked to stop under load, and everything goes on with the next one. */

import assert from "node:assert/strict";
import { ForeignClient } from "../support/foreign_client.ts";
import { newChallenge, RawConduit } from "../support/raw_conduit.ts";
import { ServerProcess } from "../support/server_process.ts";

/** What the platforms leave between their signal and SIGKILL, less a second. */
const STOP_MS = 4_000;

const CASES = [
  { signal: "SIGTERM", sessions: 200 },
  { signal: "SIGINT", sessions: 20 },
] as const;

for (const { signal, sessions } of CASES) {
  // @rule end.goaway
  // @rule resume.committed
  // @rule delivery.ack
  Deno.test(`${signal} with ${sessions} sessions under load: goaway, last commits, exit 0 in 4 s, and all resume`, async () => {
    const server = await ServerProcess.start();
    const clients = Array.from({ length: sessions }, () => {
      return new ForeignClient({ url: () => `ws://127.0.0.1:${server.port}/v1/connect`, answer: 5_000 });
    });
    let turn = 0;
    const producer = setInterval(() => {
      // Each client every fourth time.
      for (let at = turn++ % 4; at < clients.length; at += 4) clients[at]!.produce(2);
    }, 20);
    try {
      for (const client of clients) client.start();
      for (const client of clients) await client.until("echoes come", () => client.echoed >= 20, 30_000);

      const exit = await server.stop(signal);
      assert.deepEqual({ code: exit.code, signal: exit.signal }, { code: 0, signal: null });
      assert.ok(exit.after <= STOP_MS, `it took ${exit.after} ms`);
      for (const line of server.log) assert.notEqual(line.level, "error", JSON.stringify(line));

      await Promise.all(
        clients.map((client) => client.until("the close is seen", () => client.closeCodes.length > 0, 5_000)),
      );
      for (const client of clients) {
        assert.equal(client.counts.goaways, 1, client.describe());
        for (const code of client.closeCodes) {
          assert.ok(code === 1012 || code >= 4400 && code <= 4499, `${code}`);
        }
      }

      await server.restart();
      clearInterval(producer);
      for (const client of clients) {
        // A message that was acked before and is unknown afterwards fails the client at its resume.
        await client.until("every number is echoed and acked", () => {
          return client.counts.resumed > 0 && client.echoed === client.produced && client.unacked === 0;
        }, 20_000);
        assert.equal(
          client.counts.established,
          client.counts.resumed + 1,
          "one new session, then only resumes",
        );
      }
      const messages = clients.reduce((sum, client) => sum + client.produced, 0);
      console.log(
        `${signal}: ${sessions} sessions, ${messages} messages, stopped in ${Math.round(exit.after)} ms`,
      );
    } finally {
      clearInterval(producer);
      await Promise.all(clients.map((client) => client.stop()));
      await server.dispose();
    }
  });
}

// @rule handshake.refused
// @rule end.goaway
Deno.test("a draining process refuses new sessions with draining and tells its attached ones to go", async () => {
  const server = await ServerProcess.start();
  try {
    const attached = await RawConduit.open(server.url, "holdfast.v1.json");
    await attached.establish();
    const waiting = await RawConduit.open(server.url, "holdfast.v1.json");
    const stopped = server.stop("SIGTERM");
    const [, goaway] = await attached.next("goaway");
    assert.equal((goaway as { reason: string }).reason, "draining");
    // The start may come too late to be judged; the refusal is the same.
    waiting.say(["start", { version: 1, challenge: newChallenge() }]);
    const [, refused] = await waiting.next("refused");
    assert.equal((refused as { reason: string }).reason, "draining");
    assert.equal((await waiting.closed).code, 4400);
    assert.ok([1012, 4400].includes((await attached.closed).code));
    assert.equal((await stopped).code, 0);
  } finally {
    await server.dispose();
  }
});

Deno.test("a signal that comes twice at once, as from a terminal and from deno task, is one: the stop stays graceful", async () => {
  const server = await ServerProcess.start();
  try {
    const conduit = await RawConduit.open(server.url, "holdfast.v1.json");
    await conduit.establish();
    server.signal("SIGINT");
    await conduit.next("goaway");
    const { code } = await server.stop("SIGINT");
    assert.equal(code, 0);
    assert.ok([1012, 4400].includes((await conduit.closed).code));
  } finally {
    await server.dispose();
  }
});

Deno.test("a process without sessions stops at once", async () => {
  const server = await ServerProcess.start();
  try {
    const exit = await server.stop("SIGTERM");
    assert.equal(exit.code, 0);
    assert.ok(exit.after < 2_000, `it took ${exit.after} ms`);
  } finally {
    await server.dispose();
  }
});
