/** The part of the client's machine that has its connections: what leaves on them, and what must wait, in order. */

import * as mux from "../connection/mux_state.ts";
import { relay } from "../connection/relay_state.ts";
import { VOLATILE_PENDING } from "../protocol/limits.ts";
import type { EncodedBody, Metadata } from "../protocol/messages.ts";
import { hasRoom } from "../session/delivery_state.ts";
import { callsOver, forgetSpent } from "./client_call_ending_state.ts";
import { advanceCall, advanceParked, isClosing, isEnding } from "./client_call_state.ts";
import { advanceUpload } from "./client_channel_state.ts";
import type { ClientEffect, ConnectionAct, Moment } from "./client_events.ts";
import type { ClientConnection, ClientState, ConnectionEnding, Waiting } from "./client_model.ts";
import { largestBody, MESSAGE_OVERHEAD_BYTES, number, SAFE_BODY_BYTES } from "./client_numbering_state.ts";
import { fifo, first, shift, size } from "./fifo.ts";

/** What the application does with its connections. On one that is over it does nothing, and a send is told so. */
export function connectionActed(state: ClientState, event: ConnectionAct, effects: ClientEffect[]): void {
  switch (event.kind) {
    case "open": {
      const { metadata, messageCredit } = event;
      const payload = mux.open(state.mux, event.service, {
        ...(metadata === undefined ? {} : { metadata }),
        ...(messageCredit === undefined ? {} : { messageCredit }),
      });
      const { connection: id, service } = payload;
      state.connections.set(id, newConnection(id, service, { offer: metadata }));
      if (event.relayed === true) state.relayed.add(id);
      return number(state, payload);
    }
    case "relay":
      for (const payload of relay(state.mux, event.payload)) number(state, payload);
      return;
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
      forgetSpent(state, connection);
      return grantMessages(state, connection.id);
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
      if (size(connection.waiting) === 0) return end(state, connection, { reason, detail }, effects);
      return wait(state, connection, { kind: "end", reason, detail });
    }
    default:
      return event satisfies never;
  }
}

/** A connection that nothing has happened on. */
export function newConnection(
  id: number,
  service: string,
  { restored = false, serving = false, hidden = false, offer }: {
    readonly restored?: boolean;
    readonly serving?: boolean;
    readonly hidden?: boolean;
    readonly offer?: Metadata | undefined;
  } = {},
): ClientConnection {
  return {
    id,
    service,
    restored,
    serving,
    hidden,
    offer,
    accepted: false,
    metadata: NO_METADATA,
    schema: null,
    inbox: fifo(),
    waiting: fifo(),
    parked: fifo(),
    requests: new Map(),
    running: new Map(),
    kept: null,
    over: null,
  };
}

const NO_METADATA: Metadata = {};

/** True if a volatile message may still be sent in this turn (`delivery.volatile`). */
export function takesVolatile(state: ClientState, id: number): boolean {
  if (state.attached === null || state.mux.connections.get(id)?.phase !== "open") return false;
  return state.volatile.filter((pending) => pending.connection === id).length < VOLATILE_PENDING;
}

/** Counts a plain message as taken, and grants the server more where it is due (`connection.credit`). */
export function grantMessages(state: ClientState, id: number): void {
  const grant = state.ended === null ? mux.consumeMessage(state.mux, id) : null;
  if (grant !== null) number(state, grant);
}

