/**
 * Credit: who may send how many items, for one direction of one channel.
 *
 * Both ends of a channel run this, and channel 0, the plain messages of a connection, too. Rules `channel.credit` and
 * `connection.credit`: a sender sends only against credit, a receiver grants more when half of what it first granted, or 64,
 * were consumed, and grants add up.
 */

/** Items that a sender may send before it is granted more, unless a call says otherwise. */
export const INITIAL_CREDIT = 16;

/**
 * A grant is due after so many items at the latest. As many messages are acked together (`delivery.ack`), so it shares the
 * ack's frame; alone it would wait for the network's own acknowledgement of that one, 40 ms with some systems.
 */
const GRANT_AFTER = 64;

/** The end that sends. */
export interface Sending {
  /** Items that may be sent now. */
  credit: number;
  /** Items that were sent since the channel was opened. */
  sent: number;
}

/** The end that receives. */
export interface Receiving {
  /** What was granted at the beginning; the target for what is outstanding. */
  readonly initial: number;
  /** What was granted in all. */
  granted: number;
  /** Items that came. */
  received: number;
  /** Items that the application took. */
  consumed: number;
}

/** A sender that was granted `credit`, of which it has used `sent` already. */
export function newSending(credit: number, sent = 0): Sending {
  return { credit: credit - sent, sent };
}

/** A receiver that granted `initial`, of which `received` was used already. */
export function newReceiving(initial: number, received = 0): Receiving {
  return { initial, granted: initial, received, consumed: 0 };
}

/** Counts one item that is sent. @returns False, and counts nothing, without credit. */
export function spend(sending: Sending): boolean {
  if (sending.credit <= 0) return false;
  sending.credit--;
  sending.sent++;
  return true;
}

/** Takes a grant. @returns False for one that no count can hold. */
export function addCredit(sending: Sending, additional: number): boolean {
  if (!Number.isSafeInteger(sending.credit + additional)) return false;
  sending.credit += additional;
  return true;
}

/** Counts one item that came. @returns False for one without credit. */
export function receiveOne(receiving: Receiving): boolean {
  if (receiving.received >= receiving.granted) return false;
  receiving.received++;
  return true;
}

/** Counts items that were taken. @returns How many more the sender is granted now; 0: not yet. */
export function consume(receiving: Receiving, items = 1): number {
  receiving.consumed += items;
  const outstanding = receiving.granted - receiving.consumed;
  if (outstanding * 2 > receiving.initial && receiving.initial - outstanding < GRANT_AFTER) return 0;
  const additional = receiving.initial - outstanding;
  receiving.granted += additional;
  return additional;
}

/** Grants what somebody else decided on: as many more as that one took (`connection.proxy`). */
export function grant(receiving: Receiving, additional: number): void {
  receiving.consumed += additional;
  receiving.granted += additional;
}
