/** The client as a server: connections that the server opens, and its calls. */

import assert from "node:assert/strict";
import {
  type BodyValue,
  type Connection,
  HoldfastError,
  type ReceivedCall,
  RpcError,
} from "../../src/client/mod.ts";
import { decodeBody, encodeBody } from "../../src/protocol/body.ts";
import type { CallOptions } from "../../src/protocol/messages.ts";
import { settle } from "../support/fake_clock.ts";
import { attachedClient, client, TestStorage } from "../support/client_fixture.ts";
import { type FakeLine, FakeServer } from "../support/fake_server.ts";

/** The server calls. */
async function call(
  line: FakeLine,
  connection: number,
  request: number,
  method: string,
  value: BodyValue = null,
  options?: CallOptions,
) {
  await line.tell({
    kind: "call",
    connection,
    request,
    method,
    body: encodeBody(value),
    ...(options === undefined ? {} : { options }),
  });
}

/** The client's answers so far: request, ok, and the result or the failure's code. */
function answers(line: FakeLine): [number, boolean, unknown][] {
  return line.of("response").map(({ request, ok, body }) => {
    const value = decodeBody(body) as { readonly code?: string } | null;
    return [request, ok, ok ? value : value?.code];
  });
}

// @rule call.once
Deno.test("the server's calls go to the methods given with open, side by side, each answered once", async () => {
  const { session, server } = await client();
  let release = () => {};
  const connection = session.open("echo", {
    methods: {
      double: (input) => Number(input) * 2,
      slow: () => new Promise((resolve) => release = () => resolve("slow")),
      nothing: () => {},
      whose: (_, { connection, metadata }) => [connection.id, { ...metadata }],
    },
  });
  const line = await server.establish();
  await line.tell({ kind: "accept", connection: 1 });
  await call(line, 1, 1, "slow");
  await call(line, 1, 2, "double", 21);
  await call(line, 1, 3, "nothing");
  await call(line, 1, 4, "whose", null, { metadata: { a: "b" } });
  release();
  await settle();
  assert.deepEqual(answers(line), [[2, true, 42], [3, true, null], [4, true, [1, { a: "b" }]], [
    1,
    true,
    "slow",
  ]]);
  assert.equal(connection.id, 1);
});

// @rule call.once
Deno.test("what no handler answers is answered all the same: unknown methods, items, malformed arguments", async () => {
  const { session, server } = await client();
  session.open("echo", { methods: { known: () => 1 } });
  session.open("bare");
  const line = await server.establish();
  await line.tell({ kind: "accept", connection: 1 }, { kind: "accept", connection: 3 });
  await call(line, 1, 1, "unknown");
  await call(line, 1, 2, "known", null, { download: 2 });
  await call(line, 1, 3, "known", null, { upload: 4 });
  await line.tell({ kind: "item", connection: 1, channel: 4, body: encodeBody(1) });
  await line.tell({ kind: "call", connection: 1, request: 4, method: "known", body: new Uint8Array([0xc1]) });
  await call(line, 1, 5, "toString");
  await call(line, 3, 1, "known");
  assert.deepEqual(answers(line), [
    [1, false, "unknown-method"],
    [2, false, "invalid-argument"],
    [3, false, "invalid-argument"],
    [4, false, "invalid-argument"],
    [5, false, "unknown-method"],
    [1, false, "unknown-method"],
  ]);
  assert.deepEqual(line.of("reset").map(({ channel }) => channel), [2]);
  assert.equal(session.phase, "attached");
});

