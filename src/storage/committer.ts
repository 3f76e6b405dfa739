/**
 * Group commit: what many sessions have to write goes into few atomics.
 *
 * A session that has something to write asks for a commit; when the committer is free it takes all that is waiting
 * and each session is asked once what it wants to write *by then*. Under no load one message commits at once; under
 * load batches grow by themselves.
 */

import type { Log } from "../observe/log.ts";
import { type Metrics, NO_METRICS } from "../observe/metrics.ts";
import type { Clock } from "../system/clock.ts";
import type { Random } from "../system/random.ts";
import { atomicOf, nextPuts, weightOf } from "./commit_assembly.ts";
import { evidenceKeys, judge } from "./commit_verdict.ts";
import type { CommitterStats } from "./committer_stats.ts";
import { PatientStore } from "./patient_store.ts";
import type { Check, Put, SessionStore, StoreKey, Version } from "./session_store.ts";
import { addWeight, fits, noWeight, type Weight } from "./stored_size.ts";

/** All that one session wants committed at once. Never split; never repeated with other content. */
export interface SessionWrite {
  /** The core (or its tombstone): the version it must still have (`null`: absent), and its new value, never equal to an older one. */
  readonly core: {
    readonly key: StoreKey;
    readonly version: Version | null;
    readonly value: Uint8Array;
    readonly expireIn?: number;
  };
  /** Further conditions, for instance that a challenge is unknown. */
  readonly checks: readonly Check[];
  readonly puts: readonly Put[];
  readonly deletes: readonly StoreKey[];
  /** Values too large to fit the atomic: written before it, under keys nothing else ever writes, unreachable until the core names them. */
  readonly staged: readonly Put[];
}

/** What became of a {@link SessionWrite}; unknown outcomes are resolved before a session hears of one. */
export type CommitOutcome =
  | { readonly kind: "committed"; readonly version: Version }
  /**
   * A check failed: somebody else wrote. What the session holds in memory is worth nothing; it is read again, unless
   * `coreHolds`: then the core is as it was, another of the write's own checks failed, and it will never be applied.
   */
  | { readonly kind: "conflict"; readonly coreHolds: boolean };

/** A session, as the committer sees it. */
export interface CommitSource {
  /** Called once for each `request`, when the commit is assembled. `null`: nothing to write after all. */
  prepare(): SessionWrite | null;
  /** Called once for each write that `prepare` gave. Until then the source is not asked again. */
  settle(outcome: CommitOutcome): void;
}

/** A write on its way from `prepare` to `settle`. */
interface Entry {
  readonly source: CommitSource;
  readonly write: SessionWrite;
  readonly weight: Weight;
  /** How many of the staged puts are written. */
  staged: number;
  /** How often its atomic failed without any visible reason. */
  puzzles: number;
}

/** `waiting` for `prepare`; `busy` until `settle`; `busy_again`: busy, and to be prepared once more after it. */
type Phase = "waiting" | "busy" | "busy_again";

/**
 * Commits what sources ask for, many in one atomic.
 *
 * Promises: a source is never in two atomics at once; each write is settled once, and only when its outcome is known,
 * however long that takes; what is repeated is repeated byte for byte; one source's conflict, error or size never
 * decides about another; while some outcome is unknown, other sources go on.
 */
export class Committer {
  readonly #store: PatientStore;
  readonly #log: Log;
  readonly #clock: Clock;
  readonly #metrics: Pick<Metrics, "committed">;
  readonly #counts = { writes: 0, mutations: 0, conflicts: 0, stagedPuts: 0 };
  readonly #phases = new Map<CommitSource, Phase>();
  /** In the order of their requests. */
  readonly #waiting: CommitSource[] = [];
  /** Prepared, fully staged, and in no atomic. */
  readonly #ready: Entry[] = [];
  /** Prepared, and not fully staged. */
  readonly #staging: Entry[] = [];
  #stagingTurn = false;
  #scheduled = false;
  /** Deletions of what was staged in vain that are under way. */
  #cleaning = 0;
  #idle: (() => void)[] = [];

