/** Listing and refusing: what the admin API answers to questions good and bad. */

import assert from "node:assert/strict";
import { BODY_BYTES } from "../../../routes/admin/described.ts";
import { MemorySessionStore } from "../../../src/storage/memory_session_store.ts";
import { ADMIN_TOKEN, AdminNode } from "../../support/admin_node.ts";
import { FakeClock, settle } from "../../support/fake_clock.ts";
import { TestClient } from "../../support/raw_peer.ts";

const UNKNOWN = "A".repeat(22);

async function clients(admin: AdminNode, count: number, durability: "durable" | "ephemeral" = "durable") {
  const made: TestClient[] = [];
  for (let i = 0; i < count; i++) {
    const client = new TestClient({ durability });
    await client.connect(admin.node);
    client.open();
    await settle();
    made.push(client);
  }
  return made;
}

/** Follows a listing to its end. */
async function all(admin: AdminNode, query: string, limit = 3): Promise<string[]> {
  const ids: string[] = [];
  let cursor = "";
  for (;;) {
    const page = await admin.get(`/v1/admin/sessions?limit=${limit}&${query}${cursor}`);
    assert.ok(page.sessions.length <= limit);
    ids.push(...page.sessions.map(({ id }) => id));
    if (page.next === null) return ids;
    cursor = `&cursor=${page.next}`;
  }
}

const idsOf = (some: readonly TestClient[]) => some.map(({ session }) => session!).sort();

Deno.test("a listing shows each session once, whatever the size of its parts", async () => {
  const admin = new AdminNode();
  const durable = await clients(admin, 7);
  const ephemeral = await clients(admin, 5, "ephemeral");
  for (const limit of [1, 2, 3, 5, 12, 1000]) {
    assert.deepEqual((await all(admin, "", limit)).sort(), idsOf([...durable, ...ephemeral]));
  }
});

Deno.test("filters show what matches: state, node, service, age, principal, and together", async () => {
  const clock = new FakeClock();
  const store = new MemorySessionStore({ clock });
  const one = new AdminNode({ clock, store });
  const two = new AdminNode({ clock, store });
  for (const { node } of [one, two]) node.directory.start();
  await settle();
  const old = await clients(one, 5);
  await clock.advance(5_000);
  const young = await clients(two, 4);
  const [parked, detached, ended] = [old[0]!, young[0]!, old[1]!];
  await parked.cut();
  await clock.advance(11_000);
  await detached.cut();
  await one.ask("DELETE", `/v1/admin/sessions/${ended.session}`);
  for (const asked of [one, two]) {
    assert.deepEqual(await all(asked, "state=parked"), [parked.session]);
    assert.deepEqual(await all(asked, "state=detached"), [detached.session]);
    assert.deepEqual(await all(asked, "state=ended"), [ended.session]);
    assert.deepEqual(
      (await all(asked, "state=attached")).sort(),
      idsOf([...old.slice(2), ...young.slice(1)]),
    );
    assert.deepEqual((await all(asked, `node=${one.node.boot}`)).sort(), idsOf(old.slice(2)));
    assert.deepEqual(
      (await all(asked, `state=attached&node=${two.node.boot}`)).sort(),
      idsOf(young.slice(1)),
    );
    assert.deepEqual(await all(asked, "node=no-such-node"), []);
    assert.deepEqual((await all(asked, "maxAge=12000")).sort(), idsOf(young));
    assert.deepEqual((await all(asked, "minAge=12000&state=attached")).sort(), idsOf(old.slice(2)));
    assert.equal((await all(asked, "service=echo")).length, 8);
    assert.deepEqual(await all(asked, "service=other"), []);
    assert.equal((await all(asked, "principal=")).length, 9);
    assert.deepEqual(await all(asked, "principal=nobody"), []);
  }
  for (const { node } of [one, two]) await node.directory.stop();
});

