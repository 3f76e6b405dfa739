/** The part of the session machine that services drive: what each of their actions does. */

import * as mux from "../connection/mux_state.ts";
import { relay } from "../connection/relay_state.ts";
import { VOLATILE_PENDING } from "../protocol/limits.ts";
import type { EncodedBody, SessionPayload } from "../protocol/messages.ts";
import { hasRoom } from "./delivery_state.ts";
import { answerCall } from "./session_call_state.ts";
import { connectionGone, emit } from "./session_ending_state.ts";
import {
  connectionChanged,
  type ServiceAction,
  type SessionEffect,
  type SessionState,
} from "./session_model.ts";
import {
  addWork,
  bind,
  dropWork,
  dropWorkOf,
  growWork,
  hasRoomFor,
  heldBy,
  KEPT_BYTES,
  setHeld,
  WAITING_BYTES,
} from "./work_state.ts";

/** What an item or a message costs beside its body, at most. */
export const HEADER_BYTES = 64;

/**
 * What a service does on one of the session's connections. On a connection that is gone it does nothing.
 *
 * @param storedBytes What the session may retain just now; its own limit holds as well.
 */
export function serviceActed(
  state: SessionState,
  action: ServiceAction,
  now: number,
  effects: SessionEffect[],
  storedBytes = Infinity,
): void {
  const { connection: id } = action;
  const connection = state.mux.connections.get(id);
  const say = (payload: SessionPayload | null) => {
    if (payload === null) return;
    connectionChanged(state, id);
    emit(state, payload, now, effects);
  };
  switch (action.do) {
    case "send":
      return send(state, id, action.body, now, effects, storedBytes);
    case "send_volatile": {
      if (state.attached === null || connection?.phase !== "open" || connection.ending !== null) return;
      if (state.volatile.filter((pending) => pending.connection === id).length >= VOLATILE_PENDING) return;
      state.volatile.push({
        connection: id,
        message: { kind: "volatile", connection: id, body: action.body },
      });
      return;
    }
    case "accept": {
      const { do: _, connection: __, ...opening } = action;
      for (const payload of mux.accept(state.mux, id, opening)) say(payload);
      return;
    }
    case "reject": {
      // Its service said so itself: nobody else has to hear of it.
      dropWorkOf(state, id);
      return say(mux.reject(state.mux, id, action.reason, action.detail));
    }
    case "end": {
      if (connection === undefined) return;
      const { reason, detail } = connection.ending ?? { reason: "", detail: "", ...action };
      const payload = mux.end(state.mux, id, action.reason, action.detail);
      state.changes++;
      connectionGone(state, id, { service: connection.service, reason, detail }, effects);
      return say(payload);
    }
    case "hold":
      if (connection === undefined) return;
      if (!addWork(state, action.seq, id, action.body, null)) {
        return overloaded(state, id, "more waits to be handled than the session may hold", now, effects);
      }
      connection.held = [...connection.held, action.seq];
      return changed(state, id);
    case "handled":
      if (connection === undefined) return;
      if (action.seq !== null) {
        connection.held = connection.held.filter((seq) => seq !== action.seq);
        dropWork(state, action.seq);
        changed(state, id);
        if (connection.ending !== null && connection.held.length + connection.unsettled === 0) {
          return serviceActed(state, { do: "end", connection: id }, now, effects);
        }
      } else if (connection.receiving !== null) changed(state, id);
      return say(mux.consumeMessage(state.mux, id));
    case "respond":
      return answerCall(state, id, action.request, action, now, effects);
    case "item":
      return say(
        maySendItem(state, id, action.channel, action.body.length)
          ? mux.sendItem(state.mux, id, action.channel, action.body)
          : null,
      );
    case "consume": {
      if (connection === undefined) return;
      const call = connection.calls?.incoming.get(action.request);
      if (call !== undefined) growWork(state, call.seq, -action.bytes);
      changed(state, id);
      return say(mux.consumeItems(state.mux, id, action.channel));
    }
    case "keep":
      if (connection === undefined) return;
      if (action.value.length > KEPT_BYTES || !hasRoomFor(state, action.value.length, storedBytes)) {
        return overloaded(state, id, "more is kept than the session may hold", now, effects);
      }
      connection.kept = action.value;
      connection.keptVersion++;
      setHeld(state, id, heldBy(connection));
      return changed(state, id);
    case "bind":
      if (connection === undefined || connection.lostWith === action.reason) return;
      connection.lostWith = action.reason.toWellFormed();
      bind(state, id);
      return changed(state, id);
    case "open": {
      const payload = mux.open(state.mux, action.service, action.opening);
      connectionChanged(state, payload.connection);
      return emit(state, payload, now, effects);
    }
    case "call": {
      if (!mux.mayCall(state.mux, id)) return;
      const { method, body, timeout } = action;
      return say(mux.call(state.mux, id, method, body, timeout === undefined ? {} : { timeout }).payload);
    }
    case "cancel":
      return say(mux.cancel(state.mux, id, action.request));
    case "relay_on":
      if (connection !== undefined) connection.relayed = true;
      return;
    case "relay":
      for (const payload of relay(state.mux, action.payload)) say(payload);
      return;
    default:
      return action satisfies never;
  }
}

