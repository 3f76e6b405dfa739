import { Decoder } from "@msgpack/msgpack";
import assert from "node:assert/strict";
import { checkBody, decodeBody, encodeBody } from "../../src/protocol/body.ts";
import type { FrameCodec } from "../../src/protocol/codec.ts";
import { encodeConduit, encodeSession } from "../../src/protocol/encode.ts";
import { jsonCodec } from "../../src/protocol/json_codec.ts";
import { jsonBody } from "../../src/protocol/json_writer.ts";
import { DEFAULT_LIMITS } from "../../src/protocol/limits.ts";
import {
  type ConduitMessage,
  FIRST_SESSION_TAG,
  isSessionMessage,
  type Message,
  type MessageKind,
  type SessionPayload,
  TAG,
} from "../../src/protocol/messages.ts";
import { msgpackCodec } from "../../src/protocol/msgpack_codec.ts";
import { bytes, hex, typed, type TypedValue, untyped } from "./typed_value.ts";
import accepted from "./vectors/accepted.json" with { type: "json" };
import bodies from "./vectors/bodies.json" with { type: "json" };
import equalBodies from "./vectors/equal_bodies.json" with { type: "json" };
import malformedBodies from "./vectors/malformed_bodies.json" with { type: "json" };
import messages from "./vectors/messages.json" with { type: "json" };
import refusals from "./vectors/refusals.json" with { type: "json" };

const msgpack = msgpackCodec(DEFAULT_LIMITS);
const json = jsonCodec(DEFAULT_LIMITS);

/** A decoded message as the vectors show it: the body spelt out, the cost apart. */
function shown(message: Message): Record<string, unknown> {
  const { cost: _, ...rest } = { cost: 0, ...message };
  return "body" in rest ? { ...rest, body: typed(decodeBody(rest.body)) } : rest;
}

function only(codec: FrameCodec, frame: Uint8Array | string): Message {
  const decoded = codec.decode(frame);
  assert(decoded.ok, JSON.stringify(decoded));
  assert.equal(decoded.messages.length, 1);
  return decoded.messages[0]!;
}

/** Encodes what a vector shows. */
function encoded(vector: typeof messages[number]): Uint8Array {
  const { seq, ...message } = { seq: 0, ...vector.message };
  const payload = "body" in message
    ? { ...message, body: encodeBody(untyped(message.body as TypedValue)) }
    : message;
  return TAG[message.kind as MessageKind] >= FIRST_SESSION_TAG
    ? encodeSession(seq, payload as SessionPayload)
    : encodeConduit(payload as ConduitMessage);
}

Deno.test("the vectors hold every kind of message", () => {
  assert.deepEqual(new Set(messages.map(({ message }) => message.kind)), new Set(Object.keys(TAG)));
});

// @rule frame.batch
Deno.test("every message decodes from MessagePack and from JSON to the same fields", () => {
  for (const vector of messages) {
    assert.deepEqual(shown(only(msgpack, bytes(vector.msgpack))), vector.message, vector.name);
    assert.deepEqual(shown(only(json, vector.json)), vector.message, vector.name);
  }
});

Deno.test("every message has exactly one canonical form in each encoding", () => {
  for (const vector of messages) {
    assert.equal(hex(encoded(vector)), vector.msgpack, vector.name);
    assert.equal(json.join([bytes(vector.msgpack)]), vector.json, vector.name);
  }
});

// @rule frame.cost
Deno.test("a session message costs its MessagePack length in either encoding", () => {
  for (const vector of messages) {
    for (const message of [only(msgpack, bytes(vector.msgpack)), only(json, vector.json)]) {
      if (isSessionMessage(message)) assert.equal(message.cost, vector.cost, vector.name);
    }
    assert.equal(vector.cost, vector.msgpack.length / 2);
  }
});

Deno.test("another MessagePack implementation reads the same fields from every message", () => {
  const decoder = new Decoder({ useBigInt64: true });
  for (const vector of messages) {
    const [tag, ...fields] = decoder.decode(bytes(vector.msgpack)) as unknown[];
    const [name, ...expected] = JSON.parse(vector.json) as unknown[];
    assert.equal(tag, TAG[name as MessageKind], vector.name);
    const plain = fields.map((field) =>
      field instanceof Uint8Array ? asJson(decoder.decode(field)) : asJson(field)
    );
    assert.deepEqual(plain, expected, vector.name);
  }
});

function asJson(value: unknown): unknown {
  const replace = (_: string, part: unknown) => typeof part === "bigint" ? Number(part) : part;
  return value instanceof Uint8Array ? { $bin: "AP8Q" } : JSON.parse(JSON.stringify(value, replace));
}

// @rule frame.body
Deno.test("every body value has one MessagePack and one JSON form and comes back from both", () => {
  for (const vector of bodies) {
    const value = untyped(vector.value as TypedValue);
    const body = bytes(vector.msgpack);
    assert.equal(hex(encodeBody(value)), vector.msgpack, vector.name);
    assert.equal(jsonBody(value), vector.json, vector.name);
    assert.equal(checkBody(body), undefined, vector.name);
    assert.deepEqual(decodeBody(body), value, vector.name);
    const message = only(json, `["message",1,1,${vector.json}]`);
    assert(message.kind === "message");
    assert.equal(message.malformed, undefined, vector.name);
    assert.equal(hex(message.body), vector.msgpack, vector.name);
  }
});

