/** Reads a session back from the store: its core first, then what the core reaches. */

import { type CallWords, decodeConnection, NO_WORDS } from "../connection/connection_record.ts";
import { splitEncoded } from "../protocol/encode.ts";
import { NO_HISTORY } from "../session/history.ts";
import { restoreDelivery } from "../session/delivery_state.ts";
import { newSession, type SessionState, windowsOf, type Work } from "../session/session_model.ts";
import { addWork, bind, heldBy, setHeld } from "../session/work_state.ts";
import {
  decodeKept,
  decodeRecordOf,
  decodeSpill,
  type Spill,
  spillKeys,
  type StoredConnection,
  type StoredConnections,
} from "./connection_write.ts";
import { connectionsOf, historyKey, keptOf, sessionKey } from "./keys.ts";
import {
  type CoreRecord,
  decodeHistory,
  decodeIdentity,
  decodeRecord,
  type Tombstone,
} from "./session_record.ts";
import type { Range, SessionStore, StoredEntry, StoreKey, Version } from "./session_store.ts";
import { join, partKeys } from "./outbox_write.ts";
import type { StoredSession } from "./session_write.ts";
import { decodeWork, workKeys, type WorkSegment } from "./work_write.ts";

/** What the store holds of a session. */
export type Loaded =
  | {
    readonly kind: "session";
    readonly state: SessionState;
    readonly stored: StoredSession;
    readonly owner: string | null;
  }
  | { readonly kind: "tombstone"; readonly tombstone: Tombstone; readonly version: Version }
  | { readonly kind: "unknown" }
  /** A value that the core names is not there: another node committed meanwhile. Read again. */
  | { readonly kind: "moved" };

/** Rows read in one step. */
const BATCH = 500;

/**
 * Loads one session as its owner's memory would hold it: nobody attached, everything safe.
 *
 * Nothing is claimed: whoever goes on with it commits with the version read here, and finds out if somebody else did.
 *
 * @param session An id of the checked form.
 */
export async function loadSession(store: SessionStore, session: string): Promise<Loaded> {
  const [entry, past] = await store.get([sessionKey(session), historyKey(session)]);
  if (entry === null || entry === undefined) return { kind: "unknown" };
  const record = decodeRecord(entry.value);
  if (record.kind === "tombstone") {
    return { kind: "tombstone", tombstone: record.tombstone, version: entry.version };
  }
  const { core } = record;
  const identity = decodeIdentity(core.identity);
  const [pieces, connections, work] = await Promise.all([
    read(store, core.segments.flatMap((segment) => partKeys(session, segment))),
    loadConnections(store, session, core.spill),
    loadWork(store, session, core.work),
  ]);
  if (pieces === null || connections === null || work === null) return { kind: "moved" };
  pieces.push(core.tail);
  const outbox = splitEncoded(joined(pieces));
  const kept = outbox.filter((message) => message.seq > core.acked);
  if (kept.some((message, i) => message.seq !== core.acked + 1 + i)) return { kind: "moved" };

  const state: SessionState = {
    ...newSession(identity),
    tokens: core.tokens,
    delivery: restoreDelivery(windowsOf(identity.settings), {
      received: core.received,
      acked: core.acked,
      retained: kept.map((message) => message.bytes),
    }),
    detachedAt: core.detachedAt,
    movedAt: core.movedAt,
    history: past === null || past === undefined ? NO_HISTORY : decodeHistory(past.value),
  };
  restoreConnections(state, core, connections.found, work.pieces);
  return {
    kind: "session",
    state,
    owner: core.attachedTo,
    stored: {
      version: entry.version,
      epoch: core.attempt.epoch,
      flush: core.attempt.flush,
      attachedTo: core.attachedTo,
      deadline: core.deadline,
      pendingAt: core.pendingAt,
      segments: core.segments,
      connections: connections.stored,
      work: work.segments,
      history: state.history,
      identity: core.identity,
    },
  };
}

/**
 * Reads which services the connections of a session are for, and nothing of its messages; empty for a session that has
 * ended, is unknown, or was committed meanwhile.
 */
export async function loadServices(store: SessionStore, session: string): Promise<ReadonlySet<string>> {
  const [entry] = await store.get([sessionKey(session)]);
  const record = entry === null || entry === undefined ? null : decodeRecord(entry.value);
  const loaded = record?.kind === "session" ? await loadRecords(store, session, record.core.spill) : null;
  const found = [...loaded?.found ?? []];
  return new Set(found.map(([id, { record }]) => decodeConnection(id, record, () => NO_WORDS).service));
}

type Piece = Omit<Work, "bytes" | "stored">;

