/** The part of the session machine that messages drive: what each one means and what it produces. */

import * as mux from "../connection/mux_state.ts";
import type { ConduitMessage, Message } from "../protocol/messages.ts";
import * as delivery from "./delivery_state.ts";
import { answered } from "./keepalive_state.ts";
import { answerCall, failure } from "./session_call_state.ts";
import { connectionGone, emit, endSession, violated } from "./session_ending_state.ts";
import {
  type Attachment,
  connectionChanged,
  type SessionEffect,
  type SessionState,
} from "./session_model.ts";
import { flushWaiting, serviceActed } from "./session_service_state.ts";
import { addWork, dropCallsOf, growWork } from "./work_state.ts";

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
      return closed(state, `${message.reason}: ${message.detail}`, now, effects);
    case "volatile": {
      const connection = state.mux.connections.get(message.connection);
      if (connection?.phase !== "open" || connection.ending !== null) return;
      if (message.malformed !== undefined) {
        return serviceActed(
          state,
          { do: "end", connection: connection.id, reason: "malformed-body", detail: message.malformed },
          now,
          effects,
        );
      }
      effects.push({ kind: "deliver", connection: connection.id, body: message.body, seq: null });
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
  const outcome = mux.receive(state.mux, message, now);
  if ("connection" in outcome && CHANGING.has(outcome.kind)) {
    connectionChanged(state, outcome.connection);
  }
  if (mux.isPassedOn(outcome) && state.mux.connections.get(outcome.connection)?.relayed === true) {
    return passOn(state, message, outcome, now, effects);
  }
  switch (outcome.kind) {
    case "message": {
      const { connection, body } = outcome;
      // Its credit is part of its record.
      if (state.mux.connections.get(connection)!.receiving !== null) connectionChanged(state, connection);
      effects.push({ kind: "deliver", connection, body, seq: message.seq });
      return;
    }
    case "offered": {
      const { connection, service, metadata } = outcome;
      if (access.services !== null && !access.services.includes(service)) {
        const detail = "these credentials do not allow this service";
        return serviceActed(state, { do: "reject", connection, reason: "forbidden", detail }, now, effects);
      }
      effects.push({ kind: "offer", connection, service, metadata });
      return;
    }
    case "accepted":
      effects.push({ kind: "accepted", connection: outcome.connection, metadata: outcome.metadata });
      return;
    case "ended": {
      const { connection, service, reason = "", detail = "" } = outcome;
      return connectionGone(state, connection, { service, reason, detail }, effects);
    }
    case "ending":
      dropCallsOf(state, outcome.connection);
      effects.push({ kind: "connection_ending", connection: outcome.connection });
      return;
    case "answer": {
      const { payload, ended, service } = outcome;
      if (ended !== null) {
        const { reason = "", detail = "" } = "reason" in payload && "detail" in payload ? payload : {};
        connectionGone(state, ended, { service, reason, detail }, effects);
      }
      return emit(state, payload, now, effects);
    }
    case "called":
      return called(state, outcome, now, effects);
    case "answered": {
      const { connection, call: { request }, malformed } = outcome;
      const ok = outcome.ok && malformed === undefined;
      const body = malformed === undefined ? outcome.body : failure("internal", malformed);
      effects.push({ kind: "answered", connection, request, ok, body });
      return;
    }
    case "cancelled": {
      const { connection, call: { request } } = outcome;
      return overrule(state, connection, request, "cancelled", "the caller cancelled it", now, effects);
    }
    case "item": {
      const { connection, call, body, malformed } = outcome;
      const { request } = call;
      if (malformed !== undefined) {
        return overrule(state, connection, request, "invalid-argument", malformed, now, effects);
      }
      if ("seq" in call && !growWork(state, call.seq, body.length)) {
        const text = "more items wait to be taken than the session may hold (delivery.bounded)";
        return overrule(state, connection, request, "resource-exhausted", text, now, effects);
      }
      effects.push({ kind: "item", connection, request, body });
      return;
    }
    case "channel_over": {
      const { connection, call: { request }, reason } = outcome;
      effects.push({ kind: "upload_over", connection, request, reason });
      return;
    }
    case "credited":
      effects.push({ kind: "credited", connection: outcome.connection });
      return;
    case "messages_credited":
      flushWaiting(state, outcome.connection, now, effects);
      effects.push({ kind: "credited", connection: outcome.connection });
      return;
    case "dropped":
      return;
    case "violation":
      return violated(state, outcome.violation, now, effects);
    default:
      return outcome satisfies never;
  }
}

