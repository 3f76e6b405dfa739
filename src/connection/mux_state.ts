/**
 * Multiplexing: which connections a session has, and what a message for one of them means.
 *
 * Shared by both sides. Rules `frame.ids`, `connection.open`, `connection.early`, `connection.end`, `connection.credit`;
 * calls and channels are in `call_state.ts`, what this side does on a connection in `mux_actions_state.ts`.
 */

import { EARLY_CALLS, EARLY_MESSAGES } from "../protocol/limits.ts";
import type { Metadata, SessionMessage } from "../protocol/messages.ts";
import type { ConnectionReason } from "../protocol/reasons.ts";
import { type Violation, violation } from "../protocol/rules.ts";
import { newCalls, receiveCall, receiveCancel, receiveOnChannel, receiveResponse } from "./call_state.ts";
import { addCredit, newSending, receiveOne } from "./channel_state.ts";
import { type ConnectionState, type MuxOutcome, type MuxState, newConnection } from "./mux_model.ts";

export * from "./mux_model.ts";
export * from "./mux_actions_state.ts";

const DROPPED: MuxOutcome = { kind: "dropped" };
const NO_METADATA: Metadata = {};

/** The kinds of messages that may reach a connection before this side accepted it. */
type OnConnection = Exclude<SessionMessage, { readonly kind: "open" }>;

/**
 * Decides what one session message means for the connections.
 *
 * @param now Milliseconds since the Unix epoch: deadlines are absolute (`call.timeout`).
 */
export function receive(state: MuxState, message: SessionMessage, now = 0): MuxOutcome {
  if (message.kind === "open") return receiveOpen(state, message);
  const connection = state.connections.get(message.connection);
  if (connection === undefined) return receiveForUnknown(state, message.connection);
  if (connection.ending !== null) return DROPPED;
  // The other side cannot have spoken on a connection it has not accepted.
  if (connection.phase === "opening" && !OPENING.has(message.kind)) {
    return broken("connection.open", `a ${message.kind} on connection ${connection.id} before its accept`);
  }
  switch (message.kind) {
    case "message":
      return receivePlain(state, connection, message);
    case "accept":
      return receiveAccept(connection, message);
    case "reject":
    case "end":
      return receiveEnd(state, connection, message);
    case "call":
    case "response":
    case "cancel":
      return receiveOfCall(state, connection, message, now);
    case "item":
    case "finish":
    case "reset":
    case "credit":
      return receiveOfChannel(state, connection, message);
    default:
      return message satisfies never;
  }
}

/** What may arrive on a connection that this side opened and the other side has not answered. */
const OPENING: ReadonlySet<SessionMessage["kind"]> = new Set(["accept", "reject", "end"]);

function receiveOpen(state: MuxState, message: SessionMessage & { readonly kind: "open" }): MuxOutcome {
  const { connection: id, service, metadata = NO_METADATA, messageCredit } = message;
  if (id === 0 || (id % 2 === 1) === (state.side === "client")) {
    return broken(
      "frame.ids",
      `connection id ${id} is not one that the ${state.side === "client" ? "server" : "client"} gives`,
    );
  }
  if (id <= state.highestPeer) {
    return broken("frame.ids", `connection id ${id} is not above ${state.highestPeer}, the highest seen`);
  }
  state.highestPeer = id;
  if (state.connections.size >= state.most) {
    const detail = `at most ${state.most} connections in a session`;
    const payload = { kind: "reject", connection: id, reason: "too-many-connections", detail } as const;
    return { kind: "answer", payload, ended: null, service };
  }
  const connection = newConnection(id, service, "offered");
  connection.offer = metadata;
  if (messageCredit !== undefined) connection.sending = newSending(messageCredit);
  state.connections.set(id, connection);
  return { kind: "offered", connection: id, service, metadata };
}

function receiveAccept(
  connection: ConnectionState,
  { metadata = NO_METADATA, messageCredit, schema }: SessionMessage & { readonly kind: "accept" },
): MuxOutcome {
  if (connection.phase !== "opening") return DROPPED;
  connection.phase = "open";
  // The credit counts from the first message, those before the accept included.
  if (messageCredit !== undefined) connection.sending = newSending(messageCredit, connection.early);
  const accepted = { kind: "accepted", connection: connection.id, metadata } as const;
  return schema === undefined ? accepted : { ...accepted, schema };
}

