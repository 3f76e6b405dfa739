/**
 * The transactions of one session: evaluated side by side, committed in the order in which they finish, each with its
 * answer and the end of its work in one commit.
 *
 * A transaction that finds at its end that something it read has changed runs again; so do all that are decided and not
 * committed, when a commit fails because another node wrote what they read. After that each commits alone, and after a
 * number of times its caller is told `unavailable`.
 */

import { Mutex } from "es-toolkit";
import { encodeFailure } from "../protocol/rpc_error.ts";
import type { EncodedBody } from "../protocol/messages.ts";
import type { CallFailure, Transaction } from "../service/service.ts";
import { type DataCache, type DataEntry, encodeDatum } from "../storage/data_cache.ts";
import type { Check, Put, StoreKey, Version } from "../storage/session_store.ts";
import { retryDelay } from "../storage/commit_verdict.ts";
import { type Clock, sleepUntil } from "../system/clock.ts";
import type { Random } from "../system/random.ts";
import type { ConnectionLife } from "./connection_life.ts";
import type { LiveCall } from "./live_call.ts";
import { type Operation, operationOutcome } from "./operation_record.ts";
import type { Decision } from "./transaction_state.ts";
import { TransactionRun } from "./transaction_run.ts";

/** How often another node may overtake a transaction before its caller is told. */
const MOST_REFUTALS = 64;
/** After so many it waits a little before it runs again. */
const PATIENT_REFUTALS = 3;

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

interface Job {
  readonly connection: number;
  readonly request: number | null;
  readonly seq: number | null;
  readonly service: string;
  readonly operation: Operation | null;
  readonly run: (tx: Transaction) => Promise<EncodedBody | CallFailure | null>;
  /** Nobody wants it any more. */
  readonly over: () => boolean;
  readonly done: (decided: Decision) => void;
  readonly failed: (error: unknown) => void;
  /** How often it was overtaken: here, and by another node. */
  overtaken: number;
  refuted: number;
  alone: boolean;
}

interface Ripe {
  readonly job: Job;
  readonly run: TransactionRun;
  readonly decided: Decision;
  readonly puts: readonly Put[];
}

/** What the queue needs of its session and node. */
export interface TransactionHost {
  readonly cache: DataCache;
  readonly clock: Clock;
  readonly random: Random;
  /** A transaction is decided: it wants to be committed. */
  ripe(): void;
}

export class TransactionQueue {
  readonly #host: TransactionHost;
  #ripe: Ripe[] = [];
  #taken: Ripe[] = [];
  #closed = false;
  readonly #lane = new Mutex();
  /** Transactions that are being evaluated. */
  #evaluating = 0;

  constructor(host: TransactionHost) {
    this.#host = host;
  }

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
      ...{
        connection,
        request: live.request,
        seq: null,
        service,
        run,
        overtaken: 0,
        refuted: 0,
        alone: false,
      },
      operation: live.operationOf(service),
      over: () => live.over,
      // The machine has answered.
      done: ({ ok, reason }) => life.settled(live, ok ? "ok" : reason),
      failed: (error) => life.callFailed(live, error),
    });
  }

  /** Runs the transaction that handles a message. */
  startMessage(
    life: ConnectionLife,
    seq: number,
    run: (tx: Transaction) => Promise<CallFailure | void>,
    { done, failed }: { readonly done: () => void; readonly failed: (error: unknown) => void },
  ): void {
    const { id: connection, service: { name: service } } = life;
    void this.#attempt({
      ...{ connection, request: null, seq, service, operation: null, overtaken: 0, refuted: 0, alone: false },
      run: async (tx) => await run(tx) ?? null,
      over: () => life.over,
      ...{ done, failed },
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
        this.#ripe.shift();
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
      else puts.push({ key: entry.key, value: encodeDatum(value) });
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
    for (const { run, job, decided } of taken) {
      for (const [entry, value] of run.writes) this.#host.cache.letGo(entry, { value, version });
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
        job.refuted++;
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

  /** Drops what nobody wants any more, and runs again what was overtaken. */
  #isVoid(ripe: Ripe): boolean {
    const { job, run } = ripe;
    const overtaken = [...run.reads].some(([entry, { revision }]) =>
      entry.holder !== this && entry.revision !== revision
    );
    if (!overtaken && !job.over()) return false;
    for (const entry of run.writes.keys()) this.#host.cache.letGo(entry);
    job.overtaken++;
    if (!job.over()) void this.#attempt(job);
    return true;
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
    if (job.overtaken + job.refuted === 0 && await this.#once(job)) return;
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
    let ripe: Ripe;
    try {
      ripe = await this.#evaluate(job, run);
    } catch (error) {
      run.close();
      if (this.#closed || job.over()) return true;
      // What it saw was not so: the error may be of that.
      if (run.valid) job.failed(error);
      else job.overtaken++;
      return run.valid;
    }
    run.close();
    if (this.#closed || job.over()) return true;
    if (run.valid) {
      for (const [entry, value] of run.writes) this.#host.cache.hold(entry, this, value);
      this.#ripe.push(ripe);
      this.#host.ripe();
      return true;
    }
    job.overtaken++;
    for (const entry of run.writes.keys()) await this.#host.cache.free(entry, this);
    return false;
  }

  async #evaluate(job: Job, run: TransactionRun): Promise<Ripe> {
    const { connection, request, seq, operation } = job;
    const decide = (ok: boolean, body: EncodedBody, reason: string, puts: readonly Put[] = []): Ripe => ({
      ...{ job, run, puts },
      decided: { connection, request, seq, ok, body, reason, sends: run.sends, ending: null },
    });
    if (job.refuted > MOST_REFUTALS) {
      const failure = { code: "unavailable", message: "others write the same data all the time" } as const;
      return decide(false, encodeFailure(failure), failure.code);
    }
    const { cache, clock } = this.#host;
    const kept = operation === null ? null : await operation.look(cache, run, clock.now());
    if (kept !== null) return decide(kept.ok, kept.body, kept.reason);
    const result = await job.run(run);
    if (result === null) return decide(true, NOTHING, "");
    const failed = !(result instanceof Uint8Array);
    if (failed) run.discard();
    if (failed && request === null) {
      // Its connection ends, which cannot be taken back: nothing may refute it.
      job.alone = true;
      run.reads.clear();
      const ended = decide(false, NOTHING, result.code);
      return {
        ...ended,
        decided: { ...ended.decided, ending: { reason: result.code, detail: result.message } },
      };
    }
    const body = failed ? encodeFailure(result) : result;
    const answer = { ok: !failed, body, reason: failed ? result.code : "" };
    if (operation === null) return decide(answer.ok, body, answer.reason);
    const outcome = operationOutcome(operation, answer, clock.now());
    if (outcome.record === null) {
      run.discard();
      return decide(false, outcome.failure, "resource-exhausted");
    }
    run.writes.set(operation.entry(cache), outcome.record);
    return decide(answer.ok, body, answer.reason, outcome.puts);
  }

  #pause(attempt: number): Promise<void> {
    const { clock, random } = this.#host;
    return sleepUntil(clock, clock.now() + retryDelay(attempt, random) / 4);
  }
}

function weightOf({ run, puts }: Ripe): number {
  let bytes = 0;
  for (const value of run.writes.values()) bytes += value?.length ?? 0;
  for (const { value } of puts) bytes += value.length;
  return bytes;
}

const NOTHING = new Uint8Array(0);
