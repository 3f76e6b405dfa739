/** The promise of the whole: 20 sessions, conduits that break in every way, ten SIGKILLs, and nothing lost or doubled. */

import assert from "node:assert/strict";
import { manyNumbers, underLoad } from "../support/numbers.ts";
import { SeededRandom } from "../support/seeded_random.ts";
import { ServerProcess } from "../support/server_process.ts";
import { Storm } from "../support/storm.ts";
import { TcpFaultProxy } from "../support/tcp_fault_proxy.ts";

const SESSIONS = 20;
const KILLS = 10;
/** How often each session shall have resumed at least. */
const RESUMES = 5;

// @rule delivery.sequence
// @rule delivery.order
// @rule delivery.retain
// @rule resume.repeat
// @rule resume.exchange
// @rule resume.takeover
// @rule keepalive.ping
Deno.test("20 sessions get every message echoed exactly once, in order, through broken conduits and ten SIGKILLs", async () => {
  const random = new SeededRandom(77_001);
  const server = await ServerProcess.start({
    HOLDFAST_KEEPALIVE_INTERVAL: "500ms",
    HOLDFAST_KEEPALIVE_TIMEOUT: "500ms",
    HOLDFAST_HANDSHAKE_TIMEOUT: "1s",
    HOLDFAST_PARK_AFTER: "300ms",
  });
  const proxy = await TcpFaultProxy.listen({ hostname: server.hostname, port: server.port });
  const sessions = manyNumbers(SESSIONS, `http://127.0.0.1:${proxy.port}`, random);
  // On a slow machine the kills leave little time between them to come back.
  const enough = () => sessions.every(({ counts, failure }) => counts.resumed >= RESUMES || failure !== null);
  const storm = new Storm({ proxy, server, random, kills: KILLS, between: 1_200, enough });
  try {
    const load = await underLoad(sessions, () => storm.run(), { least: 100 });
    console.log(JSON.stringify({ ...load, ...storm.counts }));
    for (const [index, { counts }] of sessions.entries()) {
      assert.ok(counts.resumed >= RESUMES, `session ${index} resumed only ${counts.resumed} times`);
    }
    assert.equal(storm.counts.kills, KILLS);
    for (
      const kind of [
        "reset",
        "finish",
        "halfOpen",
        "oneWay",
        "stall",
        "bytewise",
        "withinUpgrade",
        "withinHandshake",
        "withinReplay",
      ] as const
    ) {
      assert.ok(storm.counts[kind] > 0, `the storm had no ${kind}`);
    }
  } finally {
    await proxy.close();
    await server.dispose();
  }
});
