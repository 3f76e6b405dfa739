/**
 * The part of the client's machine that serves: connections that the server opens, and its calls on any connection.
 *
 * A handler runs in memory. What it had not answered when its page went is answered `indeterminate` by the next one.
 */

import { decodeFailure } from "../protocol/rpc_error.ts";
import * as mux from "../connection/mux_state.ts";
import type { RpcCode } from "../protocol/rpc_codes.ts";
import { encodeFailure } from "../protocol/rpc_error.ts";
import type { ClientEffect, Moment, ServingAct } from "./client_events.ts";
import type { ClientConnection, ClientState } from "./client_model.ts";
import { number } from "./client_numbering_state.ts";
import { end, newConnection, watchRunning } from "./client_sending_state.ts";

/** What the application does as a server. */
export function servingActed(state: ClientState, event: ServingAct, effects: ClientEffect[]): void {
  switch (event.kind) {
    case "serve":
      state.served.add(event.service);
      return;
    case "accept": {
      const connection = state.connections.get(event.connection);
      if (connection === undefined || connection.accepted) return;
      const { messageCredit } = event;
      const payloads = mux.accept(
        state.mux,
        connection.id,
        messageCredit === undefined ? {} : { messageCredit },
      );
      if (payloads.length === 0) return;
      for (const payload of payloads) number(state, payload);
      connection.accepted = true;
      effects.push({ kind: "accepted", connection: connection.id });
      return;
    }
    case "decline": {
      const connection = state.connections.get(event.connection);
      if (connection === undefined || connection.over !== null) return;
      const { reason, detail } = event;
      return end(state, connection, { reason, detail, failed: true }, effects);
    }
    case "respond": {
      const { connection: id, request, ok, body } = event;
      if (state.connections.get(id)?.running.delete(request) !== true) return;
      const answer = { ok, body, reason: ok ? "" : decodeFailure(body).code };
      for (const payload of mux.respond(state.mux, id, request, answer)) number(state, payload);
      return watchRunning(state);
    }
    default:
      return event satisfies never;
  }
}

/** The server opens a connection. */
export function offered(
  state: ClientState,
  { connection: id, service, metadata }: Extract<mux.MuxOutcome, { readonly kind: "offered" }>,
  effects: ClientEffect[],
): void {
  if (!state.served.has(service) || state.closing !== null) {
    const detail = `no service ${JSON.stringify(service)} at the client`;
    const payload = mux.reject(state.mux, id, "unknown-service", detail);
    if (payload !== null) number(state, payload);
    return;
  }
  const connection = newConnection(id, service, { serving: true });
  connection.metadata = metadata;
  state.connections.set(id, connection);
  effects.push({ kind: "offered", connection: id });
}

/** Restored connections that the server opened go to the services of this page; one whose service it has not is ended. */
export function offerRestored(state: ClientState, effects: ClientEffect[]): void {
  for (const connection of [...state.connections.values()]) {
    if (!connection.serving) continue;
    if (state.served.has(connection.service)) {
      effects.push({ kind: "offered", connection: connection.id });
    } else if (connection.over !== null) {
      state.connections.delete(connection.id);
    } else {
      const detail = `no service ${JSON.stringify(connection.service)} at the client any more`;
      end(state, connection, { reason: "unknown-service", detail, failed: true }, effects);
    }
  }
}

/** The server calls. */
export function called(
  state: ClientState,
  { connection: id, call, body, malformed }: Extract<mux.MuxOutcome, { readonly kind: "called" }>,
  effects: ClientEffect[],
): void {
  const connection = state.connections.get(id);
  if (connection === undefined) return;
  const { request, method, metadata, deadline, upload, download } = call;
  connection.running.set(request, deadline ?? Infinity);
  if (malformed !== undefined) {
    return fail(state, connection, request, "invalid-argument", `a malformed argument: ${malformed}`);
  }
  if (deadline !== null) state.runningDueAt = Math.min(state.runningDueAt, deadline);
  const channels = upload !== null || download !== null;
  effects.push({ kind: "called", connection: id, request, method, body, metadata, channels });
}

/** The server wants no answer any more (`call.cancel`). */
export function callCancelled(
  state: ClientState,
  { connection: id, call }: Extract<mux.MuxOutcome, { readonly kind: "cancelled" }>,
  effects: ClientEffect[],
): void {
  const connection = state.connections.get(id);
  if (connection?.running.has(call.request) !== true) return;
  fail(state, connection, call.request, "cancelled", "cancelled by the caller");
  effects.push({ kind: "abort", connection: id, request: call.request, reason: "cancelled" });
}

/** Answers the server's calls whose time is over (`call.timeout`). */
export function runningDue(state: ClientState, { now }: Moment, effects: ClientEffect[]): void {
  if (now < state.runningDueAt) return;
  for (const connection of state.connections.values()) {
    for (const [request, deadline] of connection.running) {
      if (now < deadline) continue;
      fail(state, connection, request, "deadline-exceeded", "not answered in time");
      effects.push({ kind: "abort", connection: connection.id, request, reason: "deadline-exceeded" });
    }
  }
  watchRunning(state);
}

/** Answers what the page before this one left unanswered. */
export function answerRestored(state: ClientState): void {
  const failure = {
    code: "indeterminate",
    message: "the page was gone before it answered",
  } as const;
  for (const { id, calls } of state.mux.connections.values()) {
    for (const { request } of [...calls?.incoming.values() ?? []]) {
      const answer = { ok: false, body: encodeFailure(failure), reason: failure.code };
      for (const payload of mux.respond(state.mux, id, request, answer)) number(state, payload);
    }
  }
}

function fail(
  state: ClientState,
  connection: ClientConnection,
  request: number,
  code: RpcCode,
  message: string,
): void {
  connection.running.delete(request);
  const answer = { ok: false, body: encodeFailure({ code, message }), reason: code };
  for (const payload of mux.respond(state.mux, connection.id, request, answer)) number(state, payload);
  watchRunning(state);
}
