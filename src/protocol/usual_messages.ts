/**
 * Session messages in the form in which nearly all of them come, read without the detour over schemas. What has any other
 * form, be it right or wrong, is left to the codec: then 0 is given and nothing was read.
 */

import { malformedBody } from "./assemble.ts";
import type { Message } from "./messages.ts";
import { TAG } from "./messages.ts";
import { checkBodyAt } from "./body.ts";
import { numberBytes, readCount } from "./scan.ts";

/** Takes a `call` without options. @returns The end of the message; 0: it is none of this form. */
export function readCall(
  bytes: Uint8Array,
  from: number,
  to: number,
  bodyBytes: number,
  messages: Message[],
): number {
  if (bytes[from] !== 0x96 || bytes[from + 1] !== TAG.call) return 0;
  const at = readCounts(bytes, from + 2, to, 3);
  const [seq, connection, request] = counts;
  const head = at === 0 ? 0 : bytes[at] ?? 0;
  if ((head & 0xe0) !== 0xa0) return 0;
  const nameEnd = at + 1 + (head & 0x1f);
  if (nameEnd + 2 > to) return 0;
  const method = asciiAt(bytes, at + 1, nameEnd);
  if (method === null) return 0;
  const begin = bodyBegin(bytes, nameEnd, to);
  const length = begin === 0 ? 0 : bodyLength(bytes, nameEnd);
  const end = begin + length;
  if (begin === 0 || end > to || length > bodyBytes) return 0;
  const cost = end - from;
  const malformed = checkBodyAt(bytes, begin, end);
  if (malformed === undefined) {
    const body = new Uint8Array(bytes.buffer, bytes.byteOffset + begin, length);
    messages.push({ kind: "call", seq, connection, request, method, body, cost });
  } else messages.push({ kind: "call", seq, connection, request, method, ...malformedBody(malformed), cost });
  return end;
}

/** Takes a `credit`. @returns As {@link readCall}. */
export function readCredit(bytes: Uint8Array, from: number, to: number, messages: Message[]): number {
  if (bytes[from] !== 0x95 || bytes[from + 1] !== TAG.credit) return 0;
  const end = readCounts(bytes, from + 2, to, 4);
  if (end === 0) return 0;
  const [seq, connection, channel, additional] = counts;
  messages.push({ kind: "credit", seq, connection, channel, additional, cost: end - from });
  return end;
}

/** What {@link readCounts} read last. */
const counts: [number, number, number, number] = [0, 0, 0, 0];

/** Reads header integers, one after the other. @returns The end of the last; 0: one of them is none. */
function readCounts(bytes: Uint8Array, from: number, to: number, many: number): number {
  let at = from;
  for (let index = 0; index < many; index++) {
    const count = readCount(bytes, at, to);
    if (count < 0) return 0;
    counts[index] = count;
    at += numberBytes(bytes[at]!);
  }
  return at;
}

/** Where a binary of less than 64 KiB begins whose head is at `at`; 0: there is none. */
function bodyBegin(bytes: Uint8Array, at: number, to: number): number {
  if (bytes[at] === 0xc4 && at + 2 <= to) return at + 2;
  return bytes[at] === 0xc5 && at + 3 <= to ? at + 3 : 0;
}

function bodyLength(bytes: Uint8Array, at: number): number {
  return bytes[at] === 0xc4 ? bytes[at + 1]! : bytes[at + 1]! << 8 | bytes[at + 2]!;
}

/** A short text of ASCII; null for any other. */
function asciiAt(bytes: Uint8Array, from: number, to: number): string | null {
  let text = "";
  for (let at = from; at < to; at++) {
    const unit = bytes[at]!;
    if (unit >= 0x80) return null;
    text += String.fromCharCode(unit);
  }
  return text;
}
