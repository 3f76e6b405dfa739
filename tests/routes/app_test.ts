import assert from "node:assert/strict";
import { Hono } from "hono";
import { app } from "../../routes/app.ts";
import { STORE_ANSWER_MS } from "../../routes/health.ts";
import type { SessionStore } from "../../src/storage/session_store.ts";
import { MemorySessionStore } from "../../src/storage/memory_session_store.ts";
import { FakeClock } from "../support/fake_clock.ts";
import { TestLog } from "../support/test_log.ts";

interface Setup {
  readonly routes: ReturnType<typeof app>;
  readonly clock: FakeClock;
  readonly log: TestLog;
}

function setup(
  store: Pick<SessionStore, "get"> = new MemorySessionStore({ clock: new FakeClock() }),
  draining = false,
): Setup {
  const clock = new FakeClock();
  const log = new TestLog();
  const pages = new Hono()
    .get("/", (context) => context.html("<p>page"))
    .get("/broken", () => {
      throw new Error("a secret detail");
    });
  const routes = app({
    connect: { upgrade: assert.fail, origin: { loopback: true, allowed: [] }, onSocket: () => assert.fail() },
    health: { store, clock, log, draining: () => draining },
    metrics: { read: () => "", origin: { loopback: true, allowed: [] } },
    pages,
    log,
  });
  return { routes, clock, log };
}

Deno.test("a live process is healthy, even while it drains", async () => {
  const response = await setup(undefined, true).routes.request("/healthz");
  assert.equal(response.status, 200);
  assert.equal(response.headers.get("cache-control"), "no-store");
});

Deno.test("a node is ready when its store answers", async () => {
  const { routes, clock } = setup();
  assert.equal((await routes.request("/readyz")).status, 200);
  assert.equal(clock.pending, 0);
});

Deno.test("a draining node is not ready, and says that it drains", async () => {
  const response = await setup(undefined, true).routes.request("/readyz");
  assert.equal(response.status, 503);
  assert.equal((await response.json()).type, "urn:holdfast:problem:draining");
});

Deno.test("a node whose store fails is not ready, and its log says why", async () => {
  const { routes, log, clock } = setup({ get: () => Promise.reject(new Error("disk is gone")) });
  const response = await routes.request("/readyz");
  assert.equal(response.status, 503);
  assert.equal((await response.json()).type, "urn:holdfast:problem:store-unavailable");
  assert.match(String(log.of("store_not_ready")[0]?.fields["error"]), /disk is gone/);
  assert.equal(clock.pending, 0);
});

Deno.test("a store that never answers makes a node not ready within a bound, and is asked once meanwhile", async () => {
  let asked = 0;
  const { routes, clock } = setup({ get: () => (asked++, new Promise(() => {})) });
  const answers = [routes.request("/readyz"), routes.request("/readyz")];
  await clock.advance(STORE_ANSWER_MS);
  for (const answer of answers) assert.equal((await answer).status, 503);
  assert.equal(asked, 1);
  assert.equal(clock.pending, 0);
});

Deno.test("what is only read refuses every other method with 405 and says which it takes", async () => {
  const { routes } = setup();
  for (const path of ["/healthz", "/readyz", "/metrics"]) {
    for (const method of ["POST", "PUT", "DELETE", "OPTIONS"]) {
      const response = await routes.request(path, { method });
      assert.equal(response.status, 405, `${method} ${path}`);
      assert.equal(response.headers.get("allow"), "GET, HEAD");
      assert.equal(response.headers.get("content-type"), "application/problem+json");
    }
    const head = await routes.request(path, { method: "HEAD", headers: { host: "localhost" } });
    assert.equal(head.status, 200, path);
  }
});

Deno.test("an unknown path is a problem+json 404", async () => {
  const response = await setup().routes.request("/nowhere");
  assert.equal(response.status, 404);
  assert.equal(response.headers.get("content-type"), "application/problem+json");
});

Deno.test("a route that throws is a problem+json 500 that tells nothing, and a log line that tells why", async () => {
  const { routes, log } = setup();
  const response = await routes.request("/broken");
  assert.equal(response.status, 500);
  assert.ok(!(await response.text()).includes("secret"));
  assert.match(String(log.of("route_failed")[0]?.fields["error"]), /a secret detail/);
  assert.equal(log.of("route_failed")[0]?.fields["request"], response.headers.get("x-request-id"));
  log.expectError("route_failed");
  log.verify();
});

Deno.test("pages may load and reach only their own server, and cannot be framed", async () => {
  const { headers } = await setup().routes.request("/");
  const policy = headers.get("content-security-policy") ?? "";
  assert.match(policy, /default-src 'none'/);
  assert.match(policy, /frame-ancestors 'none'/);
  for (const source of policy.split(";").flatMap((directive) => directive.trim().split(" ").slice(1))) {
    assert.ok(["'self'", "'none'"].includes(source), source);
  }
  assert.equal(headers.get("x-content-type-options"), "nosniff");
});

Deno.test("every answer has an id of its own, or the one that the request came with if it is well-formed", async () => {
  const { routes } = setup();
  const idOf = async (path: string, given?: string) => {
    const headers = given === undefined ? {} : { "x-request-id": given };
    return (await routes.request(path, { headers })).headers.get("x-request-id") ?? "";
  };
  const own = [await idOf("/"), await idOf("/nowhere"), await idOf("/healthz"), await idOf("/", "a b{}")];
  for (const id of own) assert.match(id, /^[0-9a-f-]{36}$/);
  assert.equal(new Set(own).size, own.length);
  assert.equal(await idOf("/healthz", "trace_1-2"), "trace_1-2");
  assert.match(await idOf("/healthz", "x".repeat(65)), /^[0-9a-f-]{36}$/);
});