function receivePlain(
  state: MuxState,
  connection: ConnectionState,
  message: SessionMessage & { readonly kind: "message" },
): MuxOutcome {
  if (message.malformed !== undefined) {
    return endLocally(state, connection, "malformed-body", message.malformed);
  }
  if (connection.phase === "offered" && ++connection.early > EARLY_MESSAGES) {
    return broken(
      "connection.early",
      `more than ${EARLY_MESSAGES} messages before accept on connection ${connection.id}`,
    );
  }
  if (connection.receiving !== null && !receiveOne(connection.receiving)) {
    return broken("connection.credit", `a message on connection ${connection.id} without credit`);
  }
  return { kind: "message", connection: connection.id, body: message.body };
}

function receiveEnd(
  state: MuxState,
  connection: ConnectionState,
  { kind, reason, detail }: SessionMessage & { readonly kind: "reject" | "end" },
): MuxOutcome {
  const { id, service, phase, held, unsettled } = connection;
  const rejected = kind === "reject";
  if (rejected && phase !== "opening") return DROPPED;
  if (held.length + unsettled > 0 && phase === "open") {
    connection.ending = { reason: reason ?? "", detail: detail ?? "" };
    connection.calls = null;
    connection.waiting = [];
    return { kind: "ending", connection: id };
  }
  state.connections.delete(id);
  return { kind: "ended", connection: id, service, rejected, reason, detail };
}

function receiveOfCall(
  state: MuxState,
  connection: ConnectionState,
  message: Extract<OnConnection, { readonly kind: "call" | "response" | "cancel" }>,
  now: number,
): MuxOutcome {
  const { id } = connection;
  const calls = connection.calls ??= newCalls();
  switch (message.kind) {
    case "call": {
      if (connection.phase === "offered" && ++calls.early > EARLY_CALLS) {
        return broken("connection.early", `more than ${EARLY_CALLS} calls before accept on connection ${id}`);
      }
      const clientCalls = state.side === "server";
      const call = receiveCall(calls, message, { clientCalls, most: state.mostCalls, now });
      if ("rule" in call) return { kind: "violation", violation: call };
      return { kind: "called", connection: id, call, body: message.body, malformed: message.malformed };
    }
    case "response": {
      const call = receiveResponse(calls, id, message.request);
      if (call === null) return DROPPED;
      if ("rule" in call) return { kind: "violation", violation: call };
      const { ok, body, malformed } = message;
      return { kind: "answered", connection: id, call, ok, body, malformed };
    }
    case "cancel": {
      const call = receiveCancel(calls, id, message.request);
      if (call === null) return DROPPED;
      if ("rule" in call) return { kind: "violation", violation: call };
      return { kind: "cancelled", connection: id, call };
    }
    default:
      return message satisfies never;
  }
}

function receiveOfChannel(
  state: MuxState,
  connection: ConnectionState,
  message: Extract<OnConnection, { readonly kind: "item" | "finish" | "reset" | "credit" }>,
): MuxOutcome {
  if (message.channel === 0) return receiveOnMessages(connection, message);
  const calls = connection.calls ??= newCalls();
  const outcome = receiveOnChannel(calls, message, state.side === "client");
  if (outcome.kind === "dropped" || outcome.kind === "violation") return outcome;
  if (outcome.kind !== "item" || message.kind !== "item") {
    return { ...outcome, connection: connection.id } as MuxOutcome;
  }
  return { ...outcome, connection: connection.id, body: message.body, malformed: message.malformed };
}

/** Channel 0 is the connection's plain messages: only their credit has a message there. */
function receiveOnMessages(
  connection: ConnectionState,
  message: Extract<OnConnection, { readonly kind: "item" | "finish" | "reset" | "credit" }>,
): MuxOutcome {
  if (message.kind !== "credit") {
    return broken("frame.ids", `${message.kind} on channel 0, which is for plain messages`);
  }
  // Without a credit of its own the session's window is all there is.
  if (connection.sending === null) return DROPPED;
  return addCredit(connection.sending, message.additional)
    ? { kind: "messages_credited", connection: connection.id }
    : broken("connection.credit", "more credit for plain messages than a count can hold");
}

function receiveForUnknown(state: MuxState, id: number): MuxOutcome {
  const own = (id % 2 === 1) === (state.side === "client");
  const highest = own ? state.highestOwn : state.highestPeer;
  return id > 0 && id <= highest ? DROPPED : broken("frame.ids", `connection ${id} was never opened`);
}

/** Ends a connection because of what arrived on it; one that is not accepted yet is rejected. */
function endLocally(
  state: MuxState,
  { id, service, phase }: ConnectionState,
  reason: ConnectionReason,
  detail: string,
): MuxOutcome {
  state.connections.delete(id);
  const kind = phase === "offered" ? "reject" : "end";
  return { kind: "answer", payload: { kind, connection: id, reason, detail }, ended: id, service };
}

function broken(rule: Violation["rule"], detail: string): MuxOutcome {
  return { kind: "violation", violation: violation(rule, detail) };
}
