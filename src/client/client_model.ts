/** What a client's session is, what can happen to it and what it can ask for: the types of the client's machine. */

import { type MuxState, newMux } from "../connection/mux_state.ts";
import { DEFAULT_LIMITS } from "../protocol/limits.ts";
import type {
  ConduitMessage,
  Durability,
  EncodedBody,
  Message,
  Metadata,
  Refused,
  RequestedSettings,
  StatedLimits,
} from "../protocol/messages.ts";
import type { Violation } from "../protocol/rules.ts";
import { type DeliveryState, newDelivery, type Window } from "../session/delivery_state.ts";
import type { KeepaliveSettings, KeepaliveState } from "../session/keepalive_state.ts";
import type { Ending, SessionEvents } from "./api.ts";
import type { Fifo } from "./fifo.ts";
import type { ReconnectPolicy } from "./reconnect_policy.ts";

/** What the application asked for; not kept with the session. */
export interface ClientSettings {
  /** Stated in every `start`: the server refuses a resume that states others (`handshake.settings`). */
  readonly requested: RequestedSettings;
  readonly metadata: Metadata | undefined;
  readonly ownWindow: Window;
  /** Bytes that may wait for the window, and as many for the application. */
  readonly storedBytes: number;
  /** There is a storage: nothing is safe before it is written. */
  readonly stored: boolean;
  /** Each handshake carries credentials. */
  readonly authenticated: boolean;
  readonly reconnect: ReconnectPolicy;
}

/** What `established` said, fixed for the session's life. */
export interface Agreed {
  readonly durability: Durability;
  readonly resumeWindow: number;
  readonly keepalive: KeepaliveSettings;
  readonly limits: StatedLimits;
}

/** The conduit that carries the session. */
export interface Attachment {
  readonly conduit: number;
  readonly since: number;
  readonly keepalive: KeepaliveState;
  /** The token its `established` carried is safe: it may be proven (`resume.stored-client`). */
  cleared: boolean;
  /** `established` was answered (`handshake.confirm`). */
  confirmed: boolean;
}

/** A conduit that is asked to carry the session. While one is attached this is a move (`end.goaway`). */
export interface Dialling {
  readonly conduit: number;
  /** - `connecting`: not open; `asking`: waits for credentials, or for the storage; `handshaking`: `start` is out. */
  stage: "connecting" | "asking" | "handshaking";
  /** What this handshake's `established` must repeat. */
  challenge: string;
  /** Undefined until the credentials came, where there are any. */
  auth: string | undefined;
  /** When it is given up. */
  until: number;
  /** What its `start` said was received. */
  stated: number;
  /** A refusal of an unknown reason waits for the close code that says what to do. */
  refusal: Refused | null;
}

/** What waits for room, for `accept`, or for the server's limits. */
export type Waiting =
  | { readonly kind: "message"; readonly body: EncodedBody; readonly ticket: number | null }
  | { readonly kind: "end"; readonly reason: string | undefined; readonly detail: string | undefined };

/** How a connection is over; `failed` where a consumer must not take it for a normal end. */
export interface ConnectionEnding extends Ending {
  readonly failed: boolean;
}

/** What the client keeps of a connection beside the multiplexer. */
export interface ClientConnection {
  readonly id: number;
  readonly service: string;
  readonly restored: boolean;
  accepted: boolean;
  /** Received and not consumed, oldest first. */
  readonly inbox: Fifo<EncodedBody>;
  readonly waiting: Fifo<Waiting>;
  kept: EncodedBody | null;
  over: ConnectionEnding | null;
}

/** The application asked for the end. */
export interface Closing extends Ending {
  /** Until then acks are waited for. */
  readonly ackBy: number;
  /** Then the end is taken for granted. */
  readonly giveUpAt: number;
  /** The present conduit was told. */
  told: boolean;
}

/** What resumes the session. */
export interface Identity {
  readonly session: string;
  /** The newest token that was offered. */
  readonly token: string;
  /**
   * The one before it, until the server is known to have taken in that the newest is proven.
   *
   * The server keeps only so many unproven tokens: handshakes that the network delivered late can push the newest out,
   * and never the one in use (`resume.rotate`).
   */
  readonly inUse: string | null;
}

/** What a write of the storage holds, so that its success can be told apart from what changed since. */
export interface StorePoint {
  readonly taken: number;
  readonly sent: number;
  readonly changes: number;
  readonly token: string | null;
}

/** One client's session. */
export interface ClientState {
  readonly settings: ClientSettings;
  /** Creates the session; repeated until answered (`handshake.challenge`). */
  readonly challenge: string;
  identity: Identity | null;
  agreed: Agreed | null;
  delivery: DeliveryState;
  mux: MuxState;
  readonly connections: Map<number, ClientConnection>;
  inboxBytes: number;
  waitingBytes: number;

  attached: Attachment | null;
  dialling: Dialling | null;
  /** When to dial next; null while nothing is planned. */
  dialAt: number | null;
  /** The server wants no dial before; probes keep to it too. */
  notBefore: number;
  lastDialAt: number;
  lastConduit: number;
  /** Failed attempts since the session last made progress. */
  attempt: number;
  /** Dials since then, the one under way included. */
  dials: number;
  /** The application wants no conduit. */
  offline: boolean;
  /** Why the last credentials were refused. */
  refusedCredentials: string | null;
  /** A `start` of our own was left unanswered: it may yet take the session from the conduit that we have. */
  rival: boolean;
  closing: Closing | null;
  ended: Ending | null;

