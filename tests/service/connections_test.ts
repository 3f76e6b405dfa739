/** What happens on a service's connections beside calls. */

import assert from "node:assert/strict";
import * as z from "zod";
import { type BodyValue, encodeBody } from "../../src/protocol/body.ts";
import { RpcError } from "../../src/protocol/rpc_error.ts";
import { defineService } from "../../src/service/define_service.ts";
import { method } from "../../src/service/methods.ts";
import type { Service } from "../../src/service/service.ts";
import { type Did, FakeCall, FakeConnection, serve } from "../support/fake_served.ts";

/** Hands one message to a service. */
function tell(service: Service, value: unknown, connection = new FakeConnection()): readonly Did[] {
  assert.equal(service.onMessage?.(connection, encodeBody(value as BodyValue)), undefined);
  return connection.did;
}

const ended = (did: readonly Did[]) => {
  const last = did.at(-1);
  assert.equal(last?.do, "end");
  return last as Extract<Did, { do: "end" }>;
};

Deno.test("a message reaches its handler as a value, and a handler that is done at once is not waited for", () => {
  const service = defineService({
    name: "tested",
    onMessage: (connection, value) => connection.send([value]),
  });
  assert.deepEqual(tell(service, { a: 1 }), [{ do: "send", value: [{ a: 1 }] }]);
});

Deno.test("a message handler that takes time is waited for", async () => {
  const service = defineService({
    name: "tested",
    onMessage: async (connection, value) => {
      await Promise.resolve();
      connection.send(value);
    },
  });
  const connection = new FakeConnection();
  const handling = service.onMessage?.(connection, encodeBody("a"));
  assert.deepEqual(connection.did, []);
  assert.ok(handling instanceof Promise);
  await handling;
  assert.deepEqual(connection.did, [{ do: "send", value: "a" }]);
});

Deno.test("a message that the schema refuses ends the connection, naming the part and what is allowed", () => {
  const service = defineService({
    name: "tested",
    receives: z.object({ text: z.string().max(3) }),
    onMessage: (connection, { text }) => connection.send(text),
  });
  assert.deepEqual(tell(service, { text: "abc", more: 1 }), [{ do: "send", value: "abc" }]);
  const { reason, detail } = ended(tell(service, { text: 5 }));
  assert.equal(reason, "invalid-argument");
  assert.match(detail, /^\$\.text: .*expected string/);
});

Deno.test("an RpcError that a message handler throws ends the connection with its code; anything else is a defect", async () => {
  const throwing = (error: unknown) =>
    defineService({
      name: "tested",
      onMessage: () => {
        throw error;
      },
    });
  const end: Did = { do: "end", reason: "permission-denied", detail: "not you" };
  assert.deepEqual(tell(throwing(new RpcError("permission-denied", "not you")), 1), [end]);
  const bug = new Error("bug");
  assert.throws(() => tell(throwing(bug), 1), bug);

  const rejecting = (error: unknown) =>
    defineService({ name: "tested", onMessage: () => Promise.reject(error) });
  const connection = new FakeConnection();
  await rejecting(new RpcError("permission-denied", "not you")).onMessage?.(connection, encodeBody(1));
  assert.deepEqual(connection.did, [end]);
  await assert.rejects(async () => await rejecting(bug).onMessage?.(connection, encodeBody(1)), bug);
});

Deno.test("a volatile message that the schema refuses is dropped, as any may be", () => {
  const service = defineService({
    name: "tested",
    receives: z.int(),
    onVolatile: (connection, value) => connection.sendVolatile(value + 1),
  });
  const connection = new FakeConnection();
  service.onVolatile?.(connection, encodeBody("x"));
  service.onVolatile?.(connection, encodeBody(1));
  assert.deepEqual(connection.did, [{ do: "send_volatile", value: 2 }]);
});

Deno.test("what a service sends or keeps must fit what it said of it, and be a body value", () => {
  type Untyped = {
    send(value: unknown): void;
    sendVolatile(value: unknown): void;
    keep(value: unknown): void;
  };
  const doing = (act: (connection: Untyped) => void): readonly Did[] => {
    const connection = new FakeConnection();
    const service = defineService({
      name: "tested",
      sends: z.object({ n: z.number() }),
      kept: z.array(z.unknown()),
      onOpen: (typed) => act(typed as Untyped),
    });
    service.onOpen?.(connection, {});
    return connection.did;
  };
  assert.deepEqual(doing((connection) => connection.send({ n: 1 })), [{ do: "send", value: { n: 1 } }]);
  assert.deepEqual(doing((connection) => connection.keep([1])), [{ do: "keep", value: [1] }]);
  assert.throws(() => doing((connection) => connection.send({ n: "x" })), /own schema: \$\.n/);
  assert.throws(() => doing((connection) => connection.sendVolatile({})), /own schema: \$\.n/);
  assert.throws(() => doing((connection) => connection.keep("x")), /own schema: \$/);
  assert.throws(() => doing((connection) => connection.keep([new Date(0)])), /^BodyError: \$\[0\]: a Date/);
});

Deno.test("a method's connection is held to the same", async () => {
  const service = defineService({
    name: "tested",
    sends: z.int(),
    methods: { m: method({ input: z.unknown() }, (value, { connection }) => connection.send(value as null)) },
  });
  const good = new FakeCall("m", { input: 1 });
  assert.equal(await serve(service, good), undefined);
  assert.deepEqual(good.did, [{ do: "send", value: 1 }, { do: "respond", value: null }]);
  assert.match((await serve(service, new FakeCall("m", { input: "x" })) as Error).message, /own schema/);
});

