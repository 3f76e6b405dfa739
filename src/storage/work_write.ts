/** How accepted work is stored: in segments like the outbox's, each as long as one of its pieces is not done. */

import type { CallWords } from "../connection/connection_record.ts";
import type { EncodedBody, Metadata } from "../protocol/messages.ts";
import { pack, type Packable, unpack } from "../protocol/pack.ts";
import type { SessionState, Work } from "../session/session_model.ts";
import { workKey } from "./keys.ts";
import type { Attempt } from "./session_record.ts";
import type { Put, StoreKey } from "./session_store.ts";

/** Largest value of a segment. */
const PART_BYTES = 60 * 1024;

/** Values of segments that are done which one commit deletes; what is left goes with the next. One segment may exceed it. */
const RELEASE_PARTS = 100;

/** Pieces of work that were accepted with one commit. */
export interface WorkSegment {
  readonly epoch: number;
  readonly flush: number;
  readonly parts: number;
  /** The numbers of their messages. */
  readonly seqs: readonly number[];
}

/** What a commit writes of a session's work. */
export interface PlannedWork {
  readonly segments: readonly WorkSegment[];
  readonly puts: readonly Put[];
  readonly bytes: number;
  /** Stored by this commit: their bodies need not stay in memory. */
  readonly stored: readonly Work[];
}

/** Plans what is new, and drops what is done. */
export function planWork(
  state: SessionState,
  segments: readonly WorkSegment[],
  { epoch, flush }: Attempt,
  deletes: StoreKey[],
): PlannedWork {
  if (state.work.size === 0 && segments.length === 0) return NOTHING_PLANNED;
  let released = 0;
  const kept = segments.filter((segment) => {
    if (released >= RELEASE_PARTS || segment.seqs.some((seq) => state.work.has(seq))) return true;
    released += segment.parts;
    deletes.push(...workKeys(state.id, segment));
    return false;
  });
  const stored = [...state.work.values()].filter(({ stored }) => !stored);
  if (stored.length === 0) return { segments: kept, puts: [], bytes: 0, stored };
  const bytes = pack(stored.map(({ seq, connection, body, call }): Packable => [
    ...[seq, connection, body],
    call === null ? null : [call.method, call.operation, call.metadata],
  ]));
  const puts: Put[] = [];
  for (let at = 0; at < bytes.length; at += PART_BYTES) {
    const value = bytes.subarray(at, at + PART_BYTES);
    puts.push({ key: workKey(state.id, epoch, flush, puts.length), value });
  }
  const segment = { epoch, flush, parts: puts.length, seqs: stored.map(({ seq }) => seq) };
  return { segments: [...kept, segment], puts, bytes: bytes.length, stored };
}

/** The keys that hold a segment, in order. */
export function workKeys(session: string, { epoch, flush, parts }: Omit<WorkSegment, "seqs">): StoreKey[] {
  return Array.from({ length: parts }, (_, part) => workKey(session, epoch, flush, part));
}

/** Reads the pieces of one segment. */
export function decodeWork(bytes: Uint8Array): Omit<Work, "bytes" | "stored">[] {
  const pieces = unpack(bytes) as [
    ...[seq: number, connection: number, body: EncodedBody],
    [method: string, operation: string | null, metadata: Metadata] | null,
  ][];
  return pieces.map(([seq, connection, body, words]) => {
    const call: CallWords | null = words === null
      ? null
      : { method: words[0], operation: words[1], metadata: words[2] };
    return { seq, connection, body, call };
  });
}

const NOTHING_PLANNED: PlannedWork = { segments: [], puts: [], bytes: 0, stored: [] };
