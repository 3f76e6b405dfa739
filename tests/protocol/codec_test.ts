import fc from "fast-check";
import assert from "node:assert/strict";
import { checkBody, decodeBody, encodeBody } from "../../src/protocol/body.ts";
import { chooseSubprotocol, codecFor } from "../../src/protocol/codecs.ts";
import { encodeConduit, encodeSession, splitEncoded } from "../../src/protocol/encode.ts";
import { jsonBody } from "../../src/protocol/json_writer.ts";
import { DEFAULT_LIMITS } from "../../src/protocol/limits.ts";
import type { Message, SessionPayload } from "../../src/protocol/messages.ts";
import { pack, unpack } from "../../src/protocol/pack.ts";
import { bodyValue, normal } from "./arbitrary_body.ts";
import { bytes } from "./typed_value.ts";
import messages from "./vectors/messages.json" with { type: "json" };

const msgpack = codecFor("holdfast.v1.msgpack", DEFAULT_LIMITS);
const json = codecFor("holdfast.v1.json", DEFAULT_LIMITS);

function taken(codec: typeof msgpack, frame: Uint8Array | string): readonly Message[] {
  const decoded = codec.decode(frame);
  assert(decoded.ok, JSON.stringify(decoded));
  return decoded.messages;
}

const count = fc.maxSafeInteger().map(Math.abs);
const text = fc.string({ unit: "binary", maxLength: 40 });
const metadata = fc.dictionary(text, text, { maxKeys: 3, noNullPrototype: true }).map((map) =>
  Object.fromEntries(Object.entries(map).filter(([key]) => key !== "__proto__"))
);
const body = bodyValue.map(encodeBody);
const payload: fc.Arbitrary<SessionPayload> = fc.oneof(
  fc.record({ kind: fc.constant("message"), connection: count, body }, { noNullPrototype: true }),
  fc.record({ kind: fc.constant("open"), connection: count, service: text, metadata }, {
    noNullPrototype: true,
  }),
  fc.record({ kind: fc.constant("reject"), connection: count, reason: text, detail: text }, {
    noNullPrototype: true,
  }),
  fc.record({ kind: fc.constant("end"), connection: count, reason: text }, {
    noNullPrototype: true,
    requiredKeys: ["kind", "connection"],
  }),
  fc.record(
    { kind: fc.constant("response"), connection: count, request: count, ok: fc.boolean(), body, metadata },
    { noNullPrototype: true, requiredKeys: ["kind", "connection", "request", "ok", "body"] },
  ),
  fc.record(
    {
      kind: fc.constant("call"),
      connection: count,
      request: count,
      method: text,
      body,
      options: fc.record({
        operation: text.filter((key) => key !== "" && encodeBody(key).length < 128),
        timeout: count,
        metadata,
      }, {
        noNullPrototype: true,
        requiredKeys: [],
      }),
    },
    { noNullPrototype: true, requiredKeys: ["kind", "connection", "request", "method", "body"] },
  ),
  fc.record({ kind: fc.constant("item"), connection: count, channel: count, body }, {
    noNullPrototype: true,
  }),
);

// @rule frame.body
Deno.test("a JSON and a MessagePack client see equal values", () => {
  fc.assert(
    fc.property(bodyValue, (value) => {
      const [message] = taken(json, `["message",1,1,${jsonBody(value)}]`);
      assert(message?.kind === "message");
      assert.equal(message.malformed, undefined);
      assert.deepEqual(decodeBody(message.body), normal(value));
      assert.deepEqual(message.body, encodeBody(value));
    }),
    { numRuns: 1000 },
  );
});

// @rule frame.batch
// @rule frame.cost
Deno.test("a batch comes through either encoding with equal messages and equal costs", () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(count, payload), { maxLength: 5 }), (batch) => {
      const encoded = batch.map(([seq, message]) => encodeSession(seq, message));
      const expected = batch.map(([seq, message], i) => ({ ...message, seq, cost: encoded[i]!.length }));
      const frame = msgpack.join(encoded);
      assert(typeof frame !== "string");
      assert.deepEqual(taken(msgpack, frame), expected);
      assert.deepEqual(taken(json, json.join(encoded)), expected);
      const split = splitEncoded(frame);
      assert.deepEqual(split, batch.map(([seq], i) => ({ seq, bytes: encoded[i]! })));
    }),
    { numRuns: 500 },
  );
});

