/** The one encoded form that a message has inside a process: MessagePack, shortest, fields in the order of the table. */

import { type ByteWriter, withWriter } from "./byte_writer.ts";
import { type Layout, LAYOUTS, NESTED } from "./layout.ts";
import {
  type ConduitMessage,
  FIRST_SESSION_TAG,
  type Item,
  type Response,
  type SessionPayload,
  TAG,
} from "./messages.ts";
import { allocate } from "./slab.ts";
import { declaredLength, lengthBytes, numberBytes, readCount, walk } from "./scan.ts";

/** Encodes one conduit message. A lone surrogate in one of its strings becomes U+FFFD. */
export function encodeConduit(message: ConduitMessage): Uint8Array {
  return withWriter((writer) => {
    if (message.kind === "ack") {
      writer.array(2);
      writer.integer(TAG.ack);
      writer.integer(message.received);
    } else {
      writeMessage(writer, LAYOUTS[message.kind], message, 0);
    }
    return writer.copy();
  });
}

/**
 * Encodes one session message. A lone surrogate in one of its strings becomes U+FFFD.
 *
 * @param seq The number that `delivery.sequence` gave it.
 */
export function encodeSession(seq: number, payload: SessionPayload): Uint8Array {
  if (payload.kind === "message") return encodePlain(seq, payload.connection, payload.body);
  if (payload.kind === "item") return encodeItem(seq, payload);
  if (payload.kind === "response" && payload.metadata === undefined) return encodeResponse(seq, payload);
  return withWriter((writer) => {
    writeMessage(writer, LAYOUTS[payload.kind], payload, seq);
    return writer.copy();
  });
}

/** What a session message costs in its canonical encoding: `encodeSession(seq, payload).length` (`frame.cost`). */
export function costOf(seq: number, payload: SessionPayload): number {
  if (payload.kind !== "message") return encodeSession(seq, payload).length;
  return plainHeaderBytes(seq, payload.connection, payload.body.length) + payload.body.length;
}

/** One message of a concatenation of encoded ones. */
export interface EncodedMessage {
  /** Its sequence number. */
  readonly seq: number;
  /** A view of the concatenation. */
  readonly bytes: Uint8Array;
}

/**
 * Splits a concatenation of encoded session messages.
 *
 * @throws {Error} If it is anything else.
 */
export function splitEncoded(bytes: Uint8Array): EncodedMessage[] {
  const messages: EncodedMessage[] = [];
  for (let at = 0; at < bytes.length;) {
    const end = walk(bytes, at, bytes.length);
    const head = bytes[at]!;
    if (end < 0 || !isArray(head) || declaredLength(bytes, at, head) < 3) throw damaged(at);
    const tagAt = at + 1 + lengthBytes(head);
    const tag = readCount(bytes, tagAt, end);
    const seq = tag < FIRST_SESSION_TAG ? -1 : readCount(bytes, tagAt + numberBytes(bytes[tagAt]!), end);
    if (seq < 0) throw damaged(at);
    messages.push({ seq, bytes: bytes.subarray(at, end) });
    at = end;
  }
  return messages;
}

/** An encoded session message under another number, as {@link encodeSession} would have written it. */
export function renumbered(encoded: Uint8Array, seq: number): Uint8Array {
  const head = encoded[0] ?? 0;
  const seqAt = 2 + lengthBytes(head);
  const rest = encoded.subarray(seqAt + numberBytes(encoded[seqAt] ?? 0));
  const bytes = new Uint8Array(seqAt + countBytes(seq) + rest.length);
  bytes.set(encoded.subarray(0, seqAt));
  bytes.set(rest, putCount(bytes, seqAt, seq));
  return bytes;
}

/** True for the first byte of an array. */
export function isArray(head: number): boolean {
  return (head & 0xf0) === 0x90 || head === 0xdc || head === 0xdd;
}

function damaged(at: number): Error {
  return new Error(`the bytes from ${at} on are no encoded session message`);
}

/** By hand, into memory of the right size: nearly every message is one of these. */
function encodePlain(seq: number, connection: number, body: Uint8Array): Uint8Array {
  const header = plainHeaderBytes(seq, connection, body.length);
  const bytes = allocate(header + body.length);
  bytes[0] = 0x94;
  bytes[1] = TAG.message;
  const at = putLength(bytes, putCount(bytes, putCount(bytes, 2, seq), connection), body.length);
  bytes.set(body, at);
  return bytes;
}