// @rule frame.body
Deno.test("a body in another width, as an integral float or with other white space is the same value", () => {
  for (const vector of equalBodies) {
    const frame = "msgpack" in vector ? withBody(bytes(vector.msgpack!)) : `["message",1,1,${vector.json}]`;
    const message = only(typeof frame === "string" ? json : msgpack, frame);
    assert(message.kind === "message");
    assert.equal(message.malformed, undefined, vector.name);
    assert.deepEqual(typed(decodeBody(message.body)), vector.value, vector.name);
    const translated = only(json, json.join([encodeSession(1, message)]));
    assert(translated.kind === "message");
    assert.deepEqual(typed(decodeBody(translated.body)), vector.value, `${vector.name}, as JSON`);
  }
});

// @rule frame.body
Deno.test("a malformed body leaves its message and its frame standing, with the problem named", () => {
  for (const vector of malformedBodies) {
    const forms: [FrameCodec, (kind: string) => Uint8Array | string, Uint8Array | string][] = [];
    if (vector.msgpack !== undefined) {
      const body = bytes(vector.msgpack);
      assert.notEqual(checkBody(body), undefined, vector.name);
      assert.throws(() => decodeBody(body), { name: "BodyError" }, vector.name);
      forms.push([msgpack, (kind) => withBody(body, kind), bytes("920300")]);
    }
    if (vector.json !== undefined) {
      forms.push([json, (kind) => jsonWithBody(vector.json!, kind), '\n["ack",0]']);
    }
    assert(forms.length > 0);
    for (const [codec, frameOf, more] of forms) {
      for (const kind of ["message", "volatile", "item", "call", "response"]) {
        const frame = frameOf(kind);
        const decoded = codec.decode(
          typeof frame === "string" ? frame + more : Uint8Array.of(...frame, ...more as Uint8Array),
        );
        assert(decoded.ok, `${vector.name}: ${JSON.stringify(decoded)}`);
        const [message, after] = decoded.messages;
        assert(message !== undefined && "body" in message);
        assert.equal(message.kind, kind);
        assert.notEqual(message.malformed ?? "", "", vector.name);
        assert.equal(message.body.length, 0);
        assert.deepEqual(after, { kind: "ack", received: 0 });
      }
    }
  }
});

// @rule frame.batch
// @rule frame.cost
// @rule frame.header
// @rule frame.unknown
Deno.test("every frame that breaks a rule is refused with that rule, whole", () => {
  const codecs = { msgpack: msgpackCodec(refusals.limits), json: jsonCodec(refusals.limits) };
  for (const vector of refusals.refusals) {
    const decoded = codecs[vector.subprotocol as keyof typeof codecs].decode(
      vector.text ?? bytes(vector.hex!),
    );
    const name = `${vector.subprotocol}: ${vector.name}`;
    assert(!decoded.ok, name);
    assert.equal(decoded.violation.rule, vector.error, `${name}: ${decoded.violation.detail}`);
    assert.notEqual(decoded.violation.detail, "", name);
  }
});

// @rule frame.header
// @rule frame.unknown
Deno.test("wide integers, extra fields and unknown conduit messages are taken", () => {
  for (const vector of accepted) {
    const codec = vector.subprotocol === "json" ? json : msgpack;
    const decoded = codec.decode(vector.text ?? bytes(vector.hex!));
    assert(decoded.ok, `${vector.name}: ${JSON.stringify(decoded)}`);
    const expected = vector.messages.map((name) => {
      const found = messages.find((message) => message.name === name);
      assert(found !== undefined, name);
      return found.message;
    });
    assert.deepEqual(decoded.messages.map(shown), expected, vector.name);
  }
});

Deno.test("no prefix of a message is a frame", () => {
  for (const vector of messages) {
    const whole = bytes(vector.msgpack);
    for (let length = 1; length < whole.length; length++) {
      const decoded = msgpack.decode(whole.subarray(0, length));
      assert(!decoded.ok, `${vector.name}, ${length} bytes`);
      assert.equal(decoded.violation.rule, "frame.batch");
    }
    for (let length = 1; length < vector.json.length; length++) {
      assert(!json.decode(vector.json.slice(0, length)).ok, `${vector.name}, ${length} characters`);
    }
  }
});

Deno.test("no prefix of a body is a body", () => {
  for (const vector of bodies) {
    const whole = bytes(vector.msgpack);
    for (let length = 0; length < whole.length; length++) {
      assert.notEqual(checkBody(whole.subarray(0, length)), undefined, `${vector.name}, ${length} bytes`);
    }
  }
});

const HEADERS: Readonly<Record<string, string>> = {
  message: "94 14 01 01",
  volatile: "93 08 01",
  item: "95 18 01 01 01",
  call: "96 15 01 01 01 a1 6d",
  response: "96 16 01 01 01 c3",
};

/** A MessagePack message around encoded bytes. */
function withBody(body: Uint8Array, kind = "message"): Uint8Array {
  const length = [
    body.length >> 24 & 255,
    body.length >> 16 & 255,
    body.length >> 8 & 255,
    body.length & 255,
  ];
  return Uint8Array.of(...bytes(HEADERS[kind]!), 0xc6, ...length, ...body);
}

/** A JSON message around a body's text. */
function jsonWithBody(body: string, kind: string): string {
  const fields = { message: "1,1", volatile: "1", item: "1,1,1", call: '1,1,1,"m"', response: "1,1,1,true" };
  return `["${kind}",${fields[kind as keyof typeof fields]},${body}]`;
}
