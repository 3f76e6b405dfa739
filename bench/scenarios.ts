/** What is measured, and in which order: systems take turns within a round, so that noise of the machine meets all. */

import { Held, runLoad, Server } from "./processes.ts";
import type { LoadResult } from "./load_options.ts";
import type { System } from "./peers.ts";

/** How much is measured; times in milliseconds. */
export interface Extent {
  readonly rounds: number;
  readonly warmUp: number;
  readonly duration: number;
  /** Idle connections per system whose memory is weighed. */
  readonly held: number;
}

/** Everything; about three minutes. */
export const FULL: Extent = { rounds: 5, warmUp: 1000, duration: 2000, held: 2000 };

/** For a look while developing; within a minute. */
export const QUICK: Extent = { rounds: 3, warmUp: 600, duration: 700, held: 1000 };

/** The systems that are compared, the floor first. */
export const SYSTEMS: readonly System[] = ["bare", "naive", "ephemeral", "durable"];

/** One round: each system's run, one after the other. */
export type Round = Readonly<Record<System, LoadResult>>;

/** How many connections, with how many messages in flight each. */
export interface Shape {
  readonly sockets: number;
  readonly inFlight: number;
}

/**
 * Measures echoes per second and round trips.
 *
 * `ephemeral` and `durable` are sessions of one server, as in production; only one of them is under load at a time.
 */
export async function throughput(
  shape: Shape,
  extent: Extent,
  progress: (text: string) => void,
): Promise<Round[]> {
  await using bare = await Server.start("bare");
  await using naive = await Server.start("naive");
  await using holdfast = await Server.start("holdfast");
  const { rounds: count, warmUp, duration } = extent;
  const run = async (system: System, server: Server): Promise<LoadResult> => {
    const { url, pid, statsUrl: stats } = server;
    const result = await runLoad({ system, url, pid, stats, ...shape, warmUp, duration });
    progress(`${shape.sockets} × ${shape.inFlight} ${system}: ${Math.round(result.messagesPerSecond)}/s`);
    return result;
  };
  const rounds: Round[] = [];
  while (rounds.length < count) {
    rounds.push({
      bare: await run("bare", bare),
      naive: await run("naive", naive),
      ephemeral: await run("ephemeral", holdfast),
      durable: await run("durable", holdfast),
    });
  }
  return rounds;
}

/** Bytes that one connection or session adds to the server. */
export interface Weight {
  /** V8's heap and what it holds outside. */
  readonly heap: number;
  /** Resident memory, allocators' slack included. */
  readonly resident: number;
}

/** What one idle connection weighs while it is attached, and what stays when it is dropped. */
export interface Weights {
  readonly attached: Weight;
  /** For a durable session: parked. */
  readonly dropped: Weight;
}

const PARK_AFTER = "1s";

/** Long enough for every session to be detached, committed and parked. Milliseconds. */
const PARKED_MS = 3_000;

/** Weighs idle connections, each system in a fresh server. */
export async function memory(
  system: Exclude<System, "naive">,
  extent: Extent,
  progress: (text: string) => void,
): Promise<Weights> {
  const kind = system === "bare" ? "bare" : "holdfast";
  await using server = await Server.start(kind, { HOLDFAST_PARK_AFTER: PARK_AFTER });
  // What is compiled and cached on first use is no part of a session's weight.
  await holdAndDrop(system, server, Math.ceil(extent.held / 5), () => Promise.resolve());
  const before = await server.collected();
  const weigh = async (): Promise<Weight> => {
    const now = await server.collected();
    return {
      heap: (now.heapUsed + now.external - before.heapUsed - before.external) / extent.held,
      resident: (now.rss - before.rss) / extent.held,
    };
  };
  const attached = await holdAndDrop(system, server, extent.held, weigh);
  const dropped = await weigh();
  progress(`${extent.held} idle ${system}: ${Math.round(attached.heap)} B of heap each`);
  return { attached, dropped };
}

async function holdAndDrop<T>(
  system: System,
  server: Server,
  count: number,
  meanwhile: () => Promise<T>,
): Promise<T> {
  await using held = await Held.open(system, server.url, count);
  const result = await meanwhile();
  await held.drop();
  await new Promise((resolve) => setTimeout(resolve, PARKED_MS));
  return result;
}
