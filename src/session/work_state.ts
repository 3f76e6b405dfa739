/**
 * Accepted work: what was taken from the client and is not done (`architecture.md`, accepted work), and what connections
 * hold beside it. It is bounded together with what waits for the client (`delivery.bounded`).
 */

import type { CallWords } from "../connection/connection_record.ts";
import type { ConnectionState } from "../connection/mux_model.ts";
import type { EncodedBody } from "../protocol/messages.ts";
import { retainedCost } from "./delivery_state.ts";
import { NO_WORK, NONE_BOUND, NOTHING_HELD, type SessionState, type Work } from "./session_model.ts";

/** Pieces of work that one session may have at once, which bounds what they cost beside their bodies. */
export const MOST_WORK = 1024;

/** The most that one connection keeps (`keep`), bytes. */
export const KEPT_BYTES = 32 * 1024;

/** Messages of one connection that may wait for the client's credit, bytes: they are in its record. */
export const WAITING_BYTES = 16 * 1024;

/** True if the session may hold so many more bytes; `storedBytes`: what its node has room for. */
export function hasRoomFor(state: SessionState, bytes: number, storedBytes = Infinity): boolean {
  const most = Math.min(state.settings.limits.storedBytes, storedBytes);
  return retainedCost(state.delivery) + state.heldBytes + bytes <= most;
}

/** Takes a message or a call as work. @returns False where the session holds too much already. */
export function addWork(
  state: SessionState,
  seq: number,
  connection: number,
  body: EncodedBody,
  call: CallWords | null,
  stored = false,
): boolean {
  const bytes = body.length + (call === null ? 0 : wordsBytes(call));
  if (state.work.size >= MOST_WORK || !hasRoomFor(state, bytes)) return false;
  // An ephemeral session keeps nothing that would outlive its handler.
  const kept = state.settings.durability === "durable" ? body : NOTHING;
  ownWork(state).set(seq, { seq, connection, body: kept, stored, bytes, call });
  state.heldBytes += bytes;
  return true;
}

/** A piece of work holds so many more bytes of items that its handler has not taken, or fewer. @returns As for {@link addWork}. */
export function growWork(state: SessionState, seq: number, bytes: number): boolean {
  const work = state.work.get(seq);
  if (work === undefined) return true;
  if (bytes > 0 && !hasRoomFor(state, bytes)) return false;
  work.bytes += bytes;
  state.heldBytes += bytes;
  return true;
}

/** A piece of work is in the store, and with whoever handles it. */
export function workStored(work: Work): void {
  work.stored = true;
  work.body = NOTHING;
}

/** A piece of work is done, or nobody wants it any more. */
export function dropWork(state: SessionState, seq: number): void {
  const work = state.work.get(seq);
  if (work === undefined) return;
  state.work.delete(seq);
  state.heldBytes -= work.bytes;
}

/** Puts work back that was taken for done by mistake. */
export function restoreWork(state: SessionState, work: Work): void {
  ownWork(state).set(work.seq, work);
  state.heldBytes += work.bytes;
}

/** A connection ends when this process loses the session. */
export function bind(state: SessionState, connection: number): void {
  if (state.bound === NONE_BOUND) state.bound = new Set();
  state.bound.add(connection);
}

function ownWork(state: SessionState): Map<number, Work> {
  if (state.work === NO_WORK) state.work = new Map();
  return state.work;
}

/** A connection is gone: so is its work, and what it held. */
export function dropWorkOf(state: SessionState, connection: number): void {
  for (const { seq, connection: owner } of state.work.values()) {
    if (owner === connection) dropWork(state, seq);
  }
  setHeld(state, connection, 0);
}

/** A connection's calls are over; its messages are not. */
export function dropCallsOf(state: SessionState, connection: number): void {
  for (const { seq, connection: owner, call } of state.work.values()) {
    if (owner === connection && call !== null) dropWork(state, seq);
  }
}

/** What a connection keeps and has waiting costs so many bytes now. */
export function setHeld(state: SessionState, connection: number, bytes: number): void {
  state.heldBytes += bytes - (state.heldOf.get(connection) ?? 0);
  if (bytes === 0) state.heldOf.delete(connection);
  else {
    if (state.heldOf === NOTHING_HELD) state.heldOf = new Map();
    state.heldOf.set(connection, bytes);
  }
}

/** What a connection holds beside its work, bytes. */
export function heldBy({ kept, waiting }: ConnectionState): number {
  return waiting.reduce((sum, body) => sum + body.length, kept?.length ?? 0);
}

function wordsBytes({ method, operation, metadata }: CallWords): number {
  let bytes = method.length + (operation?.length ?? 0);
  for (const name in metadata) bytes += name.length + metadata[name]!.length;
  // Characters of a string take up to three bytes.
  return 3 * bytes;
}

const NOTHING = new Uint8Array(0);
