/** What is measured, and in which order: systems take turns within a round, so that noise of the machine meets all. */

import { Held, runLoad, Server } from "./processes.ts";
import type { LoadResult } from "./load_options.ts";
import type { ServerStats } from "./servers/stats.ts";
import { type ServerName, serverOf, type System } from "./systems.ts";

/** How much is measured; times in milliseconds. */
export interface Extent {
  readonly rounds: number;
  readonly warmUp: number;
  readonly duration: number;
  /** Idle connections per system whose memory is weighed. */
  readonly held: number;
}

/** Everything; all parts together end within six minutes. */
export const FULL: Extent = { rounds: 5, warmUp: 1000, duration: 2000, held: 3000 };

/** For a look while developing; within a minute. */
export const QUICK: Extent = { rounds: 2, warmUp: 400, duration: 500, held: 1000 };

/** One round: each system's run, one after the other. */
export type Round = { readonly [system in System]?: LoadResult };

/** How many connections, with how many messages in flight each; of a download, items that are granted. */
export interface Shape {
  readonly sockets: number;
  readonly inFlight: number;
}

/**
 * Measures answers per second and round trips.
 *
 * All sessions of a kind are those of one server, as in production; only one system is under load at a time.
 */
export async function throughput(
  systems: readonly System[],
  shapeOf: (system: System) => Shape,
  extent: Extent,
  progress: (text: string) => void,
): Promise<Round[]> {
  await using started = new AsyncDisposableStack();
  const servers = new Map<ServerName, Server>();
  for (const name of new Set(systems.map(serverOf))) {
    servers.set(name, started.use(await Server.start(name)));
  }
  const { rounds: count, warmUp, duration } = extent;
  const rounds: Round[] = [];
  while (rounds.length < count) {
    const round: { [system in System]?: LoadResult } = {};
    for (const system of systems) {
      const { url, pid, statsUrl: stats } = servers.get(serverOf(system))!;
      const { sockets, inFlight } = shapeOf(system);
      const result = await runLoad({ system, url, pid, stats, sockets, inFlight, warmUp, duration });
      progress(`${sockets} × ${inFlight} ${system}: ${Math.round(result.messagesPerSecond)}/s`);
      round[system] = result;
    }
    rounds.push(round);
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

/** What one more idle connection weighs while it is attached, and what stays of one that was dropped. */
export interface Weights {
  readonly attached: Weight;
  /** For an ephemeral session: detached; for a durable one: parked. */
  readonly dropped: Weight;
}

const PARK_AFTER = "300ms";

/** Long enough for every session to be detached, committed and parked. Milliseconds. */
const PARKED_MS = 1_500;

/**
 * Weighs idle connections, each system in a fresh server.
 *
 * The first ones make the heap and the allocators' pools grow, which is no part of a connection's weight: so as many are
 * opened before anything is weighed, and what dropped ones leave is weighed the second time that they are dropped.
 */
export async function memory(
  system: System,
  extent: Extent,
  progress: (text: string) => void,
): Promise<Weights> {
  const kind = system === "bare" ? "bare" : "holdfast";
  await using server = await Server.start(kind, { env: { HOLDFAST_PARK_AFTER: PARK_AFTER } });
  await using _ballast = await Held.open(system, server.url, extent.held);
  const weight = (from: ServerStats, to: ServerStats): Weight => ({
    heap: (to.heapUsed + to.external - from.heapUsed - from.external) / extent.held,
    resident: (to.rss - from.rss) / extent.held,
  });
  const before = await server.collected();
  const full = await holdAndDrop(system, server, extent.held);
  const once = await server.collected();
  await holdAndDrop(system, server, extent.held);
  const twice = await server.collected();
  const attached = weight(before, full);
  progress(`${extent.held} idle ${system}: ${Math.round(attached.heap)} B of heap each`);
  return { attached, dropped: weight(once, twice) };
}

/** Opens connections, looks at the server's memory, and drops them. */
async function holdAndDrop(system: System, server: Server, count: number): Promise<ServerStats> {
  await using held = await Held.open(system, server.url, count);
  const full = await server.collected();
  await held.drop();
  await new Promise((resolve) => setTimeout(resolve, PARKED_MS));
  return full;
}
