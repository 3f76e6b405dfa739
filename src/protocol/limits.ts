/** The sizes that bind both sides; `docs/protocol.md`, `frame.*` and `delivery.*`. One place for each. */

import type { StatedLimits } from "./messages.ts";

/** The version that `start.version` names. */
export const PROTOCOL_VERSION = 1;

/** The most that `frameBytes` can be set to. */
export const MOST_FRAME_BYTES: number = 16 * 1024 * 1024;

/** Deepest nesting of a body or header, counted in containers (`frame.cost`). */
export const MAX_DEPTH = 32;

/** Largest sum of `metadata`'s encoded bytes. */
export const METADATA_BYTES = 4 * 1024;

/** Messages an opener may send before `accept` arrives (`connection.early`). */
export const EARLY_MESSAGES = 16;

/** Calls an opener may make before `accept` arrives (`connection.early`). */
export const EARLY_CALLS = 16;

/** `delivery.ack`: an ack leaves after this many messages, … */
export const ACK_AFTER_MESSAGES = 64;
/** … this many bytes, … */
export const ACK_AFTER_BYTES = 64 * 1024;
/** … or this many milliseconds, whichever is first. */
export const ACK_AFTER_MS = 50;

/** `delivery.volatile`: pending volatile messages per connection before newer ones are dropped. */
export const VOLATILE_PENDING = 64;

/** `resume.rotate`: unproven successors of a token, and hashes of retired ones that are kept. */
export const TOKEN_SUCCESSORS = 4;
export const TOKENS_RETIRED = 8;

/** `handshake.challenge`: how long a challenge is remembered, milliseconds. */
export const CHALLENGE_MEMORY_MS = 60_000;

/** Longest `reason` (bytes) and `detail` (characters) that a side sends. */
export const REASON_BYTES = 64;
export const DETAIL_CHARACTERS = 512;

/** Largest token, credential and challenge strings a `start` may carry. */
export const TOKEN_CHARACTERS = 128;
export const AUTH_CHARACTERS = 16 * 1024;

/** Everything that bounds what one side accepts from the other. */
export interface Limits extends StatedLimits {
  /** What one session may keep in memory and store (`delivery.bounded`). */
  readonly storedBytes: number;
}

/** The defaults of `docs/protocol.md`. */
export const DEFAULT_LIMITS: Limits = {
  frameBytes: 1024 * 1024,
  bodyBytes: 512 * 1024,
  windowMessages: 1024,
  windowBytes: 1024 * 1024,
  connections: 256,
  concurrentCalls: 64,
  storedBytes: 8 * 1024 * 1024,
};

/** `frame.cost`: a JSON frame may be this long (in UTF-8 bytes) for MessagePack's `frameBytes`. */
export function jsonFrameBytes(frameBytes: number): number {
  return 6 * frameBytes + 1024;
}
