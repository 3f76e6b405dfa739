/** The {@link SessionStore} over Deno KV: SQLite in a file or in memory, KV Connect, or the database bound on Deno Deploy. */

import { dirname } from "node:path";
import { type Clock, sleepUntil } from "../system/clock.ts";
import {
  type Atomic,
  type AtomicResult,
  type Range,
  type SessionStore,
  type StoredEntry,
  type StoreKey,
  type StoreLimits,
  StoreUnanswered,
} from "./session_store.ts";
import { assertAtomicFits } from "./stored_size.ts";

/** Deno KV reads at most this many keys at once. */
const READ_CHUNK = 10;
/** Entries fetched at once by a listing. */
const LIST_BATCH = 100;
/** A server of KV Connect that is silent for so long (ms) is not waited for: the outcome is unknown. */
const REMOTE_DEADLINE = 10_000;
/** How long (ms) an opener waits for the process before it to let go of the file. */
const LOCK_PATIENCE = 5_000;
const LOCK_INTERVAL = 100;

/**
 * Headroom: Deno KV takes 1,000 mutations and 819,200 bytes, of which it counts a key that is put twice. As all keys
 * of one atomic are within 81,920 bytes, that much is left free.
 */
const SQLITE_LIMITS: StoreLimits = {
  checks: 100,
  mutations: 900,
  atomicBytes: 819_200 - 81_920,
  valueBytes: 65_536,
  concurrency: 2,
};

const REMOTE_LIMITS: StoreLimits = { ...SQLITE_LIMITS, checks: 10, concurrency: 8 };

/** The store could not be opened; the message says what to do. */
export class StoreUnavailable extends Error {
  override readonly name = "StoreUnavailable";
}

/**
 * Opens Deno KV.
 *
 * A file is opened by one process at a time, since two that write one SQLite file fail each other at random and do not
 * see each other's changes in time. A lock on `<path>.lock` makes sure of it; the system drops it with the process,
 * however that ends. Several processes share a server of KV Connect instead.
 *
 * @param location A path (its directory is created), `:memory:`, the http or https URL of a server of KV Connect (its
 * token is in the environment as `DENO_KV_ACCESS_TOKEN`), or `undefined`: the database bound on Deno Deploy.
 * @throws StoreUnavailable if another process has the file open and does not let go within 5 seconds.
 */
export async function openKvSessionStore(
  location: string | undefined,
  ports: { readonly clock: Clock },
): Promise<SessionStore> {
  if (location === undefined || /^https?:\/\//.test(location)) {
    return new KvSessionStore(await Deno.openKv(location), REMOTE_LIMITS, ports.clock);
  }
  if (location === ":memory:") return new KvSessionStore(await Deno.openKv(location), SQLITE_LIMITS);
  await Deno.mkdir(dirname(location), { recursive: true });
  const lock = await lockFile(`${location}.lock`, location, ports.clock);
  try {
    return new KvSessionStore(await Deno.openKv(location), SQLITE_LIMITS, undefined, lock);
  } catch (error) {
    lock.close();
    throw error;
  }
}

async function lockFile(path: string, location: string, clock: Clock): Promise<Deno.FsFile> {
  const file = await Deno.open(path, { create: true, write: true });
  try {
    if (await locked(file, clock)) return file;
    throw new StoreUnavailable(
      `${location} is open in another process; stop that one, use another path, or share it through a KV Connect server`,
    );
  } catch (error) {
    file.close();
    throw error;
  }
}

/** @returns False if another process does not let go in time. */
async function locked(file: Deno.FsFile, clock: Clock): Promise<boolean> {
  const until = clock.now() + LOCK_PATIENCE;
  const { tryLock } = file as Partial<Pick<Deno.FsFile, "tryLock">>;
  // Deno 2.5 cannot try. One that waits in vain keeps a thread until the process ends, which is what follows.
  if (tryLock === undefined) {
    let cancel = () => {};
    const late = new Promise<boolean>((resolve) => cancel = clock.wakeAt(until, () => resolve(false)));
    return await Promise.race([file.lock(true).then(() => true), late]).finally(cancel);
  }
  while (!await file.tryLock(true)) {
    if (clock.now() >= until) return false;
    await sleepUntil(clock, clock.now() + LOCK_INTERVAL);
  }
  return true;
}

