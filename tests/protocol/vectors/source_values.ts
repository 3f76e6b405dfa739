/** The messages and body values of the golden vectors. */

import type { BodyValue } from "../../../src/protocol/body.ts";
import type { ConduitMessage, SessionPayload } from "../../../src/protocol/messages.ts";

/** A message whose body is still a value. */
export type SourceMessage = WithValue<ConduitMessage> | WithValue<SessionPayload> & { readonly seq: number };

type WithValue<M> = M extends { readonly body: Uint8Array }
  ? Omit<M, "body"> & { readonly body: BodyValue; readonly seq?: number }
  : M & { readonly seq?: number };

const CHALLENGE = "c0ffee-c0ffee-c0ffee-22";
const SESSION = "7sQ0mZt3Rk2vX1bN9cLd4A";
const TOKEN = "kM2xW8vT5qY1rZ7nB4cJ9dF3gH6jL0pS8tVuXyEaQwR";
const LIMITS = {
  frameBytes: 1_048_576,
  bodyBytes: 524_288,
  windowMessages: 1024,
  windowBytes: 1_048_576,
  connections: 256,
  concurrentCalls: 64,
};
const MOST = Number.MAX_SAFE_INTEGER;

export const MESSAGES: readonly { readonly name: string; readonly message: SourceMessage }[] = [
  { name: "start of a new session", message: { kind: "start", version: 1, challenge: CHALLENGE } },
  {
    name: "start with every optional field",
    message: {
      kind: "start",
      version: 1,
      challenge: CHALLENGE,
      resume: { session: SESSION, token: TOKEN, received: 41, sent: 70_000 },
      auth: "Bearer abc.def",
      metadata: { agent: "vectors/1", "größe": "ß" },
      settings: { durability: "ephemeral", windowMessages: 512, windowBytes: 2_097_152 },
    },
  },
  {
    name: "start with empty settings",
    message: { kind: "start", version: 1, challenge: CHALLENGE, settings: {} },
  },
  {
    name: "established, new",
    message: {
      kind: "established",
      challenge: CHALLENGE,
      session: SESSION,
      token: TOKEN,
      resumed: false,
      received: 0,
      sent: 0,
      durability: "durable",
      resumeWindow: 3_600_000,
      keepalive: { interval: 25_000, timeout: 10_000 },
      limits: LIMITS,
      node: "n1",
    },
  },
  {
    name: "established, resumed, with a region",
    message: {
      kind: "established",
      challenge: CHALLENGE,
      session: SESSION,
      token: TOKEN,
      resumed: true,
      received: 70_000,
      sent: 4_294_967_296,
      durability: "ephemeral",
      resumeWindow: 86_400_000,
      keepalive: { interval: 250, timeout: 100 },
      limits: LIMITS,
      node: "n2",
      region: "ams",
    },
  },
  {
    name: "refused",
    message: {
      kind: "refused",
      challenge: CHALLENGE,
      reason: "unknown-session",
      detail: "no session answers to this id and token",
    },
  },
  {
    name: "refused for now",
    message: { kind: "refused", challenge: CHALLENGE, reason: "draining", detail: "", retryAfter: 1500 },
  },
  {
    name: "refused before there was a challenge",
    message: { kind: "refused", reason: "malformed", detail: "the first message must be start" },
  },
  { name: "ack 0", message: { kind: "ack", received: 0 } },
  { name: "ack 127, the largest in one byte", message: { kind: "ack", received: 127 } },
  { name: "ack 128", message: { kind: "ack", received: 128 } },
  { name: "ack 256", message: { kind: "ack", received: 256 } },
  { name: "ack 65536", message: { kind: "ack", received: 65_536 } },
  { name: "ack 2^32", message: { kind: "ack", received: 4_294_967_296 } },
  { name: "ack 2^53 − 1, the largest", message: { kind: "ack", received: MOST } },
  { name: "ping", message: { kind: "ping", nonce: 7 } },
  { name: "pong", message: { kind: "pong", nonce: 7 } },
  { name: "goaway", message: { kind: "goaway", reason: "draining", after: 3000 } },
  { name: "close", message: { kind: "close", reason: "closed", detail: "done" } },
  { name: "volatile", message: { kind: "volatile", connection: 1, body: { x: 0.5 } } },
  { name: "authorise", message: { kind: "authorise", auth: "Bearer new" } },
  { name: "authorised", message: { kind: "authorised" } },
  { name: "authorised until", message: { kind: "authorised", expires: 60_000 } },
  { name: "open", message: { kind: "open", seq: 1, connection: 1, service: "echo" } },
  {
    name: "open with every optional field",
    message: {
      kind: "open",
      seq: 2,
      connection: 3,
      service: "chat",
      metadata: { room: "1" },
      messageCredit: 16,
    },
  },
  { name: "accept", message: { kind: "accept", seq: 1, connection: 1 } },
  {
    name: "accept with every optional field",
    message: {
      kind: "accept",
      seq: 2,
      connection: 3,
      metadata: { motd: "hi" },
      messageCredit: 64,
      schema: "sha256-abc",
    },
  },
  {
    name: "reject",
    message: { kind: "reject", seq: 1, connection: 1, reason: "unknown-service", detail: "no such service" },
  },
  { name: "end", message: { kind: "end", seq: 3, connection: 1 } },
  {
    name: "end with a reason",
    message: { kind: "end", seq: 3, connection: 1, reason: "overloaded", detail: "too many messages" },
  },
  { name: "message", message: { kind: "message", seq: 2, connection: 1, body: "hi" } },
  { name: "message with wide ids", message: { kind: "message", seq: 70_000, connection: 257, body: null } },
  {
    name: "message of 256 bytes",
    message: { kind: "message", seq: 5, connection: 1, body: "x".repeat(254) },
  },
  {
    name: "message of bytes",
    message: { kind: "message", seq: 6, connection: 2, body: Uint8Array.of(0, 255, 16) },
  },
  {
    name: "call",
    message: { kind: "call", seq: 4, connection: 1, request: 1, method: "add", body: { by: 2 } },
  },
  {
    name: "call with every option",
    message: {
      kind: "call",
      seq: 5,
      connection: 1,
      request: 2,
      method: "import",
      body: null,
      options: {
        operation: "k1",
        timeout: 5000,
        upload: 1,
        download: 3,
        credit: 32,
        metadata: { trace: "t" },
      },
    },
  },
  {
    name: "response",
    message: { kind: "response", seq: 4, connection: 1, request: 1, ok: true, body: 44 },
  },
  {
    name: "response with an error and metadata",
    message: {
      kind: "response",
      seq: 5,
      connection: 1,
      request: 2,
      ok: false,
      body: { code: "unknown-method", message: "no import" },
      metadata: { node: "n1" },
    },
  },
  { name: "cancel", message: { kind: "cancel", seq: 6, connection: 1, request: 2 } },
  { name: "item", message: { kind: "item", seq: 7, connection: 1, channel: 1, body: [1, "two"] } },
  { name: "finish", message: { kind: "finish", seq: 8, connection: 1, channel: 1 } },
  { name: "reset", message: { kind: "reset", seq: 9, connection: 1, channel: 3, reason: "cancelled" } },
  { name: "credit", message: { kind: "credit", seq: 10, connection: 1, channel: 3, additional: 16 } },
  {
    name: "credit for plain messages",
    message: { kind: "credit", seq: 11, connection: 1, channel: 0, additional: 8 },
  },
];

