/** What this side does on its connections: the messages that say so, and what they change. Part of the multiplexer. */

import { EARLY_CALLS, EARLY_MESSAGES } from "../protocol/limits.ts";
import type { EncodedBody, Metadata, SessionPayload } from "../protocol/messages.ts";
import * as calls from "./call_state.ts";
import { consume, newReceiving, spend } from "./channel_state.ts";
import { type ConnectionState, type MuxState, newConnection } from "./mux_model.ts";

/** What goes with an `open` or an `accept`. */
export interface Opening {
  readonly metadata?: Metadata;
  /** How many plain messages the other side may send before it is granted more (`connection.credit`). */
  readonly messageCredit?: number;
  /** `accept` alone: the hash of the service's description (`connection.schema`). */
  readonly schema?: string;
}

/** Opens a connection from this side: its id, and the message that says so. */
export function open(
  state: MuxState,
  service: string,
  { metadata, messageCredit }: Opening = {},
): SessionPayload & { readonly kind: "open" } {
  const first = state.side === "client" ? 1 : 2;
  const id = state.highestOwn === 0 ? first : state.highestOwn + 2;
  state.highestOwn = id;
  const connection = newConnection(id, service, "opening");
  if (messageCredit !== undefined) connection.receiving = newReceiving(messageCredit);
  state.connections.set(id, connection);
  return {
    kind: "open",
    connection: id,
    service,
    ...(metadata === undefined ? {} : { metadata }),
    ...(messageCredit === undefined ? {} : { messageCredit }),
  };
}

/**
 * Accepts an offered connection.
 *
 * @returns The accept, and after it the answers of calls that were decided before; none if there is nothing to accept.
 */
export function accept(state: MuxState, id: number, opening: Opening = {}): SessionPayload[] {
  const connection = state.connections.get(id);
  if (connection?.phase !== "offered") return [];
  connection.phase = "open";
  connection.offer = null;
  const { messageCredit } = opening;
  if (messageCredit !== undefined) connection.receiving = newReceiving(messageCredit, connection.early);
  const payloads: SessionPayload[] = [{ kind: "accept", connection: id, ...opening }];
  for (const { request, early } of [...connection.calls?.incoming.values() ?? []]) {
    if (early !== null) payloads.push(...respond(state, id, request, early));
  }
  return payloads;
}

/** Rejects an offered connection. Null if there is none of that id to answer. */
export function reject(state: MuxState, id: number, reason: string, detail: string): SessionPayload | null {
  if (state.connections.get(id)?.phase !== "offered") return null;
  state.connections.delete(id);
  return { kind: "reject", connection: id, reason, detail };
}

/** Ends a connection from this side. Null if it is gone already, or the other side has ended it. */
export function end(state: MuxState, id: number, reason?: string, detail?: string): SessionPayload | null {
  const connection = state.connections.get(id);
  if (connection === undefined) return null;
  state.connections.delete(id);
  if (connection.ending !== null) return null;
  return {
    kind: "end",
    connection: id,
    ...(reason === undefined ? {} : { reason }),
    ...(detail === undefined ? {} : { detail }),
  };
}

/**
 * True if this side may send a plain message on a connection now: it is open, or it is this side's own and fewer than
 * 16 were sent before its accept (`connection.early`), and there is credit (`connection.credit`). Counts it.
 */
export function maySend(state: MuxState, id: number): boolean {
  const connection = state.connections.get(id);
  if (connection === undefined || connection.phase === "offered" || connection.ending !== null) return false;
  if (connection.phase === "open") return connection.sending === null || spend(connection.sending);
  if (connection.early >= EARLY_MESSAGES) return false;
  connection.early++;
  return true;
}

