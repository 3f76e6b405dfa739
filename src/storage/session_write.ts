/** What one session writes in one commit: from the machine's state and from what is stored, without touching either. */

import { CHALLENGE_MEMORY_MS } from "../protocol/limits.ts";
import { type History, NO_HISTORY } from "../session/history.ts";
import type { CommitPoint, SessionState, Work } from "../session/session_model.ts";
import { endsAt, isProvisional } from "../session/session_state.ts";
import type { SessionWrite } from "./committer.ts";
import {
  connectionKeys,
  NO_CONNECTIONS,
  planConnections,
  type StoredConnections,
} from "./connection_write.ts";
import {
  attachedKey,
  challengeKey,
  deadlineKey,
  historyKey,
  movedKey,
  pendingKey,
  principalKey,
  sessionKey,
} from "./keys.ts";
import {
  type Attempt,
  encodeChallenge,
  encodeCore,
  encodeHistory,
  encodePrincipalRow,
  encodeTombstone,
  type Segment,
} from "./session_record.ts";
import type { Put, StoreKey, Version } from "./session_store.ts";
import { partKeys, planOutbox } from "./outbox_write.ts";
import { hashOf } from "../system/hash.ts";
import { planWork, workKeys, type WorkSegment } from "./work_write.ts";

/** What a session stores in segments is told to the index of principals in steps of this size. */
const HELD_STEP_BYTES = 64 * 1024;

/** Segments that, with what else is large, are beyond this are staged ahead: one session's commit always fits one atomic. */
const STAGE_BYTES = 256 * 1024;

/** Deletions that an ending takes into its own atomic; more are left to the sweeper. */
const ENDING_DELETES = 300;

/** After this the store may drop a tombstone that no sweeper found. */
const TOMBSTONE_BACKSTOP_MS = 24 * 3600 * 1000;

/** After this nobody needs to be told that a session moved: its node is gone, or has found out. */
const MOVED_BACKSTOP_MS = 60_000;

/** What the store holds of a session, as far as its owner knows. */
export interface StoredSession {
  /** The version of its core; null before the first commit. */
  readonly version: Version | null;
  readonly epoch: number;
  readonly flush: number;
  readonly attachedTo: string | null;
  readonly deadline: number | null;
  readonly pendingAt: string | null;
  readonly segments: readonly Segment[];
  readonly connections: StoredConnections;
  readonly work: readonly WorkSegment[];
  /** The list that was written last. */
  readonly history: History;
  /** Encoded once: `encodeIdentity`. */
  readonly identity: Uint8Array;
  /** The version of the challenge's row that creation must still find; undefined once it is created. */
  readonly challengeVersion?: Version | null;
}

/**
 * A session that no store has yet.
 *
 * @param identity `encodeIdentity` of it.
 * @param challengeVersion What its challenge's row must still be: absent (null), or one that is too old to count.
 */
export function newStoredSession(identity: Uint8Array, challengeVersion: Version | null): StoredSession {
  return {
    version: null,
    epoch: 1,
    flush: 0,
    attachedTo: null,
    deadline: null,
    pendingAt: null,
    segments: [],
    connections: NO_CONNECTIONS,
    work: [],
    history: NO_HISTORY,
    identity,
    challengeVersion,
  };
}

/** A write, and what the store holds when it is committed (but for the version). */
export interface PlannedWrite {
  readonly write: SessionWrite;
  readonly next: StoredSession;
  readonly point: CommitPoint;
  /** Work whose bodies it stores. */
  readonly work: readonly Work[];
}

/**
 * Plans the commit of all that changed up to `point`.
 *
 * @param otherBytes What else goes into the same atomic.
 */
export function planWrite(
  state: SessionState,
  stored: StoredSession,
  point: CommitPoint,
  boot: string,
  now: number,
  otherBytes = 0,
): PlannedWrite {
  const attempt: Attempt = { boot, epoch: stored.epoch, flush: stored.flush + 1 };
  return state.ended === null
    ? planCore(state, stored, point, attempt, now, otherBytes)
    : planTombstone(state, stored, point, attempt);
}

