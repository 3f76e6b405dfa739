/** What a session's queue of transactions keeps of each, and how it is told to its caller. */

import { encodeFailure } from "../protocol/rpc_error.ts";
import type { EncodedBody } from "../protocol/messages.ts";
import type { CallFailure, Transaction } from "../service/service.ts";
import type { Put } from "../storage/session_store.ts";
import type { Operation, Outcome } from "./operation_record.ts";
import type { TransactionRun } from "./transaction_run.ts";
import type { Decision } from "./transaction_state.ts";

/** A transaction that somebody wants. */
export interface Job {
  readonly connection: number;
  readonly request: number | null;
  readonly seq: number | null;
  readonly service: string;
  readonly operation: Operation | null;
  readonly run: (tx: Transaction) => Promise<EncodedBody | CallFailure | null>;
  /** Nobody wants it any more. */
  readonly over: () => boolean;
  readonly done: (decided: Decision) => void;
  readonly report: (error: unknown) => void;
  /** How often it was overtaken: here, and by another node. */
  overtaken: number;
  refuted: number;
  alone: boolean;
}

/** One that is decided and not committed. */
export interface Ripe {
  readonly job: Job;
  readonly run: TransactionRun;
  readonly decided: Decision;
  readonly puts: readonly Put[];
  /** What its function threw, in a list; it may have been misled by what another node had overwritten. */
  readonly thrown: readonly unknown[];
}

/** What a decided transaction writes, bytes. */
export function weightOf({ run, puts }: Ripe): number {
  let bytes = 0;
  for (const value of run.writes.values()) bytes += value?.length ?? 0;
  for (const { value } of puts) bytes += value.length;
  return bytes;
}

/** A job that was not run yet. */
export const FRESH = { overtaken: 0, refuted: 0, alone: false };

/** A failure as an outcome. */
export function failed(failure: CallFailure): Outcome {
  return { ok: false, body: encodeFailure(failure), reason: failure.code };
}

/** A message was handled. */
export const DONE: Outcome = { ok: true, body: new Uint8Array(0), reason: "" };
/** What is told of an error. */
export const THREW: CallFailure = { code: "internal", message: "the service failed" };
/** What is told when others write the same data all the time. */
export const OVERTAKEN: CallFailure = {
  code: "unavailable",
  message: "others write the same data all the time",
};
