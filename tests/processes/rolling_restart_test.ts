/** A deploy of the whole cluster under load: each node is asked to stop and started again, one after the other. */

import assert from "node:assert/strict";
import { assertNoErrors, withCluster } from "../support/cluster.ts";
import { manyNumbers, underLoad } from "../support/numbers.ts";
import { SeededRandom } from "../support/seeded_random.ts";
import { Weather } from "../support/weather.ts";

const STOP_MS = 4_000;

// @rule end.goaway
// @rule resume.anywhere
// @rule resume.repeat
Deno.test("a rolling restart of three nodes under load over broken links: every session goes on, on another node", async () => {
  await withCluster(3, async ({ nodes, proxy, url }) => {
    const random = new SeededRandom(1_012);
    const weather = new Weather(proxy, random.fork(), 300);
    const stops: number[] = [];
    const load = await underLoad(manyNumbers(18, url, random), async () => {
      weather.begin();
      try {
        for (const node of nodes) {
          await pause(700);
          const exit = await node.stop("SIGTERM");
          assert.deepEqual({ code: exit.code, signal: exit.signal }, { code: 0, signal: null });
          assert.ok(exit.after <= STOP_MS, `it took ${exit.after} ms`);
          stops.push(Math.round(exit.after));
          assertNoErrors(node);
          await node.restart();
        }
        await pause(700);
      } finally {
        weather.end();
      }
    });
    console.log(`rolling restart: ${JSON.stringify({ ...load, stops, ...weather.counts })}`);
    assert.ok(load.resumed >= 18, `only ${load.resumed} resumes`);
  });
});

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => void setTimeout(resolve, ms));
}
