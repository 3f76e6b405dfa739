import assert from "node:assert/strict";
import type { MiddlewareHandler } from "hono";
import { metrics } from "../../routes/metrics.ts";

const read = () => "# HELP a Text.\n# TYPE a gauge\na 1\n";
const LOOPBACK = { loopback: true, allowed: [] };
const PUBLIC = { loopback: false, allowed: [] };
const local = { headers: { host: "127.0.0.1:8080" } };

Deno.test("on a loopback address anyone on the machine reads the metrics, never from a cache", async () => {
  const response = await metrics({ read, origin: LOOPBACK }).request("/metrics", local);
  assert.equal(response.status, 200);
  assert.equal(response.headers.get("content-type"), "text/plain; version=0.0.4; charset=utf-8");
  assert.equal(response.headers.get("cache-control"), "no-store");
  assert.equal(await response.text(), read());
});

Deno.test("a page that rebound its name to this machine, or of another origin, does not read them", async () => {
  for (
    const headers of [
      { host: "evil.example" },
      { host: "127.0.0.1:8080", origin: "https://evil.example" },
    ]
  ) {
    const response = await metrics({ read, origin: LOOPBACK }).request("/metrics", { headers });
    assert.equal(response.status, 403);
    assert.equal(response.headers.get("content-type"), "application/problem+json");
  }
});

Deno.test("beyond loopback the admin guard decides, and without one nobody reads them", async () => {
  const guard: MiddlewareHandler = async (context, next) => {
    if (context.req.header("authorization") === "Bearer right") return await next();
    return context.text("no", 401);
  };
  const routes = metrics({ read, guard, origin: PUBLIC });
  assert.equal((await routes.request("/metrics", local)).status, 401);
  const right = { headers: { host: "a.example", authorization: "Bearer right" } };
  assert.equal((await routes.request("/metrics", right)).status, 200);
  const unguarded = await metrics({ read, origin: PUBLIC }).request("/metrics", right);
  assert.equal(unguarded.status, 403);
  assert.equal((await unguarded.json()).type, "urn:holdfast:problem:metrics-off");
});
