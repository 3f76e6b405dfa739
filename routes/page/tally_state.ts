/**
 * What the page knows about its numbered messages, from their numbers alone.
 *
 * Messages are numbered 1, 2, 3, …; each must come back once and in order. Nothing here trusts the SDK or the server: a
 * number that is skipped counts as lost as soon as a later one arrives, one that comes again counts as doubled, and one
 * that comes after a later one counts as out of order (and is then no longer lost).
 */

/** Numbers that did not come although a later one did: `first … last`. */
export type Gap = { readonly first: number; readonly last: number };

/** So many gaps are remembered one by one, so that a tally stays small; older ones are only counted. */
export const KEPT_GAPS = 200;

/** The tally; a plain value, so that it survives a reload as it is. */
export type Tally = {
  /** The highest number handed to the session. */
  sent: number;
  /** The highest number that came back. */
  highest: number;
  /** Numbers that came back, each counted once. */
  echoed: number;
  doubled: number;
  outOfOrder: number;
  /** Echoes of something that was never sent. */
  unknown: number;
  /** Ascending, never touching one another. */
  gaps: Gap[];
  /** Numbers in gaps that are no longer kept one by one. */
  lostEarlier: number;
};

/** A tally before its first message. */
export function newTally(): Tally {
  return { sent: 0, highest: 0, echoed: 0, doubled: 0, outOfOrder: 0, unknown: 0, gaps: [], lostEarlier: 0 };
}

/** Counts one more message as sent. @returns Its number. */
export function tallySent(tally: Tally): number {
  return ++tally.sent;
}

/** Counts what came back. @param number The number it carries; anything else than one that was sent is `unknown`. */
export function tallyEcho(tally: Tally, number: unknown): void {
  if (typeof number !== "number" || !Number.isSafeInteger(number) || number < 1 || number > tally.sent) {
    tally.unknown++;
    return;
  }
  if (number > tally.highest) {
    if (number > tally.highest + 1) addGap(tally, { first: tally.highest + 1, last: number - 1 });
    tally.highest = number;
    tally.echoed++;
    return;
  }
  if (fillGap(tally, number)) {
    tally.outOfOrder++;
    tally.echoed++;
  } else tally.doubled++;
}

/** How many numbers are proven to be lost: a later one came back and they did not. */
export function lost(tally: Tally): number {
  return tally.gaps.reduce((sum, gap) => sum + size(gap), tally.lostEarlier);
}

/** How many messages are still on their way. */
export function inFlight(tally: Tally): number {
  return tally.sent - tally.highest;
}

/** Whether every message that came back did so exactly once and in order. */
export function isFlawless(tally: Tally): boolean {
  return lost(tally) === 0 && tally.doubled === 0 && tally.outOfOrder === 0 && tally.unknown === 0;
}

function fillGap(tally: Tally, number: number): boolean {
  const index = tally.gaps.findIndex(({ first, last }) => first <= number && number <= last);
  const gap = tally.gaps[index];
  if (gap === undefined) return false;
  const rest = [{ first: gap.first, last: number - 1 }, { first: number + 1, last: gap.last }];
  tally.gaps.splice(index, 1, ...rest.filter((part) => size(part) > 0));
  return true;
}

function addGap(tally: Tally, gap: Gap): void {
  tally.gaps.push(gap);
  if (tally.gaps.length > KEPT_GAPS) tally.lostEarlier += size(tally.gaps.shift()!);
}

function size({ first, last }: Gap): number {
  return last - first + 1;
}