Deno.test("a listing that matches little gives empty parts and goes on", async () => {
  const clock = new FakeClock();
  const store = new MemorySessionStore({ clock });
  const admin = new AdminNode({ clock, store });
  const [first] = await clients(admin, 1);
  const [core] = await store.get([["session", first!.session!]]);
  for (let at = 0; at < 1_500; at++) {
    const key = ["session", `${String(at).padStart(4, "0")}${"B".repeat(18)}`];
    await store.atomic({ checks: [], puts: [{ key, value: core!.value }], deletes: [] });
  }
  const page = await admin.get("/v1/admin/sessions?state=parked");
  assert.deepEqual(page.sessions, []);
  assert.notEqual(page.next, null);
  assert.deepEqual(await all(admin, "state=parked", 100), []);
});

Deno.test("a session on a node that was lost is detached, and no node has it", async () => {
  const clock = new FakeClock();
  const store = new MemorySessionStore({ clock });
  const lost = new AdminNode({ clock, store });
  const [client] = await clients(lost, 1);
  await lost.node.crash();
  const { sessions } = await new AdminNode({ clock, store }).get("/v1/admin/sessions");
  assert.deepEqual(sessions.map(({ id, state, node }) => [id, state, node]), [[
    client!.session,
    "detached",
    null,
  ]]);
});

Deno.test("no answer of the admin API holds a token or the hash of one", async () => {
  const admin = new AdminNode();
  const [client] = await clients(admin, 1);
  const { tokens } = admin.node.registry.find(client!.session!)!.state;
  const secrets = [client!.token, tokens.current!, ADMIN_TOKEN];
  const paths = ["sessions", `sessions/${client!.session}`, "node", "services", "store"];
  for (const path of paths) {
    const text = await (await admin.ask("GET", `/v1/admin/${path}`)).text();
    for (const secret of secrets) assert.ok(!text.includes(secret), path);
  }
});

Deno.test("the node's settings are shown without what is secret in them", async () => {
  const admin = new AdminNode({
    env: {
      HOLDFAST_ADMIN_TOKEN: "hush-hush-hush-hush-hush",
      HOLDFAST_KV: "https://user:hush@kv.example/x?key=hush",
      HOLDFAST_PARK_AFTER: "7s",
    },
  });
  const text = await (await admin.ask("GET", "/v1/admin/node")).text();
  assert.ok(!text.includes("hush"));
  const { settings } = JSON.parse(text);
  const valueOf = (name: string) => settings.find((setting: { name: string }) => setting.name === name);
  assert.equal(valueOf("HOLDFAST_PARK_AFTER").value, "7s");
  assert.deepEqual([valueOf("HOLDFAST_ADMIN_TOKEN").value, valueOf("HOLDFAST_ADMIN_TOKEN").set], [
    null,
    true,
  ]);
});

