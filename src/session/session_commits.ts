/** The commits of one session: what the next one holds, and what follows when it is known what became of it. */

import type { CommitOutcome, CommitSource, SessionWrite } from "../storage/committer.ts";
import type { Put, StoreLimits } from "../storage/session_store.ts";
import { heldBytes, type PlannedWrite, planWrite, type StoredSession } from "../storage/session_write.ts";
import { CommitWaiters } from "./commit_waiters.ts";
import {
  type CommitPoint,
  connectionChanged,
  NONE_CHANGED,
  type SessionEffect,
  type SessionState,
} from "./session_model.ts";
import { commitPoint } from "./session_state.ts";
import type { TransactionQueue } from "./transaction_queue.ts";
import { confirm, decide, type Decisions, revoke } from "./transaction_state.ts";
import { workStored } from "./work_state.ts";

/** The session, as its commits need it. */
export interface CommittedSession {
  readonly state: SessionState;
  readonly live: boolean;
  /** Its transactions, if it ever had one. */
  readonly startedTransactions: TransactionQueue | null;
  perform(effects: readonly SessionEffect[]): void;
  /** What this point describes is committed. */
  reached(point: CommitPoint): void;
  /** Another node owns the session. */
  lost(): void;
  /** There is nothing to write after all. */
  arm(): void;
}

/** The node, as a session's commits need it. */
export interface CommitsHost {
  readonly boot: string;
  readonly clock: { now(): number };
  readonly storeLimits: StoreLimits;
  readonly committer: { request(source: CommitSource): void };
  stored(principal: string, bytes: number): void;
}

const NO_RECEIPTS: readonly Receipt[] = [];

interface Planned extends PlannedWrite {
  readonly changed: ReadonlySet<number>;
  readonly receipts: readonly Receipt[];
  readonly decisions: Decisions | null;
}

/** What was pushed, and what the commit that holds it must also hold. */
interface Receipt {
  sequence: number;
  readonly putFor: (sequence: number) => Put;
}

export class SessionCommits implements CommitSource {
  readonly #session: CommittedSession;
  readonly #host: CommitsHost;
  /** Null for an ephemeral session: it is nowhere but here. */
  #stored: StoredSession | null;
  #planned: Planned | null = null;
  #requested = false;
  #receipts = NO_RECEIPTS;
  /** Made when somebody first waits. */
  #waiters: CommitWaiters | null = null;

  constructor(session: CommittedSession, host: CommitsHost, stored: StoredSession | null) {
    this.#session = session;
    this.#host = host;
    this.#stored = stored;
  }

  /** False for an ephemeral session. */
  get durable(): boolean {
    return this.#stored !== null;
  }

  /** The version of the core that this memory builds on; null for an ephemeral session. */
  get version(): string | null {
    return this.#stored?.version ?? null;
  }

  /** True while a commit is asked for or under way. */
  get pending(): boolean {
    return this.#planned !== null || this.#requested;
  }

  /** True if acks made whole segments of the stored outbox superfluous: worth a commit even when nothing else changed. */
  get canRelease(): boolean {
    const first = this.#stored?.segments[0];
    return first !== undefined && first.last <= this.#session.state.delivery.acked;
  }

  /** Asks for a commit; it is assembled after the present turn. */
  request(): void {
    if (this.#requested || !this.#session.live || this.#stored === null) return;
    this.#requested = true;
    this.#host.committer.request(this);
  }

  /** The commit that holds message `sequence` must also hold what `putFor` gives for the number that it then has. */
  withReceipt(sequence: number, putFor: (sequence: number) => Put): void {
    if (this.#stored !== null) this.#receipts = [...this.#receipts, { sequence, putFor }];
  }

  /** Resolves when all that has happened to this session so far is committed, or the session has left this node. */
  whenCommitted(): Promise<void> {
    const { changes, committedChanges } = this.#session.state;
    if (!this.#session.live || this.#stored === null || changes <= committedChanges) return Promise.resolve();
    return (this.#waiters ??= new CommitWaiters()).wait(changes);
  }

  /** Nobody need wait any more. */
  release(): void {
    this.#waiters?.wake(Infinity);
  }

  // CommitSource

  prepare(): SessionWrite | null {
    this.#requested = false;
    const { state, startedTransactions: transactions, live } = this.#session;
    const stored = this.#stored;
    const ripe = transactions !== null && transactions.waiting && state.ended === null;
    if (stored === null || !live || state.changes === state.committedChanges && !this.canRelease && !ripe) {
      this.#session.arm();
      return null;
    }
    const { boot, clock, storeLimits } = this.#host;
    const now = clock.now();
    const creates = stored.challengeVersion !== undefined;
    const taken = ripe ? transactions.take(storeLimits.checks - (creates ? 2 : 1)) : null;
    let decisions: Decisions | null = null;
    if (taken !== null) {
      const effects: SessionEffect[] = [];
      decisions = decide(state, taken.decided, now, effects);
      this.#session.perform(effects);
    }
    const plan = planWrite(state, stored, commitPoint(state), boot, now, taken?.bytes ?? 0);
    const receipts = this.#receipts;
    this.#receipts = NO_RECEIPTS;
    this.#planned = { ...plan, changed: state.changedConnections, receipts, decisions };
    state.changedConnections = NONE_CHANGED;
    const { write } = plan;
    if (receipts.length === 0 && taken === null) return write;
    return {
      ...write,
      checks: [...write.checks, ...taken?.checks ?? []],
      puts: [
        ...write.puts,
        ...taken?.puts ?? [],
        ...receipts.map(({ sequence, putFor }) => putFor(sequence)),
      ],
      deletes: [...write.deletes, ...taken?.deletes ?? []],
    };
  }

  settle(outcome: CommitOutcome): void {
    const planned = this.#planned;
    this.#planned = null;
    // Also without a plan: one that could not be made, or whose success could not be taken in.
    if (
      outcome.kind === "conflict" && (planned?.decisions === null || planned === null || !outcome.coreHolds)
    ) {
      return this.#session.lost();
    }
    if (planned === null) return;
    if (outcome.kind === "conflict") return this.#refuted(planned);
    const before = this.#stored;
    this.#stored = { ...planned.next, version: outcome.version };
    if (before !== null && before.segments !== planned.next.segments) {
      const grown = heldBytes(planned.next.segments) - heldBytes(before.segments);
      this.#host.stored(this.#session.state.principal, grown);
    }
    for (const work of planned.work) workStored(work);
    if (planned.decisions !== null) {
      // First of all: what comes after a message that ends its connection is not handled.
      const effects: SessionEffect[] = [];
      confirm(this.#session.state, planned.decisions, this.#host.clock.now(), effects);
      this.#session.perform(effects);
      this.#session.startedTransactions?.committed(outcome.version);
    }
    this.#session.reached(planned.point);
    this.#waiters?.wake(this.#session.live ? this.#session.state.committedChanges : Infinity);
  }

  /** Somebody else wrote what a transaction read; the session itself is as it was. */
  #refuted({ changed, receipts, decisions }: Planned): void {
    const { state } = this.#session;
    revoke(state, decisions!);
    for (const receipt of this.#receipts) {
      if (receipt.sequence >= decisions!.first) receipt.sequence -= decisions!.count;
    }
    this.#receipts = [...receipts, ...this.#receipts];
    for (const id of changed) connectionChanged(state, id);
    // Other content takes a new number, also for what was staged.
    this.#stored = { ...this.#stored!, flush: this.#stored!.flush + 1 };
    this.#session.startedTransactions?.refuted();
    // Calls wait again, with their deadlines.
    this.#session.arm();
    this.request();
  }
}
