/** The part of the session machine that messages and services drive: what each one means and what it produces. */

import * as mux from "../connection/mux_state.ts";
import { VOLATILE_PENDING } from "../protocol/limits.ts";
import type { ConduitMessage, Message } from "../protocol/messages.ts";
import * as delivery from "./delivery_state.ts";
import { answered } from "./keepalive_state.ts";
import { connectionGone, emit, endSession, violated } from "./session_ending_state.ts";
import type { Attachment, ServiceAction, SessionEffect, SessionState } from "./session_model.ts";

/** One message of the attached conduit. */
export function handle(
  state: SessionState,
  attached: Attachment,
  message: Message,
  now: number,
  effects: SessionEffect[],
): void {
  switch (message.kind) {
    case "ack": {
      const problem = delivery.acknowledge(state.delivery, message.received);
      if (problem !== null) violated(state, problem, now, effects);
      return;
    }
    case "ping":
      attached.keepalive.spokeAt = now;
      effects.push({
        kind: "send",
        conduit: attached.conduit,
        message: { kind: "pong", nonce: message.nonce },
      });
      return;
    case "pong":
      answered(attached.keepalive, message.nonce);
      return;
    case "close":
      endSession(state, "closed", `${message.reason}: ${message.detail}`, now, effects);
      return;
    case "volatile": {
      const connection = state.mux.connections.get(message.connection);
      if (connection?.phase !== "open") return;
      if (message.malformed !== undefined) {
        return serviceActed(
          state,
          { do: "end", connection: connection.id, reason: "malformed-body", detail: message.malformed },
          now,
          effects,
        );
      }
      effects.push({ kind: "deliver", connection: connection.id, body: message.body, volatile: true });
      return;
    }
    case "start":
      violated(state, { rule: "handshake.first", detail: "a second start on this conduit" }, now, effects);
      return;
    case "authorise":
      effects.push({ kind: "authorise", conduit: attached.conduit, auth: message.auth });
      return;
    case "established":
    case "refused":
    case "goaway":
    case "authorised":
      violated(
        state,
        { rule: "handshake.first", detail: `${message.kind} is for the server to send` },
        now,
        effects,
      );
      return;
    default:
      handleSessionMessage(state, attached, message, now, effects);
  }
}

function handleSessionMessage(
  state: SessionState,
  { access }: Attachment,
  message: Exclude<Message, ConduitMessage>,
  now: number,
  effects: SessionEffect[],
): void {
  const verdict = delivery.take(state.delivery, message.seq, message.cost);
  if (verdict === "duplicate") return;
  if (verdict !== "taken") return violated(state, verdict, now, effects);
  state.changes++;
  state.movedAt = now;
  const outcome = mux.receive(state.mux, message);
  switch (outcome.kind) {
    case "message":
      effects.push({ kind: "deliver", connection: outcome.connection, body: outcome.body, volatile: false });
      return;
    case "offered":
      if (access.services !== null && !access.services.includes(outcome.service)) {
        const detail = "these credentials do not allow this service";
        const { connection } = outcome;
        return serviceActed(state, { do: "reject", connection, reason: "forbidden", detail }, now, effects);
      }
      effects.push({
        kind: "offer",
        connection: outcome.connection,
        service: outcome.service,
        metadata: outcome.metadata,
      });
      return;
    case "accepted":
      state.changedConnections.add(outcome.connection);
      return;
    case "ended":
      connectionGone(state, outcome.connection, outcome.service, effects);
      return;
    case "answer":
      if (outcome.ended !== null) connectionGone(state, outcome.ended, outcome.service, effects);
      emit(state, outcome.payload, now, effects);
      return;
    case "dropped":
      return;
    case "violation":
      return violated(state, outcome.violation, now, effects);
    default:
      return outcome satisfies never;
  }
}

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
  const { connection } = action;
  switch (action.do) {
    case "send": {
      if (!mux.maySend(state.mux, connection)) return;
      const most = Math.min(state.settings.limits.storedBytes, storedBytes);
      if (delivery.retainedCost(state.delivery) + action.body.length > most) {
        const detail = `more than ${most} bytes wait for the client (delivery.bounded)`;
        return serviceActed(state, { do: "end", connection, reason: "overloaded", detail }, now, effects);
      }
      return emit(state, { kind: "message", connection, body: action.body }, now, effects);
    }
    case "send_volatile": {
      if (state.attached === null || state.mux.connections.get(connection)?.phase !== "open") return;
      if (state.volatile.filter((pending) => pending.connection === connection).length >= VOLATILE_PENDING) {
        return;
      }
      state.volatile.push({ connection, message: { kind: "volatile", connection, body: action.body } });
      return;
    }
    case "accept": {
      const payload = mux.accept(state.mux, connection);
      if (payload === null) return;
      state.changedConnections.add(connection);
      return emit(state, payload, now, effects);
    }
    case "reject": {
      const payload = mux.reject(state.mux, connection, action.reason, action.detail);
      return payload === null ? undefined : emit(state, payload, now, effects);
    }
    case "end": {
      const service = state.mux.connections.get(connection)?.service ?? "";
      const payload = mux.end(state.mux, connection, action.reason, action.detail);
      if (payload === null) return;
      connectionGone(state, connection, service, effects);
      return emit(state, payload, now, effects);
    }
    default:
      return action satisfies never;
  }
}
