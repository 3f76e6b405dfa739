/** Judges handshakes: may this client have this session? Decides only; nothing is changed by a refusal (`resume.refused`). */

import type { Authentication } from "../access/authenticator.ts";
import { PROTOCOL_VERSION } from "../protocol/limits.ts";
import type { Limits } from "../protocol/limits.ts";
import type { RequestedSettings, ResumeRequest, Start } from "../protocol/messages.ts";
import type { Reason } from "../protocol/reasons.ts";
import type { Tombstone } from "../storage/session_record.ts";
import { divergence } from "./delivery_state.ts";
import type { SessionState } from "./session_model.ts";
import { endingDue } from "./session_state.ts";
import { judgeToken, type TokenHash } from "./token_state.ts";

/** Why a handshake is refused (`refused`). */
export interface Refusal {
  readonly reason: Reason;
  readonly detail: string;
  /** Milliseconds. */
  readonly retryAfter?: number;
}

const CHALLENGE = /^[\x21-\x7e]{22,64}$/;

/** Judges what can be judged of a `start` without any session: version and form, in the order of `handshake.order`. */
export function judgeStart(start: Start, limits: Limits): Refusal | null {
  if (start.version !== PROTOCOL_VERSION) {
    return {
      reason: "unsupported-version",
      detail: `version ${start.version} is not spoken here; ${PROTOCOL_VERSION} is`,
    };
  }
  if (!CHALLENGE.test(start.challenge)) {
    return {
      reason: "malformed",
      detail: "challenge must be 22 to 64 printable ASCII characters (handshake.challenge)",
    };
  }
  const { windowMessages, windowBytes } = start.settings ?? {};
  if (windowMessages !== undefined && windowMessages < 1) {
    return { reason: "malformed", detail: "settings.windowMessages must be at least 1 (delivery.window)" };
  }
  const least = 2 * limits.bodyBytes;
  if (windowBytes !== undefined && windowBytes < least) {
    return {
      reason: "malformed",
      detail: `settings.windowBytes must be at least ${least}, two bodies (frame.cost)`,
    };
  }
  return null;
}

/** A resume, as a session judges it. */
export interface ResumeClaim {
  readonly token: TokenHash;
  /** What came of the credentials. */
  readonly authentication: Authentication;
  readonly counters: Pick<ResumeRequest, "received" | "sent">;
  readonly settings: RequestedSettings | undefined;
}

/** Judges a resume of a session that lives: its token, its credentials, its settings, its counters (`handshake.order`). */
export function judgeResume(state: SessionState, claim: ResumeClaim, now: number): Refusal | null {
  const refused = refusedToken(judgeToken(state.tokens, claim.token)) ??
    refusedPrincipal(state.principal, claim.authentication);
  if (refused !== null) return refused;
  const ending = state.ended ?? endingDue(state, now);
  if (ending !== null) return toldEnding(ending.reason, ending.detail);
  const setting = changedSetting(state, claim.settings);
  if (setting !== null) return { reason: "settings-changed", detail: setting };
  const diverged = divergence(state.delivery, claim.counters);
  return diverged === null ? null : { reason: "diverged", detail: `${diverged} (resume.diverged)` };
}

/** Judges a resume of a session that ended: only its principal, with its token, is told how. */
export function judgeTombstone(
  tombstone: Pick<Tombstone, "tokens" | "principal" | "reason" | "detail">,
  claim: Pick<ResumeClaim, "token" | "authentication">,
): Refusal {
  return refusedToken(judgeToken(tombstone.tokens, claim.token)) ??
    refusedPrincipal(tombstone.principal, claim.authentication) ??
    toldEnding(tombstone.reason, tombstone.detail);
}

/** Turns credentials that were not accepted into the refusal that says so. */
export function refusedCredentials(
  authentication: Exclude<Authentication, { readonly ok: true }>,
): Refusal {
  const { ok: _, ...refusal } = authentication;
  return refusal;
}

/** Judges the repeated `start` of a new session: it gets the same one until a token of that is proven. */
export function judgeRepeat(state: SessionState, start: Start, now: number): Refusal | null {
  if (state.tokens.current !== null || state.ended !== null || endingDue(state, now) !== null) {
    return CHALLENGE_USED;
  }
  const setting = changedSetting(state, start.settings);
  return setting === null ? null : { reason: "settings-changed", detail: setting };
}

/** `handshake.challenge`: the challenge belongs to a session that is the caller's no more. */
export const CHALLENGE_USED: Refusal = {
  reason: "challenge-used",
  detail:
    "this challenge created a session whose token is proven; resume that, or start with a new challenge",
};

/** There is no such session, or the token is none of its: the two are not told apart. */
export const UNKNOWN_SESSION: Refusal = {
  reason: "unknown-session",
  detail: "no session answers to this id and token",
};

/** The node is going away; another one takes over (`end.goaway`). */
export const DRAINING: Refusal = { reason: "draining", detail: "this node is going away", retryAfter: 1000 };

/** The store could not say; nothing is decided. */
export const UNAVAILABLE: Refusal = {
  reason: "unavailable",
  detail: "the session could not be read or written just now",
  retryAfter: 1000,
};

/** `resume.reauthorise`: the credentials must be good, and the session's own principal's. */
function refusedPrincipal(principal: string, authentication: Authentication): Refusal | null {
  if (!authentication.ok) return refusedCredentials(authentication);
  if (authentication.grant.principal === principal) return null;
  return { reason: "unauthorized", detail: "the session belongs to another principal (resume.reauthorise)" };
}

/** One address makes handshakes too fast. @param retryAfter Milliseconds. */
export function rateLimited(retryAfter: number): Refusal {
  return { reason: "rate-limited", detail: "too many handshakes from this address", retryAfter };
}

function refusedToken(judgement: ReturnType<typeof judgeToken>): Refusal | null {
  if (judgement === "valid") return null;
  if (judgement === "unknown") return UNKNOWN_SESSION;
  return {
    reason: "stale-token",
    detail: "this token was replaced by a newer one that is proven (resume.rotate)",
  };
}

/** The reasons that a refusal repeats as they are; every other end is told as `closed` with the reason. */
const TOLD_AS_IS: readonly Reason[] = ["expired", "token-reuse"];

function toldEnding(reason: Reason, detail: string): Refusal {
  if (TOLD_AS_IS.includes(reason)) return { reason, detail };
  return { reason: "closed", detail: reason === "closed" ? detail : `${reason}: ${detail}` };
}

function changedSetting(state: SessionState, stated: RequestedSettings | undefined): string | null {
  if (stated === undefined) return null;
  const { durability, clientWindow } = state.settings;
  const kept: Required<RequestedSettings> = {
    durability,
    windowMessages: clientWindow.messages,
    windowBytes: clientWindow.bytes,
  };
  for (const name of ["durability", "windowMessages", "windowBytes"] as const) {
    const value = stated[name];
    if (value !== undefined && value !== kept[name]) {
      return `${name} is ${kept[name]} for this session, not ${value}`;
    }
  }
  return null;
}