  /** @param store Its `limits` decide how much goes into one atomic, and how many are under way at once. */
  constructor(
    store: SessionStore,
    ports: {
      readonly clock: Clock;
      readonly log: Log;
      readonly random: Random;
      readonly metrics?: Pick<Metrics, "committed">;
    },
  ) {
    this.#store = new PatientStore(store, { ...ports, onFree: () => this.#schedule() });
    this.#log = ports.log;
    this.#clock = ports.clock;
    this.#metrics = ports.metrics ?? NO_METRICS;
  }

  /** A copy of the figures as they are now. */
  get stats(): CommitterStats {
    return { ...this.#store.stats, ...this.#counts };
  }

  /**
   * Asks for a commit of this source: its `prepare` is called when a commit is assembled, after the present turn. A
   * request before that changes nothing; one after it, until `settle`, leads to one more `prepare`.
   */
  request(source: CommitSource): void {
    if (this.#store.abandoned) return;
    const phase = this.#phases.get(source);
    if (phase === undefined) this.#enqueue(source);
    else if (phase === "busy") this.#phases.set(source, "busy_again");
  }

  /** Resolves when nothing is waiting or under way. With the store away that may take for ever: bound it. */
  idle(): Promise<void> {
    return new Promise((resolve) => {
      this.#idle.push(resolve);
      this.#reportIdle();
    });
  }

  /**
   * Gives up, as if the process ended here: nothing more is prepared, attempted or settled. What is at the store
   * already may still be applied. An `idle` that waits resolves.
   */
  abandon(): void {
    this.#store.abandon();
    this.#phases.clear();
    this.#cleaning = 0;
    this.#reportIdle();
  }

  #enqueue(source: CommitSource): void {
    this.#phases.set(source, "waiting");
    this.#waiting.push(source);
    this.#schedule();
  }

  /** All requests of this turn come first; then what is waiting starts, if there is room. */
  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    queueMicrotask(() => {
      this.#scheduled = false;
      this.#start();
      this.#reportIdle();
    });
  }

  #start(): void {
    while (this.#store.free) {
      // In turns, so that neither one large write nor many small ones keep the others waiting.
      this.#stagingTurn = !this.#stagingTurn;
      const staging = this.#stagingTurn ? this.#staging.shift() : undefined;
      if (staging !== undefined) {
        void this.#stage(staging);
        continue;
      }
      const entries = this.#collect();
      if (entries.length > 0) void this.#commit(entries);
      else if (this.#staging.length === 0) return;
    }
  }

