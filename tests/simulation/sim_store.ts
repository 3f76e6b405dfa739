/** The cluster's store behind a simulated network: slow, away, and wrong about outcomes in all the ways that remote ones are. */

import {
  type Atomic,
  type AtomicResult,
  type Range,
  type SessionStore,
  type StoredEntry,
  type StoreKey,
  type StoreLimits,
  StoreUnanswered,
} from "../../src/storage/session_store.ts";
import type { SeededRandom } from "../support/seeded_random.ts";
import type { SimProcess } from "./sim_process.ts";
import type { Timeline } from "./timeline.ts";

/** What may happen to one call, beside nothing. */
export type StoreFaultKind =
  /** Rejected, never applied. */
  | "fail-before"
  /** Applied, then rejected. */
  | "fail-after"
  /** Rejected, and applied later, up to 90 s. */
  | "apply-late"
  /** Applied, then reported as a failed check: a remote client's own repetition. */
  | "lie-conflict"
  /** Not applied, and reported as a failed check: somebody was faster, who then gave up. */
  | "conflict"
  /** Answered after seconds. */
  | "slow"
  /** A read that is rejected. */
  | "read-fail";

/** How likely each is, 0 … 1. */
export type StoreRates = { readonly [kind in StoreFaultKind]?: number };

/** Hears of every atomic at the moment it is applied, in the order of their versions. */
export type Applied = (atomic: Atomic, version: string, by: SimProcess) => void;

export class SimFault extends StoreUnanswered {}

export interface SimStoreOptions {
  readonly inner: SessionStore;
  readonly timeline: Timeline;
  readonly random: SeededRandom;
  readonly rates: StoreRates;
  readonly latency: { readonly least: number; readonly most: number };
  /** Hears of every atomic that a process asks for, whatever becomes of it. */
  readonly asked: (atomic: Atomic) => void;
  readonly applied: Applied;
  /** Hears of every atomic whose checks failed. */
  readonly refused: (atomic: Atomic) => void;
  readonly count: (fault: string) => void;
}

export class SimStore {
  readonly #options: SimStoreOptions;
  /** Until when whom the store does not answer; `""`: nobody. */
  readonly #awayUntil = new Map<string, number>();
  #healed = false;
  /** Atomics that wait to be applied late, and calls that hang: each can be let go at once. */
  readonly #late = new Set<() => void>();

  constructor(options: SimStoreOptions) {
    this.#options = options;
  }

  /** The store as one process sees it. */
  viewOf(process: SimProcess): SessionStore {
    const limits: StoreLimits = this.#options.inner.limits;
    return {
      limits,
      atomic: (atomic) => {
        const asked = copyOf(atomic);
        if (process.alive) this.#options.asked(asked);
        return this.#ask(process, () => this.#atomic(process, asked));
      },
      get: (keys: readonly StoreKey[]) =>
        this.#ask(process, () => this.#read(() => this.#options.inner.get(keys))),
      list: (range: Range, options): Promise<StoredEntry[]> =>
        this.#ask(process, () => this.#read(() => this.#options.inner.list(range, options))),
      close: () => {},
    };
  }

  /** No answer to `node` (`""`: to nobody) for a while. */
  away(node: string, ms: number): void {
    this.#awayUntil.set(node, this.#options.timeline.now + ms);
  }

