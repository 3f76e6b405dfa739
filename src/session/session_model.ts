/** What a session is, what can happen to it and what it can ask for: the types of the server's session machine. */

import type { Authentication } from "../access/authenticator.ts";
import type { IncomingCall } from "../connection/call_state.ts";
import type { CallWords } from "../connection/connection_record.ts";
import { type MuxState, newMux, type Opening } from "../connection/mux_state.ts";
import type { Limits } from "../protocol/limits.ts";
import type {
  Ack,
  ConduitMessage,
  Durability,
  EncodedBody,
  Message,
  Metadata,
} from "../protocol/messages.ts";
import type { Reason } from "../protocol/reasons.ts";
import type { Violation } from "../protocol/rules.ts";
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
  readonly bytes: number;
  /** Null: a plain message. */
  readonly call: CallWords | null;
}

/** How a session ended. */
export interface Ending {
  readonly reason: Reason;
  readonly detail: string;
  readonly at: number;
}

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
  ended: Ending | null;
  /** Attachments of the past; replaced when there is one more. */
  history: History;
  /** Connections whose record must be written or removed with the next commit. */
  readonly changedConnections: Set<number>;
  /** What was accepted and is not done, by the number of its message; the oldest first. */
  readonly work: Map<number, Work>;
  /** What {@link work}, and what connections keep and have waiting, cost (`delivery.bounded`). */
  heldBytes: number;
  /** The part of it that connections keep and have waiting, for those that do. */
  readonly heldOf: Map<number, number>;
  /** Connections that end when this process loses the session (`bind`). */
  readonly bound: Set<number>;
  /** No call's deadline is before; Infinity: none has one. */
  callDeadline: number;
  /** Counts what a commit must hold; `committedChanges` lags behind it. */
  changes: number;
  committedChanges: number;
  /** Volatile messages of the turn under way. */
  volatile: { readonly connection: number; readonly message: ConduitMessage }[];
}

/** What a service, or whoever acts for one, does on a connection. On one that is gone it does nothing. */
export type ServiceAction =
  | ({ readonly do: "accept"; readonly connection: number } & Opening)
  | { readonly do: "reject"; readonly connection: number; readonly reason: string; readonly detail: string }
  | { readonly do: "send"; readonly connection: number; readonly body: EncodedBody }
  | { readonly do: "send_volatile"; readonly connection: number; readonly body: EncodedBody }
  | { readonly do: "end"; readonly connection: number; readonly reason?: string; readonly detail?: string }
  /** A message is not handled in the turn that brought it: it becomes work. */
  | { readonly do: "hold"; readonly connection: number; readonly seq: number; readonly body: EncodedBody }
  /** A message was handled: at once (`seq` null), or after it was held. */
  | { readonly do: "handled"; readonly connection: number; readonly seq: number | null }
  | {
    readonly do: "respond";
    readonly connection: number;
    readonly request: number;
    readonly ok: boolean;
    readonly body: EncodedBody;
    /** The word for the reset of its download. */
    readonly reason: string;
  }
  /** Does nothing without credit or room: ask `maySendItem` before. */
  | { readonly do: "item"; readonly connection: number; readonly channel: number; readonly body: EncodedBody }
  /** An item of an upload was taken. */
  | { readonly do: "consume"; readonly connection: number; readonly channel: number }
  | { readonly do: "keep"; readonly connection: number; readonly value: EncodedBody }
  | { readonly do: "bind"; readonly connection: number; readonly reason: string }
  /** Opens a connection to the client; its id is `mux.highestOwn` then. */
  | { readonly do: "open"; readonly connection: 0; readonly service: string; readonly opening: Opening }
  /** Calls the client, if `mayCall`; the request is the connection's `highestOutgoing` then. */
  | {
    readonly do: "call";
    readonly connection: number;
    readonly method: string;
    readonly body: EncodedBody;
    readonly timeout: number | undefined;
  }
  | { readonly do: "cancel"; readonly connection: number; readonly request: number };

