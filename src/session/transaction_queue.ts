/**
 * The transactions of one session: evaluated side by side, committed in the order in which they finish, each with its
 * answer and the end of its work in one commit.
 *
 * A transaction that finds at its end that something it read has changed runs again; so do all that are decided and not
 * committed, when a commit fails because another node wrote what they read. After that each commits alone, and after a
 * number of times its caller is told `unavailable`.
 */

import { Mutex } from "es-toolkit";
import type { EncodedBody } from "../protocol/messages.ts";
import type { Metrics, TransactionRerun } from "../observe/metrics.ts";
import type { CallFailure, Transaction } from "../service/service.ts";
import { type DataCache, type DataEntry, encodeDatum } from "../storage/data_cache.ts";
import type { Check, Put, StoreKey, Version } from "../storage/session_store.ts";
import { retryDelay } from "../storage/commit_verdict.ts";
import { type Clock, sleepUntil } from "../system/clock.ts";
import type { Random } from "../system/random.ts";
import type { ConnectionLife } from "./connection_life.ts";
import type { LiveCall } from "./live_call.ts";
import { operationOutcome, type Outcome, wordOf } from "./operation_record.ts";
import { DONE, failed, FRESH, type Job, OVERTAKEN, type Ripe, THREW, weightOf } from "./transaction_job.ts";
import type { Decision } from "./transaction_state.ts";
import { TransactionRun } from "./transaction_run.ts";

/** How often another node may overtake a transaction before its caller is told. */
const MOST_REFUTALS = 64;
/** After so many it waits a little before it runs again. */
const PATIENT_REFUTALS = 3;

/** After one was overtaken so many are run one after the other. */
const CONTENTION = 64;

/** What the transactions of one commit may hold together. */
const COMMIT_BYTES = 256 * 1024;

/** What is committed of some transactions, with the session's own changes. */
export interface TakenTransactions {
  readonly checks: readonly Check[];
  readonly puts: readonly Put[];
  readonly deletes: readonly StoreKey[];
  readonly bytes: number;
  readonly decided: readonly Decision[];
}

/** What the queue needs of its session and node. */
export interface TransactionHost {
  readonly cache: DataCache;
  readonly clock: Clock;
  readonly random: Random;
  readonly metrics: Pick<Metrics, "transactionReran" | "operation">;
  /** A transaction is decided: it wants to be committed. */
  ripe(): void;
}

export class TransactionQueue {
  readonly #host: TransactionHost;
  #ripe: Ripe[] = [];
  #taken: Ripe[] = [];
  #closed = false;
  readonly #lane = new Mutex();
  /** So many more go straight to the lane: some that ran side by side overtook each other. */
  #contended = 0;
  /** Transactions that are being evaluated. */
  #evaluating = 0;

  constructor(host: TransactionHost) {
    this.#host = host;
  }

  /** How many were decided so far. */
  decided = 0;

  /** True while something is decided and not taken. */
  get waiting(): boolean {
    return this.#ripe.length > 0;
  }

  /** True while some are being evaluated: they may be decided in a moment. */
  get busy(): boolean {
    return this.#evaluating > 0;
  }

