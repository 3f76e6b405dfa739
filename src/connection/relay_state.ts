/**
 * Messages that this side passes on for somebody else instead of making them: what they change here. Part of the
 * multiplexer, for bridges (`connection.proxy`, `bridge_state.ts`).
 *
 * A bridge is a client on one side and a server on the other, so requests and channels keep their ids, parity included.
 * What opens and ends connections is in `mux_actions_state.ts`, as for everybody.
 */

import type { SessionPayload } from "../protocol/messages.ts";
import { decodeFailure } from "../protocol/rpc_error.ts";
import { newCalls, receivingOf, relayCall } from "./call_state.ts";
import { grant } from "./channel_state.ts";
import { cancel, endChannel, mayCall, maySend, respond, sendItem } from "./mux_actions_state.ts";
import type { ConnectionState, MuxState } from "./mux_model.ts";

/** What is passed on within a connection. */
export type Relayed = Exclude<SessionPayload, { readonly kind: "open" | "accept" | "reject" | "end" }>;

/** True for a call that may not be made now: the other side has a lower `call.limit`. */
export function refusesCall(state: MuxState, payload: Relayed): boolean {
  return payload.kind === "call" && state.connections.has(payload.connection) &&
    !mayCall(state, payload.connection);
}

/**
 * Takes down what a message that is passed on changes.
 *
 * @returns What to send, in order: nothing where what it belongs to is over by now.
 */
export function relay(state: MuxState, payload: Relayed): SessionPayload[] {
  const { connection: id } = payload;
  const connection = state.connections.get(id);
  if (connection === undefined) return [];
  switch (payload.kind) {
    case "message":
      return maySend(state, id) ? [payload] : [];
    case "call": {
      if (!mayCall(state, id)) return [];
      const calls = connection.calls ??= newCalls();
      if (connection.phase === "opening") calls.early++;
      relayCall(calls, payload);
      return [payload];
    }
    case "response": {
      const { request, ok, body } = payload;
      return respond(state, id, request, { ok, body, reason: ok ? "" : decodeFailure(body).code });
    }
    case "cancel":
      return some(cancel(state, id, payload.request));
    case "item":
      return some(sendItem(state, id, payload.channel, payload.body));
    case "finish":
      return some(endChannel(state, id, payload.channel, null));
    case "reset":
      return some(endChannel(state, id, payload.channel, payload.reason));
    case "credit":
      return relayCredit(connection, payload) ? [payload] : [];
    default:
      return payload satisfies never;
  }
}

function relayCredit(
  connection: ConnectionState,
  { channel, additional }: Relayed & { readonly kind: "credit" },
): boolean {
  if (channel === 0) {
    if (connection.receiving === null) return false;
    grant(connection.receiving, additional);
    return true;
  }
  const call = connection.calls?.channels.get(channel);
  const receiving = call === undefined ? null : receivingOf(call);
  if (receiving?.id !== channel) return false;
  grant(receiving.end, additional);
  return true;
}

function some(payload: SessionPayload | null): SessionPayload[] {
  return payload === null ? [] : [payload];
}