// @rule call.once
Deno.test("a handler's RpcError is the answer; anything else is internal, without its text, and an error event", async () => {
  const problem = new Error("secret");
  const fixture = await client();
  const connection = fixture.session.open("echo", {
    methods: {
      known: () => {
        throw new RpcError("not-found", "no such thing", { data: { id: 7 } });
      },
      unknown: () => Promise.reject(problem),
      unsayable: () => ({ x: undefined }) as unknown as BodyValue,
      large: () => "x".repeat(600_000),
    },
  });
  const line = await fixture.server.establish();
  await line.tell({ kind: "accept", connection: 1 });
  for (const [n, method] of ["known", "unknown", "unsayable", "large"].entries()) {
    await call(line, 1, n + 1, method);
  }
  assert.deepEqual(answers(line).map(([, , code]) => code), [
    "not-found",
    "internal",
    "internal",
    "internal",
  ]);
  assert.deepEqual(decodeBody(line.of("response")[0]!.body), {
    code: "not-found",
    message: "no such thing",
    data: { id: 7 },
  });
  assert.doesNotMatch(JSON.stringify(decodeBody(line.of("response")[1]!.body)), /secret/);
  const errors = fixture.details("error") as { error: Error }[];
  assert.deepEqual([errors.length, errors[0]!.error], [3, problem]);
  assert.deepEqual(fixture.session.connections, [connection]);
});

// @rule call.cancel
// @rule call.timeout
Deno.test("cancel, a deadline and the connection's end abort the handler, and what it says then is dropped", async () => {
  const aborted: string[] = [];
  const wait = (_: BodyValue, { signal }: ReceivedCall) =>
    new Promise<BodyValue>((resolve, reject) => {
      signal.addEventListener("abort", () => {
        aborted.push((signal.reason as RpcError).code);
        if (aborted.length % 2 === 0) resolve("late");
        else reject(signal.reason);
      });
    });
  const fixture = await client();
  fixture.session.open("echo", { methods: { wait } });
  const line = await fixture.server.establish();
  await line.tell({ kind: "accept", connection: 1 });
  const { clock } = fixture;
  const before = clock.pending;
  await call(line, 1, 1, "wait");
  await call(line, 1, 2, "wait", null, { timeout: 1_000 });
  await call(line, 1, 3, "wait");
  await call(line, 1, 4, "wait", null, { timeout: 60_000 });
  await line.tell({ kind: "cancel", connection: 1, request: 1 });
  await clock.advance(1_000);
  assert.deepEqual(answers(line), [[1, false, "cancelled"], [2, false, "deadline-exceeded"]]);
  await line.tell({ kind: "end", connection: 1 });
  await clock.advance(50);
  assert.deepEqual(aborted, ["cancelled", "deadline-exceeded", "cancelled", "cancelled"]);
  assert.equal(line.of("response").length, 2);
  assert.deepEqual(fixture.details("error"), []);
  assert.equal(clock.pending, before);
});

// @rule connection.open
Deno.test("a connection that the server opens goes to the service of its name, which says when it is taken", async () => {
  const opened: Connection[] = [];
  const before: string[] = [];
  let take = () => {};
  const { session, server } = await client({
    serve: [{
      name: "files",
      messageCredit: 32,
      methods: {
        read: (name) => {
          before.push("read");
          return `content of ${name}`;
        },
      },
      onOpen: (connection) => {
        opened.push(connection);
        void connection[Symbol.asyncIterator]().next().then(({ value }) => before.push(String(value)));
        return new Promise((resolve) => take = resolve);
      },
    }],
  });
  const line = await server.establish();
  await line.tell(
    { kind: "open", connection: 2, service: "files", metadata: { who: "node" } },
    { kind: "message", connection: 2, body: encodeBody("early") },
  );
  await call(line, 2, 1, "read", "a.txt");
  assert.equal(opened.length, 1);
  const [connection] = opened;
  assert.deepEqual([connection!.id, connection!.service, connection!.metadata, connection!.restored], [
    2,
    "files",
    { who: "node" },
    false,
  ]);
  assert.deepEqual([line.of("accept"), line.of("response"), before], [[], [], []]);
  take();
  await connection!.opened;
  await settle();
  assert.deepEqual(line.of("accept").map(({ connection, messageCredit }) => [connection, messageCredit]), [[
    2,
    32,
  ]]);
  assert.deepEqual(answers(line), [[1, true, "content of a.txt"]]);
  assert.deepEqual(before.sort(), ["early", "read"]);
  await connection!.send("and back");
  const answer = connection!.call("ask", 1);
  await settle();
  assert.equal(line.of("message")[0]?.connection, 2);
  assert.deepEqual([line.call().connection, line.call().request], [2, 1]);
  await line.answer(line.call(), "asked");
  assert.equal(await answer, "asked");
  assert.deepEqual(session.connections.map(({ id }) => id), [2]);
});

