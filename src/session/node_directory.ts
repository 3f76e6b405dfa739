/** The nodes that are up, as the store knows them. It is for tidiness only: what is safe never depends on it. */

import type { Log } from "../observe/log.ts";
import { pack, unpack } from "../protocol/pack.ts";
import { allNodes, nodeKey } from "../storage/keys.ts";
import type { SessionStore } from "../storage/session_store.ts";
import type { Clock } from "../system/clock.ts";

/** How long a row counts after its last renewal, and how often it is renewed; milliseconds. */
export const NODE_LIFETIME_MS = 15_000;
const RENEW_EVERY_MS = NODE_LIFETIME_MS / 3;

/** A row of the directory. */
export interface NodeRow {
  readonly name: string;
  readonly expiresAt: number;
}

/** A process that has a row, whether it is up or not. */
export interface NodeProcess extends NodeRow {
  readonly boot: string;
}

/** More processes than that are not looked at. */
const MOST_NODES = 1_000;

/** The processes that have a row. One that is gone has it until a sweep has released what it left. */
export async function knownProcesses(store: SessionStore): Promise<NodeProcess[]> {
  const rows = await store.list(allNodes, { limit: MOST_NODES });
  return rows.map(({ key, value }) => ({ boot: key[1] as string, ...decodeNode(value) }));
}

/** Reads a row's value. */
export function decodeNode(value: Uint8Array): NodeRow {
  const [name, expiresAt] = unpack(value) as [string, number];
  return { name, expiresAt };
}

/**
 * Since when a session whose core says that it is attached to `boot` has had no conduit there.
 *
 * An attached session has no deadline of its own; its node's row stands for it. A node that has no row is gone for an
 * unknown time, and one that is up is about to lose the session: both count from now.
 */
export async function detachedSince(store: SessionStore, boot: string, now: number): Promise<number> {
  const [row] = await store.get([nodeKey(boot)]);
  return row === null || row === undefined ? now : Math.min(now, decodeNode(row.value).expiresAt);
}

/** Keeps this node's own row. */
export class NodeDirectory {
  readonly #store: SessionStore;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #boot: string;
  readonly #name: string;
  #cancel: (() => void) | null = null;
  #renewing: Promise<void> | null = null;
  #stopped = false;
  /** Since when the row has been renewed without a gap; null: not at all. */
  #steadySince: number | null = null;
  #expiresAt = 0;

  constructor(store: SessionStore, clock: Clock, log: Log, boot: string, name: string) {
    this.#store = store;
    this.#clock = clock;
    this.#log = log;
    this.#boot = boot;
    this.#name = name;
  }

  /** Writes the row, and again every few seconds until {@link stop}. */
  start(): void {
    this.#renewing = this.#renew().finally(() => {
      this.#renewing = null;
      if (this.#stopped) return;
      this.#cancel = this.#clock.wakeAt(this.#clock.now() + RENEW_EVERY_MS, () => this.start());
    });
  }

  /**
   * True once the own row was renewed for a full lifetime: a store that was away makes all rows look old, and whoever
   * comes back first must not judge the others by that.
   */
  mayJudge(now: number): boolean {
    return this.#steadySince !== null && now >= this.#steadySince + NODE_LIFETIME_MS && now < this.#expiresAt;
  }

  /** Removes the row: this node holds no session any more. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#cancel?.();
    await this.#renewing;
    await this.#store.atomic({ checks: [], puts: [], deletes: [nodeKey(this.#boot)] });
  }

  async #renew(): Promise<void> {
    const now = this.#clock.now();
    const expiresAt = now + NODE_LIFETIME_MS;
    try {
      const value = pack([this.#name, expiresAt]);
      await this.#store.atomic({ checks: [], puts: [{ key: nodeKey(this.#boot), value }], deletes: [] });
    } catch (error) {
      return this.#log.warn("node-row-not-renewed", { error: String(error) });
    }
    if (this.#steadySince === null || now > this.#expiresAt) this.#steadySince = now;
    this.#expiresAt = expiresAt;
  }
}
