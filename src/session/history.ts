/** What happened to a session's attachment, for whoever looks into it: bounded, and kept with the session. */

import type { Reason } from "../protocol/reasons.ts";

/** How many entries are kept; the oldest go first. */
export const HISTORY_ENTRIES = 20;

/** Why a session has no conduit any more; `broke` when the conduit said nothing of it, `node-lost` when its node is gone. */
export type DetachReason = Reason | "broke" | "node-lost";

/** One thing that happened; `at` is in milliseconds since the Unix epoch. */
export type HistoryEntry =
  /** The first conduit of a new session, or the repeat of its `start`. */
  | { readonly kind: "attached"; readonly at: number; readonly node: string }
  /** A later conduit, and how many messages it was owed. */
  | { readonly kind: "resumed"; readonly at: number; readonly node: string; readonly replayed: number }
  | { readonly kind: "detached"; readonly at: number; readonly reason: DetachReason };

/** A session's history. The list is replaced and never changed, so that it can be told whether it is the stored one. */
export type History = readonly HistoryEntry[];

/** The one empty history. */
export const NO_HISTORY: History = [];

/** The history with one more entry. */
export function withEntry(history: History, entry: HistoryEntry): History {
  return [...history.slice(-(HISTORY_ENTRIES - 1)), entry];
}
