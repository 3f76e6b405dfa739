/**
 * `deno task bench`: the speed and the memory of sessions, each beside a bare WebSocket echo in the same run.
 *
 * - `--quick`: fewer and shorter rounds, within a minute; figures are rough.
 * - `--only loaded,single,memory`: some of the parts.
 * - `--rounds N`: another number of rounds.
 * - `--write`: puts the report into `bench/RESULTS.md` and all figures into `bench/RESULTS.json`.
 * - `--strict`: ends with exit code 1 if a target is missed.
 */

import { cpus, totalmem } from "node:os";
import { parseArgs } from "node:util";
import { type System, SYSTEMS } from "./peers.ts";
import { judge, type Measurements, report } from "./report.ts";
import { FULL, memory, QUICK, throughput } from "./scenarios.ts";

const PARTS = ["loaded", "single", "memory"];

const { values } = parseArgs({
  args: Deno.args,
  options: {
    quick: { type: "boolean", default: false },
    only: { type: "string", default: PARTS.join(",") },
    rounds: { type: "string" },
    write: { type: "boolean", default: false },
    strict: { type: "boolean", default: false },
  },
});
const only = values.only.split(",");
const unknown = only.find((part) => !PARTS.includes(part));
if (unknown !== undefined) fail(`--only ${unknown}: the parts are ${PARTS.join(", ")}`);
const base = values.quick ? QUICK : FULL;
const rounds = values.rounds === undefined ? base.rounds : Number(values.rounds);
if (!Number.isInteger(rounds) || rounds < 1) fail(`--rounds ${values.rounds}: a number of rounds from 1 on`);
const extent = { ...base, rounds };

function fail(message: string): never {
  console.error(message);
  Deno.exit(2);
}

function machine(): Record<string, string> {
  const processors = cpus();
  return {
    "date": new Date().toISOString().slice(0, 10),
    "processor": `${processors.length} × ${processors[0]?.model.trim() ?? "unknown"}`,
    "memory": `${Math.round(totalmem() / 2 ** 30)} GiB`,
    "system": `${Deno.build.os} ${Deno.osRelease()}, ${Deno.build.arch}`,
    "runtime": `Deno ${Deno.version.deno}, V8 ${Deno.version.v8}`,
    "load before the run": Deno.loadavg().map((average) => average.toFixed(2)).join(" "),
  };
}

const started = performance.now();
const progress = (text: string) => {
  console.error(`${((performance.now() - started) / 1000).toFixed(0).padStart(4)} s  ${text}`);
};

async function speed(systems: readonly System[], sockets: number, inFlight: number) {
  const shape = { sockets, inFlight };
  return { shape, rounds: await throughput(systems, shape, extent, progress) };
}

// With one message in flight there is nothing to batch.
const SINGLE = SYSTEMS.filter((system) => !system.endsWith("-unbatched"));

const measurements: Measurements = {
  machine: machine(),
  ...(only.includes("loaded") ? { loaded: await speed(SYSTEMS, 50, 8) } : {}),
  ...(only.includes("single") ? { single: await speed(SINGLE, 1, 1) } : {}),
  ...(only.includes("memory")
    ? {
      memory: {
        bare: await memory("bare", extent, progress),
        ephemeral: await memory("ephemeral", extent, progress),
        durable: await memory("durable", extent, progress),
      },
    }
    : {}),
};
const text = report(measurements);
console.log(text);
if (values.write) {
  const targets = judge(measurements);
  await Deno.writeTextFile(new URL("RESULTS.md", import.meta.url), text);
  await Deno.writeTextFile(
    new URL("RESULTS.json", import.meta.url),
    `${JSON.stringify({ ...measurements, targets }, null, 2)}\n`,
  );
}
if (values.strict && judge(measurements).some(({ met }) => !met)) Deno.exit(1);
