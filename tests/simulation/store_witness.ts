/** Watches every atomic as the store applies it, and judges what may never be in a store, whoever wrote it and whyever. */

import { CHALLENGE_MEMORY_MS } from "../../src/protocol/limits.ts";
import { splitEncoded } from "../../src/protocol/encode.ts";
import {
  type CoreRecord,
  decodeIdentity,
  decodeRecord,
  type Segment,
  type SessionRecord,
} from "../../src/storage/session_record.ts";
import type { Atomic, Put } from "../../src/storage/session_store.ts";
import { join, partKeys } from "../../src/storage/outbox_write.ts";

/** What the store has shown of one session, over its whole life. */
export interface Seen {
  readonly id: string;
  version: string;
  record: SessionRecord;
  /** Counters never go back. */
  received: number;
  sent: number;
  acked: number;
  epoch: number;
  flush: number;
  /** A token of it was proven. */
  proven: boolean;
  /** Every message that was ever committed, by number. */
  readonly messages: Map<number, string>;
  /** Hashes of all tokens that were ever committed, in the order of their first commit. */
  readonly tokens: Map<string, number>;
  /** Under which epoch, and by which process, messages up to a number were accepted. */
  readonly accepted: { readonly received: number; readonly epoch: number; readonly boot: string }[];
  /** Processes that committed for it, in order of their first commit after another's. */
  readonly owners: { readonly boot: string; readonly version: string }[];
}

export class StoreWitness {
  readonly sessions = new Map<string, Seen>();
  /** Commits of cores and tombstones. */
  commits = 0;
  readonly #outbox = new Map<string, Uint8Array>();
  /** What was asked for under each attempt id. */
  readonly #attempts = new Map<string, string>();
  readonly #challenges = new Map<string, { readonly session: string; readonly createdAt: number }>();
  readonly #fail: (problem: string) => void;

  constructor(fail: (problem: string) => void) {
    this.#fail = fail;
  }

