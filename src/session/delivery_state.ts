/**
 * Delivery: sequence, acknowledgement, window, retention and the resume exchange, for one side of one session.
 *
 * The server's session and the client run this same machine, so the two ends cannot drift apart. It touches nothing:
 * messages come in already decoded, leave as encoded bytes, and time arrives as a number.
 *
 * Three counters of the outgoing direction: `sent` numbers a message, `secured` lets it leave (it is committed, or
 * kept by the client's storage), `transmitted` says that the present conduit was given it. Three of the incoming one:
 * `taken` is the running count, `received` is what is safe and may be acked, `ackSent` is what the peer was told.
 */

import { encodeSession, renumbered } from "../protocol/encode.ts";
import { ACK_AFTER_BYTES, ACK_AFTER_MESSAGES, ACK_AFTER_MS } from "../protocol/limits.ts";
import type { SessionPayload } from "../protocol/messages.ts";
import { type Violation, violation } from "../protocol/rules.ts";

/** How much may be unacked in one direction, as the receiving side stated it (`delivery.window`). */
export interface Window {
  readonly messages: number;
  readonly bytes: number;
}

/** A first-in first-out list without holes; `head` skips what was removed so that removal costs nothing. */
interface Queue<T> {
  items: T[];
  head: number;
}

export interface DeliveryState {
  /** The highest sequence number assigned. */
  sent: number;
  /** The highest that may leave: committed under the session's durability class. */
  secured: number;
  /** The highest that the present conduit was given. */
  transmitted: number;
  /** The highest that the peer has. */
  acked: number;
  /** Messages `acked + 1 … sent`, encoded. */
  readonly retained: Queue<Uint8Array>;
  retainedBytes: number;
  /** Bytes of `acked + 1 … transmitted`. */
  inFlightBytes: number;
  /** What the peer takes unacked. */
  readonly peerWindow: Window;

  /** The running count of what was taken in order. */
  taken: number;
  /** How many were dropped because they had been taken before; only for metrics, and not kept. */
  duplicates: number;
  /** Everything up to here is safe: what `ack` may say. */
  received: number;
  /** What the peer was told on the present conduit. */
  ackSent: number;
  /** Costs of `ackSent + 1 … taken`. */
  readonly unackedCosts: Queue<number>;
  unackedBytes: number;
  /** When `received` went beyond `ackSent`; null while there is nothing to ack. */
  ackOwedSince: number | null;
  /** What this side takes unacked. */
  readonly ownWindow: Window;
}

/** A direction in which nothing has moved yet; positions start at 0. */
export function newDelivery(windows: { readonly own: Window; readonly peer: Window }): DeliveryState {
  return {
    sent: 0,
    secured: 0,
    transmitted: 0,
    acked: 0,
    retained: { items: [], head: 0 },
    retainedBytes: 0,
    inFlightBytes: 0,
    peerWindow: windows.peer,
    taken: 0,
    duplicates: 0,
    received: 0,
    ackSent: 0,
    unackedCosts: { items: [], head: 0 },
    unackedBytes: 0,
    ackOwedSince: null,
    ownWindow: windows.own,
  };
}

/** What is kept of a delivery: two counters and the messages the peer has not acked, `acked + 1` first. */
export interface DeliverySnapshot {
  readonly received: number;
  readonly acked: number;
  readonly retained: readonly Uint8Array[];
}

/** Rebuilds a delivery from what was kept; everything in it is safe and nothing is on a conduit. */
export function restoreDelivery(
  windows: { readonly own: Window; readonly peer: Window },
  snapshot: DeliverySnapshot,
): DeliveryState {
  const state = newDelivery(windows);
  state.acked = state.transmitted = snapshot.acked;
  state.sent = state.secured = snapshot.acked + snapshot.retained.length;
  state.retained.items = [...snapshot.retained];
  for (const message of snapshot.retained) state.retainedBytes += message.length;
  state.taken = state.received = state.ackSent = snapshot.received;
  return state;
}

/**
 * Gives a message the next sequence number and keeps it until it is acked.
 *
 * This is the one place that numbers messages (`delivery.sequence`), whatever produced them.
 *
 * @returns The encoded message, for what else wants to keep it.
 */
