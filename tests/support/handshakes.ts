/** Handshakes by hand: a session, its resume, and how either is refused. */

import assert from "node:assert/strict";
import { newChallenge, RawConduit, type RawEstablished } from "./raw_conduit.ts";
import type { ServerProcess } from "./server_process.ts";

/** Fields of a message. */
export type Fields = { readonly [field: string]: unknown };

/** What `refused` says. */
export interface Refused {
  readonly challenge?: string;
  readonly reason: string;
  readonly detail: string;
  readonly retryAfter?: number;
}

/** Says `start` on a new conduit, and gives the refusal with the close code after it. */
export async function refusal(
  server: ServerProcess,
  start: Fields,
): Promise<Refused & { readonly code: number }> {
  const conduit = await RawConduit.open(server.url, "holdfast.v1.json");
  const challenge = newChallenge();
  conduit.say(["start", { version: 1, challenge, ...start }]);
  const [, refused] = await conduit.next("refused");
  const { code } = await conduit.closed;
  return { ...(refused as Refused), code };
}

/** A session whose token is proven, and its conduit. */
export async function session(
  server: ServerProcess,
  start: Fields = {},
): Promise<{ readonly conduit: RawConduit; readonly established: RawEstablished }> {
  const conduit = await RawConduit.open(server.url, "holdfast.v1.json");
  const established = await conduit.establish(start);
  // The answer shows that the ack before it, and with it the proof of the token, was read.
  conduit.say(["ping", 7]);
  assert.deepEqual(await conduit.next("pong"), ["pong", 7]);
  return { conduit, established };
}

/** The fields of a `start` that resumes. */
export function resumeOf(established: RawEstablished, counters = { received: 0, sent: 0 }): Fields {
  return { resume: { session: established.session, token: established.token, ...counters } };
}

/** Resumes until the server has committed that the session's newest token is proven. */
export async function resumed(server: ServerProcess, established: RawEstablished): Promise<RawEstablished> {
  const { conduit, established: next } = await session(server, resumeOf(established));
  assert.equal(next.resumed, true);
  // An echo is sent only after the commit that holds everything before it.
  conduit.say(["open", 1, 1, { service: "echo" }]);
  await conduit.next("accept");
  await conduit.break();
  return next;
}

/** It still answers; then it is let go. */
export async function assertAlive(conduit: RawConduit): Promise<void> {
  conduit.say(["ping", 99]);
  assert.deepEqual(await conduit.next("pong"), ["pong", 99]);
  await conduit.break();
}
