/** One attempt at a transaction: what it read, at which revisions, and what it would write. */

import type { EncodedBody } from "../protocol/messages.ts";
import type { DataKey, Transaction } from "../service/service.ts";
import type { DataCache, DataEntry } from "../storage/data_cache.ts";

/** Keys that one transaction may read, and may write: an atomic of a remote store checks ten. */
export const TRANSACTION_KEYS = 8;
/** What one transaction may write, bytes. */
const TRANSACTION_BYTES = 256 * 1024;
/** Largest value of a key, bytes. */
export const DATUM_BYTES = 56 * 1024;
/** Largest key, counted in UTF-16 units of its strings and 8 for each other part. */
const KEY_LENGTH = 1024;

export class TransactionRun implements Transaction {
  readonly now: number;
  /** The revision at which each entry was read. */
  readonly reads = new Map<DataEntry, { readonly revision: number; readonly value: EncodedBody | null }>();
  readonly writes = new Map<DataEntry, EncodedBody | null>();
  readonly sends: EncodedBody[] = [];
  readonly #cache: DataCache;
  readonly #who: object;
  readonly #service: string;
  #over = false;
  #bytes = 0;

  /** @param who Whose uncommitted writes it goes on from. */
  constructor(cache: DataCache, who: object, service: string, now: number) {
    this.#cache = cache;
    this.#who = who;
    this.#service = service;
    this.now = now;
  }

  async get(key: DataKey): Promise<EncodedBody | null> {
    const entry = this.#entry(key);
    const written = this.writes.get(entry);
    if (written !== undefined) return written;
    return await this.read(entry, TRANSACTION_KEYS);
  }

  set(key: DataKey, value: EncodedBody | null): void {
    if (this.#over) return;
    if (value !== null && value.length > DATUM_BYTES) {
      throw new RangeError(`a value of ${value.length} bytes; at most ${DATUM_BYTES}`);
    }
    const entry = this.#entry(key);
    this.#bytes += (value?.length ?? 0) - (this.writes.get(entry)?.length ?? 0);
    if (this.#bytes > TRANSACTION_BYTES) {
      throw new RangeError(`a transaction writes at most ${TRANSACTION_BYTES} bytes`);
    }
    if (!this.writes.has(entry) && this.writes.size >= TRANSACTION_KEYS) {
      throw new RangeError(`a transaction writes at most ${TRANSACTION_KEYS} keys`);
    }
    this.writes.set(entry, value);
  }

  send(body: EncodedBody): void {
    if (!this.#over) this.sends.push(body);
  }

  /** Reads an entry, whatever it belongs to. */
  async read(entry: DataEntry, most: number): Promise<EncodedBody | null> {
    const seen = this.reads.get(entry);
    if (seen !== undefined) return seen.value;
    if (this.reads.size >= most) throw new RangeError(`a transaction reads at most ${most} keys`);
    const read = await this.#cache.read(entry, this.#who);
    this.reads.set(entry, read);
    return read.value;
  }

  /** Nothing that its function still does has an effect. */
  close(): void {
    this.#over = true;
  }

  /** Throws away what it would do; what it read still counts. */
  discard(): void {
    this.writes.clear();
    this.sends.length = 0;
  }

  /** True if all that it read is still so, and all that it writes is free to write. */
  get valid(): boolean {
    for (const [entry, { revision }] of this.reads) if (entry.revision !== revision) return false;
    for (const entry of this.writes.keys()) {
      if (entry.holder !== null && entry.holder !== this.#who) return false;
    }
    return true;
  }

  #entry(key: DataKey): DataEntry {
    let length = 0;
    for (const part of key) {
      if (typeof part === "string") {
        if (!part.isWellFormed()) throw new RangeError("a key's strings are Unicode without surrogates");
        length += part.length;
      } else length += 8;
    }
    if (key.length === 0 || length > KEY_LENGTH) {
      throw new RangeError(`a key has 1 part at least and at most ${KEY_LENGTH} characters`);
    }
    return this.#cache.entry(this.#service, key);
  }
}
