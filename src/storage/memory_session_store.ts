/** A {@link SessionStore} in this process's memory: for tests, for benchmarks, and for what need not outlive the process. */

import type { Clock } from "../system/clock.ts";
import type {
  Atomic,
  AtomicResult,
  Check,
  Put,
  Range,
  SessionStore,
  StoredEntry,
  StoreKey,
  StoreLimits,
} from "./session_store.ts";
import { SortedKeys } from "./sorted_keys.ts";
import { assertAtomicFits } from "./stored_size.ts";

interface Held {
  readonly key: StoreKey;
  readonly value: Uint8Array;
  readonly version: string;
  /** Milliseconds since the Unix epoch; `Infinity`: never. */
  readonly expiresAt: number;
}

/** The limits of Deno KV on SQLite, so that what is packed for this store fits that one. */
const DEFAULT_LIMITS: StoreLimits = {
  checks: 100,
  mutations: 900,
  atomicBytes: 737_280,
  valueBytes: 65_536,
  concurrency: 2,
};

/**
 * Keeps entries as Deno KV does: ordered, with ascending versions, and with its own copies of all bytes. An entry is
 * gone, for reads and for checks, at the moment its `expireIn` has passed; its memory is freed when it is next met.
 *
 * Several nodes of a test may share one store.
 */
export class MemorySessionStore implements SessionStore {
  readonly limits: StoreLimits;
  readonly #clock: Clock;
  readonly #held = new Map<string, Held>();
  readonly #keys = new SortedKeys();
  #commits = 0;
  #closed = false;

  /** @param options `limits` overrides those of SQLite one by one. */
  constructor(options: { readonly clock: Clock; readonly limits?: Partial<StoreLimits> }) {
    this.#clock = options.clock;
    this.limits = { ...DEFAULT_LIMITS, ...options.limits };
  }

  /** How many entries are held, expired ones that were not met since included. */
  get size(): number {
    return this.#held.size;
  }

  // Async, though it waits for nothing: what it throws must reject, and no caller may depend on a faster answer.
  // deno-lint-ignore require-await -- the port is asynchronous, and what throws here must reject
  async atomic(atomic: Atomic): Promise<AtomicResult> {
    this.#assertOpen();
    assertAtomicFits(atomic, this.limits);
    const now = this.#clock.now();
    for (const check of atomic.checks) if (!this.#holds(check, now)) return { ok: false };
    const version = (++this.#commits).toString(16).padStart(20, "0");
    for (const put of atomic.puts) this.#put(put, version, now);
    for (const key of atomic.deletes) this.#delete(encodeKey(key));
    return { ok: true, version };
  }

  // deno-lint-ignore require-await -- the port is asynchronous, and what throws here must reject
  async get(keys: readonly StoreKey[]): Promise<(StoredEntry | null)[]> {
    this.#assertOpen();
    const now = this.#clock.now();
    return keys.map((key) => {
      const held = this.#find(encodeKey(key), now);
      return held === undefined ? null : entryOf(held);
    });
  }

  // deno-lint-ignore require-await -- the port is asynchronous, and what throws here must reject
  async list(
    range: Range,
    options: { readonly limit: number; readonly reverse?: boolean },
  ): Promise<StoredEntry[]> {
    this.#assertOpen();
    const prefix = encodeKey(range.prefix);
    const start = range.start === undefined ? `${prefix}\x00` : encodeKey(range.start);
    const end = range.end === undefined ? `${prefix}\xff` : encodeKey(range.end);
    const now = this.#clock.now();
    const entries: StoredEntry[] = [];
    const expired: string[] = [];
    for (const encoded of this.#keys.between(start, end, options.reverse === true)) {
      if (entries.length >= options.limit) break;
      const held = this.#held.get(encoded);
      if (held === undefined) continue;
      if (held.expiresAt <= now) expired.push(encoded);
      else entries.push(entryOf(held));
    }
    for (const encoded of expired) this.#delete(encoded);
    return entries;
  }

  close(): void {
    this.#closed = true;
    this.#held.clear();
    this.#keys.clear();
  }

  #assertOpen(): void {
    if (this.#closed) throw new Error("the store was used after it was closed");
  }

  #holds(check: Check, now: number): boolean {
    return (this.#find(encodeKey(check.key), now)?.version ?? null) === check.version;
  }

  #find(encoded: string, now: number): Held | undefined {
    const held = this.#held.get(encoded);
    if (held === undefined || held.expiresAt > now) return held;
    this.#delete(encoded);
    return undefined;
  }

  #put(put: Put, version: string, now: number): void {
    const encoded = encodeKey(put.key);
    if (!this.#held.has(encoded)) this.#keys.add(encoded);
    this.#held.set(encoded, {
      key: [...put.key],
      value: put.value.slice(),
      version,
      expiresAt: put.expireIn === undefined ? Infinity : now + put.expireIn,
    });
  }

  #delete(encoded: string): void {
    if (this.#held.delete(encoded)) this.#keys.delete(encoded);
  }
}

function entryOf(held: Held): StoredEntry {
  return { key: held.key, value: held.value.slice(), version: held.version };
}

const number = new DataView(new ArrayBuffer(8));
const utf8 = new TextEncoder();

/**
 * A key as a string of bytes (one per UTF-16 unit) that sorts as Deno KV sorts keys: part by part, strings by their
 * UTF-8 before numbers by value.
 */
function encodeKey(key: StoreKey): string {
  let encoded = "";
  for (const part of key) encoded += typeof part === "number" ? encodeNumber(part) : encodeString(part);
  return encoded;
}

function encodeString(text: string): string {
  for (let index = 0; index < text.length; index++) {
    const code = text.charCodeAt(index);
    if (code === 0 || code >= 0x80) return `\x02${byteString(text).replaceAll("\x00", "\x00\xff")}\x00`;
  }
  return `\x02${text}\x00`;
}

function byteString(text: string): string {
  let bytes = "";
  for (const byte of utf8.encode(text)) bytes += String.fromCharCode(byte);
  return bytes;
}

/** Big-endian; the sign bit flipped for positive numbers, all bits for negative ones. */
function encodeNumber(value: number): string {
  number.setFloat64(0, value);
  const high = number.getUint32(0);
  const negative = high >>> 31 === 1;
  number.setUint32(0, negative ? ~high : high ^ 0x8000_0000);
  if (negative) number.setUint32(4, ~number.getUint32(4));
  let encoded = "\x21";
  for (let index = 0; index < 8; index++) encoded += String.fromCharCode(number.getUint8(index));
  return encoded;
}
