/**
 * The port to the shared, ordered, transactional store behind sessions.
 *
 * It is deliberately small: atomics with checks, point reads, ordered listing. What is kept under which key, and
 * what must go into one atomic, is decided above it (`keys.ts`, `committer.ts`), once for every implementation.
 */

/** A key: an ordered path. Strings from outside enter only hashed (`keys.ts`). */
export type StoreKey = readonly (string | number)[];

/** Identifies one committed write of a key; equal only for the same write. */
export type Version = string;

/** What a key holds. */
export interface StoredEntry {
  readonly key: StoreKey;
  readonly value: Uint8Array;
  readonly version: Version;
}

/** One condition of an atomic: the key still has this version; `null`: the key is absent. */
export interface Check {
  readonly key: StoreKey;
  readonly version: Version | null;
}

/** One write of an atomic. */
export interface Put {
  readonly key: StoreKey;
  readonly value: Uint8Array;
  /** Milliseconds after which the store may drop the key: a backstop for garbage, never a decision. */
  readonly expireIn?: number;
}

/** All of it happens at once, or nothing does. */
export interface Atomic {
  readonly checks: readonly Check[];
  readonly puts: readonly Put[];
  readonly deletes: readonly StoreKey[];
}

/** What became of an atomic. A promise that rejects means: unknown, it may have been or may yet be applied. */
export type AtomicResult =
  | { readonly ok: true; readonly version: Version }
  | { readonly ok: false };

/** What one atomic may hold; the committer packs by it. */
export interface StoreLimits {
  readonly checks: number;
  readonly mutations: number;
  /** Keys and values of one atomic together. */
  readonly atomicBytes: number;
  readonly valueBytes: number;
  /** Atomics that are worth having under way at once. */
  readonly concurrency: number;
}

/** A range of keys: those that begin with `prefix`, from `start` (inclusive) to `end` (exclusive) if given. */
export interface Range {
  readonly prefix: StoreKey;
  readonly start?: StoreKey;
  readonly end?: StoreKey;
}

/**
 * Obligations of an implementation:
 * - `atomic` is all or nothing, and checks compare the versions at the moment it is applied; all keys one atomic wrote
 *   share its version; versions never repeat for a key;
 * - `get` and `list` see every atomic that was reported committed before they were called (read your writes, across nodes);
 * - one `get` of several keys, and one `list`, may see different moments: a reader that needs one moment commits with checks;
 * - keys order by their parts, numbers by value, strings by their bytes; no two keys mix the kinds at one place;
 * - an entry whose `expireIn` has passed may still be read;
 * - what the store does not answer, or cannot be asked, rejects with {@link StoreUnanswered}; other errors are defects;
 * - an atomic beyond `limits` is refused with {@link StoreLimitExceeded} before anything is written.
 */
export interface SessionStore {
  readonly limits: StoreLimits;
  atomic(atomic: Atomic): Promise<AtomicResult>;
  get(keys: readonly StoreKey[]): Promise<(StoredEntry | null)[]>;
  /** At most `limit` entries of a range, in order (`reverse`: from its end). */
  list(range: Range, options: { readonly limit: number; readonly reverse?: boolean }): Promise<StoredEntry[]>;
  close(): void;
}

/** An atomic was larger than the store takes. A programming error: the committer packs below the limits. */
export class StoreLimitExceeded extends Error {
  override readonly name = "StoreLimitExceeded";
}

/** The store gave no answer, or could not be reached. What an atomic was to do may be done, or may yet be done. */
export class StoreUnanswered extends Error {
  override readonly name = "StoreUnanswered";
}
