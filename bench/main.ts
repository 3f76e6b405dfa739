/**
 * `deno task bench`: the speed and the memory of sessions, each beside a bare WebSocket echo in the same run.
 *
 * `deno task bench --peers --write` makes `bench/RESULTS.md`, on a machine that does nothing else; `sh bench/install.sh`
 * comes before it. It takes about 22 minutes on two cores: five for the product's own parts, fourteen for the contest, which
 * skips what is left after `--minutes`, and up to three for the profiles of what is missed.
 *
 * - `--peers`: also beside other systems, in more scenarios; `bench/install.sh` installs them.
 * - `--quick`: fewer and shorter rounds; figures are rough.
 * - `--only loaded,single,memory,calls,streams,upstream,connections`: some of the parts; with `--peers` also those of the
 *   contest (`bench/rivals/contest.ts`).
 * - `--gigabyte`: in the part `upstream` a gigabyte instead of 64 MB, which takes four minutes.
 * - `--profile call-ephemeral,transaction-own`: nothing is measured; says where a server's time goes under these loads.
 * - `--systems bare,durable,socket.io`: some of the systems of the contest.
 * - `--rounds N`: another number of rounds.
 * - `--minutes N`: with `--peers`, how long the contest may take before what is left of it is skipped, in place of 30.
 * - `--write`: puts the report into `bench/RESULTS.md`, all figures into `bench/RESULTS.json`, charts into `bench/plots/`;
 *   only a run of everything may.
 * - `--strict`: ends with exit code 1 if a target is missed.
 * - `--help`: says all that, and does nothing.
 */

import { cpus, totalmem } from "node:os";
import { explain } from "./bounds.ts";
import { commit } from "./commit.ts";
import { connections } from "./connections.ts";
import { root } from "./line_process.ts";
import { Witness } from "./missed.ts";
import { readOptions } from "./options.ts";
import { profileReport } from "./profiling.ts";
import { type HeadToHead, headToHead, writeCharts } from "./rivals/head_to_head.ts";
import { judge, type Measurements, report } from "./report.ts";
import { type Extent, FULL, memory, QUICK, type Shape, throughput } from "./scenarios.ts";
import type { Load } from "./speed_report.ts";
import { CALLS, DOWNLOADS, ECHOES, type System } from "./systems.ts";
import { upstream } from "./upstream.ts";

/** Bytes of a transfer from an upstream. */
const TRANSFER_BYTES = { usual: 64_000_000, gigabyte: 1_000_000_000 };

/** Connections of one session, and how many are enough for a look. */
const CONNECTIONS = { full: 10_000, quick: 2_000 };

/** Sessions and what each has in flight: usually, alone, and for downloads, whose credit that is. */
const LOADED: Shape = { sockets: 50, inFlight: 8 };
const SINGLE: Shape = { sockets: 1, inFlight: 1 };
const STREAMS: Shape = { sockets: 10, inFlight: 512 };

const asked = readOptions(Deno.args);
if (asked.kind === "help") {
  console.log(asked.text);
  Deno.exit(0);
}
if (asked.kind === "refused") {
  console.error(asked.why);
  Deno.exit(2);
}
const { parts: only, contestParts, systems, quick, gigabyte, rounds, minutes, profile, write, strict } =
  asked.options;
const base = quick ? QUICK : FULL;
// The contest repeats the echoes, so fewer rounds of them are enough here.
const usual = contestParts.length > 0 ? Math.min(2, base.rounds) : base.rounds;
const extent = { ...base, rounds: rounds ?? usual };

/** As `deno task ok` wants files to be. */
async function format(...files: string[]): Promise<void> {
  const { success } = await new Deno.Command(Deno.execPath(), {
    args: ["fmt", "--quiet", ...files],
    cwd: root,
  })
    .output();
  if (!success) console.error(`deno fmt ${files.join(" ")} failed`);
}

const load = () => Deno.loadavg().map((average) => average.toFixed(2)).join(" ");
const before = load();
// What is run, whatever happens to the clone while it runs.
const code = await commit();

