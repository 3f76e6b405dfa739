/** A client in "another language" survives broken conduits and a server that is killed, by `docs/protocol.md` alone. */

import assert from "node:assert/strict";
import { ForeignClient } from "../support/foreign_client.ts";
import { SeededRandom } from "../support/seeded_random.ts";
import { ServerProcess } from "../support/server_process.ts";
import { TcpFaultProxy } from "../support/tcp_fault_proxy.ts";
import { Storm } from "../support/storm.ts";

const SESSIONS = 4;
const KILLS = 6;

// @rule delivery.sequence
// @rule delivery.order
// @rule delivery.retain
// @rule resume.exchange
// @rule resume.repeat
// @rule handshake.confirm
// @rule keepalive.silence
Deno.test("a client written by hand gets every message echoed once and in order, through breaks and SIGKILLs", async () => {
  const random = new SeededRandom(20_260);
  const server = await ServerProcess.start({
    HOLDFAST_KEEPALIVE_INTERVAL: "500ms",
    HOLDFAST_KEEPALIVE_TIMEOUT: "500ms",
  });
  const proxy = await TcpFaultProxy.listen({ hostname: server.hostname, port: server.port });
  const clients = Array.from({ length: SESSIONS }, () => {
    return new ForeignClient({ url: () => `ws://127.0.0.1:${proxy.port}/v1/connect`, answer: 1_200 });
  });
  const storm = new Storm({ proxy, server, random, kills: KILLS, between: 1_000 });
  const producer = setInterval(() => {
    for (const client of clients) client.produce(5);
  }, 10);
  try {
    for (const client of clients) client.start();
    await storm.run();
    clearInterval(producer);
    for (const client of clients) {
      await client.until("every number is echoed and acked", () => {
        return client.echoed === client.produced && client.unacked === 0;
      }, 15_000);
    }
    for (const client of clients) {
      assert.equal(client.failure, null);
      assert.equal(
        client.counts.established,
        client.counts.resumed + 1,
        "one new session, then only resumes",
      );
      assert.ok(client.produced > 300, `${client.produced} messages are too few to prove anything`);
      // What is unsure never gets there twice; what was echoed was also acked, so nothing more will come.
      assert.equal(client.sent, client.produced + 1);
    }
    assert.equal(new Set(clients.map((client) => client.session)).size, SESSIONS);
    const total = (name: keyof ForeignClient["counts"]) => {
      return clients.reduce((sum, client) => sum + client.counts[name], 0);
    };
    assert.ok(total("replayed") > 0, "no break made a replay");
    console.log(JSON.stringify({
      messages: clients.reduce((sum, client) => sum + client.produced, 0),
      resumed: total("resumed"),
      replayed: total("replayed"),
      duplicatesDropped: total("duplicates"),
      ...storm.counts,
    }));
  } finally {
    clearInterval(producer);
    for (const client of clients) await client.stop();
    await proxy.close();
    await server.dispose();
  }
});
