/**
 * Counting as a port: one method per thing that happens, none of them with an id.
 *
 * What can be read off the registry when somebody looks (sessions, conduits, what waits) is no event and is not here: a
 * gauge kept beside what it describes drifts.
 */

import { CONNECTION_REASONS, type ConnectionReason, type Reason } from "../protocol/reasons.ts";
import { isRpcCode, type RpcCode } from "../protocol/rpc_codes.ts";
import type { RuleId } from "../protocol/rules.ts";

/** Why a transaction runs again. */
export const TRANSACTION_RERUNS = ["overtaken", "refuted"] as const;
/** One of {@link TRANSACTION_RERUNS}. */
export type TransactionRerun = typeof TRANSACTION_RERUNS[number];

/**
 * How calls with an operation key are answered: it ran; its outcome was known, or is waited for with another call's; and the
 * failures that say why it did not run.
 */
export const OPERATION_WORDS = [
  ...["ran", "repeated", "joined"] as const,
  ...["conflict", "in-progress", "indeterminate", "unavailable"] as const,
] as const;
/** One of {@link OPERATION_WORDS}. */
export type OperationWord = typeof OPERATION_WORDS[number];

/** Why an upstream or a remote could not be had. */
export const UPSTREAM_REFUSALS = ["upstream-refused", "upstream-timeout", "remote-timeout"] as const;
/** One of {@link UPSTREAM_REFUSALS}. */
export type UpstreamRefusal = typeof UPSTREAM_REFUSALS[number];

/** What a connection is refused for; `other` is a word of a service's own. */
export type ConnectionRefusal = ConnectionReason | RpcCode | "other";

const REFUSING: ReadonlySet<string> = new Set(CONNECTION_REASONS);

/** The label for a reason that a client is told: services have any words, which no label may hold. */
export function connectionRefusal(reason: string): ConnectionRefusal {
  if (REFUSING.has(reason)) return reason as ConnectionReason;
  return isRpcCode(reason) ? reason : "other";
}

/**
 * Why this side closed a conduit for none of the protocol's reasons: a frame was given up that the peer did not end, what came
 * is no frame, and a failure of this side's own.
 */
export const CONDUIT_FAULTS = ["unfinished-frame", "malformed-frame", "internal"] as const;
/** Why this side closed a conduit. */
export type ConduitClosing = Reason | typeof CONDUIT_FAULTS[number];

/**
 * Told what happens.
 *
 * Obligations: no method throws, and those called for each frame or turn (`frameIn`, `frameOut`, `moved`, `sent`)
 * neither allocate nor hash. Times are milliseconds.
 */
export interface Metrics {
  /** A frame arrived. @param size Its bytes; for JSON its characters. */
  frameIn(size: number): void;
  /** A frame was sent. @param size As for {@link frameIn}. */
  frameOut(size: number): void;
  /** What the frames of one turn moved: session messages taken, dropped as known, and own ones acked. */
  moved(taken: number, deduplicated: number, acked: number): void;
  /** Session messages went onto a conduit, the first time or again. */
  sent(messages: number): void;
  /** Messages that may leave found the peer's window full. */
  windowFull(): void;
  /** A conduit was attached. @param replayed How many messages its client lacked. */
  established(resumed: boolean, replayed: number): void;
  /** A resumed client has all that it lacked. @param after Since its `start`. */
  caughtUp(after: number): void;
  /** A request at the route of conduits was refused before it became one. @param status The HTTP status. */
  upgradeRefused(status: number): void;
  /** A handshake was refused. */
  refused(reason: Reason): void;
  /** This side closed a conduit, or dropped its line. Called once for each, and not for one that the peer closed first. */
  conduitClosed(why: ConduitClosing): void;
  /** A client's connection was rejected, or ended because messages pile up on it. */
  connectionRefused(reason: ConnectionRefusal): void;
  /** A session ended, and that is committed. */
  ended(reason: Reason): void;
  /** A peer broke a rule. */
  protocolError(rule: RuleId): void;
  /** A token was presented that had been replaced (`resume.rotate`). */
  tokenTheftSuspected(): void;
  /** The store answered a commit. @param sessions How many sessions' writes it held. @param after Since it was first sent. */
  committed(sessions: number, after: number): void;
  /**
   * A call of a client's is over.
   *
   * @param method One that the service has, or `unknown`. @param outcome `ok`, a code of a failure, or why nobody waits for it.
   */
  called(service: string, method: string, outcome: string, after: number): void;
  /** A transaction runs again. @param cause It saw what another one here changed, or its commit what another node did. */
  transactionReran(cause: TransactionRerun): void;
  /** A call with an operation key was answered, or waits with others (`call.operation`). */
  operation(outcome: OperationWord): void;
  /** An upstream or a remote could not be had. */
  upstreamRefused(reason: UpstreamRefusal): void;
  /** A sweep is done. @param lag How late the oldest ending was that it found; 0 if none was due. */
  swept(lag: number): void;
  /** A sweep failed; the next one tries again. */
  sweepFailed(): void;
}

/** Counts nothing. */
export const NO_METRICS: Metrics = {
  frameIn() {},
  frameOut() {},
  moved() {},
  sent() {},
  windowFull() {},
  established() {},
  caughtUp() {},
  upgradeRefused() {},
  refused() {},
  conduitClosed() {},
  connectionRefused() {},
  ended() {},
  protocolError() {},
  tokenTheftSuspected() {},
  committed() {},
  called() {},
  transactionReran() {},
  operation() {},
  upstreamRefused() {},
  swept() {},
  sweepFailed() {},
};
