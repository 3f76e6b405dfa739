/** What the admin API answers while its store does not. */

import assert from "node:assert/strict";
import { ANSWER_MS } from "../../../routes/admin/store_answers.ts";
import { MemorySessionStore } from "../../../src/storage/memory_session_store.ts";
import { AdminNode } from "../../support/admin_node.ts";
import { describedRoutes, filled } from "../../support/declared.ts";
import { FakeClock, settle } from "../../support/fake_clock.ts";
import { FaultyStore } from "../../support/faulty_store.ts";
import { TestClient } from "../../support/raw_peer.ts";

/** Those that ask the store nothing: what they say of the node must be had while it is away. */
const WITHOUT_STORE = [
  "POST /v1/admin/login",
  "POST /v1/admin/logout",
  "GET /v1/admin/services",
  "GET /v1/admin/node",
  "POST /v1/admin/node/drain",
  "POST /v1/admin/node/undrain",
];

function setup() {
  const clock = new FakeClock();
  const store = new FaultyStore(new MemorySessionStore({ clock }));
  return { clock, store, admin: new AdminNode({ clock, store }) };
}

/** A request that each route takes. */
function asked(method: string, path: string): [string, string, RequestInit] {
  const json = { "content-type": "application/json", "idempotency-key": "k" };
  if (path.endsWith("/messages")) return [method, filled(path), { headers: json, body: '{"body":1}' }];
  if (path.endsWith("/lookup")) {
    const body = '{"principal":"p","service":"echo","method":"m","key":"k"}';
    return [method, filled(path), { headers: json, body }];
  }
  return [method, filled(path), {}];
}

async function assertUnavailable(response: Response, what: string): Promise<void> {
  const problem = await response.json();
  assert.equal(response.status, 503, what);
  assert.equal(response.headers.get("content-type"), "application/problem+json");
  assert.equal(problem.type, "urn:holdfast:problem:store-unavailable", what);
  assert.match(response.headers.get("retry-after") ?? "", /^[1-9]\d*$/, what);
  assert.equal(response.headers.get("cache-control"), "no-store");
}

const routes = await describedRoutes(new AdminNode().api);

Deno.test("each route that reads the store declares 503, and no other does", () => {
  const nameOf = ({ method, path }: typeof routes[number]) => `${method} ${path}`;
  assert.deepEqual(
    routes.filter(({ statuses }) => !statuses.includes("503")).map(nameOf).sort(),
    [...WITHOUT_STORE].sort(),
  );
});

for (const { method, path } of routes) {
  if (WITHOUT_STORE.includes(`${method} ${path}`)) continue;

  Deno.test(`${method} ${path} is a 503 that says when to ask again while the store cannot be reached`, async () => {
    const { store, admin } = setup();
    store.away = true;
    const what = `${method} ${path}`;
    await assertUnavailable(await admin.ask(...asked(method, path)), what);
    const lines = admin.node.log.of("store_unanswered");
    assert.deepEqual(lines.map(({ level }) => level), ["warn"]);
    assert.match(String(lines[0]?.fields["error"]), /the store is away/);
    store.away = false;
    assert.notEqual((await admin.ask(...asked(method, path))).status, 503);
    admin.node.log.verify();
  });

  Deno.test(`${method} ${path} is a 503 in time while the store gives no answer`, async () => {
    const { clock, store, admin } = setup();
    store.failReads(...Array(20).fill("hold"));
    store.failAtomics(...Array(20).fill("hold"));
    const response = admin.ask(...asked(method, path));
    await clock.advance(ANSWER_MS);
    await assertUnavailable(await response, `${method} ${path}`);
    assert.deepEqual(admin.node.log.of("store_unanswered").map(({ level }) => level), ["warn"]);
    assert.equal(clock.pending, 0);
    admin.node.log.verify();
  });
}

Deno.test("what only the node's memory is asked for is answered while the store is away", async () => {
  const { store, admin } = setup();
  store.away = true;
  for (const path of ["services", "node"]) {
    assert.equal((await admin.ask("GET", `/v1/admin/${path}`)).status, 200);
  }
  assert.equal((await admin.ask("POST", "/v1/admin/node/drain")).status, 200);
});

Deno.test("ending a session whose commit gets no answer is a 503 in time, and the session ends when the store is back", async () => {
  const { clock, store, admin } = setup();
  const client = new TestClient();
  await client.connect(admin.node);
  client.open();
  await settle();
  store.away = true;
  const response = admin.ask("DELETE", `/v1/admin/sessions/${client.session}`);
  await clock.advance(ANSWER_MS);
  await assertUnavailable(await response, "DELETE");
  store.away = false;
  await clock.advance(60_000);
  assert.equal((await admin.get(`/v1/admin/sessions/${client.session}`)).state, "ended");
  admin.node.log.verify();
});

Deno.test("a defect while a route reads the store is not the store's: it is thrown, and nothing says try again", async () => {
  const { store, admin } = setup();
  store.get = () => Promise.reject(new TypeError("a defect"));
  await assert.rejects(admin.ask("GET", `/v1/admin/sessions/${"A".repeat(22)}`), /a defect/);
  assert.deepEqual(admin.node.log.of("store_unanswered"), []);
});

Deno.test("a defect that shows after the answer was given up is logged as one", async () => {
  const { clock, store, admin } = setup();
  const broken = Promise.withResolvers<never>();
  store.get = () => broken.promise;
  const response = admin.ask("GET", `/v1/admin/sessions/${"A".repeat(22)}`);
  await clock.advance(ANSWER_MS);
  assert.equal((await response).status, 503);
  broken.reject(new TypeError("a late defect"));
  await settle();
  assert.match(String(admin.node.log.of("route_failed")[0]?.fields["error"]), /a late defect/);
  admin.node.log.expectError("route_failed");
  admin.node.log.verify();
});
