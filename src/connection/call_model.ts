/** What is kept of the calls of one connection, and what a message for one of their channels can mean: types. */

import type { EncodedBody, Metadata } from "../protocol/messages.ts";
import type { Violation } from "../protocol/rules.ts";
import type { Receiving, Sending } from "./channel_state.ts";

/** One end of a channel that is open. */
export interface Channel<End> {
  readonly id: number;
  readonly end: End;
}

/** How a call is answered. */
export interface CallAnswer {
  readonly ok: boolean;
  readonly body: EncodedBody;
  /** The word for the reset of its download, if it has one and the answer is an error. */
  readonly reason: string;
}

/** A call that the other side made and this side has not answered. */
export interface IncomingCall {
  readonly request: number;
  /** The number of its message: under it the call is kept as work. */
  readonly seq: number;
  readonly method: string;
  /** When it is answered `deadline-exceeded`; milliseconds since the Unix epoch. */
  readonly deadline: number | null;
  readonly operation: string | null;
  readonly metadata: Metadata;
  /** Null: it has none. Whether it is still open says {@link CallsState.channels}. */
  readonly upload: Channel<Receiving> | null;
  readonly download: Channel<Sending> | null;
  /** The word for which the client broke its upload off; null: it did not. */
  broken: string | null;
  /** Decided before the connection was accepted, and said with the accept (`connection.open`). */
  early: CallAnswer | null;
}

/** A call that this side made and the other side has not answered. */
export interface OutgoingCall {
  readonly request: number;
  readonly method: string;
  readonly upload: Channel<Sending> | null;
  readonly download: Channel<Receiving> | null;
}

/** The calls of one connection; made with its first call. */
export interface CallsState {
  readonly incoming: Map<number, IncomingCall>;
  readonly outgoing: Map<number, OutgoingCall>;
  /** The call of each open channel: those of incoming calls and of outgoing ones have different parity. */
  readonly channels: Map<number, IncomingCall | OutgoingCall>;
  highestIncoming: number;
  highestOutgoing: number;
  /** The highest channel that the other side's calls, and that this side's, have used. */
  highestPeerChannel: number;
  highestOwnChannel: number;
  /** Calls before accept, sent or received (`connection.early`). */
  early: number;
}

/** No call yet. */
export function newCalls(): CallsState {
  return {
    incoming: new Map(),
    outgoing: new Map(),
    channels: new Map(),
    highestIncoming: 0,
    highestOutgoing: 0,
    highestPeerChannel: 0,
    highestOwnChannel: 0,
    early: 0,
  };
}

/** What an item, a finish, a reset or a credit means. */
export type ChannelOutcome =
  | { readonly kind: "item"; readonly call: IncomingCall | OutgoingCall; readonly channel: number }
  /** The other side sends no more. `reason`: it broke off. */
  | {
    readonly kind: "channel_over";
    readonly call: IncomingCall | OutgoingCall;
    readonly channel: number;
    readonly reason: string | null;
  }
  | { readonly kind: "credited"; readonly call: IncomingCall | OutgoingCall; readonly channel: number }
  | { readonly kind: "dropped" }
  | { readonly kind: "violation"; readonly violation: Violation };
