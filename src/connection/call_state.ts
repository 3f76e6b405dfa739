/**
 * Calls of one connection: which are in flight in either direction, with their channels, and what a message for one of
 * them means. Part of the multiplexer (`mux_state.ts`), used by both sides.
 *
 * Rules `call.once`, `call.cancel`, `call.limit`, `channel.credit`, `channel.order`, `channel.finish`, `channel.reset`.
 */

import type { Call, CallOptions, EncodedBody, Metadata, SessionPayload } from "../protocol/messages.ts";
import { type Violation, violation } from "../protocol/rules.ts";
import type {
  CallAnswer,
  CallsState,
  Channel,
  ChannelOutcome,
  IncomingCall,
  OutgoingCall,
} from "./call_model.ts";
import {
  addCredit,
  consume,
  INITIAL_CREDIT,
  newReceiving,
  newSending,
  receiveOne,
  type Receiving,
  type Sending,
  spend,
} from "./channel_state.ts";

export * from "./call_model.ts";

const DROPPED = { kind: "dropped" } as const;

/**
 * Takes a call of the other side.
 *
 * @param clientCalls True where the caller is the client: it decides the parity of the channels.
 * @param most How many may be in flight (`call.limit`).
 */
export function receiveCall(
  state: CallsState,
  message: Call & { readonly seq: number },
  { clientCalls, most, now }: { readonly clientCalls: boolean; readonly most: number; readonly now: number },
): IncomingCall | Violation {
  const { connection, request, method, options = {}, seq } = message;
  if (request === 0 || request <= state.highestIncoming) {
    return violation(
      "frame.ids",
      `request ${request} of connection ${connection} is not above ${state.highestIncoming}, the highest seen`,
    );
  }
  if (state.incoming.size >= most) {
    return violation("call.limit", `more than ${most} calls in flight on connection ${connection}`);
  }
  const { upload, download } = options;
  const channels = [upload, download].filter((id) => id !== undefined).sort((a, b) => a - b);
  let highest = state.highestPeerChannel;
  for (const id of channels) {
    if (id === 0 || (id % 2 === 1) !== clientCalls || id <= highest) {
      return violation(
        "frame.ids",
        `channel ${id} of connection ${connection} is not one that the caller gives`,
      );
    }
    highest = id;
  }
  state.highestIncoming = request;
  state.highestPeerChannel = highest;
  const call: IncomingCall = {
    request,
    seq,
    method,
    deadline: options.timeout === undefined ? null : Math.min(now + options.timeout, Number.MAX_SAFE_INTEGER),
    operation: options.operation ?? null,
    metadata: options.metadata ?? NO_METADATA,
    upload: upload === undefined ? null : { id: upload, end: newReceiving(INITIAL_CREDIT) },
    download: download === undefined
      ? null
      : { id: download, end: newSending(options.credit ?? INITIAL_CREDIT) },
    broken: null,
    early: null,
  };
  state.incoming.set(request, call);
  for (const id of channels) state.channels.set(id, call);
  return call;
}

/** What a call asks for beside its method and its argument. */
export interface CallRequest extends Omit<CallOptions, "upload" | "download"> {
  /** Items go with it. */
  readonly upload?: boolean;
  /** Items come back. */
  readonly download?: boolean;
}

/** Makes a call of this side: the ids, and what the message says of them. */
export function makeCall(
  state: CallsState,
  method: string,
  { upload, download, ...rest }: CallRequest,
  clientCalls: boolean,
): { readonly call: OutgoingCall; readonly options: CallOptions } {
  const request = ++state.highestOutgoing;
  const nextChannel = () => {
    const first = clientCalls ? 1 : 2;
    return state.highestOwnChannel = state.highestOwnChannel === 0 ? first : state.highestOwnChannel + 2;
  };
  const uploadId = upload === true ? nextChannel() : null;
  const downloadId = download === true ? nextChannel() : null;
  const call: OutgoingCall = {
    request,
    method,
    upload: uploadId === null ? null : { id: uploadId, end: newSending(INITIAL_CREDIT) },
    download: downloadId === null
      ? null
      : { id: downloadId, end: newReceiving(rest.credit ?? INITIAL_CREDIT) },
  };
  state.outgoing.set(request, call);
  if (uploadId !== null) state.channels.set(uploadId, call);
  if (downloadId !== null) state.channels.set(downloadId, call);
  const options: CallOptions = {
    ...rest,
    ...(uploadId === null ? {} : { upload: uploadId }),
    ...(downloadId === null ? {} : { download: downloadId }),
  };
  return { call, options };
}

/** Makes a call that somebody else made, with its ids: they must be above all that this side used on the connection. */
export function relayCall(state: CallsState, { request, method, options = {} }: Call): void {
  const { upload, download, credit = INITIAL_CREDIT } = options;
  const call: OutgoingCall = {
    request,
    method,
    upload: upload === undefined ? null : { id: upload, end: newSending(INITIAL_CREDIT) },
    download: download === undefined ? null : { id: download, end: newReceiving(credit) },
  };
  state.highestOutgoing = request;
  state.outgoing.set(request, call);
  for (const id of [upload, download]) {
    if (id === undefined) continue;
    state.highestOwnChannel = Math.max(state.highestOwnChannel, id);
    state.channels.set(id, call);
  }
}

/** Takes an answer: the call is over. Null: it answers nothing in flight. */
export function receiveResponse(
  state: CallsState,
  connection: number,
  request: number,
): OutgoingCall | null | Violation {
  const call = state.outgoing.get(request);
  if (call !== undefined) {
    if (call.download !== null && state.channels.has(call.download.id)) {
      return violation("call.once", `an answer to request ${request} before its download ended`);
    }
    state.outgoing.delete(request);
    forgetChannels(state, call);
    return call;
  }
  if (request > 0 && request <= state.highestOutgoing) return null;
  return violation("frame.ids", `request ${request} of connection ${connection} was never made`);
}