Deno.test("bad requests are refused as problems that name what is wrong", async () => {
  const admin = new AdminNode();
  const [client] = await clients(admin, 1);
  const { session } = client!;
  const path = (rest: string) => `/v1/admin/sessions${rest}`;
  const messages = path(`/${session}/connections/1/messages`);
  const json = { "content-type": "application/json" };
  const key = { ...json, "idempotency-key": "k" };
  const bad: [string, string, RequestInit, number, string][] = [
    ["GET", path("?limit=0"), {}, 400, "invalid-request"],
    ["GET", path("?limit=1001"), {}, 400, "invalid-request"],
    ["GET", path("?limit=many"), {}, 400, "invalid-request"],
    ["GET", path("?limit=1e2"), {}, 400, "invalid-request"],
    ["GET", path("?state=alive"), {}, 400, "invalid-request"],
    ["GET", path("?service=NO!"), {}, 400, "invalid-request"],
    ["GET", path("?minAge=-1"), {}, 400, "invalid-request"],
    ["GET", path("?cursor=%00"), {}, 400, "invalid-cursor"],
    ["GET", path("?bogus=1"), {}, 400, "invalid-request"],
    ["GET", path("?Principal=somebody"), {}, 400, "invalid-request"],
    ["GET", path("?limit=1&limit=2"), {}, 400, "invalid-request"],
    ["DELETE", path(`/${session}?bogus=1`), {}, 400, "invalid-request"],
    ["PUT", "/v1/admin/principals/somebody/block?bogus=1", {}, 400, "invalid-request"],
    ["GET", path("?cursor=AAAA"), {}, 400, "invalid-cursor"],
    ["GET", path(`?cursor=${"A".repeat(600)}`), {}, 400, "invalid-request"],
    ["GET", path("/short"), {}, 400, "invalid-request"],
    ["GET", path(`/${UNKNOWN}`), {}, 404, "unknown-session"],
    ["GET", path(`/${"%2e".repeat(22)}`), {}, 400, "invalid-request"],
    ["DELETE", path(`/${UNKNOWN}`), {}, 404, "unknown-session"],
    ["DELETE", path(`/${session}?detail=`), {}, 400, "invalid-request"],
    ["DELETE", path(`/${session}?detail=${"x".repeat(257)}`), {}, 400, "invalid-request"],
    ["POST", path(`/${UNKNOWN}/break`), {}, 404, "unknown-session"],
    [
      "POST",
      path(`/${session}/connections/1/messages`),
      { headers: json, body: '{"body":1}' },
      400,
      "invalid-request",
    ],
    [
      "POST",
      messages,
      { headers: { ...json, "idempotency-key": "k".repeat(129) }, body: '{"body":1}' },
      400,
      "invalid-request",
    ],
    ["POST", messages, { headers: key, body: "{" }, 400, "invalid-request"],
    ["POST", messages, { headers: key, body: "[]" }, 400, "invalid-request"],
    ["POST", messages, { headers: key, body: "{}" }, 400, "invalid-request"],
    ["POST", messages, { headers: key, body: '{"body":1,"more":2}' }, 400, "invalid-request"],
    ["POST", messages, { headers: key, body: '{"body":{"$bin":"!"}}' }, 400, "invalid-request"],
    ["POST", messages, { headers: key, body: '{"body":"\\ud800"}' }, 400, "invalid-request"],
    [
      "POST",
      messages,
      { headers: key, body: `{"body":${"[".repeat(40)}${"]".repeat(40)}}` },
      400,
      "invalid-request",
    ],
    [
      "POST",
      messages,
      { headers: { "idempotency-key": "k" }, body: '{"body":1}' },
      415,
      "unsupported-media-type",
    ],
    ["POST", messages, { headers: key, body: `{"body":"${"x".repeat(600_000)}"}` }, 413, "body-too-large"],
    ["POST", messages, { headers: key, body: `{"body":"${"x".repeat(BODY_BYTES)}"}` }, 413, "body-too-large"],
    [
      "POST",
      path(`/${session}/connections/x/messages`),
      { headers: key, body: '{"body":1}' },
      400,
      "invalid-request",
    ],
    [
      "POST",
      path(`/${session}/connections/7/messages`),
      { headers: key, body: '{"body":1}' },
      404,
      "unknown-connection",
    ],
    [
      "POST",
      path(`/${UNKNOWN}/connections/1/messages`),
      { headers: key, body: '{"body":1}' },
      404,
      "unknown-session",
    ],
    [
      "POST",
      "/v1/admin/login",
      { headers: { ...json, origin: "http://localhost" }, body: '{"code":1}' },
      400,
      "invalid-request",
    ],
    [
      "POST",
      "/v1/admin/login",
      { headers: { ...json, origin: "http://localhost" }, body: "{}" },
      400,
      "invalid-request",
    ],
    ["POST", "/v1/admin/login", { headers: { origin: "http://localhost" } }, 415, "unsupported-media-type"],
    [
      "POST",
      "/v1/admin/login",
      { headers: { ...json, origin: "http://localhost" }, body: `{"code":"${"x".repeat(BODY_BYTES)}"}` },
      413,
      "body-too-large",
    ],
    ["GET", "/v1/admin/operations", {}, 404, "not-found"],
    ["GET", "/v1/admin/operations/short", {}, 400, "invalid-request"],
    ["GET", `/v1/admin/operations/${"A".repeat(43)}`, {}, 404, "unknown-operation"],
    ["DELETE", `/v1/admin/operations/${"!".repeat(43)}`, {}, 400, "invalid-request"],
    ["DELETE", `/v1/admin/operations/${"A".repeat(43)}`, {}, 404, "unknown-operation"],
    ["POST", "/v1/admin/operations/lookup", { body: "{}" }, 415, "unsupported-media-type"],
    ...[
      "{}",
      "[]",
      "{",
      `{"principal":"p","service":"echo","method":"m"}`,
      `{"principal":"p","session":"${UNKNOWN}","service":"echo","method":"m","key":"k"}`,
      `{"session":"short","service":"echo","method":"m","key":"k"}`,
      `{"principal":"p","service":"NO!","method":"m","key":"k"}`,
      `{"principal":"p","service":"echo","method":"m","key":"${"k".repeat(129)}"}`,
      `{"principal":"p","service":"echo","method":"m","key":"\\ud800"}`,
    ].map((body): [string, string, RequestInit, number, string] => [
      "POST",
      "/v1/admin/operations/lookup",
      { headers: json, body },
      400,
      "invalid-request",
    ]),
    [
      "POST",
      "/v1/admin/operations/lookup",
      { headers: json, body: `{"principal":"${"p".repeat(BODY_BYTES)}"}` },
      413,
      "body-too-large",
    ],
    [
      "POST",
      "/v1/admin/operations/lookup",
      { headers: json, body: '{"principal":"p","service":"echo","method":"m","key":"k"}' },
      404,
      "unknown-operation",
    ],
    ["PUT", path(`/${session}`), {}, 405, "method-not-allowed"],
    ["GET", "/v1/admin/login", {}, 405, "method-not-allowed"],
  ];
  for (const [method, at, more, status, name] of bad) {
    const response = await admin.ask(method, at, more);
    const text = await response.text();
    const what = `${method} ${at.slice(0, 100)} ${String(more.body ?? "").slice(0, 40)}: ${
      text.slice(0, 200)
    }`;
    assert.equal(response.status, status, what);
    assert.equal(response.headers.get("content-type"), "application/problem+json", what);
    const problem = JSON.parse(text);
    assert.equal(problem.type, `urn:holdfast:problem:${name}`, what);
    assert.equal(problem.status, status);
    assert.ok(problem.title.length > 0 && problem.detail.length > 0);
  }
  await settle();
  assert.deepEqual(client!.echoes, []);
  assert.ok(client!.peer!.open);
  admin.node.log.verify();
});

