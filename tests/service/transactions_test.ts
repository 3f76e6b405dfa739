/** Transactions: calls, and plain messages that are handled as one. */

import assert from "node:assert/strict";
import * as z from "zod";
import { encodeBody } from "../../src/protocol/body.ts";
import { RpcError } from "../../src/protocol/rpc_error.ts";
import { defineService } from "../../src/service/define_service.ts";
import { transaction } from "../../src/service/methods.ts";
import { FakeCall, FakeConnection, FakeData, serve } from "../support/fake_served.ts";

const counter = defineService({
  name: "counter",
  methods: {
    add: transaction({ input: z.object({ by: z.int() }), output: z.int() }, async ({ by }, tx) => {
      const total = (await tx.get<number>(["total"]) ?? 0) + by;
      tx.set(["total"], total);
      if (total > 100) throw new RpcError("failed-precondition", "too much", { data: total });
      if (total < 0) throw new Error("bug");
      if (total === 13) return "thirteen" as unknown as number;
      tx.send({ total });
      return total;
    }),
  },
});

Deno.test("a transaction reads what was written before, and its writes, messages and answer are one", async () => {
  const data = new FakeData();
  const connection = new FakeConnection();
  assert.equal(await serve(counter, new FakeCall("add", { input: { by: 2 }, data })), undefined);
  assert.equal(await serve(counter, new FakeCall("add", { input: { by: 3 }, data, connection })), undefined);
  assert.deepEqual(connection.did, [
    { do: "set", key: ["total"], value: 5 },
    { do: "send", value: { total: 5 } },
    { do: "respond", value: 5 },
  ]);
  assert.equal(data.read("total"), 5);
});

Deno.test("a transaction that fails, or is a defect, leaves no trace but its failure", async () => {
  const data = new FakeData();
  const failing = new FakeCall("add", { input: { by: 101 }, data });
  assert.equal(await serve(counter, failing), undefined);
  assert.deepEqual(failing.did, [{
    do: "fail",
    code: "failed-precondition",
    message: "too much",
    data: 101,
  }]);
  for (const [by, text] of [[-1, /^bug$/], [13, /own schema/]] as const) {
    const broken = new FakeCall("add", { input: { by }, data });
    assert.match((await serve(counter, broken) as Error).message, text);
    assert.deepEqual(broken.did, [{ do: "fail", code: "internal", message: "the service failed" }]);
  }
  assert.equal(data.read("total"), null);
});

Deno.test("an argument that the schema refuses begins no transaction", () => {
  const call = new FakeCall("add", { input: { by: 0.5 } });
  call.transact = () => assert.fail("it was begun");
  counter.onCall?.(call);
  assert.deepEqual(call.did.map((did) => did.do === "fail" ? did.code : did.do), ["invalid-argument"]);
});

Deno.test("each run is given the argument afresh, whatever an earlier one made of it", async () => {
  const seen: unknown[] = [];
  const service = defineService({
    name: "tested",
    methods: {
      take: transaction({ input: z.array(z.int()), output: z.int() }, (list, tx) => {
        seen.push([...list]);
        const last = list.pop() ?? 0;
        tx.set(["last"], last);
        return last;
      }),
    },
  });
  const call = new FakeCall("take", { input: [1, 2, 3], runs: 3 });
  assert.equal(await serve(service, call), undefined);
  assert.deepEqual(seen, [[1, 2, 3], [1, 2, 3], [1, 2, 3]]);
  assert.deepEqual(call.did, [{ do: "set", key: ["last"], value: 3 }, { do: "respond", value: 3 }]);
});

Deno.test("a transaction sees its own writes, removes keys, and knows whom it serves", async () => {
  const service = defineService({
    name: "tested",
    methods: {
      all: transaction({ output: z.unknown() }, async (_, tx) => {
        tx.set(["a"], { deep: [1n] });
        const written = await tx.get(["a"]);
        tx.delete(["a"]);
        tx.set(["b"], null);
        const { now, session, principal, connection } = tx;
        return {
          written,
          removed: [await tx.get(["a"]), await tx.get(["b"])],
          now,
          session,
          principal,
          connection,
        };
      }),
    },
  });
  const data = new FakeData();
  data.values.set('["a"]', encodeBody(1)).set('["b"]', encodeBody(1));
  const call = new FakeCall("all", { data });
  assert.equal(await serve(service, call), undefined);
  assert.deepEqual(call.did.at(-1), {
    do: "respond",
    value: {
      written: { deep: [1] },
      removed: [null, null],
      now: 1000,
      session: "session-1",
      principal: "alice",
      connection: 1,
    },
  });
  assert.equal(data.values.size, 0);
});

Deno.test("a value that a transaction may not write, or send, is a defect", async () => {
  const service = defineService({
    name: "tested",
    sends: z.int(),
    methods: {
      write: transaction({}, (_, tx) => tx.set(["a"], new Date(0) as unknown as null)),
      send: transaction({}, (_, tx) => tx.send("text")),
    },
  });
  assert.match((await serve(service, new FakeCall("write")) as Error).message, /Date has no encoding/);
  assert.match((await serve(service, new FakeCall("send")) as Error).message, /own schema/);
});

Deno.test("messages are handled as transactions where the service says so", async () => {
  const service = defineService({
    name: "ledger",
    messages: transaction({ input: z.object({ by: z.int() }) }, async ({ by }, tx) => {
      const total = (await tx.get<number>(["total"]) ?? 0) + by;
      if (total > 100) throw new RpcError("failed-precondition", "too much");
      if (total < 0) throw new Error("bug");
      tx.set(["total"], total);
      tx.send(total);
    }),
  });
  assert.equal(service.messageKind, "transaction");
  assert.equal(service.onMessage, undefined);
  const data = new FakeData();
  const connection = new FakeConnection();
  const handle = async (value: { readonly by: number }) => {
    const { tx, commit } = data.begin(connection);
    const result = await service.onMessageTransaction?.(connection, encodeBody(value), tx);
    if (result === undefined) commit();
    return result;
  };
  assert.equal(await handle({ by: 5 }), undefined);
  assert.deepEqual(connection.did, [{ do: "set", key: ["total"], value: 5 }, { do: "send", value: 5 }]);
  assert.deepEqual(await handle({ by: 100 }), { code: "failed-precondition", message: "too much" });
  const refused = await handle({ by: 0.5 });
  assert.equal(refused?.code, "invalid-argument");
  assert.match(refused?.message ?? "", /^\$\.by: /);
  await assert.rejects(handle({ by: -6 }), /^Error: bug$/);
  assert.equal(data.read("total"), 5);
});

Deno.test("a service has one way to handle messages", () => {
  const messages = transaction({}, () => {});
  assert.throws(() => defineService({ name: "a", messages, onMessage: () => {} }), /not both/);
  assert.throws(() => defineService({ name: "a", messages, receives: z.null() }), /not both/);
});
