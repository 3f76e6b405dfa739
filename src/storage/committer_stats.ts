/** What a committer tells of its work. */

/** What was done since the start; each figure only grows. */
export interface CommitterStats {
  /** Atomics sent to the store, repetitions and staging included. */
  readonly atomics: number;
  /** Writes settled as committed. */
  readonly writes: number;
  /** Puts and deletes of those writes; what they staged is not included. */
  readonly mutations: number;
  /** Writes settled as conflicts. */
  readonly conflicts: number;
  /** Attempts that ended without an answer. */
  readonly unknown: number;
  /** Puts written ahead of the atomic that makes them reachable. */
  readonly stagedPuts: number;
}
