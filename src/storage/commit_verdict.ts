/** What the store shows about one write of an atomic that was reported as failed. */

import { fraction, type Random } from "../system/random.ts";
import type { SessionWrite } from "./committer.ts";
import type { StoredEntry, StoreKey, Version } from "./session_store.ts";

const FIRST_DELAY_MS = 50;
const LONGEST_DELAY_MS = 1_000;

/** How to go on with a write after its atomic failed its checks. */
export type Verdict =
  /** The core holds exactly what was written: the failure was that of a repetition. */
  | { readonly kind: "committed"; readonly version: Version }
  /** All of its checks hold: another write of the same atomic failed. */
  | { readonly kind: "innocent" }
  /** A check of its own fails while the core is as it was: the atomic was not applied. */
  | { readonly kind: "refuted" }
  /** Somebody else wrote the core: before this write, which then was not applied, or after it. */
  | { readonly kind: "overwritten" };

/** @returns The keys that {@link judge} wants read for a write, in its order. */
export function evidenceKeys(write: SessionWrite): StoreKey[] {
  return [write.core.key, ...write.checks.map((check) => check.key)];
}

/** @param found What {@link evidenceKeys} hold, read after the atomic was reported as failed. */
export function judge(write: SessionWrite, found: readonly (StoredEntry | null)[]): Verdict {
  const core = found[0] ?? null;
  if ((core?.version ?? null) !== write.core.version) {
    return core !== null && sameBytes(core.value, write.core.value)
      ? { kind: "committed", version: core.version }
      : { kind: "overwritten" };
  }
  const holds = write.checks.every((check, index) => (found[index + 1]?.version ?? null) === check.version);
  return holds ? { kind: "innocent" } : { kind: "refuted" };
}

/**
 * How long to wait before something is tried again.
 *
 * @param attempt 0 after the first failure.
 * @returns Milliseconds: 50 doubled per attempt up to 1,000, of which the upper half is random.
 */
export function retryDelay(attempt: number, random: Random): number {
  const longest = Math.min(LONGEST_DELAY_MS, FIRST_DELAY_MS * 2 ** Math.min(attempt, 10));
  return longest * (0.5 + 0.5 * fraction(random));
}

function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.byteLength === b.byteLength && a.every((byte, index) => byte === b[index]);
}
