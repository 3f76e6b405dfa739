/**
 * The client's machine: what one event means for one session, seen from the side that dials.
 *
 * Time and randomness arrive inside events and I/O leaves as effects, in the order the runner performs them. With a
 * storage nothing is sent or acked before the write that holds it (`resume.stored-client`): what a write made safe arrives as
 * `stored`. Without one everything is safe as soon as its turn ends.
 */

import { closeCode } from "../protocol/reasons.ts";
import * as delivery from "../session/delivery_state.ts";
import * as keepalive from "../session/keepalive_state.ts";
import type { SessionPhase } from "./api.ts";
import { closeIsDue, closeRequested, endSession, violated } from "./client_ending_state.ts";
import {
  abandonDial,
  conduitClosed,
  cut,
  dial,
  dialLater,
  handleHandshake,
  HANDSHAKE_TIMEOUT_MS,
  lose,
  sendStart,
} from "./client_handshake_state.ts";
import { handle } from "./client_message_state.ts";
import { awaitClaims } from "./client_call_claim_state.ts";
import { callActed, callsDue } from "./client_call_state.ts";
import { channelActed } from "./client_channel_state.ts";
import type { ClientEffect, ClientEvent, Moment } from "./client_events.ts";
import type { ClientState, StorePoint } from "./client_model.ts";
import { endHidden, repeatCalls } from "./client_repeat_state.ts";
import { connectionActed, drain } from "./client_sending_state.ts";
import { offerRestored, runningDue, servingActed } from "./client_serving_state.ts";

/** How long a probe waits for an answer, milliseconds. */
export const PROBE_TIMEOUT_MS = 3_000;
/** A nudge does not dial more often than this, milliseconds. */
export const NUDGE_SPACING_MS = 1_000;
/** After a failed write of the storage: the first delay, and the longest, milliseconds. */
const STORE_RETRY_MS = 1_000;
const STORE_RETRY_MOST_MS = 30_000;

/** Decides what one event means. */
export function step(state: ClientState, event: ClientEvent): ClientEffect[] {
  const effects: ClientEffect[] = [];
  if (state.ended !== null && !AFTER_THE_END.has(event.kind)) return effects;
  switch (event.kind) {
    case "begin":
      awaitClaims(state, event.now);
      offerRestored(state, effects);
      if (event.backoff) dialLater(state, event);
      else dial(state, event, effects);
      break;
    case "conduit_open":
      conduitOpen(state, event, effects);
      break;
    case "credentials":
      if (state.dialling?.conduit === event.conduit) state.dialling.auth = event.auth;
      break;
    case "credentials_failed":
      if (state.dialling?.conduit === event.conduit) {
        abandonDial(state, { code: 1000, reason: "no credentials" }, event, effects);
      }
      break;
    case "frame":
      for (const message of event.messages) {
        if (state.ended !== null) break;
        if (state.dialling?.conduit === event.conduit) handleHandshake(state, message, event, effects);
        else if (state.attached?.conduit === event.conduit) handle(state, message, event, effects);
      }
      break;
    case "undecodable":
      if (state.attached?.conduit === event.conduit) violated(state, event.violation, effects);
      else if (state.dialling?.conduit === event.conduit) {
        abandonDial(state, { code: 4600, reason: "malformed" }, event, effects);
      }
      break;
    case "conduit_closed":
      conduitClosed(state, event, effects);
      break;
    case "woke":
      woke(state, event, effects);
      break;
    case "nudge":
      nudge(state, event, effects);
      break;
    case "cut":
      cut(state, event, effects);
      break;
    case "go_offline":
      state.offline = true;
      state.dialAt = null;
      cut(state, event, effects);
      break;
    case "go_online":
      state.offline = false;
      if (state.attached === null && state.dialling === null) dial(state, event, effects);
      break;
    case "open":
    case "relay":
    case "send":
    case "send_volatile":
    case "consumed":
    case "keep":
    case "end":
      connectionActed(state, event, effects);
      break;
    case "call":
    case "claim_call":
    case "cancel_call":
    case "leave_call":
      callActed(state, event, effects);
      break;
    case "item_consumed":
    case "upload_item":
    case "upload_over":
      channelActed(state, event, effects);
      break;
    case "serve":
    case "accept":
    case "decline":
    case "respond":
      servingActed(state, event, effects);
      break;
    case "repeat":
      repeatCalls(state, event.calls, effects);
      break;
    case "close":
      closeRequested(state, event, effects);
      break;
    case "turn_ended":
      turnEnded(state, event, effects);
      break;
    case "stored":
      state.storing = null;
      state.storeRetryAt = null;
      state.storeFailures = 0;
      secured(state, event.point, event.now, effects);
      break;
    case "store_failed":
      state.storing = null;
      state.storeRetryAt = event.now +
        Math.min(STORE_RETRY_MS * 2 ** Math.min(state.storeFailures++, 10), STORE_RETRY_MOST_MS);
      break;
    default:
      return event satisfies never;
  }
  return effects;
}

