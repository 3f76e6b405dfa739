/** What a session is: the types of the server's session machine; what can happen to it is in `session_events.ts`. */

import type { CallWords } from "../connection/connection_record.ts";
import { type MuxState, newMux } from "../connection/mux_state.ts";
import type { Limits } from "../protocol/limits.ts";
import type { ConduitMessage, Durability, EncodedBody } from "../protocol/messages.ts";
import type { Reason } from "../protocol/reasons.ts";
import { type DeliveryState, newDelivery, type PeerCounters, type Window } from "./delivery_state.ts";
import { type History, NO_HISTORY } from "./history.ts";
import type { KeepaliveSettings, KeepaliveState } from "./keepalive_state.ts";
import { newTokens, type TokenHash, type TokenState } from "./token_state.ts";

/** What is fixed for a session's life (`handshake.settings`); durations in milliseconds. */
export interface SessionSettings {
  readonly durability: Durability;
  readonly limits: Limits;
  /** What the client takes unacked. */
  readonly clientWindow: Window;
  readonly resumeWindow: number;
  /** Null: never ends for being idle. */
  readonly idleTimeout: number | null;
  readonly keepalive: KeepaliveSettings;
}

/** What the credentials of a conduit allow, and until when. */
export interface ConduitAccess {
  /** Milliseconds since the Unix epoch; null: they do not end. */
  readonly expiresAt: number | null;
  /** The services that may be opened; null: all. */
  readonly services: readonly string[] | null;
  /** The right to administer; absent: no. */
  readonly admin?: boolean;
}

/** The conduit that a session is attached to. */
export interface Attachment {
  readonly conduit: number;
  /** Replaced by `authorise`. */
  access: ConduitAccess;
  /** The token its `established` carried. */
  readonly offered: TokenHash;
  readonly keepalive: KeepaliveState;
}

/** A conduit whose attach is decided but not committed. Until then the older one is neither read nor written. */
export interface Attaching {
  readonly conduit: number;
  readonly offered: TokenHash;
  readonly access: ConduitAccess;
  readonly peer: PeerCounters;
  readonly resumed: boolean;
  /** It broke before its commit came. */
  lost: boolean;
}

/** A message or a call that was taken and whose handling is not over. It is stored apart, since it can be large. */
export interface Work {
  /** The number of its message. */
  readonly seq: number;
  readonly connection: number;
  /** Empty once it is stored: whoever handles it has it. */
  body: EncodedBody;
  stored: boolean;
  /** What it costs: its body, its words, and the items of its upload that its handler has not taken. */
  bytes: number;
  /** Null: a plain message. */
  readonly call: CallWords | null;
}

/** How a session ended. */
export interface Ending {
  readonly reason: Reason;
  readonly detail: string;
  readonly at: number;
}

export type { ServiceAction, SessionEffect, SessionEvent } from "./session_events.ts";

export interface SessionState {
  readonly id: string;
  readonly principal: string;
  readonly createdAt: number;
  /** SHA-256 of the challenge that created it (`handshake.challenge`). */
  readonly challenge: string;
  /** Until then it lives without a proven token. */
  readonly provisionalUntil: number;
  readonly settings: SessionSettings;
  readonly tokens: TokenState;
  readonly delivery: DeliveryState;
  readonly mux: MuxState;
  attached: Attachment | null;
  attaching: Attaching | null;
  /** Since when no conduit is attached; null while one is. */
  detachedAt: number | null;
  /** When a session message last moved, in either direction (`end.idle`). */
  movedAt: number;
  /** The client asked for the end, and messages that it sent before are not handled yet; null: it did not. Not kept. */
  closing: string | null;
  ended: Ending | null;
  /** Attachments of the past; replaced when there is one more. */
  history: History;
  /** Connections whose record must be written or removed with the next commit ({@link connectionChanged}). */
  changedConnections: ReadonlySet<number>;
  /** What was accepted and is not done, by the number of its message; the oldest first. */
  work: Map<number, Work>;
  /** What {@link work}, and what connections keep and have waiting, cost (`delivery.bounded`). */
  heldBytes: number;
  /** The part of it that connections keep and have waiting, for those that do. */
  heldOf: Map<number, number>;
  /** Connections that end when this process loses the session (`bind`). */
  bound: Set<number>;
  /** No call's deadline is before; Infinity: none has one. */
  callDeadline: number;
  /** Counts what a commit must hold; `committedChanges` lags behind it. */
  changes: number;
  committedChanges: number;
  /** Volatile messages of the turn under way. */
  volatile: { readonly connection: number; readonly message: ConduitMessage }[];
}

/** What a commit holds, so that its success can be told apart from what changed since. */
export interface CommitPoint {
  readonly taken: number;
  readonly sent: number;
  readonly changes: number;
  readonly attaching: Attaching | null;
  readonly ended: Ending | null;
}

/** Both windows as {@link newDelivery} wants them. */
export function windowsOf(settings: SessionSettings): { own: Window; peer: Window } {
  const { windowMessages: messages, windowBytes: bytes } = settings.limits;
  return { own: { messages, bytes }, peer: settings.clientWindow };
}

// Shared by all sessions that have none; whoever adds the first makes one of its own (`work_state.ts`).
export const NO_WORK: Map<number, Work> = new Map();
export const NOTHING_HELD: Map<number, number> = new Map();
export const NONE_BOUND: Set<number> = new Set();
export const NONE_CHANGED: ReadonlySet<number> = new Set();

/** A connection's record must be written or removed with the next commit. Of an ephemeral session there is none. */
export function connectionChanged(state: SessionState, connection: number): void {
  if (state.settings.durability === "ephemeral") return;
  if (state.changedConnections === NONE_CHANGED) state.changedConnections = new Set();
  (state.changedConnections as Set<number>).add(connection);
}

/** A session that was just admitted: nothing moved, nobody attached, no token yet. */
export function newSession(
  identity: Pick<
    SessionState,
    "id" | "principal" | "createdAt" | "challenge" | "provisionalUntil" | "settings"
  >,
): SessionState {
  return {
    ...identity,
    tokens: newTokens(),
    delivery: newDelivery(windowsOf(identity.settings)),
    mux: newMux(
      "server",
      identity.settings.limits.connections,
      identity.settings.limits.concurrentCalls,
    ),
    attached: null,
    attaching: null,
    detachedAt: identity.createdAt,
    movedAt: identity.createdAt,
    closing: null,
    ended: null,
    history: NO_HISTORY,
    changedConnections: NONE_CHANGED,
    work: NO_WORK,
    heldBytes: 0,
    heldOf: NOTHING_HELD,
    bound: NONE_BOUND,
    callDeadline: Infinity,
    changes: 0,
    committedChanges: 0,
    volatile: [],
  };
}
