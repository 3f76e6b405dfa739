/** Which tokens are accepted: a table of those that are not, and what the others give. */

import assert from "node:assert/strict";
import { sign } from "hono/jwt";
import {
  adminVerifier,
  importSecret,
  JwtAuthenticator,
  type KeySet,
} from "../../src/access/jwt_authenticator.ts";
import { JwksKeys } from "../../src/access/jwks_runner.ts";
import { FakeClock } from "../support/fake_clock.ts";
import { TestLog } from "../support/test_log.ts";
import { claimsAt, EXPECTED, forged, SECRET, signed, signingKey } from "../support/tokens.ts";

const clock = new FakeClock();
const NOW = clock.now();
const RIGHT = claimsAt(NOW);
const HS = { alg: "HS256", typ: "JWT" };

async function bySecret(): Promise<JwtAuthenticator> {
  return new JwtAuthenticator(await importSecret(SECRET), EXPECTED, clock);
}

const without = (claim: string) =>
  Object.fromEntries(Object.entries(RIGHT).filter(([name]) => name !== claim));
const seconds = (ms: number) => (NOW + ms) / 1000;

const REFUSED: Record<string, () => string | undefined | Promise<string>> = {
  "no token at all": () => undefined,
  "an empty one": () => "",
  "garbage": () => "garbage",
  "three garbage parts": () => "a.b.c",
  "a header that is no object": () => forged(7, RIGHT, "AAAA"),
  "16 KiB and more": async () => `${await signed({ ...RIGHT, pad: "x".repeat(16 * 1024) })}`,
  "alg none": () => forged({ alg: "none", typ: "JWT" }, RIGHT),
  "alg None, with a signature": () => forged({ alg: "None", typ: "JWT" }, RIGHT, "AAAA"),
  "no alg": () => forged({ typ: "JWT" }, RIGHT, "AAAA"),
  "another algorithm with the same secret": () => sign(RIGHT, SECRET, "HS512"),
  "an asymmetric algorithm where a secret is in use": () => forged({ ...HS, alg: "RS256" }, RIGHT, "AAAA"),
  "a wrong secret": () => signed(RIGHT, "f".repeat(32)),
  "an empty signature": () => forged(HS, RIGHT),
  "a critical header that nobody understands": () => forged({ ...HS, crit: ["exp"] }, RIGHT, "AAAA"),
  "a kid that is no string": () => forged({ ...HS, kid: { a: 1 } }, RIGHT, "AAAA"),
  "an expired one": () => signed({ ...RIGHT, exp: seconds(0) }),
  "one without an end": () => signed(without("exp")),
  "an end that is no number": () => signed({ ...RIGHT, exp: "tomorrow" }),
  "one that is not valid yet": () => signed({ ...RIGHT, nbf: seconds(5_001) }),
  "a wrong issuer": () => signed({ ...RIGHT, iss: "https://evil.example" }),
  "no issuer": () => signed(without("iss")),
  "a wrong audience": () => signed({ ...RIGHT, aud: "another" }),
  "wrong audiences": () => signed({ ...RIGHT, aud: ["another", "a third"] }),
  "no audience": () => signed(without("aud")),
  "nobody": () => signed(without("sub")),
  "an empty name": () => signed({ ...RIGHT, sub: "" }),
  "a name of 257 characters": () => signed({ ...RIGHT, sub: "x".repeat(257) }),
  "a name that is no text": () => signed({ ...RIGHT, sub: 7 }),
  "the name of operators": () => signed({ ...RIGHT, sub: "holdfast:operator" }),
  "services that are no list": () => signed({ ...RIGHT, "holdfast:services": "echo" }),
  "limits that are no numbers": () => signed({ ...RIGHT, "holdfast:limits": { sessions: "many" } }),
  "negative limits": () => signed({ ...RIGHT, "holdfast:limits": { connections: -1 } }),
};

for (const [name, make] of Object.entries(REFUSED)) {
  Deno.test(`a token is refused as unauthorized: ${name}`, async () => {
    const token = await make();
    const outcome = await (await bySecret()).authenticate(token);
    assert.ok(!outcome.ok && outcome.reason === "unauthorized", JSON.stringify(outcome));
    if (token !== undefined && token.length > 20) assert.ok(!outcome.detail.includes(token.slice(0, 20)));
  });
}

Deno.test("a valid token names its principal, its end, its services and its limits", async () => {
  const authenticator = await bySecret();
  assert.deepEqual(await authenticator.authenticate(await signed(RIGHT)), {
    ok: true,
    grant: { principal: "alice", expiresAt: NOW + 60_000, services: null, limits: {}, admin: false },
  });
  const rich = await signed({
    ...RIGHT,
    aud: ["another", "holdfast"],
    nbf: seconds(4_000),
    scope: "read holdfast:admin",
    "holdfast:services": ["echo"],
    "holdfast:limits": { sessions: 2, connections: 3 },
  });
  assert.deepEqual(await authenticator.authenticate(rich), {
    ok: true,
    grant: {
      principal: "alice",
      expiresAt: NOW + 60_000,
      services: ["echo"],
      limits: { sessions: 2, connections: 3 },
      admin: true,
    },
  });
});

Deno.test("one changed character of a token anywhere makes it worthless", async () => {
  const authenticator = await bySecret();
  const token = await signed(RIGHT);
  // The last character of a part may carry bits that no byte has.
  for (let at = 1; at < token.length - 2; at += 7) {
    if (token[at] === "." || token[at + 1] === ".") continue;
    const changed = token.slice(0, at) + (token[at] === "A" ? "B" : "A") + token.slice(at + 1);
    assert.equal((await authenticator.authenticate(changed)).ok, false, `at ${at}`);
  }
});

Deno.test("a public key is no secret to sign with: HS256 is refused where a key set is in use", async () => {
  const key = await signingKey("k1");
  const log = new TestLog();
  const keys = new JwksKeys({
    url: "https://id.example/keys",
    fetch: () => Promise.resolve(Response.json({ keys: [key.published] })),
    clock,
    log,
  });
  const authenticator = new JwtAuthenticator(keys, EXPECTED, clock);
  assert.equal((await authenticator.authenticate(await key.sign(RIGHT))).ok, true);
  const confused = await signed(RIGHT, JSON.stringify(key.published));
  assert.equal((await authenticator.authenticate(confused)).ok, false);
  assert.equal((await authenticator.authenticate(forged({ alg: "none" }, RIGHT))).ok, false);
  log.verify();
});

Deno.test("where the keys cannot be had, nobody is judged", async () => {
  const keys: KeySet = { find: () => ({ kind: "unavailable", retryAfter: 5_000 }) };
  const key = await signingKey("k1");
  const outcome = await new JwtAuthenticator(keys, EXPECTED, clock).authenticate(await key.sign(RIGHT));
  assert.ok(!outcome.ok && outcome.reason === "unavailable");
  assert.equal(outcome.retryAfter, 5_000);
});

Deno.test("only a valid token with the scope holdfast:admin opens the admin interface", async () => {
  const verify = adminVerifier(await bySecret());
  assert.equal(await verify(await signed({ ...RIGHT, scope: "holdfast:admin" })), true);
  assert.equal(await verify(await signed({ ...RIGHT, scope: "holdfast:administrator" })), false);
  assert.equal(await verify(await signed({ ...RIGHT, scope: "holdfast:admin", exp: seconds(-1) })), false);
  assert.equal(await verify(await signed(RIGHT)), false);
  assert.equal(await adminVerifier(null)(await signed({ ...RIGHT, scope: "holdfast:admin" })), false);
});
