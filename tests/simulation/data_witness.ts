/**
 * Watches the data of the simulated services as the store applies them: every account's writes are one serial history, each
 * effect is in it once, and nothing is in it that somebody was told did not happen.
 */

import { decodeBody } from "../../src/protocol/body.ts";
import { decodeDatum } from "../../src/storage/data_cache.ts";
import type { Atomic } from "../../src/storage/session_store.ts";

/** An account as it is stored. `tail`: the last effects, the newest last. */
export interface Account {
  readonly k: string;
  readonly total: number;
  readonly count: number;
  readonly tail: readonly (readonly [id: string, by: number])[];
}

/** A key that is overwritten without being read (`put`), and counted up by who reads it (`bump`). */
export interface Counter {
  readonly k: string;
  /** Who put it. */
  readonly base: string;
  readonly bumps: readonly string[];
}

/** One effect on an account. */
export interface Entry {
  readonly id: string;
  readonly by: number;
  /** What the account held after it. */
  readonly total: number;
  /** The atomic that applied it; several may be of one. */
  readonly tick: number;
}

/** Effects of one account that are told apart; more are never committed at once. */
const TAIL = 64;

/** Nothing was ever written. */
export function emptyAccount(k: string): Account {
  return { k, total: 0, count: 0, tail: [] };
}

/** The account with one more effect. */
export function credited({ k, total, count, tail }: Account, id: string, by: number): Account {
  return { k, total: total + by, count: count + 1, tail: [...tail, [id, by] as const].slice(-TAIL) };
}

export class DataWitness {
  /** Atomics with data in them. */
  tick = 0;
  /** Each account's effects, in order. */
  readonly accounts = new Map<string, Entry[]>();
  /** Where each effect is: a move has two. */
  readonly effects = new Map<string, { readonly key: string; readonly entry: Entry }[]>();
  readonly #present = new Map<string, Account>();
  readonly #counters = new Map<string, Counter>();
  readonly #bases = new Set<string>();
  /** Effects that must not come to be, and why. */
  readonly #void = new Map<string, string>();
  readonly #fail: (problem: string) => void;

  constructor(fail: (problem: string) => void) {
    this.#fail = fail;
  }

  /** An atomic is applied. */
  applied({ puts }: Atomic): void {
    const data = puts.filter(({ key }) => key[0] === "data");
    if (data.length === 0) return;
    this.tick++;
    const halves = new Map<string, number>();
    for (const { value } of data) {
      const datum = decodeBody(decodeDatum(value)) as unknown as Account | Counter | {
        readonly holder: string;
      };
      if ("total" in datum) {
        for (const id of this.#account(datum)) halves.set(id, (halves.get(id) ?? 0) + 1);
      } else if ("base" in datum) this.#counter(datum);
      else this.#mayBe(datum.holder, "a flag");
    }
    for (const [id, times] of halves) {
      if (id.startsWith("m") && times !== 2) this.#fail(`data: half of the move ${id} was applied`);
    }
  }

  /** This effect must never come to be: somebody was told that it did not. */
  refuse(id: string, why: string): void {
    if (this.effects.has(id)) this.#fail(`data: ${id} is in the store, and was answered ${why}`);
    this.#void.set(id, why);
  }

  /** The entry of an effect on one account; undefined: it is not there. */
  entryOf(id: string, key: string): Entry | undefined {
    return this.effects.get(id)?.find((effect) => effect.key === key)?.entry;
  }

  /**
   * True if some accounts held these totals at one moment between two ticks, both included: a cut of their histories that
   * no effect on two of them crosses.
   */
  wereEver(totals: ReadonlyMap<string, number>, from: number, to: number): boolean {
    const keys = [...totals.keys()];
    const cut = new Map<string, number>();
    const fits = (at: number, since: number, until: number): boolean => {
      const key = keys[at];
      if (key === undefined) return !this.#isCrossed(cut);
      const entries = this.accounts.get(key) ?? [];
      for (let index = 0; index <= entries.length; index++) {
        if ((entries[index - 1]?.total ?? 0) !== totals.get(key)) continue;
        const begin = Math.max(since, entries[index - 1]?.tick ?? 0);
        const end = Math.min(until, entries[index]?.tick ?? Infinity);
        if (begin > end) continue;
        cut.set(key, index);
        if (fits(at + 1, begin, end)) return true;
      }
      cut.delete(key);
      return false;
    };
    return fits(0, from, to);
  }

  #isCrossed(cut: ReadonlyMap<string, number>): boolean {
    const seen = new Map<string, boolean>();
    for (const [key, index] of cut) {
      for (const [at, { id }] of (this.accounts.get(key) ?? []).entries()) {
        const before = at < index;
        if ((seen.get(id) ?? before) !== before) return true;
        seen.set(id, before);
      }
    }
    return false;
  }

  /** @returns What is new. */
  #account(account: Account): string[] {
    const { k: key, total, count, tail } = account;
    const before = this.#present.get(key) ?? emptyAccount(key);
    const fresh = count - before.count;
    if (fresh < 1 || fresh > tail.length) {
      this.#fail(`data: ${key} went from ${before.count} effects to ${count}: an update is lost`);
      return [];
    }
    const entries = this.accounts.get(key) ?? [];
    this.accounts.set(key, entries);
    const known = tail.slice(0, tail.length - fresh);
    const last = before.tail.slice(-known.length);
    if (known.length > 0 && known.some(([id], i) => last[i]?.[0] !== id)) {
      this.#fail(`data: the effects of ${key} have changed`);
    }
    let sum = before.total;
    for (const [id, by] of tail.slice(-fresh)) {
      sum += by;
      const entry: Entry = { id, by, total: sum, tick: this.tick };
      const effects = this.effects.get(id) ?? [];
      if (effects.some((effect) => effect.key === key)) this.#fail(`data: ${id} took effect twice on ${key}`);
      this.effects.set(id, [...effects, { key, entry }]);
      entries.push(entry);
      this.#mayBe(id, key);
    }
    if (sum !== total) this.#fail(`data: ${key} holds ${total} where its effects make ${sum}`);
    this.#present.set(key, account);
    return tail.slice(-fresh).map(([id]) => id);
  }

  #counter(counter: Counter): void {
    const before = this.#counters.get(counter.k);
    this.#counters.set(counter.k, counter);
    this.#mayBe(counter.base, counter.k);
    for (const id of counter.bumps) this.#mayBe(id, counter.k);
    if (new Set(counter.bumps).size !== counter.bumps.length) {
      this.#fail(`data: a bump of ${counter.k} counts twice: ${counter.bumps.join(" ")}`);
    }
    if (before?.base === counter.base) {
      if (before.bumps.some((id, i) => counter.bumps[i] !== id)) {
        this.#fail(
          `data: a bump of ${counter.k} is lost: ${before.bumps.join(" ")} → ${counter.bumps.join(" ")}`,
        );
      }
    } else if (this.#bases.has(counter.base)) {
      this.#fail(`data: ${counter.k} was put back to ${counter.base}`);
    }
    this.#bases.add(counter.base);
  }

  #mayBe(id: string, where: string): void {
    const why = this.#void.get(id);
    if (why !== undefined) this.#fail(`data: ${id} took effect on ${where} after it was answered ${why}`);
  }
}