  /** From here on it works, and what was to be applied late is applied now. */
  heal(): void {
    this.#healed = true;
    this.#awayUntil.clear();
    for (const go of [...this.#late]) go();
  }

  async #ask<T>(process: SimProcess, answer: () => Promise<T>): Promise<T> {
    if (!process.alive) return await never();
    await this.#travel();
    // Of what a lost process had asked, some was still under way to it.
    if (!process.alive && this.#options.random.chance(0.5)) return await never();
    await this.#untilBack(process);
    let outcome: { readonly value: T } | { readonly error: unknown };
    try {
      outcome = { value: await answer() };
    } catch (error) {
      outcome = { error };
    }
    await this.#travel();
    await new Promise<void>((resolve) => process.enter(resolve));
    if ("error" in outcome) throw outcome.error;
    return outcome.value;
  }

  /** While the store is away a call fails soon, or hangs and then fails or goes on. */
  async #untilBack(process: SimProcess): Promise<void> {
    const { timeline, random } = this.#options;
    const away = Math.max(this.#awayUntil.get("") ?? 0, this.#awayUntil.get(process.name) ?? 0);
    const left = away - timeline.now;
    if (left <= 0) return;
    const hangs = random.chance(0.3);
    if (hangs) await this.#hang(left);
    else await this.#pass(Math.min(left, random.between(50, 2_000)));
    if (!hangs || random.chance(0.5)) throw new SimFault("the store is away");
  }

  async #atomic(process: SimProcess, atomic: Atomic): Promise<AtomicResult> {
    switch (this.#drawn(["fail-before", "fail-after", "apply-late", "lie-conflict", "slow", "conflict"])) {
      case "fail-before":
        throw new SimFault("failed before it was applied");
      case "fail-after":
        await this.#apply(process, atomic);
        throw new SimFault("failed after it was applied");
      case "apply-late":
        this.#applyLate(process, atomic);
        throw new SimFault("failed, and is applied later");
      case "lie-conflict": {
        const result = await this.#apply(process, atomic);
        // Without checks a repetition succeeds.
        return atomic.checks.length === 0 ? await this.#apply(process, atomic) : { ...result, ok: false };
      }
      case "conflict":
        // Without checks there is nothing that could fail.
        if (atomic.checks.length === 0) return await this.#apply(process, atomic);
        this.#options.refused(atomic);
        return { ok: false };
      case "slow":
        if (this.#options.random.chance(0.5)) {
          await this.#pass(this.#options.random.between(200, 8_000));
          return await this.#apply(process, atomic);
        } else {
          const result = await this.#apply(process, atomic);
          await this.#pass(this.#options.random.between(200, 8_000));
          return result;
        }
      default:
        return await this.#apply(process, atomic);
    }
  }

  async #read<T>(read: () => Promise<T>): Promise<T> {
    const fault = this.#drawn(["read-fail", "slow"]);
    if (fault === "read-fail") throw new SimFault("the read failed");
    if (fault === "slow") await this.#pass(this.#options.random.between(200, 8_000));
    return await read();
  }

  async #apply(process: SimProcess, atomic: Atomic): Promise<AtomicResult> {
    const result = await this.#options.inner.atomic(atomic);
    if (result.ok) this.#options.applied(atomic, result.version, process);
    else this.#options.refused(atomic);
    return result;
  }

  #applyLate(process: SimProcess, atomic: Atomic): void {
    const { random } = this.#options;
    const ms = random.between(50, random.chance(0.2) ? 90_000 : 3_000);
    void this.#hang(ms).then(() => this.#apply(process, atomic));
  }

  /** Passes when the time has, or when the store is healed. */
  #hang(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const go = () => {
        cancel();
        this.#late.delete(go);
        resolve();
      };
      const cancel = this.#options.timeline.after(ms, go);
      this.#late.add(go);
    });
  }

  #drawn(kinds: readonly StoreFaultKind[]): StoreFaultKind | null {
    const { random, rates, count } = this.#options;
    let left = random.float();
    if (this.#healed) return null;
    for (const kind of kinds) {
      left -= rates[kind] ?? 0;
      if (left >= 0) continue;
      count(`store ${kind}`);
      return kind;
    }
    return null;
  }

  #travel(): Promise<void> {
    const { random, latency: { least, most } } = this.#options;
    return this.#pass(random.between(least, most));
  }

  #pass(ms: number): Promise<void> {
    return new Promise((resolve) => void this.#options.timeline.after(ms, resolve));
  }
}

function never(): Promise<never> {
  return new Promise(() => {});
}

/** What is applied must be what was asked, whatever the caller does with its buffers since. */
function copyOf(atomic: Atomic): Atomic {
  return {
    checks: [...atomic.checks],
    puts: atomic.puts.map((put) => ({ ...put, value: put.value.slice() })),
    deletes: [...atomic.deletes],
  };
}
