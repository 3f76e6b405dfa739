/** What authentication adds to a handshake, with cached keys: `deno run -A bench/access.ts`. */

import { sign } from "hono/jwt";
import { JwksKeys } from "../src/access/jwks_runner.ts";
import { importSecret, JwtAuthenticator } from "../src/access/jwt_authenticator.ts";
import { systemClock } from "../src/system/clock.ts";

/** What one authentication may take at the median, milliseconds. */
const MOST_MS = 0.3;

const ROUNDS = 3_000;
const expected = { issuer: "https://id.example", audience: "holdfast" };
const claims = {
  iss: expected.issuer,
  aud: expected.audience,
  sub: "alice",
  exp: Date.now() / 1000 + 3600,
};
const log = { debug() {}, info() {}, warn: console.warn, error: console.error };

async function byKeySet(
  alg: "ES256" | "RS256",
  parameters: EcKeyGenParams | RsaHashedKeyGenParams,
): Promise<[string, JwtAuthenticator, string]> {
  const pair = await crypto.subtle.generateKey(parameters, true, ["sign", "verify"]) as CryptoKeyPair;
  const published = { ...await crypto.subtle.exportKey("jwk", pair.publicKey), kid: "k", alg };
  const answer = () => Promise.resolve(Response.json({ keys: [published] }));
  const keys = new JwksKeys({ url: "https://id.example/keys", fetch: answer, clock: systemClock, log });
  const token = await sign(claims, pair.privateKey, alg);
  return [`${alg}, from a key set`, new JwtAuthenticator(keys, expected, systemClock), token];
}

const secret = "0123456789abcdef0123456789abcdef";
const cases: readonly [string, JwtAuthenticator, string][] = [
  [
    "HS256, shared secret",
    new JwtAuthenticator(await importSecret(secret), expected, systemClock),
    await sign(claims, secret, "HS256"),
  ],
  await byKeySet("ES256", { name: "ECDSA", namedCurve: "P-256" }),
  await byKeySet("RS256", {
    name: "RSASSA-PKCS1-v1_5",
    hash: "SHA-256",
    modulusLength: 2048,
    publicExponent: new Uint8Array([1, 0, 1]),
  }),
];

let failed = false;
for (const [name, authenticator, token] of cases) {
  const times: number[] = [];
  for (let i = 0; i < ROUNDS; i++) {
    const began = performance.now();
    const outcome = await authenticator.authenticate(token);
    times.push(performance.now() - began);
    if (!outcome.ok) throw new Error(`${name}: ${outcome.detail}`);
  }
  times.sort((a, b) => a - b);
  const at = (part: number) => times[Math.floor(part * (times.length - 1))]!.toFixed(3);
  const met = Number(at(0.5)) <= MOST_MS;
  failed ||= !met;
  console.log(
    `${name.padEnd(24)} p50 ${at(0.5)} ms, p99 ${at(0.99)} ms (wanted: p50 ≤ ${MOST_MS} ms) ${
      met ? "met" : "MISSED"
    }`,
  );
}
if (failed) Deno.exit(1);