/** What ended is only consumed; and what is asked of it is told so. */
const AFTER_THE_END: ReadonlySet<ClientEvent["kind"]> = new Set(
  ["consumed", "send", "call", "claim_call", "leave_call", "item_consumed"] as const,
);

/** Where the session is, for the application. */
export function phaseOf(state: ClientState): SessionPhase {
  if (state.ended !== null) return "ended";
  if (state.attached !== null) return "attached";
  if (state.dialling !== null) return state.dialling.stage === "connecting" ? "connecting" : "handshaking";
  return state.offline || state.lastConduit === 0 ? "idle" : "detached";
}

/** When the machine must be woken at the latest; null: never. */
export function wakeAt(state: ClientState): number | null {
  if (state.ended !== null) return null;
  let at = state.storing === null ? state.storeRetryAt ?? Infinity : Infinity;
  if (state.dialling !== null) at = Math.min(at, state.dialling.until);
  else if (state.dialAt !== null) at = Math.min(at, state.dialAt);
  at = Math.min(at, state.callsDueAt, state.runningDueAt);
  if (state.closing !== null) {
    const { told, ackBy, giveUpAt } = state.closing;
    at = Math.min(at, told || !maySpeak(state) ? giveUpAt : ackBy);
  }
  if (state.attached !== null) {
    at = Math.min(at, listenUntil(state));
    if (maySpeak(state)) at = Math.min(at, delivery.ackDueAt(state.delivery) ?? Infinity);
  }
  return at === Infinity ? null : at;
}

/** Describes what a write that is assembled now holds. */
export function storePoint(state: ClientState): StorePoint {
  const { changes, identity, delivery: { taken, sent } } = state;
  return { taken, sent, changes, token: identity?.token ?? null };
}

/**
 * True if the attached conduit may be given numbered messages and acks.
 *
 * Not before its token is safe; and not while another conduit's `start` is out: its counters must stay true until
 * the answer, or the server would find that they diverge.
 */
function maySpeak(state: ClientState): boolean {
  return state.attached?.cleared === true && state.dialling?.stage !== "handshaking";
}

/** Until when silence is no reason to ask. */
function listenUntil(state: ClientState): number {
  const { outstanding, heardAt } = state.attached!.keepalive;
  if (outstanding !== null) return outstanding.lostAt;
  const { interval, timeout } = state.agreed!.keepalive;
  return heardAt + Math.max(interval + timeout - PROBE_TIMEOUT_MS, PROBE_TIMEOUT_MS);
}

function conduitOpen(
  state: ClientState,
  { conduit, challenge, now }: Moment & Extract<ClientEvent, { readonly kind: "conduit_open" }>,
  effects: ClientEffect[],
): void {
  const { dialling } = state;
  if (dialling?.conduit !== conduit || dialling.stage !== "connecting") return;
  dialling.stage = "asking";
  dialling.until = now + HANDSHAKE_TIMEOUT_MS;
  // A new session is asked for with the challenge that stays until it is answered (`handshake.challenge`).
  dialling.challenge = state.identity === null ? state.challenge : challenge;
  if (state.settings.authenticated) {
    effects.push({ kind: "ask_credentials", conduit, refused: state.refusedCredentials });
  }
}

