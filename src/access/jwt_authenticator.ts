/** Authenticates by JSON Web Tokens that are signed with a shared secret or with a key of a published set. */

import { decode, verify } from "hono/jwt";
import { AUTH_CHARACTERS } from "../protocol/limits.ts";
import type { Clock } from "../system/clock.ts";
import type { Authentication, Authenticator } from "./authenticator.ts";
import {
  type AsymmetricAlgorithm,
  type Expected,
  isAsymmetric,
  judgeClaims,
  refused,
} from "./claims_state.ts";

/** What became of the search for a verification key. */
export type KeyLookup =
  | { readonly kind: "key"; readonly key: CryptoKey }
  | { readonly kind: "unknown" }
  | { readonly kind: "unavailable"; readonly retryAfter: number };

/** The keys of a published set. */
export interface KeySet {
  /** The key with this id that may be used with this algorithm; without an id the only one that may. */
  find(algorithm: AsymmetricAlgorithm, id: string | undefined): KeyLookup | Promise<KeyLookup>;
}

/** The one algorithm that a shared secret is used with. */
const SECRET_ALGORITHM = "HS256";

/**
 * Imports a shared secret.
 *
 * @param secret At least 32 bytes; the setting's check promises that.
 */
export function importSecret(secret: string): Promise<CryptoKey> {
  const bytes = new TextEncoder().encode(secret);
  return crypto.subtle.importKey("raw", bytes, { name: "HMAC", hash: "SHA-256" }, false, ["verify"]);
}

/**
 * Verifies tokens. Which algorithms count is decided by the kind of key that this server was given, never by the token:
 * a secret verifies `HS256` alone, a set verifies {@link isAsymmetric} ones alone, and nothing verifies `none`.
 */
export class JwtAuthenticator implements Authenticator {
  readonly #keys: CryptoKey | KeySet;
  readonly #expected: Expected;
  readonly #clock: Clock;

  /** @param keys The imported secret, or a published set. */
  constructor(keys: CryptoKey | KeySet, expected: Expected, clock: Clock) {
    this.#keys = keys;
    this.#expected = expected;
    this.#clock = clock;
  }

  async authenticate(credentials: string | undefined): Promise<Authentication> {
    if (credentials === undefined) {
      return {
        ok: false,
        reason: "unauthorized",
        detail: "credentials are needed: start.auth or Authorization: Bearer, with a JWT",
      };
    }
    if (credentials.length > AUTH_CHARACTERS) {
      return refused(`it is longer than ${AUTH_CHARACTERS} characters`);
    }
    const header = headerOf(credentials);
    if (header === null) return refused("it is not a JWT");
    const { alg, kid } = header;
    if (kid !== undefined && typeof kid !== "string") return refused("kid is not a string");
    let key: CryptoKey;
    if (this.#keys instanceof CryptoKey) {
      if (alg !== SECRET_ALGORITHM) return refused(`alg must be ${SECRET_ALGORITHM}`);
      key = this.#keys;
    } else {
      if (!isAsymmetric(alg)) return refused("alg is not one that a key set is used with");
      const found = await this.#keys.find(alg, kid);
      if (found.kind === "unknown") return refused("no published key fits its kid and alg");
      if (found.kind === "unavailable") {
        const { retryAfter } = found;
        return { ok: false, reason: "unavailable", detail: "the keys cannot be read just now", retryAfter };
      }
      key = found.key;
    }
    let claims: unknown;
    try {
      // Times, issuer and audience are judged below, by the injected clock.
      claims = await verify(credentials, key, { alg, exp: false, nbf: false, iat: false });
    } catch {
      // What is thrown quotes the token, so it is neither told nor logged.
      return refused("its signature or its header is wrong");
    }
    return judgeClaims(claims, this.#expected, this.#clock.now());
  }
}

function headerOf(token: string): { readonly alg: unknown; readonly kid: unknown } | null {
  try {
    const header: unknown = decode(token).header;
    if (typeof header !== "object" || header === null) return null;
    const { alg, kid } = header as { alg?: unknown; kid?: unknown };
    return { alg, kid };
  } catch {
    // What is thrown quotes the token.
    return null;
  }
}

/**
 * Makes the check behind an admin guard: true for a valid token that carries the scope `holdfast:admin`.
 *
 * @param authenticator Null where tokens are not used: then nothing is accepted.
 */
export function adminVerifier(authenticator: Authenticator | null): (bearer: string) => Promise<boolean> {
  return async (bearer) => {
    const outcome = await authenticator?.authenticate(bearer);
    return outcome?.ok === true && outcome.grant.admin;
  };
}
