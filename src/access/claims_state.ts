/** Judges what a verified token claims: whom it names, for how long, and what it allows. */

import { ADMIN_SCOPE, type Authentication, type GrantLimits, OPERATOR } from "./authenticator.ts";

/** What tokens must say of themselves. */
export interface Expected {
  /** `iss`. */
  readonly issuer: string;
  /** One of `aud`. */
  readonly audience: string;
}

/** The claim that names the services which may be opened: an array of names. */
export const SERVICES_CLAIM = "holdfast:services";

/** The claim that sets limits: `{sessions?, connections?}`. */
export const LIMITS_CLAIM = "holdfast:limits";

/** Longest `sub`, in characters. */
export const PRINCIPAL_CHARACTERS = 256;

/** How far another machine's clock may be ahead of this one where a token begins to be valid. Milliseconds. */
export const NOT_BEFORE_LEEWAY_MS = 5_000;

/** Most services that one token may name. */
const MOST_SERVICES = 256;

/** The algorithms that a key set may be used with. All are asymmetric: a public key is no secret to sign with. */
export const ASYMMETRIC = [
  "RS256",
  "RS384",
  "RS512",
  "PS256",
  "PS384",
  "PS512",
  "ES256",
  "ES384",
  "EdDSA",
] as const;

/** One of {@link ASYMMETRIC}. */
export type AsymmetricAlgorithm = typeof ASYMMETRIC[number];

/** True for an algorithm of {@link ASYMMETRIC}. */
export function isAsymmetric(name: unknown): name is AsymmetricAlgorithm {
  return (ASYMMETRIC as readonly unknown[]).includes(name);
}

/**
 * Judges the claims of a token whose signature is right.
 *
 * A token must end (`exp`): one that does not could never be taken back. A claim of this server that is not of its form
 * refuses the token, since ignoring it could allow what it was meant to forbid.
 *
 * @param now Milliseconds since the Unix epoch.
 */
export function judgeClaims(claims: unknown, expected: Expected, now: number): Authentication {
  if (!isRecord(claims)) return refused("its claims are not an object");
  const { iss, aud, sub, exp, nbf, scope } = claims;
  if (iss !== expected.issuer) return refused("iss is not the issuer expected here");
  const audiences: readonly unknown[] = Array.isArray(aud) ? aud : [aud];
  if (!audiences.includes(expected.audience)) return refused("aud does not name this server");
  if (typeof exp !== "number" || !Number.isFinite(exp)) return refused("exp is missing or not a number");
  if (exp * 1000 <= now) return refused("it has expired (exp)");
  if (nbf !== undefined) {
    if (typeof nbf !== "number" || !Number.isFinite(nbf)) return refused("nbf is not a number");
    if (nbf * 1000 > now + NOT_BEFORE_LEEWAY_MS) return refused("it is not valid yet (nbf)");
  }
  if (typeof sub !== "string" || sub === "" || sub.length > PRINCIPAL_CHARACTERS || !sub.isWellFormed()) {
    return refused(`sub must be 1 to ${PRINCIPAL_CHARACTERS} characters`);
  }
  if (sub === OPERATOR) return refused("sub is a name that this server keeps for itself");
  const services = claims[SERVICES_CLAIM] ?? null;
  if (services !== null && !isNames(services)) {
    return refused(`${SERVICES_CLAIM} must be an array of at most ${MOST_SERVICES} names`);
  }
  const limits = claims[LIMITS_CLAIM] ?? {};
  if (!isLimits(limits)) return refused(`${LIMITS_CLAIM} must be {sessions?, connections?}, integers from 0`);
  if (scope !== undefined && typeof scope !== "string") return refused("scope is not a string");
  const admin = (scope ?? "").split(" ").includes(ADMIN_SCOPE);
  const { sessions, connections } = limits;
  return {
    ok: true,
    grant: {
      principal: sub,
      expiresAt: Math.floor(exp * 1000),
      services,
      limits: {
        ...(sessions === undefined ? {} : { sessions }),
        ...(connections === undefined ? {} : { connections }),
      },
      admin,
    },
  };
}

/** Credentials that are not good enough, and why. */
export function refused(detail: string): Authentication {
  return { ok: false, reason: "unauthorized", detail: `the token was not accepted: ${detail}` };
}

/** Takes the token out of an `Authorization` header; undefined if that is of another scheme. */
export function bearerOf(header: string | null): string | undefined {
  return /^bearer +(\S+) *$/i.exec(header ?? "")?.[1];
}

function isRecord(value: unknown): value is { readonly [name: string]: unknown } {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isNames(value: unknown): value is string[] {
  return Array.isArray(value) && value.length <= MOST_SERVICES &&
    value.every((name) => typeof name === "string");
}

function isLimits(value: unknown): value is GrantLimits {
  const isLimit = (limit: unknown) =>
    limit === undefined || Number.isSafeInteger(limit) && Number(limit) >= 0;
  return isRecord(value) && isLimit(value["sessions"]) && isLimit(value["connections"]);
}
