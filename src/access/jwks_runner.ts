/** Keeps the keys of a published set (JWKS): fetched when needed, cached, and followed when they are rotated. */

import { describeError } from "../observe/json_log.ts";
import type { Log } from "../observe/log.ts";
import type { Clock } from "../system/clock.ts";
import { type AsymmetricAlgorithm, isAsymmetric } from "./claims_state.ts";
import type { KeyLookup, KeySet } from "./jwt_authenticator.ts";

/** After this a set is fetched again, while its keys go on being used. Milliseconds. */
export const FRESH_MS = 10 * 60_000;

/** After this without a successful fetch a set is used no more: a key may have been withdrawn. Milliseconds. */
export const STALE_MS = 60 * 60_000;

/** Fetches begin at least this far apart, whatever tokens ask for. Milliseconds. */
export const FETCH_EVERY_MS = 5_000;

/** A fetch takes at most this long. Milliseconds. */
export const FETCH_WITHIN_MS = 3_000;

/** Largest set that is read. */
export const MOST_BYTES = 256 * 1024;

/** Most keys of a set; further ones are not looked at. */
const MOST_KEYS = 64;

/** Characters of an RSA modulus of 2,048 bits, base64url. */
const SHORTEST_MODULUS = 342;

interface UsableKey {
  readonly id: string | undefined;
  /** The algorithms that its kind allows, with the import for each. */
  readonly algorithms: ReadonlyMap<AsymmetricAlgorithm, CryptoKey>;
}

/** What {@link JwksKeys} needs. */
export interface JwksOptions {
  readonly url: string;
  /** The platform's, so that tests need no server. */
  readonly fetch: (url: string, init: RequestInit) => Promise<Response>;
  readonly clock: Clock;
  readonly log: Log;
}

/** A {@link KeySet} behind a URL. */
export class JwksKeys implements KeySet {
  readonly #options: JwksOptions;
  #keys: readonly UsableKey[] = [];
  #fetchedAt = -Infinity;
  #triedAt = -Infinity;
  #fetching: Promise<void> | null = null;

  constructor(options: JwksOptions) {
    this.#options = options;
  }

  find(algorithm: AsymmetricAlgorithm, id: string | undefined): KeyLookup | Promise<KeyLookup> {
    const now = this.#options.clock.now();
    const age = now - this.#fetchedAt;
    if (age < STALE_MS) {
      const key = this.#pick(algorithm, id);
      if (key !== undefined) {
        if (age >= FRESH_MS) void this.#refresh(now);
        return { kind: "key", key };
      }
    }
    return this.#findAnew(algorithm, id, now);
  }

  /** A key that is not here may have been published since. */
  async #findAnew(
    algorithm: AsymmetricAlgorithm,
    id: string | undefined,
    now: number,
  ): Promise<KeyLookup> {
    await this.#refresh(now);
    if (now - this.#fetchedAt >= STALE_MS) return { kind: "unavailable", retryAfter: FETCH_EVERY_MS };
    const key = this.#pick(algorithm, id);
    return key === undefined ? { kind: "unknown" } : { kind: "key", key };
  }

  #pick(algorithm: AsymmetricAlgorithm, id: string | undefined): CryptoKey | undefined {
    const fitting = this.#keys.filter((key) => {
      return key.algorithms.has(algorithm) && (id === undefined || key.id === id);
    });
    // Without an id a guess among several would make one token try many keys.
    return fitting.length === 1 ? fitting[0]!.algorithms.get(algorithm) : undefined;
  }

  /** Resolves when the fetch under way is over, and at once if none may begin yet. */
  #refresh(now: number): Promise<void> {
    if (this.#fetching !== null) return this.#fetching;
    if (now - this.#triedAt < FETCH_EVERY_MS) return Promise.resolve();
    this.#triedAt = now;
    this.#fetching = this.#fetch()
      .then((keys) => {
        this.#keys = keys;
        this.#fetchedAt = this.#options.clock.now();
        this.#options.log.info("jwks-fetched", { keys: keys.length });
      })
      .catch((error: unknown) => {
        this.#options.log.warn("jwks-not-fetched", { error: describeError(error) });
      })
      .finally(() => this.#fetching = null);
    return this.#fetching;
  }

  async #fetch(): Promise<UsableKey[]> {
    const { clock, fetch, url } = this.#options;
    const abort = new AbortController();
    const cancel = clock.wakeAt(clock.now() + FETCH_WITHIN_MS, () => abort.abort(new Error("too slow")));
    try {
      const { signal } = abort;
      const response = await fetch(url, {
        signal,
        redirect: "error",
        headers: { accept: "application/json" },
      });
      if (!response.ok) {
        await response.body?.cancel();
        throw new Error(`HTTP ${response.status}`);
      }
      return await usableKeys(JSON.parse(await boundedText(response)));
    } finally {
      cancel();
    }
  }
}

