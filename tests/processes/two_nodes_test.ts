/** Two nodes over one store: a session is wherever its client is, and on one node at a time. */

import assert from "node:assert/strict";
import { ForeignClient } from "../support/foreign_client.ts";
import { KvConnectServer } from "../support/kv_connect_server.ts";
import { newChallenge, RawConduit, type RawEstablished } from "../support/raw_conduit.ts";
import { SeededRandom } from "../support/seeded_random.ts";
import { ServerProcess } from "../support/server_process.ts";

interface Nodes {
  readonly a: ServerProcess;
  readonly b: ServerProcess;
  readonly store: KvConnectServer;
}

async function withTwoNodes(run: (nodes: Nodes) => Promise<void>): Promise<void> {
  const store = await KvConnectServer.start({ token: "test-token" });
  const environment = {
    HOLDFAST_KV: store.url,
    DENO_KV_ACCESS_TOKEN: store.token,
    HOLDFAST_PARK_AFTER: "500ms",
  };
  const started: ServerProcess[] = [];
  try {
    const [a, b] = await Promise.all([ServerProcess.start(environment), ServerProcess.start(environment)]);
    started.push(a, b);
    await run({ a, b, store });
    for (const node of started) {
      for (const line of node.log) assert.notEqual(line.level, "error", JSON.stringify(line));
    }
  } finally {
    for (const node of started) await node.dispose();
    await store.close();
  }
}

function connectUrl(node: ServerProcess): string {
  return `ws://127.0.0.1:${node.port}/v1/connect`;
}

/** Resumes by hand, and gives the conduit with what `established` said. */
async function resume(
  node: ServerProcess,
  older: RawEstablished,
  counters: { readonly received: number; readonly sent: number },
): Promise<{ readonly conduit: RawConduit; readonly established: RawEstablished }> {
  const conduit = await RawConduit.open(node.url, "holdfast.v1.json");
  const established = await conduit.establish({
    challenge: newChallenge(),
    resume: { session: older.session, token: older.token, ...counters },
  });
  assert.equal(established.resumed, true);
  assert.equal(established.session, older.session);
  return { conduit, established };
}

// @rule resume.anywhere
// @rule resume.takeover
Deno.test("a session made on A resumes on B while A holds its conduit; A closes that with 4510", async () => {
  await withTwoNodes(async ({ a, b }) => {
    const onA = await RawConduit.open(a.url, "holdfast.v1.json");
    const first = await onA.establish();
    onA.say(["open", 1, 1, { service: "echo" }], ["message", 2, 1, "one"], ["message", 3, 1, "two"]);
    assert.deepEqual(await onA.next("message"), ["message", 2, 1, "one"]);
    assert.deepEqual(await onA.next("message"), ["message", 3, 1, "two"]);

    // The client took the accept and the first echo, and acked neither.
    const { conduit: onB, established } = await resume(b, first, { received: 2, sent: 3 });
    assert.deepEqual([established.received, established.sent], [3, 3]);
    assert.deepEqual(await onB.next("message"), ["message", 3, 1, "two"]);
    onB.say(["message", 4, 1, "three"]);
    assert.deepEqual(await onB.next("message"), ["message", 4, 1, "three"]);

    // A learns of it by its next commit for the session at the latest.
    onA.say(["message", 4, 1, "never"]);
    assert.equal((await onA.closed).code, 4510);
    assert.ok(!onA.messages.some(([name]) => name === "message"), "A sent for a session that is B's");
    onB.say(["message", 5, 1, "four"]);
    assert.deepEqual(await onB.next("message"), ["message", 5, 1, "four"]);
    await onB.break();
  });
});