// @rule frame.cost
Deno.test("no message is longer as JSON than six times its MessagePack and a little", () => {
  fc.assert(
    fc.property(count, payload, (seq, message) => {
      const encoded = encodeSession(seq, message);
      const characters = new TextEncoder().encode(json.join([encoded]) as string).length;
      assert(characters <= 6 * encoded.length + 64, `${characters} for ${encoded.length}`);
      assert(encoded.length <= characters * 9 / 4, `${encoded.length} for ${characters}`);
    }),
    { numRuns: 1000 },
  );
});

// @rule frame.batch
Deno.test("random bytes and random text never throw and never give half a frame", () => {
  const judge = (codec: typeof msgpack, frame: Uint8Array | string) => {
    const decoded = codec.decode(frame);
    if (!decoded.ok) assert.match(decoded.violation.rule, /^frame\.(batch|header|cost|unknown)$/);
  };
  fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), (frame) => judge(msgpack, frame)), {
    numRuns: 5000,
  });
  fc.assert(fc.property(fc.string({ unit: "binary", maxLength: 200 }), (frame) => judge(json, frame)), {
    numRuns: 2000,
  });
  const soup = fc.array(
    fc.constantFrom(...'[]{},:"\\\n 019.-eE', '"ack"', '"message"', "null", "true", "$bin", '"$$"'),
  );
  fc.assert(fc.property(soup, (parts) => judge(json, parts.join(""))), { numRuns: 5000 });
});

// @rule frame.batch
Deno.test("a message with any byte changed is decoded or refused, never thrown over", () => {
  const random = fc.tuple(fc.nat(messages.length - 1), fc.nat(), fc.nat(255));
  fc.assert(
    fc.property(random, ([which, at, value]) => {
      const frame = bytes(messages[which]!.msgpack);
      frame[at % frame.length] = value;
      const decoded = msgpack.decode(frame);
      if (!decoded.ok) return;
      for (const message of decoded.messages) {
        if (!("body" in message)) continue;
        assert.equal(message.malformed === undefined, checkBody(message.body) === undefined);
      }
    }),
    { numRuns: 5000 },
  );
});

// @rule frame.cost
Deno.test("declared lengths allocate nothing", () => {
  const frames = [
    "dd ff ff ff ff",
    "df 7f ff ff ff",
    "db ff ff ff ff",
    "92 03 dd ff ff ff ff",
    "94 14 01 01 c6 ff ff ff ff",
  ];
  const hostile = frames.map(bytes);
  const inBody = ["dd ff ff ff ff", "df ff ff ff ff", "db ff ff ff ff", "c6 ff ff ff ff"].map(bytes);
  const before = Deno.memoryUsage();
  for (let i = 0; i < 20_000; i++) {
    for (const frame of hostile) assert(!msgpack.decode(frame).ok);
    for (const one of inBody) assert.notEqual(checkBody(one), undefined);
  }
  const after = Deno.memoryUsage();
  const grown = after.heapTotal + after.external - before.heapTotal - before.external;
  assert(grown < 64 * 1024 * 1024, `${grown} bytes more`);
});

Deno.test("nesting of any depth is refused without recursion", () => {
  const levels = 1_000_000;
  const arrays = new Uint8Array(levels).fill(0x91);
  const maps = new Uint8Array(3 * levels);
  for (let i = 0; i < maps.length; i += 3) maps.set([0x81, 0xa1, 0x61], i);
  for (const frame of [arrays, maps]) {
    const decoded = msgpack.decode(frame);
    assert(!decoded.ok);
    assert.equal(decoded.violation.rule, "frame.cost");
    assert.match(checkBody(frame) ?? "", /deeper/);
  }
  for (const [open, close] of [["[", "]"], ['{"a":', "}"]] as const) {
    const deep = `${open.repeat(levels)}1${close.repeat(levels)}`;
    const header = json.decode(`["ack",0,${deep}]`);
    assert(!header.ok);
    assert.equal(header.violation.rule, "frame.cost");
    const [message] = taken(json, `["message",1,1,${deep}]`);
    assert(message?.kind === "message");
    assert.match(message.malformed ?? "", /deeper/);
    assert(!json.decode(`["message",1,1,${open.repeat(levels)}`).ok);
  }
});

