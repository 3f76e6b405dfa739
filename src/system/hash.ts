/** SHA-256, synchronously: a handshake hashes a token and must not give up its turn for it. */

import { createHash } from "node:crypto";
import { base64url } from "./random.ts";

const text = new TextEncoder();

/**
 * SHA-256 over length-prefixed parts, base64url.
 *
 * The prefixes keep `("a", "bc")` and `("ab", "c")` apart. Lone surrogates must be refused before: they would collide.
 */
export function hashOf(...parts: readonly string[]): string {
  const hash = createHash("sha256");
  for (const part of parts) {
    const bytes = text.encode(part);
    hash.update(`${bytes.length}:`).update(bytes);
  }
  return base64url(new Uint8Array(hash.digest()));
}

/** SHA-256 of bytes, base64url. */
export function hashOfBytes(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("base64url");
}
