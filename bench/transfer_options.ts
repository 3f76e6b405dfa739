/** What `bench/read_upstream.ts` is asked for and what it answers, as JSON: its one argument and its last line of output. */

import { z } from "zod";

/** The one argument. */
export const transferOptions = z.strictObject({
  /** `http://HOST:PORT` of the Holdfast server. */
  url: z.url(),
  service: z.string(),
  messages: z.int().min(1),
  /** Bytes per second that are read, at most. */
  rate: z.number().positive(),
  /** Messages that the upstream may have sent beyond those that were read. */
  credit: z.int().min(16).max(1024),
});

/** The checked argument. */
export type TransferOptions = z.output<typeof transferOptions>;

/** What one transfer was. */
export interface TransferResult {
  readonly bytes: number;
  readonly milliseconds: number;
  /** Bytes that had come and were not read, at most. */
  readonly mostWaiting: number;
}
