/** Memory for small encodings, cut from larger pieces: an `ArrayBuffer` for each costs ten times the encoding itself. */

const SLAB_BYTES = 4096;
/** Longer ones get a buffer of their own. A small one that is kept for long keeps one slab in memory. */
const SHARED_BYTES = 512;

let slab = new Uint8Array(SLAB_BYTES);
let used = 0;

/**
 * Gives zeroed bytes that nobody else has. Their `buffer` may hold others' too, before and behind them; it is freed
 * when none of them is in use.
 */
export function allocate(length: number): Uint8Array {
  if (length > SHARED_BYTES) return new Uint8Array(length);
  if (used + length > SLAB_BYTES) {
    slab = new Uint8Array(SLAB_BYTES);
    used = 0;
  }
  used += length;
  return new Uint8Array(slab.buffer, used - length, length);
}
