/** As many hostile frames as fit a few seconds; `deno task fuzz` sends more. */

import assert from "node:assert/strict";
import { describe, fuzz } from "./fuzz.ts";

const MIB = 2 ** 20;
const FRAMES = 8_000;

for (const [transport, seed] of [["native", 20_261], ["hardened", 20_262]] as const) {
  // @rule end.protocol
  // @rule frame.batch
  // @rule frame.header
  Deno.test(`8,000 mutated frames over the ${transport} transport disturb no other session and cost no lasting memory`, async () => {
    const report = await fuzz({ frames: FRAMES, seed, transport, settle: 500 });
    console.log(describe(report));
    assert.deepEqual(report.problems, []);
    assert.ok(report.judged >= FRAMES);
    assert.ok(report.resumed > 0, "no hostile session was resumed");
    for (const code of [4500, 4501, 4600]) {
      assert.ok(report.codes.has(code), `no conduit was closed with ${code}`);
    }
    const growth = Math.round((report.resident.most - report.resident.before) / MIB);
    assert.ok(growth < 200, `resident memory grew by ${growth} MiB`);
  });
}
