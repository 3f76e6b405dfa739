/** The service `admin`: who may watch, what a watch is given and what it costs, and what becomes of those who watch. */

import assert from "node:assert/strict";
import { OPERATOR } from "../../src/access/authenticator.ts";
import { ADMIN_SERVICE, LOOK_EVERY_MS, MOST_ROWS, NODE_EVERY_MS } from "../../src/admin/admin_service.ts";
import { KEPT_RATES } from "../../src/admin/rates.ts";
import type { BodyValue } from "../../src/protocol/body.ts";
import { DEFAULT_SLOTS } from "../../src/session/slots_runner.ts";
import { MemorySessionStore } from "../../src/storage/memory_session_store.ts";
import { LOGIN_LIFETIME_MS } from "../../routes/admin/guard.ts";
import { ADMIN_TOKEN, AdminNode, type AdminNodeOptions } from "../support/admin_node.ts";
import { CallClient } from "../support/call_client.ts";
import { FakeClock, settle } from "../support/fake_clock.ts";
import { FaultyStore } from "../support/faulty_store.ts";
import { TestClient } from "../support/raw_peer.ts";
import { SeededRandom } from "../support/seeded_random.ts";
import { TestAuthenticator } from "../support/test_authenticator.ts";

/** What a watched node, part or session is looked at for. */
type Seen = Readonly<Record<string, never>> & {
  readonly rows: readonly { readonly id: string; readonly state: string }[];
  readonly next: string | null;
  readonly state: string;
  readonly history: readonly { readonly kind: string }[];
  readonly counters: { readonly received: number };
  readonly sessions: { readonly attached: number; readonly detached: number; readonly operators: number };
  readonly rates: { readonly [name: string]: readonly number[] };
};

/** Nobody answers pings here. */
const SELDOM = { interval: 600_000, timeout: 600_000 };

/** Somebody who watches. */
class Watcher extends CallClient {
  readonly #channels: number[] = [];
  readonly #requests: number[] = [];

  static async begin(admin: AdminNode, credentials: string | undefined = ADMIN_TOKEN): Promise<Watcher> {
    const watcher = new Watcher({ durability: "ephemeral" }, credentials);
    await watcher.connect(admin.node);
    watcher.openTo(ADMIN_SERVICE);
    await settle();
    return watcher;
  }

  /** Begins a watch. @returns Its number. */
  async watch(method: string, value: BodyValue = null, credit = 1_000): Promise<number> {
    const download = this.channel();
    const watch = this.#channels.push(download) - 1;
    this.#requests.push(this.call(method, value, { download, credit }));
    await settle();
    return watch;
  }

