/**
 * The part of the client's machine that carries operations over a lost session: what has a key may be asked for again, since it
 * runs at most once for its principal (`call.operation`).
 */

import * as mux from "../connection/mux_state.ts";
import type { Metadata } from "../protocol/messages.ts";
import { watchDeadline } from "./client_call_claim_state.ts";
import { drop } from "./client_call_ending_state.ts";
import type { ClientCall } from "./client_call_model.ts";
import { enter } from "./client_call_state.ts";
import type { ClientEffect } from "./client_events.ts";
import type { ClientConnection, ClientState, RepeatableCall } from "./client_model.ts";
import { number } from "./client_numbering_state.ts";
import { end, newConnection } from "./client_sending_state.ts";

/** The session is lost: the calls that go on in the next one are taken out of it. */
export function takeRepeatable(state: ClientState): void {
  if (!state.settings.repeatsOperations) return;
  for (const call of [...state.calls.values()]) {
    if (call.operation === null || !call.claimed || call.stage === "over" || call.body === null) continue;
    const { body } = call;
    const offer = state.connections.get(call.connection)?.offer;
    drop(state, call);
    state.repeatable.push({ call: { ...call, body }, offer });
  }
}

/** Asks again for what a lost session left: on connections of their own, one for each service, that end with their calls. */
export function repeatCalls(
  state: ClientState,
  repeatable: readonly RepeatableCall[],
  effects: ClientEffect[],
): void {
  const byService = new Map<string, ClientConnection>();
  for (const { call, offer } of repeatable) {
    let connection = byService.get(call.service);
    if (connection === undefined) {
      connection = openHidden(state, call.service, offer);
      byService.set(call.service, connection);
    }
    const again: ClientCall = {
      ...call,
      connection: connection.id,
      stage: "waiting",
      tried: false,
      retries: 0,
    };
    state.calls.set(again.key, again);
    watchDeadline(state, again.deadline);
    enter(state, connection, again);
  }
  if (repeatable.length === 0) return;
  const calls = repeatable.map(({ call: { service, method, operation } }) => (
    { service, method, operation: operation ?? "" }
  ));
  effects.push({ kind: "tell", name: "repeated", details: { calls } });
}

function openHidden(state: ClientState, service: string, metadata: Metadata | undefined): ClientConnection {
  const payload = mux.open(state.mux, service, metadata === undefined ? {} : { metadata });
  const connection = newConnection(payload.connection, service, { hidden: true, offer: metadata });
  state.connections.set(connection.id, connection);
  state.hidden.add(connection.id);
  number(state, payload);
  return connection;
}

/** Ends the connections that were opened for repeated calls, once these are over. */
export function endHidden(state: ClientState, effects: ClientEffect[]): void {
  for (const id of state.hidden) {
    const connection = state.connections.get(id);
    const busy = connection !== undefined &&
      [...state.calls.values()].some((call) => call.connection === id);
    if (busy) continue;
    state.hidden.delete(id);
    if (connection !== undefined) end(state, connection, {}, effects);
  }
}
