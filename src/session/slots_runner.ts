/**
 * Counts what sessions take and says when there is no room: per node, per principal, and for anonymous sessions together.
 *
 * Nothing is counted beside the sessions themselves: a node's are those in its memory, a principal's those that the store's
 * index and this node's memory hold. So a slot is free when its session is gone, whatever path it went.
 */

import { ANONYMOUS, type Grant, OPERATOR } from "../access/authenticator.ts";
import { decodePrincipalRow } from "../storage/session_record.ts";
import { principalOf } from "../storage/keys.ts";
import { loadSession } from "../storage/session_load.ts";
import type { StoredEntry, StoreKey } from "../storage/session_store.ts";
import { hashOf } from "../system/hash.ts";
import type { Refusal } from "./admission_state.ts";
import type { SessionRegistry } from "./session_registry.ts";
import type { SessionRunner } from "./session_runner.ts";

/** What the sessions of one node, one principal and of nobody in particular may take. */
export interface SlotLimits {
  /** Sessions in one node's memory. */
  readonly sessionsPerNode: number;
  /** Sessions of one principal, on all nodes. */
  readonly sessionsPerPrincipal: number;
  /** Whether a principal's oldest detached session is ended instead of refusing a new one. */
  readonly supersedeOldest: boolean;
  /** What anonymous sessions may store together. */
  readonly anonymousBytes: number;
}

/** The defaults of the settings. */
export const DEFAULT_SLOTS: SlotLimits = {
  sessionsPerNode: 65_535,
  sessionsPerPrincipal: 1_008,
  supersedeOldest: false,
  anonymousBytes: 1024 * 1024 * 1024,
};

/** What a session stores at least, as far as the common bound is concerned. */
export const SESSION_BYTES = 4 * 1024;

/** What an anonymous session may keep for its client once all of them together store too much. */
export const CROWDED_BYTES = 64 * 1024;

/** When a client that found no room may try again. Milliseconds. */
const RETRY_AFTER_MS = 5_000;

/** The store's index of anonymous sessions is added up at most this often; milliseconds. */
const MEASURE_EVERY_MS = 10_000;

/** Adding up may take this part of the time at most: a measure that took long is followed by a longer pause. */
const MEASURE_PAUSE = 50;

/** Rows read in one step. */
const BATCH = 500;

/** Detached sessions that are looked for among this many of a principal's oldest. */
const SUPERSEDE_AMONG = 32;

/** The node has all the sessions it may have. */
export const NODE_FULL: Refusal = {
  reason: "no-slots",
  detail: "this node has as many sessions as it may have",
  retryAfter: RETRY_AFTER_MS,
};

const ANONYMOUS_FULL: Refusal = {
  reason: "no-slots",
  detail: "anonymous sessions store as much as they may together",
  retryAfter: RETRY_AFTER_MS,
};

function tooMany(held: number, most: number): Refusal {
  return {
    reason: "too-many-sessions",
    detail: `this principal holds ${held} sessions of at most ${most}`,
    retryAfter: RETRY_AFTER_MS,
  };
}

/** One session of a principal. */
interface Held {
  readonly id: string;
  readonly createdAt: number;
}

export class Slots {
  readonly #registry: SessionRegistry;
  readonly #limits: SlotLimits;
  /** What the store's index said last, and what this node's sessions have added since. */
  #measured = 0;
  #added = 0;
  #measureAt = -Infinity;
  #measuring = false;

  constructor(registry: SessionRegistry, limits: SlotLimits) {
    this.#registry = registry;
    this.#limits = limits;
  }

  /** True if this node's memory may hold no further session. */
  get nodeFull(): boolean {
    return this.#registry.size >= this.#limits.sessionsPerNode;
  }

  /** Bytes that anonymous sessions store together, as last measured and with what was added here since. */
  get anonymousBytes(): number {
    return this.#measured + this.#added;
  }

  /** What one session of this principal may retain just now; the session's own limit holds as well. */
  storedBytesFor(principal: string): number {
    return principal === ANONYMOUS && this.anonymousBytes > this.#limits.anonymousBytes
      ? CROWDED_BYTES
      : Infinity;
  }

  /** A commit made a session store this much more, or less. */
  stored(principal: string, bytes: number): void {
    if (principal !== ANONYMOUS || bytes === 0) return;
    this.#added += bytes;
    void this.#measure();
  }

