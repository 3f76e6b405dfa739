/** How a session's core and its tombstone are encoded, and how they are read back. */

import { pack, unpack } from "../protocol/pack.ts";
import type { Reason } from "../protocol/reasons.ts";
import type { DetachReason, History } from "../session/history.ts";
import type { SessionSettings, SessionState } from "../session/session_model.ts";
import type { TokenState } from "../session/token_state.ts";
import type { Spill } from "./connection_write.ts";
import type { WorkSegment } from "./work_write.ts";

/** Who wrote a core: never the same for two different cores. */
export interface Attempt {
  /** The node's process; new at every start. */
  readonly boot: string;
  /** Raised by each node that takes the session over. */
  readonly epoch: number;
  /** Raised by each commit. */
  readonly flush: number;
}

/** Consecutive messages of the outbox that left the core for values of their own. */
export interface Segment {
  readonly first: number;
  readonly last: number;
  readonly bytes: number;
  /** The commit that wrote it, and into how many values. */
  readonly epoch: number;
  readonly flush: number;
  readonly parts: number;
}

/** A core as it is stored. */
export interface CoreRecord {
  readonly attempt: Attempt;
  /** Under which process the session is listed as attached, and under which deadline it is indexed; null: not. */
  readonly attachedTo: string | null;
  readonly deadline: number | null;
  /** The process under which it is listed as having work; null: not. */
  readonly pendingAt: string | null;
  readonly identity: Uint8Array;
  readonly tokens: TokenState;
  readonly received: number;
  readonly acked: number;
  readonly detachedAt: number | null;
  readonly movedAt: number;
  readonly highestOwn: number;
  readonly highestPeer: number;
  readonly segments: readonly Segment[];
  /** The encoded messages after the last segment. */
  readonly tail: Uint8Array;
  /** What was accepted and is not done; which of it is, its connections say. */
  readonly work: readonly Omit<WorkSegment, "seqs">[];
  /** Where all connections are that have no younger record of their own. */
  readonly spill: Spill | null;
}

/** What is remembered of a session that ended (`end.close`). */
export interface Tombstone {
  readonly attempt: Attempt;
  readonly reason: Reason;
  readonly detail: string;
  readonly at: number;
  /** When it may be forgotten. */
  readonly until: number;
  /** When the sweeper looks at it next: its deadline row. */
  readonly deadline: number;
  readonly principal: string;
  readonly createdAt: number;
  readonly tokens: TokenState;
}

/** What a session key holds. */
export type SessionRecord =
  | { readonly kind: "session"; readonly core: CoreRecord }
  | { readonly kind: "tombstone"; readonly tombstone: Tombstone };

/** The part of a session that never changes. */
export type Identity = Pick<
  SessionState,
  "id" | "principal" | "createdAt" | "challenge" | "provisionalUntil" | "settings"
>;

/** The first field of a record says how the rest is to be read; a change of layout takes a new one. */
const SESSION = 4;
/** Sessions before there was work. */
const SESSION_WITHOUT_WORK = 1;
const TOMBSTONE = 3;

/** Encodes what never changes, once per session in memory. */
export function encodeIdentity(identity: Identity): Uint8Array {
  const { id, principal, createdAt, challenge, provisionalUntil, settings } = identity;
  return pack([id, principal, createdAt, challenge, provisionalUntil, JSON.stringify(settings)]);
}

/** Reads {@link encodeIdentity}. */
export function decodeIdentity(bytes: Uint8Array): Identity {
  const [id, principal, createdAt, challenge, provisionalUntil, settings] = unpack(bytes) as [
    string,
    string,
    number,
    string,
    number,
    string,
  ];
  return {
    id,
    principal,
    createdAt,
    challenge,
    provisionalUntil,
    settings: JSON.parse(settings) as SessionSettings,
  };
}

/** Encodes a core. */
export function encodeCore(core: CoreRecord): Uint8Array {
  const { attempt, tokens } = core;
  const segments: number[] = [];
  for (const s of core.segments) segments.push(s.first, s.last, s.bytes, s.epoch, s.flush, s.parts);
  return pack([
    SESSION,
    attempt.boot,
    attempt.epoch,
    attempt.flush,
    core.attachedTo,
    core.deadline,
    core.identity,
    tokens.current,
    tokens.successors,
    tokens.retired,
    core.received,
    core.acked,
    core.detachedAt,
    core.movedAt,
    core.highestOwn,
    core.highestPeer,
    segments,
    core.tail,
    core.work.flatMap(({ epoch, flush, parts }) => [epoch, flush, parts]),
    core.spill === null ? null : [core.spill.epoch, core.spill.flush, core.spill.parts],
    core.pendingAt,
  ]);
}

/** Encodes a tombstone. */
export function encodeTombstone(tombstone: Tombstone): Uint8Array {
  const { attempt, reason, detail, at, until, deadline, principal, createdAt, tokens } = tombstone;
  return pack([
    TOMBSTONE,
    attempt.boot,
    attempt.epoch,
    attempt.flush,
    reason,
    detail,
    at,
    until,
    deadline,
    principal,
    createdAt,
    tokens.current,
    tokens.successors,
    tokens.retired,
  ]);
}

