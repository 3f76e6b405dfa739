/** Methods with one result: what goes in, what comes out, and how they fail. */

import assert from "node:assert/strict";
import * as z from "zod";
import * as mini from "zod/mini";
import { type BodyValue, encodeBody } from "../../src/protocol/body.ts";
import { RpcError } from "../../src/protocol/rpc_error.ts";
import { defineService } from "../../src/service/define_service.ts";
import { type DefinedMethod, method } from "../../src/service/methods.ts";
import type { Service } from "../../src/service/service.ts";
import { type Did, FakeCall, type FakeCallOptions, FakeConnection, serve } from "../support/fake_served.ts";

/** A service with one method, `m`. */
function withMethod(m: DefinedMethod): Service {
  return defineService({ name: "tested", methods: { m } });
}

/** Serves one call, of which no defect is expected. */
async function called(
  service: Service,
  input?: BodyValue,
  options: FakeCallOptions = {},
): Promise<readonly Did[]> {
  const call = new FakeCall("m", input === undefined ? options : { ...options, input });
  assert.equal(await serve(service, call), undefined);
  return call.did;
}

/** Serves one call that uncovers a defect: the caller is told nothing of it. */
async function defect(service: Service, input: BodyValue = null): Promise<Error> {
  const call = new FakeCall("m", { input });
  const found = await serve(service, call);
  assert.ok(found instanceof Error, "no defect was reported");
  assert.deepEqual(call.did, [{ do: "fail", code: "internal", message: "the service failed" }]);
  return found;
}

const failed = (did: readonly Did[]) => {
  const last = did.at(-1);
  assert.equal(last?.do, "fail");
  return last as Extract<Did, { do: "fail" }>;
};

const answers = (value: BodyValue): readonly Did[] => [{ do: "respond", value }];

Deno.test("a handler is given what the schema makes of the argument, and its result is answered", async () => {
  const service = withMethod(method(
    { input: z.object({ by: z.int(), times: z.int().default(2) }), output: z.int() },
    ({ by, times }) => by * times,
  ));
  assert.deepEqual(await called(service, { by: 4, extra: true }), answers(8));
});

Deno.test("schemas of zod/mini do as well", async () => {
  const service = withMethod(
    method({ input: mini.array(mini.string()), output: mini.string() }, (all) => all.join()),
  );
  assert.deepEqual(await called(service, ["a", "b"]), answers("a,b"));
  assert.match(failed(await called(service, [1])).message, /\$\[0\]/);
});

Deno.test("a handler that is done at once has answered before the call is given back, and asked for no signal", () => {
  const service = withMethod(method({ input: z.string(), output: z.string() }, (text) => text.toUpperCase()));
  const call = new FakeCall("m", { input: "now" });
  assert.equal(service.onCall?.(call), undefined);
  assert.deepEqual(call.did, answers("NOW"));
  assert.equal(call.signalRead, false);
});

Deno.test("a handler that returns a promise, or anything with then, is waited for", async () => {
  const slow = withMethod(method({ output: z.int() }, async () => {
    await Promise.resolve();
    return 1;
  }));
  assert.deepEqual(await called(slow), answers(1));
  const thenable = { then: (done: (value: number) => void) => done(2) } as unknown as Promise<number>;
  assert.deepEqual(await called(withMethod(method({ output: z.int() }, () => thenable))), answers(2));
});

Deno.test("an argument that the schema refuses is invalid-argument, naming each part and what is allowed there", async () => {
  const service = withMethod(method(
    { input: z.object({ by: z.int().max(10), "odd key": z.array(z.string()), kind: z.enum(["a", "b"]) }) },
    () => assert.fail("the handler must not run"),
  ));
  const one = failed(await called(service, { by: "x", "odd key": [], kind: "a" }));
  assert.equal(one.code, "invalid-argument");
  assert.match(one.message, /^\$\.by: .*expected (number|int), received string$/);
  const all = failed(await called(service, { by: 11, "odd key": ["", 1], kind: "c" })).message;
  assert.match(all, /\$\.by: .*10/);
  assert.match(all, /\$\["odd key"\]\[1\]: .*string/);
  assert.match(all, /\$\.kind: .*"a"\|"b"/);
});

Deno.test("of a union it names what each alternative would take", async () => {
  const service = withMethod(method({ input: z.union([z.string(), z.object({ id: z.int() })]) }, () => {}));
  const { message } = failed(await called(service, { id: "x" }));
  assert.match(message, /^\$: .*expected string.*, or \$\.id: .*expected (number|int)/);
});

Deno.test("however much is wrong, the text is bounded and well-formed", async () => {
  const service = withMethod(method({ input: z.strictObject({}) }, () => {}));
  const { message } = failed(await called(service, { ["k😀".repeat(2000)]: 1 }));
  assert.ok(message.length <= 512 && message.isWellFormed());
  const list = withMethod(method({ input: z.array(z.int()) }, () => {}));
  assert.match(failed(await called(list, Array(50).fill("x"))).message, /; and 47 more$/);
});

