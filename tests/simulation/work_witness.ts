/** Watches what sessions have accepted and not done, as the store applies it: what a core reaches is there, and is listed. */

import { decodeConnection } from "../../src/connection/connection_record.ts";
import { decodeRecordOf } from "../../src/storage/connection_write.ts";
import { type CoreRecord, decodeRecord } from "../../src/storage/session_record.ts";
import type { Atomic, StoreKey } from "../../src/storage/session_store.ts";
import { join } from "../../src/storage/outbox_write.ts";
import { decodeWork, workKeys } from "../../src/storage/work_write.ts";

interface Tracked {
  core: CoreRecord | null;
  /** The numbers that each connection's record says are not done. */
  readonly unfinished: Map<number, readonly number[]>;
  /** The processes under which it is listed as having work. */
  readonly pending: Set<string>;
}

export class WorkWitness {
  /** Most pieces of work that one session had in the store. */
  most = 0;
  readonly #values = new Map<string, Uint8Array>();
  readonly #sessions = new Map<string, Tracked>();
  readonly #fail: (problem: string) => void;

  constructor(fail: (problem: string) => void) {
    this.#fail = fail;
  }

  applied({ puts, deletes }: Atomic): void {
    const touched = new Set<string>();
    for (const { key, value } of puts) {
      const [table, first, second] = key as [string, string, string | number];
      switch (table) {
        case "session": {
          const record = decodeRecord(value);
          this.#of(first).core = record.kind === "session" ? record.core : null;
          touched.add(first);
          break;
        }
        case "connection":
          this.#connection(first, second as number, value);
          break;
        case "work":
          this.#values.set(key.join("/"), value);
          break;
        case "pending":
          this.#of(second as string).pending.add(first);
          touched.add(second as string);
          break;
      }
    }
    for (const key of deletes) this.#deleted(key, touched);
    for (const session of touched) this.#judge(session);
  }

  #deleted(key: StoreKey, touched: Set<string>): void {
    const [table, first, second] = key as [string, string, string | number];
    if (table === "work") this.#values.delete(key.join("/"));
    if (table === "connection") this.#sessions.get(first)?.unfinished.delete(second as number);
    if (table === "session") this.#sessions.delete(first);
    if (table !== "pending") return;
    this.#sessions.get(second as string)?.pending.delete(first);
    touched.add(second as string);
  }

  #connection(session: string, id: number, value: Uint8Array): void {
    const { unfinished } = this.#of(session);
    const record = decodeRecordOf(null, value);
    if (record === null || record === undefined) return void unfinished.delete(id);
    const { held, calls } = decodeConnection(id, record);
    const incoming = [...calls?.incoming.values() ?? []].filter(({ early }) => early === null);
    unfinished.set(id, [...held, ...incoming.map(({ seq }) => seq)]);
  }

  #judge(session: string): void {
    const tracked = this.#sessions.get(session);
    if (tracked === undefined) return;
    const { core, pending, unfinished } = tracked;
    const listed = [...pending].join(" ");
    if (listed !== (core?.pendingAt ?? "")) {
      this.#fail(`work: session ${session} is listed at "${listed}", its core says ${core?.pendingAt}`);
    }
    if (core === null) return;
    if ((core.pendingAt === null) !== (core.work.length === 0)) {
      this.#fail(
        `work: session ${session} has ${core.work.length} segments of work, pending at ${core.pendingAt}`,
      );
    }
    const there = new Set<number>();
    for (const segment of core.work) {
      const parts = workKeys(session, segment).map((key) => this.#values.get(key.join("/")));
      if (parts.some((part) => part === undefined)) {
        return this.#fail(
          `work: segment ${segment.epoch}/${segment.flush} of session ${session} is not there`,
        );
      }
      const bytes = parts as Uint8Array[];
      const whole = bytes.length === 1
        ? bytes[0]!
        : join(bytes, bytes.reduce((sum, { length }) => sum + length, 0));
      for (const { seq } of decodeWork(whole)) there.add(seq);
    }
    this.most = Math.max(this.most, there.size);
    // What was spilled is not followed.
    if (core.spill !== null) return;
    for (const [id, seqs] of unfinished) {
      const missing = seqs.filter((seq) => !there.has(seq));
      if (missing.length > 0) {
        return this.#fail(
          `work: ${missing.join(" ")} of connection ${id} of session ${session} is not stored`,
        );
      }
      const early = seqs.filter((seq) => seq > core.received);
      if (early.length > 0) this.#fail(`work: ${early.join(" ")} of session ${session} was not taken`);
    }
  }

  #of(session: string): Tracked {
    const known = this.#sessions.get(session);
    if (known !== undefined) return known;
    const tracked: Tracked = { core: null, unfinished: new Map(), pending: new Set() };
    this.#sessions.set(session, tracked);
    return tracked;
  }
}