/**
 * Reads what a session key holds.
 *
 * @throws {Error} If it is of a layout this version does not know: then another version wrote it.
 */
export function decodeRecord(bytes: Uint8Array): SessionRecord {
  const fields = unpack(bytes) as unknown[];
  const [kind, boot, epoch, flush] = fields as [number, string, number, number];
  const attempt: Attempt = { boot, epoch, flush };
  if (kind === TOMBSTONE) {
    const [, , , , reason, detail, at, until, deadline, principal, createdAt, current, successors, retired] =
      fields as [
        ...[number, string, number, number],
        ...[Reason, string, number, number, number, string, number, string | null, string[], string[]],
      ];
    const tokens = { current, successors, retired };
    return {
      kind: "tombstone",
      tombstone: { attempt, reason, detail, at, until, deadline, principal, createdAt, tokens },
    };
  }
  if (kind !== SESSION && kind !== SESSION_WITHOUT_WORK) {
    throw new Error(`a session record has layout ${String(kind)}, which this version cannot read`);
  }
  const f = fields as [
    ...[number, string, number, number],
    ...[string | null, number | null, Uint8Array, string | null, string[], string[]],
    ...[number, number, number | null, number, number, number, number[], Uint8Array],
    ...[number[] | undefined, [number, number, number] | null | undefined, string | null | undefined],
  ];
  const spill = f[19] ?? null;
  return {
    kind: "session",
    core: {
      attempt,
      attachedTo: f[4],
      deadline: f[5],
      identity: f[6],
      tokens: { current: f[7], successors: f[8], retired: f[9] },
      received: f[10],
      acked: f[11],
      detachedAt: f[12],
      movedAt: f[13],
      highestOwn: f[14],
      highestPeer: f[15],
      segments: decodeSegments(f[16]),
      tail: f[17],
      work: decodeWorkSegments(f[18] ?? []),
      spill: spill === null ? null : { epoch: spill[0], flush: spill[1], parts: spill[2] },
      pendingAt: f[20] ?? null,
    },
  };
}

const ATTACHED = 0;
const RESUMED = 1;
const DETACHED = 2;

/** Encodes a session's history. */
export function encodeHistory(history: History): Uint8Array {
  return pack(history.map((entry) => {
    switch (entry.kind) {
      case "attached":
        return [ATTACHED, entry.at, entry.node];
      case "resumed":
        return [RESUMED, entry.at, entry.node, entry.replayed];
      case "detached":
        return [DETACHED, entry.at, entry.reason];
      default:
        return entry satisfies never;
    }
  }));
}

/**
 * Reads {@link encodeHistory}.
 *
 * @throws {Error} If it holds an entry that this version does not know.
 */
export function decodeHistory(bytes: Uint8Array): History {
  const entries = unpack(bytes) as [kind: number, at: number, text: string, replayed: number][];
  return entries.map(([kind, at, text, replayed]) => {
    if (kind === ATTACHED) return { kind: "attached", at, node: text };
    if (kind === RESUMED) return { kind: "resumed", at, node: text, replayed };
    if (kind === DETACHED) return { kind: "detached", at, reason: text as DetachReason };
    throw new Error(`a history holds an entry of kind ${kind}, which this version cannot read`);
  });
}

/** What the index of principals says of one session: when it was made, and roughly what it stores beside its core. */
export interface PrincipalRow {
  readonly createdAt: number;
  /** Bytes, rounded up so coarsely that it seldom changes. */
  readonly held: number;
}

/** Encodes a row of the index of principals. */
export function encodePrincipalRow({ createdAt, held }: PrincipalRow): Uint8Array {
  return pack([createdAt, held]);
}

/** Reads {@link encodePrincipalRow}. */
export function decodePrincipalRow(bytes: Uint8Array): PrincipalRow {
  const [createdAt, held] = unpack(bytes) as [number, number];
  return { createdAt, held };
}

/** Encodes which session a challenge created, and when. */
export function encodeChallenge(session: string, at: number): Uint8Array {
  return pack([session, at]);
}

/** Reads {@link encodeChallenge}. */
export function decodeChallenge(bytes: Uint8Array): { readonly session: string; readonly at: number } {
  const [session, at] = unpack(bytes) as [string, number];
  return { session, at };
}

function decodeSegments(flat: readonly number[]): Segment[] {
  const segments: Segment[] = [];
  for (let i = 0; i + 5 < flat.length; i += 6) {
    const [first, last, bytes, epoch, flush, parts] = flat.slice(i, i + 6) as [
      number,
      number,
      number,
      number,
      number,
      number,
    ];
    segments.push({ first, last, bytes, epoch, flush, parts });
  }
  return segments;
}

function decodeWorkSegments(flat: readonly number[]): Omit<WorkSegment, "seqs">[] {
  const segments: Omit<WorkSegment, "seqs">[] = [];
  for (let i = 0; i + 2 < flat.length; i += 3) {
    segments.push({ epoch: flat[i]!, flush: flat[i + 1]!, parts: flat[i + 2]! });
  }
  return segments;
}