/** True if an item may be sent on a channel now: there is credit, and the client takes it. */
export function maySendItem(state: SessionState, id: number, channel: number, bytes: number): boolean {
  return mux.hasCredit(state.mux, id, channel) && hasRoom(state.delivery, bytes + HEADER_BYTES);
}

/** True while plain messages that are sent on a connection now go out without piling up. */
export function isWritable(state: SessionState, id: number): boolean {
  const connection = state.mux.connections.get(id);
  if (connection === undefined || connection.phase !== "open" || connection.waiting.length > 0) return false;
  if (connection.sending !== null && connection.sending.credit <= 0) return false;
  const { messages, bytes } = state.delivery.peerWindow;
  const unacked = state.delivery.sent - state.delivery.acked;
  return unacked * 2 < messages && state.delivery.retainedBytes * 2 < bytes;
}

/** Sends what waited for credit on a connection. */
export function flushWaiting(state: SessionState, id: number, now: number, effects: SessionEffect[]): void {
  const connection = state.mux.connections.get(id);
  if (connection === undefined || connection.waiting.length === 0) return;
  let sent = 0;
  while (sent < connection.waiting.length && mux.maySend(state.mux, id)) {
    emit(state, { kind: "message", connection: id, body: connection.waiting[sent++]! }, now, effects);
  }
  connection.waiting = connection.waiting.slice(sent);
  setHeld(state, id, heldBy(connection));
  changed(state, id);
}

function send(
  state: SessionState,
  id: number,
  body: EncodedBody,
  now: number,
  effects: SessionEffect[],
  storedBytes: number,
): void {
  const connection = state.mux.connections.get(id);
  if (connection === undefined || connection.phase === "offered" || connection.ending !== null) return;
  if (!hasRoomFor(state, body.length, storedBytes)) {
    const most = Math.min(state.settings.limits.storedBytes, storedBytes);
    return overloaded(state, id, `more than ${most} bytes wait for the client`, now, effects);
  }
  if (connection.waiting.length === 0 && mux.maySend(state.mux, id)) {
    if (connection.sending !== null) connectionChanged(state, id);
    return emit(state, { kind: "message", connection: id, body }, now, effects);
  }
  const bytes = connection.waiting.reduce((sum, each) => sum + each.length, body.length);
  if (bytes > WAITING_BYTES) {
    return overloaded(
      state,
      id,
      `more than ${WAITING_BYTES} bytes wait for the client's credit`,
      now,
      effects,
    );
  }
  connection.waiting = [...connection.waiting, body];
  setHeld(state, id, heldBy(connection));
  changed(state, id);
}

function overloaded(
  state: SessionState,
  connection: number,
  why: string,
  now: number,
  effects: SessionEffect[],
): void {
  const ending = { reason: "overloaded", detail: `${why} (delivery.bounded)` };
  const found = state.mux.connections.get(connection);
  if (found?.phase !== "offered") {
    return serviceActed(state, { do: "end", connection, ...ending }, now, effects);
  }
  serviceActed(state, { do: "reject", connection, ...ending }, now, effects);
  connectionGone(state, connection, { service: found.service, ...ending }, effects);
}

function changed(state: SessionState, connection: number): void {
  connectionChanged(state, connection);
  state.changes++;
}
