/**
 * The data of services, as one node's transactions see it: what is committed, and what this node has decided and not yet
 * committed.
 *
 * A key that an uncommitted write has is **held** by whoever wrote it (a session, or the like): its own further transactions
 * go on from that write, everybody else's wait until it is committed or void. Holders only ever wait for the store, so
 * nobody waits in a circle. What another node writes is found out by the version that a commit checks.
 */

import type { EncodedBody } from "../protocol/messages.ts";
import { pack, unpack } from "../protocol/pack.ts";
import { type Clock, sleepUntil } from "../system/clock.ts";
import { hashOf } from "../system/hash.ts";
import type { Random } from "../system/random.ts";
import { retryDelay } from "./commit_verdict.ts";
import { dataKey } from "./keys.ts";
import type { SessionStore, StoredEntry, StoreKey, Version } from "./session_store.ts";

/** Committed entries that are remembered, and what they may hold together, bytes. */
const REMEMBERED = 4_096;
const REMEMBERED_BYTES = 8 * 1024 * 1024;

/** Microtasks that one who was woken has to decide before the next one is woken too. */
const HAND_OVER_MICROTASKS = 512;

/** One key. */
export interface DataEntry {
  readonly key: StoreKey;
  readonly name: string;
  /** How long after it was written the store may drop it, milliseconds; undefined: never. */
  readonly expireIn: number | undefined;
  /** What is committed, as far as is known; `known` is false until it was read, or when it may be old. */
  known: boolean;
  value: EncodedBody | null;
  version: Version | null;
  /** What the holder has decided last. */
  pending: EncodedBody | null;
  holder: object | null;
  /** How many of the holder's transactions have written it. */
  holds: number;
  /** What is known may be old; that is found out when the holder commits, or has let go of it. */
  doubted: boolean;
  /** Raised whenever another value is seen here. */
  revision: number;
  /** The revision that the holder went on from. */
  base: number;
  loading: Promise<void> | null;
  waiters: Waiter[];
}

interface Waiter {
  readonly who: object;
  readonly wake: () => void;
}

/** What was read, and at which revision. */
export interface DataRead {
  readonly value: EncodedBody | null;
  readonly revision: number;
}

/** What reads take their time by. */
export interface DataCachePorts {
  readonly clock: Clock;
  readonly random: Random;
}

export class DataCache {
  readonly #store: Pick<SessionStore, "get">;
  readonly #ports: DataCachePorts;
  /** In the order of their last use. */
  readonly #entries = new Map<string, DataEntry>();
  /** The same by what services call them: a hash costs more than all the rest. */
  readonly #byParts = new Map<string, DataEntry>();
  #bytes = 0;

  constructor(store: Pick<SessionStore, "get">, ports: DataCachePorts) {
    this.#store = store;
    this.#ports = ports;
  }

  /** Entries in memory. */
  get size(): number {
    return this.#entries.size;
  }

  /** The entry of a service's key. */
  entry(service: string, parts: readonly (string | number | boolean)[]): DataEntry {
    let text = service;
    for (const part of parts) {
      text += typeof part === "string" ? `\n${part.length} ${part}` : `\n${typeof part} ${part}`;
    }
    const known = this.#byParts.get(text);
    if (known !== undefined && this.#entries.get(known.name) === known) {
      return this.entryAt(known.key, known.name);
    }
    const hash = hashOf(service, ...parts.map((part) => `${typeof part} ${String(part)}`));
    const entry = this.entryAt(dataKey(service, hash), hash);
    if (this.#byParts.size >= REMEMBERED) this.#byParts.clear();
    this.#byParts.set(text, entry);
    return entry;
  }

  /** The entry of any key whose value is a datum; `name` is the key's alone, and `expireIn` the same each time. */
  entryAt(key: StoreKey, name: string, expireIn?: number): DataEntry {
    const found = this.#entries.get(name);
    if (found !== undefined) {
      this.#entries.delete(name);
      this.#entries.set(name, found);
      return found;
    }
    const entry: DataEntry = {
      ...{ key, name, expireIn },
      ...{ known: false, value: null, version: null, pending: null, holder: null, holds: 0, doubted: false },
      ...{ revision: 0, base: 0, loading: null, waiters: [] },
    };
    this.#entries.set(name, entry);
    return entry;
  }

  /** What `who` may go on from: its own last write, or what is committed once nobody else holds the key. */
  async read(entry: DataEntry, who: object): Promise<DataRead> {
    for (;;) {
      if (entry.holder === who) return { value: entry.pending, revision: entry.revision };
      if (entry.holder !== null) await released(entry, who);
      else if (entry.known) return { value: entry.value, revision: entry.revision };
      else await this.#load(entry);
    }
  }

  /** Resolves when nobody but `who` holds the key. */
  async free(entry: DataEntry, who: object): Promise<void> {
    while (entry.holder !== null && entry.holder !== who) await released(entry, who);
  }

  /** `who` has decided on a value; nobody else may hold the key. */
  hold(entry: DataEntry, who: object, value: EncodedBody | null): void {
    if (entry.holder === null) entry.base = entry.revision;
    entry.holder = who;
    entry.holds++;
    entry.pending = value;
    entry.revision++;
  }

  /** A write of the holder's is committed, or void (`version` undefined); others go on with its last one. */
  letGo(
    entry: DataEntry,
    committed?: { readonly value: EncodedBody | null; readonly version: Version },
  ): void {
    if (committed !== undefined) {
      this.#remember(entry, committed);
      entry.doubted = false;
    }
    if (--entry.holds > 0) return;
    entry.holder = null;
    entry.pending = null;
    if (committed === undefined) entry.revision++;
    if (entry.doubted) this.doubt(entry);
    this.#handOver(entry);
    this.#trim();
  }

  /** Wakes whoever waited longest, and the others when nothing came of that: woken together all but one would wait again. */
  #handOver(entry: DataEntry): void {
    const [first] = entry.waiters;
    if (first === undefined) return;
    const woken = entry.waiters.filter(({ who }) => who === first.who);
    entry.waiters = entry.waiters.filter(({ who }) => who !== first.who);
    for (const { wake } of woken) wake();
    let left = HAND_OVER_MICROTASKS;
    const look = () => {
      if (entry.holder !== null || entry.waiters.length === 0) return;
      if (--left > 0) queueMicrotask(look);
      else this.#handOver(entry);
    };
    if (entry.waiters.length > 0) queueMicrotask(look);
  }

