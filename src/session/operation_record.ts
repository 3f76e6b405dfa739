/** What the store remembers of an operation (`call.operation`): who runs it, or what came of it. */

import { ANONYMOUS } from "../access/authenticator.ts";
import type { OperationWord } from "../observe/metrics.ts";
import { type BodyValue, decodeBody, encodeBody } from "../protocol/body.ts";
import type { EncodedBody } from "../protocol/messages.ts";
import { pack, unpack } from "../protocol/pack.ts";
import { encodeFailure } from "../protocol/rpc_error.ts";
import type { DataCache, DataEntry } from "../storage/data_cache.ts";
import { operationKey, outcomeKey } from "../storage/keys.ts";
import type { Put, SessionStore } from "../storage/session_store.ts";
import { hashOf, hashOfBytes } from "../system/hash.ts";
import type { TransactionRun } from "./transaction_run.ts";

/** How long an outcome is kept, milliseconds. */
export const OPERATION_TTL_MS = 24 * 3_600_000;

/** After this the store may drop a record: of an outcome that has long expired, or of a process that is long lost. */
export const RECORD_BACKSTOP_MS = 30 * OPERATION_TTL_MS;
/** Outcomes up to this size are part of their record; larger ones have values of their own, bytes. */
const INLINE_BYTES = 48 * 1024;
const PART_BYTES = 60 * 1024;
/** The largest answer of a call with an operation key, bytes. */
export const OUTCOME_BYTES = 256 * 1024;

/** An answer as it is kept. */
export interface Outcome {
  readonly ok: boolean;
  readonly body: EncodedBody;
  readonly reason: string;
}

/** What a record says. */
export type OperationRecord =
  & {
    readonly fingerprint: string;
    /** When it is as if it had never been; milliseconds since the Unix epoch. */
    readonly expiresAt: number;
  }
  & (
    /** A node's process runs it. */
    | { readonly state: "running"; readonly boot: string }
    | {
      readonly state: "finished";
      readonly ok: boolean;
      readonly reason: string;
      /** The body, or how many values hold it, and the stamp that their keys have. */
      readonly body: EncodedBody | null;
      readonly parts: number;
      readonly stamp: string;
    }
    /** Its process was lost: it may have had effects, or not. */
    | { readonly state: "indeterminate" }
  );

/** Encodes a record. `stamp`: never the same for two records of one key. */
export function encodeOperation(record: OperationRecord, stamp: string): Uint8Array {
  const { state, fingerprint, expiresAt } = record;
  const head = [1, stamp, state, fingerprint, expiresAt] as const;
  switch (record.state) {
    case "running":
      return pack([...head, record.boot]);
    case "finished":
      return pack([...head, record.ok, record.reason, record.body, record.parts, record.stamp]);
    case "indeterminate":
      return pack([...head]);
    default:
      return record satisfies never;
  }
}

/** Reads {@link encodeOperation}. */
export function decodeOperation(bytes: Uint8Array): OperationRecord {
  const [layout, , state, fingerprint, expiresAt, ...rest] = unpack(bytes) as [
    ...[number, string, OperationRecord["state"], string, number],
    ...unknown[],
  ];
  if (layout !== 1) throw new Error(`an operation has layout ${layout}, which this version cannot read`);
  if (state === "indeterminate") return { state, fingerprint, expiresAt };
  if (state === "running") return { state, fingerprint, expiresAt, boot: rest[0] as string };
  const [ok, reason, body, parts, stamp] = rest as [boolean, string, EncodedBody | null, number, string];
  return { state, fingerprint, expiresAt, ok, reason, body, parts, stamp };
}

/** One operation: whose, of which method, under which key, with which argument. */
export interface Operation {
  /** base64url of SHA-256 over principal, service, method and key. */
  readonly hash: string;
  /** base64url of SHA-256 over the argument as a value, keys sorted. */
  readonly fingerprint: string;
  /** Names the attempt; never used again. */
  readonly stamp: string;
  /** Where a transaction finds it. */
  entry(cache: DataCache): DataEntry;
  /** What it came to before, for a transaction; null: it has not run. */
  look(cache: DataCache, run: TransactionRun, now: number): Promise<Outcome | null>;
}

/** What an operation is told from others by. */
export interface OperationWords {
  /** {@link ownerOf}. */
  readonly owner: string;
  readonly service: string;
  readonly method: string;
  readonly key: string;
}

/** Whose operation keys a session uses: its principal's, or its own where nobody is authenticated. */
export function ownerOf(principal: string, session: string): string {
  return principal === ANONYMOUS ? `session ${session}` : `principal ${principal}`;
}

