/**
 * The session machine of the server: what one event means for one session.
 *
 * Time arrives inside events and I/O leaves as effects, in the order the runner performs them. Nothing numbered, no
 * counter and no token leaves before the commit that holds it: what a commit made safe arrives as `committed`, and only
 * that lets messages and acks go.
 */

import { closeCode, type Reason } from "../protocol/reasons.ts";
import * as delivery from "./delivery_state.ts";
import { type DetachReason, type HistoryEntry, withEntry } from "./history.ts";
import * as keepalive from "./keepalive_state.ts";
import { confirmEnd, endSession, violated } from "./session_ending_state.ts";
import { closeIfHandled, expireCalls, handle } from "./session_message_state.ts";
import type { CommitPoint, SessionEffect, SessionEvent, SessionState } from "./session_model.ts";
import { serviceActed } from "./session_service_state.ts";
import { offerToken, proveToken } from "./token_state.ts";

/** Decides what one event means for one session. */
export function step(state: SessionState, event: SessionEvent): SessionEffect[] {
  // What ended only waits for its commit.
  if (state.ended !== null && event.kind !== "committed" && event.kind !== "turn_ended") return [];
  const effects: SessionEffect[] = [];
  switch (event.kind) {
    case "attach":
      attach(state, event);
      break;
    case "frame":
      frame(state, event, effects);
      break;
    case "undecodable":
      if (state.attached?.conduit === event.conduit) violated(state, event.violation, event.now, effects);
      break;
    case "conduit_lost":
      conduitLost(state, event.conduit, event.reason ?? "broke", event.now);
      break;
    case "authorised":
      authorised(state, event, effects);
      break;
    case "service":
      serviceActed(state, event.action, event.now, effects, event.storedBytes);
      break;
    case "turn_ended":
      turnEnded(state, event.now, effects);
      break;
    case "committed":
      committed(state, event.point, event.now, effects);
      break;
    case "woke":
      woke(state, event.now, effects);
      break;
    case "end":
      endSession(state, event.reason, event.detail, event.now, effects);
      break;
    case "go_away":
      if (state.attached !== null) {
        const { kind: _, now: __, ...goaway } = event;
        effects.push({
          kind: "send",
          conduit: state.attached.conduit,
          message: { kind: "goaway", ...goaway },
        });
      }
      break;
    default:
      return event satisfies never;
  }
  closeIfHandled(state, "now" in event ? event.now : 0, effects);
  return effects;
}

/**
 * Takes a frame apart into its messages; every other event is one part.
 *
 * Each part is carried out before the next is looked at, so that a service finds its connection as its message left it,
 * and not as a later message of the same frame did.
 */
export function partsOf(event: SessionEvent): readonly SessionEvent[] {
  if (event.kind !== "frame" || event.messages.length < 2) return [event];
  return event.messages.map((message) => ({ ...event, messages: [message] }));
}

/** Describes what a commit that is assembled now will hold. */
export function commitPoint(state: SessionState): CommitPoint {
  const { changes, attaching, ended } = state;
  return { taken: state.delivery.taken, sent: state.delivery.sent, changes, attaching, ended };
}

/** When the machine must be woken at the latest; null: never. */
export function wakeAt(state: SessionState): number | null {
  if (state.ended !== null) return null;
  let at = state.callDeadline;
  if (state.tokens.current === null) at = Math.min(at, state.provisionalUntil);
  if (state.settings.idleTimeout !== null) at = Math.min(at, state.movedAt + state.settings.idleTimeout);
  if (state.detachedAt !== null && state.attaching === null) {
    at = Math.min(at, state.detachedAt + state.settings.resumeWindow);
  }
  if (state.attached !== null && state.attaching === null) {
    at = Math.min(at, keepalive.keepaliveDueAt(state.attached.keepalive, state.settings.keepalive));
    at = Math.min(at, delivery.ackDueAt(state.delivery) ?? Infinity);
    at = Math.min(at, state.attached.access.expiresAt ?? Infinity);
  }
  return at === Infinity ? null : at;
}

