/** Nodes whose store fails in every way, under load over broken links: nothing lost, doubled or reordered. */

import assert from "node:assert/strict";
import { type Cluster, withCluster } from "../support/cluster.ts";
import type { WriteFault } from "../support/kv_connect_server.ts";
import { manyNumbers, underLoad } from "../support/numbers.ts";
import { SeededRandom } from "../support/seeded_random.ts";
import { Weather } from "../support/weather.ts";

const FAULTS: readonly WriteFault[] = ["refuse", "drop_reply", "reject", "reject_after"];

/** Injects faults into the store's writes for `ms`, and says how many of each. */
async function faultyStore(
  store: Cluster["store"],
  random: SeededRandom,
  ms: number,
): Promise<Record<WriteFault | "delays" | "away", number>> {
  const counts = { refuse: 0, drop_reply: 0, reject: 0, reject_after: 0, delays: 0, away: 0 };
  const end = performance.now() + ms;
  while (performance.now() < end) {
    const writes = Array.from({ length: random.int(3) }, () => random.pick(FAULTS));
    for (const fault of writes) counts[fault]++;
    const delay = random.chance(0.3) ? random.between(1, 60) : 0;
    if (delay > 0) counts.delays++;
    await store.inject({ writes, delay });
    await pause(random.between(20, 60));
    if (random.chance(0.03)) {
      counts.away++;
      await store.inject({ away: true });
      await pause(random.between(50, 600));
      await store.inject({ away: false });
    }
  }
  await store.inject({ delay: 0 });
  return counts;
}

// @rule resume.anywhere
// @rule resume.committed
// @rule delivery.sequence
// @rule delivery.order
// @rule delivery.retain
Deno.test("three nodes, a store that refuses, delays and loses its replies, and broken links lose and double nothing", async () => {
  await withCluster(3, async ({ store, proxy, url }) => {
    const random = new SeededRandom(31_337);
    const weather = new Weather(proxy, random.fork(), 150);
    let faults: Awaited<ReturnType<typeof faultyStore>> | null = null;
    const load = await underLoad(manyNumbers(12, url, random), async () => {
      weather.begin();
      try {
        faults = await faultyStore(store, random.fork(), 9_000);
      } finally {
        weather.end();
      }
    });
    console.log(`faulty store: ${JSON.stringify({ ...load, faults, ...weather.counts })}`);
    assert.ok(load.resumed >= 12, `only ${load.resumed} resumes`);
    for (const [fault, count] of Object.entries(faults!)) assert.ok(count > 0, `the store had no ${fault}`);
  });
});

// @rule resume.anywhere
// @rule delivery.retain
Deno.test("a store that is killed and started again while nodes and clients are busy loses nothing", async () => {
  await withCluster(2, async ({ store, proxy, url }) => {
    const random = new SeededRandom(4_512);
    const weather = new Weather(proxy, random.fork(), 400);
    const load = await underLoad(manyNumbers(10, url, random), async () => {
      weather.begin();
      try {
        for (let kill = 0; kill < 4; kill++) {
          await pause(random.between(700, 1_400));
          await store.kill();
          await pause(random.between(0, 1_200));
          await store.restart();
        }
        await pause(1_000);
      } finally {
        weather.end();
      }
    });
    console.log(`store killed four times: ${JSON.stringify({ ...load, ...weather.counts })}`);
    assert.ok(load.resumed > 0, "no session moved while the store came and went");
  });
});

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => void setTimeout(resolve, ms));
}
