/** A connection as bytes, and back: what is kept of it by a session's store and by a client's storage. */

import { type BodyValue, decodeBody, encodeBody } from "../protocol/body.ts";
import type { EncodedBody, Metadata } from "../protocol/messages.ts";
import {
  type CallAnswer,
  type CallsState,
  type Channel,
  type IncomingCall,
  newCalls,
  type OutgoingCall,
} from "./call_state.ts";
import type { Receiving, Sending } from "./channel_state.ts";
import { type ConnectionPhase, type ConnectionState, newConnection } from "./mux_model.ts";

/** What an incoming call said once and for all; kept apart, since the rest changes with each item. */
export type CallWords = Pick<IncomingCall, "method" | "operation" | "metadata">;

/** Stands in for words that nobody needs: the call is only answered. */
export const NO_WORDS: CallWords = { method: "", operation: null, metadata: {} };

/** Encodes a connection without its id, without what it keeps, and without the words of its incoming calls. */
export function encodeConnection(connection: ConnectionState): Uint8Array {
  const { service, phase, early, offer, sending, receiving, lostWith, held, ending, waiting, calls } =
    connection;
  const record: BodyValue[] = [service, phase, early];
  const rest: BodyValue[] = [
    sending === null ? null : sendingOut(sending),
    receiving === null ? null : receivingOut(receiving),
    held,
    waiting,
    calls === null ? null : callsOut(calls),
    offer,
    lostWith,
    ending === null ? null : [ending.reason, ending.detail],
  ];
  // Most connections are plain: three fields.
  if (rest.some((field) => field !== null && !(Array.isArray(field) && field.length === 0))) {
    record.push(...rest);
  }
  return encodeBody(record);
}

function callsOut(calls: CallsState): BodyValue {
  const { channels } = calls;
  return [
    calls.highestIncoming,
    calls.highestOutgoing,
    calls.highestPeerChannel,
    calls.highestOwnChannel,
    calls.early,
    [...calls.incoming.values()].map(({ request, seq, deadline, upload, download, broken, early }) => [
      request,
      seq,
      deadline,
      upload === null ? null : [upload.id, broken ?? channels.has(upload.id), receivingOut(upload.end)],
      download === null ? null : [download.id, channels.has(download.id), sendingOut(download.end)],
      early === null ? null : [early.ok, early.body, early.reason],
    ]),
    [...calls.outgoing.values()].map(({ request, method, upload, download }) => [
      request,
      method,
      upload === null ? null : [upload.id, channels.has(upload.id), sendingOut(upload.end)],
      download === null ? null : [download.id, channels.has(download.id), receivingOut(download.end)],
    ]),
  ];
}

function sendingOut({ credit, sent }: Sending): BodyValue {
  return [credit, sent];
}

function receivingOut({ initial, granted, received, consumed }: Receiving): BodyValue {
  return [initial, granted, received, consumed];
}

/**
 * Reads {@link encodeConnection}.
 *
 * @param wordsOf The words of an incoming call, by the number of its message.
 * @throws {Error} If the bytes are damaged.
 */
export function decodeConnection(
  id: number,
  bytes: Uint8Array,
  wordsOf: (seq: number) => CallWords = () => NO_WORDS,
): ConnectionState {
  const fields = decodeBody(bytes);
  const plain = Array.isArray(fields) && fields.length === 3;
  const [service, phase, early, ...rest] = list(fields, plain ? 3 : 11);
  if (!PHASES.has(phase)) throw damaged("a phase");
  const connection = newConnection(id, text(service), phase as ConnectionPhase);
  connection.early = count(early);
  if (plain) return connection;
  const [sending, receiving, held, waiting, calls, offer, lostWith, ending] = rest;
  connection.sending = optional(sending, sendingIn);
  connection.receiving = optional(receiving, receivingIn);
  connection.held = list(held).map(count);
  connection.waiting = list(waiting).map(body);
  connection.calls = optional(calls, (out) => callsIn(out, wordsOf));
  connection.offer = optional(offer, metadata);
  connection.lostWith = optional(lostWith, text);
  connection.ending = optional(ending, endingIn);
  return connection;
}

