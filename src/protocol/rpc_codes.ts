/** Why a call failed: the closed set of codes that a `response` which is not ok may carry (`docs/protocol.md`, Calls). */

/** A code of the closed set. */
export type RpcCode =
  /** The service has no such method. */
  | "unknown-method"
  /** The argument, or an item, is not what the method takes. */
  | "invalid-argument"
  /** The handler failed in a way it did not foresee. */
  | "internal"
  /** The caller cancelled it. */
  | "cancelled"
  /** Its time is over; it may have had effects. */
  | "deadline-exceeded"
  /** A bound was reached; nothing was done. */
  | "resource-exhausted"
  /** The operation key was used with another argument. */
  | "conflict"
  /** The operation runs on another node just now. */
  | "in-progress"
  /** It was begun, and what came of it is lost: it may have had effects, or not. */
  | "indeterminate"
  /** What it needs does not answer; nothing was done. */
  | "unavailable"
  /** What it is about is not there. */
  | "not-found"
  /** What it would make is there. */
  | "already-exists"
  /** The state it needs is not given. */
  | "failed-precondition"
  /** The caller may not. */
  | "permission-denied";

/**
 * What a caller may do about a failure:
 *
 * - `retry`: nothing was done: the same call may be made again, later;
 * - `ask`: whether it was done is unknown: somebody must find out, or an operation key must say;
 * - `stop`: the same call would fail again.
 */
export type RpcAdvice = "retry" | "ask" | "stop";

const TABLE: Readonly<Record<RpcCode, RpcAdvice>> = {
  "unknown-method": "stop",
  "invalid-argument": "stop",
  "internal": "stop",
  "cancelled": "stop",
  "deadline-exceeded": "stop",
  "resource-exhausted": "retry",
  "conflict": "stop",
  "in-progress": "retry",
  "indeterminate": "ask",
  "unavailable": "retry",
  "not-found": "stop",
  "already-exists": "stop",
  "failed-precondition": "stop",
  "permission-denied": "stop",
};

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
