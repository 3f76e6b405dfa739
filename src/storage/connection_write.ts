/**
 * How connections are stored: each in a record of its own, and what it keeps beside it. Where a commit changes so many that
 * an atomic would not hold them, all of the session's connections are **spilled** into chunks that are written ahead; from
 * then on a record counts only if it is younger than they are.
 */

import type { ConnectionState } from "../connection/mux_model.ts";
import { encodeConnection } from "../connection/connection_record.ts";
import type { EncodedBody } from "../protocol/messages.ts";
import { pack, type Packable, unpack } from "../protocol/pack.ts";
import type { SessionState } from "../session/session_model.ts";
import { chunkKey, connectionKey, keptKey } from "./keys.ts";
import type { Attempt } from "./session_record.ts";
import type { Put, StoreKey } from "./session_store.ts";

/** Beyond this many puts and deletes, or bytes, a commit's changes are spilled. */
const MOST_VALUES = 520;
const MOST_BYTES = 150 * 1024;
const PART_BYTES = 60 * 1024;

/** The chunks that hold all connections as of one commit. */
export interface Spill {
  readonly epoch: number;
  readonly flush: number;
  readonly parts: number;
}

/** What the store holds of a session's connections. */
export interface StoredConnections {
  /** Those that have a record of their own, be it one that says that they are gone. */
  readonly records: ReadonlySet<number>;
  /** Those that have what they keep in a value of its own, and which version of it. */
  readonly kept: ReadonlyMap<number, number>;
  readonly spill: Spill | null;
}

/** Nothing yet. */
export const NO_CONNECTIONS: StoredConnections = { records: new Set(), kept: new Map(), spill: null };

/** What a commit writes of connections. */
export interface PlannedConnections {
  readonly puts: readonly Put[];
  readonly deletes: readonly StoreKey[];
  /** Written ahead. */
  readonly staged: readonly Put[];
  readonly next: StoredConnections;
}

/** Plans the records of the connections that changed. */
export function planConnections(
  state: SessionState,
  stored: StoredConnections,
  attempt: Attempt,
): PlannedConnections {
  if (state.changedConnections.size === 0) return { puts: [], deletes: [], staged: [], next: stored };
  // Copied only if they become others: most commits change no more than what connections are.
  let records = stored.records;
  let kept = stored.kept;
  const ownRecords = () => records === stored.records ? records = new Set(records) : records as Set<number>;
  const ownKept = () => kept === stored.kept ? kept = new Map(kept) : kept as Map<number, number>;
  const puts: Put[] = [];
  const deletes: StoreKey[] = [];
  let bytes = 0;
  for (const id of state.changedConnections) {
    const connection = state.mux.connections.get(id);
    const key = connectionKey(state.id, id);
    if (connection !== undefined) {
      const value = record(stored.spill, attempt.flush, encodeConnection(connection));
      puts.push({ key, value });
      bytes += value.length;
      if (!records.has(id)) ownRecords().add(id);
      if (connection.kept !== null && kept.get(id) !== connection.keptVersion) {
        puts.push({ key: keptKey(state.id, id), value: pack([attempt.flush, connection.kept]) });
        bytes += connection.kept.length;
        ownKept().set(id, connection.keptVersion);
      }
      continue;
    }
    // A spilled one would come back without a word that it is gone.
    if (stored.spill !== null) {
      puts.push({ key, value: record(stored.spill, attempt.flush, null) });
      ownRecords().add(id);
    } else if (records.has(id)) {
      ownRecords().delete(id);
      deletes.push(key);
    }
    if (kept.has(id) && ownKept().delete(id)) deletes.push(keptKey(state.id, id));
  }
  if (puts.length + deletes.length > MOST_VALUES || bytes > MOST_BYTES) return spill(state, stored, attempt);
  return { puts, deletes, staged: [], next: { records, kept, spill: stored.spill } };
}

/** The keys of everything that is stored of connections. */
export function connectionKeys(session: string, { records, kept, spill }: StoredConnections): StoreKey[] {
  return [
    ...[...records].map((id) => connectionKey(session, id)),
    ...[...kept.keys()].map((id) => keptKey(session, id)),
    ...spill === null ? [] : spillKeys(session, spill),
  ];
}

/** The keys that hold spilled connections, in order. */
export function spillKeys(session: string, { epoch, flush, parts }: Spill): StoreKey[] {
  return Array.from({ length: parts }, (_, part) => chunkKey(session, epoch, flush, part));
}

/** A connection as it is stored: its record, and what it keeps. */
export interface StoredConnection {
  readonly record: Uint8Array;
  readonly kept: EncodedBody | null;
}

/** Reads what was spilled. */
export function decodeSpill(bytes: Uint8Array): Map<number, StoredConnection> {
  const entries = unpack(bytes) as [id: number, record: Uint8Array, kept: EncodedBody | null][];
  return new Map(entries.map(([id, record, kept]) => [id, { record, kept }]));
}

/** Reads a record: null: the connection is gone; undefined: the record is older than what was spilled. */
export function decodeRecordOf(spill: Spill | null, value: Uint8Array): Uint8Array | null | undefined {
  const fields = unpack(value) as unknown[];
  // A record from before any spill begins with the name of its service.
  if (typeof fields[0] === "string") return spill === null ? value : undefined;
  const [flush, record] = fields as [number, Uint8Array | null];
  return spill !== null && flush <= spill.flush ? undefined : record;
}

/** Reads what a connection keeps; undefined: it is older than what was spilled. */
export function decodeKept(spill: Spill | null, value: Uint8Array): EncodedBody | undefined {
  const [flush, kept] = unpack(value) as [number, EncodedBody];
  return spill !== null && flush <= spill.flush ? undefined : kept;
}

function spill(
  state: SessionState,
  stored: StoredConnections,
  { epoch, flush }: Attempt,
): PlannedConnections {
  const entries = [...state.mux.connections.values()].map((connection: ConnectionState): Packable => [
    connection.id,
    encodeConnection(connection),
    connection.kept,
  ]);
  const bytes = pack(entries);
  const staged: Put[] = [];
  for (let at = 0; at < bytes.length; at += PART_BYTES) {
    const value = bytes.subarray(at, at + PART_BYTES);
    staged.push({ key: chunkKey(state.id, epoch, flush, staged.length), value });
  }
  // What is left of old records counts no more; the sweeper finds it when the session has ended.
  const old = connectionKeys(state.id, stored);
  return {
    puts: [],
    deletes: old.slice(0, MOST_VALUES),
    staged,
    next: {
      records: new Set(),
      kept: new Map(
        [...state.mux.connections.values()].flatMap(({ id, kept, keptVersion }) =>
          kept === null ? [] : [[id, keptVersion]]
        ),
      ),
      spill: { epoch, flush, parts: staged.length },
    },
  };
}

function record(spilled: Spill | null, flush: number, encoded: Uint8Array | null): Uint8Array {
  return spilled === null && encoded !== null ? encoded : pack([flush, encoded]);
}