export function enqueue(state: DeliveryState, payload: SessionPayload): Uint8Array {
  const encoded = encodeSession(state.sent + 1, payload);
  state.sent++;
  // What may wait for long gets memory of its own: as a view it would keep a whole slab of the encoder.
  const soon = state.sent - state.acked <= state.peerWindow.messages;
  state.retained.items.push(soon ? encoded : encoded.slice());
  state.retainedBytes += encoded.length;
  return encoded;
}

/**
 * Takes messages back that nobody was given: those behind them move up. The caller knows that no commit holds them.
 *
 * @param first The first number to take back. @param count How many.
 */
export function withdraw(state: DeliveryState, first: number, count: number): void {
  if (first <= state.secured || first + count - 1 > state.sent) {
    throw new Error(`messages ${first} … ${first + count - 1} are not there to be taken back`);
  }
  const { items, head } = state.retained;
  const at = head + first - state.acked - 1;
  for (const removed of items.splice(at, count)) state.retainedBytes -= removed.length;
  state.sent -= count;
  for (let index = at; index < items.length; index++) {
    const moved = renumbered(items[index]!, first + index - at);
    state.retainedBytes += moved.length - items[index]!.length;
    items[index] = moved;
  }
}

/** What a kept message costs in memory beyond its encoding, bytes: a view, its place in the queue, its buffer. */
const RETAINED_OVERHEAD_BYTES = 128;

/** What the kept messages cost (`delivery.bounded`): many small ones cost more than their bytes. */
export function retainedCost(state: DeliveryState): number {
  return state.retainedBytes + RETAINED_OVERHEAD_BYTES * (state.sent - state.acked);
}

/** True if another message of `cost` bytes fits what the peer takes, counting everything not yet acked. */
export function hasRoom(state: DeliveryState, cost: number): boolean {
  const unacked = state.sent - state.acked;
  return unacked === 0 ||
    unacked < state.peerWindow.messages && state.retainedBytes + cost <= state.peerWindow.bytes;
}

/**
 * Takes the next session message, or says why not.
 *
 * @param cost Its MessagePack length (`frame.cost`).
 */
export function take(state: DeliveryState, seq: number, cost: number): "taken" | "duplicate" | Violation {
  if (seq <= state.taken) {
    state.duplicates++;
    return "duplicate";
  }
  if (seq !== state.taken + 1) {
    return violation("delivery.gap", `expected message ${state.taken + 1}, got ${seq}`);
  }
  if (seq - state.ackSent > state.ownWindow.messages || state.unackedBytes + cost > state.ownWindow.bytes) {
    return violation(
      "delivery.window",
      `message ${seq} is beyond the window of ${state.ownWindow.messages} messages and ${state.ownWindow.bytes} bytes`,
    );
  }
  state.taken = seq;
  state.unackedCosts.items.push(cost);
  state.unackedBytes += cost;
  return "taken";
}

/** Everything up to these counts is safe now: it may be acked, it may leave. Called with what a commit held. */
export function secure(
  state: DeliveryState,
  point: { readonly taken: number; readonly sent: number },
  now: number,
): void {
  if (point.sent > state.secured) state.secured = point.sent;
  if (point.taken > state.received) {
    state.received = point.taken;
    state.ackOwedSince ??= now;
  }
}

/** The peer has everything up to `received`: forget it. A stale ack is ignored (`delivery.ack`). */
export function acknowledge(state: DeliveryState, received: number): Violation | null {
  if (received > state.transmitted) {
    return violation("delivery.ack", `ack ${received} is beyond ${state.transmitted}, the last message sent`);
  }
  while (state.acked < received) {
    const bytes = shift(state.retained).length;
    state.acked++;
    state.retainedBytes -= bytes;
    state.inFlightBytes -= bytes;
  }
  return null;
}

/**
 * The encoded messages that may go out now: secured, in order, inside the peer's window.
 *
 * They count as transmitted; a conduit that loses them is followed by an exchange that sends them again.
 */