  /** Takes what is waiting, as much as one atomic holds. */
  #collect(): Entry[] {
    const entries: Entry[] = [];
    const total = noWeight();
    const take = (entry: Entry) => {
      if (!fits(total, entry.weight, this.#store.limits)) return false;
      addWeight(total, entry.weight);
      entries.push(entry);
      return true;
    };
    let taken = 0;
    while (taken < this.#ready.length && take(this.#ready[taken]!)) taken++;
    this.#ready.splice(0, taken);
    if (this.#ready.length > 0) return entries;

    // What is enqueued by a `prepare` comes in a later round: else this could go on for ever.
    const end = this.#waiting.length;
    taken = 0;
    while (taken < end) {
      const entry = this.#prepare(this.#waiting[taken++]!);
      if (entry === null) continue;
      if (entry.write.staged.length > 0) this.#staging.push(entry);
      else if (!take(entry)) {
        this.#ready.push(entry);
        break;
      }
    }
    this.#waiting.splice(0, taken);
    return entries;
  }

  #prepare(source: CommitSource): Entry | null {
    this.#phases.set(source, "busy");
    try {
      const write = source.prepare();
      if (write !== null) {
        return { source, write, weight: weightOf(write, this.#store.limits), staged: 0, puzzles: 0 };
      }
    } catch (error) {
      this.#log.error("commit_prepare_failed", { error: String(error) });
      this.#settle(source, VOID);
      return null;
    }
    this.#release(source);
    return null;
  }

  async #commit(entries: readonly Entry[]): Promise<void> {
    const began = this.#clock.now();
    const result = await this.#store.perform(atomicOf(entries));
    this.#metrics.committed(entries.length, this.#clock.now() - began);
    if (result === "refused") this.#conflict(entries);
    else if (result.ok) this.#committed(entries, result.version);
    else await this.#resolve(entries);
    this.#schedule();
  }

  /**
   * Finds out what became of each write of an atomic that failed its checks, be it at the first attempt: the client of
   * a remote store may have repeated by itself what was applied already.
   *
   * One of its checks failed, and a version never comes back: so it is applied by now, or it never will be.
   */
  async #resolve(entries: readonly Entry[]): Promise<void> {
    const keys = entries.map(({ write }) => evidenceKeys(write));
    const found = await this.#store.get(keys.flat());
    let next = 0;
    const verdicts = entries.map(({ write }, index) => {
      const first = next;
      next += keys[index]!.length;
      return judge(write, found.slice(first, next));
    });
    const unapplied = verdicts.some(({ kind }) => kind === "innocent" || kind === "refuted");
    const puzzling = verdicts.every(({ kind }) => kind === "innocent");
    if (puzzling) await this.#store.pause(entries[0]!.puzzles);
    for (const [index, entry] of entries.entries()) {
      const verdict = verdicts[index]!;
      switch (verdict.kind) {
        case "committed":
          this.#committed([entry], verdict.version);
          break;
        case "innocent":
          if (puzzling) entry.puzzles++;
          this.#ready.push(entry);
          break;
        case "refuted":
        case "overwritten":
          // If it was applied before somebody else wrote, what it staged may be in use.
          if (unapplied) void this.#unstage(entry);
          this.#conflict([entry], verdict.kind === "refuted");
          break;
        default:
          verdict satisfies never;
      }
    }
  }

  /** Writes the next part of what goes ahead. */
  async #stage(entry: Entry): Promise<void> {
    const puts = nextPuts(entry.write.staged, entry.staged, this.#store.limits);
    const result = await this.#store.perform({ checks: [], puts, deletes: [] });
    if (result === "refused") {
      this.#conflict([entry]);
    } else {
      if (result.ok) {
        entry.staged += puts.length;
        this.#counts.stagedPuts += puts.length;
      } else {
        // Nothing was checked, so nothing can have failed: the store is confused. The keys are unique; once more.
        await this.#store.pause(entry.puzzles++);
      }
      (entry.staged < entry.write.staged.length ? this.#staging : this.#ready).push(entry);
    }
    this.#schedule();
  }

  /** Best effort: what is left is unreachable, and goes when its session does. */
  async #unstage(entry: Entry): Promise<void> {
    if (entry.staged === 0) return;
    this.#cleaning++;
    await this.#store.tryDelete(entry.write.staged.map((put) => put.key));
    this.#cleaning--;
    this.#reportIdle();
  }

  #committed(entries: readonly Entry[], version: Version): void {
    const outcome: CommitOutcome = { kind: "committed", version };
    for (const { source, weight } of entries) {
      this.#counts.writes++;
      this.#counts.mutations += weight.mutations;
      this.#settle(source, outcome);
    }
  }

  #conflict(entries: readonly Entry[], coreHolds = false): void {
    for (const { source } of entries) this.#settle(source, { kind: "conflict", coreHolds });
  }

  #settle(source: CommitSource, outcome: CommitOutcome): void {
    if (outcome.kind === "conflict") this.#counts.conflicts++;
    this.#release(source);
    try {
      source.settle(outcome);
    } catch (error) {
      this.#log.error("commit_settle_failed", { outcome: outcome.kind, error: String(error) });
      if (outcome.kind === "committed") this.#distrust(source);
    }
  }

  /** What a source holds in memory after its `settle` threw is worth as little as after a conflict. */
  #distrust(source: CommitSource): void {
    try {
      source.settle(VOID);
    } catch (error) {
      this.#log.error("commit_settle_failed", { outcome: "conflict", error: String(error) });
    }
  }

  #release(source: CommitSource): void {
    if (this.#phases.get(source) === "busy_again") this.#enqueue(source);
    else this.#phases.delete(source);
  }

  #reportIdle(): void {
    if (this.#phases.size > 0 || this.#cleaning > 0) return;
    for (const resolve of this.#idle.splice(0)) resolve();
  }
}

const VOID: CommitOutcome = { kind: "conflict", coreHolds: false };
