/** As many hostile frames as fit a few seconds; `deno task fuzz` sends more. */

import assert from "node:assert/strict";
import { demoService } from "../../src/service/demo.ts";
import { FakeClock } from "../support/fake_clock.ts";
import { DEMO_METHODS } from "./demo_traffic.ts";
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
    for (const name of DEMO_METHODS.keys()) {
      if (name !== "fail") assert.ok(report.results.has(name), `no call of ${name} came to a result`);
    }
    for (const code of ["cancelled", "invalid-argument", "unknown-method", "failed-precondition"]) {
      assert.ok(report.failures.has(code), `no call was answered ${code}`);
    }
    assert.ok(report.items > 0, "no item of a download came");
    const growth = Math.round((report.resident.most - report.resident.before) / MIB);
    assert.ok(growth < 200, `resident memory grew by ${growth} MiB`);
  });
}

Deno.test("the hostile peers know each method of demo, and which channels it has", () => {
  const served = demoService({ clock: new FakeClock() }).methods;
  const channels = ({ upload, download }: { readonly upload?: unknown; readonly download?: unknown }) => {
    return [upload !== undefined, download !== undefined];
  };
  assert.deepEqual(
    [...DEMO_METHODS].map(([name, method]) => [name, ...channels(method)]).sort(),
    [...served].map(([name, { kind }]) => {
      return [name, kind === "upload" || kind === "duplex", kind === "download" || kind === "duplex"];
    }).sort(),
  );
});