// @rule connection.open
Deno.test("who is not served is rejected; so is whom the service does not want", async () => {
  const problem = new Error("broken");
  const fixture = await client();
  fixture.session.serve({
    name: "choosy",
    onOpen: () => {
      throw new HoldfastError("forbidden", "not you");
    },
  });
  fixture.session.serve({ name: "broken", onOpen: () => Promise.reject(problem) });
  assert.throws(() => fixture.session.serve({ name: "choosy" }), { reason: "already-served" });
  assert.throws(() => fixture.session.serve({ name: "No Name" }), TypeError);
  assert.throws(() => fixture.session.serve({ name: "small", messageCredit: 15 }), RangeError);
  const line = await fixture.server.establish();
  for (const [n, service] of ["choosy", "broken", "nobody"].entries()) {
    await line.tell({ kind: "open", connection: 2 * n + 2, service });
  }
  assert.deepEqual(line.of("reject").map(({ connection, reason, detail }) => [connection, reason, detail]), [
    [2, "forbidden", "not you"],
    [4, "service-failed", "the service failed"],
    [6, "unknown-service", 'no service "nobody" at the client'],
  ]);
  assert.deepEqual(fixture.details("error"), [{ error: problem }]);
  assert.deepEqual(fixture.session.connections, []);
});

// @rule connection.order
Deno.test("onMessage takes one message at a time; calls do not wait behind it; when it throws the connection ends", async () => {
  const seen: BodyValue[] = [];
  let done = () => {};
  const fixture = await client();
  fixture.session.serve({
    name: "log",
    methods: { ping: () => "pong" },
    onMessage: async (_, value) => {
      seen.push(value);
      if (value === "bad") throw new Error("bad");
      await new Promise<void>((resolve) => done = resolve);
    },
  });
  const line = await fixture.server.establish();
  await line.tell({ kind: "open", connection: 2, service: "log" });
  await line.message(2, 1, 2, "bad", 3);
  assert.deepEqual(seen, [1]);
  await call(line, 2, 1, "ping");
  assert.deepEqual(answers(line), [[1, true, "pong"]]);
  for (let n = 0; n < 2; n++) {
    done();
    await settle();
  }
  assert.deepEqual(seen, [1, 2, "bad"]);
  assert.deepEqual(line.of("end").map(({ connection, reason }) => [connection, reason]), [[
    2,
    "service-failed",
  ]]);
  assert.equal((fixture.details("error") as { error: Error }[])[0]!.error.message, "bad");
});

// @rule connection.end
Deno.test("the end of a served connection is heard, and its loop ends", async () => {
  const seen: BodyValue[] = [];
  const ended: string[] = [];
  const fixture = await client();
  fixture.session.serve({
    name: "log",
    onOpen: (connection) => void connection.closed.then(({ reason }) => ended.push(reason)),
    onMessage: (_, value) => void seen.push(value),
  });
  const line = await fixture.server.establish();
  await line.tell({ kind: "open", connection: 2, service: "log" });
  await line.message(2, 1, 2);
  await line.tell({ kind: "end", connection: 2, reason: "opener-lost" });
  assert.deepEqual([seen, ended], [[1, 2], ["opener-lost"]]);
  assert.deepEqual(fixture.details("error"), []);
  assert.deepEqual(fixture.session.connections, []);
});

