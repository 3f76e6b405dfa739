import assert from "node:assert/strict";
import { Hono } from "hono";
import { app } from "../../routes/app.ts";
import { connect } from "../../routes/connect.ts";
import type { OriginPolicy } from "../../routes/origin.ts";
import type { Subprotocol } from "../../src/protocol/codec.ts";
import { MemorySessionStore } from "../../src/storage/memory_session_store.ts";
import { FakeClock } from "../support/fake_clock.ts";
import { TestLog } from "../support/test_log.ts";

interface Upgraded {
  readonly response: Response;
  /** What the session layer was given; `undefined` if the request was refused. */
  readonly subprotocol: Subprotocol | undefined;
  readonly idleTimeout: number | undefined;
}

const BASE = { host: "localhost:8080", upgrade: "websocket", connection: "Upgrade" };

async function request(
  headers: Record<string, string>,
  policy: OriginPolicy = { loopback: true, allowed: [] },
  init: RequestInit = {},
): Promise<Upgraded> {
  let subprotocol: Subprotocol | undefined;
  let idleTimeout: number | undefined;
  const log = new TestLog();
  const routes = app({
    connect: {
      upgrade(_request, options) {
        idleTimeout = options.idleTimeout;
        // A Response of status 101 cannot be made; the platform's upgrade makes one.
        return { socket: new EventTarget() as WebSocket, response: new Response(null, { status: 200 }) };
      },
      origin: policy,
      onSocket: (_socket, chosen) => subprotocol = chosen,
    },
    health: {
      store: new MemorySessionStore({ clock: new FakeClock() }),
      clock: new FakeClock(),
      log,
      draining: () => false,
    },
    pages: new Hono(),
    log,
  });
  const response = await routes.request("/v1/connect", { ...init, headers });
  log.verify();
  return { response, subprotocol, idleTimeout };
}

async function assertProblem(response: Response, status: number, rule?: string): Promise<void> {
  assert.equal(response.status, status);
  assert.equal(response.headers.get("content-type"), "application/problem+json");
  const body = await response.json();
  assert.equal(body.status, status);
  assert.equal(body.rule, rule);
  assert.match(body.type, /^urn:holdfast:problem:[a-z-]+$/);
  assert.ok(body.title && body.detail);
}

const CHOICES: readonly { readonly offered: string; readonly chosen: Subprotocol }[] = [
  { offered: "holdfast.v1.msgpack", chosen: "holdfast.v1.msgpack" },
  { offered: "holdfast.v1.json", chosen: "holdfast.v1.json" },
  { offered: "holdfast.v1.json,holdfast.v1.msgpack", chosen: "holdfast.v1.json" },
  { offered: "unknown , holdfast.v1.msgpack", chosen: "holdfast.v1.msgpack" },
];
for (const { offered, chosen } of CHOICES) {
  // @rule frame.route
  Deno.test(`of the subprotocols "${offered}" the server answers ${chosen}`, async () => {
    const { response, subprotocol } = await request({ ...BASE, "sec-websocket-protocol": offered });
    assert.equal(subprotocol, chosen);
    assert.equal(response.headers.get("sec-websocket-protocol"), chosen);
  });
}

// @rule frame.route
Deno.test("a client that offers no subprotocol speaks JSON and is answered none", async () => {
  const { response, subprotocol } = await request(BASE);
  assert.equal(subprotocol, "holdfast.v1.json");
  assert.equal(response.headers.get("sec-websocket-protocol"), null);
});

// @rule frame.route
Deno.test("a client that offers only unknown subprotocols is refused with 400", async () => {
  const { response, subprotocol } = await request({
    ...BASE,
    "sec-websocket-protocol": "holdfast.v2, graphql-ws",
  });
  await assertProblem(response, 400, "frame.route");
  assert.equal(subprotocol, undefined);
});

// @rule frame.route
Deno.test("a request without an upgrade is refused with 426", async () => {
  for (const upgrade of [undefined, "h2c", "websockets"]) {
    const { response } = await request({ host: "localhost", ...(upgrade === undefined ? {} : { upgrade }) });
    await assertProblem(response, 426, "frame.route");
    assert.equal(response.headers.get("upgrade"), "websocket");
  }
});

Deno.test("the upgrade header has no case and may be a list", async () => {
  for (const upgrade of ["WebSocket", "WEBSOCKET", "h2c, websocket"]) {
    assert.equal((await request({ ...BASE, upgrade })).subprotocol, "holdfast.v1.json", upgrade);
  }
});

