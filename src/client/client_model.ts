/** What a client's session is: the state of the client's machine. `client_events.ts` has what can happen to it. */

import { type MuxState, newMux } from "../connection/mux_state.ts";
import { DEFAULT_LIMITS } from "../protocol/limits.ts";
import type {
  ConduitMessage,
  Durability,
  EncodedBody,
  Metadata,
  Refused,
  RequestedSettings,
  StatedLimits,
} from "../protocol/messages.ts";
import { type DeliveryState, newDelivery, type Window } from "../session/delivery_state.ts";
import type { KeepaliveSettings, KeepaliveState } from "../session/keepalive_state.ts";
import type { Ending } from "./api.ts";
import type { ClientCall } from "./client_call_model.ts";
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
  /** Calls with an operation key go on in the session that follows a lost one: a key then outlives its session. */
  readonly repeatsOperations: boolean;
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
  | { readonly kind: "call"; readonly call: ClientCall }
  | { readonly kind: "end"; readonly reason: string | undefined; readonly detail: string | undefined };

/** How a connection is over. */
export interface ConnectionEnding extends Ending {
  /** A consumer must not take it for a normal end. */
  readonly failed: boolean;
  /**
   * - `application`: this side's, which wanted it;
   * - `refusal`: the other side never took it, and nothing that was sent on it had an effect;
   * - `other`: anything else.
   */
  readonly by: "application" | "refusal" | "other";
}

/** What the client keeps of a connection beside the multiplexer. */
export interface ClientConnection {
  readonly id: number;
  readonly service: string;
  readonly restored: boolean;
  /** The server opened it. */
  readonly serving: boolean;
  /** It only carries calls that are repeated after a lost session; the application does not see it. */
  readonly hidden: boolean;
  /** What this side's `open` said. */
  readonly offer: Metadata | undefined;
  accepted: boolean;
  /** What the other side said with its `accept`, or with its `open`. */
  metadata: Metadata;
  /** The hash of the service's description, where the other side gave one. */
  schema: string | null;
  /** Received and not consumed, oldest first. */
  readonly inbox: Fifo<EncodedBody>;
  readonly waiting: Fifo<Waiting>;
  /** Calls that wait for others to be answered, or for `accept`; what came after them does not wait for them. */
  readonly parked: Fifo<ClientCall>;
  /** Calls that are numbered and not answered, by their requests. */
  readonly requests: Map<number, ClientCall>;
  /** The server's calls whose handlers run, with the times at which they are given up. */
  readonly running: Map<number, number>;
  kept: EncodedBody | null;
  over: ConnectionEnding | null;
}

/** A call that goes on in another session. */
export interface RepeatableCall {
  readonly call: ClientCall;
  /** With what the connection was opened that it was made on. */
  readonly offer: Metadata | undefined;
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
  /** The application's calls until their outcome was taken, the oldest first. */
  readonly calls: Map<number, ClientCall>;
  /** The highest key that a call was given. */
  lastCall: number;
  /** Calls with an item that waits for credit or room. */
  readonly uploading: Set<ClientCall>;
  /** A call is due not before this; infinite while none has a time. */
  callsDueAt: number;
  /** Restored calls that nobody asked for yet. */
  unclaimed: number;
  /** When these are given up. */
  claimUntil: number;
  /** A call of the server's is due not before this. */
  runningDueAt: number;
  /** What the application serves, by name. */
  readonly served: Set<string>;
  /** Calls of this session, which is lost, that go on in the next one. */
  repeatable: RepeatableCall[];
  /** Connections that carry repeated calls. */
  readonly hidden: Set<number>;
  /** Connections on which what is heard is passed on as it is. */
  readonly relayed: Set<number>;
  /** What waits for the application to consume it. */
  inboxBytes: number;
  /** What waits to be numbered. */
  waitingBytes: number;
  /** Bodies of calls that are numbered and not answered, and may have to be sent or found again. */
  keptBytes: number;

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
    calls: new Map(),
    lastCall: 0,
    uploading: new Set(),
    callsDueAt: Infinity,
    unclaimed: 0,
    claimUntil: Infinity,
    runningDueAt: Infinity,
    served: new Set(),
    repeatable: [],
    hidden: new Set(),
    relayed: new Set(),
    inboxBytes: 0,
    waitingBytes: 0,
    keptBytes: 0,
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
