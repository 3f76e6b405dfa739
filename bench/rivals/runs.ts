/** One measurement each: a fresh server, a generator, and what they say. */

import { LineProcess } from "../line_process.ts";
import { runLoad, watchLoad } from "../processes.ts";
import { Profiler } from "../profiling.ts";
import { type ContestExtent, KILL, MISSED, type SessionWeight, STORM_DIALS } from "./contest_model.ts";
import type { BreakJob, Contender, Job, Pace, Recovery, StormJob } from "./jobs.ts";
import { type SelfTime, topFunctions, type Window } from "./profile.ts";
import { generatorProgram } from "./programs.ts";
import { RivalServer } from "./rival_server.ts";

/** Longest that one run may take; beyond it comes what opening many sessions may. Milliseconds. */
const RUN_MS = 40_000;

/** Cuts one session off, again and again. */
export const breakJob = ({ breaks }: Pick<ContestExtent, "breaks">): BreakJob => ({
  kind: "break",
  times: breaks,
  missed: MISSED.break,
});

/** Cuts all sessions off at once. */
export const stormJob = ({ storm }: ContestExtent, pid: number): StormJob => {
  return { kind: "storm", sessions: storm, missed: MISSED.storm, dials: STORM_DIALS, pid };
};

/** The product's own generator, which sends what one frame caused in one frame; the bare echo's runs beside it. */
export async function batchedPace(
  system: "bare" | "ephemeral" | "durable",
  { url, pid }: RivalServer,
  sockets: number,
  inFlight: number,
  { warmUp, duration }: ContestExtent,
): Promise<Pace> {
  const result = await runLoad({ system, url, pid, sockets, inFlight, warmUp, duration });
  const cost = (share: number | undefined) => (share ?? NaN) * 1e6 / result.messagesPerSecond;
  return {
    perSecond: result.messagesPerSecond,
    p50: result.p50,
    p99: result.p99,
    serverCost: cost(result.serverCpu),
    generatorCost: cost(result.generatorCpu),
  };
}

/** Runs a generator once. */
export async function generate<T extends object>(
  contender: Contender,
  { url }: RivalServer,
  job: Job,
): Promise<T> {
  const process = new LineProcess(generatorProgram(contender, JSON.stringify({ contender, url, job })));
  try {
    return await resultOf(process, RUN_MS + (job.kind === "growth" ? job.within : 0));
  } finally {
    await process.stop();
  }
}

async function resultOf<T extends object>(process: LineProcess, within: number): Promise<T> {
  const [text] = await process.line(/^\{.*\}$/, within);
  const result: T | { readonly failed: string } = JSON.parse(text);
  if ("failed" in result) throw new Error(result.failed);
  return result;
}

/** Runs a generator once, for when it did what is measured. */
async function watch(
  contender: Contender,
  { url }: RivalServer,
  job: BreakJob | StormJob,
): Promise<readonly Window[]> {
  const process = new LineProcess(generatorProgram(contender, JSON.stringify({ contender, url, job })));
  try {
    const [said, windows] = await process.line(/^windows (.*)$|^\{.*\}$/, RUN_MS);
    if (windows === undefined) throw new Error(JSON.parse(said).failed);
    return JSON.parse(windows);
  } finally {
    await process.stop();
  }
}

/** While the generator kills the server, somebody waits to start it again. */
export async function killed(contender: Contender): Promise<Recovery> {
  await using server = await RivalServer.start(contender);
  const job: Job = { kind: "kill", ...KILL, pid: server.pid };
  const [result] = await Promise.all([generate<Recovery>(contender, server, job), server.revive()]);
  return result;
}

/** Sessions that are held by a process of their own. */
class Holder implements AsyncDisposable {
  private constructor(private readonly process: LineProcess) {}

  static async open(
    contender: Contender,
    { url }: RivalServer,
    sessions: number,
    from: number,
  ): Promise<Holder> {
    const job: Job = { kind: "hold", sessions, from };
    const process = new LineProcess(generatorProgram(contender, JSON.stringify({ contender, url, job })));
    try {
      await process.line(/^held$/, RUN_MS);
      return new Holder(process);
    } catch (error) {
      await process.stop();
      throw error;
    }
  }

  async drop(): Promise<void> {
    await this.process.say("drop");
    await this.process.line(/^dropped$/, RUN_MS);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.process.stop();
  }
}

/** Long enough for a server to notice that a client is gone, and for a durable session to be parked. */
const DROPPED_MS = 3_500;

/**
 * Weighs idle sessions.
 *
 * As many are opened before anything is weighed, so that pools and heaps have grown, and what dropped ones leave is weighed
 * the second time that they are dropped.
 */
export async function weigh(contender: Contender, { held }: ContestExtent): Promise<SessionWeight> {
  await using server = await RivalServer.start(contender);
  await using _ballast = await Holder.open(contender, server, held, 1);
  const before = await server.weight();
  const holdAndDrop = async (from: number) => {
    await using holder = await Holder.open(contender, server, held, from);
    const full = await server.weight();
    await holder.drop();
    await new Promise((resolve) => setTimeout(resolve, DROPPED_MS));
    return { full, left: await server.weight() };
  };
  const first = await holdAndDrop(held + 1);
  const second = await holdAndDrop(2 * held + 1);
  const each = (from: number | undefined, to: number | undefined) => ((to ?? NaN) - (from ?? NaN)) / held;
  return {
    attached: each(before.resident, first.full.resident),
    ...(before.heap === undefined ? {} : {
      heap: each(before.heap, first.full.heap),
      external: each(before.external, first.full.external),
    }),
    detached: each(first.left.resident, second.left.resident),
  };
}

/** Breaks of a run that is profiled: one takes few milliseconds, and so few samples. */
const PROFILED_BREAKS = 60;

/** The shape of the echo at full load. */
const LOADED = { sockets: 50, inFlight: 8 };

/**
 * Where the time of a Holdfast server goes in one scenario, and only while what is measured is done; apart from the
 * measurements, which it would disturb.
 *
 * @returns The functions that take most, most first.
 */
export async function profiled(
  contender: "ephemeral" | "durable",
  part: "echo" | "break" | "storm",
  extent: ContestExtent,
): Promise<SelfTime[]> {
  await using server = await RivalServer.start(contender);
  const { url, pid, stats } = server;
  const profiler = await Profiler.start(stats);
  const windows = await (async () => {
    switch (part) {
      case "echo": {
        const { warmUp, duration } = extent;
        return (await watchLoad({ system: contender, url, pid, ...LOADED, warmUp, duration })).windows;
      }
      case "break":
        return await watch(contender, server, breakJob({ breaks: PROFILED_BREAKS }));
      case "storm":
        return await watch(contender, server, stormJob(extent, pid));
      default:
        return part satisfies never;
    }
  })();
  return topFunctions(await profiler.stop(), windows, 14);
}
