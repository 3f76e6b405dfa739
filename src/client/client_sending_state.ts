/** The part of the client's machine that numbers what leaves, and keeps what must wait, in order. */

import * as mux from "../connection/mux_state.ts";
import { VOLATILE_PENDING } from "../protocol/limits.ts";
import type { EncodedBody, SessionPayload } from "../protocol/messages.ts";
import { enqueue, hasRoom } from "../session/delivery_state.ts";
import type {
  ClientConnection,
  ClientEffect,
  ClientEvent,
  ClientState,
  ConnectionEnding,
  Waiting,
} from "./client_model.ts";
import { fifo, first, last, shift, size } from "./fifo.ts";

/** What a message costs beside its body, at most, on the wire and in memory. */
export const MESSAGE_OVERHEAD_BYTES = 64;

/** The largest body that every server takes: larger ones wait until its limits are known. */
export const SAFE_BODY_BYTES = 8 * 1024;

type Acted = Extract<
  ClientEvent,
  { readonly kind: "open" | "send" | "send_volatile" | "consumed" | "keep" | "end" }
>;

/** What the application does with its connections. On one that is over it does nothing, and a send is told so. */
export function connectionActed(state: ClientState, event: Acted, effects: ClientEffect[]): void {
  switch (event.kind) {
    case "open": {
      const payload = mux.open(state.mux, event.service, event.metadata);
      const { connection: id, service } = payload;
      state.connections.set(id, newConnection(id, service, false));
      return number(state, payload, null);
    }
    case "send":
      return send(state, event.connection, event.body, event.ticket, effects);
    case "send_volatile":
      if (!takesVolatile(state, event.connection)) return;
      state.volatile.push({
        connection: event.connection,
        message: { kind: "volatile", connection: event.connection, body: event.body },
      });
      return;
    case "consumed": {
      const connection = state.connections.get(event.connection);
      const body = connection === undefined ? undefined : shift(connection.inbox);
      if (connection === undefined || body === undefined) return;
      state.inboxBytes -= body.length + MESSAGE_OVERHEAD_BYTES;
      state.changes++;
      if (connection.over !== null && size(connection.inbox) === 0) state.connections.delete(connection.id);
      return;
    }
    case "keep": {
      const connection = state.connections.get(event.connection);
      if (connection === undefined) return;
      connection.kept = event.value;
      state.changes++;
      return;
    }
    case "end": {
      const connection = state.connections.get(event.connection);
      if (connection === undefined || connection.over !== null || isEnding(connection)) return;
      const { reason, detail } = event;
      if (size(connection.waiting) === 0) return end(state, connection, reason, detail, effects);
      return wait(state, connection, { kind: "end", reason, detail });
    }
    default:
      return event satisfies never;
  }
}

/** A connection that nothing has happened on. */
export function newConnection(id: number, service: string, restored: boolean): ClientConnection {
  return {
    id,
    service,
    restored,
    accepted: false,
    inbox: fifo(),
    waiting: fifo(),
    kept: null,
    over: null,
  };
}

/** True if a volatile message may still be sent in this turn (`delivery.volatile`). */
export function takesVolatile(state: ClientState, id: number): boolean {
  if (state.attached === null || state.mux.connections.get(id)?.phase !== "open") return false;
  return state.volatile.filter((pending) => pending.connection === id).length < VOLATILE_PENDING;
}

/** The largest body that may be sent, as far as is known. */
export function largestBody(state: ClientState, fallback: number): number {
  return state.agreed?.limits.bodyBytes ?? fallback;
}

/** Numbers a message and keeps it until it is acked. Every session message of the client leaves through here. */
export function number(state: ClientState, payload: SessionPayload, ticket: number | null): void {
  enqueue(state.delivery, payload);
  state.changes++;
  if (ticket !== null) state.unsecured.push({ seq: state.delivery.sent, ticket });
}

/** Numbers what waited for room, for `accept` or for the server's limits; connections take turns. */
export function drain(state: ClientState, effects: ClientEffect[]): void {
  let progress = state.waitingBytes > 0;
  while (progress) {
    progress = false;
    for (const connection of state.connections.values()) {
      const waiting = first(connection.waiting);
      if (waiting !== undefined && advance(state, connection, waiting, effects)) progress = true;
    }
  }
}

