/** The part of the session machine that numbers what leaves and ends what must end. */

import { DETAIL_CHARACTERS } from "../protocol/limits.ts";
import type { SessionPayload } from "../protocol/messages.ts";
import { closeCode, type ConnectionReason, type Reason } from "../protocol/reasons.ts";
import { type Violation, violation } from "../protocol/rules.ts";
import { enqueue, retainedCost } from "./delivery_state.ts";
import { connectionChanged, type SessionEffect, type SessionState } from "./session_model.ts";
import { dropWorkOf } from "./work_state.ts";

/**
 * Unacked control replies (accept, reject, end, response) may exceed `storedBytes` by this much.
 *
 * A client that takes its messages acks them for the commit alone (`delivery.ack-free`), so only one that does not can
 * reach it.
 */
const CONTROL_RESERVE_BYTES = 64 * 1024;

/** A WebSocket's normal closure: the client asked for the end and it is done. */
const NORMAL_CLOSURE = 1000;

const OVERLOADED = "overloaded" satisfies ConnectionReason;

/** Numbers a message and keeps it until it is acked. Every session message of the server leaves through here. */
export function emit(
  state: SessionState,
  payload: SessionPayload,
  now: number,
  effects: SessionEffect[],
): void {
  enqueue(state.delivery, payload);
  state.changes++;
  state.movedAt = now;
  if (payload.kind === "reject") effects.push({ kind: "connection_refused", reason: payload.reason });
  else if (payload.kind === "end" && payload.reason === OVERLOADED) {
    effects.push({ kind: "connection_refused", reason: OVERLOADED });
  }
  const most = state.settings.limits.storedBytes + CONTROL_RESERVE_BYTES;
  if (retainedCost(state.delivery) > most) {
    violated(state, violation("delivery.bounded", `more than ${most} bytes are unacked`), now, effects);
  }
}

/** The peer broke a rule: the session ends and says which (`end.protocol`). */
export function violated(
  state: SessionState,
  broken: Violation,
  now: number,
  effects: SessionEffect[],
): void {
  effects.push({ kind: "violated", violation: broken });
  endSession(state, "protocol-error", `${broken.rule}: ${broken.detail}`, now, effects);
}

/** Ends the session. The client is told at once, except of what it asked for itself: that is confirmed when committed. */
export function endSession(
  state: SessionState,
  reason: Reason,
  detail: string,
  now: number,
  effects: SessionEffect[],
): void {
  if (state.ended !== null) return;
  // A client's own words may be longer than what may be told of them later, and could be cut within a character.
  detail = detail.slice(0, DETAIL_CHARACTERS).toWellFormed();
  state.ended = { reason, detail, at: now };
  state.changes++;
  for (const { id, service } of state.mux.connections.values()) {
    effects.push({ kind: "connection_ended", connection: id, service, reason, detail });
  }
  if (reason !== "closed") tellEnd(state, effects);
  effects.push({ kind: "ended", reason, detail });
}

/** Confirms an end that the client asked for: the closing frame says that it is committed. */
export function confirmEnd(state: SessionState, effects: SessionEffect[]): void {
  for (const conduit of conduitsOf(state)) {
    effects.push({ kind: "close_conduit", conduit, code: NORMAL_CLOSURE, reason: "closed" });
  }
  state.attached = state.attaching = null;
}

/** A connection is gone: its record goes with the next commit, and its service hears of it. */
export function connectionGone(
  state: SessionState,
  connection: number,
  { service, reason, detail }: { readonly service: string; readonly reason: string; readonly detail: string },
  effects: SessionEffect[],
): void {
  connectionChanged(state, connection);
  state.bound.delete(connection);
  dropWorkOf(state, connection);
  effects.push({ kind: "connection_ended", connection, service, reason, detail });
}

function tellEnd(state: SessionState, effects: SessionEffect[]): void {
  const { reason, detail } = state.ended!;
  const { attached, attaching } = state;
  if (attached !== null) {
    const { conduit } = attached;
    effects.push({ kind: "send", conduit, message: { kind: "close", reason, detail } });
    effects.push({ kind: "close_conduit", conduit, code: closeCode(reason), reason });
  }
  if (attaching !== null) effects.push({ kind: "refuse", conduit: attaching.conduit, reason, detail });
  state.attached = state.attaching = null;
}

function conduitsOf(state: SessionState): number[] {
  const conduits: number[] = [];
  if (state.attached !== null) conduits.push(state.attached.conduit);
  if (state.attaching !== null && !state.attaching.lost) conduits.push(state.attaching.conduit);
  return conduits;
}
