/**
 * What the page shows beside its numbers, kept in `sessionStorage` across a reload.
 *
 * The numbers themselves are not kept here: `stream.ts` says where, and why.
 */

import { type History, newHistory } from "./history_state.ts";

/** Names the shape of what is kept: a page of another version does not find it, and begins anew. */
export const KEPT_AS = "holdfast.page.1";

const VIEW_ITEM = `${KEPT_AS}.view`;

/** What is shown and proves nothing. */
export interface View {
  readonly history: History;
  node: string | null;
  /** Messages per second. */
  rate: number;
  paused: boolean;
  /** Echoes per second of the clock (seconds since the Unix epoch), oldest first. */
  readonly echoes: { readonly second: number; count: number }[];
}

/** A view before anything happened. @param before Gives its rate and pause. */
export function newView(before?: View): View {
  const { rate, paused } = before ?? { rate: 20, paused: false };
  return { history: newHistory(), node: null, rate, paused, echoes: [] };
}

/** The view that this tab kept; null if there is none. */
export function loadView(storage: Storage): View | null {
  const text = storage.getItem(VIEW_ITEM);
  return text === null ? null : JSON.parse(text) as View;
}

/** Keeps the view in this tab. */
export function saveView(storage: Storage, view: View): void {
  storage.setItem(VIEW_ITEM, JSON.stringify(view));
}

/** Counts one echo for the timeline's bars. @param now Milliseconds since the Unix epoch. */
export function countEcho(view: View, now: number, keptSeconds: number): void {
  const second = Math.floor(now / 1_000);
  const last = view.echoes.at(-1);
  if (last?.second === second) last.count++;
  else view.echoes.push({ second, count: 1 });
  while ((view.echoes[0]?.second ?? second) < second - keptSeconds) view.echoes.shift();
}