async function boundedText(response: Response): Promise<string> {
  const decoder = new TextDecoder();
  let text = "";
  let bytes = 0;
  for await (const chunk of response.body ?? []) {
    bytes += chunk.length;
    if (bytes > MOST_BYTES) throw new Error(`more than ${MOST_BYTES} bytes`);
    text += decoder.decode(chunk, { stream: true });
  }
  return text + decoder.decode();
}

/** Keys of other kinds and purposes are left out; a set without a list of keys is refused. */
async function usableKeys(set: unknown): Promise<UsableKey[]> {
  const keys = (set as { readonly keys?: unknown } | null)?.keys;
  if (!Array.isArray(keys)) throw new Error("the answer has no list of keys");
  const usable: UsableKey[] = [];
  for (const jwk of keys.slice(0, MOST_KEYS) as (JsonWebKey & { readonly kid?: unknown } | null)[]) {
    if (jwk === null || typeof jwk !== "object" || jwk.use === "enc") continue;
    const algorithms = new Map<AsymmetricAlgorithm, CryptoKey>();
    for (const algorithm of algorithmsOf(jwk)) {
      const key = await importKey(jwk, algorithm);
      if (key !== null) algorithms.set(algorithm, key);
    }
    const id = typeof jwk.kid === "string" ? jwk.kid : undefined;
    if (algorithms.size > 0) usable.push({ id, algorithms });
  }
  return usable;
}

/** What a key may verify: what it says, or else what its kind is usually used for. */
function algorithmsOf(jwk: JsonWebKey): readonly AsymmetricAlgorithm[] {
  const byKind: readonly AsymmetricAlgorithm[] = jwk.kty === "RSA" && (jwk.n?.length ?? 0) >= SHORTEST_MODULUS
    ? ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"]
    : jwk.kty === "EC" && jwk.crv === "P-256"
    ? ["ES256"]
    : jwk.kty === "EC" && jwk.crv === "P-384"
    ? ["ES384"]
    : jwk.kty === "OKP" && jwk.crv === "Ed25519"
    ? ["EdDSA"]
    : [];
  if (jwk.alg === undefined) return byKind;
  // RFC 9864 gives the same algorithm a name of its own.
  const named = jwk.alg === "Ed25519" ? "EdDSA" : jwk.alg;
  return isAsymmetric(named) && byKind.includes(named) ? [named] : [];
}

async function importKey(jwk: JsonWebKey, algorithm: AsymmetricAlgorithm): Promise<CryptoKey | null> {
  const { kty, crv, n, e, x, y } = jwk;
  const present = Object.entries({ kty, crv, n, e, x, y }).filter(([, value]) => value !== undefined);
  try {
    const parameters = importParameters(algorithm);
    return await crypto.subtle.importKey("jwk", Object.fromEntries(present), parameters, false, ["verify"]);
  } catch (error) {
    // A key that cannot be imported is not usable; the set's others are.
    if (error instanceof DOMException || error instanceof TypeError) return null;
    throw error;
  }
}

function importParameters(
  algorithm: AsymmetricAlgorithm,
): RsaHashedImportParams | EcKeyImportParams | Algorithm {
  const hash = `SHA-${algorithm.slice(2)}`;
  switch (algorithm) {
    case "RS256":
    case "RS384":
    case "RS512":
      return { name: "RSASSA-PKCS1-v1_5", hash };
    case "PS256":
    case "PS384":
    case "PS512":
      return { name: "RSA-PSS", hash };
    case "ES256":
      return { name: "ECDSA", namedCurve: "P-256" };
    case "ES384":
      return { name: "ECDSA", namedCurve: "P-384" };
    case "EdDSA":
      return { name: "Ed25519" };
    default:
      return algorithm satisfies never;
  }
}
