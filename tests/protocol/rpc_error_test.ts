import assert from "node:assert/strict";
import { BodyError, type BodyValue, checkBody, decodeBody, encodeBody } from "../../src/protocol/body.ts";
import { DETAIL_CHARACTERS } from "../../src/protocol/limits.ts";
import { RPC_CODES, type RpcCode } from "../../src/protocol/rpc_codes.ts";
import {
  boundedText,
  decodeFailure,
  encodeFailure,
  errorOf,
  failureOf,
  RpcError,
} from "../../src/protocol/rpc_error.ts";

function nested(levels: number): BodyValue {
  let value: BodyValue = 1;
  for (let i = 0; i < levels; i++) value = [value];
  return value;
}

/** There and back, as the other side sees it. */
function crossed(error: RpcError): RpcError {
  return decodeFailure(encodeFailure(failureOf(error)));
}

Deno.test("a failure arrives with the code, message and data that were thrown", () => {
  for (const code of RPC_CODES) {
    const told = crossed(new RpcError(code, "no such thing", { data: { id: 7n, at: [1, "two"] } }));
    assert.ok(told instanceof RpcError);
    assert.equal(told.name, "RpcError");
    assert.equal(told.code, code);
    assert.equal(told.message, "no such thing");
    assert.deepEqual(told.data, { id: 7, at: [1, "two"] });
  }
});

Deno.test("a failure without data has none on the wire, and null is data", () => {
  const body = encodeFailure(failureOf(new RpcError("not-found", "gone")));
  assert.deepEqual(decodeBody(body), { code: "not-found", message: "gone" });
  assert.equal(decodeFailure(body).data, undefined);
  assert.equal(crossed(new RpcError("not-found", "gone", { data: null })).data, null);
});

Deno.test("the cause stays in the process", () => {
  const error = new RpcError("unavailable", "no answer", { cause: new Error("secret") });
  assert.equal((error.cause as Error).message, "secret");
  assert.deepEqual(decodeBody(encodeFailure(failureOf(error))), {
    code: "unavailable",
    message: "no answer",
  });
  assert.equal("cause" in new RpcError("unavailable", "no answer"), false);
});

Deno.test("a message is cut and made well-formed, never in the middle of a character", () => {
  assert.equal(crossed(new RpcError("internal", "\ud800!")).message, "\ufffd!");
  const whole = "x".repeat(DETAIL_CHARACTERS);
  assert.equal(boundedText(whole), whole);
  assert.equal(boundedText(whole + "y"), whole.slice(1) + "…");
  const split = "x".repeat(DETAIL_CHARACTERS - 2) + "😀😀";
  assert.equal(boundedText(split), "x".repeat(DETAIL_CHARACTERS - 2) + "…");
  assert.equal(crossed(new RpcError("internal", split)).message, boundedText(split));
});

Deno.test("a code of a newer peer counts as internal, and its name is told", () => {
  const body = encodeBody({ code: "quota-exceeded", message: "come back tomorrow", data: 5 });
  const told = decodeFailure(body);
  assert.equal(told.code, "internal");
  assert.equal(told.message, "quota-exceeded: come back tomorrow");
  assert.equal(told.data, 5);
  const long = decodeFailure(encodeBody({ code: "c".repeat(5000), message: "m".repeat(5000) }));
  assert.equal(long.message.length, DETAIL_CHARACTERS);
  for (const code of ["__proto__", "constructor", ""]) {
    assert.equal(decodeFailure(encodeBody({ code, message: "m" })).code, "internal");
  }
});

Deno.test("a failure's body that is none is internal, and never throws", () => {
  const bodies = [
    new Uint8Array(),
    Uint8Array.of(0xc1),
    ...[null, 1, "text", [], {}, { code: "not-found" }, { message: "m" }, { code: 1, message: "m" }].map(
      encodeBody,
    ),
    encodeBody(Uint8Array.of(1)),
  ];
  for (const body of bodies) assert.equal(decodeFailure(body).code, "internal");
});

Deno.test("data may nest as deep as the failure around it leaves room for", () => {
  const deepest = crossed(new RpcError("conflict", "m", { data: nested(31) }));
  assert.deepEqual(deepest.data, nested(31));
  assert.throws(() => failureOf(new RpcError("conflict", "m", { data: nested(32) })), BodyError);
  // Another's failure is passed on without it rather than as a body that is none.
  const body = encodeFailure({ code: "conflict", message: "m", data: encodeBody(nested(32)) });
  assert.equal(checkBody(body), undefined);
  assert.deepEqual(decodeBody(body), { code: "conflict", message: "m" });
});

Deno.test("data that is no body value is refused where it is encoded", () => {
  const data = { when: new Date(0) } as unknown as BodyValue;
  assert.throws(() => failureOf(new RpcError("conflict", "m", { data })), BodyError);
});

Deno.test("an encoded failure becomes the error that it stands for; data that is malformed is left out", () => {
  const failure = { code: "conflict" as RpcCode, message: "m" };
  assert.deepEqual(errorOf({ ...failure, data: encodeBody([1]) }).data, [1]);
  assert.equal(errorOf(failure).data, undefined);
  assert.equal(errorOf({ ...failure, data: Uint8Array.of(0xc1) }).data, undefined);
});
