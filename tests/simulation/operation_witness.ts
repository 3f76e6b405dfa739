/** Watches the records of operations: one process runs one, it comes to one outcome, and only who is lost is given up. */

import { decodeOperation, type OperationRecord } from "../../src/session/operation_record.ts";
import { decodeDatum } from "../../src/storage/data_cache.ts";
import { decodeNode } from "../../src/session/node_directory.ts";
import type { Atomic } from "../../src/storage/session_store.ts";

/** A row of the directory that was this much ahead of all clocks all the time is of a process that is up. */
const SURE_MS = 6_000;

/** A process that applied an atomic. */
export interface Writer {
  readonly name: string;
  readonly alive: boolean;
  readonly clock: { now(): number };
}

export class OperationWitness {
  readonly records = new Map<string, OperationRecord>();
  /** When each record was written. */
  readonly #writtenAt = new Map<string, number>();
  /** When each process renewed its row, and until when that counts. */
  readonly #rows = new Map<string, { at: number; expiresAt: number }[]>();
  readonly #fail: (problem: string) => void;
  readonly #count: (what: string) => void;

  constructor(fail: (problem: string) => void, count: (what: string) => void) {
    this.#fail = fail;
    this.#count = count;
  }

  /** @param now The true time. */
  applied({ puts, deletes }: Atomic, by: Writer, now: number): void {
    for (const key of deletes) if (key[0] === "node") this.#renewed(key[1] as string, 0, now);
    for (const { key, value } of puts) {
      if (key[0] === "node") this.#renewed(key[1] as string, decodeNode(value).expiresAt, now);
      if (key[0] === "operation") {
        this.#written(key[1] as string, decodeOperation(decodeDatum(value)), by, now);
      }
    }
  }

  /** Records of operations that say that a process runs them. */
  running(): { readonly hash: string; readonly boot: string }[] {
    return [...this.records].flatMap(([hash, record]) =>
      record.state === "running" ? [{ hash, boot: record.boot }] : []
    );
  }

  #written(hash: string, record: OperationRecord, by: Writer, now: number): void {
    const before = this.records.get(hash);
    const since = this.#writtenAt.get(hash) ?? now;
    this.records.set(hash, record);
    this.#writtenAt.set(hash, now);
    this.#count(`operations ${record.state}`);
    if (record.state === "running" && record.boot !== by.name) {
      this.#fail(`operation: ${by.name} wrote that ${record.boot} runs ${hash}`);
    }
    if (before === undefined) {
      if (record.state === "indeterminate") this.#fail(`operation: ${hash} never ran, and is indeterminate`);
      return;
    }
    if (before.state !== "running") {
      return this.#fail(`operation: ${hash} was ${before.state}, and is ${record.state}`);
    }
    if (record.state === "running") return this.#fail(`operation: ${hash} is run again, by ${by.name}`);
    if (record.state === "finished" && before.boot !== by.name) {
      return this.#fail(`operation: ${by.name} finished ${hash}, which ${before.boot} runs`);
    }
    if (record.state === "indeterminate" && this.#isUp(before.boot, by, since, now)) {
      this.#fail(`operation: ${by.name} gave up ${hash}, which ${before.boot} runs and is up`);
    }
  }

  #renewed(boot: string, expiresAt: number, now: number): void {
    this.#rows.set(boot, [...this.#rows.get(boot) ?? [], { at: now, expiresAt }]);
  }

  /** True if every look at its row since then said so, whoever's clock it was. */
  #isUp(boot: string, by: Writer, since: number, now: number): boolean {
    if (boot === by.name) return true;
    const rows = this.#rows.get(boot) ?? [];
    const first = rows.findLastIndex(({ at }) => at <= since);
    if (first < 0 || by.clock.now() > now + SURE_MS) return false;
    const seen = rows.slice(first);
    return seen.every(({ expiresAt }, i) => (seen[i + 1]?.at ?? now) + SURE_MS < expiresAt);
  }
}
