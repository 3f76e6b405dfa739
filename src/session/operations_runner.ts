/**
 * Operations of plain methods (`call.operation`): each runs at most once on this node, and its callers share the outcome,
 * which is committed before any of them is told.
 *
 * A method that may not run twice is written down as running before its handler begins, so that the loss of this process is
 * found out. One that is safe to run again needs no such note. Transactions do without all this: their outcome is part of
 * their own commit (`transaction_queue.ts`).
 */

import { describeError } from "../observe/json_log.ts";
import type { Log } from "../observe/log.ts";
import type { Metrics } from "../observe/metrics.ts";
import type { EncodedBody } from "../protocol/messages.ts";
import { encodeFailure } from "../protocol/rpc_error.ts";
import type { RpcCode } from "../protocol/rpc_codes.ts";
import type { CommitOutcome, CommitSource, SessionWrite } from "../storage/committer.ts";
import { decodeDatum, encodeDatum } from "../storage/data_cache.ts";
import { nodeKey, operationKey } from "../storage/keys.ts";
import type { Put, SessionStore, Version } from "../storage/session_store.ts";
import type { Clock } from "../system/clock.ts";
import type { ConnectionLife } from "./connection_life.ts";
import type { LiveCall } from "./live_call.ts";
import { decodeNode } from "./node_directory.ts";
import { OperationCall } from "./operation_call.ts";
import {
  decodeOperation,
  encodeOperation,
  INDETERMINATE,
  type Operation,
  OPERATION_TTL_MS,
  operationOutcome,
  type OperationRecord,
  type Outcome,
  outcomeOf,
  RECORD_BACKSTOP_MS,
  wordOf,
} from "./operation_record.ts";

/** What operations need of their node. */
export interface OperationsHost {
  readonly store: SessionStore;
  readonly committer: { request(source: CommitSource): void };
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Pick<Metrics, "operation">;
  readonly boot: string;
}

export class OperationsRunner {
  readonly host: OperationsHost;
  readonly #running = new Map<string, OperationRun>();

  constructor(host: OperationsHost) {
    this.host = host;
  }

  /** Operations that this node looks after just now. */
  get size(): number {
    return this.#running.size;
  }

  /** The fingerprint of an operation that this node looks after just now; undefined: it does not. */
  fingerprintOf(hash: string): string | undefined {
    return this.#running.get(hash)?.fingerprint;
  }

  /** Has a call with an operation key answered: by running it, or with what came or comes of it elsewhere. */
  dispatch(life: ConnectionLife, live: LiveCall, safe: boolean): void {
    const operation = live.operationOf(life.service.name)!;
    const running = this.#running.get(operation.hash);
    if (running !== undefined) return running.attach(life, live, operation);
    const run = new OperationRun(this.host, operation, safe, (others) => {
      this.#running.delete(operation.hash);
      for (const other of others) if (!other.live.over) this.dispatch(other.life, other.live, safe);
    });
    this.#running.set(operation.hash, run);
    run.attach(life, live, operation);
    void run.begin(life, live);
  }
}

interface Caller {
  readonly life: ConnectionLife;
  readonly live: LiveCall;
}

/** A write of the operation's record that is under way. */
interface Writing {
  readonly write: SessionWrite;
  readonly settled: (outcome: CommitOutcome) => void;
}

class OperationRun implements CommitSource {
  readonly #host: OperationsHost;
  readonly #operation: Operation;
  readonly #safe: boolean;
  readonly #over: (others: readonly Caller[]) => void;
  readonly #callers: Caller[] = [];
  /** Callers with another argument, as long as it is not known which one counts. */
  #others: Caller[] = [];
  /** It is committed that this argument counts. */
  #counts = false;
  #writing: Writing | null = null;
  #writes = 0;
  #begun = false;

  constructor(
    host: OperationsHost,
    operation: Operation,
    safe: boolean,
    over: (others: readonly Caller[]) => void,
  ) {
    this.#host = host;
    this.#operation = operation;
    this.#safe = safe;
    this.#over = over;
  }

  get fingerprint(): string {
    return this.#operation.fingerprint;
  }

