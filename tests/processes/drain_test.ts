/** A deploy with two nodes over one store: the one that stops hands its sessions to the other. */

import assert from "node:assert/strict";
import { ForeignClient } from "../support/foreign_client.ts";
import { KvConnectServer } from "../support/kv_connect_server.ts";
import { newChallenge, RawConduit } from "../support/raw_conduit.ts";
import { ServerProcess } from "../support/server_process.ts";

const SESSIONS = 40;

// @rule end.goaway
// @rule resume.anywhere
Deno.test("a node that is stopped under load hands its sessions to another over a window, and nothing is lost", async () => {
  const store = await KvConnectServer.start({ token: "test-token" });
  const environment = { HOLDFAST_KV: store.url, DENO_KV_ACCESS_TOKEN: store.token };
  const [a, b] = await Promise.all([ServerProcess.start(environment), ServerProcess.start(environment)]);
  const urlOf = ({ port }: ServerProcess) => `ws://127.0.0.1:${port}/v1/connect`;
  let draining = false;
  const clients = Array.from({ length: SESSIONS }, () => {
    return new ForeignClient({ url: () => urlOf(draining ? b : a), answer: 5_000 });
  });
  let turn = 0;
  const producer = setInterval(() => {
    for (let at = turn++ % 4; at < clients.length; at += 4) clients[at]!.produce(2);
  }, 20);
  try {
    for (const client of clients) client.start();
    for (const client of clients) await client.until("echoes come", () => client.echoed >= 10, 30_000);

    draining = true;
    const begun = performance.now();
    const stopped = a.stop("SIGTERM");
    const movedAt = await Promise.all(clients.map(async (client) => {
      await client.until("it is on the other node", () => client.counts.resumed > 0, 15_000);
      return performance.now() - begun;
    }));
    const exit = await stopped;
    assert.deepEqual({ code: exit.code, signal: exit.signal }, { code: 0, signal: null });
    assert.ok(exit.after <= 4_000, `it took ${exit.after} ms`);

    clearInterval(producer);
    for (const client of clients) {
      await client.until("every number is echoed and acked", () => {
        return client.echoed === client.produced && client.unacked === 0;
      }, 20_000);
      assert.ok(client.counts.goaways <= 1, client.describe());
      assert.equal(
        client.counts.established,
        client.counts.resumed + 1,
        "one new session, then only resumes",
      );
    }
    // The window of a stop is 1,200 ms, of which clients are asked for 960; had all been asked at once, what is
    // left of a spread would be the 200 ms of jitter that this client has.
    movedAt.sort((one, other) => one - other);
    const spread = movedAt[Math.floor(SESSIONS * 0.9)]! - movedAt[Math.floor(SESSIONS * 0.1)]!;
    assert.ok(spread > 500, `moved within ${spread} ms: ${movedAt.map(Math.round)}`);
    for (const node of [a, b]) {
      for (const line of node.log) assert.notEqual(line.level, "error", JSON.stringify(line));
    }
    console.log(
      `drain: ${SESSIONS} sessions moved within ${Math.round(spread)} ms (10 % to 90 %), exit after ${
        Math.round(exit.after)
      } ms`,
    );
  } finally {
    clearInterval(producer);
    await Promise.all(clients.map((client) => client.stop()));
    await a.dispose();
    await b.dispose();
    await store.close();
  }
});

// @rule end.goaway
Deno.test("a node that an operator drains is not ready, refuses, counts that, and takes it all back", async () => {
  const server = await ServerProcess.start({
    HOLDFAST_ADMIN_TOKEN: "an-admin-token-for-this-test-only",
    HOLDFAST_DRAIN_WINDOW: "1h",
  });
  const asked = (path: string) =>
    fetch(`${server.url}${path}`, {
      method: "POST",
      headers: {
        authorization: "Bearer an-admin-token-for-this-test-only",
        "content-type": "application/json",
      },
      body: "{}",
    });
  const ready = async () => {
    const response = await fetch(`${server.url}/readyz`);
    await response.body?.cancel();
    return response.status;
  };
  try {
    const attached = await RawConduit.open(server.url, "holdfast.v1.json");
    await attached.establish();
    const drained = await asked("/v1/admin/node/drain");
    await drained.body?.cancel();
    assert.ok(drained.ok, `${drained.status}`);
    assert.deepEqual(await attached.next("goaway"), ["goaway", { reason: "draining", after: 720_000 }]);
    assert.equal(await ready(), 503);
    const refused = await RawConduit.open(server.url, "holdfast.v1.json");
    refused.say(["start", { version: 1, challenge: newChallenge() }]);
    assert.equal((await refused.closed).code, 4400);
    const metrics = await (await fetch(`${server.url}/metrics`)).text();
    assert.match(metrics, /^holdfast_draining 1$/m);
    assert.match(metrics, /^holdfast_refused_total\{reason="draining"\} 1$/m);
    assert.match(metrics, /^holdfast_sessions\{state="attached"\} 1$/m);

    const back = await asked("/v1/admin/node/undrain");
    await back.body?.cancel();
    assert.ok(back.ok, `${back.status}`);
    assert.equal(await ready(), 200);
    const taken = await RawConduit.open(server.url, "holdfast.v1.json");
    await taken.establish();
    assert.ok(!attached.isClosed);
    await taken.break();
    await attached.break();
  } finally {
    await server.dispose();
  }
});
