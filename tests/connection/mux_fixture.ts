/** Messages as they arrive at a multiplexer, and sides with a connection that is open, for tests. */

import assert from "node:assert/strict";
import * as mux from "../../src/connection/mux_state.ts";
import { encodeBody } from "../../src/protocol/body.ts";
import type { CallOptions, SessionMessage, SessionPayload } from "../../src/protocol/messages.ts";
import type { RuleId } from "../../src/protocol/rules.ts";

/** A body that no test looks into. */
export const BODY = encodeBody("x");

/** A payload as it arrives; the multiplexer leaves numbers and costs alone. */
export function arrives(payload: SessionPayload, seq = 1): SessionMessage {
  return { ...payload, seq, cost: 1 };
}

export const opened = (connection: number, service = "echo") =>
  arrives({ kind: "open", connection, service });
export const plain = (connection = 1) => arrives({ kind: "message", connection, body: BODY });
export const ended = (connection = 1) => arrives({ kind: "end", connection });
export const called = (request: number, options?: CallOptions, seq = 1) =>
  arrives({
    kind: "call",
    connection: 1,
    request,
    method: "m",
    body: BODY,
    ...(options === undefined ? {} : { options }),
  }, seq);
export const answered = (request: number, ok = true) =>
  arrives({ kind: "response", connection: 1, request, ok, body: BODY });
export const cancelled = (request: number) => arrives({ kind: "cancel", connection: 1, request });
export const item = (channel: number) => arrives({ kind: "item", connection: 1, channel, body: BODY });
export const finished = (channel: number) => arrives({ kind: "finish", connection: 1, channel });
export const broke = (channel: number, reason = "r") =>
  arrives({ kind: "reset", connection: 1, channel, reason });
export const granted = (channel: number, additional: number) =>
  arrives({ kind: "credit", connection: 1, channel, additional });

/** The same message with a body that breaks `frame.body`. */
export function malformed(message: SessionMessage): SessionMessage {
  assert.ok("body" in message);
  return { ...message, body: new Uint8Array(), malformed: "bad" };
}

/** An answer for `respond`. */
export const OK = { ok: true, body: BODY, reason: "" } as const;
export const FAILED = { ok: false, body: BODY, reason: "internal" } as const;

/** The rule that an outcome says was broken. */
export function broken(outcome: mux.MuxOutcome): RuleId | undefined {
  return outcome.kind === "violation" ? outcome.violation.rule : undefined;
}

/** Messages by their kinds. */
export function kinds(payloads: readonly SessionPayload[]): string[] {
  return payloads.map(({ kind }) => kind);
}

/** A server that the client has opened connection 1 to; not accepted. */
export function offered(most = 8, mostCalls?: number): mux.MuxState {
  const state = mux.newMux("server", most, mostCalls);
  assert.equal(mux.receive(state, opened(1)).kind, "offered");
  return state;
}

/** A server with connection 1 open. */
export function serving(most = 8, mostCalls?: number): mux.MuxState {
  const state = offered(most, mostCalls);
  assert.deepEqual(kinds(mux.accept(state, 1)), ["accept"]);
  return state;
}

/** A client that has opened connection 1; not accepted. */
export function opening(most = 8, mostCalls?: number): mux.MuxState {
  const state = mux.newMux("client", most, mostCalls);
  assert.equal(mux.open(state, "echo").connection, 1);
  return state;
}

/** A client with connection 1 open. */
export function calling(most = 8, mostCalls?: number): mux.MuxState {
  const state = opening(most, mostCalls);
  assert.equal(mux.receive(state, arrives({ kind: "accept", connection: 1 })).kind, "accepted");
  return state;
}

/** What the calls of connection 1 hold: calls in either direction, and open channels. */
export function inFlight(
  state: mux.MuxState,
): { incoming: number[]; outgoing: number[]; channels: number[] } {
  const calls = state.connections.get(1)?.calls;
  return {
    incoming: [...calls?.incoming.keys() ?? []],
    outgoing: [...calls?.outgoing.keys() ?? []],
    channels: [...calls?.channels.keys() ?? []].sort((a, b) => a - b),
  };
}
