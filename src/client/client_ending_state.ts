/** The part of the client's machine that ends: by request, by the server's word, by a broken rule. */

import { closeCode } from "../protocol/reasons.ts";
import type { Violation } from "../protocol/rules.ts";
import type { Ending } from "./api.ts";
import { callsClosed } from "./client_call_ending_state.ts";
import type { ClientEffect, ClientEvent, Moment } from "./client_events.ts";
import type { ClientState, Closing } from "./client_model.ts";
import { takeRepeatable } from "./client_repeat_state.ts";
import { connectionOver } from "./client_sending_state.ts";

/** How long `close` waits for acks, and then for the server's confirmation; milliseconds. */
export const CLOSE_ACK_WAIT_MS = 5_000;
export const CLOSE_GIVE_UP_MS = 15_000;

/** How a session ends. */
export interface EndingManner {
  /** What conduits that are still there are closed with. */
  readonly code: number;
  readonly event: "ended" | "lost" | "taken-over";
  /** The token is discarded, and with it what the storage holds. */
  readonly forget: boolean;
  /** Consumers must not take it for a normal end. */
  readonly failed: boolean;
}

/** Ends the session on this side: every conduit, connection and waiting send. */
export function endSession(
  state: ClientState,
  { reason, detail }: Ending,
  manner: EndingManner,
  effects: ClientEffect[],
): void {
  if (state.ended !== null) return;
  state.ended = { reason, detail };
  for (const carrier of [state.attached, state.dialling]) {
    if (carrier === null) continue;
    const code = manner.code === 1006 ? 1000 : manner.code;
    effects.push({ kind: "close_conduit", conduit: carrier.conduit, code, reason });
  }
  state.attached = state.dialling = state.dialAt = null;
  if (manner.event === "lost") takeRepeatable(state);
  const by = manner.failed ? "other" : "application";
  for (const connection of state.connections.values()) {
    if (connection.over === null) {
      connectionOver(state, connection, { reason, detail, failed: manner.failed, by }, effects);
    }
  }
  for (const { ticket } of state.unsecured.splice(0)) {
    effects.push({ kind: "unsent", ticket, reason, detail });
  }
  if (manner.forget) effects.push({ kind: "forget" });
  switch (manner.event) {
    case "ended":
    case "lost":
      effects.push({ kind: "tell", name: manner.event, details: { reason, detail } });
      return;
    case "taken-over":
      effects.push({ kind: "tell", name: "taken-over", details: { session: state.identity?.session ?? "" } });
      return;
    default:
      manner.event satisfies never;
  }
}

/**
 * The server says that the session is over.
 *
 * 4501: it is not there any more, and the application hears `lost`; otherwise it `ended`. One that the application wanted
 * closed is closed, whichever way the server says so.
 */
export function failOver(state: ClientState, ending: Ending, code: number, effects: ClientEffect[]): void {
  const { closing } = state;
  if (closing !== null && ending.reason !== "protocol-error") {
    return endSession(state, closing, { code: 1000, event: "ended", forget: true, failed: false }, effects);
  }
  const event = code === closeCode("unknown-session") ? "lost" : "ended";
  endSession(state, ending, { code, event, forget: true, failed: true }, effects);
}

/** The server broke a rule: the session ends and says which (`end.protocol`). */
export function violated(state: ClientState, broken: Violation, effects: ClientEffect[]): void {
  const reason = "protocol-error";
  const detail = `${broken.rule}: ${broken.detail}`;
  if (state.attached !== null) {
    effects.push({
      kind: "transmit",
      conduit: state.attached.conduit,
      control: [{ kind: "close", reason, detail }],
      messages: [],
    });
  }
  failOver(state, { reason, detail }, closeCode(reason), effects);
}

/** The application ends the session. What it sent before is waited for; a session nobody ever asked for ends at once. */
export function closeRequested(
  state: ClientState,
  event: Moment & Extract<ClientEvent, { readonly kind: "close" }>,
  effects: ClientEffect[],
): void {
  if (state.closing !== null) return;
  const { reason, detail, now } = event;
  const ackBy = now + CLOSE_ACK_WAIT_MS;
  state.closing = { reason, detail, ackBy, giveUpAt: now + CLOSE_GIVE_UP_MS, told: false };
  callsClosed(state, effects);
  const asked = state.identity !== null || state.dialling?.stage === "handshaking" || state.rival;
  if (!asked && state.delivery.sent === 0) {
    endSession(state, state.closing, { code: 1000, event: "ended", forget: true, failed: false }, effects);
  }
}

/** True if the server may be told now: everything is acked, or that took too long (`end.close`). */
export function closeIsDue(state: ClientState, closing: Closing, now: number): boolean {
  if (closing.told) return false;
  return now >= closing.ackBy || state.waitingBytes === 0 && state.delivery.sent === state.delivery.acked;
}