/** Counts a plain message that the application took, which it does after it accepted. @returns The grant that is due, if one is. */
export function consumeMessage(state: MuxState, id: number): SessionPayload | null {
  const { receiving = null, ending = null } = state.connections.get(id) ?? {};
  if (receiving === null || ending !== null) return null;
  const additional = consume(receiving);
  return additional === 0 ? null : { kind: "credit", connection: id, channel: 0, additional };
}

/** True if this side may make a call on a connection now (`call.limit`, `connection.early`). */
export function mayCall(state: MuxState, id: number): boolean {
  const connection = state.connections.get(id);
  if (connection === undefined || connection.phase === "offered" || connection.ending !== null) return false;
  if ((connection.calls?.outgoing.size ?? 0) >= state.mostCalls) return false;
  return connection.phase === "open" || (connection.calls?.early ?? 0) < EARLY_CALLS;
}

/** Makes a call. {@link mayCall} must be true. @returns The message, and the call as it is kept. */
export function call(
  state: MuxState,
  id: number,
  method: string,
  body: EncodedBody,
  request: calls.CallRequest = {},
): { readonly payload: SessionPayload; readonly call: calls.OutgoingCall } {
  const connection = find(state, id);
  const all = connection.calls ??= calls.newCalls();
  if (connection.phase === "opening") all.early++;
  const made = calls.makeCall(all, method, request, state.side === "client");
  const options = Object.keys(made.options).length === 0 ? {} : { options: made.options };
  return {
    payload: { kind: "call", connection: id, request: made.call.request, method, body, ...options },
    call: made.call,
  };
}

/** Asks to end a call of this side. Null: it is answered. */
export function cancel(state: MuxState, id: number, request: number): SessionPayload | null {
  if (state.connections.get(id)?.calls?.outgoing.has(request) !== true) return null;
  return { kind: "cancel", connection: id, request };
}

/**
 * Answers a call; one that came before the connection was accepted is answered with the accept (`connection.open`).
 */
export function respond(
  state: MuxState,
  id: number,
  request: number,
  answer: calls.CallAnswer,
): SessionPayload[] {
  const connection = state.connections.get(id);
  if (connection?.calls === undefined || connection.calls === null) return [];
  if (connection.phase === "offered") {
    const waiting = connection.calls.incoming.get(request);
    if (waiting !== undefined) waiting.early ??= answer;
    return [];
  }
  return calls.respond(connection.calls, id, request, answer);
}

/** Sends an item on a channel. Null: without credit, or the channel is over, or this side has not accepted. */
export function sendItem(
  state: MuxState,
  id: number,
  channel: number,
  body: EncodedBody,
): SessionPayload | null {
  const all = speakable(state, id);
  return all === null ? null : calls.sendItem(all, id, channel, body);
}

/** Ends a channel on which this side sends: normally, or with a reason. Null: it is over, or not accepted. */
export function endChannel(
  state: MuxState,
  id: number,
  channel: number,
  reason: string | null,
): SessionPayload | null {
  const all = speakable(state, id);
  return all === null ? null : calls.endChannel(all, id, channel, reason);
}

/** Counts items that the application took, which it does after it accepted. @returns The grant that is due, if one is. */
export function consumeItems(state: MuxState, id: number, channel: number, items = 1): SessionPayload | null {
  const all = speakable(state, id);
  return all === null ? null : calls.consumeItems(all, id, channel, items);
}

/** True if an item may be sent on a channel now. */
export function hasCredit(state: MuxState, id: number, channel: number): boolean {
  const all = speakable(state, id);
  return all !== null && calls.hasCredit(all, channel);
}

/** The calls of a connection on which this side may speak: the accepting side says nothing before its accept. */
function speakable(state: MuxState, id: number): calls.CallsState | null {
  const connection = state.connections.get(id);
  return connection === undefined || connection.phase === "offered" ? null : connection.calls;
}

function find(state: MuxState, id: number): ConnectionState {
  const connection = state.connections.get(id);
  if (connection === undefined) throw new Error(`connection ${id} is not there`);
  return connection;
}
