/**
 * Resume tokens of one session: which hashes resume it, which are stale, and when one replaces another.
 *
 * Rule `resume.rotate`. The machine sees hashes only; the secrets are made and hashed outside and are never kept.
 */

import { TOKEN_SUCCESSORS, TOKENS_RETIRED } from "../protocol/limits.ts";

/** SHA-256 of a token, base64url. */
export type TokenHash = string;

export interface TokenState {
  /** The newest proven token; null while the session is provisional (nothing was ever proven). */
  current: TokenHash | null;
  /** Offered since, oldest first, none of them proven. */
  successors: TokenHash[];
  /** The last ones that were replaced, oldest first. */
  retired: TokenHash[];
}

/** A session before its first `established`. */
export function newTokens(): TokenState {
  return { current: null, successors: [], retired: [] };
}

/** What a presented token is worth: it resumes, it was replaced (suspected theft), or it is none of ours. */
export type TokenJudgement = "valid" | "stale" | "unknown";

/** Judges a presented token. Looks at every hash, each in constant time (`resume.secret`). */
export function judgeToken(state: TokenState, presented: TokenHash): TokenJudgement {
  let valid = state.current !== null && equalInConstantTime(state.current, presented);
  for (const hash of state.successors) valid = equalInConstantTime(hash, presented) || valid;
  let stale = false;
  for (const hash of state.retired) stale = equalInConstantTime(hash, presented) || stale;
  return valid ? "valid" : stale ? "stale" : "unknown";
}

/**
 * Adds a successor; none is invalidated, except that the oldest beyond four is dropped.
 *
 * @param used The token that resumed, null for a `start` of a new session. It is what the client holds, perhaps itself a
 * successor that was never proven, and is never dropped: else a few lost answers would lock the client out.
 */
export function offerToken(state: TokenState, hash: TokenHash, used: TokenHash | null): void {
  state.successors.push(hash);
  if (state.successors.length <= TOKEN_SUCCESSORS) return;
  state.successors.splice(state.successors[0] === used ? 1 : 0, 1);
}

/**
 * The conduit that was offered this token spoke: it replaces the token in use and all its rivals.
 *
 * @returns False if it was proven before, or is no successor: nothing changed.
 */
export function proveToken(state: TokenState, hash: TokenHash): boolean {
  if (!state.successors.includes(hash)) return false;
  if (state.current !== null) state.retired.push(state.current);
  for (const other of state.successors) if (other !== hash) state.retired.push(other);
  state.retired.splice(0, Math.max(0, state.retired.length - TOKENS_RETIRED));
  state.current = hash;
  state.successors = [];
  return true;
}

/** Compares without revealing where two strings differ. */
export function equalInConstantTime(a: string, b: string): boolean {
  let difference = a.length ^ b.length;
  for (let i = 0; i < a.length; i++) difference |= a.charCodeAt(i) ^ b.charCodeAt(i % Math.max(1, b.length));
  return difference === 0;
}