/** {@link Operation.hash}. */
export function operationHash({ owner, service, method, key }: OperationWords): string {
  return hashOf(owner, service, method, key);
}

/** How a call with an operation key was answered, in the words of the count. @param ran It was run for this call. */
export function wordOf(ran: boolean, { reason }: Pick<Outcome, "reason">): OperationWord {
  if (ran) return "ran";
  return reason === "conflict" || reason === "indeterminate" ? reason : "repeated";
}

/** Builds an {@link Operation}. */
export function newOperation(words: OperationWords, body: EncodedBody, stamp: string): Operation {
  const hash = operationHash(words);
  const fingerprint = fingerprintOf(body);
  const entry = (cache: DataCache) =>
    cache.entryAt(operationKey(hash), `operation ${hash}`, RECORD_BACKSTOP_MS);
  return {
    ...{ hash, fingerprint, stamp, entry },
    async look(cache, run, now) {
      const bytes = await run.read(entry(cache), Infinity);
      const record = bytes === null ? null : decodeOperation(bytes);
      if (record === null || record.expiresAt <= now) return null;
      return await outcomeOf(cache, hash, fingerprint, record) ?? INDETERMINATE;
    },
  };
}

/** What a caller with this argument is told of a record; null: nobody knows yet, it is running. */
export async function outcomeOf(
  store: Pick<SessionStore, "get">,
  hash: string,
  fingerprint: string,
  record: OperationRecord,
): Promise<Outcome | null> {
  if (record.fingerprint !== fingerprint) return CONFLICT;
  if (record.state === "running") return null;
  if (record.state === "indeterminate") return INDETERMINATE;
  const { ok, reason, parts, stamp } = record;
  if (record.body !== null) return { ok, reason, body: record.body };
  const keys = Array.from({ length: parts }, (_, part) => outcomeKey(hash, stamp, part));
  const values = await store.get(keys);
  // What the store dropped a moment before its time is as good as expired.
  if (values.some((value) => value === null)) return INDETERMINATE;
  const body = new Uint8Array(await new Blob(values.map((value) => value!.value.slice())).arrayBuffer());
  return { ok, reason, body };
}

/** How an outcome is kept: its record, and further values; or why it cannot be. */
export function operationOutcome(
  { hash, fingerprint, stamp }: Operation,
  outcome: Outcome,
  now: number,
): { readonly record: Uint8Array | null; readonly puts: readonly Put[]; readonly failure: EncodedBody } {
  const { ok, reason, body } = outcome;
  const expiresAt = now + OPERATION_TTL_MS;
  if (body.length > OUTCOME_BYTES) {
    const message = `an answer of ${body.length} bytes; with an operation key it may have ${OUTCOME_BYTES}`;
    return { record: null, puts: [], failure: encodeFailure({ code: "resource-exhausted", message }) };
  }
  const finished = { state: "finished", fingerprint, expiresAt, ok, reason, stamp } as const;
  if (body.length <= INLINE_BYTES) {
    return { record: encodeOperation({ ...finished, body, parts: 0 }, stamp), puts: [], failure: NOTHING };
  }
  const puts: Put[] = [];
  for (let at = 0; at < body.length; at += PART_BYTES) {
    const value = body.subarray(at, at + PART_BYTES);
    puts.push({ key: outcomeKey(hash, stamp, puts.length), value, expireIn: 2 * OPERATION_TTL_MS });
  }
  const record = encodeOperation({ ...finished, body: null, parts: puts.length }, stamp);
  return { record, puts, failure: NOTHING };
}

/** The argument as a value, whatever its encoding was: keys sorted, integers in one form. */
function fingerprintOf(body: EncodedBody): string {
  return hashOfBytes(encodeBody(sorted(decodeBody(body))));
}

function sorted(value: BodyValue): BodyValue {
  if (typeof value !== "object" || value === null || value instanceof Uint8Array) return value;
  if (isList(value)) return value.map(sorted);
  const entries = Object.entries(value).sort(([a], [b]) => a < b ? -1 : 1);
  return Object.fromEntries(entries.map(([key, each]) => [key, sorted(each)]));
}

function isList(value: object): value is readonly BodyValue[] {
  return Array.isArray(value);
}

const CONFLICT: Outcome = {
  ok: false,
  reason: "conflict",
  body: encodeFailure({ code: "conflict", message: "the operation key was used with another argument" }),
};

/** What is told where nobody can know. */
export const INDETERMINATE: Outcome = {
  ok: false,
  reason: "indeterminate",
  body: encodeFailure({
    code: "indeterminate",
    message: "its node was lost; it may have had effects, or not",
  }),
};

const NOTHING = new Uint8Array(0);
