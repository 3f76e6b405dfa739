/** The simulation as a test: a fixed number of seeds, and what must hold for its figures to mean anything. */

import assert from "node:assert/strict";
import { planOf } from "./plan.ts";
import { run } from "./run.ts";
import { reduced, whole } from "./shrink.ts";

/** What fits a minute on a small machine; `deno task simulate` runs more. */
const SEEDS = 400;

// @rule delivery.sequence
// @rule delivery.order
// @rule delivery.dedupe
// @rule delivery.ack
// @rule delivery.retain
// @rule resume.committed
// @rule resume.takeover
// @rule resume.anywhere
// @rule resume.repeat
// @rule resume.stored-client
// @rule connection.order
// @rule connection.credit
// @rule connection.end
// @rule call.once
// @rule call.operation
// @rule call.restart
// @rule call.timeout
// @rule channel.credit
// @rule channel.order
// @rule channel.resume
Deno.test("whatever goes wrong, nothing is lost or doubled, nothing leaves before its commit, and nothing is left behind", async () => {
  const failures: string[] = [];
  for (let seed = 1; seed <= SEEDS; seed++) {
    const { failure } = await run(planOf(seed));
    if (failure !== null) failures.push(`deno task simulate --seed ${seed}: ${failure}`);
  }
  assert.deepEqual(failures, []);
});

Deno.test("the same seed is the same run, event by event", async () => {
  for (const seed of [3, 17, 40]) {
    const { hash } = await run(planOf(seed));
    assert.equal((await run(planOf(seed))).hash, hash);
  }
  assert.notEqual((await run(planOf(3))).hash, (await run(planOf(4))).hash);
});

Deno.test("without its faults a run has none, and goes to its end all the same", async () => {
  const plan = planOf(17);
  const result = await run(reduced(plan, { ...whole(plan), faults: [], store: [] }));
  assert.equal(result.failure, null);
  const faults = [...result.counts.keys()].filter((what) =>
    what.startsWith("store ") || what.startsWith("line-")
  );
  assert.deepEqual(faults, []);
  for (const moved of ["replies", "answered ok", "transactions", "operations finished", "books compared"]) {
    assert.ok((result.counts.get(moved) ?? 0) > 0, moved);
  }
});
