/** Bodies that are a string or bytes, for who passes them on as UTF-8 or as bytes and never needs the value. */

import type { EncodedBody } from "./messages.ts";
import { declaredLength, lengthBytes } from "./scan.ts";
import { allocate } from "./slab.ts";

/** A text in UTF-8, or bytes. */
export interface Payload {
  /** The bytes. */
  readonly bytes: Uint8Array;
  /** True for bytes; false for a text. */
  readonly binary: boolean;
}

/** What a body has beyond its payload, at most. */
export const PAYLOAD_HEADER_BYTES = 5;

/**
 * Makes a body of a payload, which is copied.
 *
 * @param payload If it is a text, well-formed UTF-8.
 */
export function bodyOf({ bytes, binary }: Payload): EncodedBody {
  const { length } = bytes;
  if (!binary && length < 0x20) return filled(1, 0xa0 | length, bytes);
  if (length < 0x100) return filled(2, binary ? 0xc4 : 0xd9, bytes);
  if (length < 0x1_0000) return filled(3, binary ? 0xc5 : 0xda, bytes);
  return filled(PAYLOAD_HEADER_BYTES, binary ? 0xc6 : 0xdb, bytes);
}

/**
 * Reads a well-formed body.
 *
 * @returns A view of it; null if it is neither a string nor bytes.
 */
export function payloadOf(body: EncodedBody): Payload | null {
  const head = body[0]!;
  const binary = head >= 0xc4 && head <= 0xc6;
  const text = head >= 0xa0 && head < 0xc0 || head >= 0xd9 && head <= 0xdb;
  if (!binary && !text) return null;
  const from = 1 + lengthBytes(head);
  return { bytes: body.subarray(from, from + declaredLength(body, 0, head)), binary };
}

/** @param header How long the header is; what lies behind its first byte is the length. */
function filled(header: number, head: number, bytes: Uint8Array): EncodedBody {
  const body = allocate(header + bytes.length);
  body[0] = head;
  for (let at = header - 1, rest = bytes.length; at > 0; at--, rest >>>= 8) body[at] = rest & 0xff;
  body.set(bytes, header);
  return body;
}
