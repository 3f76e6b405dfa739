/**
 * Why a conduit or a session ended, the close code that says so, and what the client must do about it.
 *
 * The code's range is the instruction: 44xx "reconnect and resume", 45xx "this session is over here", 46xx "do not
 * come back by yourself". This is the one table; `docs/protocol.md`, Reasons and codes, is its text.
 */

/**
 * What a client does when it is told a reason.
 *
 * - `resume`: keeps its token and comes back, after `retryAfter` or its own backoff;
 * - `over`: discards the token and tells the application;
 * - `taken-over`: somebody else holds the session: does not resume by itself, tells the application;
 * - `credentials`: keeps its token, asks the application for new credentials, then resumes;
 * - `stop`: tells the application and stays away.
 */
export type Instruction = "resume" | "over" | "taken-over" | "credentials" | "stop";

/** Every reason the protocol has for the end of a conduit or a session. */
export type Reason =
  | "unavailable"
  | "draining"
  | "rate-limited"
  | "too-many-sessions"
  | "no-slots"
  | "handshake-timeout"
  | "keepalive-timeout"
  | "slow-consumer"
  | "protocol-error"
  | "unknown-session"
  | "stale-token"
  | "expired"
  | "closed"
  | "diverged"
  | "settings-changed"
  | "challenge-used"
  | "token-reuse"
  | "idle"
  | "ended"
  | "superseded"
  | "malformed"
  | "unsupported-version"
  | "forbidden"
  | "unauthorized"
  | "authorisation-expired"
  | "frame-too-big";

const TABLE: { readonly [R in Reason]: { readonly code: number; readonly instruction: Instruction } } = {
  // 44xx: reconnect and resume.
  "unavailable": { code: 4400, instruction: "resume" },
  "draining": { code: 4400, instruction: "resume" },
  "rate-limited": { code: 4400, instruction: "resume" },
  "too-many-sessions": { code: 4400, instruction: "resume" },
  "no-slots": { code: 4400, instruction: "resume" },
  "handshake-timeout": { code: 4408, instruction: "resume" },
  "keepalive-timeout": { code: 4409, instruction: "resume" },
  "slow-consumer": { code: 4409, instruction: "resume" },
  // 45xx: this session is over here.
  "protocol-error": { code: 4500, instruction: "over" },
  "unknown-session": { code: 4501, instruction: "over" },
  "stale-token": { code: 4501, instruction: "over" },
  "expired": { code: 4501, instruction: "over" },
  "closed": { code: 4501, instruction: "over" },
  "diverged": { code: 4501, instruction: "over" },
  "settings-changed": { code: 4501, instruction: "over" },
  "challenge-used": { code: 4501, instruction: "over" },
  "token-reuse": { code: 4501, instruction: "over" },
  "idle": { code: 4502, instruction: "over" },
  "ended": { code: 4502, instruction: "over" },
  "superseded": { code: 4510, instruction: "taken-over" },
  // 46xx: do not come back by yourself.
  "malformed": { code: 4600, instruction: "stop" },
  "unsupported-version": { code: 4600, instruction: "stop" },
  "forbidden": { code: 4600, instruction: "stop" },
  "unauthorized": { code: 4601, instruction: "credentials" },
  "authorisation-expired": { code: 4601, instruction: "credentials" },
  // The frame would be refused again.
  "frame-too-big": { code: 1009, instruction: "over" },
};

/** All reasons, in the order of the table. */
export const REASONS: readonly Reason[] = Object.keys(TABLE) as Reason[];

/** The close code that goes with a reason. */
export function closeCode(reason: Reason): number {
  return TABLE[reason].code;
}

/** True for a reason of this version; a newer peer may send others. */
export function isReason(text: string): text is Reason {
  return Object.hasOwn(TABLE, text);
}

/** What a client does about a reason. An unknown reason is judged by the close code that comes with it. */
export function instructionFor(reason: Reason): Instruction {
  return TABLE[reason].instruction;
}

/**
 * What a client does about a close code without a reason.
 *
 * Every code outside the table's ranges is a conduit break (`end.close`): 1000, 1001, 1006, 1011, 1012 too.
 */
export function instructionForCode(code: number): Instruction {
  if (code === 4510) return "taken-over";
  if (code === 4601) return "credentials";
  if (code === 1009 || code >= 4500 && code <= 4599) return "over";
  if (code >= 4600 && code <= 4699) return "stop";
  return "resume";
}

/**
 * Why a connection was rejected or ended by the side that names it, as far as this protocol, its `upstream:` and its
 * `remote:` services say so.
 * Applications have their own words beside these, the codes of `rpc_codes.ts` among them.
 */
export const CONNECTION_REASONS = [
  "unknown-service",
  "forbidden",
  "too-many-connections",
  "malformed-body",
  "overloaded",
  "service-failed",
  "kept-state-mismatch",
  "opener-lost",
  "invalid-protocols",
  "upstream-refused",
  "upstream-timeout",
  "upstream-closed",
  "upstream-too-big",
  "upstream-lost",
  "unsupported-body",
  "remote-timeout",
  "remote-lost",
  "too-large",
] as const;

/** A reason of this protocol for one connection's end. */
export type ConnectionReason = typeof CONNECTION_REASONS[number];
