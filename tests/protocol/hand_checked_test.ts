/** Encodings worked out by hand from the MessagePack specification: what the golden vectors' generator is held against. */

import assert from "node:assert/strict";
import { type BodyValue, encodeBody } from "../../src/protocol/body.ts";
import { encodeConduit, encodeSession } from "../../src/protocol/encode.ts";
import { hex } from "./typed_value.ts";

const text = (string: string) => hex(new TextEncoder().encode(string));
const digits = (spaced: string) => spaced.replaceAll(" ", "");

Deno.test("conduit messages are spelt as MessagePack says", () => {
  const spelt = [
    [encodeConduit({ kind: "ack", received: 0 }), "92 03 00"],
    [encodeConduit({ kind: "ack", received: 127 }), "92 03 7f"],
    [encodeConduit({ kind: "ack", received: 128 }), "92 03 cc 80"],
    [encodeConduit({ kind: "ack", received: 256 }), "92 03 cd 01 00"],
    [encodeConduit({ kind: "ack", received: 65_536 }), "92 03 ce 00 01 00 00"],
    [encodeConduit({ kind: "ack", received: 2 ** 32 }), "92 03 cf 00 00 00 01 00 00 00 00"],
    [encodeConduit({ kind: "ack", received: 2 ** 53 - 1 }), "92 03 cf 00 1f ff ff ff ff ff ff"],
    [encodeConduit({ kind: "ping", nonce: 7 }), "92 04 07"],
    [encodeConduit({ kind: "authorised" }), "92 0a 80"],
    [
      encodeConduit({ kind: "close", reason: "closed", detail: "" }),
      `92 07 82 a6 ${text("reason")} a6 ${text("closed")} a6 ${text("detail")} a0`,
    ],
    [
      encodeConduit({ kind: "start", version: 1, challenge: "c" }),
      `92 00 82 a7 ${text("version")} 01 a9 ${text("challenge")} a1 63`,
    ],
    [
      encodeConduit({ kind: "volatile", connection: 1, body: encodeBody(0.5) }),
      "93 08 01 c4 09 cb 3f e0 00 00 00 00 00 00",
    ],
  ] as const;
  for (const [encoded, expected] of spelt) assert.equal(hex(encoded), digits(expected));
});

Deno.test("session messages are spelt as MessagePack says", () => {
  const spelt = [
    [
      encodeSession(1, { kind: "open", connection: 1, service: "echo" }),
      `94 10 01 01 81 a7 ${text("service")} a4 ${text("echo")}`,
    ],
    [encodeSession(1, { kind: "accept", connection: 1 }), "94 11 01 01 80"],
    [encodeSession(3, { kind: "end", connection: 1 }), "94 13 03 01 80"],
    [
      encodeSession(2, { kind: "message", connection: 1, body: encodeBody("hi") }),
      "94 14 02 01 c4 03 a2 68 69",
    ],
    [
      encodeSession(70_000, { kind: "message", connection: 257, body: encodeBody(null) }),
      "94 14 ce 00 01 11 70 cd 01 01 c4 01 c0",
    ],
    [
      encodeSession(2 ** 32, { kind: "message", connection: 200, body: encodeBody(true) }),
      "94 14 cf 00 00 00 01 00 00 00 00 cc c8 c4 01 c3",
    ],
    [
      encodeSession(4, {
        kind: "call",
        connection: 1,
        request: 1,
        method: "add",
        body: encodeBody({ by: 2 }),
      }),
      "96 15 04 01 01 a3 61 64 64 c4 05 81 a2 62 79 02",
    ],
    [
      encodeSession(4, { kind: "response", connection: 1, request: 1, ok: true, body: encodeBody(44) }),
      "96 16 04 01 01 c3 c4 01 2c",
    ],
    [encodeSession(10, { kind: "credit", connection: 1, channel: 3, additional: 16 }), "95 1b 0a 01 03 10"],
  ] as const;
  for (const [encoded, expected] of spelt) assert.equal(hex(encoded), digits(expected));
});

Deno.test("a long body has the bin header of its length", () => {
  for (
    const [length, header] of [
      [255, "94 14 01 01 c4 ff"],
      [256, "94 14 01 01 c5 01 00"],
      [65_535, "94 14 01 01 c5 ff ff"],
      [65_536, "94 14 01 01 c6 00 01 00 00"],
    ] as const
  ) {
    const encoded = encodeSession(1, { kind: "message", connection: 1, body: new Uint8Array(length) });
    assert.equal(hex(encoded.subarray(0, encoded.length - length)), digits(header));
  }
});

// @rule frame.body
Deno.test("integers take the shortest form of MessagePack, and integral floats and −0 are integers", () => {
  const spelt: [BodyValue, string][] = [
    [0, "00"],
    [-0, "00"],
    [5.0, "05"],
    [127, "7f"],
    [128, "cc 80"],
    [255, "cc ff"],
    [256, "cd 01 00"],
    [65_535, "cd ff ff"],
    [65_536, "ce 00 01 00 00"],
    [4_294_967_295, "ce ff ff ff ff"],
    [4_294_967_296, "cf 00 00 00 01 00 00 00 00"],
    [9_007_199_254_740_991, "cf 00 1f ff ff ff ff ff ff"],
    [9_007_199_254_740_992, "cb 43 40 00 00 00 00 00 00"],
    [9_007_199_254_740_992n, "cf 00 20 00 00 00 00 00 00"],
    [18_446_744_073_709_551_615n, "cf ff ff ff ff ff ff ff ff"],
    [5n, "05"],
    [-1, "ff"],
    [-32, "e0"],
    [-33, "d0 df"],
    [-128, "d0 80"],
    [-129, "d1 ff 7f"],
    [-32_768, "d1 80 00"],
    [-32_769, "d2 ff ff 7f ff"],
    [-2_147_483_648, "d2 80 00 00 00"],
    [-2_147_483_649, "d3 ff ff ff ff 7f ff ff ff"],
    [-9_007_199_254_740_991, "d3 ff e0 00 00 00 00 00 01"],
    [-9_223_372_036_854_775_808n, "d3 80 00 00 00 00 00 00 00"],
    [0.5, "cb 3f e0 00 00 00 00 00 00"],
    [NaN, "cb 7f f8 00 00 00 00 00 00"],
    ["é", "a2 c3 a9"],
    ["😀", "a4 f0 9f 98 80"],
    [Uint8Array.of(1, 2), "c4 02 01 02"],
    [[1, [null]], "92 01 91 c0"],
    [{ a: true, b: {} }, "82 a1 61 c3 a1 62 80"],
  ];
  for (const [value, expected] of spelt) {
    assert.equal(hex(encodeBody(value)), digits(expected), String(value));
  }
});
