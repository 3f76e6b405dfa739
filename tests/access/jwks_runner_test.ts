/** A key set behind a URL: cached, rotated, and bounded in time and size. */

import assert from "node:assert/strict";
import {
  FETCH_EVERY_MS,
  FETCH_WITHIN_MS,
  FRESH_MS,
  JwksKeys,
  STALE_MS,
} from "../../src/access/jwks_runner.ts";
import { FakeClock, settle } from "../support/fake_clock.ts";
import { TestLog } from "../support/test_log.ts";
import { signingKey } from "../support/tokens.ts";

type Answer = (signal: AbortSignal) => Promise<Response>;

/** A key set whose server gives the answers that a test wants. */
class World {
  readonly clock = new FakeClock();
  readonly log = new TestLog();
  fetches = 0;
  answer: Answer;
  readonly keys: JwksKeys;

  constructor(answer: Answer) {
    this.answer = answer;
    this.keys = new JwksKeys({
      url: "https://id.example/keys",
      fetch: (_url, init) => {
        this.fetches++;
        return this.answer(init.signal!);
      },
      clock: this.clock,
      log: this.log,
    });
  }

  async find(id?: string): Promise<string> {
    return (await this.keys.find("ES256", id)).kind;
  }
}

const k1 = await signingKey("k1");
const k2 = await signingKey("k2");
const publishing = (...keys: readonly unknown[]): Answer => () => Promise.resolve(Response.json({ keys }));

Deno.test("a set is fetched once for many tokens, also for those that come at the same time", async () => {
  const world = new World(publishing(k1.published));
  assert.deepEqual(await Promise.all([world.find("k1"), world.find("k1")]), ["key", "key"]);
  await world.clock.advance(FRESH_MS - 1);
  assert.equal(await world.find("k1"), "key");
  assert.equal(world.fetches, 1);
});

Deno.test("a rotated set is fetched when an unknown key is named, and not for each such token", async () => {
  const world = new World(publishing(k1.published));
  await world.find("k1");
  world.answer = publishing(k2.published);
  assert.equal(await world.find("k2"), "unknown");
  await world.clock.advance(FETCH_EVERY_MS);
  assert.equal(await world.find("k2"), "key");
  assert.equal(await world.find("k1"), "unknown");
  assert.equal(world.fetches, 2);
});

Deno.test("a set that grew old is fetched again while its keys go on being used", async () => {
  const world = new World(publishing(k1.published));
  await world.find("k1");
  await world.clock.advance(FRESH_MS);
  world.answer = publishing(k2.published);
  assert.equal(world.keys.find("ES256", "k1") instanceof Promise, false);
  while (await world.find("k2") !== "key") await settle();
  assert.equal(world.fetches, 2);
});

Deno.test("while the server is away a set is used for an hour, then nobody is judged", async () => {
  const world = new World(publishing(k1.published));
  await world.find("k1");
  world.answer = () => Promise.resolve(new Response("down", { status: 503 }));
  await world.clock.advance(STALE_MS - 1);
  assert.equal(await world.find("k1"), "key");
  await world.clock.advance(FETCH_EVERY_MS);
  assert.equal(await world.find("k1"), "unavailable");
  world.answer = publishing(k1.published);
  await world.clock.advance(FETCH_EVERY_MS);
  assert.equal(await world.find("k1"), "key");
  assert.ok(world.log.of("jwks-not-fetched").length >= 1);
});

Deno.test("a server that does not answer is given up after a few seconds", async () => {
  const world = new World((signal) =>
    new Promise((_resolve, reject) => signal.addEventListener("abort", () => reject(signal.reason)))
  );
  const found = world.find("k1");
  await world.clock.advance(FETCH_WITHIN_MS);
  assert.equal(await found, "unavailable");
  assert.equal(world.clock.pending, 0);
});

const BAD_ANSWERS: Record<string, Answer> = {
  "endless": () => {
    const chunk = new Uint8Array(64 * 1024).fill(32);
    return Promise.resolve(new Response(new ReadableStream({ pull: (to) => to.enqueue(chunk) })));
  },
  "not JSON": () => Promise.resolve(new Response("<html>")),
  "JSON of another shape": () => Promise.resolve(Response.json([k1.published])),
  "null": () => Promise.resolve(Response.json(null)),
  "an error": () => Promise.resolve(new Response(null, { status: 404 })),
  "a connection that fails": () => Promise.reject(new TypeError("refused")),
};

for (const [name, answer] of Object.entries(BAD_ANSWERS)) {
  Deno.test(`an answer that is no key set makes keys unavailable: ${name}`, async () => {
    const world = new World(answer);
    assert.equal(await world.find("k1"), "unavailable");
    assert.equal(world.clock.pending, 0);
  });
}

Deno.test("keys of other kinds, for other uses or not well made are left out, the rest of the set counts", async () => {
  const { crv: _, ...broken } = k2.published;
  const world = new World(publishing(
    null,
    "key",
    { kty: "oct", k: "AAAA", kid: "secret" },
    { ...k2.published, kid: "enc", use: "enc" },
    { ...broken, kid: "broken" },
    { ...k2.published, kid: "alg", alg: "RS256" },
    { kty: "RSA", n: "AQAB", e: "AQAB", kid: "short" },
    k1.published,
  ));
  assert.equal(await world.find("k1"), "key");
  for (const id of ["secret", "enc", "broken", "alg", "short"]) {
    assert.equal(await world.find(id), "unknown", id);
  }
});

Deno.test("a token without a key's id is verified only where one key alone can be meant", async () => {
  const one = new World(publishing(k1.published));
  assert.equal(await one.find(), "key");
  const two = new World(publishing(k1.published, k2.published));
  assert.equal(await two.find(), "unknown");
});
