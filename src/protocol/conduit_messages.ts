/** The messages of one conduit: never numbered, never replayed. */

import type { Durability, EncodedBody, Metadata } from "./fields.ts";

/** What a client presents to resume: `resume.exchange`. */
export interface ResumeRequest {
  /** The session's id; public, and grants nothing. */
  readonly session: string;
  /** The secret that resumes the session. */
  readonly token: string;
  /** Everything up to here is safe at the client. */
  readonly received: number;
  /** The highest sequence number the client has assigned. */
  readonly sent: number;
}

/** What a client may ask for when a session is created; fixed from then on (`handshake.settings`). */
export interface RequestedSettings {
  /** What an ack shall mean. */
  readonly durability?: Durability;
  /** How many unacked messages the client is willing to hold. */
  readonly windowMessages?: number;
  /** How many unacked bytes the client is willing to hold. */
  readonly windowBytes?: number;
}

/** Begins or resumes a session: the first message of each conduit (`handshake.first`). */
export interface Start {
  /** What this message is. */
  readonly kind: "start";
  /** The version of the protocol that the client speaks. */
  readonly version: number;
  /** What ties the answer to its `start` (`handshake.challenge`). */
  readonly challenge: string;
  /** Which session to resume; absent for a new one. */
  readonly resume?: ResumeRequest;
  /** The credentials. */
  readonly auth?: string;
  /** For the other side's application. */
  readonly metadata?: Metadata;
  /** What the session should be like, if not as the server's defaults. */
  readonly settings?: RequestedSettings;
}

/** The limits a server states in `established`; what it accepts from the client. */
export interface StatedLimits {
  /** Longest frame, MessagePack bytes. */
  readonly frameBytes: number;
  /** Longest encoded body, bytes. */
  readonly bodyBytes: number;
  /** Most unacked messages. */
  readonly windowMessages: number;
  /** Most unacked bytes. */
  readonly windowBytes: number;
  /** Most connections at once. */
  readonly connections: number;
  /** Most calls in flight on one connection. */
  readonly concurrentCalls: number;
}

/** The answer to a `start` that was taken. */
export interface Established {
  /** What this message is. */
  readonly kind: "established";
  /** What ties the answer to its `start` (`handshake.challenge`). */
  readonly challenge: string;
  /** The session's id; public, and grants nothing. */
  readonly session: string;
  /** The secret that resumes the session from now on (`resume.rotate`). */
  readonly token: string;
  /** True if the session existed before. */
  readonly resumed: boolean;
  /** Everything up to here is safe at the server. */
  readonly received: number;
  /** The highest sequence number that the server has assigned. */
  readonly sent: number;
  /** What an ack means in this session. */
  readonly durability: Durability;
  /** Milliseconds. */
  readonly resumeWindow: number;
  /** Milliseconds. */
  readonly keepalive: { readonly interval: number; readonly timeout: number };
  /** What the server takes from the client. */
  readonly limits: StatedLimits;
  /** The node that serves the session at present. */
  readonly node: string;
  /** Where that node is. */
  readonly region?: string;
}

/** The answer to a `start` that was not (`handshake.refused`). */
export interface Refused {
  /** What this message is. */
  readonly kind: "refused";
  /** Repeats that of the `start`, if there was one. */
  readonly challenge?: string;
  /** One of `docs/protocol.md`, Reasons. */
  readonly reason: string;
  /** For a person. */
  readonly detail: string;
  /** Milliseconds until a further attempt is welcome. */
  readonly retryAfter?: number;
}

/** Everything up to `received` is safe at the sender of this (`delivery.ack`). */
export interface Ack {
  /** What this message is. */
  readonly kind: "ack";
  /** Everything up to here is safe. */
  readonly received: number;
}

/** Asks for a {@link Pong} (`keepalive.ping`). */
export interface Ping {
  /** What this message is. */
  readonly kind: "ping";
  /** Any integer; the answer repeats it. */
  readonly nonce: number;
}

/** Answers a {@link Ping}. */
export interface Pong {
  /** What this message is. */
  readonly kind: "pong";
  /** That of the ping. */
  readonly nonce: number;
}

/** Asks the client to move to another conduit (`end.goaway`). */
export interface GoAway {
  /** What this message is. */
  readonly kind: "goaway";
  /** One word for machines. */
  readonly reason: string;
  /** Milliseconds within which the client should have moved. */
  readonly after: number;
}

/** Ends the session for both sides (`end.close`). */
export interface Close {
  /** What this message is. */
  readonly kind: "close";
  /** One of `docs/protocol.md`, Reasons, or the application's own. */
  readonly reason: string;
  /** For a person. */
  readonly detail: string;
}

/** A message that is sent now or never (`delivery.volatile`). */
export interface Volatile {
  /** What this message is. */
  readonly kind: "volatile";
  /** The connection's id. */
  readonly connection: number;
  /** One encoded value. */
  readonly body: EncodedBody;
  /** Set by a decoder when the body breaks `frame.body`: what is wrong with it. `body` is then empty. */
  readonly malformed?: string;
}

/** Renews the credentials of a conduit. */
export interface Authorise {
  /** What this message is. */
  readonly kind: "authorise";
  /** The credentials. */
  readonly auth: string;
}

/** Says that renewed credentials were taken. */
export interface Authorised {
  /** What this message is. */
  readonly kind: "authorised";
  /** When these credentials end, milliseconds from now. */
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
