/**
 * Walks MessagePack without building anything: finds where values end and what is wrong with them.
 *
 * Every length is checked against the bytes that are there before it is used, nesting is bounded, and nothing is
 * allocated but for maps of more than {@link PAIRWISE_KEYS} keys.
 */

import { MAX_DEPTH } from "./limits.ts";
import { isUtf8, readUtf8 } from "./utf8.ts";

/** What {@link walk} finds wrong; negative, so that it is told apart from an offset. */
export const PROBLEM = {
  truncated: -1,
  reserved: -2,
  extension: -3,
  depth: -4,
  utf8: -5,
  key: -6,
  duplicate: -7,
  prototype: -8,
} as const;

const DESCRIPTIONS = [
  "",
  "cut short",
  "the byte 0xc1 is no value",
  "extension types are not taken",
  `nested deeper than ${MAX_DEPTH} containers`,
  "a string is not valid UTF-8",
  "a map key is not a string",
  "a map holds a key twice",
  'a map holds the key "__proto__"',
];

/** Says in words what a negative outcome of {@link walk} means. */
export function describe(problem: number): string {
  return DESCRIPTIONS[-problem] ?? "malformed";
}

/** Maps up to this size have their keys compared pair by pair, larger ones in a set. */
const PAIRWISE_KEYS = 16;

const TWO_32 = 0x1_0000_0000;

// One level for each open container. The walk is synchronous and calls nothing outside, so one of each is enough.
const left = new Uint32Array(MAX_DEPTH + 1);
const isMap = new Uint8Array(MAX_DEPTH + 1);
const keyCount = new Uint32Array(MAX_DEPTH + 1);
const keyFrom = new Uint32Array((MAX_DEPTH + 1) * PAIRWISE_KEYS);
const keyTo = new Uint32Array((MAX_DEPTH + 1) * PAIRWISE_KEYS);
const keySets: (Set<string> | null)[] = new Array(MAX_DEPTH + 1).fill(null);

/**
 * Finds the end of the value at `from`, looking no further than `to`.
 *
 * @returns The offset after the value, or a negative {@link PROBLEM}.
 */
export function walk(bytes: Uint8Array, from: number, to: number): number {
  const end = walkOne(bytes, from, to);
  if (end < 0) keySets.fill(null);
  return end;
}

function walkOne(bytes: Uint8Array, from: number, to: number): number {
  let at = from;
  let level = 0;
  while (true) {
    if (at >= to) return PROBLEM.truncated;
    const head = bytes[at]!;
    const kind = KIND[head]!;
    const awaitsKey = level > 0 && isMap[level] === 1 && (left[level]! & 1) === 0;
    if (awaitsKey && kind !== STRING) return kind === RESERVED ? PROBLEM.reserved : PROBLEM.key;
    switch (kind) {
      case FIXED:
        at += 1 + PAYLOAD[head]!;
        if (at > to) return PROBLEM.truncated;
        break;
      case STRING:
      case BINARY: {
        const start = at + 1 + lengthBytes(head);
        if (start > to) return PROBLEM.truncated;
        const length = declaredLength(bytes, at, head);
        if (length > to - start) return PROBLEM.truncated;
        at = start + length;
        if (kind === STRING && !isUtf8(bytes, start, at)) return PROBLEM.utf8;
        if (awaitsKey) {
          const problem = noteKey(bytes, start, at, level);
          if (problem < 0) return problem;
        }
        break;
      }
      case ARRAY:
      case MAP: {
        const start = at + 1 + lengthBytes(head);
        if (start > to) return PROBLEM.truncated;
        const entries = declaredLength(bytes, at, head);
        const values = kind === MAP ? 2 * entries : entries;
        // Each value takes a byte at least.
        if (values > to - start) return PROBLEM.truncated;
        if (level === MAX_DEPTH) return PROBLEM.depth;
        at = start;
        if (values > 0) {
          level++;
          left[level] = values;
          isMap[level] = kind === MAP ? 1 : 0;
          keyCount[level] = 0;
          keySets[level] = kind === MAP && entries > PAIRWISE_KEYS ? new Set() : null;
          continue;
        }
        break;
      }
      case EXTENSION:
        return PROBLEM.extension;
      default:
        return PROBLEM.reserved;
    }
    // A container that is complete is one value of the container around it.
    while (level > 0 && --left[level]! === 0) keySets[level--] = null;
    if (level === 0) return at;
  }
}

/** The payload's length or the number of entries that the value at `at` declares. Its header must be there. */
export function declaredLength(bytes: Uint8Array, at: number, head: number): number {
  switch (lengthBytes(head)) {
    case 0:
      return head < 0xa0 ? head & 0x0f : head & 0x1f;
    case 1:
      return bytes[at + 1]!;
    case 2:
      return bytes[at + 1]! << 8 | bytes[at + 2]!;
    default:
      return readUint32(bytes, at + 1);
  }
}

/** How many bytes of length follow the first byte of a string, binary, array or map. */
export function lengthBytes(head: number): number {
  return LENGTH_BYTES[head]!;
}

