/** The messages of a session: numbered, kept until they are acked, replayed. */

import type { EncodedBody, Metadata } from "./fields.ts";

/** Opens a connection to a service (`connection.open`). */
export interface Open {
  /** What this message is. */
  readonly kind: "open";
  /** The connection's id. */
  readonly connection: number;
  /** The name of the service. */
  readonly service: string;
  /** For the other side's application. */
  readonly metadata?: Metadata;
  /** How many plain messages the other side may send on this connection (`connection.credit`). */
  readonly messageCredit?: number;
}

/** Takes a connection that the other side opened. */
export interface Accept {
  /** What this message is. */
  readonly kind: "accept";
  /** The connection's id. */
  readonly connection: number;
  /** For the other side's application. */
  readonly metadata?: Metadata;
  /** How many plain messages the other side may send on this connection (`connection.credit`). */
  readonly messageCredit?: number;
  /** The hash of the service's description (`connection.schema`). */
  readonly schema?: string;
}

/** Does not take a connection that the other side opened. */
export interface Reject {
  /** What this message is. */
  readonly kind: "reject";
  /** The connection's id. */
  readonly connection: number;
  /** One word for machines. */
  readonly reason: string;
  /** For a person. */
  readonly detail: string;
}

/** Ends a connection (`connection.end`). */
export interface End {
  /** What this message is. */
  readonly kind: "end";
  /** The connection's id. */
  readonly connection: number;
  /** One word for machines. */
  readonly reason?: string;
  /** For a person. */
  readonly detail?: string;
}

/** A message on a connection, outside calls and channels. */
export interface PlainMessage {
  /** What this message is. */
  readonly kind: "message";
  /** The connection's id. */
  readonly connection: number;
  /** One encoded value. */
  readonly body: EncodedBody;
  /** Set by a decoder when the body breaks `frame.body`: what is wrong with it. `body` is then empty. */
  readonly malformed?: string;
}

/** What a caller may ask for. */
export interface CallOptions {
  /** The key under which this call runs at most once (`call.operation`). */
  readonly operation?: string;
  /** Milliseconds. */
  readonly timeout?: number;
  /** The channel on which the caller sends items. */
  readonly upload?: number;
  /** The channel on which the caller takes items. */
  readonly download?: number;
  /** Items that the callee may send on the download before it is granted more. */
  readonly credit?: number;
  /** For the other side's application. */
  readonly metadata?: Metadata;
}

/** Calls a method of the service. */
export interface Call {
  /** What this message is. */
  readonly kind: "call";
  /** The connection's id. */
  readonly connection: number;
  /** The call's id. */
  readonly request: number;
  /** The name of the method. */
  readonly method: string;
  /** One encoded value. */
  readonly body: EncodedBody;
  /** Set by a decoder when the body breaks `frame.body`: what is wrong with it. `body` is then empty. */
  readonly malformed?: string;
  /** What the caller asks for. */
  readonly options?: CallOptions;
}

/** Answers a call (`call.once`). */
export interface Response {
  /** What this message is. */
  readonly kind: "response";
  /** The connection's id. */
  readonly connection: number;
  /** The call's id. */
  readonly request: number;
  /** True for a result, false for an error. */
  readonly ok: boolean;
  /** The result; `{code, message, data?}` if not `ok`. */
  readonly body: EncodedBody;
  /** Set by a decoder when the body breaks `frame.body`: what is wrong with it. `body` is then empty. */
  readonly malformed?: string;
  /** For the other side's application. */
  readonly metadata?: Metadata;
}

/** Asks to end a call (`call.cancel`). */
export interface Cancel {
  /** What this message is. */
  readonly kind: "cancel";
  /** The connection's id. */
  readonly connection: number;
  /** The call's id. */
  readonly request: number;
}

/** One item of a channel (`channel.order`). */
export interface Item {
  /** What this message is. */
  readonly kind: "item";
  /** The connection's id. */
  readonly connection: number;
  /** The channel's id; 0 is the connection's plain messages. */
  readonly channel: number;
  /** One encoded value. */
  readonly body: EncodedBody;
  /** Set by a decoder when the body breaks `frame.body`: what is wrong with it. `body` is then empty. */
  readonly malformed?: string;
}

/** A channel ended normally (`channel.finish`). */
export interface Finish {
  /** What this message is. */
  readonly kind: "finish";
  /** The connection's id. */
  readonly connection: number;
  /** The channel's id; 0 is the connection's plain messages. */
  readonly channel: number;
}

/** A channel ended with an error (`channel.reset`). */
export interface Reset {
  /** What this message is. */
  readonly kind: "reset";
  /** The connection's id. */
  readonly connection: number;
  /** The channel's id; 0 is the connection's plain messages. */
  readonly channel: number;
  /** One word for machines. */
  readonly reason: string;
}

/** Allows more items, or more plain messages on channel 0 (`channel.credit`). */
export interface Credit {
  /** What this message is. */
  readonly kind: "credit";
  /** The connection's id. */
  readonly connection: number;
  /** The channel's id; 0 is the connection's plain messages. */
  readonly channel: number;
  /** How many more. */
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