  /** Runs the transaction that a call is. What comes of it is in {@link take}. */
  startCall(
    life: ConnectionLife,
    live: LiveCall,
    run: (tx: Transaction) => Promise<EncodedBody | CallFailure>,
  ): void {
    const { id: connection, service: { name: service } } = life;
    void this.#attempt({
      ...{ ...FRESH, connection, request: live.request, seq: null, service, run },
      operation: live.operationOf(service),
      over: () => live.over,
      // The machine has answered.
      done: ({ ok, reason }) => life.settled(live, ok ? "ok" : reason),
      report: (error) => life.report(error),
    });
  }

  /** Runs the transaction that handles a message. */
  startMessage(
    life: ConnectionLife,
    seq: number,
    run: (tx: Transaction) => Promise<CallFailure | void>,
    done: () => void,
  ): void {
    const { id: connection, service: { name: service } } = life;
    void this.#attempt({
      ...{ ...FRESH, connection, request: null, seq, service, operation: null },
      run: async (tx) => await run(tx) ?? null,
      over: () => life.over,
      done,
      report: (error) => life.report(error),
    });
  }

  /**
   * Takes what may be committed now, in order.
   *
   * @param checks How many conditions there is room for.
   */
  take(checks: number): TakenTransactions | null {
    if (this.#ripe.length === 0) return null;
    const conditions = new Map<DataEntry, Version | null>();
    const values = new Map<DataEntry, EncodedBody | null>();
    const extra: Put[] = [];
    let bytes = 0;
    while (this.#ripe.length > 0) {
      const next = this.#ripe[0]!;
      if (this.#isVoid(next)) {
        this.#drop(next);
        continue;
      }
      // What this commit itself wrote before without reading it has no version to compare.
      const added = [...next.run.reads.keys()].filter((entry) => entry.known && !conditions.has(entry));
      const weight = weightOf(next);
      const first = this.#taken.length === 0;
      if (!first && (next.job.alone || bytes + weight > COMMIT_BYTES)) break;
      if (conditions.size + added.length > checks) break;
      for (const entry of added) conditions.set(entry, entry.version);
      for (const [entry, value] of next.run.writes) values.set(entry, value);
      extra.push(...next.puts);
      bytes += weight;
      this.#taken.push(this.#ripe.shift()!);
      if (next.job.alone) break;
    }
    if (this.#taken.length === 0) return null;
    const puts: Put[] = [...extra];
    const deletes: StoreKey[] = [];
    for (const [entry, value] of values) {
      if (value === null) deletes.push(entry.key);
      else puts.push(putOf(entry, value));
    }
    return {
      checks: [...conditions].map(([{ key }, version]) => ({ key, version })),
      ...{ puts, deletes, bytes },
      decided: this.#taken.map(({ decided }) => decided),
    };
  }

  /** What was taken is committed. */
  committed(version: Version): void {
    const taken = this.#taken;
    this.#taken = [];
    for (const { run, job, decided, thrown } of taken) {
      for (const [entry, value] of run.writes) this.#host.cache.letGo(entry, { value, version });
      if (job.operation !== null) this.#host.metrics.operation(wordOf(run.writes.size > 0, decided));
      for (const error of thrown) job.report(error);
      job.done(decided);
    }
    if (this.#ripe.length > 0) this.#host.ripe();
  }

  /** The commit of what was taken failed, and will never be applied: somebody else wrote what was read. */
  refuted(): void {
    const all = [...this.#taken, ...this.#ripe];
    const taken = new Set(this.#taken);
    this.#taken = [];
    this.#ripe = [];
    for (const { run } of all) for (const entry of run.writes.keys()) this.#host.cache.letGo(entry);
    for (const { run } of taken) for (const entry of run.reads.keys()) this.#host.cache.doubt(entry);
    for (const ripe of all) {
      const { job } = ripe;
      if (taken.has(ripe)) {
        this.#rerun(job, "refuted");
        job.alone = true;
      }
      void this.#attempt(job);
    }
  }

  /** The session is not this node's any more: nothing will be committed. */
  close(): void {
    this.#closed = true;
    for (const { run } of [...this.#taken, ...this.#ripe]) {
      for (const entry of run.writes.keys()) {
        this.#host.cache.letGo(entry);
        // It may have been committed all the same.
        this.#host.cache.doubt(entry);
      }
    }
    this.#taken = [];
    this.#ripe = [];
  }

  /** True for what nobody wants any more, and for what was overtaken. */
  #isVoid({ job, run }: Ripe): boolean {
    // What this queue itself decided since comes after it.
    return job.over() ||
      [...run.reads].some(([entry, { revision }]) =>
        entry.holder === this ? revision < entry.base : revision !== entry.revision
      );
  }

  /** Drops what is void, and what went on from its writes; whatever of it is still wanted runs again. */
  #drop(first: Ripe): void {
    const undone = new Set<DataEntry>();
    const dropped: Ripe[] = [];
    this.#ripe = this.#ripe.filter((ripe) => {
      if (ripe !== first && ![...ripe.run.reads.keys()].some((entry) => undone.has(entry))) return true;
      for (const entry of ripe.run.writes.keys()) undone.add(entry);
      dropped.push(ripe);
      return false;
    });
    for (const { run } of dropped) for (const entry of run.writes.keys()) this.#host.cache.letGo(entry);
    for (const entry of undone) {
      const last = [...this.#taken, ...this.#ripe].findLast(({ run }) => run.writes.has(entry));
      if (last !== undefined) this.#host.cache.restore(entry, last.run.writes.get(entry)!);
    }
    for (const { job } of dropped) {
      if (job.over()) continue;
      this.#rerun(job, "overtaken");
      void this.#attempt(job);
    }
  }

  #rerun(job: Job, cause: TransactionRerun): void {
    job[cause]++;
    this.#host.metrics.transactionReran(cause);
  }

  /** The first time side by side; those that were overtaken one after the other, or they would overtake each other. */
  async #attempt(job: Job): Promise<void> {
    this.#evaluating++;
    try {
      await this.#decide(job);
    } finally {
      this.#evaluating--;
    }
  }

  async #decide(job: Job): Promise<void> {
    if (job.refuted > PATIENT_REFUTALS) await this.#pause(job.refuted - PATIENT_REFUTALS);
    if (job.overtaken + job.refuted === 0 && this.#contended === 0) {
      if (await this.#once(job)) return;
      this.#contended = CONTENTION;
    } else if (this.#contended > 0) this.#contended--;
    await this.#lane.acquire();
    try {
      while (!await this.#once(job));
    } finally {
      this.#lane.release();
    }
  }

  /** @returns False if it was overtaken. */
  async #once(job: Job): Promise<boolean> {
    if (this.#closed || job.over()) return true;
    const run = new TransactionRun(this.#host.cache, this, job.service, this.#host.clock.now());
    const ripe = await this.#evaluate(job, run);
    run.close();
    if (this.#closed || job.over()) return true;
    if (run.valid) {
      for (const [entry, value] of run.writes) this.#host.cache.hold(entry, this, value);
      this.#ripe.push(ripe);
      this.decided++;
      this.#host.ripe();
      return true;
    }
    this.#rerun(job, "overtaken");
    for (const entry of run.writes.keys()) await this.#host.cache.free(entry, this);
    return false;
  }

  async #evaluate(job: Job, run: TransactionRun): Promise<Ripe> {
    const { connection, request, seq, operation } = job;
    const thrown: unknown[] = [];
    const decide = (
      outcome: Outcome,
      puts: readonly Put[] = [],
      ending: Decision["ending"] = null,
    ): Ripe => ({
      ...{ job, run, puts, thrown },
      decided: { connection, request, seq, ...outcome, sends: run.sends, ending },
    });
    if (job.refuted > MOST_REFUTALS) return decide(failed(OVERTAKEN));
    const { cache, clock } = this.#host;
    let result: EncodedBody | CallFailure | null;
    try {
      const kept = operation === null ? null : await operation.look(cache, run, clock.now());
      if (kept !== null) return decide(kept);
      result = await job.run(run);
    } catch (error) {
      thrown.push(error);
      result = THREW;
    }
    if (result === null) return decide(DONE);
    const outcome = result instanceof Uint8Array ? { ok: true, body: result, reason: "" } : failed(result);
    if (!(result instanceof Uint8Array)) {
      run.discard();
      const reason = thrown.length > 0 ? "service-failed" : result.code;
      if (request === null) return decide(outcome, [], { reason, detail: result.message });
    }
    if (operation === null) return decide(outcome);
    const { record, puts, failure } = operationOutcome(operation, outcome, clock.now());
    if (record === null) {
      run.discard();
      return decide({ ok: false, body: failure, reason: "resource-exhausted" });
    }
    run.writes.set(operation.entry(cache), record);
    return decide(outcome, puts);
  }

  #pause(attempt: number): Promise<void> {
    const { clock, random } = this.#host;
    return sleepUntil(clock, clock.now() + retryDelay(attempt, random) / 4);
  }
}

function putOf({ key, expireIn }: DataEntry, value: EncodedBody): Put {
  const put = { key, value: encodeDatum(value) };
  return expireIn === undefined ? put : { ...put, expireIn };
}
