/** What can happen to a session and what it can ask for: the events, actions and effects of the server's session machine. */

import type { Judgement } from "../access/authenticator.ts";
import type { IncomingCall } from "../connection/call_state.ts";
import type { Opening, PassedOn } from "../connection/mux_state.ts";
import type { Relayed } from "../connection/relay_state.ts";
import type {
  Ack,
  ConduitMessage,
  EncodedBody,
  Message,
  Metadata,
  SessionMessage,
} from "../protocol/messages.ts";
import type { Reason } from "../protocol/reasons.ts";
import type { Violation } from "../protocol/rules.ts";
import type { PeerCounters } from "./delivery_state.ts";
import type { CommitPoint, ConduitAccess } from "./session_model.ts";
import type { TokenHash } from "./token_state.ts";

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
  | {
    readonly do: "consume";
    readonly connection: number;
    readonly request: number;
    readonly channel: number;
    readonly bytes: number;
  }
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
  | { readonly do: "cancel"; readonly connection: number; readonly request: number }
  /** From now on what is heard on a connection is passed on as it is (`relayed`). */
  | { readonly do: "relay_on"; readonly connection: number }
  /** Says what somebody else said (`connection.proxy`). Ask for room before. */
  | { readonly do: "relay"; readonly connection: number; readonly payload: Relayed };

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
    readonly judgement: Judgement;
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
    readonly reason: "cancelled" | "deadline-exceeded" | "invalid-argument" | "resource-exhausted";
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
  /** Pass on what was heard on a connection that is relayed. */
  | {
    readonly kind: "relayed";
    readonly connection: number;
    readonly message: SessionMessage;
    readonly outcome: PassedOn;
  }
  /** Somebody may have waited for this credit. */
  | { readonly kind: "credited"; readonly connection: number }
  /** Have credentials judged that came over a live conduit. */
  | { readonly kind: "authorise"; readonly conduit: number; readonly auth: string }
  /** There is something to commit. */
  | { readonly kind: "commit" }
  | { readonly kind: "violated"; readonly violation: Violation }
  /** The client is told that its connection is rejected, or ended because messages pile up on it. */
  | { readonly kind: "connection_refused"; readonly reason: string }
  | { readonly kind: "ended"; readonly reason: Reason; readonly detail: string };

type Of<K extends SessionEffect["kind"]> = Extract<SessionEffect, { readonly kind: K }>;

/** What happens on a session's connections, of which services must hear. */
export type ServiceEffect = Of<
  | "offer"
  | "deliver"
  | "accepted"
  | "connection_ended"
  | "connection_ending"
  | "call"
  | "call_over"
  | "answered"
  | "item"
  | "upload_over"
  | "credited"
  | "relayed"
>;
