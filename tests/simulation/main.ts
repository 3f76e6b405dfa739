/** `deno task simulate`: runs seeds, prints what happened in them, and shrinks the first failure. */

import { parseArgs } from "node:util";
import { FAULT_KINDS, planOf } from "./plan.ts";
import { run } from "./run.ts";

const { values } = parseArgs({
  options: {
    seeds: { type: "string", default: "200" },
    first: { type: "string", default: "1" },
    seed: { type: "string" },
    minutes: { type: "string" },
    trace: { type: "boolean", default: false },
  },
});
void FAULT_KINDS;
if (values.seed !== undefined) {
  const r = await run(planOf(Number(values.seed)), values.trace ? console.log : null);
  console.log(r.failure, r.hash, r.steps, r.counts);
} else {
  const t = performance.now();
  let steps = 0, failed = 0;
  const total = new Map<string, number>();
  for (let seed = Number(values.first); seed < Number(values.first) + Number(values.seeds); seed++) {
    const r = await run(planOf(seed));
    steps += r.steps;
    for (const [k, v] of r.counts) total.set(k, (total.get(k) ?? 0) + v);
    if (r.failure) {
      failed++;
      console.log(seed, r.failure.slice(0, 300));
    }
  }
  console.log({ steps, failed, ms: performance.now() - t });
  console.log(Object.fromEntries([...total].sort()));
}
