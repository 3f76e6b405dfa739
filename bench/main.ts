/**
 * `deno task bench`: the speed and the memory of sessions, each beside a bare WebSocket echo in the same run.
 *
 * - `--peers`: also beside other systems, in more scenarios; within fifteen minutes. `bench/install.sh` installs them.
 * - `--quick`: fewer and shorter rounds; figures are rough.
 * - `--only loaded,single,memory,calls,streams,upstream,connections`: some of the parts; with `--peers` also those of the
 *   contest (`bench/rivals/contest.ts`).
 * - `--gigabyte`: in the part `upstream` a gigabyte instead of 64 MB, which takes four minutes.
 * - `--profile call-ephemeral,transaction-own`: nothing is measured; says where a server's time goes under these loads.
 * - `--systems bare,durable,socket.io`: some of the systems of the contest.
 * - `--rounds N`: another number of rounds.
 * - `--minutes N`: with `--peers`, how long the contest may take before what is left of it is skipped, in place of 12.
 * - `--write`: puts the report into `bench/RESULTS.md`, all figures into `bench/RESULTS.json`, charts into `bench/plots/`.
 * - `--strict`: ends with exit code 1 if a target is missed.
 */

import { cpus, totalmem } from "node:os";
import { parseArgs } from "node:util";
import { connections } from "./connections.ts";
import { profileReport } from "./profiling.ts";
import { type HeadToHead, headToHead, readParts, readSystems, writeCharts } from "./rivals/head_to_head.ts";
import { judge, type Measurements, report } from "./report.ts";
import { type Extent, FULL, memory, QUICK, type Shape, throughput } from "./scenarios.ts";
import type { Load } from "./speed_report.ts";
import { CALLS, DOWNLOADS, ECHOES, type System, SYSTEMS } from "./systems.ts";
import { upstream } from "./upstream.ts";

const PARTS = ["loaded", "single", "memory", "calls", "streams", "upstream", "connections"];

/** Bytes of a transfer from an upstream. */
const TRANSFER_BYTES = { usual: 64_000_000, gigabyte: 1_000_000_000 };

/** Connections of one session, and how many are enough for a look. */
const CONNECTIONS = { full: 10_000, quick: 2_000 };

/** Sessions and what each has in flight: usually, alone, and for downloads, whose credit that is. */
const LOADED: Shape = { sockets: 50, inFlight: 8 };
const SINGLE: Shape = { sockets: 1, inFlight: 1 };
const STREAMS: Shape = { sockets: 10, inFlight: 512 };

const { values } = parseArgs({
  args: Deno.args,
  options: {
    peers: { type: "boolean", default: false },
    quick: { type: "boolean", default: false },
    only: { type: "string" },
    systems: { type: "string" },
    rounds: { type: "string" },
    minutes: { type: "string" },
    write: { type: "boolean", default: false },
    strict: { type: "boolean", default: false },
    gigabyte: { type: "boolean", default: false },
    profile: { type: "string" },
  },
});
const wanted = values.only?.split(",");
const contestParts = values.peers ? readParts(wanted) : [];
const only = wanted === undefined ? PARTS : wanted.filter((part) => PARTS.includes(part));
const unknown = wanted?.find((part) =>
  !PARTS.includes(part) && !contestParts.some((known) => known === part)
);
if (unknown !== undefined) {
  const known = [...PARTS, ...(values.peers ? readParts() : [])];
  fail(`--only ${unknown}: the parts are ${known.join(", ")}`);
}
const systems = readSystems(values.systems?.split(","));
if (systems === null) fail(`--systems ${values.systems}: one of them is unknown`);
const base = values.quick ? QUICK : FULL;
const rounds = values.rounds === undefined ? undefined : Number(values.rounds);
if (rounds !== undefined && (!Number.isInteger(rounds) || rounds < 1)) {
  fail(`--rounds ${values.rounds}: a number of rounds from 1 on`);
}
const minutes = values.minutes === undefined ? undefined : Number(values.minutes);
if (minutes !== undefined && !(minutes > 0)) fail(`--minutes ${values.minutes}: a number of minutes above 0`);
// Beside others the whole must end within fifteen minutes.
const extent = { ...base, rounds: rounds ?? (values.peers ? Math.min(2, base.rounds) : base.rounds) };

function fail(message: string): never {
  console.error(message);
  Deno.exit(2);
}

const load = () => Deno.loadavg().map((average) => average.toFixed(2)).join(" ");
const before = load();

function machine(): Record<string, string> {
  const processors = cpus();
  return {
    "date": new Date().toISOString().slice(0, 10),
    "processor": `${processors.length} × ${processors[0]?.model.trim() ?? "unknown"}`,
    "memory": `${Math.round(totalmem() / 2 ** 30)} GiB`,
    "system": `${Deno.build.os} ${Deno.osRelease()}, ${Deno.build.arch}`,
    "runtime": `Deno ${Deno.version.deno}, V8 ${Deno.version.v8}`,
    "load before the run, averages of 1, 5 and 15 minutes": before,
    "load at its end": load(),
  };
}

const started = performance.now();
const progress = (text: string) => {
  console.error(`${((performance.now() - started) / 1000).toFixed(0).padStart(4)} s  ${text}`);
};

if (values.profile !== undefined) {
  const unknown = values.profile.split(",").find((name) => !SYSTEMS.some((system) => system === name));
  if (unknown !== undefined) fail(`--profile ${unknown}: the systems are ${SYSTEMS.join(", ")}`);
  for (const system of values.profile.split(",") as System[]) {
    const shape = shapeOf(system);
    console.log(await profileReport(system, shape, extent));
  }
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
    ? { upstream: await upstream(values.gigabyte ? TRANSFER_BYTES.gigabyte : TRANSFER_BYTES.usual, progress) }
    : {}),
  ...(only.includes("connections")
    ? { connections: await connections(values.quick ? CONNECTIONS.quick : CONNECTIONS.full, progress) }
    : {}),
};
const contest: HeadToHead | null = contestParts.length === 0
  ? null
  : await headToHead({ parts: contestParts, systems, quick: values.quick, rounds, minutes }, progress);
const measurements: Measurements = { machine: machine(), ...measured };
const text = `${report(measurements)}${contest === null ? "" : `\n${contest.text}\n`}`;
console.log(text);
const targets = [...judge(measurements), ...contest?.targets ?? []];
if (values.write) {
  await Deno.writeTextFile(new URL("RESULTS.md", import.meta.url), text);
  const figures = { ...measurements, ...(contest === null ? {} : { contest: contest.figures }), targets };
  await Deno.writeTextFile(
    new URL("RESULTS.json", import.meta.url),
    `${JSON.stringify(figures, null, 2)}\n`,
  );
  if (contest !== null) await writeCharts(contest);
}
if (values.strict && targets.some(({ met }) => !met)) Deno.exit(1);
