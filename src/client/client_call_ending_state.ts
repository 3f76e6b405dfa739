/** The part of the client's machine in which calls come to their outcome: `call.once` as the caller sees it. */

import type { EncodedBody } from "../protocol/messages.ts";
import type { RpcCode } from "../protocol/rpc_codes.ts";
import { encodeFailure } from "../protocol/rpc_error.ts";
import type { ClientCall } from "./client_call_model.ts";
import type { ClientEffect } from "./client_events.ts";
import type { ClientConnection, ClientState, ConnectionEnding } from "./client_model.ts";
import { mayKeepFor, MESSAGE_OVERHEAD_BYTES } from "./client_numbering_state.ts";
import { remove, size } from "./fifo.ts";

/** Why a call fails that no answer of the server ends. */
export interface Failure {
  readonly code: RpcCode;
  readonly message: string;
}

/** The outcome of a call is known: tells whoever waits for it, and keeps it for who has yet to ask. */
export function settle(
  state: ClientState,
  call: ClientCall,
  outcome: Failure | { readonly ok: boolean; readonly body: EncodedBody },
  effects: ClientEffect[],
): void {
  retire(state, call);
  call.outcome = "code" in outcome ? { ok: false, body: encodeFailure(outcome) } : outcome;
  if (!call.claimed && !hold(state, call, call.outcome.body.length)) {
    const message = `more than ${state.settings.storedBytes} bytes wait to be asked for`;
    call.outcome = { ok: false, body: encodeFailure({ code: "resource-exhausted", message }) };
  }
  if (!call.claimed) return;
  const { ok, body } = call.outcome;
  effects.push({ kind: "call_over", call: call.key, ok, body });
  if (call.items === null) drop(state, call);
}

/** Counts what a call holds for the application. @returns False, and nothing is counted, where there is no room. */
export function hold(state: ClientState, call: ClientCall, bytes: number): boolean {
  const cost = bytes + MESSAGE_OVERHEAD_BYTES;
  if (!mayKeepFor(state, cost)) return false;
  call.held += cost;
  state.inboxBytes += cost;
  return true;
}

/** Takes a call out of everything that would take it further. */
function retire(state: ClientState, call: ClientCall): void {
  const connection = state.connections.get(call.connection);
  if (call.stage === "waiting") {
    const waited = connection !== undefined &&
      (remove(connection.waiting, (waiting) => waiting.kind === "call" && waiting.call === call) ||
        remove(connection.parked, (parked) => parked === call));
    if (waited) state.waitingBytes -= call.cost;
  }
  if (call.request !== 0) connection?.requests.delete(call.request);
  if (call.pending !== null) {
    state.waitingBytes -= call.pending.length + MESSAGE_OVERHEAD_BYTES;
    state.uploading.delete(call);
    call.pending = null;
  }
  if (call.kept) state.keptBytes -= call.cost;
  call.kept = false;
  call.stage = "over";
  call.request = 0;
  call.retryAt = Infinity;
  state.changes++;
}

/** Forgets a call. */
export function drop(state: ClientState, call: ClientCall): void {
  if (call.stage !== "over") retire(state, call);
  state.inboxBytes -= call.held;
  call.held = 0;
  state.changes++;
  if (!call.claimed && state.calls.has(call.key)) state.unclaimed--;
  state.calls.delete(call.key);
  if (state.calls.size === 0) state.callsDueAt = Infinity;
  const connection = state.connections.get(call.connection);
  if (connection !== undefined) forgetSpent(state, connection);
}

/** Forgets a connection that is over, once nothing of it is left to be taken. */
export function forgetSpent(state: ClientState, connection: ClientConnection): void {
  if (connection.over === null || size(connection.inbox) > 0) return;
  for (const call of state.calls.values()) if (call.connection === connection.id) return;
  state.connections.delete(connection.id);
}

/** A connection is over: what its calls come to. */
export function callsOver(
  state: ClientState,
  connection: ClientConnection,
  ending: ConnectionEnding,
  effects: ClientEffect[],
): void {
  for (const call of [...state.calls.values()]) {
    if (call.connection !== connection.id || call.stage === "over") continue;
    settle(state, call, call.tried ? cutOff(ending) : neverSent(state, connection), effects);
  }
}

/** The application wants the session to end: what was not sent will not be. */
export function callsClosed(state: ClientState, effects: ClientEffect[]): void {
  for (const call of [...state.calls.values()]) {
    if (call.stage === "waiting" && !call.tried) {
      settle(state, call, { code: "cancelled", message: "the session was closed" }, effects);
    }
  }
}

/** Codes for the reasons with which a connection is refused: whether another try makes sense depends on them. */
const REFUSALS: { readonly [reason: string]: RpcCode } = {
  "unknown-service": "unknown-method",
  "forbidden": "permission-denied",
  "too-many-connections": "resource-exhausted",
};

/** Nothing was done for a call: its connection, or the session, is over or about to be. */
export function neverSent(state: ClientState, connection: ClientConnection | undefined): Failure {
  const over = connection?.over ?? null;
  if (over !== null) return notTaken(over);
  const { reason, detail } = state.ended ?? state.closing ?? { reason: "", detail: "" };
  return notTaken({ reason, detail, failed: true, by: state.ended === null ? "application" : "other" });
}

/** A connection that is over takes no call. */
export function notTaken({ reason, detail, by }: ConnectionEnding): Failure {
  const message = `not sent: the connection is over (${describe(reason, detail)})`;
  if (by === "refusal") return { code: REFUSALS[reason] ?? "unavailable", message };
  return { code: by === "application" ? "cancelled" : "unavailable", message };
}

/** The call was sent, and no answer will come. */
function cutOff({ reason, detail, by }: ConnectionEnding): Failure {
  const message = `the connection ended before the answer (${describe(reason, detail)})`;
  if (by === "application") return { code: "cancelled", message };
  if (by === "refusal") return { code: REFUSALS[reason] ?? "unavailable", message };
  return { code: "indeterminate", message };
}

export function tooLarge(state: ClientState): Failure {
  const message = `an argument that is larger than ${state.agreed?.limits.bodyBytes} bytes`;
  return { code: "invalid-argument", message };
}

function describe(reason: string, detail: string): string {
  return [reason || "ended", detail].filter((text) => text !== "").join(": ");
}
