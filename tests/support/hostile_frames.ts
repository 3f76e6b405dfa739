/** Frames that no well-behaved client sends, with the rule that each breaks. */

import { encodeBody } from "../../src/protocol/body.ts";
import type { Frame } from "../../src/protocol/codec.ts";
import { encodeConduit, encodeSession } from "../../src/protocol/encode.ts";
import type { RuleId } from "../../src/protocol/rules.ts";

/** One frame and what it must lead to. */
export interface HostileFrame {
  readonly name: string;
  readonly frame: Frame;
}

/** One frame that ends an established session, and the rule that `close.detail` names. */
export interface Violating extends HostileFrame {
  readonly rule: RuleId;
}

/** Longer than any frame of either encoding may be, by default limits. */
export const OVERSIZE_BYTES = 1024 * 1024 + 1;
export const OVERSIZE_CHARACTERS = 6 * 1024 * 1024 + 1025;

const OPEN = { kind: "open", connection: 1, service: "echo" } as const;

/** A MessagePack `start` with everything in it, to be truncated. */
function fullStart(): Uint8Array {
  return encodeConduit({
    kind: "start",
    version: 1,
    challenge: "a".repeat(32),
    resume: { session: "s", token: "t", received: 1, sent: 300 },
    metadata: { name: "value" },
    settings: { durability: "durable" },
  });
}

/** What a MessagePack conduit must not be sent first: each is refused as `malformed`, 4600. */
export function hostileFirstBinary(): HostileFrame[] {
  const start = fullStart();
  const truncated = Array.from({ length: start.length - 1 }, (_, length) => {
    return { name: `start cut to ${length + 1} bytes`, frame: start.slice(0, length + 1) };
  });
  return [
    ...truncated,
    { name: "text", frame: '["start",{}]' },
    { name: "the byte that MessagePack never uses", frame: bytes(0xc1) },
    { name: "an extension type", frame: bytes(0x92, 0x00, 0xd4, 0x01, 0x00) },
    { name: "an array of 4 billion", frame: bytes(0xdd, 0xff, 0xff, 0xff, 0xff) },
    { name: "a map of 4 billion", frame: bytes(0x92, 0x00, 0xdf, 0xff, 0xff, 0xff, 0xff) },
    { name: "a string of 4 GiB", frame: bytes(0x92, 0x00, 0xdb, 0xff, 0xff, 0xff, 0xff, 0x61) },
    { name: "bytes of 4 GiB", frame: bytes(0x92, 0x00, 0xc6, 0xff, 0xff, 0xff, 0xff, 0x00) },
    { name: "arrays 100,000 deep", frame: new Uint8Array(100_000).fill(0x91) },
    { name: "maps 50,000 deep", frame: repeated([0x81, 0xa1, 0x61], 50_000) },
    { name: "a start of nil", frame: bytes(0x92, 0x00, 0xc0) },
    { name: "a start of a string", frame: bytes(0x92, 0x00, 0xa1, 0x61) },
    { name: "a negative tag", frame: bytes(0x92, 0xff, 0x80) },
    { name: "an ack before start", frame: encodeConduit({ kind: "ack", received: 0 }) },
    { name: "a session message before start", frame: encodeSession(1, OPEN) },
    { name: "start and more", frame: join(start, encodeConduit({ kind: "ack", received: 0 })) },
    { name: "a tag from 16 on that is unknown", frame: bytes(0x93, 0xcd, 0x03, 0xe8, 0x01, 0x01) },
  ];
}

/** The same for a JSON conduit. */
export function hostileFirstText(): HostileFrame[] {
  const start = JSON.stringify(["start", { version: 1, challenge: "a".repeat(32) }]);
  const truncated = Array.from({ length: start.length - 1 }, (_, length) => {
    return { name: `start cut to ${length + 1} characters`, frame: start.slice(0, length + 1) };
  });
  return [
    ...truncated,
    { name: "bytes", frame: fullStart() },
    { name: "an object", frame: '{"start":{}}' },
    { name: "null", frame: "null" },
    { name: "an empty array", frame: "[]" },
    { name: "arrays 100,000 deep", frame: "[".repeat(100_000) },
    { name: "closed arrays 100,000 deep", frame: `["start",${"[".repeat(100_000)}${"]".repeat(100_000)}]` },
    { name: "objects 50,000 deep", frame: `["start",${'{"a":'.repeat(50_000)}` },
    { name: "a start of a number", frame: '["start",1]' },
    { name: "a number beyond all", frame: `["start",{"version":1e999,"challenge":"${"a".repeat(32)}"}]` },
    { name: "a challenge that is an array", frame: '["start",{"version":1,"challenge":[]}]' },
    { name: "duplicate keys", frame: `["start",{"version":1,"version":1,"challenge":"${"a".repeat(32)}"}]` },
    { name: "a start that reaches for the prototype", frame: '["start",{"__proto__":{"version":1}}]' },
    { name: "an ack before start", frame: '["ack",0]' },
    { name: "a session message before start", frame: '["open",1,1,{"service":"echo"}]' },
    { name: "start and more", frame: `${start}\n["ack",0]` },
    { name: "a NUL", frame: "\0" },
  ];
}

