/** The part of the client's machine that the server's messages drive, once a conduit carries the session. */

import * as mux from "../connection/mux_state.ts";
import type { ConduitMessage, EncodedBody, Message } from "../protocol/messages.ts";
import { closeCode, isReason } from "../protocol/reasons.ts";
import { violation } from "../protocol/rules.ts";
import * as delivery from "../session/delivery_state.ts";
import { failOver, violated } from "./client_ending_state.ts";
import { callAnswered } from "./client_call_state.ts";
import { downloadOver, itemReceived } from "./client_channel_state.ts";
import type { ClientEffect, Moment } from "./client_events.ts";
import { type ClientConnection, type ClientState, progressed } from "./client_model.ts";
import { mayKeepFor, MESSAGE_OVERHEAD_BYTES, number, owned } from "./client_numbering_state.ts";
import { connectionOver, end, grantMessages } from "./client_sending_state.ts";
import { callCancelled, called, offered } from "./client_serving_state.ts";

/** One message of the attached conduit. */
export function handle(state: ClientState, message: Message, moment: Moment, effects: ClientEffect[]): void {
  const attached = state.attached!;
  attached.keepalive.heardAt = moment.now;
  // Anything that is heard answers the question whether somebody is there.
  attached.keepalive.outstanding = null;
  switch (message.kind) {
    case "ack": {
      const { acked } = state.delivery;
      const problem = delivery.acknowledge(state.delivery, message.received);
      if (problem !== null) return violated(state, problem, effects);
      if (state.delivery.acked > acked) {
        progressed(state);
        // A commit held what we said on this conduit, and so the proof of its token.
        if (state.identity !== null && state.identity.inUse !== null) {
          state.identity = { ...state.identity, inUse: null };
          state.changes++;
        }
      }
      // The server has read what we said on this conduit: no older `start` of ours can win any more.
      state.rival = false;
      return;
    }
    case "ping":
      state.control.push({ kind: "pong", nonce: message.nonce });
      return;
    case "pong":
      state.rival = false;
      return;
    case "goaway":
      if (state.dialling === null && !state.offline) {
        state.dialAt = moment.now + moment.chance * message.after;
      }
      return;
    case "close": {
      const { reason, detail } = message;
      const code = closeCode(isReason(reason) ? reason : "ended");
      return failOver(state, { reason, detail }, code, effects);
    }
    case "volatile": {
      const connection = state.connections.get(message.connection);
      if (connection === undefined || state.mux.connections.get(message.connection)?.phase !== "open") return;
      if (message.malformed !== undefined) {
        const detail = message.malformed;
        return end(state, connection, { reason: "malformed-body", detail, failed: true }, effects);
      }
      effects.push({ kind: "volatile", connection: connection.id, body: message.body });
      return;
    }
    case "authorised":
      return;
    case "start":
    case "established":
    case "refused":
    case "authorise":
      return violated(state, violation("handshake.first", `${message.kind} after established`), effects);
    default:
      handleSessionMessage(state, message, moment, effects);
  }
}

function handleSessionMessage(
  state: ClientState,
  message: Exclude<Message, ConduitMessage>,
  moment: Moment,
  effects: ClientEffect[],
): void {
  const verdict = delivery.take(state.delivery, message.seq, message.cost);
  if (verdict === "duplicate") return;
  if (verdict !== "taken") return violated(state, verdict, effects);
  state.changes++;
  progressed(state);
  const outcome = mux.receive(state.mux, message, moment.now);
  if (state.relayed.has(message.connection) && (mux.isPassedOn(outcome) || outcome.kind === "accepted")) {
    return void effects.push({ kind: "relayed", message, outcome });
  }
  switch (outcome.kind) {
    case "message":
      return deliver(state, outcome.connection, outcome.body, effects);
    case "offered":
      return offered(state, outcome, effects);
    case "accepted": {
      const connection = state.connections.get(outcome.connection);
      if (connection === undefined) return;
      connection.accepted = true;
      connection.metadata = outcome.metadata;
      connection.schema = outcome.schema ?? null;
      effects.push({ kind: "accepted", connection: outcome.connection });
      return;
    }
    case "ended": {
      const connection = state.connections.get(outcome.connection);
      if (connection === undefined) return;
      const { reason = "", detail = "", rejected } = outcome;
      const failed = rejected || reason !== "";
      const by = rejected ? "refusal" : "other";
      return connectionOver(state, connection, { reason, detail, failed, by }, effects);
    }
    case "called":
      return called(state, outcome, effects);
    case "answered":
      return callAnswered(state, outcome, moment, effects);
    case "cancelled":
      return callCancelled(state, outcome, effects);
    case "item":
      return itemReceived(state, outcome, effects);
    case "channel_over":
      return downloadOver(state, outcome);
    case "answer":
      number(state, outcome.payload);
      if (outcome.ended !== null) endedByAnswer(state, outcome.ended, outcome.payload, effects);
      return;
    // What may be sent now is sent at the end of the turn.
    case "credited":
    case "messages_credited":
    case "dropped":
    // The client holds no messages in its multiplexer.
    case "ending":
      return;
    case "violation":
      return violated(state, outcome.violation, effects);
    default:
      return outcome satisfies never;
  }
}

function endedByAnswer(
  state: ClientState,
  id: number,
  payload: Extract<mux.MuxOutcome, { readonly kind: "answer" }>["payload"],
  effects: ClientEffect[],
): void {
  const connection: ClientConnection | undefined = state.connections.get(id);
  if (connection === undefined) return;
  const { reason = "ended", detail = "" } = payload.kind === "end" ? payload : {};
  connectionOver(state, connection, { reason, detail, failed: true, by: "other" }, effects);
}

/** Keeps a message until it is consumed. An ack never waits for that, so what nobody consumes is bounded here. */
function deliver(state: ClientState, id: number, body: EncodedBody, effects: ClientEffect[]): void {
  const connection = state.connections.get(id);
  if (connection === undefined || connection.over !== null) return;
  // Nobody would take what a service says on a connection that only carries repeated calls.
  if (connection.hidden) return grantMessages(state, id);
  if (!mayKeepFor(state, body.length + MESSAGE_OVERHEAD_BYTES)) {
    const detail = `more than ${state.settings.storedBytes} bytes wait to be consumed (delivery.bounded)`;
    return end(state, connection, { reason: "overloaded", detail, failed: true }, effects);
  }
  connection.inbox.items.push(owned(body));
  state.inboxBytes += body.length + MESSAGE_OVERHEAD_BYTES;
  effects.push({ kind: "arrived", connection: id });
}
