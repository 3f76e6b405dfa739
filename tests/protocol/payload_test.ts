import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import fc from "fast-check";
import { checkBody, decodeBody, encodeBody } from "../../src/protocol/body.ts";
import { bodyOf, PAYLOAD_HEADER_BYTES, payloadOf } from "../../src/protocol/payload.ts";

const LENGTHS = [0, 1, 31, 32, 255, 256, 65_535, 65_536, 200_000];

Deno.test("a payload's body is the canonical one, at every length where the header changes", () => {
  for (const length of LENGTHS) {
    const bytes = new Uint8Array(length).fill(0x61);
    assert.deepEqual(bodyOf({ bytes, binary: true }), encodeBody(bytes));
    assert.deepEqual(bodyOf({ bytes, binary: false }), encodeBody("a".repeat(length)));
    for (const binary of [true, false]) {
      const body = bodyOf({ bytes, binary });
      assert.ok(body.length <= length + PAYLOAD_HEADER_BYTES);
      assert.equal(checkBody(body), undefined);
      assert.deepEqual(payloadOf(body), { bytes, binary });
    }
  }
});

Deno.test("a text's payload is its UTF-8", () => {
  fc.assert(fc.property(fc.string({ unit: "binary", maxLength: 300 }), (text) => {
    fc.pre(text.isWellFormed());
    const bytes = new TextEncoder().encode(text);
    assert.equal(decodeBody(bodyOf({ bytes, binary: false })), text);
    assert.equal(Buffer.from(payloadOf(encodeBody(text))!.bytes).toString(), text);
  }));
});

Deno.test("a payload is read in each of MessagePack's forms, the longer ones too", () => {
  const expected = { bytes: new Uint8Array([0x68, 0x69]), binary: false };
  for (
    const header of [[0xa2], [0xd9, 2], [0xda, 0, 2], [0xdb, 0, 0, 0, 2]]
  ) {
    assert.deepEqual(payloadOf(new Uint8Array([...header, 0x68, 0x69])), expected);
  }
  for (const header of [[0xc4, 2], [0xc5, 0, 2], [0xc6, 0, 0, 0, 2]]) {
    assert.deepEqual(payloadOf(new Uint8Array([...header, 0x68, 0x69])), { ...expected, binary: true });
  }
});

Deno.test("a body that is neither a string nor bytes has no payload", () => {
  for (const value of [null, true, 0, -1, 1.5, 2n ** 60n, [], ["a"], {}, { a: "b" }, 300, -40, 70_000]) {
    assert.equal(payloadOf(encodeBody(value)), null, String(value));
  }
});
