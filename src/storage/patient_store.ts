/** A store that is asked until it answers: what the committer needs to know outcomes instead of guessing them. */

import type { Log } from "../observe/log.ts";
import type { Clock } from "../system/clock.ts";
import type { Random } from "../system/random.ts";
import { retryDelay } from "./commit_verdict.ts";
import {
  type Atomic,
  type AtomicResult,
  type SessionStore,
  type StoredEntry,
  type StoreKey,
  StoreLimitExceeded,
  type StoreLimits,
} from "./session_store.ts";

/** While this many atomics have an unknown outcome and none is answered, new ones are a rare probe. */
const MANY_UNKNOWN = 16;
const RARE_PROBE_MS = 10_000;

/** What a {@link PatientStore} needs. */
export interface PatientStorePorts {
  readonly clock: Clock;
  readonly log: Log;
  readonly random: Random;
  /** Called when {@link PatientStore.free} may have become true. */
  readonly onFree: () => void;
}

/**
 * Repeats each atomic, byte for byte, until the store says what became of it, and each read until it is answered.
 * After `abandon` nothing is asked any more, and what is under way never settles.
 */
export class PatientStore {
  /** Atomics sent, repetitions included; and those of them that got no answer. */
  readonly stats = { atomics: 0, unknown: 0 };
  readonly limits: StoreLimits;
  readonly #store: SessionStore;
  readonly #ports: PatientStorePorts;
  /** Atomics at the store now; one that waits to be repeated is not. */
  #underWay = 0;
  /** Atomics that wait to be repeated. */
  #unknown = 0;
  /** Attempts in a row that got no answer. */
  #rejections = 0;
  /** Set while new atomics had better wait, gathering: ends that. */
  #endHold: (() => void) | undefined;
  /** Cancel the timers that are set. */
  readonly #timers = new Set<() => void>();
  #abandoned = false;

  constructor(store: SessionStore, ports: PatientStorePorts) {
    this.limits = store.limits;
    this.#store = store;
    this.#ports = ports;
  }

  /** Whether `abandon` was called. */
  get abandoned(): boolean {
    return this.#abandoned;
  }

  /** Whether there is room for one more atomic. */
  get free(): boolean {
    return !this.#abandoned && this.#endHold === undefined && this.#underWay < this.limits.concurrency;
  }

  /** @returns The answer, however long it takes; `refused`: it is too large, and nothing was written. */
  async perform(atomic: Atomic): Promise<AtomicResult | "refused"> {
    for (let attempt = 0;; attempt++) {
      try {
        const result = await this.#attempt(atomic);
        this.#rejections = 0;
        this.#endHold?.();
        if (attempt > 0) this.#ports.log.info("commit_outcome_known", { attempts: attempt + 1 });
        return result;
      } catch (error) {
        if (error instanceof StoreLimitExceeded) {
          this.#ports.log.error("commit_too_large", { error: String(error) });
          return "refused";
        }
        this.stats.unknown++;
        this.#rejections++;
        if (attempt === 0) this.#ports.log.warn("commit_outcome_unknown", { error: String(error) });
      }
      this.#unknown++;
      this.#hold();
      this.#ports.onFree();
      await this.pause(attempt);
      this.#unknown--;
    }
  }

  /** @returns What the keys hold, however long it takes to learn. */
  async get(keys: readonly StoreKey[]): Promise<(StoredEntry | null)[]> {
    for (let attempt = 0;; attempt++) {
      try {
        return await this.#heard(this.#store.get(keys));
      } catch (error) {
        if (attempt === 0) this.#ports.log.warn("commit_read_back_failed", { error: String(error) });
      }
      await this.pause(attempt);
    }
  }

  /** Deletes in steps, once each: a failure is logged and leaves the rest. */
  async tryDelete(keys: readonly StoreKey[]): Promise<void> {
    const most = Math.min(this.limits.mutations, 40);
    try {
      for (let from = 0; from < keys.length; from += most) {
        const deletes = keys.slice(from, from + most);
        await this.#heard(this.#store.atomic({ checks: [], puts: [], deletes }));
      }
    } catch (error) {
      this.#ports.log.warn("commit_delete_failed", { error: String(error) });
    }
  }

  /** Waits as long as is right after failure number `attempt` (from 0). */
  async pause(attempt: number): Promise<void> {
    const { clock, random } = this.#ports;
    await new Promise<void>((resolve) => this.#wakeAt(clock.now() + retryDelay(attempt, random), resolve));
  }

  /** See the class. */
  abandon(): void {
    this.#abandoned = true;
    for (const cancel of this.#timers) cancel();
    this.#timers.clear();
  }

  async #attempt(atomic: Atomic): Promise<AtomicResult> {
    if (this.#abandoned) await never();
    this.stats.atomics++;
    this.#underWay++;
    try {
      return await this.#heard(this.#store.atomic(atomic));
    } finally {
      this.#underWay--;
    }
  }

  /** An answer, unless nobody listens any more by then. */
  async #heard<T>(answer: Promise<T>): Promise<T> {
    try {
      return await answer;
    } finally {
      if (this.#abandoned) await never();
    }
  }

  /** After a second failure in a row new atomics wait for an answer, or a while: they would only multiply. */
  #hold(): void {
    if (this.#endHold !== undefined || this.#rejections < 2) return;
    const { clock, random } = this.#ports;
    const pause = this.#unknown < MANY_UNKNOWN ? retryDelay(this.#rejections, random) : RARE_PROBE_MS;
    const cancel = this.#wakeAt(clock.now() + pause, () => this.#endHold?.());
    this.#endHold = () => {
      cancel();
      this.#endHold = undefined;
      this.#ports.onFree();
    };
  }

  #wakeAt(at: number, wake: () => void): () => void {
    if (this.#abandoned) return () => {};
    const cancelTimer = this.#ports.clock.wakeAt(at, () => {
      this.#timers.delete(cancel);
      wake();
    });
    const cancel = () => {
      this.#timers.delete(cancel);
      cancelTimer();
    };
    this.#timers.add(cancel);
    return cancel;
  }
}

function never(): Promise<never> {
  return new Promise(() => {});
}
