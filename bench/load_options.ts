/** What the load generator is asked for and what it answers, as JSON: the one argument and the one line of output. */

import { z } from "zod";
import { BODY_BYTES } from "./body.ts";
import { SYSTEMS } from "./systems.ts";

/** The one argument of `bench/load.ts`. Times are milliseconds. */
export const loadOptions = z.strictObject({
  system: z.enum(SYSTEMS),
  /** `http://HOST:PORT` of the server. */
  url: z.url(),
  /** The server's side port: gives what the run cost in Deno KV. */
  stats: z.url().optional(),
  /** The server's process: gives its processor time. */
  pid: z.int().optional(),
  sockets: z.int().min(1).max(20_000),
  inFlight: z.int().min(1).max(1000),
  bytes: z.int().min(BODY_BYTES.least).max(BODY_BYTES.most).default(100),
  warmUp: z.int().default(1000),
  duration: z.int().default(2000),
});

/** The checked argument of `bench/load.ts`. */
export type LoadOptions = z.output<typeof loadOptions>;

/** What one run measured. */
export interface LoadResult {
  readonly messagesPerSecond: number;
  /** Round trip, milliseconds. */
  readonly p50: number;
  readonly p99: number;
  /** Share of one core; undefined where it cannot be read. */
  readonly generatorCpu?: number;
  readonly serverCpu?: number;
  /** Deno KV's work per round trip, which is one session message in and one out. */
  readonly mutationsPerEcho?: number;
  readonly atomicsPerEcho?: number;
}