/** Likewise: nearly all that a stream is. */
function encodeItem(seq: number, { connection, channel, body }: Item): Uint8Array {
  const header = plainHeaderBytes(seq, connection, body.length) + countBytes(channel);
  const bytes = allocate(header + body.length);
  bytes[0] = 0x95;
  bytes[1] = TAG.item;
  const ids = putCount(bytes, putCount(bytes, putCount(bytes, 2, seq), connection), channel);
  bytes.set(body, putLength(bytes, ids, body.length));
  return bytes;
}

/** Likewise: every call has one. */
function encodeResponse(seq: number, { connection, request, ok, body }: Response): Uint8Array {
  const header = plainHeaderBytes(seq, connection, body.length) + countBytes(request) + 1;
  const bytes = allocate(header + body.length);
  bytes[0] = 0x96;
  bytes[1] = TAG.response;
  const at = putCount(bytes, putCount(bytes, putCount(bytes, 2, seq), connection), request);
  bytes[at] = ok ? 0xc3 : 0xc2;
  bytes.set(body, putLength(bytes, at + 1, body.length));
  return bytes;
}

function plainHeaderBytes(seq: number, connection: number, length: number): number {
  return 2 + countBytes(seq) + countBytes(connection) + (length < 0x100 ? 2 : length < 0x1_0000 ? 3 : 5);
}

function countBytes(count: number): number {
  return count < 0x80 ? 1 : count < 0x100 ? 2 : count < 0x1_0000 ? 3 : count < TWO_32 ? 5 : 9;
}

function putCount(bytes: Uint8Array, at: number, count: number): number {
  if (!(Number.isSafeInteger(count) && count >= 0)) {
    throw new RangeError(`${count} is no sequence number or id`);
  }
  if (count < 0x80) {
    bytes[at] = count;
    return at + 1;
  }
  if (count < 0x100) {
    bytes[at] = 0xcc;
    return putBigEndian(bytes, at + 1, count, 1);
  }
  if (count < 0x1_0000) {
    bytes[at] = 0xcd;
    return putBigEndian(bytes, at + 1, count, 2);
  }
  if (count < TWO_32) {
    bytes[at] = 0xce;
    return putBigEndian(bytes, at + 1, count, 4);
  }
  bytes[at] = 0xcf;
  return putBigEndian(bytes, putBigEndian(bytes, at + 1, Math.floor(count / TWO_32), 4), count >>> 0, 4);
}

function putLength(bytes: Uint8Array, at: number, length: number): number {
  const width = length < 0x100 ? 1 : length < 0x1_0000 ? 2 : 4;
  bytes[at] = 0xc3 + (width === 4 ? 3 : width);
  return putBigEndian(bytes, at + 1, length, width);
}

function putBigEndian(bytes: Uint8Array, at: number, value: number, width: number): number {
  for (let i = width - 1; i >= 0; i--) bytes[at++] = value >>> 8 * i;
  return at;
}

function writeMessage(writer: ByteWriter, layout: Layout, message: object, seq: number): void {
  const { fields, required } = layout;
  const values = fields.map((field) =>
    field === "seq" ? seq : field === "*" ? message : valueOf(message, field)
  );
  while (values.length > required && values.at(-1) === undefined) values.pop();
  writer.array(values.length + 1);
  writer.integer(layout.tag);
  for (const [i, value] of values.entries()) {
    const field = fields[i]!;
    if (i === layout.body && value instanceof Uint8Array) writer.binary(value);
    else if (field === "*") writeFields(writer, message, layout.entries);
    else writeField(writer, field, value);
  }
}

function writeFields(writer: ByteWriter, owner: object, names: readonly string[]): void {
  const present = names.filter((name) => valueOf(owner, name) !== undefined);
  writer.map(present.length);
  for (const name of present) {
    writer.string(name.toWellFormed());
    writeField(writer, name, valueOf(owner, name));
  }
}

function writeField(writer: ByteWriter, field: string, value: unknown): void {
  if (typeof value === "number") writer.integer(value);
  else if (typeof value === "string") writer.string(value.toWellFormed());
  else if (typeof value === "boolean") writer.boolean(value);
  else if (typeof value === "object" && value !== null) {
    writeFields(writer, value, NESTED[field] ?? Object.keys(value));
  } else throw new TypeError(`the field ${field} cannot be ${String(value)}`);
}

function valueOf(owner: object, field: string): unknown {
  return (owner as { readonly [field: string]: unknown })[field];
}

const TWO_32 = 0x1_0000_0000;