function planCore(
  state: SessionState,
  stored: StoredSession,
  point: CommitPoint,
  attempt: Attempt,
  now: number,
  otherBytes: number,
): PlannedWrite {
  const puts: Put[] = [];
  const deletes: StoreKey[] = [];
  const attachedHere = state.attached !== null || point.attaching !== null && !point.attaching.lost;
  const detachedAt = attachedHere ? null : state.detachedAt ?? now;
  const deadline = detachedAt !== null
    ? endsAt(state, detachedAt)
    // A creation may be applied late, when its node has given it up: nobody but the sweeper would ever find it.
    : isProvisional(state)
    ? state.provisionalUntil
    : null;
  const attachedTo = attachedHere ? attempt.boot : null;
  const pendingAt = state.work.size > 0 ? attempt.boot : null;
  moveRows(state.id, stored, { deadline, attachedTo, pendingAt }, puts, deletes);

  const connections = planConnections(state, stored.connections, attempt);
  puts.push(...connections.puts);
  deletes.push(...connections.deletes);
  const work = planWork(state, stored.work, attempt, deletes);
  const { history } = state;
  if (history !== stored.history) puts.push({ key: historyKey(state.id), value: encodeHistory(history) });
  const outbox = planOutbox(state, stored, point, attempt, deletes);
  const value = encodeCore({
    attempt,
    attachedTo,
    deadline,
    pendingAt,
    identity: stored.identity,
    tokens: state.tokens,
    received: point.taken,
    acked: state.delivery.acked,
    detachedAt,
    movedAt: state.movedAt,
    highestOwn: state.mux.highestOwn,
    highestPeer: state.mux.highestPeer,
    segments: outbox.segments,
    tail: outbox.tail,
    work: work.segments,
    spill: connections.next.spill,
  });
  const held = heldBytes(outbox.segments);
  if (stored.version === null || held !== heldBytes(stored.segments)) {
    const key = principalKey(hashOf(state.principal), state.id);
    puts.push({ key, value: encodePrincipalRow({ createdAt: state.createdAt, held }) });
  }
  const staged = [...connections.staged];
  const large = [...outbox.puts, ...work.puts];
  if (outbox.bytes + work.bytes + otherBytes > STAGE_BYTES) staged.push(...large);
  else puts.push(...large);
  const checks = [];
  if (stored.challengeVersion !== undefined) {
    const key = challengeKey(state.challenge);
    checks.push({ key, version: stored.challengeVersion });
    puts.push({ key, value: encodeChallenge(state.id, state.createdAt), expireIn: CHALLENGE_MEMORY_MS });
  }
  const { challengeVersion: _, ...known } = stored;
  return {
    write: {
      core: { key: sessionKey(state.id), version: stored.version, value },
      checks,
      puts,
      deletes,
      staged,
    },
    next: {
      ...known,
      flush: attempt.flush,
      attachedTo,
      deadline,
      pendingAt,
      segments: outbox.segments,
      connections: connections.next,
      work: work.segments,
      history,
    },
    point,
    work: work.stored,
  };
}

/** An ending is one atomic: the core becomes a tombstone. What is too much to delete with it is left to the sweeper. */
function planTombstone(
  state: SessionState,
  stored: StoredSession,
  point: CommitPoint,
  attempt: Attempt,
): PlannedWrite {
  const { reason, detail, at } = state.ended!;
  const provisional = isProvisional(state);
  // A session that was never proven leaves no memory: nobody can ask for it.
  const until = provisional ? at : at + state.settings.resumeWindow;
  const puts: Put[] = [];
  // The challenge's row stays until it expires: the same `start` must not make a second session (handshake.challenge).
  const deletes: StoreKey[] = [];
  for (const segment of stored.segments) deletes.push(...partKeys(state.id, segment));
  for (const segment of stored.work) deletes.push(...workKeys(state.id, segment));
  deletes.push(...connectionKeys(state.id, stored.connections));
  const clean = deletes.length <= ENDING_DELETES;
  if (!clean) deletes.length = 0;
  deletes.push(principalKey(hashOf(state.principal), state.id));
  const deadline = clean ? until : at;
  moveRows(state.id, stored, { deadline, attachedTo: null, pendingAt: null }, puts, deletes);
  const { principal, createdAt, tokens, history } = state;
  const value = encodeTombstone({
    ...{ attempt, reason, detail, at, until, deadline },
    ...{ principal, createdAt, tokens },
  });
  const core = { key: sessionKey(state.id), version: stored.version, value };
  const expireIn = until - at + TOMBSTONE_BACKSTOP_MS;
  if (provisional) deletes.push(historyKey(state.id));
  else puts.push({ key: historyKey(state.id), value: encodeHistory(history), expireIn });
  return {
    write: { core: { ...core, expireIn }, checks: [], puts, deletes, staged: [] },
    next: {
      ...stored,
      flush: attempt.flush,
      attachedTo: null,
      deadline,
      pendingAt: null,
      segments: [],
      connections: NO_CONNECTIONS,
      work: [],
    },
    point,
    work: [],
  };
}

/** What segments hold, as the index of principals tells it: rounded up to whole steps. */
export function heldBytes(segments: readonly Segment[]): number {
  let bytes = 0;
  for (const segment of segments) bytes += segment.bytes;
  return Math.ceil(bytes / HELD_STEP_BYTES) * HELD_STEP_BYTES;
}

/** Keeps the index rows of a session in step with its core. */
function moveRows(
  session: string,
  stored: StoredSession,
  next: Pick<StoredSession, "deadline" | "attachedTo" | "pendingAt">,
  puts: Put[],
  deletes: StoreKey[],
): void {
  if (next.deadline !== stored.deadline) {
    if (stored.deadline !== null) deletes.push(deadlineKey(stored.deadline, session));
    if (next.deadline !== null) puts.push({ key: deadlineKey(next.deadline, session), value: NOTHING });
  }
  if (next.pendingAt !== stored.pendingAt) {
    if (stored.pendingAt !== null) deletes.push(pendingKey(stored.pendingAt, session));
    if (next.pendingAt !== null) puts.push({ key: pendingKey(next.pendingAt, session), value: NOTHING });
  }
  if (next.attachedTo !== stored.attachedTo) {
    if (stored.attachedTo !== null) deletes.push(attachedKey(stored.attachedTo, session));
    if (next.attachedTo !== null) puts.push({ key: attachedKey(next.attachedTo, session), value: NOTHING });
  }
  const [before, after] = [stored.attachedTo ?? stored.pendingAt, next.attachedTo ?? next.pendingAt];
  if (before !== null && after !== null && before !== after) {
    puts.push({ key: movedKey(before, session), value: NOTHING, expireIn: MOVED_BACKSTOP_MS });
  }
}

const NOTHING = new Uint8Array(0);
