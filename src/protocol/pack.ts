/** MessagePack for the store's records: what this node wrote and reads back itself. */

import { Decoder, Encoder } from "@msgpack/msgpack";

/** What a record can hold. A `bigint` comes back as one; a `number` as a `number`. */
export type Packable =
  | null
  | boolean
  | number
  | bigint
  | string
  | Uint8Array
  | readonly Packable[]
  | { readonly [key: string]: Packable };

// Integers beyond 32 bits travel as float64 with this option, exactly; `bigint` has the 64-bit forms for itself.
const encoder = new Encoder({ useBigInt64: true });
const decoder = new Decoder({ useBigInt64: true });

/**
 * Encodes a record.
 *
 * @throws {Error} If it holds something that is not {@link Packable}.
 */
export function pack(value: Packable): Uint8Array {
  return encoder.encodeSharedRef(value).slice();
}

/**
 * Decodes a record. Binary fields are views of `bytes`.
 *
 * @throws {Error} If the bytes are damaged: cut short, followed by others, or no MessagePack at all.
 */
export function unpack(bytes: Uint8Array): unknown {
  return decoder.decode(bytes);
}