/** A connection is over: what still waits on it will never be sent; what arrived may still be consumed. */
export function connectionOver(
  state: ClientState,
  connection: ClientConnection,
  ending: ConnectionEnding,
  effects: ClientEffect[],
): void {
  connection.over = ending;
  const { reason, detail } = ending;
  for (let item = takeWaiting(state, connection); item !== undefined; item = takeWaiting(state, connection)) {
    if (item.kind === "message" && item.ticket !== null) {
      effects.push({ kind: "unsent", ticket: item.ticket, reason: reason || "ended", detail });
    }
  }
  if (size(connection.inbox) === 0) state.connections.delete(connection.id);
  effects.push({ kind: "connection_over", connection: connection.id, ending });
}

/** Ends a connection from this side. */
export function end(
  state: ClientState,
  connection: ClientConnection,
  reason: string | undefined,
  detail: string | undefined,
  effects: ClientEffect[],
  failed = false,
): void {
  const payload = mux.end(state.mux, connection.id, reason, detail);
  if (payload !== null) number(state, payload, null);
  connectionOver(state, connection, { reason: reason ?? "", detail: detail ?? "", failed }, effects);
}

function send(
  state: ClientState,
  id: number,
  body: EncodedBody,
  ticket: number,
  effects: ClientEffect[],
): void {
  const connection = state.connections.get(id);
  const over = state.ended ?? state.closing ?? connection?.over ?? null;
  if (connection === undefined || over !== null || isEnding(connection)) {
    const reason = over?.reason || "ended";
    const detail = over?.detail || "the connection is over";
    return void effects.push({ kind: "unsent", ticket, reason, detail });
  }
  if (size(connection.waiting) === 0 && maySend(state, id, body)) {
    return number(state, { kind: "message", connection: id, body }, ticket);
  }
  if (state.waitingBytes + body.length + MESSAGE_OVERHEAD_BYTES > state.settings.storedBytes) {
    const detail = `more than ${state.settings.storedBytes} bytes wait to be sent: wait for send to resolve`;
    return void effects.push({ kind: "unsent", ticket, reason: "overloaded", detail });
  }
  wait(state, connection, { kind: "message", body, ticket });
}

/** Asked before a message is numbered; counts it where `connection.early` does. */
function maySend(state: ClientState, id: number, body: EncodedBody): boolean {
  if (body.length > largestBody(state, SAFE_BODY_BYTES)) return false;
  return hasRoom(state.delivery, body.length + MESSAGE_OVERHEAD_BYTES) && mux.maySend(state.mux, id);
}

function advance(
  state: ClientState,
  connection: ClientConnection,
  waiting: Waiting,
  effects: ClientEffect[],
): boolean {
  const { id } = connection;
  if (waiting.kind === "end") {
    takeWaiting(state, connection);
    end(state, connection, waiting.reason, waiting.detail, effects);
    return true;
  }
  const { body, ticket } = waiting;
  if (body.length > largestBody(state, Infinity)) {
    takeWaiting(state, connection);
    const detail = `a body of ${body.length} bytes; the server takes ${state.agreed!.limits.bodyBytes}`;
    if (ticket !== null) effects.push({ kind: "unsent", ticket, reason: "too-large", detail });
    return true;
  }
  if (!maySend(state, id, body)) return false;
  takeWaiting(state, connection);
  number(state, { kind: "message", connection: id, body }, ticket);
  return true;
}

function isEnding(connection: ClientConnection): boolean {
  return last(connection.waiting)?.kind === "end";
}

function wait(state: ClientState, connection: ClientConnection, waiting: Waiting): void {
  connection.waiting.items.push(waiting);
  state.waitingBytes += costOf(waiting);
  state.changes++;
}

function takeWaiting(state: ClientState, connection: ClientConnection): Waiting | undefined {
  const waiting = shift(connection.waiting);
  if (waiting !== undefined) state.waitingBytes -= costOf(waiting);
  return waiting;
}

function costOf(waiting: Waiting): number {
  return MESSAGE_OVERHEAD_BYTES + (waiting.kind === "message" ? waiting.body.length : 0);
}
