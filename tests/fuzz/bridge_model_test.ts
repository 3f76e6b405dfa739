/** Applications with a bridge between them, against what the rules want of two that are connected directly. */

import assert from "node:assert/strict";
import fc from "fast-check";
import { BridgedPair } from "../connection/bridged_pair.ts";
import { pairAct } from "../connection/mux_pair.ts";

// @rule connection.proxy
Deno.test("over a bridge everything crosses once and in order, credit is only what the far side granted, and nothing is left", () => {
  const met = new Set<string>();
  fc.assert(
    fc.property(fc.array(pairAct, { maxLength: 120, size: "max" }), (acts) => {
      const pair = BridgedPair.connected();
      for (const act of acts) pair.perform(act);
      pair.finish();
      for (const half of [pair.client, pair.server]) for (const kind of half.outcomes.keys()) met.add(kind);
    }),
    { numRuns: 1000 },
  );
  for (
    const kind of ["message", "called", "answered", "cancelled", "item", "channel_over", "credited", "ended"]
  ) {
    assert.ok(met.has(kind), `no ${kind} was met`);
  }
});