export function transmit(state: DeliveryState): Uint8Array[] {
  const messages: Uint8Array[] = [];
  const { items, head } = state.retained;
  const { messages: most, bytes: mostBytes } = state.peerWindow;
  while (state.transmitted < state.secured && state.transmitted - state.acked < most) {
    const next = items[head + (state.transmitted - state.acked)];
    if (next === undefined) throw new Error(`message ${state.transmitted + 1} is not retained`);
    if (state.inFlightBytes > 0 && state.inFlightBytes + next.length > mostBytes) break;
    state.inFlightBytes += next.length;
    state.transmitted++;
    messages.push(next);
  }
  return messages;
}

/**
 * When an ack must leave at the latest: a time, now (0), or never (null).
 *
 * After 64 messages, 64 KiB or 50 ms, whichever is first (`delivery.ack`).
 */
export function ackDueAt(state: DeliveryState): number | null {
  if (state.ackOwedSince === null) return null;
  if (state.received - state.ackSent >= ACK_AFTER_MESSAGES || state.unackedBytes >= ACK_AFTER_BYTES) return 0;
  return state.ackOwedSince + ACK_AFTER_MS;
}

/** Notes that the peer is told `received`, and gives that count. */
export function tellReceived(state: DeliveryState): number {
  peerKnows(state, state.received);
  state.ackOwedSince = null;
  return state.received;
}

/** Notes that the peer was told `received` earlier, in a handshake: what it may send counts from there. */
export function peerKnows(state: DeliveryState, received: number): void {
  while (state.ackSent < received) {
    state.unackedBytes -= shift(state.unackedCosts);
    state.ackSent++;
  }
}

/** The counters that a peer states in `start.resume` or `established` (`resume.exchange`). */
export interface PeerCounters {
  readonly received: number;
  readonly sent: number;
}

/**
 * Says in what a peer's counters contradict this side's, or null: `resume.diverged`.
 *
 * A peer that claims more than was ever sent to it, less than it already acked, or to have sent less than was
 * received from it, has lost state. Nothing is guessed and nothing is changed here.
 */
export function divergence(state: DeliveryState, peer: PeerCounters): string | null {
  if (peer.received > state.secured) return `received ${peer.received} of ${state.secured} sent`;
  if (peer.received < state.acked) return `received ${peer.received} but already acked ${state.acked}`;
  if (peer.sent < state.taken) return `sent ${peer.sent} but ${state.taken} were received`;
  return null;
}

/**
 * Begins a new conduit: drops what the peer has, and begins again, first and in order, with the rest.
 *
 * The peer's counters must not diverge. What was taken must be safe by the time the peer is told of it.
 *
 * @returns How many kept messages the peer lacks.
 */
export function reattach(state: DeliveryState, peer: PeerCounters): number {
  while (state.acked < peer.received) {
    state.retainedBytes -= shift(state.retained).length;
    state.acked++;
  }
  state.transmitted = state.acked;
  state.inFlightBytes = 0;
  return state.sent - state.acked;
}

/** The peer is told `received` in the handshake: the incoming direction of a new conduit begins there. */
export function restartIncoming(state: DeliveryState): void {
  state.taken = state.received;
  state.ackSent = state.received;
  state.unackedCosts.items = [];
  state.unackedCosts.head = 0;
  state.unackedBytes = 0;
  state.ackOwedSince = null;
}

/** Message `seq` as it is retained; undefined when it is acked or was never sent. */
export function retainedMessage(state: DeliveryState, seq: number): Uint8Array | undefined {
  return seq <= state.acked ? undefined : state.retained.items[state.retained.head + seq - state.acked - 1];
}

function shift<T>(queue: Queue<T>): T {
  const item = queue.items[queue.head];
  if (item === undefined) throw new Error("delivery counters and queue disagree");
  queue.head++;
  if (queue.head === queue.items.length) {
    queue.items.length = 0;
    queue.head = 0;
  } else if (queue.head >= 512 && queue.head * 2 >= queue.items.length) {
    queue.items = queue.items.slice(queue.head);
    queue.head = 0;
  }
  return item;
}