function callsIn(out: unknown, wordsOf: (seq: number) => CallWords): CallsState {
  const [highestIncoming, highestOutgoing, highestPeerChannel, highestOwnChannel, early, incoming, outgoing] =
    list(out, 7);
  const calls: CallsState = {
    ...newCalls(),
    highestIncoming: count(highestIncoming),
    highestOutgoing: count(highestOutgoing),
    highestPeerChannel: count(highestPeerChannel),
    highestOwnChannel: count(highestOwnChannel),
    early: count(early),
  };
  for (const one of list(incoming)) {
    const [request, seq, deadline, upload, download, answer] = list(one, 6);
    const { method, operation, metadata } = wordsOf(count(seq));
    const broken = optional(upload, brokenIn);
    const call: IncomingCall = {
      ...{ request: count(request), seq: count(seq), method, deadline: optional(deadline, count) },
      ...{ operation, metadata },
      upload: optional(upload, (out) => {
        const [id, open, end] = list(out, 3);
        return channelIn([id, typeof open === "string" ? false : open, end], receivingIn);
      }),
      download: optional(download, (out) => channelIn(out, sendingIn)),
      broken,
      early: optional(answer, answerIn),
    };
    calls.incoming.set(call.request, call);
    listOpen(calls, call, [upload, download]);
  }
  for (const one of list(outgoing)) {
    const [request, method, upload, download] = list(one, 4);
    const call: OutgoingCall = {
      request: count(request),
      method: text(method),
      upload: optional(upload, (out) => channelIn(out, sendingIn)),
      download: optional(download, (out) => channelIn(out, receivingIn)),
    };
    calls.outgoing.set(call.request, call);
    listOpen(calls, call, [upload, download]);
  }
  return calls;
}

function channelIn<End>(out: unknown, endIn: (out: unknown) => End): Channel<End> {
  const [id, open, end] = list(out, 3);
  if (typeof open !== "boolean") throw damaged("a channel");
  return { id: count(id), end: endIn(end) };
}

/** An upload says why it was broken off in the place of whether it is open. */
function brokenIn(out: unknown): string | null {
  const [, open] = list(out, 3);
  return typeof open === "string" ? open : null;
}

function listOpen(calls: CallsState, call: IncomingCall | OutgoingCall, channels: readonly unknown[]): void {
  for (const channel of channels) {
    const [id, open] = optional(channel, list) ?? [];
    if (open === true) calls.channels.set(count(id), call);
  }
}

function sendingIn(out: unknown): Sending {
  const [credit, sent] = list(out, 2);
  return { credit: count(credit), sent: count(sent) };
}

function receivingIn(out: unknown): Receiving {
  const [initial, granted, received, consumed] = list(out, 4);
  return {
    ...{ initial: count(initial), granted: count(granted) },
    ...{ received: count(received), consumed: count(consumed) },
  };
}

function endingIn(out: unknown): ConnectionState["ending"] {
  const [reason, detail] = list(out, 2);
  return { reason: text(reason), detail: text(detail) };
}

function answerIn(out: unknown): CallAnswer {
  const [ok, answer, reason] = list(out, 3);
  if (typeof ok !== "boolean") throw damaged("an answer");
  return { ok, body: body(answer), reason: text(reason) };
}

const PHASES: ReadonlySet<unknown> = new Set<ConnectionPhase>(["opening", "offered", "open"]);

function damaged(what: string): Error {
  return new Error(`the record of a connection is damaged: ${what}`);
}

function optional<T>(value: unknown, read: (value: unknown) => T): T | null {
  return value === null ? null : read(value);
}

function list(value: unknown, length?: number): readonly unknown[] {
  if (Array.isArray(value) && (length === undefined || value.length === length)) return value;
  throw damaged("a list");
}

function count(value: unknown): number {
  if (Number.isSafeInteger(value) && value as number >= 0) return value as number;
  throw damaged("a number");
}

function text(value: unknown): string {
  if (typeof value === "string") return value;
  throw damaged("a text");
}

function body(value: unknown): EncodedBody {
  if (value instanceof Uint8Array) return value;
  throw damaged("a body");
}

function metadata(value: unknown): Metadata {
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw damaged("metadata");
  return Object.fromEntries(Object.entries(value).map(([key, entry]) => [key, text(entry)]));
}
