/** The part of the client's machine where messages get their numbers, and what bounds what may get one. */

import type { EncodedBody, SessionPayload } from "../protocol/messages.ts";
import { enqueue } from "../session/delivery_state.ts";
import type { ClientState } from "./client_model.ts";

/** What a message costs beside its body, at most, on the wire and in memory. */
export const MESSAGE_OVERHEAD_BYTES = 64;

/** The largest body that every server takes: larger ones wait until its limits are known. */
export const SAFE_BODY_BYTES = 8 * 1024;

/** Numbers a message and keeps it until it is acked. Every session message of the client leaves through here. */
export function number(state: ClientState, payload: SessionPayload, ticket: number | null = null): void {
  enqueue(state.delivery, payload);
  state.changes++;
  if (ticket !== null) state.unsecured.push({ seq: state.delivery.sent, ticket });
}

/** The largest body that may be sent, as far as is known. */
export function largestBody(state: ClientState, fallback: number): number {
  return state.agreed?.limits.bodyBytes ?? fallback;
}

/** True if so much more fits what may wait here. */
export function mayHold(state: ClientState, bytes: number): boolean {
  return state.waitingBytes + state.keptBytes + bytes <= state.settings.storedBytes;
}

/** True if so much more fits what may wait for the application. */
export function mayKeepFor(state: ClientState, bytes: number): boolean {
  return state.inboxBytes + bytes <= state.settings.storedBytes;
}

/** A body is a view of its frame: a small one must not keep a large frame alive. */
export function owned(body: EncodedBody): EncodedBody {
  return body.buffer.byteLength > 2 * body.length ? body.slice() : body;
}
