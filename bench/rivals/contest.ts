/** What is measured of all systems, and in which order: they take turns within a round. */

import { LineProcess } from "../line_process.ts";
import { runLoad } from "../processes.ts";
import { type Contender, CONTENDERS, type Job, type Pace, type Recovery } from "./jobs.ts";
import { generatorProgram } from "./programs.ts";
import { type SelfTime, topFunctions } from "./profile.ts";
import { RivalServer } from "./rival_server.ts";

/** How much is measured; times in milliseconds. */
export interface ContestExtent {
  readonly rounds: number;
  readonly warmUp: number;
  readonly duration: number;
  /** Idle sessions that are weighed. */
  readonly held: number;
  readonly breaks: number;
  readonly storm: number;
  readonly growth: readonly number[];
  readonly killRounds: number;
}

/** Everything, within fifteen minutes. */
export const FULL_CONTEST: ContestExtent = {
  rounds: 3,
  warmUp: 900,
  duration: 1500,
  held: 1000,
  breaks: 15,
  storm: 2000,
  growth: [100, 1_000, 10_000],
  killRounds: 2,
};

/** For a look while developing. */
export const QUICK_CONTEST: ContestExtent = {
  rounds: 1,
  warmUp: 400,
  duration: 500,
  held: 200,
  breaks: 5,
  storm: 300,
  growth: [50, 200],
  killRounds: 1,
};

/** Messages missed by each session in a break and in the storm. */
export const MISSED = { break: 100, storm: 10 };

/** Sessions, and messages in flight for each, when the server is killed. */
export const KILL = { sessions: 50, inFlight: 4, before: 800 };

/** Sessions that dial at the same time in the storm. */
export const STORM_DIALS = 64;

/** Messages in flight over all sessions while their number grows. */
export const GROWTH_IN_FLIGHT = 400;

/** A measurement, or why there is none. */
export type Measured<T> = T | { readonly why: string };

/** True if it was measured. */
export function isMeasured<T extends object>(result: Measured<T> | undefined): result is T {
  return result !== undefined && !("why" in result);
}

/** Per system, one for each round. */
export type Rounds<T> = { readonly [contender in Contender]?: readonly Measured<T>[] };

/** Resident bytes that one more idle session adds to the server. */
export interface SessionWeight {
  readonly attached: number;
  readonly detached: number;
}

/** Everything that the contest measured; a part that was not asked for is absent. */
export interface Contest {
  readonly extent: ContestExtent;
  readonly echo?: Rounds<Pace>;
  readonly alone?: Rounds<Pace>;
  readonly weight?: Rounds<SessionWeight>;
  readonly break?: Rounds<Recovery>;
  readonly storm?: Rounds<Recovery>;
  readonly kill?: Rounds<Recovery>;
  /** One entry per size of {@link ContestExtent.growth}, each with one round. */
  readonly growth?: readonly Rounds<Pace>[];
}

/** The parts of a contest. */
export const CONTEST_PARTS = ["echo", "alone", "weight", "break", "storm", "kill", "growth"] as const;

type Part = typeof CONTEST_PARTS[number];

/** Longest that one run may take. Milliseconds. */
const RUN_MS = 45_000;

/** Why a system does not take part in a scenario at all. */
const EXCUSES: { readonly [part in Part]?: { readonly [contender in Contender]?: string } } = {
  weight: { "jetstream-publish": "it has no session" },
  break: { "jetstream-publish": "it has no session" },
  storm: { "jetstream-publish": "it has no session" },
  kill: { "jetstream-publish": "it has no session" },
  growth: { "jetstream-publish": "it has no session" },
};

const excuse = (part: Part, contender: Contender) => EXCUSES[part]?.[contender];

/**
 * Where the time of a Holdfast server goes in one scenario; apart from the measurements, which it would disturb.
 *
 * @returns The functions that take most, most first.
 */
