import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { services } from "../../routes/services.ts";
import { demoService } from "../../src/service/demo.ts";
import { echo } from "../../src/service/echo.ts";
import { FakeClock } from "../support/fake_clock.ts";

const demo = demoService({ clock: new FakeClock() });
const routes = services([echo, demo]);
const etag = `"${demo.description.hash}"`;

/** Asks for demo's description. */
const ask = (headers: Record<string, string> = {}) => routes.request("/v1/services/demo", { headers });

// @rule connection.schema
Deno.test("the services are listed by name, with their methods and the hash of their description", async () => {
  const response = await routes.request("/v1/services");
  assert.equal(response.status, 200);
  assert.equal(response.headers.get("content-type"), "application/json");
  assert.equal(response.headers.get("cache-control"), "no-cache");
  assert.deepEqual(await response.json(), {
    services: [
      {
        name: "demo",
        schema: demo.description.hash,
        methods: ["add", "echo", "fail", "get", "pipe", "slow", "sum", "ticks", "whoami"],
      },
      { name: "echo", schema: null, methods: [] },
    ],
  });
});

Deno.test("a description is served as the bytes of which its hash is the SHA-256, and the hash is its ETag", async () => {
  const response = await ask();
  assert.equal(response.status, 200);
  assert.equal(response.headers.get("content-type"), "application/json");
  assert.equal(response.headers.get("etag"), etag);
  const text = await response.text();
  assert.equal(createHash("sha256").update(text).digest("base64url"), demo.description.hash);
  assert.deepEqual(JSON.parse(text), demo.description.document);
});

Deno.test("who has the description already is told so, and nothing more", async () => {
  for (const known of [etag, `W/${etag}`, `"other", ${etag}`, "*"]) {
    const response = await ask({ "if-none-match": known });
    assert.equal(response.status, 304, known);
    assert.equal(response.headers.get("etag"), etag);
    assert.equal(await response.text(), "");
  }
  for (const other of ['"other"', demo.description.hash, ""]) {
    assert.equal((await ask({ "if-none-match": other })).status, 200, other);
  }
});

Deno.test("a service that is not there, or does not describe itself, is not found", async () => {
  for (const name of ["nothing", "echo", "__proto__", "%F0%9F%98%80", "a".repeat(5000)]) {
    const response = await routes.request(`/v1/services/${name}`);
    assert.equal(response.status, 404, name);
    assert.equal(response.headers.get("content-type"), "application/problem+json");
    const { type, detail } = await response.json();
    assert.equal(type, "urn:holdfast:problem:unknown-service");
    assert.ok(detail.length < 100);
  }
});