/** When a session that nobody attends ends, as the store's deadline index keeps it. */
export function endsAt(state: SessionState, detachedAt: number): number {
  let at = detachedAt + state.settings.resumeWindow;
  if (state.settings.idleTimeout !== null) at = Math.min(at, state.movedAt + state.settings.idleTimeout);
  if (state.tokens.current === null) at = Math.min(at, state.provisionalUntil);
  return at;
}

/** True if the session is gone without a trace when it ends: no token of it was ever proven. */
export function isProvisional(state: SessionState): boolean {
  return state.tokens.current === null;
}

type Of<K extends SessionEvent["kind"]> = Extract<SessionEvent, { readonly kind: K }>;

function attach(state: SessionState, event: Of<"attach">): void {
  const { conduit, offered, access, peer, resumed } = event;
  state.attaching = { conduit, offered, access, peer, resumed, lost: false };
  offerToken(state.tokens, offered, event.used);
  const { node, now: at } = event;
  const entry: HistoryEntry = resumed
    ? {
      kind: "resumed",
      at,
      node,
      replayed: state.delivery.sent - Math.max(peer.received, state.delivery.acked),
    }
    : { kind: "attached", at, node };
  state.history = withEntry(state.history, entry);
  state.changes++;
}

function frame(state: SessionState, event: Of<"frame">, effects: SessionEffect[]): void {
  const { attached } = state;
  if (attached?.conduit !== event.conduit || state.attaching !== null) return;
  attached.keepalive.heardAt = event.now;
  if (proveToken(state.tokens, attached.offered)) state.changes++;
  for (const message of event.messages) {
    handle(state, attached, message, event.now, effects);
    if (state.ended !== null) return;
  }
}

function conduitLost(state: SessionState, conduit: number, reason: DetachReason, now: number): void {
  if (state.attaching?.conduit === conduit) state.attaching.lost = true;
  // A late close of a replaced conduit finds neither.
  if (state.attached?.conduit === conduit) detach(state, reason, now);
}

function detach(state: SessionState, reason: DetachReason, now: number): void {
  state.history = withEntry(state.history, { kind: "detached", at: now, reason });
  state.attached = null;
  state.detachedAt = now;
  state.volatile = [];
  state.changes++;
}

function turnEnded(state: SessionState, now: number, effects: SessionEffect[]): void {
  if (state.changes > state.committedChanges) {
    if (state.settings.durability === "durable") effects.push({ kind: "commit" });
    else committed(state, commitPoint(state), now, effects);
  }
  flush(state, now, effects);
}

function committed(state: SessionState, point: CommitPoint, now: number, effects: SessionEffect[]): void {
  state.committedChanges = point.changes;
  delivery.secure(state.delivery, point, now);
  if (point.ended !== null) return confirmEnd(state, effects);
  if (state.ended !== null) return;
  if (point.attaching !== null) finishAttach(state, point, now, effects);
}

function finishAttach(state: SessionState, point: CommitPoint, now: number, effects: SessionEffect[]): void {
  const { attaching } = state;
  if (attaching === null || attaching !== point.attaching) return;
  if (state.attached !== null) {
    const { conduit } = state.attached;
    effects.push({ kind: "close_conduit", conduit, code: closeCode("superseded"), reason: "superseded" });
  }
  state.attaching = null;
  state.volatile = [];
  delivery.reattach(state.delivery, attaching.peer);
  delivery.restartIncoming(state.delivery);
  const { conduit, offered, access, resumed } = attaching;
  if (attaching.lost) return detach(state, "broke", now);
  state.attached = { conduit, offered, access, keepalive: keepalive.newKeepalive(now) };
  state.detachedAt = null;
  const { received, secured: sent } = state.delivery;
  effects.push({ kind: "established", conduit, resumed, received, sent });
}

