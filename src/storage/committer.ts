/**
 * Group commit: what many sessions have to write goes into few atomics.
 *
 * A session that has something to write asks for a commit; when the committer is free it takes all that is waiting
 * and each session is asked once what it wants to write *by then*. Under no load one message commits at once; under
 * load batches grow by themselves.
 */

import { delayBefore } from "./commit_backoff.ts";
import {
  type Atomic,
  type Check,
  type Put,
  type SessionStore,
  type StoredEntry,
  type StoreKey,
  StoreLimitExceeded,
  type Version,
} from "./session_store.ts";
import { addCheck, addDelete, addPut, addWeight, assertFits, fits, noWeight, type Weight } from "./stored_size.ts";
import type { Log } from "../observe/log.ts";
import type { Clock } from "../system/clock.ts";
import type { Random } from "../system/random.ts";

/** All that one session wants committed at once. Never split; never repeated with other content. */
export interface SessionWrite {
  /** The core (or its tombstone): the version it must still have (`null`: absent), and its new value, never equal to an older one. */
  readonly core: { readonly key: StoreKey; readonly version: Version | null; readonly value: Uint8Array; readonly expireIn?: number };
  /** Further conditions, for instance that a challenge is unknown. */
  readonly checks: readonly Check[];
  readonly puts: readonly Put[];
  readonly deletes: readonly StoreKey[];
  /** Values too large to fit the atomic: written before it, under keys nothing else ever writes, unreachable until the core names them. */
  readonly staged: readonly Put[];
}

/** What became of a {@link SessionWrite}; unknown outcomes are resolved before a session hears of one. */
export type CommitOutcome =
  | { readonly kind: "committed"; readonly version: Version }
  /** A check failed: somebody else wrote. What the session holds in memory is worth nothing; it is read again. */
  | { readonly kind: "conflict" };

/** A session, as the committer sees it. */
export interface CommitSource {
  /** Called once for each `request`, when the commit is assembled. `null`: nothing to write after all. */
  prepare(): SessionWrite | null;
  /** Called once for each write that `prepare` gave. Until then the source is not asked again. */
  settle(outcome: CommitOutcome): void;
}