function woke(state: ClientState, moment: Moment, effects: ClientEffect[]): void {
  const { now } = moment;
  const { closing } = state;
  if (closing !== null && now >= closing.giveUpAt) {
    return endSession(state, closing, { code: 1000, event: "ended", forget: true, failed: false }, effects);
  }
  callsDue(state, moment, effects);
  runningDue(state, moment, effects);
  if (state.dialling !== null && now >= state.dialling.until) {
    abandonDial(state, { code: 1000, reason: "handshake-timeout" }, moment, effects);
  }
  if (state.attached !== null && now >= listenUntil(state)) {
    // `keepalive.silence`: asks before it gives up, since a machine that slept wakes up late for everything.
    if (state.attached.keepalive.outstanding === null) probe(state, now);
    else lose(state, { code: closeCode("keepalive-timeout"), reason: "keepalive-timeout" }, moment, effects);
  }
  if (state.dialling === null && state.dialAt !== null && now >= state.dialAt) dial(state, moment, effects);
}

function nudge(state: ClientState, moment: Moment, effects: ClientEffect[]): void {
  if (state.offline) return;
  if (state.attached !== null) {
    const { outstanding } = state.attached.keepalive;
    if (outstanding === null || outstanding.lostAt > moment.now + PROBE_TIMEOUT_MS) probe(state, moment.now);
  } else if (state.dialling === null && state.dialAt !== null) {
    const at = Math.max(moment.now, state.lastDialAt + NUDGE_SPACING_MS, state.notBefore);
    if (at < state.dialAt) state.dialAt = at;
    if (state.dialAt <= moment.now) dial(state, moment, effects);
  }
}

function probe(state: ClientState, now: number): void {
  const nonce = keepalive.probe(state.attached!.keepalive, PROBE_TIMEOUT_MS, now);
  state.control.push({ kind: "ping", nonce });
}

function turnEnded(state: ClientState, moment: Moment, effects: ClientEffect[]): void {
  drain(state, moment, effects);
  if (state.hidden.size > 0) endHidden(state, effects);
  if (state.relayed.size > 0) effects.push({ kind: "room" });
  if (state.changes > state.storedChanges) {
    const point = storePoint(state);
    if (!state.settings.stored) secured(state, point, moment.now, effects);
    else if (state.storing === null && (state.storeRetryAt === null || moment.now >= state.storeRetryAt)) {
      state.storing = point;
      effects.push({ kind: "store", point });
    }
  }
  sendStart(state, effects);
  flush(state, moment.now, effects);
}

function secured(state: ClientState, point: StorePoint, now: number, effects: ClientEffect[]): void {
  state.storedChanges = point.changes;
  delivery.secure(state.delivery, point, now);
  if (state.attached !== null && point.token === state.identity?.token) state.attached.cleared = true;
  let safe = 0;
  for (const { seq, ticket } of state.unsecured) {
    if (seq > point.sent) break;
    effects.push({ kind: "sent", ticket });
    safe++;
  }
  if (safe > 0) state.unsecured.splice(0, safe);
}

/** Puts all that may go now into one frame: conduit messages, an ack if it is due or travels for free, then messages. */
function flush(state: ClientState, now: number, effects: ClientEffect[]): void {
  const { attached, delivery: counters } = state;
  if (attached === null || !attached.cleared) return;
  const speaks = maySpeak(state);
  const messages = speaks ? delivery.transmit(counters) : [];
  const volatile = speaks ? state.volatile.splice(0) : [];
  const control = state.control.splice(0);
  if (speaks) {
    const dueAt = delivery.ackDueAt(counters);
    const free = control.length > 0 || messages.length > 0 || volatile.length > 0;
    if (!attached.confirmed || dueAt !== null && (free || dueAt <= now)) {
      control.unshift({ kind: "ack", received: delivery.tellReceived(counters) });
      attached.confirmed = true;
    }
  }
  for (const { message } of volatile) control.push(message);
  if (control.length > 0 || messages.length > 0) {
    attached.keepalive.spokeAt = now;
    effects.push({ kind: "transmit", conduit: attached.conduit, control, messages });
  }
  const { closing } = state;
  if (closing === null || !speaks || !closeIsDue(state, closing, now)) return;
  closing.told = true;
  const { reason, detail } = closing;
  effects.push({
    kind: "transmit",
    conduit: attached.conduit,
    control: [{ kind: "close", reason, detail }],
    messages: [],
  });
}
