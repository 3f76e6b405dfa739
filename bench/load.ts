/**
 * The load generator, a process of its own: many connections with some messages each in flight, every answer checked.
 *
 * Run as `deno run -A bench/load.ts '{"system": "bare", "url": "http://127.0.0.1:8080", "sockets": 50, "inFlight": 8}'`.
 * Prints when it measured, `windows` and JSON, and one line of JSON, a `LoadResult`. An echo that is wrong, missing, doubled or out of order ends it with exit code 1.
 */

import { cpuTime } from "./cpu.ts";
import { type LoadOptions, loadOptions, type LoadResult } from "./load_options.ts";
import type { Meter } from "./peers.ts";
import type { KvCounts } from "./servers/stats.ts";
import { openPeers } from "./systems.ts";

/** More round trips than a run can have. */
const MOST_SAMPLES = 4_000_000;

/** How long echoes may take to come in when sending has stopped. */
const DRAIN_MS = 10_000;
/** How long is listened for echoes that nobody asked for. */
const STRAY_MS = 50;

class RoundTrips implements Meter {
  measuring = false;
  count = 0;
  readonly #times = new Float64Array(MOST_SAMPLES);

  record(roundTrip: number): void {
    if (this.measuring) this.#times[this.count++] = roundTrip;
  }

  failed(error: Error): never {
    console.error(error.message);
    Deno.exit(1);
  }

  /** Sorts what was recorded; only for the end of a run. */
  quantiles(...shares: number[]): number[] {
    const sorted = this.#times.subarray(0, this.count).sort();
    return shares.map((share) => sorted[Math.min(this.count - 1, Math.floor(this.count * share))] ?? NaN);
  }
}

interface Moment {
  readonly at: number;
  readonly generatorCpu: number | undefined;
  readonly serverCpu: number | undefined;
  readonly kv: KvCounts | undefined;
  /** Round trips that the Deno KV counts include. */
  readonly kvEchoes: number;
}

async function moment(options: LoadOptions, trips: RoundTrips): Promise<Moment> {
  const kv: KvCounts | undefined = options.stats === undefined
    ? undefined
    : await (await fetch(options.stats)).json();
  return {
    at: performance.now(),
    generatorCpu: cpuTime(Deno.pid),
    serverCpu: options.pid === undefined ? undefined : cpuTime(options.pid),
    kv,
    kvEchoes: trips.count,
  };
}

function between(from: Moment, to: Moment): Omit<LoadResult, "p50" | "p99"> {
  const elapsed = to.at - from.at;
  const echoes = to.kvEchoes - from.kvEchoes;
  const share = (a: number | undefined, b: number | undefined) => {
    return a === undefined || b === undefined ? undefined : (b - a) / elapsed;
  };
  const generatorCpu = share(from.generatorCpu, to.generatorCpu);
  const serverCpu = share(from.serverCpu, to.serverCpu);
  return {
    messagesPerSecond: echoes / elapsed * 1000,
    ...(generatorCpu === undefined ? {} : { generatorCpu }),
    ...(serverCpu === undefined ? {} : { serverCpu }),
    ...(from.kv === undefined || to.kv === undefined ? {} : {
      mutationsPerEcho: (to.kv.mutations - from.kv.mutations) / echoes,
      atomicsPerEcho: (to.kv.atomics - from.kv.atomics) / echoes,
    }),
  };
}

const wait = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

async function run(options: LoadOptions): Promise<LoadResult> {
  const trips = new RoundTrips();
  const peers = await openPeers(options.system, options.sockets, { ...options, meter: trips });
  for (const peer of peers) {
    peer.refilling = true;
    peer.fill();
  }
  await wait(options.warmUp);
  trips.measuring = true;
  const from = await moment(options, trips);
  await wait(options.duration);
  const to = await moment(options, trips);
  trips.measuring = false;
  for (const peer of peers) peer.refilling = false;
  const patience = performance.now() + DRAIN_MS;
  while (peers.some((peer) => peer.outstanding > 0)) {
    if (performance.now() > patience) trips.failed(new Error(`echoes are missing after ${DRAIN_MS} ms`));
    await wait(5);
  }
  for (const peer of peers) peer.ack();
  await wait(STRAY_MS);
  await Promise.all(peers.map((peer) => peer.close()));
  const [p50 = NaN, p99 = NaN] = trips.quantiles(0.5, 0.99);
  console.log(`windows ${JSON.stringify([[from.at, to.at].map((at) => performance.timeOrigin + at)])}`);
  return { ...between(from, to), p50, p99 };
}

const options = loadOptions.parse(JSON.parse(Deno.args[0] ?? "{}"));
console.log(JSON.stringify(await run(options)));