  /**
   * Makes a new session if there is room for it. Across nodes, each may make one more at the same time than allowed.
   *
   * Operators are counted on this node alone, and so the store is not asked: they are to see a node whose store is away.
   *
   * @param make Makes the session and keeps it in memory; called in the very moment in which there is room.
   */
  async make(grant: Grant, make: () => SessionRunner): Promise<SessionRunner | Refusal> {
    const { principal } = grant;
    if (principal === ANONYMOUS) {
      void this.#measure();
      if (this.anonymousBytes + SESSION_BYTES > this.#limits.anonymousBytes) return ANONYMOUS_FULL;
      return this.nodeFull ? NODE_FULL : make();
    }
    const most = grant.limits.sessions ?? this.#limits.sessionsPerPrincipal;
    for (let mayEndOne = this.#limits.supersedeOldest;;) {
      const rows = principal === OPERATOR ? [] : await this.#rowsOf(principal, most);
      const held = this.#heldBy(principal, rows);
      if (held.length < most) return this.nodeFull && principal !== OPERATOR ? NODE_FULL : make();
      if (!mayEndOne || !await this.#supersede(held)) return tooMany(held.length, most);
      mayEndOne = false;
    }
  }

  /** What the index holds of a principal: as many rows as it takes to see that there are too many. */
  #rowsOf(principal: string, most: number): Promise<StoredEntry[]> {
    return this.#registry.options.store.list(principalOf(hashOf(principal)), { limit: most + 1 });
  }

  /** A principal's sessions, oldest first: those that the index had, and those that are in memory now. */
  #heldBy(principal: string, rows: readonly StoredEntry[]): Held[] {
    const held = new Map<string, Held>();
    for (const { key, value } of rows) {
      const id = key[2] as string;
      held.set(id, { id, createdAt: decodePrincipalRow(value).createdAt });
    }
    for (const { state: { id, createdAt } } of this.#registry.sessionsOf(principal)) {
      held.set(id, { id, createdAt });
    }
    return [...held.values()].sort((a, b) => a.createdAt - b.createdAt);
  }

  /** Ends the oldest session that nobody attends. @returns False if there is none among the oldest. */
  async #supersede(held: readonly Held[]): Promise<boolean> {
    for (const { id } of held.slice(0, SUPERSEDE_AMONG)) {
      const ended = await this.#registry.decideAlone(id, async () => {
        const runner = this.#registry.find(id) ?? await this.#restoreDetached(id);
        if (runner === null || runner.state.detachedAt === null || runner.state.attaching !== null) {
          return false;
        }
        this.#registry.adopt(runner);
        runner.end("ended", "superseded by a newer session of the same principal");
        await runner.whenCommitted();
        this.#registry.log.info("session-superseded", { session: id });
        return true;
      });
      if (ended) return true;
    }
    return false;
  }

  async #restoreDetached(id: string): Promise<SessionRunner | null> {
    const loaded = await loadSession(this.#registry.options.store, id);
    if (loaded.kind !== "session" || loaded.owner !== null) return null;
    return this.#registry.restore(loaded.state, loaded.stored);
  }

  /** Adds up the index of anonymous sessions, if that is due. */
  async #measure(): Promise<void> {
    const { clock, log, options: { store } } = this.#registry;
    const began = clock.now();
    if (this.#measuring || began < this.#measureAt) return;
    this.#measuring = true;
    const before = this.#added;
    try {
      const range = principalOf(hashOf(ANONYMOUS));
      let sum = 0;
      for (let start: StoreKey | null = null;;) {
        const rows = await store.list(start === null ? range : { ...range, start }, { limit: BATCH });
        for (const { value } of rows) sum += SESSION_BYTES + decodePrincipalRow(value).held;
        if (rows.length < BATCH) break;
        // The same row again would be the first of the next step: an id never ends in a low character.
        start = [...rows.at(-1)!.key.slice(0, -1), `${rows.at(-1)!.key.at(-1)}\u0000`];
      }
      this.#measured = sum;
      // What was added while it was added up may count twice until the next measure, but never not at all.
      this.#added -= before;
    } catch (error) {
      log.warn("anonymous-sessions-not-measured", { error: String(error) });
    } finally {
      const ended = clock.now();
      this.#measureAt = ended + Math.max(MEASURE_EVERY_MS, MEASURE_PAUSE * (ended - began));
      this.#measuring = false;
    }
  }
}