Deno.test("another method than GET is refused with 405", async () => {
  const { response } = await request(BASE, undefined, { method: "POST" });
  await assertProblem(response, 405);
  assert.equal(response.headers.get("allow"), "GET");
});

Deno.test("the platform's own idle timeout is off, deliberately", async () => {
  assert.equal((await request(BASE)).idleTimeout, 0);
});

const PUBLIC: OriginPolicy = { loopback: false, allowed: [] };
const LOOPBACK: OriginPolicy = { loopback: true, allowed: [] };
const WITH_APP: OriginPolicy = { loopback: true, allowed: ["https://app.example"] };
const ORIGINS: readonly [policy: OriginPolicy, host: string, origin: string | undefined, ok: boolean][] = [
  [PUBLIC, "holdfast.example", undefined, true],
  [PUBLIC, "holdfast.example", "https://holdfast.example", true],
  [PUBLIC, "holdfast.example", "http://holdfast.example", true],
  [PUBLIC, "Holdfast.Example", "https://holdfast.example", true],
  [PUBLIC, "holdfast.example:443", "https://holdfast.example", true],
  [PUBLIC, "holdfast.example:8443", "https://holdfast.example:8443", true],
  [PUBLIC, "holdfast.example", "https://holdfast.example:8443", false],
  [PUBLIC, "holdfast.example", "https://evil.example", false],
  [PUBLIC, "holdfast.example", "https://holdfast.example.evil.example", false],
  [PUBLIC, "holdfast.example", "null", false],
  [PUBLIC, "holdfast.example", "", false],
  [PUBLIC, "holdfast.example", "file://", false],
  [PUBLIC, "holdfast.example", "not an origin", false],
  [{ loopback: false, allowed: ["https://app.example"] }, "holdfast.example", "https://app.example", true],
  [{ loopback: false, allowed: ["https://app.example"] }, "holdfast.example", "http://app.example", false],
  [LOOPBACK, "localhost:8080", "http://localhost:8080", true],
  [LOOPBACK, "127.0.0.1:8080", "http://127.0.0.1:8080", true],
  [LOOPBACK, "[::1]:8080", "http://[::1]:8080", true],
  [LOOPBACK, "localhost:8080", "http://localhost:5173", false],
  [LOOPBACK, "rebound.example:8080", "http://rebound.example:8080", false],
  [LOOPBACK, "rebound.example:8080", undefined, false],
  [LOOPBACK, "127.0.0.1.rebound.example", "http://127.0.0.1.rebound.example", false],
  [LOOPBACK, "localhost@rebound.example", "http://localhost@rebound.example", false],
  [LOOPBACK, "", undefined, false],
  [WITH_APP, "localhost:8080", "https://app.example", true],
  [WITH_APP, "app.example", "https://app.example", true],
  [WITH_APP, "other.example", "https://app.example", false],
];
for (const [policy, host, origin, ok] of ORIGINS) {
  const where = policy.loopback ? "on loopback" : "in public";
  const also = policy.allowed.length === 0 ? "" : `, ${policy.allowed} allowed`;
  // @rule frame.origin
  Deno.test(`${where}, Host "${host}", Origin ${JSON.stringify(origin)}${also}: ${ok ? "taken" : "403"}`, async () => {
    const { response, subprotocol } = await request(
      { ...BASE, host, ...(origin === undefined ? {} : { origin }) },
      policy,
    );
    if (ok) assert.equal(subprotocol, "holdfast.v1.json");
    else await assertProblem(response, 403, "frame.origin");
  });
}

Deno.test("whoever counts refusals is told its status for each request that became no conduit, and for no other", async () => {
  const refused: number[] = [];
  let full = false;
  const routes = connect({
    upgrade: () => ({ socket: null, response: new Response(null) }),
    origin: { loopback: true, allowed: [] },
    onSocket: () => {},
    onRefused: (status) => void refused.push(status),
    full: () => full,
  });
  await routes.request("/v1/connect", { headers: BASE });
  assert.deepEqual(refused, []);
  await routes.request("/v1/connect", { headers: { host: "localhost" } });
  await routes.request("/v1/connect", { headers: { ...BASE, origin: "https://evil.example" } });
  await routes.request("/v1/connect", { headers: { ...BASE, "sec-websocket-protocol": "mqtt" } });
  full = true;
  await routes.request("/v1/connect", { headers: BASE });
  assert.deepEqual(refused, [426, 403, 400, 503]);
});
