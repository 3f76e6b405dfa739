/** What an operator sees of operations, and what forgetting one does to those who call with its key. */

import assert from "node:assert/strict";
import * as z from "zod";
import { defineService } from "../../src/service/define_service.ts";
import { download, method, transaction } from "../../src/service/methods.ts";
import { OPERATION_TTL_MS } from "../../src/session/operation_record.ts";
import { MemorySessionStore } from "../../src/storage/memory_session_store.ts";
import { AdminNode } from "../support/admin_node.ts";
import { CallClient } from "../support/call_client.ts";
import { FakeClock, settle } from "../support/fake_clock.ts";
import { TestAuthenticator } from "../support/test_authenticator.ts";

class World {
  readonly clock = new FakeClock();
  readonly store = new MemorySessionStore({ clock: this.clock });
  readonly runs: string[] = [];
  #waiting: (() => void)[] = [];

  admin(): AdminNode {
    return new AdminNode({
      clock: this.clock,
      store: this.store,
      services: [this.#service()],
      authenticator: new TestAuthenticator().grant("ada", "ada"),
    });
  }

  async client(admin: AdminNode, durability: "durable" | "ephemeral" = "durable"): Promise<CallClient> {
    const client = new CallClient({ durability }, "ada");
    await client.connect(admin.node);
    client.openTo("shop");
    await settle();
    return client;
  }

  async release(): Promise<void> {
    for (const go of this.#waiting.splice(0)) go();
    await settle();
  }

  #service() {
    const wait = (line: string) => {
      this.runs.push(line);
      return new Promise<void>((resolve) => void this.#waiting.push(resolve));
    };
    return defineService({
      name: "shop",
      methods: {
        pay: method({ input: z.int(), output: z.int() }, async (amount) => {
          await wait(`pay ${amount}`);
          return amount;
        }),
        price: method({ output: z.int(), retry: "safe" }, async () => {
          await wait("price");
          return 7;
        }),
        large: method({ output: z.string() }, () => "x".repeat(200_000)),
        add: transaction({ input: z.int(), output: z.int() }, async (by, tx) => {
          const total = (await tx.get<number>(["total"]) ?? 0) + by;
          tx.set(["total"], total);
          return total;
        }),
        ticks: download({ item: z.int() }, async function* () {
          yield 1;
          await wait("ticks");
        }),
      },
    });
  }
}

interface Shown {
  readonly operation: string;
  readonly state: string;
  readonly node: { readonly boot: string; readonly live: boolean } | null;
  readonly outcome: { readonly ok: boolean; readonly code: string | null; readonly bytes: number } | null;
  readonly fingerprint: string;
  readonly expiresAt: number | null;
}

async function lookUp(admin: AdminNode, method: string, key: string): Promise<Shown | null> {
  const response = await admin.ask("POST", "/v1/admin/operations/lookup", {
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ principal: "ada", service: "shop", method, key }),
  });
  if (response.status !== 200) {
    assert.equal((await response.json()).type, "urn:holdfast:problem:unknown-operation");
    return null;
  }
  const shown: Shown = await response.json();
  assert.deepEqual(await admin.get(`/v1/admin/operations/${shown.operation}`), shown);
  return shown;
}

function forget(admin: AdminNode, operation: string): Promise<Response> {
  return admin.ask("DELETE", `/v1/admin/operations/${operation}`);
}

async function problemOf(response: Response): Promise<string> {
  const { type, status } = await response.json();
  assert.equal(status, response.status);
  return `${status} ${type.split(":").at(-1)}`;
}

// @rule call.operation
Deno.test("an operation is shown while it runs, and with its outcome when it is over; no argument, answer or key is", async () => {
  const it = new World();
  const admin = it.admin();
  const client = await it.client(admin);
  assert.equal(await lookUp(admin, "pay", "invoice-secret"), null);
  client.call("pay", 4711, { operation: "invoice-secret" });
  await settle();
  const running = await lookUp(admin, "pay", "invoice-secret");
  assert.deepEqual([running?.state, running?.node?.boot, running?.node?.live, running?.outcome], [
    "running",
    admin.node.boot,
    true,
    null,
  ]);
  await it.release();
  const finished = await lookUp(admin, "pay", "invoice-secret");
  assert.deepEqual([finished?.state, finished?.node, finished?.outcome?.ok], ["finished", null, true]);
  assert.equal(finished?.fingerprint, running?.fingerprint);
  assert.equal(finished?.expiresAt, it.clock.now() + OPERATION_TTL_MS);
  assert.ok(!/4711|invoice/.test(JSON.stringify(finished)));

  assert.equal((await client.ask("large", null, { operation: "l" }))?.ok, true);
  const large = await lookUp(admin, "large", "l");
  assert.ok(large!.outcome!.bytes > 200_000);
  assert.equal(
    (await client.ask("pay", "no number" as never, { operation: "bad" }))?.code,
    "invalid-argument",
  );
  assert.deepEqual([(await lookUp(admin, "pay", "bad"))?.outcome?.code], ["invalid-argument"]);
  await it.clock.advance(OPERATION_TTL_MS);
  assert.equal(await lookUp(admin, "large", "l"), null);
});