/** What ends an established MessagePack session that has sent nothing yet. */
export function violatingBinary(): Violating[] {
  const body = encodeBody("x");
  const message = (seq: number, connection = 1) => encodeSession(seq, { kind: "message", connection, body });
  const open = encodeSession(1, OPEN);
  return [
    { name: "text", rule: "frame.batch", frame: '["ack",0]' },
    { name: "the byte that MessagePack never uses", rule: "frame.batch", frame: bytes(0xc1) },
    { name: "half a message", rule: "frame.batch", frame: open.slice(0, -1) },
    { name: "a message and half a message", rule: "frame.batch", frame: join(open, message(2).slice(0, -1)) },
    {
      name: "bytes of 4 GiB",
      rule: "frame.batch",
      frame: bytes(0x94, 0x14, 0x01, 0x01, 0xc6, 0xff, 0xff, 0xff, 0xff),
    },
    { name: "arrays 100,000 deep", rule: "frame.cost", frame: new Uint8Array(100_000).fill(0x91) },
    { name: "an ack of a string", rule: "frame.header", frame: bytes(0x92, 0x03, 0xa1, 0x61) },
    { name: "an ack of a negative number", rule: "frame.header", frame: bytes(0x92, 0x03, 0xff) },
    {
      name: "an ack of half",
      rule: "frame.header",
      frame: bytes(0x92, 0x03, 0xcb, 0x3f, 0xe0, 0, 0, 0, 0, 0, 0),
    },
    { name: "an unknown session message", rule: "frame.unknown", frame: bytes(0x93, 0x64, 0x01, 0x01) },
    { name: "a body above the limit", rule: "frame.cost", frame: encodeSession(1, big()) },
    { name: "an even connection id", rule: "frame.ids", frame: encodeSession(1, { ...OPEN, connection: 2 }) },
    { name: "the connection id 0", rule: "frame.ids", frame: encodeSession(1, { ...OPEN, connection: 0 }) },
    { name: "a connection opened twice", rule: "frame.ids", frame: join(open, encodeSession(2, OPEN)) },
    { name: "a message for a connection that never was", rule: "frame.ids", frame: message(1, 7) },
    {
      name: "an item for a channel that never was",
      rule: "frame.ids",
      frame: join(open, encodeSession(2, { kind: "item", connection: 1, channel: 1, body })),
    },
    { name: "a second start", rule: "handshake.first", frame: fullStart() },
    {
      name: "a message that is the server's to send",
      rule: "handshake.first",
      frame: encodeConduit({ kind: "refused", reason: "closed", detail: "" }),
    },
    { name: "a gap", rule: "delivery.gap", frame: join(open, message(3)) },
    {
      name: "an ack of what was never sent",
      rule: "delivery.ack",
      frame: encodeConduit({ kind: "ack", received: 1 }),
    },
    {
      name: "more messages than the window takes",
      rule: "delivery.window",
      // Connections are ended again, so that no other limit is met before.
      frame: join(...Array.from({ length: 1_026 }, (_, at) => {
        const connection = at - at % 2 + 1;
        return encodeSession(at + 1, at % 2 === 0 ? { ...OPEN, connection } : { kind: "end", connection });
      })),
    },
  ];
}

/** The same for a JSON session. */
export function violatingText(): Violating[] {
  const open = '["open",1,1,{"service":"echo"}]';
  return [
    { name: "bytes", rule: "frame.batch", frame: encodeConduit({ kind: "ack", received: 0 }) },
    { name: "no JSON", rule: "frame.batch", frame: "{" },
    { name: "half a message", rule: "frame.batch", frame: open.slice(0, -1) },
    { name: "a message and no JSON", rule: "frame.batch", frame: `${open}\n[` },
    { name: "arrays 100,000 deep", rule: "frame.cost", frame: "[".repeat(100_000) },
    { name: "an ack of a string", rule: "frame.header", frame: '["ack","1"]' },
    { name: "an ack of a negative number", rule: "frame.header", frame: '["ack",-1]' },
    { name: "an ack of half", rule: "frame.header", frame: '["ack",0.5]' },
    { name: "an ack beyond 2^53", rule: "frame.header", frame: '["ack",9007199254740993]' },
    {
      name: "a body above the limit",
      rule: "frame.cost",
      frame: `["message",1,1,"${"x".repeat(600 * 1024)}"]`,
    },
    { name: "an even connection id", rule: "frame.ids", frame: '["open",1,2,{"service":"echo"}]' },
    { name: "a message for a connection that never was", rule: "frame.ids", frame: '["message",1,7,"x"]' },
    {
      name: "a second start",
      rule: "handshake.first",
      frame: `["start",{"version":1,"challenge":"${"a".repeat(32)}"}]`,
    },
    { name: "a gap", rule: "delivery.gap", frame: `${open}\n["message",3,1,"x"]` },
    { name: "an ack of what was never sent", rule: "delivery.ack", frame: '["ack",1]' },
  ];
}

function big() {
  return { kind: "message", connection: 1, body: encodeBody("x".repeat(600 * 1024)) } as const;
}

function bytes(...values: readonly number[]): Uint8Array {
  return Uint8Array.from(values);
}

function repeated(unit: readonly number[], times: number): Uint8Array {
  return Uint8Array.from({ length: unit.length * times }, (_, at) => unit[at % unit.length]!);
}

function join(...parts: readonly Uint8Array[]): Uint8Array {
  const joined = new Uint8Array(parts.reduce((length, part) => length + part.length, 0));
  let at = 0;
  for (const part of parts) {
    joined.set(part, at);
    at += part.length;
  }
  return joined;
}