  /** Counts what a write of the storage must hold; `storedChanges` lags behind it. */
  changes: number;
  storedChanges: number;
  storing: StorePoint | null;
  /** After a failed write: when to try again. */
  storeRetryAt: number | null;
  storeFailures: number;
  /** Whoever waits for messages to be safe, in order. */
  unsecured: { readonly seq: number; readonly ticket: number }[];
  /** Conduit messages of the turn under way. */
  control: ConduitMessage[];
  volatile: { readonly connection: number; readonly message: ConduitMessage }[];
}

/** When, and a random number in 0 … 1 (1 excluded): both arrive with each event. */
export interface Moment {
  readonly now: number;
  readonly chance: number;
}

/** What can happen to a client's session. */
export type ClientEvent =
  & Moment
  & (
    /** Dials for the first time; `backoff` where a session was refused just before. */
    | { readonly kind: "begin"; readonly backoff: boolean }
    | { readonly kind: "conduit_open"; readonly conduit: number; readonly challenge: string }
    | { readonly kind: "credentials"; readonly conduit: number; readonly auth: string }
    | { readonly kind: "credentials_failed"; readonly conduit: number }
    | { readonly kind: "frame"; readonly conduit: number; readonly messages: readonly Message[] }
    | { readonly kind: "undecodable"; readonly conduit: number; readonly violation: Violation }
    | {
      readonly kind: "conduit_closed";
      readonly conduit: number;
      readonly code: number;
      readonly reason: string;
    }
    | { readonly kind: "woke" }
    /** The machine woke, the network came back, the page became visible: is the conduit still there? */
    | { readonly kind: "nudge" }
    | { readonly kind: "cut" }
    | { readonly kind: "go_offline" }
    | { readonly kind: "go_online" }
    | { readonly kind: "open"; readonly service: string; readonly metadata: Metadata | undefined }
    | {
      readonly kind: "send";
      readonly connection: number;
      readonly body: EncodedBody;
      readonly ticket: number;
    }
    | { readonly kind: "send_volatile"; readonly connection: number; readonly body: EncodedBody }
    /** The oldest message of a connection was consumed. */
    | { readonly kind: "consumed"; readonly connection: number }
    | { readonly kind: "keep"; readonly connection: number; readonly value: EncodedBody }
    | {
      readonly kind: "end";
      readonly connection: number;
      readonly reason: string | undefined;
      readonly detail: string | undefined;
    }
    | { readonly kind: "close"; readonly reason: string; readonly detail: string }
    /** Everything of this turn was handled: what it produced may go into one write and one frame. */
    | { readonly kind: "turn_ended" }
    | { readonly kind: "stored"; readonly point: StorePoint }
    | { readonly kind: "store_failed" }
  );

/** An event for the application. */
export type Told = {
  [Name in keyof SessionEvents]: {
    readonly kind: "tell";
    readonly name: Name;
    readonly details: SessionEvents[Name];
  };
}[keyof SessionEvents];

/** What the machine asks its runner to do, in order. */
export type ClientEffect =
  | Told
  | { readonly kind: "dial"; readonly conduit: number }
  | { readonly kind: "ask_credentials"; readonly conduit: number; readonly refused: string | null }
  /** As few frames as their size allows: conduit messages, then encoded session messages. */
  | {
    readonly kind: "transmit";
    readonly conduit: number;
    readonly control: readonly ConduitMessage[];
    readonly messages: readonly Uint8Array[];
  }
  /** Nothing of this conduit matters from here on. */
  | {
    readonly kind: "close_conduit";
    readonly conduit: number;
    readonly code: number;
    readonly reason: string;
  }
  | { readonly kind: "store"; readonly point: StorePoint }
  | { readonly kind: "forget" }
  | { readonly kind: "accepted"; readonly connection: number }
  | { readonly kind: "arrived"; readonly connection: number }
  | { readonly kind: "volatile"; readonly connection: number; readonly body: EncodedBody }
  | { readonly kind: "connection_over"; readonly connection: number; readonly ending: ConnectionEnding }
  /** A send is safe. */
  | { readonly kind: "sent"; readonly ticket: number }
  | {
    readonly kind: "unsent";
    readonly ticket: number;
    readonly reason: string;
    readonly detail: string;
  };

/** A session that nobody has heard of yet: nothing moved, nothing dialled. */
export function newClient(settings: ClientSettings, challenge: string): ClientState {
  const { windowMessages: messages, windowBytes: bytes, connections } = DEFAULT_LIMITS;
  return {
    settings,
    challenge,
    identity: null,
    agreed: null,
    // The server's window is known with `established`; nothing leaves before that.
    delivery: newDelivery({ own: settings.ownWindow, peer: { messages, bytes } }),
    mux: newMux("client", connections),
    connections: new Map(),
    inboxBytes: 0,
    waitingBytes: 0,
    attached: null,
    dialling: null,
    dialAt: null,
    notBefore: 0,
    lastDialAt: -Infinity,
    lastConduit: 0,
    attempt: 0,
    dials: 0,
    offline: false,
    refusedCredentials: null,
    rival: false,
    closing: null,
    ended: null,
    // The challenge itself must be stored before it is used.
    changes: 1,
    storedChanges: 0,
    storing: null,
    storeRetryAt: null,
    storeFailures: 0,
    unsecured: [],
    control: [],
    volatile: [],
  };
}

/** The session made progress, or its conduit was a good one: the next backoff begins anew. */
export function progressed(state: ClientState): void {
  state.attempt = 0;
  state.dials = 0;
}