class KvSessionStore implements SessionStore {
  readonly limits: StoreLimits;
  readonly #kv: Deno.Kv;
  /** Where calls have a deadline. */
  readonly #clock: Clock | undefined;
  readonly #lock: Deno.FsFile | undefined;

  constructor(kv: Deno.Kv, limits: StoreLimits, clock?: Clock, lock?: Deno.FsFile) {
    this.limits = limits;
    this.#kv = kv;
    this.#clock = clock;
    this.#lock = lock;
  }

  async atomic(atomic: Atomic): Promise<AtomicResult> {
    assertAtomicFits(atomic, this.limits);
    const operation = this.#kv.atomic();
    for (const check of atomic.checks) operation.check({ key: check.key, versionstamp: check.version });
    for (const put of atomic.puts) {
      if (put.expireIn === undefined) operation.set(put.key, put.value);
      else operation.set(put.key, put.value, { expireIn: put.expireIn });
    }
    for (const key of atomic.deletes) operation.delete(key);
    const result = await this.#answered(operation.commit());
    return result.ok ? { ok: true, version: result.versionstamp } : { ok: false };
  }

  async get(keys: readonly StoreKey[]): Promise<(StoredEntry | null)[]> {
    const chunks: Promise<Deno.KvEntryMaybe<unknown>[]>[] = [];
    for (let from = 0; from < keys.length; from += READ_CHUNK) {
      chunks.push(this.#kv.getMany(keys.slice(from, from + READ_CHUNK)));
    }
    const entries = await this.#answered(Promise.all(chunks));
    return entries.flat().map((entry) => entry.versionstamp === null ? null : storedEntry(entry));
  }

  async list(
    range: Range,
    options: { readonly limit: number; readonly reverse?: boolean },
  ): Promise<StoredEntry[]> {
    if (options.limit <= 0) return [];
    const entries = this.#kv.list(selectorOf(range), {
      limit: options.limit,
      reverse: options.reverse === true,
      batchSize: Math.min(options.limit, LIST_BATCH),
    });
    const listed: StoredEntry[] = [];
    for (;;) {
      const next = await this.#answered(entries.next());
      if (next.done === true) return listed;
      listed.push(storedEntry(next.value));
    }
  }

  close(): void {
    this.#kv.close();
    this.#lock?.close();
  }

  /** Rejects at the deadline, if there is one; what was asked may happen nevertheless. */
  #answered<T>(answer: Promise<T>): Promise<T> {
    const known = answer.catch((error: unknown) => {
      throw unanswered(error);
    });
    const clock = this.#clock;
    if (clock === undefined) return known;
    return new Promise((resolve, reject) => {
      const cancel = clock.wakeAt(clock.now() + REMOTE_DEADLINE, () => {
        reject(new StoreUnanswered(`the store gave no answer within ${REMOTE_DEADLINE} ms`));
      });
      known.then(resolve, reject).finally(cancel);
    });
  }
}

/** A TypeError is about what Deno KV was asked, which is a defect; every other failure is of the store. */
function unanswered(error: unknown): unknown {
  if (error instanceof TypeError) return error;
  const message = error instanceof Error ? error.message : String(error);
  return new StoreUnanswered(`the store failed: ${message}`, { cause: error });
}

/** Deno KV takes a prefix with one bound, or two bounds. */
function selectorOf(range: Range): Deno.KvListSelector {
  const { prefix, start, end } = range;
  if (start !== undefined && end !== undefined) return { start, end };
  if (start !== undefined) return { prefix, start };
  if (end !== undefined) return { prefix, end };
  return { prefix };
}

/** @throws TypeError for a value that this store did not write. */
function storedEntry(entry: { key: Deno.KvKey; value: unknown; versionstamp: string }): StoredEntry {
  if (!(entry.value instanceof Uint8Array)) {
    throw new TypeError(`the value of a ${JSON.stringify(String(entry.key[0]))} key is not bytes`);
  }
  return { key: entry.key.map(keyPart), value: entry.value, version: entry.versionstamp };
}

function keyPart(part: Deno.KvKeyPart): string | number {
  if (typeof part === "string" || typeof part === "number") return part;
  throw new TypeError(`a key holds a part of type ${typeof part}; keys here hold strings and numbers`);
}