function restoreConnections(
  state: SessionState,
  core: CoreRecord,
  found: ReadonlyMap<number, StoredConnection>,
  pieces: ReadonlyMap<number, Piece>,
): void {
  const { mux } = state;
  mux.highestOwn = core.highestOwn;
  mux.highestPeer = core.highestPeer;
  const wordsOf = (seq: number): CallWords => pieces.get(seq)?.call ?? NO_WORDS;
  const unfinished: number[] = [];
  for (const [id, { record, kept }] of [...found].sort(([a], [b]) => a - b)) {
    const connection = decodeConnection(id, record, wordsOf);
    connection.kept = kept;
    connection.keptVersion = kept === null ? 0 : 1;
    mux.connections.set(id, connection);
    setHeld(state, id, heldBy(connection));
    if (connection.lostWith !== null) bind(state, id);
    unfinished.push(...connection.held);
    for (const { seq, deadline, early } of connection.calls?.incoming.values() ?? []) {
      if (early !== null) continue;
      unfinished.push(seq);
      if (deadline !== null) state.callDeadline = Math.min(state.callDeadline, deadline);
    }
  }
  // In the order in which it came.
  for (const seq of unfinished.sort((a, b) => a - b)) {
    const piece = pieces.get(seq);
    if (piece !== undefined) addWork(state, seq, piece.connection, piece.body, piece.call, true);
  }
}

async function loadConnections(
  store: SessionStore,
  session: string,
  spill: Spill | null,
): Promise<{ found: Map<number, StoredConnection>; stored: StoredConnections } | null> {
  const [loaded, keptRows] = await Promise.all([
    loadRecords(store, session, spill),
    all(store, keptOf(session)),
  ]);
  if (loaded === null) return null;
  const { found, records } = loaded;
  for (const { key, value } of keptRows) {
    const id = key[2] as number;
    const kept = decodeKept(spill, value);
    const connection = found.get(id);
    if (kept !== undefined && connection !== undefined) found.set(id, { ...connection, kept });
  }
  const kept = new Map<number, number>();
  for (const [id, connection] of found) if (connection.kept !== null) kept.set(id, 1);
  return { found, stored: { records, kept, spill } };
}

/** Connections without what they keep in values of its own; `records`: which have a record of their own. */
async function loadRecords(
  store: SessionStore,
  session: string,
  spill: Spill | null,
): Promise<{ found: Map<number, StoredConnection>; records: Set<number> } | null> {
  const [spilled, rows] = await Promise.all([
    spill === null ? [] : read(store, spillKeys(session, spill)),
    all(store, connectionsOf(session)),
  ]);
  if (spilled === null) return null;
  const found = spill === null ? new Map<number, StoredConnection>() : decodeSpill(joined(spilled));
  const records = new Set<number>();
  for (const { key, value } of rows) {
    const id = key[2] as number;
    const record = decodeRecordOf(spill, value);
    if (record === undefined) continue;
    records.add(id);
    if (record === null) found.delete(id);
    else found.set(id, { record, kept: found.get(id)?.kept ?? null });
  }
  return { found, records };
}

async function loadWork(
  store: SessionStore,
  session: string,
  segments: readonly Omit<WorkSegment, "seqs">[],
): Promise<{ segments: WorkSegment[]; pieces: Map<number, Piece> } | null> {
  const pieces = new Map<number, Piece>();
  const known: WorkSegment[] = [];
  for (const segment of segments) {
    const parts = await read(store, workKeys(session, segment));
    if (parts === null) return null;
    const decoded = decodeWork(joined(parts));
    for (const piece of decoded) pieces.set(piece.seq, piece);
    known.push({ ...segment, seqs: decoded.map(({ seq }) => seq) });
  }
  return { segments: known, pieces };
}

/** The values of some keys; null if one is not there. */
async function read(store: SessionStore, keys: readonly StoreKey[]): Promise<Uint8Array[] | null> {
  if (keys.length === 0) return [];
  const values: Uint8Array[] = [];
  for (const entry of await store.get(keys)) {
    if (entry === null) return null;
    values.push(entry.value);
  }
  return values;
}

async function all(store: SessionStore, range: Range): Promise<StoredEntry[]> {
  const found: StoredEntry[] = [];
  for (let start: StoreKey | null = null;;) {
    const rows = await store.list(start === null ? range : { ...range, start }, { limit: BATCH });
    found.push(...rows);
    if (rows.length < BATCH) return found;
    const [kind, session, id] = rows.at(-1)!.key as [string, string, number];
    start = [kind, session, id + 1];
  }
}

function joined(pieces: readonly Uint8Array[]): Uint8Array {
  return join(pieces, pieces.reduce((sum, piece) => sum + piece.length, 0));
}