/** What is heard on a connection that is relayed is for somebody else to answer, in time. */
function passOn(
  state: SessionState,
  message: Exclude<Message, ConduitMessage>,
  outcome: mux.PassedOn,
  now: number,
  effects: SessionEffect[],
): void {
  const { connection } = outcome;
  if (outcome.kind === "called" && outcome.call.deadline !== null) {
    state.callDeadline = Math.min(state.callDeadline, outcome.call.deadline);
  }
  // An operator's message may wait for that credit.
  if (outcome.kind === "messages_credited") flushWaiting(state, connection, now, effects);
  effects.push({ kind: "relayed", connection, message, outcome });
}

/** Outcomes after which the connection's record is another one, whatever else happens. */
const CHANGING: ReadonlySet<mux.MuxOutcome["kind"]> = new Set<mux.MuxOutcome["kind"]>([
  ...["offered", "accepted", "called", "answered", "item"] as const,
  ...["ending", "channel_over", "credited", "messages_credited"] as const,
]);

function called(
  state: SessionState,
  { connection, call, body, malformed }: Extract<mux.MuxOutcome, { readonly kind: "called" }>,
  now: number,
  effects: SessionEffect[],
): void {
  const { request, seq } = call;
  const answer = (code: "invalid-argument" | "resource-exhausted", text: string) =>
    answerCall(
      state,
      connection,
      request,
      { ok: false, body: failure(code, text), reason: code },
      now,
      effects,
    );
  if (malformed !== undefined) return answer("invalid-argument", malformed);
  if (!addWork(state, seq, connection, body, call)) {
    return answer("resource-exhausted", "the session holds as much as it may (delivery.bounded)");
  }
  if (call.deadline !== null) state.callDeadline = Math.min(state.callDeadline, call.deadline);
  effects.push({ kind: "call", connection, call, body });
}

/** The client wants the end of the session: messages that it sent before are handled first, calls are not. */
function closed(state: SessionState, detail: string, now: number, effects: SessionEffect[]): void {
  state.closing = detail;
  for (const { id, service, held, unsettled, phase, ending } of [...state.mux.connections.values()]) {
    if (ending !== null) continue;
    const outcome = mux.receive(state.mux, {
      kind: "end",
      connection: id,
      reason: "closed",
      seq: 0,
      cost: 0,
    });
    connectionChanged(state, id);
    state.changes++;
    if (outcome.kind === "ending" && phase === "open" && held.length + unsettled > 0) {
      dropCallsOf(state, id);
      effects.push({ kind: "connection_ending", connection: id });
    } else connectionGone(state, id, { service, reason: "closed", detail: "" }, effects);
  }
  closeIfHandled(state, now, effects);
}

/** Ends a session whose client wants that, once nothing is left to be handled. */
export function closeIfHandled(state: SessionState, now: number, effects: SessionEffect[]): void {
  if (state.closing === null || state.mux.connections.size > 0) return;
  endSession(state, "closed", state.closing, now, effects);
}

/** Answers a call in place of its handler, which hears that nobody wants its answer any more. */
export function overrule(
  state: SessionState,
  connection: number,
  request: number,
  code: "cancelled" | "deadline-exceeded" | "invalid-argument" | "resource-exhausted",
  text: string,
  now: number,
  effects: SessionEffect[],
): void {
  answerCall(
    state,
    connection,
    request,
    { ok: false, body: failure(code, text), reason: code },
    now,
    effects,
  );
  effects.push({ kind: "call_over", connection, request, reason: code });
}

/** Answers the calls whose time is over (`call.timeout`), and finds out when to look again. */
export function expireCalls(state: SessionState, now: number, effects: SessionEffect[]): void {
  if (now < state.callDeadline) return;
  let next = Infinity;
  for (const { id, calls } of state.mux.connections.values()) {
    for (const { request, deadline, early } of [...calls?.incoming.values() ?? []]) {
      if (deadline === null || early !== null) continue;
      if (deadline > now) next = Math.min(next, deadline);
      else overrule(state, id, request, "deadline-exceeded", "its time is over", now, effects);
    }
  }
  state.callDeadline = next;
}