Deno.test("an argument that is no body at all is invalid-argument", async () => {
  const service = withMethod(method({ input: z.unknown() }, () => {}));
  const { code, message } = failed(await called(service, undefined, { body: Uint8Array.of(0xc1) }));
  assert.equal(code, "invalid-argument");
  assert.match(message, /^\$: /);
});

Deno.test("a method without a schema for its argument takes nothing but null", async () => {
  const service = withMethod(method({ output: z.int() }, () => 1));
  assert.deepEqual(await called(service, null), answers(1));
  assert.equal(failed(await called(service, 0)).code, "invalid-argument");
});

Deno.test("a schema that takes anything still has its own checks made", async () => {
  const service = withMethod(
    method({ input: z.unknown().refine((value) => value !== 5, "not 5") }, () => {}),
  );
  assert.deepEqual(await called(service, 4), answers(null));
  assert.equal(failed(await called(service, 5)).message, "$: not 5");
});

Deno.test("null stands for an argument that may be left out", async () => {
  const service = withMethod(method(
    { input: z.string().optional(), output: z.string() },
    (text) => text ?? "nothing",
  ));
  assert.deepEqual(await called(service, null), answers("nothing"));
  assert.deepEqual(await called(service, "some"), answers("some"));
  assert.match(failed(await called(service, 5)).message, /expected string/);
  const byDefault = withMethod(method({ input: z.int().default(3), output: z.int() }, (count) => count));
  assert.deepEqual(await called(byDefault, null), answers(3));
  const nullable = withMethod(
    method({ input: z.int().nullable(), output: z.unknown() }, (count) => count === null),
  );
  assert.deepEqual(await called(nullable, null), answers(true));
});

Deno.test("a result that is undefined is answered as null", async () => {
  assert.deepEqual(await called(withMethod(method({}, () => {}))), answers(null));
  assert.deepEqual(await called(withMethod(method({ output: z.unknown() }, () => undefined))), answers(null));
  assert.deepEqual(
    await called(withMethod(method({ output: z.int().optional() }, () => undefined))),
    answers(null),
  );
  const nullable = withMethod(method({ output: z.int().nullable() }, () => undefined as unknown as null));
  assert.deepEqual(await called(nullable), answers(null));
});

Deno.test("a result that the schema refuses is internal, and the defect is named", async () => {
  const wrong = withMethod(method({ output: z.int() }, () => "x" as unknown as number));
  assert.match((await defect(wrong)).message, /does not fit its own schema: \$: .*expected/);
  const later = withMethod(method({ output: z.int() }, () => Promise.resolve("x" as unknown as number)));
  assert.match((await defect(later)).message, /own schema/);
  const none = withMethod(method({}, () => 5 as unknown as void));
  assert.match((await defect(none)).message, /own schema/);
});

Deno.test("what a result's schema does not name is not told", async () => {
  const service = withMethod(method(
    { output: z.object({ name: z.string() }) },
    () => ({ name: "a", password: "secret" }),
  ));
  assert.deepEqual(await called(service), answers({ name: "a" }));
});

Deno.test("a result that is no body value is internal, and the defect is named", async () => {
  const service = withMethod(method({ output: z.unknown() }, () => ({ when: new Date(0) })));
  assert.match((await defect(service)).message, /^\$\.when: a Date has no encoding/);
});

Deno.test("a thrown RpcError is the call's failure, thrown at once or later", async () => {
  const error = () => new RpcError("not-found", "no such book", { data: { isbn: "1" } });
  const expected: Did = { do: "fail", code: "not-found", message: "no such book", data: { isbn: "1" } };
  const atOnce = withMethod(method({}, () => {
    throw error();
  }));
  const call = new FakeCall("m");
  assert.equal(atOnce.onCall?.(call), undefined);
  assert.deepEqual(call.did, [expected]);
  assert.equal(call.signalRead, false);
  assert.deepEqual(await called(withMethod(method({}, () => Promise.reject(error())))), [expected]);
});

Deno.test("anything else that is thrown is a defect, of which the caller is told nothing", async () => {
  const secret = new Error("the password is 1234");
  const atOnce = withMethod(method({}, () => {
    throw secret;
  }));
  assert.equal(await defect(atOnce), secret);
  assert.equal(await defect(withMethod(method({}, () => Promise.reject(secret)))), secret);
});

Deno.test("an RpcError whose data is no body value is a defect", async () => {
  const service = withMethod(method({}, () => {
    throw new RpcError("conflict", "m", { data: new Date(0) as unknown as BodyValue });
  }));
  assert.match((await defect(service)).message, /Date has no encoding/);
});

Deno.test("a schema with asynchronous parts is a defect of the service", async () => {
  const service = withMethod(method({ input: z.string().refine(() => Promise.resolve(true)) }, () => {}));
  await defect(service, "x");
});

