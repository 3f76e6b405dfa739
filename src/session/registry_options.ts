/** What a node's registry of sessions is told at the start. */

import type { Authenticator } from "../access/authenticator.ts";
import type { Log } from "../observe/log.ts";
import type { Metrics } from "../observe/metrics.ts";
import type { Tracing } from "../observe/tracing.ts";
import type { Limits } from "../protocol/limits.ts";
import type { Service } from "../service/service.ts";
import type { SessionStore } from "../storage/session_store.ts";
import type { Clock } from "../system/clock.ts";
import type { Random } from "../system/random.ts";
import type { SlotLimits } from "./slots_runner.ts";

/** What strangers may do before it is known who they are. */
export interface StrangerLimits {
  /** Conduits whose handshake is not over. */
  readonly conduits: number;
  /** Of these, the ones that have not said `start`. */
  readonly silent: number;
  /** Reads of the store on behalf of those who are not authenticated, at once. */
  readonly reads: number;
  /** New handshakes per second and address. */
  readonly handshakesPerAddress: number;
  /** Resumes per second and address. */
  readonly resumesPerAddress: number;
}

/** The defaults of the settings. */
export const DEFAULT_STRANGERS: StrangerLimits = {
  conduits: 4_096,
  silent: 1_024,
  reads: 64,
  handshakesPerAddress: 100,
  resumesPerAddress: 1_000,
};

/** What a registry is told at the start; durations in milliseconds. */
export interface RegistryOptions {
  readonly store: SessionStore;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly services: readonly Service[];
  /** What clients are told of the node; `boot` is new at every start of the process. */
  readonly node: string;
  readonly boot: string;
  readonly region?: string | undefined;
  readonly limits: Limits;
  readonly resumeWindow: number;
  /** Null: sessions never end for being idle. */
  readonly idleTimeout: number | null;
  /** How long a detached durable session stays in memory. */
  readonly parkAfter: number;
  readonly handshakeTimeout: number;
  readonly keepalive: { readonly interval: number; readonly timeout: number };
  /** What happens when a replaced token is presented: the session is untouched, or ended (`resume.rotate`). */
  readonly tokenReuse: "keep" | "end";
  /** Absent: nothing is counted. */
  readonly metrics?: Metrics;
  /** Absent: nothing is traced. */
  readonly tracing?: Tracing;
  /** Absent: nobody is authenticated. */
  readonly authenticator?: Authenticator;
  /** Absent: the settings' defaults. */
  readonly slots?: SlotLimits;
  /** Absent: the settings' defaults. */
  readonly strangers?: StrangerLimits;
}
