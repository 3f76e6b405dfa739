/** `holdfast.v1.msgpack`: binary frames of concatenated messages. */

import { readCall, readCredit } from "./usual_messages.ts";
import { assemble, type BodyField, malformedBody } from "./assemble.ts";
import { checkBodyAt } from "./body.ts";
import type { Decoded, DecodeLimits, Frame, FrameCodec } from "./codec.ts";
import { isArray } from "./encode.ts";
import { layoutOfTag } from "./layout.ts";
import { FIRST_SESSION_TAG, type Message, TAG } from "./messages.ts";
import { type RuleId, type Violation, violation } from "./rules.ts";
import {
  declaredLength,
  describe,
  lengthBytes,
  numberBytes,
  PROBLEM,
  readCount,
  readUint32,
  walk,
} from "./scan.ts";
import { ValueReader } from "./value.ts";

/** The codec of `holdfast.v1.msgpack`. Decoded bodies are views of their frame. */
export function msgpackCodec(limits: DecodeLimits): FrameCodec {
  return new MsgpackCodec(limits);
}

class MsgpackCodec implements FrameCodec {
  readonly subprotocol = "holdfast.v1.msgpack";
  readonly #bodyBytes: number;

  constructor(limits: DecodeLimits) {
    this.#bodyBytes = limits.bodyBytes;
  }

  decode(frame: Frame): Decoded {
    if (typeof frame === "string") {
      return {
        ok: false,
        violation: violation("frame.batch", "a text frame; this conduit speaks MessagePack"),
      };
    }
    const messages: Message[] = [];
    const end = frame.length;
    let at = 0;
    while (at < end) {
      const next = this.#plain(frame, at, end, messages) || this.#ack(frame, at, end, messages) ||
        readCall(frame, at, end, this.#bodyBytes, messages) || readCredit(frame, at, end, messages);
      if (next > 0) {
        at = next;
        continue;
      }
      const after = walk(frame, at, end);
      if (after < 0) return { ok: false, violation: undecodable(after, at) };
      const message = this.#message(frame, at, after);
      if (message !== null) {
        if ("rule" in message) return { ok: false, violation: message };
        messages.push(message);
      }
      at = after;
    }
    return { ok: true, messages };
  }

  join(encoded: readonly Uint8Array[]): Uint8Array {
    if (encoded.length === 1) return encoded[0]!;
    let length = 0;
    for (const message of encoded) length += message.length;
    const frame = new Uint8Array(length);
    let at = 0;
    for (const message of encoded) {
      frame.set(message, at);
      at += message.length;
    }
    return frame;
  }

  /** Takes a `message` in its usual form; gives the offset after it, or 0 to leave it to {@link #message}. */
  #plain(bytes: Uint8Array, from: number, to: number, messages: Message[]): number {
    if (bytes[from] !== 0x94 || bytes[from + 1] !== TAG.message) return 0;
    let at = from + 2;
    const seq = readCount(bytes, at, to);
    if (seq < 0) return 0;
    at += numberBytes(bytes[at]!);
    const connection = readCount(bytes, at, to);
    if (connection < 0) return 0;
    at += numberBytes(bytes[at]!);
    const head = bytes[at]!;
    let length;
    if (head === 0xc4 && at + 2 <= to) {
      length = bytes[at + 1]!;
      at += 2;
    } else if (head === 0xc5 && at + 3 <= to) {
      length = bytes[at + 1]! << 8 | bytes[at + 2]!;
      at += 3;
    } else if (head === 0xc6 && at + 5 <= to) {
      length = readUint32(bytes, at + 1);
      at += 5;
    } else {
      return 0;
    }
    const end = at + length;
    if (end > to || length > this.#bodyBytes) return 0;
    const cost = end - from;
    const malformed = checkBodyAt(bytes, at, end);
    if (malformed === undefined) {
      const body = new Uint8Array(bytes.buffer, bytes.byteOffset + at, length);
      messages.push({ kind: "message", seq, connection, body, cost });
    } else {
      messages.push({ kind: "message", seq, connection, ...malformedBody(malformed), cost });
    }
    return end;
  }

  /** Takes an `ack` in its usual form, as {@link #plain} does. */
  #ack(bytes: Uint8Array, from: number, to: number, messages: Message[]): number {
    if (bytes[from] !== 0x92 || bytes[from + 1] !== TAG.ack) return 0;
    const received = readCount(bytes, from + 2, to);
    if (received < 0) return 0;
    messages.push({ kind: "ack", received });
    return from + 2 + numberBytes(bytes[from + 2]!);
  }

  /** Reads the well-formed value `from … to` as a message; null for one that is to be ignored. */
  #message(bytes: Uint8Array, from: number, to: number): Message | Violation | null {
    const head = bytes[from]!;
    if (!isArray(head)) return violation("frame.batch", `a message is an array; at byte ${from} is none`);
    const count = declaredLength(bytes, from, head) - 1;
    const at = from + 1 + lengthBytes(head);
    const tag = readCount(bytes, at, to);
    if (tag < 0) return violation("frame.header", "a message begins with its tag, an integer");
    const layout = layoutOfTag(tag);
    if (layout === undefined) {
      return tag < FIRST_SESSION_TAG
        ? null
        : violation("frame.unknown", `no session message has the tag ${tag}`);
    }
    const reader = new ValueReader(bytes, at + numberBytes(bytes[at]!));
    const fields: unknown[] = [];
    let body: BodyField | null = null;
    for (let i = 0; i < count && i < layout.fields.length; i++) {
      if (i !== layout.body) {
        fields.push(reader.next());
        continue;
      }
      const field = reader.binary();
      if (field === null) return violation("frame.header", `${layout.kind}: body must be binary`);
      const length = field.to - field.from;
      if (length > this.#bodyBytes) {
        return violation("frame.cost", `a body of ${length} bytes; at most ${this.#bodyBytes} are taken`);
      }
      const malformed = checkBodyAt(bytes, field.from, field.to);
      body = malformed === undefined
        ? { body: bytes.subarray(field.from, field.to) }
        : malformedBody(malformed);
      fields.push(undefined);
    }
    return assemble(layout, fields, body, to - from);
  }
}

/** The rule that a value breaks which could not be walked. */
function undecodable(problem: number, at: number): Violation {
  return violation(ruleOf(problem), `at byte ${at}: ${describe(problem)}`);
}

function ruleOf(problem: number): RuleId {
  switch (problem) {
    case PROBLEM.depth:
      return "frame.cost";
    case PROBLEM.utf8:
    case PROBLEM.key:
    case PROBLEM.duplicate:
    case PROBLEM.prototype:
      return "frame.header";
    default:
      return "frame.batch";
  }
}
