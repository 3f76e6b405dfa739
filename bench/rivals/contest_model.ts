/** What a contest is asked for and what it gives. */

import type { Contender, Pace, Recovery } from "./jobs.ts";

/** How much is measured; times in milliseconds. */
export interface ContestExtent {
  /** Of the echo at full load. */
  readonly rounds: number;
  /** Of everything else that has rounds. */
  readonly otherRounds: number;
  readonly warmUp: number;
  readonly duration: number;
  /** Idle sessions that are weighed. */
  readonly held: number;
  readonly breaks: number;
  readonly storm: number;
  readonly growth: readonly number[];
  /** How long opening the sessions of one run of `growth` may take. */
  readonly opening: number;
  /** When no further run is begun, milliseconds. */
  readonly most: number;
}

/** More than everything needs on a machine that is not too slow: it ends a run that hangs, and is no plan. */
const MOST_MS = 30 * 60_000;

/** Everything. */
export const FULL_CONTEST: ContestExtent = {
  rounds: 3,
  otherRounds: 2,
  warmUp: 800,
  duration: 1300,
  held: 2000,
  breaks: 12,
  storm: 2000,
  growth: [100, 1_000, 10_000],
  opening: 90_000,
  most: MOST_MS,
};

/** For a look while developing. */
export const QUICK_CONTEST: ContestExtent = {
  rounds: 1,
  otherRounds: 1,
  warmUp: 400,
  duration: 500,
  held: 200,
  breaks: 5,
  storm: 300,
  growth: [50, 200],
  opening: 10_000,
  most: MOST_MS,
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

/** Bytes that one more idle session adds to the server. */
export interface SessionWeight {
  /** Resident. */
  readonly attached: number;
  /** Of an attached one: V8's used heap, and what it holds outside of it; absent where the server has none. */
  readonly heap?: number;
  readonly external?: number;
  /** Resident. */
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
