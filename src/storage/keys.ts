/** The key layout: which key holds what. Strings from outside enter only as hashes or as ids of a checked form. */

import type { Range, StoreKey } from "./session_store.ts";

/** The core of a session, or its tombstone. What it does not reach does not exist. */
export const sessionKey = (session: string): StoreKey => ["session", session];

export const allSessions: Range = { prefix: ["session"] };

/** What happened to a session's attachment, written when something did. */
export const historyKey = (session: string): StoreKey => ["history", session];

/** One connection of a session. */
export const connectionKey = (
  session: string,
  connection: number,
): StoreKey => ["connection", session, connection];
export const connectionsOf = (session: string): Range => ({ prefix: ["connection", session] });

/**
 * One value of an outbox segment. The commit that wrote it is part of the key, so a stale owner that stages one can
 * never overwrite another's.
 */
export const outboxKey = (session: string, epoch: number, flush: number, part: number): StoreKey => [
  "outbox",
  session,
  epoch,
  flush,
  part,
];
export const outboxOf = (session: string): Range => ({ prefix: ["outbox", session] });

/** One value of what a session has accepted and not done; the commit that wrote it is part of the key, as for segments. */
export const workKey = (session: string, epoch: number, flush: number, part: number): StoreKey => [
  "work",
  session,
  epoch,
  flush,
  part,
];
export const workOf = (session: string): Range => ({ prefix: ["work", session] });

/** One value of a large change of a session's connections, which its core names. */
export const chunkKey = (session: string, epoch: number, flush: number, part: number): StoreKey => [
  "chunk",
  session,
  epoch,
  flush,
  part,
];
export const chunksOf = (session: string): Range => ({ prefix: ["chunk", session] });

/** What a connection keeps. */
export const keptKey = (session: string, connection: number): StoreKey => ["kept", session, connection];
export const keptOf = (session: string): Range => ({ prefix: ["kept", session] });

/** The sessions of a node's process that have work: who finds the process lost, finishes it. */
export const pendingKey = (boot: string, session: string): StoreKey => ["pending", boot, session];
export const allPending: Range = { prefix: ["pending"] };
export const pendingOf = (boot: string): Range => ({ prefix: ["pending", boot] });

/** A datum of a service; its key enters hashed. */
export const dataKey = (service: string, hash: string): StoreKey => ["data", service, hash];

/** What makes the transactions of an ephemeral session commits of their own. */
export const transactionKey = (name: string): StoreKey => ["transaction", name];

/** An operation (`call.operation`), by the hash of principal, service, method and key. */
export const operationKey = (hash: string): StoreKey => ["operation", hash];
/** One value of an operation's outcome that is too large for its record. */
export const outcomeKey = (hash: string, stamp: string, part: number): StoreKey => [
  "outcome",
  hash,
  stamp,
  part,
];

/** Which session a challenge created (`handshake.challenge`). */
export const challengeKey = (challengeHash: string): StoreKey => ["challenge", challengeHash];

/** The sweeper's index: a lower bound of when a session must be looked at. */
export const deadlineKey = (at: number, session: string): StoreKey => ["deadline", at, session];
/** Deadlines that are due: those before `now`. */
export const deadlinesUntil = (now: number): Range => ({ prefix: ["deadline"], end: ["deadline", now] });

/** The sessions that are attached to a node's process. */
export const attachedKey = (boot: string, session: string): StoreKey => ["attached", boot, session];
export const allAttached: Range = { prefix: ["attached"] };
export const attachedTo = (boot: string): Range => ({ prefix: ["attached", boot] });

/** A session that another node took from this one: it is told, since it might not write for a long time. */
export const movedKey = (boot: string, session: string): StoreKey => ["moved", boot, session];
export const movedFrom = (boot: string): Range => ({ prefix: ["moved", boot] });

/** A session of a principal, who enters only hashed. */
export const principalKey = (principalHash: string, session: string): StoreKey => [
  "principal",
  principalHash,
  session,
];
export const principalOf = (principalHash: string): Range => ({ prefix: ["principal", principalHash] });

/** A principal that may not come in. */
export const blockedKey = (principalHash: string): StoreKey => ["blocked", principalHash];

/** What a push with an idempotency key did; the key enters hashed. */
export const receiptKey = (session: string, keyHash: string): StoreKey => ["push", session, keyHash];

/** One value of an errand: what an operator wants of a session that is attached to another node. */
export const errandKey = (boot: string, errand: string, part: number): StoreKey => [
  "errand",
  boot,
  errand,
  part,
];
export const errandsFor = (boot: string): Range => ({ prefix: ["errand", boot] });

/** What came of an errand. */
export const answerKey = (errand: string): StoreKey => ["answer", errand];

/** A node's process in the directory. */
export const nodeKey = (boot: string): StoreKey => ["node", boot];
export const allNodes: Range = { prefix: ["node"] };

const ID = /^[A-Za-z0-9_-]{22}$/;

/** True for the form of a session id; anything else never becomes a key. */
export function isSessionId(text: string): boolean {
  return ID.test(text);
}
