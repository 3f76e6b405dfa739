/** Reads a session back from the store: its core first, then what the core reaches. */

import { splitEncoded } from "../protocol/encode.ts";
import { NO_HISTORY } from "../session/history.ts";
import { restoreDelivery } from "../session/delivery_state.ts";
import { newSession, type SessionState, windowsOf } from "../session/session_model.ts";
import { connectionsOf, historyKey, sessionKey } from "./keys.ts";
import {
  decodeConnection,
  decodeHistory,
  decodeIdentity,
  decodeRecord,
  type Tombstone,
} from "./session_record.ts";
import type { SessionStore, Version } from "./session_store.ts";
import { join, partKeys, type StoredSession } from "./session_write.ts";

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
  const [parts, connections] = await Promise.all([
    store.get(core.segments.flatMap((segment) => partKeys(session, segment))),
    store.list(connectionsOf(session), { limit: identity.settings.limits.connections + 1 }),
  ]);
  const pieces: Uint8Array[] = [];
  for (const part of parts) {
    if (part === null) return { kind: "moved" };
    pieces.push(part.value);
  }
  pieces.push(core.tail);
  const outbox = splitEncoded(join(pieces, pieces.reduce((sum, piece) => sum + piece.length, 0)));
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
  state.mux.highestOwn = core.highestOwn;
  state.mux.highestPeer = core.highestPeer;
  for (const { key, value } of connections) {
    const id = key[2] as number;
    state.mux.connections.set(id, decodeConnection(id, value));
  }
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
      segments: core.segments,
      connections: new Set(state.mux.connections.keys()),
      history: state.history,
      identity: core.identity,
    },
  };
}