Deno.test("a handler that ignores that its call is over does nothing with its later result", async () => {
  const hanging = Promise.withResolvers<string>();
  const service = withMethod(method({ output: z.string() }, () => hanging.promise));
  const call = new FakeCall("m");
  const served = serve(service, call);
  call.over("deadline-exceeded");
  hanging.resolve("too late");
  assert.equal(await served, undefined);
  assert.deepEqual(call.did, []);
});

Deno.test("a handler that gives up because its call is over reports no defect; one that breaks then, does", async () => {
  const waiting = (fail: (reason: unknown) => unknown) =>
    withMethod(method({}, (_, { signal }) =>
      new Promise<void>((_, reject) => {
        signal.addEventListener("abort", () => reject(fail(signal.reason)));
      })));
  const over = async (fail: (reason: unknown) => unknown) => {
    const call = new FakeCall("m");
    const served = serve(waiting(fail), call);
    call.over();
    const found = await served;
    assert.deepEqual(call.did, []);
    return found;
  };
  assert.equal(await over((reason) => reason), undefined);
  assert.equal(await over((reason) => new Error("fetch failed", { cause: reason })), undefined);
  assert.equal(await over(() => new DOMException("aborted", "AbortError")), undefined);
  const bug = new TypeError("cannot read properties of undefined");
  assert.equal(await over(() => bug), bug);
});

Deno.test("a handler sees its call: deadline, metadata, signal, whether it runs again, and the connection", async () => {
  const service = withMethod(method({ output: z.unknown() }, (_, call) => {
    assert.equal(call.connection, call.connection);
    const { id, session, principal, service, now } = call.connection;
    const { deadline, metadata, again, signal } = call;
    return { deadline, metadata, again, aborted: signal.aborted, id, session, principal, service, now };
  }));
  const did = await called(service, null, { deadline: 5000, metadata: { trace: "t" }, again: true });
  assert.deepEqual(
    did,
    answers({
      deadline: 5000,
      metadata: { trace: "t" },
      again: true,
      aborted: false,
      id: 1,
      session: "session-1",
      principal: "alice",
      service: "tested",
      now: 1000,
    }),
  );
});

Deno.test("what a handler does on its connection comes before its answer, in order", async () => {
  const service = withMethod(method({ output: z.int() }, (_, { connection }) => {
    connection.send("one");
    connection.keep({ step: 2 });
    connection.sendVolatile("three");
    return 4;
  }));
  assert.deepEqual(await called(service), [
    { do: "send", value: "one" },
    { do: "keep", value: { step: 2 } },
    { do: "send_volatile", value: "three" },
    ...answers(4),
  ]);
});

Deno.test("a handler calls the client's side, and fails as that call failed", async () => {
  const service = withMethod(
    method({ input: z.string(), output: z.unknown() }, async (question, { connection }) => {
      return await connection.call("ask", question, { timeout: 1000 });
    }),
  );
  const connection = new FakeConnection();
  connection.outcome = { ok: true, body: encodeBody({ yes: true }) };
  assert.deepEqual(await called(service, "really?", { connection }), answers({ yes: true }));
  assert.deepEqual(connection.asked, [{ method: "ask", value: "really?" }]);
  const refusing = new FakeConnection();
  refusing.outcome = {
    ok: false,
    error: { code: "permission-denied", message: "no", data: encodeBody([1]) },
  };
  assert.deepEqual(await called(service, "really?", { connection: refusing }), [
    { do: "fail", code: "permission-denied", message: "no", data: [1] },
  ]);
});

Deno.test("a call of a method that the service has not is unknown-method", async () => {
  const service = withMethod(method({}, () => {}));
  for (const name of ["other", "constructor", "__proto__"]) {
    const call = new FakeCall(name);
    assert.equal(await serve(service, call), undefined);
    assert.equal(failed(call.did).code, "unknown-method");
  }
});

Deno.test("a session sees each method's kind and whether it may run again", () => {
  const { methods } = defineService({
    name: "tested",
    methods: { once: method({}, () => {}), often: method({ retry: "safe" }, () => {}) },
  });
  const seen = [...methods].map(([name, { kind, retry }]) => [name, kind, retry]);
  assert.deepEqual(seen, [["once", "method", "never"], ["often", "method", "safe"]]);
});

Deno.test("names, message credit and message handlers that make no service are refused when it is made", () => {
  const one = method({}, () => {});
  assert.throws(() => defineService({ name: "No" }), /"No" is no name/);
  assert.throws(() => defineService({ name: "a".repeat(65) }), TypeError);
  assert.throws(() => defineService({ name: "a", methods: { "b c": one } }), /"b c" is no name/);
  for (const messageCredit of [15, 1025, 20.5, NaN]) {
    assert.throws(() => defineService({ name: "a", messageCredit }), /messageCredit/);
  }
  assert.equal(defineService({ name: "a" }).messageCredit, 64);
  assert.equal(defineService({ name: "a", messageCredit: 16 }).messageCredit, 16);
});
