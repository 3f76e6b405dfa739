/** Who gets into the admin API. */

import assert from "node:assert/strict";
import { LOGIN_LIFETIME_MS } from "../../../routes/admin/guard.ts";
import { ADMIN_TOKEN, AdminNode } from "../../support/admin_node.ts";
import { describedRoutes, filled } from "../../support/declared.ts";

const SELF = { origin: "http://localhost", host: "localhost" };

async function refusal(response: Response, status: number, name: string): Promise<void> {
  const text = await response.text();
  assert.equal(response.status, status, text);
  assert.equal(response.headers.get("content-type"), "application/problem+json");
  assert.equal(JSON.parse(text).type, `urn:holdfast:problem:${name}`);
}

function login(admin: AdminNode, body: unknown, headers: Record<string, string> = {}): Promise<Response> {
  return admin.request("/v1/admin/login", {
    method: "POST",
    headers: { ...SELF, "content-type": "application/json", ...headers },
    body: JSON.stringify(body),
  });
}

async function loggedIn(admin: AdminNode): Promise<string> {
  const response = await login(admin, { token: ADMIN_TOKEN });
  assert.equal(response.status, 204);
  return response.headers.get("set-cookie")!.split(";")[0]!;
}

/** What nobody gets in with. */
const STRANGERS: readonly Record<string, string>[] = [
  {},
  { authorization: "Bearer wrong" },
  { authorization: ADMIN_TOKEN },
  { cookie: "holdfast_admin=x" },
];

Deno.test("without credentials, with wrong or malformed ones, no route of the admin API does anything", async () => {
  const admin = new AdminNode();
  const routes = await describedRoutes(admin.api);
  assert.deepEqual(routes.filter(({ open }) => open).map(({ path }) => path), ["/v1/admin/login"]);
  const guarded = [
    ...routes.filter(({ open }) => !open).map(({ method, path }) => [method, filled(path)] as const),
    ["GET", "/v1/admin/nowhere"] as const,
    ["PATCH", "/v1/admin/node"] as const,
  ];
  assert.ok(guarded.length > 15);
  for (const [method, path] of guarded) {
    for (const given of STRANGERS) {
      const headers = { ...given, ...SELF, "content-type": "application/json", "idempotency-key": "k" };
      const body = method === "GET" ? null : '{"body":1}';
      const response = await admin.request(path, { method, headers, body });
      assert.match(response.headers.get("www-authenticate") ?? "", /^Bearer/, `${method} ${path}`);
      await refusal(response, 401, "unauthorized");
    }
  }
  assert.deepEqual(admin.told, []);
});

Deno.test("the admin token, and what the verifier grants, get in", async () => {
  const admin = new AdminNode({ verify: (bearer) => Promise.resolve(bearer === "a.jwt.with-scope") });
  assert.equal((await admin.ask("GET", "/v1/admin/node")).status, 200);
  const headers = { authorization: "Bearer a.jwt.with-scope" };
  assert.equal((await admin.ask("GET", "/v1/admin/node", { headers })).status, 200);
  headers.authorization = "Bearer a.jwt.without";
  assert.equal((await admin.ask("GET", "/v1/admin/node", { headers })).status, 401);
});

Deno.test("beyond loopback without a token the admin API is off", async () => {
  const admin = new AdminNode({ token: null, loopback: false });
  await refusal(await admin.ask("GET", "/v1/admin/node"), 403, "admin-off");
  assert.equal(admin.guard.makeCode(), null);
});

Deno.test("a code is made on loopback alone, and not where a token is set", () => {
  assert.equal(new AdminNode().guard.makeCode(), null);
  assert.match(new AdminNode({ token: null }).guard.makeCode() ?? "", /^[A-Za-z0-9_-]{43}$/);
});

Deno.test("the one-time code gives a cookie once: HttpOnly, SameSite=Strict, a random id and not the code", async () => {
  const admin = new AdminNode({ token: null });
  const code = admin.guard.makeCode()!;
  const response = await login(admin, { code });
  assert.equal(response.status, 204);
  const cookie = response.headers.get("set-cookie")!;
  assert.match(
    cookie,
    /^holdfast_admin=[A-Za-z0-9_-]{43}; Path=\/; Max-Age=43200; HttpOnly; SameSite=Strict$/,
  );
  assert.ok(!cookie.includes(code));
  assert.equal(
    (await admin.ask("GET", "/v1/admin/node", { headers: { cookie: cookie.split(";")[0]! } })).status,
    200,
  );
  await refusal(await login(admin, { code }), 401, "unauthorized");
});

Deno.test("a cookie given over TLS stays on TLS", async () => {
  const response = await login(new AdminNode(), { token: ADMIN_TOKEN }, { "x-forwarded-proto": "https" });
  assert.match(response.headers.get("set-cookie")!, /; Secure$/);
});

Deno.test("a login from another site, or from none, is refused and does not use up the code", async () => {
  const admin = new AdminNode({ token: null });
  const code = admin.guard.makeCode()!;
  await refusal(await login(admin, { code }, { origin: "http://evil.example" }), 403, "origin-refused");
  const bare = await admin.request("/v1/admin/login", {
    method: "POST",
    headers: { host: "localhost", "content-type": "application/json" },
    body: JSON.stringify({ code }),
  });
  await refusal(bare, 403, "origin-refused");
  await refusal(await login(admin, { code: "wrong" }), 401, "unauthorized");
  assert.equal((await login(admin, { code })).status, 204);
});

Deno.test("with a cookie, what changes something must come from this server's pages; reading need not say", async () => {
  const admin = new AdminNode();
  const cookie = await loggedIn(admin);
  assert.equal((await admin.ask("GET", "/v1/admin/node", { headers: { cookie } })).status, 200);
  const drain = (headers: Record<string, string>) =>
    admin.ask("POST", "/v1/admin/node/drain", { headers: { cookie, ...headers } });
  await refusal(await drain({}), 403, "origin-refused");
  await refusal(await drain({ origin: "http://evil.example" }), 403, "origin-refused");
  await refusal(await drain({ origin: "null" }), 403, "origin-refused");
  assert.deepEqual(admin.told, []);
  assert.equal((await drain({ origin: "http://localhost" })).status, 200);
  assert.deepEqual(admin.told, ["drain"]);
});

Deno.test("a login is over after its time, and when it is given up", async () => {
  const admin = new AdminNode();
  const first = await loggedIn(admin);
  const out = await admin.ask("POST", "/v1/admin/logout", {
    headers: { cookie: first, origin: "http://localhost" },
  });
  assert.equal(out.status, 204);
  assert.match(out.headers.get("set-cookie")!, /Max-Age=0/);
  await refusal(
    await admin.ask("GET", "/v1/admin/node", { headers: { cookie: first } }),
    401,
    "unauthorized",
  );
  const second = await loggedIn(admin);
  await admin.node.clock.advance(LOGIN_LIFETIME_MS);
  await refusal(
    await admin.ask("GET", "/v1/admin/node", { headers: { cookie: second } }),
    401,
    "unauthorized",
  );
});

Deno.test("logins are bounded: the oldest goes", async () => {
  const admin = new AdminNode();
  const first = await loggedIn(admin);
  let last = "";
  for (let i = 0; i < 100; i++) last = await loggedIn(admin);
  assert.equal((await admin.ask("GET", "/v1/admin/node", { headers: { cookie: first } })).status, 401);
  assert.equal((await admin.ask("GET", "/v1/admin/node", { headers: { cookie: last } })).status, 200);
});