/** Numbers what waited for room, for credit, for `accept` or for the server's limits; connections take turns. */
export function drain(state: ClientState, moment: Moment, effects: ClientEffect[]): void {
  let progress = state.waitingBytes > 0;
  while (progress) {
    progress = false;
    for (const connection of state.connections.values()) {
      const waiting = first(connection.waiting);
      if (waiting !== undefined && advance(state, connection, waiting, moment, effects)) progress = true;
      const parked = first(connection.parked);
      if (parked !== undefined && advanceParked(state, connection, parked, moment, effects)) progress = true;
    }
    for (const call of state.uploading) advanceUpload(state, call, effects);
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
  state.relayed.delete(connection.id);
  callsOver(state, connection, ending, effects);
  const { reason, detail } = ending;
  for (let item = takeWaiting(state, connection); item !== undefined; item = takeWaiting(state, connection)) {
    if (item.kind === "message" && item.ticket !== null) {
      effects.push({ kind: "unsent", ticket: item.ticket, reason: reason || "ended", detail });
    }
  }
  connection.running.clear();
  watchRunning(state);
  forgetSpent(state, connection);
  effects.push({ kind: "connection_over", connection: connection.id, ending });
}

/** How this side ends a connection; `failed` where the application did not want it. */
export interface OwnEnding {
  readonly reason?: string | undefined;
  readonly detail?: string | undefined;
  readonly failed?: boolean;
}

/** Ends a connection from this side; one that it has not taken is rejected. */
export function end(
  state: ClientState,
  connection: ClientConnection,
  { reason, detail, failed = false }: OwnEnding,
  effects: ClientEffect[],
): void {
  const { id } = connection;
  const payload = mux.reject(state.mux, id, reason ?? "ended", detail ?? "") ??
    mux.end(state.mux, id, reason, detail);
  if (payload !== null) number(state, payload);
  const by = failed ? "other" : "application";
  connectionOver(state, connection, { reason: reason ?? "", detail: detail ?? "", failed, by }, effects);
}

/** Looks for the next of the server's calls whose time runs out. */
export function watchRunning(state: ClientState): void {
  if (state.runningDueAt === Infinity) return;
  let at = Infinity;
  for (const { running } of state.connections.values()) {
    for (const deadline of running.values()) at = Math.min(at, deadline);
  }
  state.runningDueAt = at;
}

function send(
  state: ClientState,
  id: number,
  body: EncodedBody,
  ticket: number,
  effects: ClientEffect[],
): void {
  const connection = state.connections.get(id);
  if (connection === undefined || isClosing(state, connection)) {
    const over = state.ended ?? state.closing ?? connection?.over ?? null;
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

/** Asked before a message is numbered; counts it where `connection.early` or `connection.credit` does. */
function maySend(state: ClientState, id: number, body: EncodedBody): boolean {
  if (body.length > largestBody(state, SAFE_BODY_BYTES)) return false;
  return hasRoom(state.delivery, body.length + MESSAGE_OVERHEAD_BYTES) && mux.maySend(state.mux, id);
}

function advance(
  state: ClientState,
  connection: ClientConnection,
  waiting: Waiting,
  moment: Moment,
  effects: ClientEffect[],
): boolean {
  switch (waiting.kind) {
    case "call":
      return advanceCall(state, connection, waiting.call, moment, effects);
    case "end": {
      takeWaiting(state, connection);
      const { reason, detail } = waiting;
      end(state, connection, { reason, detail }, effects);
      return true;
    }
    case "message": {
      const { body, ticket } = waiting;
      if (body.length > largestBody(state, Infinity)) {
        takeWaiting(state, connection);
        const detail = `a body of ${body.length} bytes; the server takes ${state.agreed!.limits.bodyBytes}`;
        if (ticket !== null) effects.push({ kind: "unsent", ticket, reason: "too-large", detail });
        return true;
      }
      if (!maySend(state, connection.id, body)) return false;
      takeWaiting(state, connection);
      number(state, { kind: "message", connection: connection.id, body }, ticket);
      return true;
    }
    default:
      return waiting satisfies never;
  }
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

/** What something counts for while it waits. */
export function costOf(waiting: Waiting): number {
  switch (waiting.kind) {
    case "message":
      return MESSAGE_OVERHEAD_BYTES + waiting.body.length;
    case "call":
      return waiting.call.cost;
    case "end":
      return MESSAGE_OVERHEAD_BYTES;
    default:
      return waiting satisfies never;
  }
}
