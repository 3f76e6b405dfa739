/** A node that is stopped in the middle of its work, while its clients move to another one, and then goes on. */

import assert from "node:assert/strict";
import { ForeignClient } from "../support/foreign_client.ts";
import { withCluster } from "../support/cluster.ts";

const SESSIONS = 12;
const ROUNDS = 4;

// @rule resume.anywhere
// @rule resume.takeover
// @rule resume.committed
Deno.test("a node paused under load says and commits nothing new for the sessions that it lost meanwhile", async () => {
  await withCluster(2, async ({ nodes }) => {
    let current = 0;
    const clients = Array.from({ length: SESSIONS }, () => {
      return new ForeignClient({
        url: () => `ws://127.0.0.1:${nodes[current]!.port}/v1/connect`,
        answer: 5_000,
      });
    });
    const producer = setInterval(() => {
      for (const client of clients) client.produce(3);
    }, 5);
    const all = async (what: string, test: (client: ForeignClient) => boolean) => {
      await Promise.all(clients.map((client) => client.until(what, () => test(client), 15_000)));
    };
    let waiting = 0;
    try {
      for (const client of clients) client.start();
      await all("echoes come", (client) => client.echoed > 20);
      for (let round = 0; round < ROUNDS; round++) {
        const paused = nodes[current]!;
        paused.signal("SIGSTOP");
        try {
          // What it sent before is read meanwhile; what is sent to it waits in its sockets.
          await new Promise((resolve) => setTimeout(resolve, 150));
          const before = clients.map(({ closeCodes, echoed }) => {
            return { closed: closeCodes.length, echoed };
          });
          waiting += clients.reduce((sum, client) => sum + client.unacked, 0);
          current = 1 - current;
          for (const client of clients) client.move();
          await all("the other node takes over", (client) => {
            return client.echoed > before[clients.indexOf(client)]!.echoed + 50;
          });
          paused.signal("SIGCONT");
          await all("the older conduit is closed", (client) => {
            return client.closeCodes.length > before[clients.indexOf(client)]!.closed;
          });
          // What it had committed before it was stopped it may still say; anything beyond fails the client.
          for (const client of clients) {
            assert.equal(client.closeCodes.at(-1), 4510, client.describe());
          }
          // Had it committed anything, the other node would have lost its fence.
          const marks = clients.map((client) => client.echoed);
          await all(
            "the other node goes on",
            (client) => client.echoed > marks[clients.indexOf(client)]! + 50,
          );
        } finally {
          paused.signal("SIGCONT");
        }
      }
      clearInterval(producer);
      await all("every number is echoed and acked", (client) => {
        return client.echoed === client.produced && client.unacked === 0;
      });
      for (const client of clients) {
        assert.equal(client.counts.established, ROUNDS + 1, client.describe());
        assert.equal(client.closeCodes.length, ROUNDS, client.describe());
      }
      const messages = clients.reduce((sum, client) => sum + client.produced, 0);
      assert.ok(waiting > SESSIONS * ROUNDS, `only ${waiting} messages waited in a paused node's sockets`);
      console.log(
        `paused nodes: ${SESSIONS} sessions, ${ROUNDS} pauses, ${messages} messages, ${waiting} waited in sockets, ` +
          `${
            clients.reduce((sum, client) => sum + client.counts.fromReplaced, 0)
          } came late and were nothing new`,
      );
    } finally {
      clearInterval(producer);
      await Promise.all(clients.map((client) => client.stop()));
    }
    // Short keepalives would close the paused node's conduits before it is asked.
  }, { HOLDFAST_KEEPALIVE_INTERVAL: "25s", HOLDFAST_KEEPALIVE_TIMEOUT: "10s" });
});