export function readUint32(bytes: Uint8Array, at: number): number {
  return (bytes[at]! << 24 | bytes[at + 1]! << 16 | bytes[at + 2]! << 8 | bytes[at + 3]!) >>> 0;
}

/**
 * Reads a header integer: any integer form or an integral float, 0 … 2^53 − 1 (`frame.header`).
 *
 * @returns The integer; −1 for any other value; −2 if the value is not there in full.
 */
export function readCount(bytes: Uint8Array, at: number, to: number): number {
  if (at >= to) return -2;
  const head = bytes[at]!;
  if (head < 0x80) return head;
  if (KIND[head] !== FIXED) return -1;
  const payload = PAYLOAD[head]!;
  if (at + 1 + payload > to) return -2;
  switch (head) {
    case 0xcc:
      return bytes[at + 1]!;
    case 0xcd:
      return bytes[at + 1]! << 8 | bytes[at + 2]!;
    case 0xce:
      return readUint32(bytes, at + 1);
    case 0xcf:
    case 0xd3: {
      const high = readUint32(bytes, at + 1);
      return high < 0x20_0000 ? high * TWO_32 + readUint32(bytes, at + 5) : -1;
    }
    case 0xd0:
      return bytes[at + 1]! < 0x80 ? bytes[at + 1]! : -1;
    case 0xd1:
      return bytes[at + 1]! < 0x80 ? bytes[at + 1]! << 8 | bytes[at + 2]! : -1;
    case 0xd2:
      return bytes[at + 1]! < 0x80 ? readUint32(bytes, at + 1) : -1;
    case 0xca:
    case 0xcb: {
      const view = new DataView(bytes.buffer, bytes.byteOffset + at + 1, payload);
      const value = head === 0xca ? view.getFloat32(0) : view.getFloat64(0);
      // `+ 0` makes −0 the 0 that it is.
      return Number.isSafeInteger(value) && value >= 0 ? value + 0 : -1;
    }
    default:
      return -1;
  }
}

/** How long the number is whose first byte is `head`. */
export function numberBytes(head: number): number {
  return 1 + PAYLOAD[head]!;
}

function noteKey(bytes: Uint8Array, from: number, to: number, level: number): number {
  if (to - from === PROTO.length && equal(bytes, from, PROTO, 0, PROTO.length)) return PROBLEM.prototype;
  const set = keySets[level];
  if (set != null) {
    const before = set.size;
    set.add(readUtf8(bytes, from, to));
    return set.size === before ? PROBLEM.duplicate : 0;
  }
  const base = level * PAIRWISE_KEYS;
  const count = keyCount[level]!;
  for (let i = base; i < base + count; i++) {
    const other = keyFrom[i]!;
    if (keyTo[i]! - other === to - from && equal(bytes, from, bytes, other, to - from)) {
      return PROBLEM.duplicate;
    }
  }
  keyFrom[base + count] = from;
  keyTo[base + count] = to;
  keyCount[level] = count + 1;
  return 0;
}

function equal(a: Uint8Array, at: number, b: Uint8Array, bt: number, length: number): boolean {
  for (let i = 0; i < length; i++) {
    if (a[at + i] !== b[bt + i]) return false;
  }
  return true;
}

const PROTO = new TextEncoder().encode("__proto__");

// What each first byte begins.
const FIXED = 0;
const STRING = 1;
const BINARY = 2;
const ARRAY = 3;
const MAP = 4;
const EXTENSION = 5;
const RESERVED = 6;

/** The kind of value that each first byte begins. */
const KIND = new Uint8Array(256);
/** Bytes that follow a first byte of kind `FIXED`. */
const PAYLOAD = new Uint8Array(256);
const LENGTH_BYTES = new Uint8Array(256);

function assign(from: number, to: number, kind: number, payload = 0, length = 0): void {
  KIND.fill(kind, from, to + 1);
  PAYLOAD.fill(payload, from, to + 1);
  LENGTH_BYTES.fill(length, from, to + 1);
}
assign(0x80, 0x8f, MAP);
assign(0x90, 0x9f, ARRAY);
assign(0xa0, 0xbf, STRING);
assign(0xc1, 0xc1, RESERVED);
for (const [i, length] of [1, 2, 4].entries()) {
  assign(0xc4 + i, 0xc4 + i, BINARY, 0, length);
  assign(0xc7 + i, 0xc7 + i, EXTENSION);
  assign(0xd9 + i, 0xd9 + i, STRING, 0, length);
}
assign(0xca, 0xca, FIXED, 4);
assign(0xcb, 0xcb, FIXED, 8);
for (const [i, payload] of [1, 2, 4, 8].entries()) {
  assign(0xcc + i, 0xcc + i, FIXED, payload);
  assign(0xd0 + i, 0xd0 + i, FIXED, payload);
}
assign(0xd4, 0xd8, EXTENSION);
for (const [i, length] of [2, 4].entries()) {
  assign(0xdc + i, 0xdc + i, ARRAY, 0, length);
  assign(0xde + i, 0xde + i, MAP, 0, length);
}
