/** What is measured of all systems, and in which order: they take turns within a round. */

import {
  type Contest,
  type ContestExtent,
  GROWTH_IN_FLIGHT,
  type Measured,
  type Rounds,
} from "./contest_model.ts";
import { type Contender, CONTENDERS, type Job, type Pace, type Recovery } from "./jobs.ts";
import { RivalServer } from "./rival_server.ts";
import { batchedPace, breakJob, generate, killed, stormJob, weigh } from "./runs.ts";

/** The parts of a contest. */
export const CONTEST_PARTS = ["echo", "alone", "weight", "break", "storm", "kill", "growth"] as const;

/** One of {@link CONTEST_PARTS}. */
export type ContestPart = typeof CONTEST_PARTS[number];

/** Why a system does not take part in a scenario at all. */
const EXCUSES: { readonly [part in ContestPart]?: { readonly [contender in Contender]?: string } } = {
  weight: { "jetstream-publish": "it has no session" },
  break: { "jetstream-publish": "it has no session" },
  storm: { "jetstream-publish": "it has no session" },
  kill: { "jetstream-publish": "it has no session" },
  growth: { "jetstream-publish": "it has no session" },
};

/** Those that are compared with each other by a target, and so weighed in each round. */
const WEIGHED_OFTEN: readonly Contender[] = ["bare", "ephemeral", "durable", "socket.io"];

/** Who goes first while sessions grow: those that a target judges, then those whose many sessions are opened soon. */
const GROWTH_ORDER: readonly Contender[] = [
  ...["bare", "ephemeral", "durable", "socket.io", "colyseus"] as const,
  ...["mosquitto-qos1", "mosquitto-qos2", "river", "jetstream", "jetstream-publish"] as const,
];

/** A run that may be left out. */
export interface Turn {
  readonly part: ContestPart;
  readonly contender: Contender;
  /** From 0 on. */
  readonly round: number;
  /** The time of the whole run is over. */
  readonly over: boolean;
}

/** Why a run is left out: first what is the system's own reason, and only then that no time is left. */
export function whyNot({ part, contender, round, over }: Turn): string | undefined {
  const excuse = EXCUSES[part]?.[contender];
  if (excuse !== undefined) return excuse;
  if (part === "weight" && round > 0 && !WEIGHED_OFTEN.includes(contender)) return "weighed once";
  return over ? "the time of the run was over (`--minutes`)" : undefined;
}

/** The turns of a part. */
export function orderOf(part: ContestPart, contenders: readonly Contender[]): readonly Contender[] {
  return part === "growth" ? GROWTH_ORDER.filter((contender) => contenders.includes(contender)) : contenders;
}

/** Runs the parts. @param progress Is told of each result. */
export async function contest(
  parts: readonly ContestPart[],
  contenders: readonly Contender[],
  extent: ContestExtent,
  progress: (text: string) => void,
): Promise<Contest> {
  const { rounds, otherRounds, warmUp, duration } = extent;
  const until = performance.now() + extent.most;
  const take = async <T extends object>(
    part: ContestPart,
    times: number,
    work: (contender: Contender) => Promise<T>,
  ): Promise<Rounds<T>> => {
    const results: { [contender in Contender]?: Measured<T>[] } = {};
    for (let round = 0; round < times; round++) {
      for (const contender of orderOf(part, contenders)) {
        const why = whyNot({ part, contender, round, over: performance.now() > until });
        const result = why === undefined ? await attempt(() => work(contender)) : { why };
        (results[contender] ??= []).push(result);
        progress(`${part} ${contender}: ${JSON.stringify(result)}`);
      }
    }
    return results;
  };
  const wants = (part: ContestPart) => parts.includes(part);
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
  const alone = wants("alone") ? await take("alone", otherRounds, pace(1, 1)) : undefined;
  const weight = wants("weight")
    ? await take("weight", otherRounds, (contender) => weigh(contender, extent))
    : undefined;
  const broken = wants("break") ? await take("break", otherRounds, run(() => breakJob(extent))) : undefined;
  const storm = wants("storm")
    ? await take("storm", otherRounds, run(({ pid }) => stormJob(extent, pid)))
    : undefined;
  const kill = wants("kill") ? await take("kill", otherRounds, killed) : undefined;
  if (wants("growth")) {
    for (const sessions of extent.growth) {
      growth.push(
        await take("growth", 1, async (contender) => {
          await using server = await RivalServer.start(contender);
          return await generate(contender, server, {
            kind: "growth",
            sessions,
            inFlight: GROWTH_IN_FLIGHT,
            within: extent.opening,
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