  /** The holder's last write is void, and this one of its, before it, is its last again. */
  restore(entry: DataEntry, value: EncodedBody | null): void {
    entry.pending = value;
    entry.revision++;
  }

  /**
   * What is known of a key may be old. Where somebody holds it, the commit of that must still be checked against it: what was
   * decided went on from it.
   */
  doubt(entry: DataEntry): void {
    entry.doubted = entry.holder !== null;
    if (entry.doubted) return;
    if (entry.known) this.#bytes -= entry.value?.length ?? 0;
    entry.known = false;
    entry.value = null;
    entry.version = null;
    entry.revision++;
  }

  #remember(entry: DataEntry, { value, version }: { value: EncodedBody | null; version: Version }): void {
    if (entry.known) this.#bytes -= entry.value?.length ?? 0;
    entry.known = true;
    entry.value = value;
    // A key that was removed has no version, whatever removed it.
    entry.version = value === null ? null : version;
    this.#bytes += value?.length ?? 0;
  }

  /** What the store holds, however long it takes to learn. */
  async get(keys: readonly StoreKey[]): Promise<(StoredEntry | null)[]> {
    const { clock, random } = this.#ports;
    for (let attempt = 0;; attempt++) {
      try {
        return await this.#store.get(keys);
      } catch {
        // Whoever waits has its commit to wait for, too, and its deadline.
        await sleepUntil(clock, clock.now() + retryDelay(attempt, random));
      }
    }
  }

  async #load(entry: DataEntry): Promise<void> {
    entry.loading ??= this.#fetch(entry).finally(() => entry.loading = null);
    await entry.loading;
  }

  async #fetch(entry: DataEntry): Promise<void> {
    const { revision } = entry;
    const [found] = await this.get([entry.key]);
    // Somebody decided on a value meanwhile, and may have committed it.
    if (entry.revision !== revision) return;
    const value = found === null || found === undefined ? null : decodeDatum(found.value);
    this.#remember(entry, { value, version: found?.version ?? "" });
    this.#trim();
  }

  #trim(): void {
    if (this.#entries.size <= REMEMBERED && this.#bytes <= REMEMBERED_BYTES) return;
    for (const [name, entry] of this.#entries) {
      if (this.#entries.size <= REMEMBERED && this.#bytes <= REMEMBERED_BYTES) return;
      if (entry.holder !== null || entry.loading !== null || entry.waiters.length > 0) continue;
      this.#entries.delete(name);
      this.doubt(entry);
    }
  }
}

/** The value of a key, as it is stored. */
export function encodeDatum(value: EncodedBody): Uint8Array {
  return pack([1, value]);
}

/** Reads {@link encodeDatum}. */
export function decodeDatum(bytes: Uint8Array): EncodedBody {
  const [layout, value] = unpack(bytes) as [number, EncodedBody];
  if (layout !== 1) throw new Error(`a datum has layout ${layout}, which this version cannot read`);
  return value;
}

function released(entry: DataEntry, who: object): Promise<void> {
  return new Promise((wake) => void entry.waiters.push({ who, wake }));
}
