/** A session machine and its records in a store, without a runner between them. */

import assert from "node:assert/strict";
import { DEFAULT_LIMITS } from "../../src/protocol/limits.ts";
import type { SessionPayload } from "../../src/protocol/messages.ts";
import { enqueue, secure, transmit } from "../../src/session/delivery_state.ts";
import { newSession, NONE_CHANGED, type SessionState } from "../../src/session/session_model.ts";
import { commitPoint } from "../../src/session/session_state.ts";
import { atomicOf, weightOf } from "../../src/storage/commit_assembly.ts";
import { loadSession } from "../../src/storage/session_load.ts";
import { encodeIdentity } from "../../src/storage/session_record.ts";
import type { SessionStore } from "../../src/storage/session_store.ts";
import {
  newStoredSession,
  type PlannedWrite,
  planWrite,
  type StoredSession,
} from "../../src/storage/session_write.ts";

/** A session of the right form with the default settings. */
export function aSession(
  settings: Partial<SessionState["settings"]> = {},
  createdAt = 1_000_000,
): SessionState {
  return newSession({
    id: "Abcdefghijklmnopqrstu-",
    principal: "",
    createdAt,
    challenge: "c".repeat(43),
    provisionalUntil: createdAt + 60_000,
    settings: {
      durability: "durable",
      limits: DEFAULT_LIMITS,
      clientWindow: { messages: 100_000, bytes: 64 * 1024 * 1024 },
      resumeWindow: 3_600_000,
      idleTimeout: null,
      keepalive: { interval: 25_000, timeout: 10_000 },
      ...settings,
    },
  });
}

/** Commits a session as its runner does, and reads it back. */
export class StoredMachine {
  readonly store: SessionStore;
  state: SessionState;
  stored: StoredSession;

  constructor(store: SessionStore, state: SessionState) {
    this.store = store;
    this.state = state;
    this.stored = newStoredSession(encodeIdentity(state), null);
  }

  /** Numbers messages and transmits what may go. */
  produce(payloads: readonly SessionPayload[]): void {
    for (const payload of payloads) enqueue(this.state.delivery, payload);
    this.state.changes++;
  }

  /** Commits all that is; fails if it is more than one atomic takes. */
  async commit(now = this.state.createdAt + 1): Promise<PlannedWrite> {
    const { state, store } = this;
    const planned = planWrite(state, this.stored, commitPoint(state), "boot", now);
    state.changedConnections = NONE_CHANGED;
    weightOf(planned.write, store.limits);
    for (const put of planned.write.staged) {
      assert.ok((await store.atomic({ checks: [], puts: [put], deletes: [] })).ok);
    }
    const result = await store.atomic(atomicOf([planned]));
    assert.ok(result.ok);
    this.stored = { ...planned.next, version: result.version };
    state.committedChanges = planned.point.changes;
    secure(state.delivery, planned.point, now);
    transmit(state.delivery);
    return planned;
  }

  /** What another node would make of it. */
  async load(): Promise<SessionState> {
    const loaded = await loadSession(this.store, this.state.id);
    assert.ok(loaded.kind === "session", loaded.kind);
    const { challengeVersion: _, connections, ...stored } = this.stored;
    // Versions of what is kept count from 1 again in a new memory.
    const kept = new Map([...connections.kept].map(([id]) => [id, 1]));
    assert.deepEqual(loaded.stored, { ...stored, connections: { ...connections, kept } });
    return loaded.state;
  }
}
