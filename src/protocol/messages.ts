/**
 * Every message of the protocol, as one discriminated union.
 *
 * The shapes are those of `docs/protocol.md`, "Messages". Bodies stay encoded ({@link EncodedBody}) until an
 * application asks for the value, so that what is only passed on is never decoded (rule `frame.body`).
 */

/** The MessagePack encoding of exactly one body value, checked against `frame.body`. */
export type EncodedBody = Uint8Array;

/** Small string map that travels with `start`, `open` and `accept`; at most 4 KiB encoded. */
export type Metadata = { readonly [key: string]: string };

/** What "acked" means for a session; `docs/protocol.md`, Durability classes. */
export type Durability = "durable" | "ephemeral";

/** The first field of each message on the wire; below 16 are conduit messages, from 16 on session messages. */
export const TAG = {
  start: 0,
  established: 1,
  refused: 2,
  ack: 3,
  ping: 4,
  pong: 5,
  goaway: 6,
  close: 7,
  volatile: 8,
  authorise: 9,
  authorised: 10,
  open: 16,
  accept: 17,
  reject: 18,
  end: 19,
  message: 20,
  call: 21,
  response: 22,
  cancel: 23,
  item: 24,
  finish: 25,
  reset: 26,
  credit: 27,
} as const;

/** The JSON name of a message, which is also its `kind`. */
export type MessageKind = keyof typeof TAG;

/** The first session tag: from here on messages carry a sequence number. */
export const FIRST_SESSION_TAG = 16;

/** What a client presents to resume: `resume.exchange`. */
export interface ResumeRequest {
  readonly session: string;
  readonly token: string;
  /** Everything up to here is safe at the client. */
  readonly received: number;
  /** The highest sequence number the client has assigned. */
  readonly sent: number;
}

/** What a client may ask for when a session is created; fixed from then on (`handshake.settings`). */
export interface RequestedSettings {
  readonly durability?: Durability;
  /** How many unacked messages the client is willing to hold. */
  readonly windowMessages?: number;
  /** How many unacked bytes the client is willing to hold. */
  readonly windowBytes?: number;
}

export interface Start {
  readonly kind: "start";
  readonly version: number;
  readonly challenge: string;
  readonly resume?: ResumeRequest;
  readonly auth?: string;
  readonly metadata?: Metadata;
  readonly settings?: RequestedSettings;
}

/** The limits a server states in `established`; what it accepts from the client. */
export interface StatedLimits {
  readonly frameBytes: number;
  readonly bodyBytes: number;
  readonly windowMessages: number;
  readonly windowBytes: number;
  readonly connections: number;
  readonly concurrentCalls: number;
}

export interface Established {
  readonly kind: "established";
  readonly challenge: string;
  readonly session: string;
  readonly token: string;
  readonly resumed: boolean;
  readonly received: number;
  readonly sent: number;
  readonly durability: Durability;
  /** Milliseconds. */
  readonly resumeWindow: number;
  /** Milliseconds. */
  readonly keepalive: { readonly interval: number; readonly timeout: number };
  readonly limits: StatedLimits;
  readonly node: string;
  readonly region?: string;
}

export interface Refused {
  readonly kind: "refused";
  readonly challenge?: string;
  readonly reason: string;
  readonly detail: string;
  /** Milliseconds until a further attempt is welcome. */
  readonly retryAfter?: number;
}

export interface Ack {
  readonly kind: "ack";
  readonly received: number;
}

export interface Ping {
  readonly kind: "ping";
  readonly nonce: number;
}

export interface Pong {
  readonly kind: "pong";
  readonly nonce: number;
}

export interface GoAway {
  readonly kind: "goaway";
  readonly reason: string;
  /** Milliseconds within which the client should have moved. */
  readonly after: number;
}

export interface Close {
  readonly kind: "close";
  readonly reason: string;
  readonly detail: string;
}

export interface Volatile {
  readonly kind: "volatile";
  readonly connection: number;
  readonly body: EncodedBody;
  /** Set by a decoder when the body breaks `frame.body`: what is wrong with it. `body` is then empty. */
  readonly malformed?: string;
}

export interface Authorise {
  readonly kind: "authorise";
  readonly auth: string;
}

export interface Authorised {
  readonly kind: "authorised";
  readonly expires?: number;
}

/** A message of one conduit: never numbered, never replayed. */
export type ConduitMessage =
  | Start
  | Established
  | Refused
  | Ack
  | Ping
  | Pong
  | GoAway
  | Close
  | Volatile
  | Authorise
  | Authorised;

export interface Open {
  readonly kind: "open";
  readonly connection: number;
  readonly service: string;
  readonly metadata?: Metadata;
  readonly messageCredit?: number;
}

export interface Accept {
  readonly kind: "accept";
  readonly connection: number;
  readonly metadata?: Metadata;
  readonly messageCredit?: number;
  readonly schema?: string;
}

export interface Reject {
  readonly kind: "reject";
  readonly connection: number;
  readonly reason: string;
  readonly detail: string;
}

export interface End {
  readonly kind: "end";
  readonly connection: number;
  readonly reason?: string;
  readonly detail?: string;
}

export interface PlainMessage {
  readonly kind: "message";
  readonly connection: number;
  readonly body: EncodedBody;
  /** Set by a decoder when the body breaks `frame.body`: what is wrong with it. `body` is then empty. */
  readonly malformed?: string;
}

export interface CallOptions {
  readonly operation?: string;
  /** Milliseconds. */
  readonly timeout?: number;
  readonly upload?: number;
  readonly download?: number;
  readonly credit?: number;
  readonly metadata?: Metadata;
}

export interface Call {
  readonly kind: "call";
  readonly connection: number;
  readonly request: number;
  readonly method: string;
  readonly body: EncodedBody;
  readonly malformed?: string;
  readonly options?: CallOptions;
}

export interface Response {
  readonly kind: "response";
  readonly connection: number;
  readonly request: number;
  readonly ok: boolean;
  readonly body: EncodedBody;
  readonly malformed?: string;
  readonly metadata?: Metadata;
}

export interface Cancel {
  readonly kind: "cancel";
  readonly connection: number;
  readonly request: number;
}

export interface Item {
  readonly kind: "item";
  readonly connection: number;
  readonly channel: number;
  readonly body: EncodedBody;
  readonly malformed?: string;
}

export interface Finish {
  readonly kind: "finish";
  readonly connection: number;
  readonly channel: number;
}

export interface Reset {
  readonly kind: "reset";
  readonly connection: number;
  readonly channel: number;
  readonly reason: string;
}

export interface Credit {
  readonly kind: "credit";
  readonly connection: number;
  readonly channel: number;
  readonly additional: number;
}

/** What a session carries, before it has a number. Only `delivery_state.enqueue` gives it one. */
export type SessionPayload =
  | Open
  | Accept
  | Reject
  | End
  | PlainMessage
  | Call
  | Response
  | Cancel
  | Item
  | Finish
  | Reset
  | Credit;

/** Distributes over the union, so that `kind` still tells the members apart. */
export type Numbered<P> = P extends SessionPayload ? P & { readonly seq: number; readonly cost: number } : never;

/** A session message as it was received: its number, and what it cost (`frame.cost`). */
export type SessionMessage = Numbered<SessionPayload>;

/** Anything a frame can hold. */
export type Message = ConduitMessage | SessionMessage;

/** True for the messages that are numbered, kept and replayed. */
export function isSessionMessage(message: Message): message is SessionMessage {
  return "seq" in message;
}
