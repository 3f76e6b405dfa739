/** How unacked messages are stored: a short end in the core, what is before it in segments. */

import { retainedMessage } from "../session/delivery_state.ts";
import type { CommitPoint, SessionState } from "../session/session_model.ts";
import { outboxKey } from "./keys.ts";
import type { Attempt, Segment } from "./session_record.ts";
import type { Put, StoreKey } from "./session_store.ts";
import type { StoredSession } from "./session_write.ts";

/** Unacked messages up to this size stay in the core: one value is written per commit and nothing is deleted later. */
const TAIL_BYTES = 8 * 1024;

/** Largest value of a segment (`architecture.md`, storage). */
const PART_BYTES = 60 * 1024;

/** Values of acked segments that one commit deletes; what is left goes with the next. One segment may exceed it. */
const RELEASE_PARTS = 150;

/** Drops what is acked, keeps the rest: a short end in the core, the part before it in segments. */
export function planOutbox(
  state: SessionState,
  stored: StoredSession,
  point: CommitPoint,
  attempt: Attempt,
  deletes: StoreKey[],
): { segments: readonly Segment[]; tail: Uint8Array; puts: Put[]; bytes: number } {
  const { acked } = state.delivery;
  let released = 0;
  for (let parts = 0; released < stored.segments.length; released++) {
    const segment = stored.segments[released]!;
    parts += segment.parts;
    if (segment.last > acked || released > 0 && parts > RELEASE_PARTS) break;
    deletes.push(...partKeys(state.id, segment));
  }
  const segments = released === 0 ? stored.segments : stored.segments.slice(released);
  const first = Math.max(acked, segments.at(-1)?.last ?? 0) + 1;
  const messages: Uint8Array[] = [];
  let bytes = 0;
  for (let seq = first; seq <= point.sent; seq++) {
    const message = retainedMessage(state.delivery, seq);
    if (message === undefined) throw new Error(`message ${seq} is neither acked nor retained`);
    messages.push(message);
    bytes += message.length;
  }
  const joined = join(messages, bytes);
  if (bytes <= TAIL_BYTES) return { segments, tail: joined, puts: [], bytes: 0 };
  const { epoch, flush } = attempt;
  const puts: Put[] = [];
  for (let at = 0; at < bytes; at += PART_BYTES) {
    const value = joined.subarray(at, Math.min(at + PART_BYTES, bytes));
    puts.push({ key: outboxKey(state.id, epoch, flush, puts.length), value });
  }
  const segment = { first, last: point.sent, bytes, epoch, flush, parts: puts.length };
  return { segments: [...segments, segment], tail: NOTHING, puts, bytes };
}

/** The keys that hold a segment, in order. */
export function partKeys(session: string, segment: Segment): StoreKey[] {
  return Array.from(
    { length: segment.parts },
    (_, part) => outboxKey(session, segment.epoch, segment.flush, part),
  );
}

/** Joins byte strings of a known total length. */
export function join(parts: readonly Uint8Array[], bytes: number): Uint8Array {
  const joined = new Uint8Array(bytes);
  let at = 0;
  for (const part of parts) {
    joined.set(part, at);
    at += part.length;
  }
  return joined;
}

const NOTHING = new Uint8Array(0);
