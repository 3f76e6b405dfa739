/** Why a call failed: the closed set of codes that a `response` which is not ok may carry (`docs/protocol.md`, Calls). */

/** Each code, with what a caller may do about it. */
const TABLE = {
  /** The service has no such method. */
  "unknown-method": "stop",
  /** The argument, or an item, is not what the method takes. */
  "invalid-argument": "stop",
  /** The handler failed in a way it did not foresee. */
  "internal": "stop",
  /** The caller cancelled it. */
  "cancelled": "stop",
  /** Its time is over; it may have had effects. */
  "deadline-exceeded": "stop",
  /** A bound was reached; nothing was done. */
  "resource-exhausted": "retry",
  /** The operation key was used with another argument. */
  "conflict": "stop",
  /** The operation runs on another node just now. */
  "in-progress": "retry",
  /** It was begun and its node was lost: it may have had effects, or not. */
  "indeterminate": "ask",
  /** What it needs does not answer; nothing was done. */
  "unavailable": "retry",
  /** What it is about is not there. */
  "not-found": "stop",
  /** What it would make is there. */
  "already-exists": "stop",
  /** The state it needs is not given. */
  "failed-precondition": "stop",
  /** The caller may not. */
  "permission-denied": "stop",
} as const;

/** A code of the closed set. */
export type RpcCode = keyof typeof TABLE;

/**
 * What a caller may do about a failure:
 *
 * - `retry`: nothing was done: the same call may be made again, later;
 * - `ask`: whether it was done is unknown: somebody must find out, or an operation key must say;
 * - `stop`: the same call would fail again.
 */
export type RpcAdvice = "retry" | "ask" | "stop";

/** All codes, in the order of the table. */
export const RPC_CODES: readonly RpcCode[] = Object.keys(TABLE) as RpcCode[];

/** True for a code of this version; a newer peer may send others, which count as `internal`. */
export function isRpcCode(text: string): text is RpcCode {
  return Object.hasOwn(TABLE, text);
}

/** What a caller may do about a failure with this code. */
export function adviceFor(code: RpcCode): RpcAdvice {
  return TABLE[code];
}
