/**
 * The part of the client's machine that has the items of calls: what was received and not consumed, and the one item of an
 * upload that waits for credit or for room.
 *
 * Rules `channel.credit`, `channel.order`, `channel.finish`, `channel.reset`.
 */

import * as mux from "../connection/mux_state.ts";
import { hasRoom } from "../session/delivery_state.ts";
import { hold } from "./client_call_ending_state.ts";
import type { ClientCall } from "./client_call_model.ts";
import { callOf, cancel } from "./client_call_state.ts";
import { drop } from "./client_call_ending_state.ts";
import type { CallAct, ClientEffect } from "./client_events.ts";
import type { ClientState } from "./client_model.ts";
import { MESSAGE_OVERHEAD_BYTES, number, owned } from "./client_numbering_state.ts";
import { shift, size } from "./fifo.ts";

/** What the application does with the items of its calls. */
export function channelActed(
  state: ClientState,
  event: Extract<CallAct, { readonly kind: "item_consumed" | "upload_item" | "upload_over" }>,
  effects: ClientEffect[],
): void {
  const call = state.calls.get(event.call);
  if (call === undefined) return;
  switch (event.kind) {
    case "item_consumed":
      return consumed(state, call);
    case "upload_item":
      if (call.stage !== "sent" || call.pending !== null) return;
      call.pending = event.body;
      state.waitingBytes += event.body.length + MESSAGE_OVERHEAD_BYTES;
      state.uploading.add(call);
      return void advanceUpload(state, call, effects);
    case "upload_over": {
      if (call.stage !== "sent") return;
      const payload = mux.endChannel(state.mux, call.connection, call.uploads, event.reason);
      if (payload !== null) number(state, payload);
      if (event.reason !== null) drop(state, call);
      return;
    }
    default:
      return event satisfies never;
  }
}

/** Sends the item of an upload that waits, if it may go now. @returns True if it went. */
export function advanceUpload(state: ClientState, call: ClientCall, effects: ClientEffect[]): boolean {
  const body = call.pending;
  if (body === null || !hasRoom(state.delivery, body.length + MESSAGE_OVERHEAD_BYTES)) return false;
  const payload = mux.sendItem(state.mux, call.connection, call.uploads, body);
  if (payload === null) return false;
  call.pending = null;
  state.uploading.delete(call);
  state.waitingBytes -= body.length + MESSAGE_OVERHEAD_BYTES;
  number(state, payload);
  effects.push({ kind: "pull", call: call.key });
  return true;
}

/** An item of the server's. It is kept until it is consumed; an ack never waits for that, so it is bounded here too. */
export function itemReceived(
  state: ClientState,
  outcome: Extract<mux.MuxOutcome, { readonly kind: "item" }>,
  effects: ClientEffect[],
): void {
  // An upload to the client is never asked for: its call was answered before.
  if ("seq" in outcome.call) return;
  const call = callOf(state, outcome.connection, outcome.call);
  if (call === undefined || call.items === null) return;
  const { body, malformed } = outcome;
  if (malformed !== undefined) {
    return cancel(state, call.key, { code: "internal", message: `a malformed item: ${malformed}` }, effects);
  }
  if (!hold(state, call, body.length)) {
    const message = `more than ${state.settings.storedBytes} bytes wait to be consumed (delivery.bounded)`;
    return cancel(state, call.key, { code: "resource-exhausted", message }, effects);
  }
  call.items.items.push(owned(body));
  // Whoever waits has seen all that came before.
  if (size(call.items) === 1 && call.claimed) effects.push({ kind: "item_arrived", call: call.key });
}

/** The server sends no more items. A reset is followed by the answer, which says why. */
export function downloadOver(
  state: ClientState,
  outcome: Extract<mux.MuxOutcome, { readonly kind: "channel_over" }>,
): void {
  if ("seq" in outcome.call) return;
  const call = callOf(state, outcome.connection, outcome.call);
  if (call !== undefined) call.finished = outcome.reason === null;
}

function consumed(state: ClientState, call: ClientCall): void {
  const body = call.items === null ? undefined : shift(call.items);
  if (body === undefined) return;
  const cost = body.length + MESSAGE_OVERHEAD_BYTES;
  call.held -= cost;
  state.inboxBytes -= cost;
  state.changes++;
  if (call.stage !== "sent" || state.ended !== null) return;
  const grant = mux.consumeItems(state.mux, call.connection, call.downloads);
  if (grant !== null) number(state, grant);
}
