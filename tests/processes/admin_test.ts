/** The admin API of real nodes over one store: what is asked of one is done by the node that has the session. */

import assert from "node:assert/strict";
import { connect } from "../../src/client/mod.ts";
import { KvConnectProcess } from "../support/kv_connect_process.ts";
import { KvConnectServer } from "../support/kv_connect_server.ts";
import { ServerProcess } from "../support/server_process.ts";

const TOKEN = "an-admin-token-for-this-test";

function ask(node: ServerProcess, method: string, path: string, more: RequestInit = {}): Promise<Response> {
  const headers = new Headers(more.headers);
  headers.set("authorization", `Bearer ${TOKEN}`);
  return fetch(new URL(`/v1/admin/${path}`, node.url), { ...more, method, headers });
}

Deno.test("an operator of one node pushes to, breaks and ends a session that another one has attached", async () => {
  const store = await KvConnectServer.start({ token: "test-token" });
  const environment = {
    HOLDFAST_KV: store.url,
    DENO_KV_ACCESS_TOKEN: store.token,
    HOLDFAST_ADMIN_TOKEN: TOKEN,
  };
  const nodes: ServerProcess[] = [];
  try {
    nodes.push(...await Promise.all([ServerProcess.start(environment), ServerProcess.start(environment)]));
    const [a, b] = nodes as [ServerProcess, ServerProcess];
    const session = connect(a.url);
    const connection = session.open("echo");
    await connection.opened;
    const { id } = session;
    const shown = await (await ask(b, "GET", `sessions/${id}`)).json();
    assert.equal(shown.state, "attached");
    const other = await (await ask(b, "GET", "node")).json();
    assert.notEqual(shown.node, other.node);

    const push = () =>
      ask(b, "POST", `sessions/${id}/connections/${connection.id}/messages`, {
        headers: { "content-type": "application/json", "idempotency-key": "k1" },
        body: JSON.stringify({ body: { by: "the other node" } }),
      });
    const pushed = await (await push()).json();
    assert.equal(pushed.repeated, false, JSON.stringify(pushed));
    assert.deepEqual(await (await push()).json(), { ...pushed, repeated: true });
    await connection.send("after");
    const got: unknown[] = [];
    for await (const message of connection) if (got.push(message) === 2) break;
    assert.deepEqual(got, [{ by: "the other node" }, "after"]);

    const resumed = new Promise<void>((resolve) => session.on("resumed", () => resolve()));
    const broke = await ask(b, "POST", `sessions/${id}/break`);
    assert.deepEqual(await broke.json(), { session: id, broken: true });
    await resumed;

    const ended = new Promise<string>((resolve) => session.on("ended", ({ reason }) => resolve(reason)));
    const end = await ask(b, "DELETE", `sessions/${id}?detail=enough`);
    assert.equal(end.status, 200, await end.text());
    assert.equal(await ended, "ended");
    const over = await (await ask(a, "GET", `sessions/${id}`)).json();
    assert.deepEqual(over.history.map(({ kind }: { kind: string }) => kind), [
      "attached",
      "detached",
      "resumed",
    ]);
    for (const { log } of nodes) {
      for (const line of log) assert.notEqual(line.level, "error", JSON.stringify(line));
      assert.ok(!JSON.stringify(log).includes(TOKEN));
    }
  } finally {
    for (const node of nodes) await node.dispose();
    await store.close();
  }
});

Deno.test("with the store away the admin API answers 503 and when to ask again, and logs no defect", async () => {
  const store = await KvConnectProcess.start();
  const node = await ServerProcess.start({
    HOLDFAST_KV: store.url,
    DENO_KV_ACCESS_TOKEN: store.token,
    HOLDFAST_ADMIN_TOKEN: TOKEN,
  });
  try {
    await store.kill();
    const asked = [
      ["GET", "sessions"],
      ["GET", `sessions/${"A".repeat(22)}`],
      ["GET", "principals/somebody"],
      ["GET", "store"],
      ["GET", `operations/${"A".repeat(43)}`],
      ["DELETE", `sessions/${"A".repeat(22)}`],
      ["PUT", "principals/somebody/block"],
      ["POST", "store/sweep"],
    ] as const;
    const answers = await Promise.all(asked.map(async ([method, path]) => {
      const response = await ask(node, method, path);
      const { type } = await response.json();
      return [path, response.status, type, response.headers.get("retry-after")];
    }));
    assert.deepEqual(
      answers,
      asked.map(([, path]) => [path, 503, "urn:holdfast:problem:store-unavailable", "1"]),
    );
    assert.equal(typeof (await (await ask(node, "GET", "node")).json()).boot, "string");
    // The runtime writes lines of its own about a store that is away.
    const lines = node.stderr.filter((line) => line.startsWith("{")).map((line) => JSON.parse(line));
    const said = lines.filter(({ event }) => event === "store_unanswered");
    assert.deepEqual(said.map(({ level }) => level), asked.map(() => "warn"));
    assert.ok(said.every(({ request }) => typeof request === "string"), JSON.stringify(said));
    for (const line of lines) assert.notEqual(line.level, "error", JSON.stringify(line));
  } finally {
    await node.dispose();
    await store.dispose();
  }
});