Deno.test("a safe operation, which is written down when it is over, is shown by the node that runs it", async () => {
  const it = new World();
  const [here, there] = [it.admin(), it.admin()];
  const client = await it.client(here);
  client.call("price", null, { operation: "k" });
  await settle();
  const running = await lookUp(here, "price", "k");
  assert.deepEqual([running?.state, running?.expiresAt], ["running", null]);
  assert.equal(await problemOf(await forget(here, running!.operation)), "409 operation-running");
  assert.equal(await lookUp(there, "price", "k"), null);
  await it.release();
  assert.deepEqual(await lookUp(there, "price", "k"), await lookUp(here, "price", "k"));
});

Deno.test("where nobody is authenticated an operation is found by its session", async () => {
  const it = new World();
  const admin = new AdminNode({ services: it.admin().node.registry.options.services });
  const client = await CallClient.open(admin.node, "shop");
  assert.equal((await client.ask("add", 2, { operation: "k" }))?.value, 2);
  const response = await admin.ask("POST", "/v1/admin/operations/lookup", {
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ session: client.session, service: "shop", method: "add", key: "k" }),
  });
  assert.equal((await response.json()).state, "finished");
});

// @rule call.operation
Deno.test("a forgotten operation runs at its next call, once, whatever nodes remember of it and whatever the session's class", async () => {
  const it = new World();
  const admins = [it.admin(), it.admin()];
  const [one, two] = admins as [AdminNode, AdminNode];
  const clients = [
    await it.client(one),
    await it.client(one, "ephemeral"),
    await it.client(two),
    await it.client(two, "ephemeral"),
  ];
  const all = async () => {
    const requests = clients.map((client) => [client, client.call("add", 1, { operation: "k" })] as const);
    for (let n = 0; n < 60; n++) await it.clock.advance(20);
    return requests.map(([client, request]) => client.answer(request)?.value);
  };
  let total = 1;
  assert.deepEqual(await all(), [total, total, total, total]);
  for (const admin of admins) {
    // All nodes answer from memory now, and so would they after the forgetting that only one of them is asked for.
    assert.deepEqual(await all(), [total, total, total, total]);
    const response = await forget(admin, (await lookUp(admin, "add", "k"))!.operation);
    assert.deepEqual((await response.json()).was, "finished");
    for (const asked of admins) assert.equal(await lookUp(asked, "add", "k"), null);
    total++;
    assert.deepEqual(await all(), [total, total, total, total]);
  }
  assert.equal((await clients[0]!.ask("add", 0))?.value, total);
});

// @rule call.operation
Deno.test("an operation of a live node cannot be forgotten while it runs, by any node; of a lost node it can", async () => {
  const it = new World();
  const [one, two] = [it.admin(), it.admin()];
  one.node.directory.start();
  const client = await it.client(one);
  client.call("pay", 1, { operation: "k" });
  await settle();
  const { operation } = (await lookUp(two, "pay", "k"))!;
  for (const admin of [one, two]) {
    assert.equal(await problemOf(await forget(admin, operation)), "409 operation-running");
  }
  await one.node.crash();
  await it.clock.advance(16_000);
  assert.equal((await lookUp(two, "pay", "k"))?.node?.live, false);
  const again = await it.client(two);
  assert.equal((await again.ask("pay", 1, { operation: "k" }))?.code, "indeterminate");
  assert.equal((await lookUp(two, "pay", "k"))?.state, "indeterminate");
  assert.equal((await (await forget(two, operation)).json()).was, "indeterminate");
  assert.equal(await problemOf(await forget(two, operation)), "404 unknown-operation");
  again.call("pay", 1, { operation: "k" });
  await settle();
  await it.release();
  assert.equal((await lookUp(two, "pay", "k"))?.state, "finished");
  assert.deepEqual(it.runs, ["pay 1", "pay 1"]);
});

Deno.test("a large outcome is forgotten with all its values", async () => {
  const it = new World();
  const admin = it.admin();
  const client = await it.client(admin);
  await client.ask("large", null, { operation: "k" });
  assert.ok((await admin.node.rows(["outcome"])).length > 1);
  assert.equal((await forget(admin, (await lookUp(admin, "large", "k"))!.operation)).status, 200);
  assert.deepEqual(await admin.node.rows(["outcome"]), []);
  assert.deepEqual(await admin.node.rows(["operation"]), []);
});

Deno.test("a session's connections are shown with what is under way on them, as numbers", async () => {
  const it = new World();
  const admin = it.admin();
  const client = await it.client(admin);
  client.call("pay", 1);
  const channel = client.channel();
  client.call("ticks", null, { download: channel, credit: 4 });
  await settle();
  const shown = await admin.get(`/v1/admin/sessions/${client.session}`);
  assert.deepEqual(shown["connections"], [{
    id: 1,
    service: "shop",
    phase: "open",
    calls: 2,
    callsToClient: 0,
    channels: 1,
    held: 0,
    waiting: 0,
    keptBytes: 0,
  }]);
  assert.equal(shown.counters["work"], 2);
  assert.ok(shown.counters["heldBytes"]! > 0);
  await it.release();
  const after = await admin.get(`/v1/admin/sessions/${client.session}`);
  assert.deepEqual([after.counters["work"], after.counters["heldBytes"]], [0, 0]);
});
