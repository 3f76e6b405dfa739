/** The part of the client's machine that gives restored calls back to whoever makes the same call again. */

import type { EncodedBody } from "../protocol/messages.ts";
import { drop } from "./client_call_ending_state.ts";
import type { CallWords } from "./client_call_model.ts";
import type { ClientEffect } from "./client_events.ts";
import type { ClientState } from "./client_model.ts";
import { size } from "./fifo.ts";

/** How long a restored call waits to be asked for, milliseconds. */
export const CLAIM_MS = 60_000;

/** A restored call that nobody asked for yet and that is the same as one that is made now; null if there is none. */
export function restoredCall(state: ClientState, id: number, words: CallWords): number | null {
  if (state.unclaimed === 0) return null;
  const service = state.connections.get(id)?.service;
  for (const call of state.calls.values()) {
    if (call.claimed || call.method !== words.method || call.shape !== words.shape) continue;
    if (call.operation !== words.operation || call.body === null || !isEqual(call.body, words.body)) continue;
    if (call.connection === id) return call.key;
    if (call.service === service && state.connections.get(call.connection)?.hidden === true) return call.key;
  }
  return null;
}

export function claim(state: ClientState, key: number, effects: ClientEffect[]): void {
  const call = state.calls.get(key);
  if (call === undefined || call.claimed) return;
  call.claimed = true;
  state.unclaimed--;
  state.changes++;
  if (call.outcome === null) {
    if (call.items !== null && size(call.items) > 0) effects.push({ kind: "item_arrived", call: key });
    return;
  }
  const { ok, body } = call.outcome;
  effects.push({ kind: "call_over", call: key, ok, body });
  if (call.items === null) drop(state, call);
}

/** From now on restored calls wait to be asked for. */
export function awaitClaims(state: ClientState, now: number): void {
  for (const call of state.calls.values()) watchDeadline(state, Math.min(call.deadline, call.retryAt));
  if (state.unclaimed === 0) return;
  state.claimUntil = now + CLAIM_MS;
  watchDeadline(state, state.claimUntil);
}

/** The calls are looked at then, if nothing of them is due before. */
export function watchDeadline(state: ClientState, at: number): void {
  if (at < state.callsDueAt) state.callsDueAt = at;
}

function isEqual(a: EncodedBody, b: EncodedBody): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}
