/** Types that fields of several messages share. */

/** The MessagePack encoding of exactly one body value, checked against `frame.body`. */
export type EncodedBody = Uint8Array;

/** Small string map that travels with `start`, `open` and `accept`; at most 4 KiB encoded. */
export type Metadata = { readonly [key: string]: string };

/** What "acked" means for a session; `docs/protocol.md`, Durability classes. */
export type Durability = "durable" | "ephemeral";
