/** What keys and atomics weigh, counted no lower than Deno KV counts them, so that all stores and the committer agree. */

import {
  type Atomic,
  type Check,
  type Put,
  type StoreKey,
  StoreLimitExceeded,
  type StoreLimits,
} from "./session_store.ts";

/** Bytes of one key, encoded, at most: Deno KV's limit for a key that is written. */
export const KEY_BYTES = 2048;

/** Bytes of all keys of one atomic at most. Deno KV counts only those of puts; all are counted here. */
export const ATOMIC_KEY_BYTES = 81_920;

/** What one atomic, or a part of one, takes of a store's limits. */
export interface Weight {
  checks: number;
  mutations: number;
  keyBytes: number;
  valueBytes: number;
}

/** @returns The weight of nothing, to which the `add` functions add. */
export function noWeight(): Weight {
  return { checks: 0, mutations: 0, keyBytes: 0, valueBytes: 0 };
}

/** @throws StoreLimitExceeded if the key is too long. */
export function addCheck(weight: Weight, check: Check): void {
  weight.checks++;
  weight.keyBytes += boundedKeySize(check.key);
}

/** @throws StoreLimitExceeded if the key is too long. */
export function addDelete(weight: Weight, key: StoreKey): void {
  weight.mutations++;
  weight.keyBytes += boundedKeySize(key);
}

/** @throws StoreLimitExceeded if the key or the value is too long. */
export function addPut(weight: Weight, put: Put, limits: StoreLimits): void {
  const size = put.value.byteLength;
  if (size > limits.valueBytes) {
    throw exceeded(`the value of a ${kindOf(put.key)} key holds ${size} bytes`, limits.valueBytes);
  }
  weight.mutations++;
  weight.keyBytes += boundedKeySize(put.key);
  weight.valueBytes += size;
}

/** @returns Whether an atomic of this much, and of as much as `more`, is within the limits. */
export function fits(weight: Weight, more: Weight, limits: StoreLimits): boolean {
  const keyBytes = weight.keyBytes + more.keyBytes;
  return weight.checks + more.checks <= limits.checks &&
    weight.mutations + more.mutations <= limits.mutations &&
    keyBytes <= ATOMIC_KEY_BYTES &&
    keyBytes + weight.valueBytes + more.valueBytes <= limits.atomicBytes;
}

/** Adds one weight to another. */
export function addWeight(weight: Weight, more: Weight): void {
  weight.checks += more.checks;
  weight.mutations += more.mutations;
  weight.keyBytes += more.keyBytes;
  weight.valueBytes += more.valueBytes;
}

const NOTHING = noWeight();

/** @throws StoreLimitExceeded if an atomic of this weight is beyond the limits, with all figures. */
export function assertFits(weight: Weight, limits: StoreLimits): void {
  if (!fits(weight, NOTHING, limits)) throw exceeded(JSON.stringify(weight), JSON.stringify(limits));
}

/**
 * Refuses an atomic that the store would not take, before any of it is written.
 *
 * @throws StoreLimitExceeded, saying what is too large.
 */
export function assertAtomicFits(atomic: Atomic, limits: StoreLimits): void {
  const weight = noWeight();
  for (const check of atomic.checks) addCheck(weight, check);
  for (const put of atomic.puts) addPut(weight, put, limits);
  for (const key of atomic.deletes) addDelete(weight, key);
  assertFits(weight, limits);
}

/** @returns The encoded length of a key in bytes. */
export function keySize(key: StoreKey): number {
  let size = 0;
  for (const part of key) size += typeof part === "number" ? 9 : stringPartSize(part);
  return size;
}

/** A type byte, the text as UTF-8 in which each NUL takes two bytes, and a terminator. */
function stringPartSize(text: string): number {
  let size = text.length + 2;
  for (let index = 0; index < text.length; index++) {
    const code = text.charCodeAt(index);
    if (code >= 0x80) size += code < 0x800 || (code >= 0xd800 && code < 0xe000) ? 1 : 2;
    else if (code === 0) size += 1;
  }
  return size;
}

function boundedKeySize(key: StoreKey): number {
  const size = keySize(key);
  if (size > KEY_BYTES) throw exceeded(`a ${kindOf(key)} key takes ${size} bytes`, KEY_BYTES);
  return size;
}

/** Only the kind of record: what follows may be the digest of something secret, or very long. */
function kindOf(key: StoreKey): string {
  return JSON.stringify(String(key[0] ?? "").slice(0, 32));
}

function exceeded(found: string, limit: number | string): StoreLimitExceeded {
  return new StoreLimitExceeded(`too large for one atomic: ${found}; the store takes ${limit}`);
}