  /** One more caller waits for the outcome. */
  attach(life: ConnectionLife, live: LiveCall, operation: Operation): void {
    const fits = operation.fingerprint === this.#operation.fingerprint;
    if (fits && this.#begun) this.#host.metrics.operation("joined");
    if (fits) this.#callers.push({ life, live });
    else if (this.#counts) this.#refuse({ life, live });
    else this.#others.push({ life, live });
  }

  #refuse({ life, live }: Caller): void {
    if (live.over) return;
    this.#host.metrics.operation("conflict");
    const failure = refusal("conflict", "the operation key is in use with another argument");
    life.answer(live, false, failure, "conflict");
  }

  /** Finds out what is known, and runs the operation if nothing is. */
  async begin(life: ConnectionLife, live: LiveCall): Promise<void> {
    this.#begun = true;
    try {
      for (;;) {
        const outcome = await this.#try(life, live);
        if (outcome !== "again") return this.#answer(outcome);
      }
    } catch (error) {
      // Only reads fail: nothing was run, or what was run is in the store or will be found lost.
      this.#host.log.warn("operation-failed", { error: describeError(error) });
      this.#host.metrics.operation("unavailable");
      this.#answer(failed("unavailable", "the store does not answer"));
    }
  }

  // CommitSource

  prepare(): SessionWrite | null {
    return this.#writing?.write ?? null;
  }

  settle(outcome: CommitOutcome): void {
    const writing = this.#writing;
    this.#writing = null;
    writing?.settled(outcome);
  }

  async #try(life: ConnectionLife, live: LiveCall): Promise<Outcome | "again"> {
    const { store, clock, boot } = this.#host;
    const { hash, fingerprint } = this.#operation;
    const [found] = await store.get([operationKey(hash)]);
    const record = found === null || found === undefined ? null : decodeOperation(decodeDatum(found.value));
    const version = found?.version ?? null;
    if (record === null || record.expiresAt <= clock.now()) return await this.#run(version, life, live);
    const known = await outcomeOf(store, hash, fingerprint, record);
    if (known !== null) return this.#found(known);
    if (record.state === "running" && record.boot !== boot && await this.#lives(record.boot)) {
      this.#host.metrics.operation("in-progress");
      return failed("in-progress", "the operation runs on another node");
    }
    if (this.#safe) return await this.#run(version, life, live);
    const lost: OperationRecord = { state: "indeterminate", fingerprint, expiresAt: this.#expiresAt() };
    return await this.#write(version, lost) === null ? "again" : this.#found(INDETERMINATE);
  }

  #found(outcome: Outcome): Outcome {
    this.#host.metrics.operation(wordOf(false, outcome));
    return outcome;
  }

  async #run(version: Version | null, life: ConnectionLife, live: LiveCall): Promise<Outcome | "again"> {
    const { boot, clock, log } = this.#host;
    let held: Version | null = version;
    if (!this.#safe) {
      const { fingerprint } = this.#operation;
      held = await this.#write(version, {
        state: "running",
        fingerprint,
        boot,
        // However long it takes: it is not begun a second time.
        expiresAt: Number.MAX_SAFE_INTEGER,
      });
      if (held === null) return "again";
      this.#counts = true;
      for (const other of this.#others.splice(0)) this.#refuse(other);
    }
    const outcome = await OperationCall.run(life.service, life.connection, live, (error) => {
      log.error("service-failed", { service: life.service.name, error: describeError(error) });
    });
    const kept = operationOutcome(this.#operation, outcome, clock.now());
    const told = kept.record === null
      ? {
        ok: false,
        body: refusal("internal", "it was done; its answer is too large to be kept"),
        reason: "internal",
      }
      : outcome;
    const { record, puts } = kept.record === null
      ? operationOutcome(this.#operation, told, clock.now())
      : kept;
    if (await this.#put(held, record!, puts) === null) return "again";
    this.#host.metrics.operation("ran");
    return told;
  }

  #write(version: Version | null, record: OperationRecord): Promise<Version | null> {
    return this.#put(version, encodeOperation(record, this.#stamp()), []);
  }

  /** @returns The new version; null: somebody else wrote. */
  #put(version: Version | null, record: Uint8Array, puts: readonly Put[]): Promise<Version | null> {
    const key = operationKey(this.#operation.hash);
    const core = { key, version, value: encodeDatum(record), expireIn: RECORD_BACKSTOP_MS };
    return new Promise((resolve) => {
      this.#writing = {
        write: { core, checks: [], puts, deletes: [], staged: [] },
        settled: (outcome) => resolve(outcome.kind === "committed" ? outcome.version : null),
      };
      this.#host.committer.request(this);
    });
  }

  async #lives(boot: string): Promise<boolean> {
    const [row] = await this.#host.store.get([nodeKey(boot)]);
    return row !== null && row !== undefined && decodeNode(row.value).expiresAt > this.#host.clock.now();
  }

  #answer({ ok, body, reason }: Outcome): void {
    this.#over(this.#others.splice(0));
    for (const { life, live } of this.#callers.splice(0)) {
      if (!live.over) life.answer(live, ok, body, reason);
    }
  }

  #stamp(): string {
    return `${this.#operation.stamp} ${++this.#writes}`;
  }

  #expiresAt(): number {
    return this.#host.clock.now() + OPERATION_TTL_MS;
  }
}

function failed(code: RpcCode, message: string): Outcome {
  return { ok: false, body: refusal(code, message), reason: code };
}

function refusal(code: RpcCode, message: string): EncodedBody {
  return encodeFailure({ code, message });
}
