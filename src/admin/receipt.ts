/** What a push did, kept under its idempotency key so that its repeat is answered and not sent again. */

import type { EncodedBody } from "../protocol/messages.ts";
import { pack, unpack } from "../protocol/pack.ts";
import { base64url } from "../system/random.ts";
import { hashOf } from "../system/hash.ts";

/** How long a receipt is kept; milliseconds. */
export const RECEIPT_LIFETIME_MS = 24 * 3600 * 1000;

/** A push that was committed. */
export interface Receipt {
  /** What was pushed where: a repeat under the same key must be equal. */
  readonly fingerprint: string;
  readonly connection: number;
  readonly sequence: number;
  /** Milliseconds since the Unix epoch. */
  readonly at: number;
}

/** Identifies what is pushed where. */
export function fingerprintOf(connection: number, body: EncodedBody): string {
  return hashOf(String(connection), base64url(body));
}

/** Encodes a receipt. */
export function encodeReceipt({ fingerprint, connection, sequence, at }: Receipt): Uint8Array {
  return pack([fingerprint, connection, sequence, at]);
}

/** Reads {@link encodeReceipt}. */
export function decodeReceipt(bytes: Uint8Array): Receipt {
  const [fingerprint, connection, sequence, at] = unpack(bytes) as [string, number, number, number];
  return { fingerprint, connection, sequence, at };
}