Deno.test("a connection is taken, taken with metadata, or rejected, at once or later", async () => {
  const answers = [undefined, { metadata: { version: "2" } }, { reason: "full", detail: "try another room" }];
  for (const answer of answers) {
    const seen: unknown[] = [];
    const atOnce = defineService({ name: "tested", onOpen: (_, metadata) => (seen.push(metadata), answer) });
    assert.equal(atOnce.onOpen?.(new FakeConnection(), { who: "me" }), answer);
    assert.deepEqual(seen, [{ who: "me" }]);
    const later = defineService({ name: "tested", onOpen: () => Promise.resolve(answer) });
    const opening = later.onOpen?.(new FakeConnection(), {});
    assert.ok(opening instanceof Promise);
    assert.equal(await opening, answer);
  }
});

Deno.test("an RpcError rejects the connection that is opened; anything else is a defect", async () => {
  const open = (onOpen: () => void | Promise<void>) =>
    defineService({ name: "tested", onOpen }).onOpen?.(new FakeConnection(), {});
  const refusal = new RpcError("permission-denied", "x".repeat(1000));
  const rejection = { reason: "permission-denied", detail: "x".repeat(511) + "…" };
  assert.deepEqual(
    open(() => {
      throw refusal;
    }),
    rejection,
  );
  assert.deepEqual(await open(() => Promise.reject(refusal)), rejection);
  const bug = new Error("bug");
  assert.throws(() =>
    open(() => {
      throw bug;
    }), bug);
  await assert.rejects(async () => await open(() => Promise.reject(bug)), bug);
});

Deno.test("what was kept is given back as the schema makes it, and null where nothing was", () => {
  const seen: unknown[] = [];
  const service = defineService({
    name: "tested",
    kept: z.object({ since: z.number(), visits: z.int().default(0) }),
    onOpen: (connection) => {
      seen.push(connection.kept);
      connection.keep({ since: connection.now });
      seen.push(connection.kept);
    },
    onResume: (connection) => void seen.push(connection.kept),
  });
  const connection = new FakeConnection();
  service.onOpen?.(connection, {});
  service.onResume?.(connection);
  // It is stored as it was given.
  assert.deepEqual(connection.did, [{ do: "keep", value: { since: 1000 } }]);
  assert.deepEqual(seen, [null, { since: 1000, visits: 0 }, { since: 1000, visits: 0 }]);
});

Deno.test("a connection that is restored with what another version kept ends, and the service is not told that it resumed", () => {
  const seen: unknown[] = [];
  const service = defineService({
    name: "tested",
    kept: z.object({ version: z.literal(2) }),
    onResume: () => assert.fail("it was told"),
    onEnd: (connection, { reason }) => void seen.push(reason, connection.kept),
  });
  const connection = new FakeConnection();
  connection.kept = encodeBody({ version: 1 });
  service.onResume?.(connection);
  const { reason, detail } = ended(connection.did);
  assert.equal(reason, "kept-state-mismatch");
  assert.match(detail, /^\$\.version: /);
  service.onEnd?.(connection, { reason, detail });
  assert.deepEqual(seen, ["kept-state-mismatch", null]);
  // Also where the service has no `onResume` of its own.
  const silent = defineService({ name: "tested", kept: z.int() });
  const other = new FakeConnection();
  other.kept = encodeBody("x");
  silent.onResume?.(other);
  assert.equal(ended(other.did).reason, "kept-state-mismatch");
});

Deno.test("a service that says nothing of what it keeps goes on with anything, and with nothing", () => {
  let resumed = 0;
  const service = defineService({ name: "tested", onResume: () => void resumed++ });
  const connection = new FakeConnection();
  service.onResume?.(connection);
  connection.kept = encodeBody({ any: "thing" });
  service.onResume?.(connection);
  assert.equal(resumed, 2);
  assert.deepEqual(connection.did, []);
});

Deno.test("a connection is bound, ended and opened towards the client through its typed side", async () => {
  const served = defineService({
    name: "asking",
    onOpened: (connection, metadata) => connection.send({ opened: metadata["as"] ?? null }),
  });
  const service = defineService({
    name: "tested",
    onOpen: async (connection) => {
      connection.bindToNode("socket-lost");
      const opened = connection.openToClient(served, { why: "to ask" });
      opened.send("hello");
      assert.equal(opened.service, "asking");
      assert.equal(connection.writable, true);
      await connection.whenWritable();
      connection.end("done", "enough");
      connection.end();
    },
  });
  const connection = new FakeConnection();
  await service.onOpen?.(connection, {});
  assert.deepEqual(connection.opened, [{ handler: served, metadata: { why: "to ask" } }]);
  assert.deepEqual(connection.did, [
    { do: "bind", reason: "socket-lost" },
    { do: "end", reason: "done", detail: "enough" },
    { do: "end", reason: "", detail: "" },
  ]);
  const accepted = new FakeConnection();
  served.onOpened?.(accepted, { as: "client" });
  assert.deepEqual(accepted.did, [{ do: "send", value: { opened: "client" } }]);
});

Deno.test("a service has no hooks but its own, so that a session can tell what it does not handle", () => {
  const { onOpen, onOpened, onMessage, onVolatile, onEnd, messageKind } = defineService({
    name: "tested",
  }) as Service;
  assert.deepEqual({ onOpen, onOpened, onMessage, onVolatile, onEnd, messageKind }, {
    onOpen: undefined,
    onOpened: undefined,
    onMessage: undefined,
    onVolatile: undefined,
    onEnd: undefined,
    messageKind: undefined,
  });
});
