import fc from "fast-check";
import assert from "node:assert/strict";
import { BodyError, type BodyValue, checkBody, decodeBody, encodeBody } from "../../src/protocol/body.ts";
import { bodyValue, normal } from "./arbitrary_body.ts";

/** Encodes what the compiler would not let through. */
function encodeAnything(value: unknown): Uint8Array {
  return encodeBody(value as BodyValue);
}

function nested(levels: number): BodyValue {
  let value: BodyValue = 1;
  for (let i = 0; i < levels; i++) value = i % 2 === 0 ? [value] : { in: value };
  return value;
}

class Point {
  readonly x = 1;
}

// @rule frame.body
Deno.test("a value that has no form is refused by naming where it is", () => {
  const self: unknown[] = [];
  self.push(self);
  const refused: [unknown, string][] = [
    [undefined, "$"],
    [() => 1, "$"],
    [Symbol("s"), "$"],
    [{ a: undefined }, "$.a"],
    [{ list: [1, { "odd key": () => 1 }] }, '$.list[1]["odd key"]'],
    [[1, , 3], "$[1]"],
    [new Map(), "$"],
    [{ when: new Date(0) }, "$.when"],
    [new Set([1]), "$"],
    [new Point(), "$"],
    [[new Float64Array(1)], "$[0]"],
    [new ArrayBuffer(1), "$"],
    [/x/, "$"],
    [Promise.resolve(), "$"],
    [Object(1), "$"],
    [{ [Symbol("s")]: 1 }, "$"],
    [JSON.parse('{"a":{"__proto__":1}}'), "$.a.__proto__"],
    ["\ud800", "$"],
    [{ text: "a\udc00" }, "$.text"],
    [{ "\ud800": 1 }, '$["\\ud800"]'],
    [2n ** 64n, "$"],
    [-(2n ** 63n) - 1n, "$"],
    [nested(33), `$${"[0].in".repeat(16)}`],
    [self, `$${"[0]".repeat(32)}`],
  ];
  for (const [value, path] of refused) {
    assert.throws(() => encodeAnything(value), (error) => {
      assert(error instanceof BodyError && error instanceof TypeError);
      assert.equal(error.path, path);
      assert(error.message.startsWith(`${path}: `) && error.message.endsWith("(frame.body)"), error.message);
      return true;
    });
  }
});

Deno.test("32 levels are taken", () => {
  const value = nested(32);
  assert.deepEqual(decodeBody(encodeBody(value)), value);
});

Deno.test("objects without a prototype and bytes of other views are values", () => {
  const bare = Object.assign(Object.create(null), { a: 1 });
  assert.deepEqual(decodeBody(encodeAnything(bare)), { a: 1 });
  const view = new Uint8Array(Uint8Array.of(9, 1, 2, 9).buffer, 1, 2);
  assert.deepEqual(decodeBody(encodeBody(view)), Uint8Array.of(1, 2));
  assert.deepEqual(decodeBody(encodeAnything(globalThis.structuredClone({ a: [1] }))), { a: [1] });
});

Deno.test("a failed encoding leaves nothing behind in the next one", () => {
  assert.throws(() => encodeAnything([1, 2, undefined]));
  assert.deepEqual(encodeBody(7), Uint8Array.of(7));
});

Deno.test("a getter that encodes another value does not disturb its own", () => {
  const value = {
    before: "x",
    get inner() {
      return encodeBody(["y", 2]);
    },
    after: "z",
  };
  assert.deepEqual(decodeBody(encodeBody(value)), { before: "x", inner: encodeBody(["y", 2]), after: "z" });
});

Deno.test("a decoded value shares no memory with its body", () => {
  const body = encodeBody({ data: Uint8Array.of(1, 2, 3) });
  const { data } = decodeBody(body) as { readonly data: Uint8Array };
  body.fill(0);
  assert.deepEqual(data, Uint8Array.of(1, 2, 3));
});

Deno.test("keys that objects inherit are keys like others", () => {
  const value = decodeBody(encodeBody({ constructor: 1, hasOwnProperty: 2, valueOf: 3 }));
  assert.deepEqual(Object.entries(value as object), [["constructor", 1], ["hasOwnProperty", 2], [
    "valueOf",
    3,
  ]]);
});

Deno.test("strings of every length come back", () => {
  for (const length of [0, 1, 23, 24, 25, 31, 32, 199, 200, 201, 255, 256, 65_535, 65_536, 70_000]) {
    for (const unit of ["a", "é", "😀"]) {
      const text = unit.repeat(length);
      assert.equal(decodeBody(encodeBody(text)), text);
    }
  }
});

Deno.test("large maps with distinct keys are taken, however long", () => {
  const value = Object.fromEntries(Array.from({ length: 70_000 }, (_, i) => [`key ${i}`, i]));
  assert.deepEqual(decodeBody(encodeBody(value)), value);
});

// @rule frame.body
Deno.test("whatever is encoded is well-formed, comes back equal and encodes the same again", () => {
  fc.assert(
    fc.property(bodyValue, (value) => {
      const body = encodeBody(value);
      assert.equal(checkBody(body), undefined);
      const back = decodeBody(body);
      assert.deepEqual(back, normal(value));
      assert.deepEqual(encodeBody(back), body);
    }),
    { numRuns: 1000 },
  );
});