  /** Everything that a watch was given. */
  seen(watch = 0): Seen[] {
    return this.items(this.#channels[watch]!) as unknown as Seen[];
  }

  /** Why a watch is over; undefined while it is not. */
  over(watch = 0): string | undefined {
    return this.answer(this.#requests[watch]!)?.code;
  }

  credit(additional: number, watch = 0): void {
    this.say({ kind: "credit", connection: 1, channel: this.#channels[watch]!, additional });
  }

  /** Why the connection was rejected; undefined if it was not. */
  get rejected(): string | undefined {
    return this.came.flatMap((m) => m.kind === "reject" ? [m.reason] : [])[0];
  }
}

async function applications(admin: AdminNode, count: number): Promise<TestClient[]> {
  const made = Array.from({ length: count }, () => new TestClient({ durability: "ephemeral" }));
  for (const client of made) {
    await client.connect(admin.node);
    client.open();
  }
  await settle();
  return made;
}

const idsOf = (some: readonly TestClient[]) => some.map(({ session }) => session!).sort();

Deno.test("the service is forbidden without the right to administer, whatever services the credentials name", async () => {
  const authenticator = new TestAuthenticator()
    .grant("ada", "ada")
    .grant("bob", "bob", { services: ["admin", "echo"] })
    .grant("operator", "eve", { admin: true });
  const admin = new AdminNode({ authenticator });
  for (
    const [credentials, rejected] of [["ada", "forbidden"], ["bob", "forbidden"], ["operator", undefined]]
  ) {
    const watcher = await Watcher.begin(admin, credentials);
    assert.equal(watcher.rejected, rejected, credentials);
  }
  const anonymous = await Watcher.begin(new AdminNode(), "whatever");
  assert.equal(anonymous.rejected, "forbidden");
  const operator = await Watcher.begin(admin);
  assert.equal(operator.rejected, undefined);
  operator.openTo("echo", 3);
  await settle();
  assert.equal(operator.rejected, "forbidden", "an operator's session is for watching");
});

Deno.test("a part of the listing is given at once, and again when a session comes, breaks, resumes or ends", async () => {
  const admin = new AdminNode();
  const [first] = await applications(admin, 1);
  const watcher = await Watcher.begin(admin);
  await watcher.watch("sessions", { limit: 10 });
  assert.deepEqual(watcher.seen()[0]!.rows.map(({ id, state }) => [id, state]), [[
    first!.session,
    "attached",
  ]]);
  const last = () => watcher.seen().at(-1)!.rows.map(({ state }) => state);
  const [second] = await applications(admin, 1);
  await admin.node.clock.advance(LOOK_EVERY_MS);
  assert.deepEqual(watcher.seen().at(-1)!.rows.map(({ id }) => id), idsOf([first!, second!]));
  await first!.cut();
  await admin.node.clock.advance(LOOK_EVERY_MS);
  assert.deepEqual(last().sort(), ["attached", "detached"]);
  await first!.connect(admin.node);
  await admin.node.clock.advance(LOOK_EVERY_MS);
  assert.deepEqual(last(), ["attached", "attached"]);
  admin.node.registry.find(first!.session!)!.end("ended", "by a test");
  await admin.node.clock.advance(LOOK_EVERY_MS);
  assert.deepEqual(last(), ["attached"]);
  admin.node.log.verify();
});

Deno.test("an update is bounded: so many rows at most, twice a second at most, and none while nothing is another", async () => {
  const admin = new AdminNode();
  await applications(admin, 30);
  const watcher = await Watcher.begin(admin);
  await watcher.watch("sessions", { limit: 5 });
  assert.equal(watcher.seen()[0]!.rows.length, 5);
  assert.notEqual(watcher.seen()[0]!.next, null);
  await watcher.watch("sessions", { limit: 5, cursor: watcher.seen()[0]!.next! });
  assert.equal(watcher.seen(1)[0]!.rows.length, 5);
  await watcher.watch("sessions", { limit: MOST_ROWS + 1 });
  assert.equal(watcher.over(2), "invalid-argument");
  await watcher.watch("sessions", { limit: 5, cursor: "AAAA" });
  assert.equal(watcher.over(3), "invalid-argument");

  const [quiet] = [watcher.seen().length];
  await admin.node.clock.advance(10_000);
  assert.equal(watcher.seen().length, quiet, "nothing was another");
  const shown = admin.node.registry.find(watcher.seen()[0]!.rows[0]!.id)!;
  const clients = await applications(admin, 1);
  await watcher.watch("session", { session: clients[0]!.session! });
  await watcher.watch("sessions", { limit: MOST_ROWS });
  const before = [watcher.seen(4).length, watcher.seen(5).length];
  for (let n = 0; n < 100; n++) {
    clients[0]!.echo(n);
    await admin.node.clock.advance(10);
  }
  assert.ok(watcher.seen(4).length - before[0]! <= 2, "100 messages are two updates of their session");
  assert.equal(watcher.seen(5).length - before[1]!, 0, "and none of the listing");
  shown.breakConduit("unavailable");
  await admin.node.clock.advance(LOOK_EVERY_MS);
  assert.equal(watcher.seen(5).length - before[1]!, 1);
});

Deno.test("what is asked wrongly is an invalid argument, and what is asked too often is refused", async () => {
  const admin = new AdminNode();
  const watcher = await Watcher.begin(admin);
  const wrong: [method: string, input: BodyValue][] = [
    ...[null, {}, { limit: 0 }, { limit: "5" }, { limit: 5, more: 1 }, { limit: 5, state: "alive" }].map(
      (input): [string, BodyValue] => ["sessions", input],
    ),
    ["sessions", { limit: 5, principal: "x".repeat(513) }],
    ["session", { session: "short" }],
    ["session", { session: `${"A".repeat(21)}/` }],
    ["node", { more: 1 }],
  ];
  for (const [index, [method, input]] of wrong.entries()) {
    await watcher.watch(method, input);
    assert.equal(watcher.over(index), "invalid-argument", JSON.stringify(input));
  }
  const others = await Promise.all(Array.from({ length: 9 }, () => Watcher.begin(admin)));
  const refused: (string | undefined)[] = [];
  for (const other of others) {
    for (let n = 0; n < 30; n++) {
      const watch = await other.watch("sessions", { limit: 1 });
      if (other.over(watch) !== undefined) refused.push(other.over(watch));
    }
  }
  assert.deepEqual(refused, Array(9 * 30 - 256).fill("resource-exhausted"));
  others[0]!.say({ kind: "end", connection: 1 });
  await settle();
  const again = await others[8]!.watch("sessions", { limit: 1 });
  assert.equal(others[8]!.over(again), undefined);
  admin.node.log.verify();
});

Deno.test("one session's watch shows how it breaks and resumes, and fails for one that nobody knows", async () => {
  const admin = new AdminNode();
  const client = new TestClient();
  await client.connect(admin.node);
  const watcher = await Watcher.begin(admin);
  await watcher.watch("session", { session: client.session! });
  await client.cut();
  await admin.node.clock.advance(LOOK_EVERY_MS);
  await client.connect(admin.node);
  await admin.node.clock.advance(LOOK_EVERY_MS);
  assert.deepEqual(watcher.seen().map(({ state }) => state), ["attached", "detached", "attached"]);
  assert.deepEqual(watcher.seen().at(-1)!.history.map(({ kind }) => kind), [
    "attached",
    "detached",
    "resumed",
  ]);
  await watcher.watch("session", { session: "A".repeat(22) });
  assert.equal(watcher.over(1), "not-found");
  admin.node.registry.find(client.session!)!.end("ended", "by a test");
  await admin.node.clock.advance(LOOK_EVERY_MS);
  assert.equal(watcher.seen().at(-1)!.state, "ended");
});

Deno.test("a watcher that takes nothing is read nothing for, and is given what there is when it does", async () => {
  const clock = new FakeClock();
  const store = new FaultyStore(new MemorySessionStore({ clock }));
  const admin = new AdminNode({ clock, store, keepalive: SELDOM });
  const watcher = await Watcher.begin(admin);
  await watcher.watch("sessions", { limit: 10 }, 1);
  assert.equal(watcher.seen().length, 1);
  const clients = await applications(admin, 1);
  await clock.advance(LOOK_EVERY_MS);
  const { list } = store.calls;
  clients.push(...await applications(admin, 2));
  await clock.advance(60_000);
  assert.equal(store.calls.list, list, "one look is ahead of the client, and no other");
  watcher.credit(2);
  await clock.advance(LOOK_EVERY_MS);
  assert.deepEqual(watcher.seen().at(-1)!.rows.map(({ id }) => id), idsOf(clients));
  watcher.say({ kind: "end", connection: 1 });
  await settle();
  const { list: before } = store.calls;
  await clock.advance(10_000);
  assert.equal(store.calls.list, before, "whose watch is over is read for no more");
});

Deno.test("the node's watch has the rates of the last minute, without what watching causes itself", async () => {
  const admin = new AdminNode({ keepalive: SELDOM });
  admin.rates.start();
  const [client] = await applications(admin, 1);
  await admin.node.clock.advance(1_000);
  for (let second = 0; second < KEPT_RATES + 5; second++) {
    if (second === KEPT_RATES) { for (let n = 0; n < 25; n++) client!.echo(n); }
    await admin.node.clock.advance(1_000);
  }
  const watcher = await Watcher.begin(admin);
  await watcher.watch("node");
  const { rates, sessions } = watcher.seen()[0]!;
  assert.equal(rates["messages"]!.length, KEPT_RATES);
  assert.deepEqual(rates["messages"]!.filter((rate) => rate > 0), [50]);
  assert.deepEqual(sessions, { attached: 1, detached: 0, operators: 1 });
  await watcher.watch("sessions", { limit: 10 });
  for (let second = 0; second < 10; second++) await admin.node.clock.advance(NODE_EVERY_MS);
  const after = watcher.seen().at(-1)!;
  assert.deepEqual(after.rates["messages"]!.slice(-9), Array(9).fill(0));
  assert.ok(watcher.seen().length <= 12);
  admin.rates.stop();
});

Deno.test("a store that does not answer ends a watch with unavailable, and another one can begin", async () => {
  const clock = new FakeClock();
  const store = new FaultyStore(new MemorySessionStore({ clock }));
  const admin = new AdminNode({ clock, store });
  const watcher = await Watcher.begin(admin);
  await watcher.watch("sessions", { limit: 10 });
  store.failReads("fail");
  await clock.advance(LOOK_EVERY_MS);
  assert.equal(watcher.over(), "unavailable");
  await watcher.watch("sessions", { limit: 10 });
  assert.deepEqual(watcher.seen(1).map(({ rows }) => rows), [[]]);
});

Deno.test("a watch ends when its session goes on with credentials that do not allow it", async () => {
  const authenticator = new TestAuthenticator().grant("more", "eve", { admin: true }).grant("less", "eve");
  const admin = new AdminNode({ authenticator });
  const watcher = await Watcher.begin(admin, "more");
  await watcher.watch("sessions", { limit: 10 });
  await watcher.cut();
  await admin.node.clock.advance(LOOK_EVERY_MS);
  watcher.auth = "less";
  await watcher.connect(admin.node);
  const { length } = watcher.seen();
  await admin.node.clock.advance(LOOK_EVERY_MS);
  assert.equal(watcher.over(), "permission-denied");
  assert.equal(watcher.seen().length, length);
});

async function login(admin: AdminNode): Promise<string> {
  const response = await admin.api.request("/v1/admin/login", {
    method: "POST",
    headers: { host: "localhost", origin: "http://localhost", "content-type": "application/json" },
    body: JSON.stringify({ token: ADMIN_TOKEN }),
  });
  return response.headers.get("set-cookie")!.split(";")[0]!;
}

function upgrade(
  admin: AdminNode,
  headers: Record<string, string>,
  query = "?as=operator",
): string | undefined {
  return admin.guard.credentialsOf(
    new Request(`http://localhost/v1/connect${query}`, { headers: { host: "localhost", ...headers } }),
  );
}

/** What a node says to an upgrade with these credentials; undefined: it is established. */
async function refusal(admin: AdminNode, credentials: string | undefined): Promise<string | undefined> {
  const client = new TestClient({ durability: "ephemeral" });
  client.origin = { address: null, credentials };
  const peer = await client.dial(admin.node);
  return peer.of("refused")[0]?.reason;
}

Deno.test("an upgrade with a page's cookie is an operator's if it asks to be, and comes from this server's page", async () => {
  const admin = new AdminNode();
  const cookie = await login(admin);
  const origin = "http://localhost";
  assert.equal(
    upgrade(admin, { cookie, origin }, ""),
    undefined,
    "it does not ask: other pages bring the cookie too",
  );
  assert.equal(upgrade(admin, { cookie, origin }, "?as=somebody"), undefined);
  const good = upgrade(admin, { cookie, origin });
  assert.ok(!good!.includes(cookie.split("=")[1]!));
  const watcher = new Watcher({ durability: "ephemeral" });
  watcher.origin = { address: null, credentials: good };
  await watcher.connect(admin.node);
  watcher.openTo(ADMIN_SERVICE);
  await settle();
  assert.equal(watcher.rejected, undefined);
  assert.equal(admin.node.registry.find(watcher.session!)!.state.principal, OPERATOR);
  const bad = [
    upgrade(admin, { origin }),
    upgrade(admin, { cookie: "holdfast_admin=x", origin }),
    upgrade(admin, { cookie }),
    upgrade(admin, { cookie, origin: "http://evil.example" }),
    upgrade(admin, { cookie, origin: "null" }),
  ];
  for (const credentials of bad) assert.equal(await refusal(admin, credentials), "unauthorized");
});

Deno.test("what a cookie allows ends with the login, and when that is given up its pages are let go of", async () => {
  const admin = new AdminNode();
  const cookie = await login(admin);
  const page = { cookie, origin: "http://localhost" };
  const client = new TestClient({ durability: "ephemeral" });
  client.origin = { address: null, credentials: upgrade(admin, page) };
  const peer = await client.connect(admin.node);
  const out = { method: "POST", headers: { host: "localhost", ...page } };
  assert.equal((await admin.api.request("/v1/admin/logout", out)).status, 204);
  await settle();
  assert.equal(peer.closing?.code, 4400);
  assert.equal((await client.dial(admin.node)).of("refused")[0]?.reason, "unauthorized");

  const second = new TestClient({ durability: "ephemeral" });
  second.origin = { address: null, credentials: upgrade(admin, { ...page, cookie: await login(admin) }) };
  const watching = await second.connect(admin.node);
  watching.behave = (message) => {
    if (message.kind === "ping") watching.send({ kind: "pong", nonce: message.nonce });
  };
  for (let at = 0; at < LOGIN_LIFETIME_MS; at += 20_000) await admin.node.clock.advance(20_000);
  assert.equal(watching.closing?.code, 4601);
});

Deno.test("operators' sessions are in no listing or count of others', and are gone a minute after their page", async () => {
  const admin = new AdminNode();
  await applications(admin, 2);
  const watcher = await Watcher.begin(admin);
  assert.equal((await admin.get("/v1/admin/sessions")).sessions.length, 2);
  const own = await admin.get(`/v1/admin/sessions?principal=${encodeURIComponent(OPERATOR)}`);
  assert.deepEqual(own.sessions.map(({ id }) => id), [watcher.session]);
  const node = await admin.get("/v1/admin/node");
  assert.deepEqual(node["sessions"], { attached: 2, detached: 0, operators: 1 });
  await watcher.cut();
  await admin.node.clock.advance(59_000);
  assert.notEqual(admin.node.registry.find(watcher.session!), undefined);
  await admin.node.clock.advance(2_000);
  assert.equal(admin.node.registry.find(watcher.session!), undefined);
  const { counts } = await admin.get("/v1/admin/node") as unknown as {
    readonly counts: { readonly ended: [] };
  };
  assert.deepEqual(counts.ended, []);
});

async function drained(options: AdminNodeOptions = {}) {
  const admin = new AdminNode(options);
  const [application] = await applications(admin, 1);
  const watcher = await Watcher.begin(admin);
  await watcher.watch("node");
  const done = admin.node.registry.drain({ window: 10_000 });
  await admin.node.clock.advance(11_000);
  await done;
  return { admin, application: application!, watcher };
}

// @rule end.goaway
Deno.test("a node that drains lets go of everybody but the operators, who watch it to the end and may still come", async () => {
  const { admin, application, watcher } = await drained();
  assert.equal(application.peer!.open, false);
  assert.equal(watcher.peer!.open, true);
  assert.deepEqual(watcher.peer!.of("goaway"), []);
  await admin.node.clock.advance(NODE_EVERY_MS);
  assert.deepEqual(watcher.seen().at(-1)!.sessions, { attached: 0, detached: 1, operators: 1 });
  await Watcher.begin(admin);
  assert.equal((await application.dial(admin.node)).of("refused")[0]?.reason, "draining");
  const liar = new TestClient({ durability: "ephemeral" }, "not the token");
  assert.equal((await liar.dial(admin.node)).of("refused")[0]?.reason, "draining");
});

Deno.test("a node that is full lets operators in, and not more of them than may be", async () => {
  const admin = new AdminNode({ slots: { ...DEFAULT_SLOTS, sessionsPerNode: 2 } });
  await applications(admin, 2);
  const other = new TestClient({ durability: "ephemeral" });
  assert.equal((await other.dial(admin.node)).of("refused")[0]?.reason, "no-slots");
  for (let n = 0; n < 32; n++) await Watcher.begin(admin);
  const last = new TestClient({ durability: "ephemeral" }, ADMIN_TOKEN);
  assert.equal((await last.dial(admin.node)).of("refused")[0]?.reason, "too-many-sessions");
});

Deno.test("operators are let in while the store is away, and watch the node", async () => {
  const clock = new FakeClock();
  const store = new FaultyStore(new MemorySessionStore({ clock }));
  const admin = new AdminNode({ clock, store });
  store.setRates({ random: new SeededRandom(1), read: { hold: 1 }, atomic: { hold: 1 } });
  const watcher = await Watcher.begin(admin);
  await watcher.watch("node");
  assert.equal(watcher.seen()[0]!.sessions.operators, 1);
  const again = await watcher.connect(admin.node);
  assert.equal(again.of("established")[0]?.resumed, true);
  assert.deepEqual([store.calls.get, store.calls.list, store.calls.atomic], [0, 0, 0]);
});