/** A page that serves `log`, and what its handlers saw. */
async function servingPage(storage: TestStorage, server = new FakeServer()) {
  const seen: BodyValue[] = [];
  const opened: boolean[] = [];
  const fixture = await client({
    storage,
    server,
    serve: [{
      name: "log",
      methods: { wait: () => new Promise(() => {}), ping: () => "pong" },
      onOpen: ({ restored }) => void opened.push(restored),
      onMessage: async (connection, value) => {
        seen.push(value);
        connection.keep(seen.length);
        if (value === "stuck") await new Promise(() => {});
      },
    }],
  });
  return { ...fixture, server: fixture.server, seen, opened };
}

// @rule resume.stored-client
Deno.test("a served connection goes on over a reload: opened again, unhandled messages again, unanswered calls indeterminate", async () => {
  const storage = new TestStorage();
  const first = await servingPage(storage);
  const line = await first.server.establish();
  await line.tell({ kind: "open", connection: 2, service: "log" });
  await line.message(2, "a", "stuck", "b");
  await call(line, 2, 1, "wait");
  await settle();
  assert.deepEqual([first.seen, first.opened], [["a", "stuck"], [false]]);
  await line.end();

  const page = await servingPage(storage);
  assert.deepEqual([page.seen, page.opened], [["stuck"], [true]]);
  const established = await page.server.establish({ received: 1, sent: 5 });
  assert.deepEqual(answers(established), [[1, false, "indeterminate"]]);
  await call(established, 2, 2, "ping");
  assert.deepEqual(answers(established), [[1, false, "indeterminate"], [2, true, "pong"]]);
  // Handlers that never end keep nothing alive but themselves.
  page.session.goOffline();
});

// @rule resume.stored-client
Deno.test("a page that does not serve any more ends the connections that were open to it", async () => {
  const storage = new TestStorage();
  const first = await servingPage(storage);
  const line = await first.server.establish();
  await line.tell({ kind: "open", connection: 2, service: "log" });
  await settle();
  await line.end();
  const page = await client({ storage, server: new FakeServer() });
  const established = await page.server.establish({ received: 1, sent: 1 });
  assert.deepEqual(established.of("end").map(({ connection, reason }) => [connection, reason]), [
    [2, "unknown-service"],
  ]);
  assert.deepEqual(page.session.connections, []);
});

// @rule resume.stored-client
Deno.test("one that was not yet taken is offered to the next page's service", async () => {
  const storage = new TestStorage();
  const first = await client({ storage, serve: [{ name: "log", onOpen: () => new Promise(() => {}) }] });
  const line = await first.server.establish();
  await line.tell({ kind: "open", connection: 2, service: "log", metadata: { a: "b" } });
  await settle();
  await line.end();
  const page = await servingPage(storage);
  assert.deepEqual(page.opened, [true]);
  const established = await page.server.establish({ received: 0, sent: 1 });
  assert.deepEqual(established.of("accept").map(({ connection }) => connection), [2]);
  assert.deepEqual(page.session.connections[0]?.metadata, { a: "b" });
});

Deno.test("a call on a restored connection that nobody has asked for is unavailable, and goes to the methods of who does", async () => {
  const storage = new TestStorage();
  const { line } = await attachedClient({ storage });
  await settle();
  await line.end();
  const page = await client({ storage, server: new FakeServer() });
  const established = await page.server.establish({ received: 1, sent: 1 });
  await call(established, 1, 1, "double", 4);
  const again = page.session.open("echo", { methods: { double: (n) => Number(n) * 2 } });
  assert.equal(again.restored, true);
  await call(established, 1, 2, "double", 4);
  assert.deepEqual(answers(established), [[1, false, "unavailable"], [2, true, 8]]);
});

Deno.test("services are served in the session after a lost one too", async () => {
  const fixture = await client({ startAnewWhenLost: true, serve: [{ name: "log" }] });
  const first = await fixture.server.establish();
  await first.end(4501, "expired");
  await fixture.clock.advanceToNext();
  const line = await fixture.server.establish({ session: "session-2" });
  await line.tell({ kind: "open", connection: 2, service: "log" });
  assert.deepEqual(line.of("accept").map(({ connection }) => connection), [2]);
});