  /** An attempt id stands for one content, for ever: that is how a node knows its own write again. */
  asked(atomic: Atomic): void {
    for (const { key, value } of atomic.puts) {
      if (key[0] !== "session") continue;
      const record = decodeRecord(value);
      // The sweeper moves a tombstone's deadline and leaves the rest as it is.
      if (record.kind === "tombstone") continue;
      const { boot, epoch, flush } = record.core.attempt;
      const name = `${key[1]} ${boot} ${epoch} ${flush}`;
      const content = fingerprint(value);
      if ((this.#attempts.get(name) ?? content) !== content) this.#fail(`attempt ${name} has two contents`);
      this.#attempts.set(name, content);
    }
  }

  /** @param now The true time. */
  applied(atomic: Atomic, version: string, now: number): void {
    for (const put of atomic.puts) {
      if (put.key[0] === "outbox") this.#outbox.set(put.key.join("/"), put.value);
    }
    for (const put of atomic.puts) if (put.key[0] === "session") this.#core(put, atomic, version, now);
    for (const key of atomic.deletes) {
      if (key[0] === "outbox") this.#outbox.delete(key.join("/"));
      if (key[0] === "session") this.#removed(key[1] as string, atomic);
    }
    for (const seen of this.sessions.values()) {
      if (seen.version === version) this.#reaches(seen);
    }
  }

  /** Who accepted a message of a session, and under which epoch; undefined: nobody has. */
  acceptedBy(session: string, seq: number): { readonly epoch: number; readonly boot: string } | undefined {
    const accepted = this.sessions.get(session)?.accepted ?? [];
    let [low, high] = [0, accepted.length];
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (accepted[middle]!.received >= seq) high = middle;
      else low = middle + 1;
    }
    return accepted[low];
  }

  #core(put: Put, atomic: Atomic, version: string, now: number): void {
    const id = put.key[1] as string;
    const record = decodeRecord(put.value);
    const before = this.sessions.get(id);
    const check = atomic.checks.find(({ key }) => key[0] === "session" && key[1] === id);
    this.commits++;
    // Fencing: a commit builds on the very record that it replaces.
    if (check === undefined || check.version !== (before?.version ?? null)) {
      return this.#fail(
        `fencing: session ${id} was written over ${before?.version}, checked ${check?.version}`,
      );
    }
    const { attempt } = record.kind === "session" ? record.core : record.tombstone;
    if (before === undefined) {
      return this.#created(id, record, version, now);
    }
    before.version = version;
    before.record = record;
    if (before.owners.at(-1)!.boot !== attempt.boot) before.owners.push({ boot: attempt.boot, version });
    if (attempt.epoch < before.epoch || attempt.epoch === before.epoch && attempt.flush < before.flush) {
      this.#fail(`session ${id}: epoch/flush went back`);
    }
    before.epoch = attempt.epoch;
    before.flush = attempt.flush;
    if (record.kind === "session") this.#advanced(before, record.core);
  }

  #created(id: string, record: SessionRecord, version: string, now: number): void {
    const { attempt } = record.kind === "session" ? record.core : record.tombstone;
    const seen: Seen = {
      id,
      version,
      record,
      received: 0,
      sent: 0,
      acked: 0,
      epoch: attempt.epoch,
      flush: attempt.flush,
      proven: false,
      messages: new Map(),
      tokens: new Map(),
      accepted: [],
      owners: [{ boot: attempt.boot, version }],
    };
    this.sessions.set(id, seen);
    // One that ended before its first commit begins with its tombstone.
    if (record.kind === "tombstone") return;
    const { challenge, createdAt } = decodeIdentity(record.core.identity);
    const other = this.#challenges.get(challenge);
    // Clocks differ by seconds, so what is at the edge of the memory is left alone.
    if (other !== undefined && now < other.createdAt + CHALLENGE_MEMORY_MS - 15_000) {
      return this.#fail(`one challenge created two sessions, ${other.session} and ${id}`);
    }
    this.#challenges.set(challenge, { session: id, createdAt });
    this.#advanced(seen, record.core);
  }

  #advanced(seen: Seen, core: CoreRecord): void {
    const { id } = seen;
    if (core.received < seen.received) this.#fail(`session ${id}: received went back to ${core.received}`);
    if (core.acked < seen.acked) this.#fail(`session ${id}: acked went back to ${core.acked}`);
    if (seen.proven && core.tokens.current === null) this.#fail(`session ${id}: its proven token is gone`);
    if (core.received > seen.received) {
      seen.accepted.push({ received: core.received, epoch: core.attempt.epoch, boot: core.attempt.boot });
    }
    seen.received = core.received;
    seen.acked = core.acked;
    seen.proven = core.tokens.current !== null;
    const { current, successors } = core.tokens;
    for (const hash of current === null ? successors : [current, ...successors]) {
      if (!seen.tokens.has(hash)) seen.tokens.set(hash, seen.tokens.size);
    }
  }

  /** What the core names must be there, without a gap, and never changed. */
  #reaches(seen: Seen): void {
    const { id, record } = seen;
    if (record.kind !== "session") return;
    const { core } = record;
    let next = core.acked + 1;
    const take = (bytes: Uint8Array) => {
      for (const message of splitEncoded(bytes)) {
        if (message.seq <= core.acked) continue;
        if (message.seq !== next++) {
          return this.#fail(`session ${id}: message ${next - 1} is not in its core`);
        }
        const hash = fingerprint(message.bytes);
        const known = seen.messages.get(message.seq);
        if (known !== undefined && known !== hash) {
          return this.#fail(`session ${id}: message ${message.seq} has changed`);
        }
        seen.messages.set(message.seq, hash);
      }
    };
    for (const segment of core.segments) {
      const bytes = this.#bytesOf(id, segment);
      if (bytes === null) return this.#fail(`session ${id}: segment ${segment.first}… is not there`);
      take(bytes);
    }
    take(core.tail);
    if (next - 1 < seen.sent) {
      this.#fail(`session ${id}: messages after ${next - 1} of ${seen.sent} are lost`);
    }
    seen.sent = Math.max(seen.sent, next - 1);
  }

  #bytesOf(id: string, segment: Segment): Uint8Array | null {
    const parts: Uint8Array[] = [];
    for (const key of partKeys(id, segment)) {
      const part = this.#outbox.get(key.join("/"));
      if (part === undefined) return null;
      parts.push(part);
    }
    return join(parts, parts.reduce((sum, part) => sum + part.length, 0));
  }

  #removed(id: string, atomic: Atomic): void {
    const seen = this.sessions.get(id);
    const check = atomic.checks.find(({ key }) => key[0] === "session" && key[1] === id);
    if (seen === undefined || check === undefined || check.version !== seen.version) {
      return this.#fail(`session ${id} was removed without a check of what was removed`);
    }
    if (seen.record.kind !== "tombstone") this.#fail(`session ${id} was removed while it lived`);
  }
}

/** Enough of a message to tell it from another one of the same number. */
export function fingerprint(bytes: Uint8Array): string {
  let hash = 0x811c9dc5;
  for (const byte of bytes) hash = Math.imul(hash ^ byte, 0x01000193);
  return `${bytes.length}:${hash >>> 0}`;
}
