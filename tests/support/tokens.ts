/** Tokens as an identity provider would issue them, and as an attacker would. */

import { sign } from "hono/jwt";
import { base64url } from "../../src/system/random.ts";

/** A shared secret of the length that the settings ask for. */
export const SECRET = "0123456789abcdef0123456789abcdef";

/** Who issues, and for whom. */
export const EXPECTED = { issuer: "https://id.example", audience: "holdfast" };

/** Claims that are right at `now` and for `lifetime` from then; milliseconds. */
export function claimsAt(now: number, lifetime = 60_000): Record<string, unknown> {
  return {
    iss: EXPECTED.issuer,
    aud: EXPECTED.audience,
    sub: "alice",
    exp: (now + lifetime) / 1000,
  };
}

/** Signs with the shared secret. */
export function signed(claims: Record<string, unknown>, secret = SECRET): Promise<string> {
  return sign(claims, secret, "HS256");
}

/** A token with any header at all and whatever signature. */
export function forged(header: unknown, claims: unknown, signature = ""): string {
  const part = (value: unknown) => base64url(new TextEncoder().encode(JSON.stringify(value)));
  return `${part(header)}.${part(claims)}.${signature}`;
}

/** A key pair of a published set. */
export interface SigningKey {
  /** As the set publishes it. */
  readonly published: JsonWebKey & { readonly kid: string };
  sign(claims: Record<string, unknown>): Promise<string>;
}

/** Makes a key pair for `ES256` with this id. */
export async function signingKey(kid: string): Promise<SigningKey> {
  const pair = await crypto.subtle.generateKey({ name: "ECDSA", namedCurve: "P-256" }, true, [
    "sign",
    "verify",
  ]);
  const { kty, crv, x, y, d } = await crypto.subtle.exportKey("jwk", pair.privateKey);
  const shared = { kty: kty!, crv: crv!, x: x!, y: y!, kid, alg: "ES256" };
  return {
    published: { ...shared, use: "sig" },
    sign: (claims) => sign(claims, { ...shared, d: d! }),
  };
}