export type SessionEvent =
  /** An admitted handshake. The runner has judged it (`session_admission.ts`). */
  | {
    readonly kind: "attach";
    readonly conduit: number;
    /** The name of the node it reached, for the history. */
    readonly node: string;
    readonly offered: TokenHash;
    /** The token that resumed; null for a `start` of a new session. */
    readonly used: TokenHash | null;
    readonly access: ConduitAccess;
    readonly peer: PeerCounters;
    readonly resumed: boolean;
    readonly now: number;
  }
  | {
    readonly kind: "frame";
    readonly conduit: number;
    readonly messages: readonly Message[];
    readonly now: number;
  }
  | {
    readonly kind: "undecodable";
    readonly conduit: number;
    readonly violation: Violation;
    readonly now: number;
  }
  | {
    readonly kind: "conduit_lost";
    readonly conduit: number;
    /** Why this side broke it; absent when it broke by itself. */
    readonly reason?: Reason;
    readonly now: number;
  }
  /** Fresh credentials that a conduit gave were judged. */
  | {
    readonly kind: "authorised";
    readonly conduit: number;
    readonly authentication: Authentication;
    readonly now: number;
  }
  | {
    readonly kind: "service";
    readonly action: ServiceAction;
    /** What the session may retain just now, in bytes; its own limit holds as well. Absent: that alone. */
    readonly storedBytes?: number;
    readonly now: number;
  }
  /** Everything of this turn was handled: what it produced may go into one frame and one commit. */
  | { readonly kind: "turn_ended"; readonly now: number }
  | { readonly kind: "committed"; readonly point: CommitPoint; readonly now: number }
  | { readonly kind: "woke"; readonly now: number }
  | { readonly kind: "end"; readonly reason: Reason; readonly detail: string; readonly now: number }
  | { readonly kind: "go_away"; readonly reason: Reason; readonly after: number; readonly now: number };

export type SessionEffect =
  /** Tell the conduit that it is attached, with these counters. */
  | {
    readonly kind: "established";
    readonly conduit: number;
    readonly resumed: boolean;
    readonly received: number;
    readonly sent: number;
  }
  /** Tell the conduit that is being attached that it will not be. */
  | { readonly kind: "refuse"; readonly conduit: number; readonly reason: Reason; readonly detail: string }
  | { readonly kind: "send"; readonly conduit: number; readonly message: ConduitMessage }
  /** One frame: an ack if it is due, volatile messages, then encoded session messages. */
  | {
    readonly kind: "transmit";
    readonly conduit: number;
    readonly ack: Ack | null;
    readonly volatile: readonly ConduitMessage[];
    readonly messages: readonly Uint8Array[];
  }
  | {
    readonly kind: "close_conduit";
    readonly conduit: number;
    readonly code: number;
    readonly reason: string;
  }
  | {
    readonly kind: "offer";
    readonly connection: number;
    readonly service: string;
    readonly metadata: Metadata;
  }
  /** `seq` is null for a volatile message. */
  | {
    readonly kind: "deliver";
    readonly connection: number;
    readonly body: EncodedBody;
    readonly seq: number | null;
  }
  /** The client accepted a connection that this side opened. */
  | { readonly kind: "accepted"; readonly connection: number; readonly metadata: Metadata }
  | {
    readonly kind: "connection_ended";
    readonly connection: number;
    readonly service: string;
    readonly reason: string;
    readonly detail: string;
  }
  /** The client ended a connection; what it sent before is still to be handled. */
  | { readonly kind: "connection_ending"; readonly connection: number }
  /** Have a call handled; it is work. */
  | {
    readonly kind: "call";
    readonly connection: number;
    readonly call: IncomingCall;
    readonly body: EncodedBody;
  }
  /** A call is over without an answer of its handler. */
  | {
    readonly kind: "call_over";
    readonly connection: number;
    readonly request: number;
    readonly reason: "cancelled" | "deadline-exceeded" | "invalid-argument";
  }
  /** The client answered a call of this side. */
  | {
    readonly kind: "answered";
    readonly connection: number;
    readonly request: number;
    readonly ok: boolean;
    readonly body: EncodedBody;
  }
  | {
    readonly kind: "item";
    readonly connection: number;
    readonly request: number;
    readonly body: EncodedBody;
  }
  /** An upload is over; `reason`: the client broke it off. */
  | {
    readonly kind: "upload_over";
    readonly connection: number;
    readonly request: number;
    readonly reason: string | null;
  }
  /** Somebody may have waited for this credit. */
  | { readonly kind: "credited"; readonly connection: number }
  /** Have credentials judged that came over a live conduit. */
  | { readonly kind: "authorise"; readonly conduit: number; readonly auth: string }
  /** There is something to commit. */
  | { readonly kind: "commit" }
  | { readonly kind: "violated"; readonly violation: Violation }
  | { readonly kind: "ended"; readonly reason: Reason; readonly detail: string };

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
    ended: null,
    history: NO_HISTORY,
    changedConnections: new Set(),
    work: new Map(),
    heldBytes: 0,
    heldOf: new Map(),
    bound: new Set(),
    callDeadline: Infinity,
    changes: 0,
    committedChanges: 0,
    volatile: [],
  };
}