const DEEP = nested(32);

function nested(levels: number): BodyValue {
  let value: BodyValue = "in";
  for (let i = 0; i < levels; i++) value = [value];
  return value;
}

export const BODIES: readonly { readonly name: string; readonly value: BodyValue }[] = [
  { name: "nil", value: null },
  { name: "true", value: true },
  { name: "false", value: false },
  ...integers(),
  { name: "one half", value: 0.5 },
  { name: "minus one tenth", value: -0.1 },
  { name: "the smallest float", value: 5e-324 },
  { name: "the largest float", value: Number.MAX_VALUE },
  { name: "the float 2^53 is no integer", value: 2 ** 53 },
  { name: "the float 2^60 is not the integer 2^60", value: 2 ** 60 },
  { name: "not a number", value: NaN },
  { name: "infinity", value: Infinity },
  { name: "minus infinity", value: -Infinity },
  { name: "empty string", value: "" },
  { name: "string of 31 bytes", value: "a".repeat(31) },
  { name: "string of 32 bytes", value: "a".repeat(32) },
  { name: "string of 256 bytes", value: "a".repeat(256) },
  { name: "string in UTF-8 of two, three and four bytes", value: "é€😀" },
  { name: "string with a byte order mark", value: "\ufeffx" },
  { name: "long string with a byte order mark", value: `\ufeff${"x".repeat(300)}` },
  { name: "string with what JSON escapes", value: '"\\/\b\f\n\r\t\u0000\u001f\u007f\u2028' },
  { name: "noncharacters are characters", value: "\uffff\ufdd0" },
  { name: "empty bytes", value: new Uint8Array(0) },
  { name: "one byte", value: Uint8Array.of(255) },
  { name: "two bytes", value: Uint8Array.of(251, 240) },
  { name: "three bytes", value: Uint8Array.of(0, 16, 131) },
  { name: "256 bytes", value: Uint8Array.from({ length: 256 }, (_, i) => i) },
  { name: "empty array", value: [] },
  { name: "array of 15", value: Array.from({ length: 15 }, (_, i) => i) },
  { name: "array of 16", value: Array.from({ length: 16 }, (_, i) => i) },
  { name: "array of all types", value: [null, true, 1, 0.5, 2n ** 63n, "s", Uint8Array.of(1), [], {}] },
  { name: "32 levels", value: DEEP },
  { name: "empty map", value: {} },
  { name: "map", value: { a: 1, b: [2], "": null } },
  { name: "map of 16", value: Object.fromEntries(Array.from({ length: 16 }, (_, i) => [`k${i}`, i])) },
  { name: "map of 17", value: Object.fromEntries(Array.from({ length: 17 }, (_, i) => [`k${i}`, i])) },
  { name: "a key that objects inherit", value: { constructor: 1, toString: 2 } },
  { name: "map that looks like bytes", value: { $bin: "AAA" } },
  { name: "map that looks like an integer", value: { $int: "9223372036854775807" } },
  { name: "map that looks like a float", value: { $float: "NaN" } },
  { name: "map whose only key is $", value: { $: 1 } },
  { name: "map whose only key begins with $$", value: { $$bin: "AAA" } },
  { name: "map with $ and another key is not doubled", value: { $bin: "AAA", x: 1 } },
  { name: "$ inside $", value: { $a: { $$b: { $c: Uint8Array.of(9) } } } },
];

function integers(): { name: string; value: BodyValue }[] {
  const edges: (number | bigint)[] = [];
  for (const bits of [7, 8, 16, 32]) edges.push(2 ** bits - 1, 2 ** bits);
  edges.push(MOST, 2n ** 53n, 2n ** 63n - 1n, 2n ** 63n, 2n ** 64n - 1n);
  for (const bits of [5, 7, 15, 31]) edges.push(-(2 ** bits), -(2 ** bits) - 1);
  edges.push(-MOST, -(2n ** 53n), -(2n ** 63n));
  return [0, 1, -1, ...edges].map((value) => ({ name: `integer ${value}`, value }));
}