function machine(): Record<string, string> {
  const processors = cpus();
  return {
    "date": new Date().toISOString().slice(0, 10),
    "commit": code,
    "processor": `${processors.length} × ${processors[0]?.model.trim() ?? "unknown"}`,
    "memory": `${Math.round(totalmem() / 2 ** 30)} GiB`,
    "system": `${Deno.build.os} ${Deno.osRelease()}, ${Deno.build.arch}`,
    "runtime": `Deno ${Deno.version.deno}, V8 ${Deno.version.v8}`,
    "load before the run, averages of 1, 5 and 15 minutes": before,
    "load at its end": load(),
    "it took": `${((performance.now() - started) / 60_000).toFixed(1)} minutes`,
  };
}

const started = performance.now();
const progress = (text: string) => {
  console.error(`${((performance.now() - started) / 1000).toFixed(0).padStart(4)} s  ${text}`);
};

if (profile !== undefined) {
  for (const system of profile) console.log(await profileReport(system, shapeOf(system), extent));
  Deno.exit(0);
}

function shapeOf(system: System): Shape {
  return DOWNLOADS.some((download) => download === system) ? STREAMS : LOADED;
}

async function speed(systems: readonly System[], shape: Shape, some: Partial<Extent> = {}): Promise<Load> {
  return { shape, rounds: await throughput(systems, () => shape, { ...extent, ...some }, progress) };
}

/** What these parts add is measured in fewer and shorter rounds, so that the whole ends in time. */
const BRIEF: Partial<Extent> = {
  rounds: rounds ?? Math.min(3, extent.rounds),
  warmUp: Math.min(700, extent.warmUp),
  duration: Math.min(1300, extent.duration),
};

// With one message in flight there is nothing to batch.
const ALONE = ECHOES.filter((system) => !system.endsWith("-unbatched"));
const CALLS_ALONE: readonly System[] = ["bare", "call-ephemeral", "call-durable", "transaction-own"];

async function streams(): Promise<Load> {
  const systems: readonly System[] = ["bare", ...DOWNLOADS];
  return { shape: STREAMS, rounds: await throughput(systems, shapeOf, { ...extent, ...BRIEF }, progress) };
}

const measured: Omit<Measurements, "machine"> = {
  ...(only.includes("loaded") ? { loaded: await speed(ECHOES, LOADED) } : {}),
  ...(only.includes("single") ? { single: await speed(ALONE, SINGLE) } : {}),
  ...(only.includes("memory")
    ? {
      memory: {
        bare: await memory("bare", extent, progress),
        ephemeral: await memory("ephemeral", extent, progress),
        durable: await memory("durable", extent, progress),
      },
    }
    : {}),
  ...(only.includes("calls")
    ? {
      calls: {
        loaded: await speed(["bare", ...CALLS], LOADED, BRIEF),
        single: await speed(CALLS_ALONE, SINGLE, BRIEF),
      },
    }
    : {}),
  ...(only.includes("streams") ? { streams: await streams() } : {}),
  ...(only.includes("upstream")
    ? { upstream: await upstream(gigabyte ? TRANSFER_BYTES.gigabyte : TRANSFER_BYTES.usual, progress) }
    : {}),
  ...(only.includes("connections")
    ? { connections: await connections(quick ? CONNECTIONS.quick : CONNECTIONS.full, progress) }
    : {}),
};
const witness = new Witness(progress);
const contest: HeadToHead | null = contestParts.length === 0
  ? null
  : await headToHead({ parts: contestParts, systems, quick, rounds, minutes }, progress, witness);
const shapes = { loaded: LOADED, single: SINGLE, streams: STREAMS };
const own = judge({ machine: {}, ...measured });
const misses = await explain(own, measured, shapes, extent, witness);
const measurements: Measurements = { machine: machine(), ...measured };
const text = `${report(measurements, misses)}${contest === null ? "" : `\n${contest.text}\n`}`;
console.log(text);
const targets = [...own, ...contest?.targets ?? []];
if (write) {
  await Deno.writeTextFile(new URL("RESULTS.md", import.meta.url), text);
  const figures = {
    ...measurements,
    ...(contest === null ? {} : { contest: { settings: contest.settings, ...contest.figures } }),
    targets,
  };
  await Deno.writeTextFile(
    new URL("RESULTS.json", import.meta.url),
    `${JSON.stringify(figures, null, 2)}\n`,
  );
  if (contest !== null) await writeCharts(contest);
  await format("bench/RESULTS.md", "bench/RESULTS.json");
}
if (strict && targets.some(({ met }) => !met)) Deno.exit(1);
