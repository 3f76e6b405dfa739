/** What `bench/open_connections.ts` is asked for and what it answers, as JSON: its one argument and its lines of output. */

import { z } from "zod";

/** The one argument. */
export const connectionsOptions = z.strictObject({
  /** `http://HOST:PORT` of the server. */
  url: z.url(),
  durability: z.enum(["ephemeral", "durable"]),
  service: z.enum(["echo", "demo"]),
  count: z.int().min(1).max(16_384),
});

/** The checked argument. */
export type ConnectionsOptions = z.output<typeof connectionsOptions>;

/** All connections are open. */
export interface Opened {
  /** From the first `open` to the last `accept`. */
  readonly milliseconds: number;
  readonly bursts: number;
}

/** The session is resumed; milliseconds since the dial. */
export interface Resumed {
  readonly established: number;
  /** The first connection has answered. */
  readonly first: number;
  /** All have. */
  readonly all: number;
}
