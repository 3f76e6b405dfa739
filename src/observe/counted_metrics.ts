/** What happened on this node since its start, as plain numbers: written where it happens, read when somebody looks. */

import { type Reason, REASONS } from "../protocol/reasons.ts";
import type { RuleId } from "../protocol/rules.ts";
import {
  CONDUIT_FAULTS,
  type ConduitClosing,
  type ConnectionRefusal,
  type Metrics,
  OPERATION_WORDS,
  type OperationWord,
  TRANSACTION_RERUNS,
  type TransactionRerun,
  UPSTREAM_REFUSALS,
  type UpstreamRefusal,
} from "./metrics.ts";

/** Upper bounds of the buckets of a commit's time, milliseconds. */
export const COMMIT_MS = [1, 2, 5, 10, 25, 50, 100, 250, 1_000, 5_000] as const;

/** Upper bounds of the buckets of a commit's size, sessions. */
export const COMMIT_SESSIONS = [1, 2, 5, 10, 25, 50, 100, 250, 500] as const;

/** Upper bounds of the buckets of a resume's time to caught-up, milliseconds. */
export const CAUGHT_UP_MS = [5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000] as const;

/** What handshakes are commonly refused for. */
const REFUSALS: readonly Reason[] = [
  "unavailable",
  "draining",
  "rate-limited",
  "too-many-sessions",
  "no-slots",
  "handshake-timeout",
  "unknown-session",
  "stale-token",
  "expired",
  "closed",
  "diverged",
  "settings-changed",
  "challenge-used",
  "malformed",
  "unsupported-version",
  "unauthorized",
];

/** What connections are commonly refused for. */
const CONNECTION_REFUSALS: readonly ConnectionRefusal[] = [
  ...["unknown-service", "forbidden", "too-many-connections", "overloaded", "service-failed"] as const,
  ...["invalid-protocols", ...UPSTREAM_REFUSALS, "other"] as const,
];

/** What sessions commonly end for. */
const ENDINGS: readonly Reason[] = ["closed", "expired", "idle", "ended", "protocol-error", "token-reuse"];

/** Upper bounds of the buckets of a call's time, milliseconds. */
export const CALL_MS = [1, 2, 5, 10, 25, 50, 100, 250, 1_000, 5_000, 30_000] as const;

/** What calls of one method came to. */
export interface CountedCalls {
  readonly service: string;
  readonly method: string;
  /** How many, by outcome. */
  readonly outcomes: CountByName<string>;
  readonly time: Histogram;
}

/** A distribution in buckets. */
export class Histogram {
  readonly bounds: readonly number[];
  /** How many observations lie in each bucket alone; the last is for those above all bounds. */
  readonly counts: number[];
  sum = 0;

  /** @param bounds Upper bounds, ascending and inclusive. */
  constructor(bounds: readonly number[]) {
    this.bounds = bounds;
    this.counts = new Array(bounds.length + 1).fill(0);
  }

  observe(value: number): void {
    this.sum += value;
    let at = 0;
    while (at < this.bounds.length && value > this.bounds[at]!) at++;
    this.counts[at]!++;
  }
}

/** A count for each of a few names; those named beforehand begin at 0, so that a first one is seen as a rise. */
export class CountByName<N extends string> {
  readonly counts = new Map<N, number>();

  constructor(names: readonly N[]) {
    for (const name of names) this.counts.set(name, 0);
  }

  add(name: N): void {
    this.counts.set(name, (this.counts.get(name) ?? 0) + 1);
  }
}

/** A {@link Metrics} that keeps totals. */
export class CountedMetrics implements Metrics {
  framesIn = 0;
  bytesIn = 0;
  framesOut = 0;
  bytesOut = 0;
  messagesIn = 0;
  messagesOut = 0;
  deduplicated = 0;
  acked = 0;
  replayed = 0;
  windowsFull = 0;
  sessionsNew = 0;
  sessionsResumed = 0;
  thefts = 0;
  sweeps = 0;
  sweepsFailed = 0;
  /** How late the last sweep was, milliseconds. */
  sweepLag = 0;
  readonly upgradesRefusedBy = new CountByName<string>(["400", "403", "426", "503"]);
  readonly refusedBy = new CountByName<Reason>(REFUSALS);
  readonly conduitsClosedBy = new CountByName<ConduitClosing>([...REASONS, ...CONDUIT_FAULTS]);
  readonly connectionsRefusedBy = new CountByName<ConnectionRefusal>(CONNECTION_REFUSALS);
  readonly endedBy = new CountByName<Reason>(ENDINGS);
  readonly violatedRules = new CountByName<RuleId>([]);
  readonly transactionReruns = new CountByName<TransactionRerun>(TRANSACTION_RERUNS);
  readonly operations = new CountByName<OperationWord>(OPERATION_WORDS);
  readonly upstreamsRefused = new CountByName<UpstreamRefusal>(UPSTREAM_REFUSALS);
  readonly caughtUpAfter = new Histogram(CAUGHT_UP_MS);
  readonly commitSessions = new Histogram(COMMIT_SESSIONS);
  readonly commitTime = new Histogram(COMMIT_MS);

  /** By service and method: as many as this node's services have, and one for the unknown ones of each. */
  readonly calls = new Map<string, CountedCalls>();

  frameIn(size: number): void {
    this.framesIn++;
    this.bytesIn += size;
  }

  frameOut(size: number): void {
    this.framesOut++;
    this.bytesOut += size;
  }

  moved(taken: number, deduplicated: number, acked: number): void {
    this.messagesIn += taken;
    this.deduplicated += deduplicated;
    this.acked += acked;
  }

  sent(messages: number): void {
    this.messagesOut += messages;
  }

  windowFull(): void {
    this.windowsFull++;
  }

  established(resumed: boolean, replayed: number): void {
    if (resumed) this.sessionsResumed++;
    else this.sessionsNew++;
    this.replayed += replayed;
  }

  caughtUp(after: number): void {
    this.caughtUpAfter.observe(after);
  }

  upgradeRefused(status: number): void {
    this.upgradesRefusedBy.add(String(status));
  }

  refused(reason: Reason): void {
    this.refusedBy.add(reason);
  }

  conduitClosed(why: ConduitClosing): void {
    this.conduitsClosedBy.add(why);
  }

  connectionRefused(reason: ConnectionRefusal): void {
    this.connectionsRefusedBy.add(reason);
  }

  ended(reason: Reason): void {
    this.endedBy.add(reason);
  }

  protocolError(rule: RuleId): void {
    this.violatedRules.add(rule);
  }

  tokenTheftSuspected(): void {
    this.thefts++;
  }

  committed(sessions: number, after: number): void {
    this.commitSessions.observe(sessions);
    this.commitTime.observe(after);
  }

  called(service: string, method: string, outcome: string, after: number): void {
    const key = `${service} ${method}`;
    let counted = this.calls.get(key);
    if (counted === undefined) {
      const outcomes = new CountByName<string>([]);
      this.calls.set(key, counted = { service, method, outcomes, time: new Histogram(CALL_MS) });
    }
    counted.outcomes.add(outcome);
    counted.time.observe(after);
  }

  transactionReran(cause: TransactionRerun): void {
    this.transactionReruns.add(cause);
  }

  operation(outcome: OperationWord): void {
    this.operations.add(outcome);
  }

  upstreamRefused(reason: UpstreamRefusal): void {
    this.upstreamsRefused.add(reason);
  }

  swept(lag: number): void {
    this.sweeps++;
    this.sweepLag = lag;
  }

  sweepFailed(): void {
    this.sweepsFailed++;
  }
}