// @rule resume.anywhere
// @rule resume.repeat
Deno.test("sessions that go back and forth between two nodes under load lose and double nothing", async () => {
  await withTwoNodes(async ({ a, b }) => {
    const random = new SeededRandom(4_510);
    const clients = Array.from({ length: 6 }, (_, index) => {
      let dials = index;
      // Every dial goes to the other node, so that a session never finds its own node's memory.
      return new ForeignClient({ url: () => connectUrl(dials++ % 2 === 0 ? a : b), answer: 5_000 });
    });
    const producer = setInterval(() => {
      for (const client of clients) client.produce(3);
    }, 15);
    const mover = setInterval(() => {
      const client = random.pick(clients);
      // Half of them leave the older conduit open, for the node that lost the session to close.
      if (random.chance(0.5)) client.move();
      else client.break();
    }, 60);
    try {
      for (const client of clients) client.start();
      await new Promise((resolve) => setTimeout(resolve, 6_000));
      clearInterval(mover);
      clearInterval(producer);
      for (const client of clients) {
        await client.until("every number is echoed and acked", () => {
          return client.echoed === client.produced && client.unacked === 0;
        }, 10_000);
        assert.ok(client.counts.resumed >= 5, client.describe());
        assert.ok(client.produced > 100, client.describe());
      }
      const resumed = clients.reduce((sum, client) => sum + client.counts.resumed, 0);
      const messages = clients.reduce((sum, client) => sum + client.produced, 0);
      const taken = clients.flatMap((client) => client.closeCodes).filter((code) => code === 4510).length;
      assert.ok(taken > 0, "no conduit was closed with 4510");
      const ghosts = clients.reduce((sum, client) => sum + client.counts.ghosts, 0);
      console.log(
        `two nodes: ${messages} messages, ${resumed} resumes, ${taken} conduits taken over, ${ghosts} by ghosts`,
      );
    } finally {
      clearInterval(mover);
      clearInterval(producer);
      await Promise.all(clients.map((client) => client.stop()));
    }
  });
});

// @rule resume.anywhere
// @rule resume.committed
Deno.test("a node that was stopped while its session moved on neither acks nor sends nor commits for it", async () => {
  await withTwoNodes(async ({ a, b }) => {
    const onA = await RawConduit.open(a.url, "holdfast.v1.json");
    const first = await onA.establish();
    onA.say(["open", 1, 1, { service: "echo" }], ["message", 2, 1, "one"]);
    await onA.next("message");
    onA.say(["ack", 2]);
    onA.say(["ping", 1]);
    await onA.next("pong");

    a.signal("SIGSTOP");
    let onB: RawConduit;
    let onBEstablished: RawEstablished;
    try {
      // They wait in A's socket and will be read when A goes on.
      onA.say(["message", 3, 1, "two"], ["message", 4, 1, "three"]);
      const resumed = await resume(b, first, { received: 2, sent: 4 });
      onB = resumed.conduit;
      onBEstablished = resumed.established;
      assert.deepEqual([resumed.established.received, resumed.established.sent], [2, 2]);
      onB.say(["message", 3, 1, "two"], ["message", 4, 1, "three"]);
      assert.deepEqual(await onB.next("message"), ["message", 3, 1, "two"]);
      assert.deepEqual(await onB.next("message"), ["message", 4, 1, "three"]);
      onB.say(["ack", 4]);
      onA.messages.length = 0;
    } finally {
      a.signal("SIGCONT");
    }
    assert.equal((await onA.closed).code, 4510);
    assert.deepEqual(onA.messages.filter(([name]) => name === "ack" || name === "message"), []);

    onB.say(["message", 5, 1, "four"]);
    assert.deepEqual(await onB.next("message"), ["message", 5, 1, "four"]);
    await onB.break();

    // A, asked again, reads the session as B left it.
    const { conduit: again, established } = await resume(a, onBEstablished, { received: 5, sent: 5 });
    assert.deepEqual([established.received, established.sent], [5, 5]);
    again.say(["message", 6, 1, "five"]);
    assert.deepEqual(await again.next("message"), ["message", 6, 1, "five"]);
    await again.break();
  });
});
