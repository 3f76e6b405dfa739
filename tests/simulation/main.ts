/** `deno task simulate`: runs seeds, prints what happened in them, and shrinks the first one that fails. */

import { parseArgs } from "node:util";
import { FAULT_KINDS, planOf } from "./plan.ts";
import { run } from "./run.ts";
import { reduced, type Reduction, shrink, whole } from "./shrink.ts";
import type { StoreFaultKind } from "./sim_store.ts";

const HELP = `deno task simulate [options]
  --seeds N      how many seeds (2000)
  --first N      the first of them (1)
  --minutes M    until M minutes are over, instead of --seeds
  --seed N       one seed, with its trace
  --faults 1,2   of that seed, only these timed faults; likewise --store a,b and --clients 0,1
  --keep-going   all seeds, also after failures; none is shrunk
  --no-shrink    ends with the first failure as it is`;

const { values } = parseArgs({
  options: {
    seeds: { type: "string", default: "2000" },
    first: { type: "string", default: "1" },
    minutes: { type: "string" },
    seed: { type: "string" },
    faults: { type: "string" },
    store: { type: "string" },
    clients: { type: "string" },
    "keep-going": { type: "boolean", default: false },
    "no-shrink": { type: "boolean", default: false },
    help: { type: "boolean", default: false },
  },
});

if (values.help) console.log(HELP);
else if (values.seed !== undefined) Deno.exitCode = await replay(Number(values.seed)) ? 0 : 1;
else Deno.exitCode = await sweep() ? 0 : 1;

/** Runs many seeds. @returns Whether all of them passed. */
async function sweep(): Promise<boolean> {
  const first = Number(values.first);
  const began = performance.now();
  const until = values.minutes === undefined ? Infinity : began + Number(values.minutes) * 60_000;
  const seeds = values.minutes === undefined ? Number(values.seeds) : Infinity;
  const counts = new Map<string, number>();
  const failed: number[] = [];
  let steps = 0;
  let ran = 0;
  for (let seed = first; seed < first + seeds && performance.now() < until; seed++) {
    const result = await run(planOf(seed));
    ran++;
    steps += result.steps;
    for (const [what, count] of result.counts) counts.set(what, (counts.get(what) ?? 0) + count);
    if (ran % 500 === 0) console.log(`${ran} seeds, ${steps} steps`);
    if (result.failure === null) continue;
    failed.push(seed);
    console.log(`seed ${seed}: ${result.failure}`);
    if (values["keep-going"]) continue;
    if (!values["no-shrink"]) await explain(seed);
    break;
  }
  const seconds = (performance.now() - began) / 1000;
  console.log(
    `\n${ran} seeds from ${first}, ${steps} steps, ${failed.length} failed, ${seconds.toFixed(1)} s`,
  );
  const print = (title: string, kept: (what: string) => boolean) => {
    const some = [...counts].filter(([what]) => kept(what)).sort();
    console.log(`${title}: ${some.reduce((sum, [, count]) => sum + count, 0)}`);
    for (const [what, count] of some) console.log(`  ${what}: ${count}`);
  };
  const isAnswer = (what: string) => what.startsWith("answered ");
  const isOperation = (what: string) => what.startsWith("operation");
  const isTransaction = (what: string) =>
    what.startsWith("transactions") || what.startsWith("commits with data");
  const isOther = (what: string) => ![isFault, isAnswer, isOperation, isTransaction].some((is) => is(what));
  print("faults", isFault);
  print("calls answered", isAnswer);
  print("operations, their calls and their records", isOperation);
  print("transactions and their commits", isTransaction);
  print("what moved", isOther);
  if (failed.length > 1) console.log(`failed: ${failed.join(" ")}`);
  return failed.length === 0;
}

async function explain(seed: number): Promise<void> {
  console.log("shrinking …");
  const { faults, store, clients } = await shrink(planOf(seed));
  const plan = reduced(planOf(seed), { faults, store, clients });
  const result = await run(plan);
  for (const line of result.trace.slice(-80)) console.log(line);
  console.log(`\n${plan.clients.length} clients, these faults:`);
  for (const { at, kind, size } of plan.faults) console.log(`  ${at} ms: ${kind} ${size}`);
  console.log(`store: ${JSON.stringify(plan.rates)}`);
  console.log(result.failure);
  // An empty list would read as no option at all.
  const listed = (items: readonly (string | number)[]) => items.length === 0 ? "none" : items.join(",");
  console.log(
    `deno task simulate --seed ${seed} --clients ${listed(clients)} --store ${listed(store)} --faults ${
      listed(faults)
    }`,
  );
}

/** Runs one seed, or what is kept of it, with its trace. @returns Whether it passed. */
async function replay(seed: number): Promise<boolean> {
  const plan = planOf(seed);
  const all = whole(plan);
  const list = (text: string | undefined) => text?.split(",").filter((part) => part !== "none");
  const reduction: Reduction = {
    faults: list(values.faults)?.map(Number) ?? all.faults,
    store: list(values.store) as StoreFaultKind[] | undefined ?? all.store,
    clients: list(values.clients)?.map(Number) ?? all.clients,
  };
  const result = await run(reduced(plan, reduction), (line) => console.log(line));
  console.log(`\nseed ${seed}: ${result.failure ?? "passed"}, ${result.steps} steps, hash ${result.hash}`);
  return result.failure === null;
}

function isFault(what: string): boolean {
  return what.startsWith("store ") || (FAULT_KINDS as readonly string[]).includes(what);
}