export async function profiled(
  contender: "ephemeral" | "durable",
  part: "echo" | "break" | "storm",
  extent: ContestExtent,
): Promise<SelfTime[]> {
  const directory = await Deno.makeTempDir({ prefix: "holdfast-profile-" });
  const file = `${directory}/server.cpuprofile`;
  try {
    {
      await using server = await RivalServer.start(contender, file);
      if (part === "echo") await batchedPace(contender, server, 50, 8, extent);
      else {await generate<Recovery>(
          contender,
          server,
          part === "break" ? breakJob(extent) : stormJob(extent),
        );}
    }
    return topFunctions(await Deno.readTextFile(file), 14);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

const breakJob = ({ breaks }: ContestExtent): Job => ({ kind: "break", times: breaks, missed: MISSED.break });

const stormJob = ({ storm }: ContestExtent): Job => {
  return { kind: "storm", sessions: storm, missed: MISSED.storm, dials: STORM_DIALS };
};

/** Runs the parts. @param progress Is told of each result. */
export async function contest(
  parts: readonly Part[],
  contenders: readonly Contender[],
  extent: ContestExtent,
  progress: (text: string) => void,
): Promise<Contest> {
  const { rounds, warmUp, duration } = extent;
  const take = async <T extends object>(
    part: Part,
    times: number,
    work: (contender: Contender) => Promise<T>,
  ): Promise<Rounds<T>> => {
    const results: { [contender in Contender]?: Measured<T>[] } = {};
    for (let round = 0; round < times; round++) {
      for (const contender of contenders) {
        const why = excuse(part, contender);
        const result = why === undefined ? await attempt(() => work(contender)) : { why };
        (results[contender] ??= []).push(result);
        progress(`${part} ${contender}: ${JSON.stringify(result)}`);
      }
    }
    return results;
  };
  const wants = (part: Part) => parts.includes(part);
  const pace = (sessions: number, inFlight: number) => async (contender: Contender): Promise<Pace> => {
    await using server = await RivalServer.start(contender);
    if (contender === "bare" || contender === "ephemeral" || contender === "durable") {
      return await batchedPace(contender, server, sessions, inFlight, extent);
    }
    // One client with as many messages in flight.
    const shape = contender === "jetstream-publish"
      ? { sessions: 1, inFlight: sessions * inFlight }
      : { sessions, inFlight };
    return await generate(contender, server, { kind: "echo", ...shape, warmUp, duration, pid: server.pid });
  };
  const run = (job: (server: RivalServer) => Job) => async (contender: Contender): Promise<Recovery> => {
    await using server = await RivalServer.start(contender);
    return await generate(contender, server, job(server));
  };
  const growth: Rounds<Pace>[] = [];
  const echo = wants("echo") ? await take("echo", rounds, pace(50, 8)) : undefined;
  const alone = wants("alone") ? await take("alone", rounds, pace(1, 1)) : undefined;
  const weight = wants("weight")
    ? await take("weight", 1, (contender) => weigh(contender, extent))
    : undefined;
  const broken = wants("break") ? await take("break", rounds, run(() => breakJob(extent))) : undefined;
  const storm = wants("storm")
    ? await take(
      "storm",
      rounds,
      run(() => stormJob(extent)),
    )
    : undefined;
  const kill = wants("kill") ? await take("kill", extent.killRounds, killed) : undefined;
  if (wants("growth")) {
    for (const sessions of extent.growth) {
      growth.push(
        await take("growth", 1, async (contender) => {
          await using server = await RivalServer.start(contender);
          return await generate(contender, server, {
            kind: "growth",
            sessions,
            inFlight: GROWTH_IN_FLIGHT,
            warmUp,
            duration,
            pid: server.pid,
          });
        }),
      );
    }
  }
  return {
    extent,
    ...(echo === undefined ? {} : { echo }),
    ...(alone === undefined ? {} : { alone }),
    ...(weight === undefined ? {} : { weight }),
    ...(broken === undefined ? {} : { break: broken }),
    ...(storm === undefined ? {} : { storm }),
    ...(kill === undefined ? {} : { kill }),
    ...(growth.length === 0 ? {} : { growth }),
  };
}

/** All systems. */
export const ALL: readonly Contender[] = CONTENDERS;

/** A system that fails a scenario does not end the contest; the report says what happened. */
async function attempt<T extends object>(work: () => Promise<T>): Promise<Measured<T>> {
  try {
    return await work();
  } catch (error) {
    return { why: error instanceof Error ? error.message : String(error) };
  }
}

/** The product's own generator, which sends what one frame caused in one frame; the bare echo's runs beside it. */
async function batchedPace(
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
async function generate<T extends object>(contender: Contender, { url }: RivalServer, job: Job): Promise<T> {
  const process = new LineProcess(generatorProgram(contender, JSON.stringify({ contender, url, job })));
  try {
    const [text] = await process.line(/^\{.*\}$/, RUN_MS);
    return JSON.parse(text);
  } finally {
    await process.stop();
  }
}

/** While the generator kills the server, somebody waits to start it again. */
async function killed(contender: Contender): Promise<Recovery> {
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
async function weigh(contender: Contender, { held }: ContestExtent): Promise<SessionWeight> {
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
  return { attached: (first.full - before) / held, detached: (second.left - first.left) / held };
}