Deno.test("many keys and long keys are compared in reasonable time", () => {
  const long = "k".repeat(10_000);
  const value = Object.fromEntries(Array.from({ length: 16 }, (_, i) => [`${long}${i}`, i]));
  assert.equal(checkBody(encodeBody(value)), undefined);
  const nestedOften = `${'{"$$a":'.repeat(32)}"${"x".repeat(200_000)}"${"}".repeat(32)}`;
  assert.equal(taken(json, `["message",1,1,${nestedOften}]`).length, 1);
});

Deno.test("a start of another version is passed on, so that it can be refused as such", () => {
  const frame = json.decode('["start",{"version":2,"challenge":{"new":"form"},"resume":7}]');
  assert(frame.ok);
  assert.deepEqual(frame.messages, [{ kind: "start", version: 2, challenge: "" }]);
  assert(!json.decode('["start",{"version":1,"challenge":7}]').ok);
  assert(!json.decode('["start",{"version":"2","challenge":"c"}]').ok);
});

Deno.test("a body that is passed on keeps its bytes", () => {
  const wide = bytes("cf0000000000000005");
  const [message] = taken(msgpack, encodeSession(1, { kind: "message", connection: 1, body: wide }));
  assert(message?.kind === "message");
  assert.deepEqual(message.body, wide);
});

Deno.test("a frame inside a larger buffer is decoded by its own bounds", () => {
  const buffer = Uint8Array.of(0xc1, ...bytes("94140201c403a26869"), 0xc1);
  const [message] = taken(msgpack, buffer.subarray(1, buffer.length - 1));
  assert(message?.kind === "message");
  assert.equal(decodeBody(message.body), "hi");
});

Deno.test("a lone surrogate in a reason becomes a replacement character", () => {
  const [message] = taken(msgpack, encodeConduit({ kind: "close", reason: "r", detail: "a\ud800" }));
  assert.deepEqual(message, { kind: "close", reason: "r", detail: "a\ufffd" });
});

Deno.test("a number that is no count is never encoded", () => {
  for (const wrong of [-1, 0.5, NaN, 2 ** 53]) {
    assert.throws(
      () => encodeSession(wrong, { kind: "message", connection: 1, body: encodeBody(1) }),
      RangeError,
    );
    if (wrong !== -1) assert.throws(() => encodeConduit({ kind: "ack", received: wrong }), RangeError);
  }
});

Deno.test("a damaged concatenation is not split", () => {
  const good = encodeSession(1, { kind: "message", connection: 1, body: encodeBody("hi") });
  for (const damaged of [good.subarray(0, 5), bytes("920300"), bytes("93ff0101"), bytes("c1"), bytes("05")]) {
    assert.throws(() => splitEncoded(damaged), /no encoded session message/);
    assert.throws(() => splitEncoded(Uint8Array.of(...good, ...damaged)), /no encoded session message/);
  }
  assert.deepEqual(splitEncoded(new Uint8Array(0)), []);
});

Deno.test("what is packed is unpacked, and damaged bytes throw", () => {
  const value = [1, -5, 2 ** 45, 2n ** 63n, "text", null, true, Uint8Array.of(1), { key: ["x"] }];
  const packed = pack(value);
  assert.deepEqual(unpack(packed), value);
  for (let length = 0; length < packed.length; length++) {
    assert.throws(() => unpack(packed.subarray(0, length)));
  }
  assert.throws(() => unpack(Uint8Array.of(...packed, 0)));
  assert.throws(() => unpack(Uint8Array.of(0xc1)));
});

// @rule frame.route
Deno.test("the first subprotocol that is spoken is chosen, whatever the white space", () => {
  const chosen: [string | null, string | null][] = [
    [null, "holdfast.v1.json"],
    ["", "holdfast.v1.json"],
    ["holdfast.v1.msgpack", "holdfast.v1.msgpack"],
    ["holdfast.v1.json", "holdfast.v1.json"],
    ["holdfast.v1.msgpack,holdfast.v1.json", "holdfast.v1.msgpack"],
    ["graphql-ws,holdfast.v1.json", "holdfast.v1.json"],
    ["other ,\t holdfast.v1.json , holdfast.v1.msgpack", "holdfast.v1.json"],
    ["holdfast.v2.msgpack", null],
    ["HOLDFAST.V1.JSON", null],
    ["graphql-ws, mqtt", null],
  ];
  for (const [offered, expected] of chosen) {
    assert.equal(chooseSubprotocol(offered), expected, String(offered));
  }
});
