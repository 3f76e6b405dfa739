/**
 * A store whose commits fail in the ways a remote one does: before they are applied, after it, later, or not at all
 * until it is back.
 */

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
import type { SeededRandom } from "./seeded_random.ts";

/** What happens to one atomic. */
export type AtomicFault =
  | "none"
  /** Rejects, never applied. */
  | "fail_before"
  /** Applied, then rejects. */
  | "fail_after"
  /** Rejects now; applied (if its checks then hold) when {@link FaultyStore.applyLate} is called. */
  | "late"
  /** Applied, then reported `ok: false`: the lost reply that the client of KV Connect repeats by itself. */
  | "lie_conflict"
  /** Neither applied nor answered until {@link FaultyStore.release}. */
  | "hold"
  /** Applied now, answered on {@link FaultyStore.release}. */
  | "hold_reply";

/** What happens to one `get` or `list`. */
export type ReadFault =
  | "none"
  | "fail"
  /** Rejects as a store does that was waited for in vain. */
  | "unanswered"
  | "hold";

/** Probabilities (0 … 1) for faults by chance; what is left over is `none`. `hold` and `hold_reply` need `release` calls. */
export interface FaultRates {
  readonly random: SeededRandom;
  readonly atomic?: Partial<Record<Exclude<AtomicFault, "none">, number>>;
  readonly read?: Partial<Record<Exclude<ReadFault, "none">, number>>;
}

/** Wraps any {@link SessionStore}. Scripted faults come first, each for one call; then those by chance. */
export class FaultyStore implements SessionStore {
  readonly #inner: SessionStore;
  readonly #limits: StoreLimits;
  #rates: FaultRates | undefined;
  #away = false;
  readonly #nextAtomics: AtomicFault[] = [];
  readonly #nextReads: ReadFault[] = [];
  readonly #late: Atomic[] = [];
  #held: (() => void)[] = [];

  /** Calls that came, faults included. */
  readonly calls = { atomic: 0, get: 0, list: 0 };
  /** Atomics that the inner store refused because a check failed. */
  conflicts = 0;
  /** Atomics under way now, and the most there ever were. */
  underWay = 0;
  mostUnderWay = 0;
  /** Called for every atomic before its fault. */
  onAtomic: ((atomic: Atomic) => void) | undefined;
  /** Called for every `get` before its fault. */
  onGet: ((keys: readonly StoreKey[]) => void) | undefined;

  constructor(
    inner: SessionStore,
    options: { readonly limits?: Partial<StoreLimits>; readonly rates?: FaultRates } = {},
  ) {
    this.#inner = inner;
    this.#limits = { ...inner.limits, ...options.limits };
    this.#rates = options.rates;
  }

  get limits(): StoreLimits {
    return this.#limits;
  }

  /** The next atomics meet these, one each. */
  failAtomics(...faults: AtomicFault[]): void {
    this.#nextAtomics.push(...faults);
  }

  /** The next reads meet these, one each. */
  failReads(...faults: ReadFault[]): void {
    this.#nextReads.push(...faults);
  }

  /** Faults by chance from now on; `undefined`: none. */
  setRates(rates: FaultRates | undefined): void {
    this.#rates = rates;
  }

  /** While away, every call rejects and nothing is applied. */
  set away(away: boolean) {
    this.#away = away;
  }

  get away(): boolean {
    return this.#away;
  }

  /** How many atomics wait for {@link applyLate}. */
  get late(): number {
    return this.#late.length;
  }

  /** Applies what was accepted `late`, oldest first; what its checks now refuse is dropped. @returns How many were applied. */
  async applyLate(count = this.#late.length): Promise<number> {
    let applied = 0;
    for (const atomic of this.#late.splice(0, count)) {
      if ((await this.#inner.atomic(atomic)).ok) applied++;
    }
    return applied;
  }

  /** How many calls are held. */
  get held(): number {
    return this.#held.length;
  }

  /** Lets held calls go on, oldest first. */
  release(count = this.#held.length): void {
    for (const go of this.#held.splice(0, count)) go();
  }

  async atomic(atomic: Atomic): Promise<AtomicResult> {
    this.calls.atomic++;
    this.onAtomic?.(atomic);
    const fault = this.#atomicFault();
    this.mostUnderWay = Math.max(this.mostUnderWay, ++this.underWay);
    try {
      return await this.#atomic(atomic, fault);
    } finally {
      this.underWay--;
    }
  }

  async #atomic(atomic: Atomic, fault: AtomicFault): Promise<AtomicResult> {
    if (this.#away) throw new StoreUnanswered("the store is away");
    switch (fault) {
      case "none":
        return await this.#apply(atomic);
      case "fail_before":
        throw new StoreUnanswered("failed before it was applied");
      case "fail_after":
        await this.#apply(atomic);
        throw new StoreUnanswered("failed after it was applied");
      case "late":
        this.#late.push(copyOf(atomic));
        throw new StoreUnanswered("failed, and may be applied later");
      case "lie_conflict":
        await this.#apply(atomic);
        return { ok: false };
      case "hold":
        await this.#hold();
        if (this.#away) throw new StoreUnanswered("the store is away");
        return await this.#apply(atomic);
      case "hold_reply": {
        const result = await this.#apply(atomic);
        await this.#hold();
        return result;
      }
      default:
        return fault satisfies never;
    }
  }

  async get(keys: readonly StoreKey[]): Promise<(StoredEntry | null)[]> {
    this.calls.get++;
    this.onGet?.(keys);
    await this.#beforeRead();
    return await this.#inner.get(keys);
  }

  async list(
    range: Range,
    options: { readonly limit: number; readonly reverse?: boolean },
  ): Promise<StoredEntry[]> {
    this.calls.list++;
    await this.#beforeRead();
    return await this.#inner.list(range, options);
  }

  close(): void {
    this.#inner.close();
  }

  async #apply(atomic: Atomic): Promise<AtomicResult> {
    const result = await this.#inner.atomic(atomic);
    if (!result.ok) this.conflicts++;
    return result;
  }

  #hold(): Promise<void> {
    return new Promise((resolve) => void this.#held.push(resolve));
  }

  #atomicFault(): AtomicFault {
    return this.#nextAtomics.shift() ?? drawn(this.#rates?.random, this.#rates?.atomic) ?? "none";
  }

  async #beforeRead(): Promise<void> {
    const fault = this.#nextReads.shift() ?? drawn(this.#rates?.random, this.#rates?.read) ?? "none";
    if (fault === "hold") await this.#hold();
    if (fault === "fail") throw new StoreUnanswered("the read failed");
    if (fault === "unanswered") throw new StoreUnanswered("no answer in time");
    if (this.#away) throw new StoreUnanswered("the store is away");
  }
}

function drawn<Fault extends string>(
  random: SeededRandom | undefined,
  rates: Partial<Record<Fault, number>> | undefined,
): Fault | undefined {
  if (random === undefined || rates === undefined) return undefined;
  let left = random.float();
  for (const [fault, rate] of Object.entries(rates) as [Fault, number][]) {
    left -= rate;
    if (left < 0) return fault;
  }
  return undefined;
}

/** What is applied late must be what was asked then, whatever the caller does with its buffers since. */
function copyOf(atomic: Atomic): Atomic {
  return {
    checks: [...atomic.checks],
    puts: atomic.puts.map((put) => ({ ...put, value: put.value.slice() })),
    deletes: [...atomic.deletes],
  };
}
