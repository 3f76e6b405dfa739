/** The messages of a transfer: each says which one it is, and can be checked byte by byte. */

import { Buffer } from "node:buffer";

/** Bytes of each message. */
export const FLOOD_BYTES = 32 * 1024;

const HEADER_BYTES = 4;

/** A stretch of these follows the header; a different one for neighbours. */
const noise = Buffer.alloc(2 * FLOOD_BYTES);
for (let at = 0, seed = 1; at < noise.length; at++) {
  seed = Math.imul(seed, 1_103_515_245) + 12_345;
  noise[at] = seed >>> 16;
}

function stretch(index: number): Uint8Array {
  const from = index * 7 % FLOOD_BYTES;
  return noise.subarray(from, from + FLOOD_BYTES - HEADER_BYTES);
}

/** Message `index`, in memory of its own. */
export function floodMessage(index: number): Uint8Array {
  const message = new Uint8Array(FLOOD_BYTES);
  new DataView(message.buffer).setUint32(0, index);
  message.set(stretch(index), HEADER_BYTES);
  return message;
}

/** Says how what came differs from message `index`, or null. */
export function floodMismatch(message: Uint8Array, index: number): string | null {
  if (message.length !== FLOOD_BYTES) {
    return `a message has ${message.length} bytes instead of ${FLOOD_BYTES}`;
  }
  const found = new DataView(message.buffer, message.byteOffset).getUint32(0);
  if (found !== index) return `expected message ${index}, got ${found}`;
  const equal = Buffer.compare(message.subarray(HEADER_BYTES), stretch(index)) === 0;
  return equal ? null : `message ${index} is not as it was sent`;
}