Deno.test("a query parameter that there is not is refused with its name and those that there are", async () => {
  const admin = new AdminNode();
  const detailOf = async (method: string, path: string) =>
    (await (await admin.ask(method, path)).json()).detail;
  assert.equal(
    await detailOf("GET", "/v1/admin/sessions?limit=5&pricipal=me"),
    'query: "pricipal" is no parameter; allowed are limit, cursor, principal, state, node, service, minAge, maxAge',
  );
  const allowed = 'query: "why" is no parameter; allowed is detail';
  assert.equal(await detailOf("DELETE", `/v1/admin/sessions/${UNKNOWN}?why=so`), allowed);
  assert.equal(await detailOf("PUT", "/v1/admin/principals/somebody/block?why=so"), allowed);
});

Deno.test("a cursor is refused under other filters, and outlives the session it names", async () => {
  const admin = new AdminNode();
  const made = await clients(admin, 4);
  const { next, sessions } = await admin.get("/v1/admin/sessions?limit=2");
  const other = await admin.ask("GET", `/v1/admin/sessions?limit=2&state=attached&cursor=${next}`);
  assert.equal(other.status, 400);
  assert.equal((await other.json()).type, "urn:holdfast:problem:invalid-cursor");
  const { store } = admin.node;
  for (const { id } of sessions) await store.atomic({ checks: [], puts: [], deletes: [["session", id]] });
  const rest = await admin.get(`/v1/admin/sessions?limit=2&cursor=${next}`);
  assert.deepEqual([...sessions, ...rest.sessions].map(({ id }) => id).sort(), idsOf(made));
});
