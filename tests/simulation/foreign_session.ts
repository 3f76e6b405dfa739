/** All that a client by the protocol's text knows of its session: plain, so that a reload or a copy is one clone of it. */

import { encodeSession } from "../../src/protocol/encode.ts";
import { decodeBody } from "../../src/protocol/body.ts";
import type { RequestedSettings, SessionMessage, SessionPayload } from "../../src/protocol/messages.ts";
import * as delivery from "../../src/session/delivery_state.ts";
import { type CallerState, newCaller } from "./caller_model.ts";
import {
  BEGINNING,
  isComplete,
  outstanding,
  type Progress,
  request,
  type Sizes,
  takeReply,
} from "./workload.ts";

const MOST_OUTSTANDING = 12;

/** What a reload finds. */
export interface ForeignSession {
  /** Its client's own name for it. */
  readonly uid: string;
  readonly challenge: string;
  session: string | null;
  token: string | null;
  readonly delivery: delivery.DeliveryState;
  /** The connection that requests go to. */
  connection: number;
  /** The highest connection id that was given. */
  connections: number;
  accepted: boolean;
  early: number;
  progress: Progress;
  /** Requests of this session, over all its connections. */
  requests: number;
  /** What goes on beside requests and replies. */
  readonly caller: CallerState;
  closing: boolean;
}

/** What each side takes unacked. */
export interface Windows {
  readonly own: delivery.Window;
  readonly peer: delivery.Window;
}

/** The windows that a client states and, where it states none, those of the server. */
export function windowsFor(
  { windowMessages, windowBytes }: RequestedSettings,
  peer: delivery.Window,
): Windows {
  return { own: { messages: windowMessages ?? peer.messages, bytes: windowBytes ?? peer.bytes }, peer };
}

/** A session that no server has heard of; its connection's `open` is the first message. */
export function freshSession(uid: string, challenge: string, windows: Windows): ForeignSession {
  const session: ForeignSession = {
    uid,
    challenge,
    session: null,
    token: null,
    delivery: delivery.newDelivery(windows),
    connection: 1,
    connections: 1,
    accepted: false,
    early: 0,
    progress: BEGINNING,
    requests: 0,
    caller: newCaller(),
    closing: false,
  };
  number(session, { kind: "open", connection: 1, service: "work" }, 0);
  return session;
}

/** The session as a new page finds it. */
export function reloaded(session: ForeignSession, windows: Windows): ForeignSession {
  // A clone, so that nothing of the old page reaches it.
  const { delivery: { received, acked, retained }, ...rest } = structuredClone(session);
  const kept = { received, acked, retained: retained.items.slice(retained.head) };
  return { ...rest, delivery: delivery.restoreDelivery(windows, kept) };
}

/** Makes at most `count` further requests, `most` in all, as far as window and peer allow. @returns How many. */
export function produce(
  session: ForeignSession,
  count: number,
  most: number,
  sizes: Sizes,
  now: number,
): number {
  let made = 0;
  while (made < count && session.requests < most) {
    if (outstanding(session.progress) >= MOST_OUTSTANDING || !session.accepted && session.early >= 16) break;
    const body = request(session.progress.sent + 1, sizes);
    if (!delivery.hasRoom(session.delivery, body.length + 64)) break;
    if (!session.accepted) session.early++;
    session.requests++;
    session.progress = { ...session.progress, sent: session.progress.sent + 1 };
    number(session, { kind: "message", connection: session.connection, body }, now);
    made++;
  }
  return made;
}

/** Ends its connection and opens another, if nothing is outstanding on it. */
export function reopen(session: ForeignSession, sizes: Sizes, now: number): void {
  if (!session.accepted || !isComplete(session.progress, sizes)) return;
  if (!delivery.hasRoom(session.delivery, 128)) return;
  number(session, { kind: "end", connection: session.connection }, now);
  session.connection = session.connections += 2;
  session.accepted = false;
  session.early = 0;
  session.progress = BEGINNING;
  number(session, { kind: "open", connection: session.connection, service: "work" }, now);
}

/** Numbers a message if the window has room for it. @returns Its number; null: it has not. */
export function say(session: ForeignSession, payload: SessionPayload, now: number): number | null {
  const { delivery: state } = session;
  if (!delivery.hasRoom(state, encodeSession(state.sent + 1, payload).length)) return null;
  number(session, payload, now);
  return state.sent;
}

/**
 * Takes a message of the server.
 *
 * @param other Takes what is not on the connection that requests go to.
 * @returns What is wrong with it, by the protocol or by the application; null: nothing.
 */
export function receive(
  session: ForeignSession,
  message: SessionMessage,
  sizes: Sizes,
  now: number,
  other: (message: SessionMessage) => string | null,
): string | null {
  const state = session.delivery;
  const taken = delivery.take(state, message.seq, message.cost);
  if (taken === "duplicate") return null;
  if (taken !== "taken") return `the server broke ${taken.rule}: ${taken.detail}`;
  delivery.secure(state, { taken: state.taken, sent: state.sent }, now);
  if (message.connection !== session.connection) return other(message);
  if (message.kind === "accept") {
    session.accepted = true;
    return null;
  }
  if (message.kind !== "message") return `got ${message.kind} on its connection`;
  const progress = takeReply(session.progress, decodeBody(message.body), sizes);
  if (typeof progress === "string") return progress;
  session.progress = progress;
  return null;
}

/** Numbers a message; what it keeps is safe at once. */
function number(session: ForeignSession, payload: SessionPayload, now: number): void {
  const state = session.delivery;
  delivery.enqueue(state, payload);
  delivery.secure(state, { taken: state.taken, sent: state.sent }, now);
}