/** Takes a cancel. Null: what it would cancel is answered. */
export function receiveCancel(
  state: CallsState,
  connection: number,
  request: number,
): IncomingCall | null | Violation {
  const call = state.incoming.get(request);
  if (call !== undefined) return call;
  if (request > 0 && request <= state.highestIncoming) return null;
  return violation("frame.ids", `request ${request} of connection ${connection} was never made`);
}

/** Takes what arrives for a channel. */
export function receiveOnChannel(
  state: CallsState,
  message: Extract<SessionPayload, { readonly kind: "item" | "finish" | "reset" | "credit" }>,
  clientSide: boolean,
): ChannelOutcome {
  const { channel, connection } = message;
  const call = state.channels.get(channel);
  if (call === undefined) {
    const own = (channel % 2 === 1) === clientSide;
    const highest = own ? state.highestOwnChannel : state.highestPeerChannel;
    if (channel > 0 && channel <= highest) return DROPPED;
    return broken("frame.ids", `channel ${channel} of connection ${connection} was never open`);
  }
  if (message.kind === "credit") {
    const sending = sendingOf(call);
    if (sending?.id !== channel) {
      return broken("channel.order", `credit for channel ${channel}, on which its receiver is not the peer`);
    }
    return addCredit(sending.end, message.additional)
      ? { kind: "credited", call, channel }
      : broken("channel.credit", `more credit on channel ${channel} than a count can hold`);
  }
  const receiving = receivingOf(call);
  if (receiving?.id !== channel) {
    return broken(
      "channel.order",
      `${message.kind} on channel ${channel}, on which its sender is not the peer`,
    );
  }
  if (message.kind === "item") {
    return receiveOne(receiving.end)
      ? { kind: "item", call, channel }
      : broken("channel.credit", `an item on channel ${channel} of connection ${connection} without credit`);
  }
  state.channels.delete(channel);
  const reason = message.kind === "reset" ? message.reason : null;
  if ("broken" in call) call.broken = reason;
  // The credit that is left stays with the call: what came may still be consumed.
  return { kind: "channel_over", call, channel, reason };
}

/**
 * Answers a call: its download ends first, as `call.once` wants.
 *
 * @returns The messages, in order; none if the call is over already.
 */
export function respond(
  state: CallsState,
  connection: number,
  request: number,
  answer: CallAnswer,
): SessionPayload[] {
  const call = state.incoming.get(request);
  if (call === undefined) return [];
  const payloads: SessionPayload[] = [];
  if (call.download !== null && state.channels.has(call.download.id)) {
    const channel = call.download.id;
    payloads.push(
      answer.ok
        ? { kind: "finish", connection, channel }
        : { kind: "reset", connection, channel, reason: answer.reason },
    );
  }
  state.incoming.delete(request);
  forgetChannels(state, call);
  payloads.push({ kind: "response", connection, request, ok: answer.ok, body: answer.body });
  return payloads;
}

/** Puts a call back that was answered by mistake: nobody was told. Only for calls without channels. */
export function reopen(state: CallsState, call: IncomingCall): void {
  state.incoming.set(call.request, call);
}

/** Sends an item on a channel of a call. Null: without credit, or the channel is over. */
export function sendItem(
  state: CallsState,
  connection: number,
  channel: number,
  body: EncodedBody,
): SessionPayload | null {
  const call = state.channels.get(channel);
  const sending = call === undefined ? null : sendingOf(call);
  if (sending?.id !== channel || !spend(sending.end)) return null;
  return { kind: "item", connection, channel, body };
}

/** Ends a channel on which this side sends. Null: it is over. */
export function endChannel(
  state: CallsState,
  connection: number,
  channel: number,
  reason: string | null,
): SessionPayload | null {
  const call = state.channels.get(channel);
  if (call === undefined || sendingOf(call)?.id !== channel) return null;
  state.channels.delete(channel);
  return reason === null
    ? { kind: "finish", connection, channel }
    : { kind: "reset", connection, channel, reason };
}

/** Counts items of a channel that the application took. @returns The grant that is due, if one is. */
export function consumeItems(
  state: CallsState,
  connection: number,
  channel: number,
  items: number,
): SessionPayload | null {
  const call = state.channels.get(channel);
  const receiving = call === undefined ? null : receivingOf(call);
  if (receiving?.id !== channel) return null;
  const additional = consume(receiving.end, items);
  return additional === 0 ? null : { kind: "credit", connection, channel, additional };
}

/** True if an item may be sent on a channel now. */
export function hasCredit(state: CallsState, channel: number): boolean {
  const call = state.channels.get(channel);
  const sending = call === undefined ? null : sendingOf(call);
  return sending !== null && sending.id === channel && sending.end.credit > 0;
}

/** The channel of a call on which this side sends. */
export function sendingOf(call: IncomingCall | OutgoingCall): Channel<Sending> | null {
  return "seq" in call ? call.download : call.upload;
}

/** The channel of a call on which this side receives. */
export function receivingOf(call: IncomingCall | OutgoingCall): Channel<Receiving> | null {
  return "seq" in call ? call.upload : call.download;
}

function forgetChannels(state: CallsState, call: IncomingCall | OutgoingCall): void {
  if (call.upload !== null) state.channels.delete(call.upload.id);
  if (call.download !== null) state.channels.delete(call.download.id);
}

function broken(rule: Violation["rule"], detail: string): ChannelOutcome {
  return { kind: "violation", violation: violation(rule, detail) };
}

const NO_METADATA: Metadata = {};