function woke(state: SessionState, now: number, effects: SessionEffect[]): void {
  const due = endingDue(state, now);
  if (due !== null) return endSession(state, due.reason, due.detail, now, effects);
  expireCalls(state, now, effects);
  const { attached } = state;
  if (attached === null || state.attaching !== null) return;
  const { conduit, access } = attached;
  if (access.expiresAt !== null && now >= access.expiresAt) {
    return breakConduit(state, conduit, "authorisation-expired", now, effects);
  }
  const beat = keepalive.keepaliveDue(attached.keepalive, state.settings.keepalive, now);
  if (beat.kind === "ping") {
    effects.push({ kind: "send", conduit, message: { kind: "ping", nonce: beat.nonce } });
  }
  if (beat.kind === "lost") breakConduit(state, conduit, "keepalive-timeout", now, effects);
}

/** Closes the conduit; the session waits for its client. */
function breakConduit(
  state: SessionState,
  conduit: number,
  reason: Reason,
  now: number,
  effects: SessionEffect[],
): void {
  effects.push({ kind: "close_conduit", conduit, code: closeCode(reason), reason });
  detach(state, reason, now);
}

/**
 * Takes fresh credentials. Where nobody can judge them just now, those in force go on to their end; ones that are wrong,
 * or another principal's, or of one that is kept out, break the conduit.
 */
function authorised(state: SessionState, event: Of<"authorised">, effects: SessionEffect[]): void {
  const { conduit, judgement, now } = event;
  const { attached } = state;
  if (attached?.conduit !== conduit || state.attaching !== null) return;
  if (!judgement.ok && judgement.reason === "unavailable") return;
  if (!judgement.ok) return breakConduit(state, conduit, judgement.reason, now, effects);
  if (judgement.grant.principal !== state.principal) {
    return breakConduit(state, conduit, "unauthorized", now, effects);
  }
  const { expiresAt, services, admin } = judgement.grant;
  attached.access = { expiresAt, services, admin };
  const expires = expiresAt === null ? {} : { expires: Math.max(0, expiresAt - now) };
  effects.push({ kind: "send", conduit, message: { kind: "authorised", ...expires } });
}

/** Why the session is over by now though nobody ended it; null while it is not. Also decides for a restored session. */
export function endingDue(state: SessionState, now: number): { reason: Reason; detail: string } | null {
  const { idleTimeout, resumeWindow } = state.settings;
  if (state.tokens.current === null && now >= state.provisionalUntil) {
    return { reason: "expired", detail: "its first token was never proven" };
  }
  if (idleTimeout !== null && now >= state.movedAt + idleTimeout) {
    return { reason: "idle", detail: `no session message for ${idleTimeout} ms` };
  }
  if (state.detachedAt !== null && state.attaching === null && now >= state.detachedAt + resumeWindow) {
    return { reason: "expired", detail: `no conduit for ${resumeWindow} ms` };
  }
  return null;
}

/** Puts all that may go now into one frame: an ack if it is due or travels for free, then messages. */
function flush(state: SessionState, now: number, effects: SessionEffect[]): void {
  const { attached, delivery: counters, volatile } = state;
  if (attached === null || state.attaching !== null || state.ended !== null) return;
  const messages = delivery.transmit(counters);
  const dueAt = delivery.ackDueAt(counters);
  const ackNow = dueAt !== null && (messages.length > 0 || volatile.length > 0 || dueAt <= now);
  if (!ackNow && messages.length === 0 && volatile.length === 0) return;
  attached.keepalive.spokeAt = now;
  effects.push({
    kind: "transmit",
    conduit: attached.conduit,
    ack: ackNow ? { kind: "ack", received: delivery.tellReceived(counters) } : null,
    volatile: volatile.map((pending) => pending.message),
    messages,
  });
  if (volatile.length > 0) state.volatile = [];
}
