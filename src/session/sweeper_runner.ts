/**
 * Ends on time what nobody attends, lets go of what other nodes took, and takes over what lost nodes left behind, by the
 * store's indexes.
 *
 * Any node may sweep. Each ending is a commit that checks the version of what was read, so it happens once; a row that
 * turns out to be old is removed under the same check.
 */

import type { Log } from "../observe/log.ts";
import * as keys from "../storage/keys.ts";
import { loadSession } from "../storage/session_load.ts";
import { encodeTombstone, type Tombstone } from "../storage/session_record.ts";
import type { Range, SessionStore, StoredEntry, StoreKey, Version } from "../storage/session_store.ts";
import type { StoredSession } from "../storage/session_write.ts";
import type { Clock } from "../system/clock.ts";
import { withEntry } from "./history.ts";
import { decodeNode, NODE_LIFETIME_MS, type NodeDirectory } from "./node_directory.ts";
import type { SessionRegistry } from "./session_registry.ts";
import type { SessionRunner } from "./session_runner.ts";
import { endingDue } from "./session_state.ts";

/** How late an ending may be when no timer of this node's memory stands for it; milliseconds. */
export const SWEEP_EVERY_MS = 1_000;

/** Lost nodes are looked for this often; milliseconds. */
const LOST_NODES_EVERY_MS = 5_000;

/** Rows read, and keys deleted, in one step. */
const BATCH = 100;

/** Sorts after every string that a key of ours holds. */
const LAST = "\uffff";

export class Sweeper {
  readonly #registry: SessionRegistry;
  readonly #store: SessionStore;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #directory: NodeDirectory;
  #cancel: (() => void) | null = null;
  #sweeping: Promise<void> | null = null;
  #stopped = false;
  #lostNodesAt = 0;
  /** Processes that have sessions and no row, and until when they are waited for. */
  readonly #rowless = new Map<string, number>();

  constructor(registry: SessionRegistry, directory: NodeDirectory) {
    this.#registry = registry;
    this.#store = registry.options.store;
    this.#clock = registry.clock;
    this.#log = registry.log;
    this.#directory = directory;
  }

  /** Sweeps every second until {@link stop}; a store that is away is tried again then. */
  start(): void {
    this.#cancel = this.#clock.wakeAt(this.#clock.now() + SWEEP_EVERY_MS, () => {
      this.#sweeping = this.sweep()
        .catch((error: unknown) => {
          this.#registry.metrics.sweepFailed();
          this.#log.warn("sweep-failed", { error: String(error) });
        })
        .finally(() => {
          this.#sweeping = null;
          if (!this.#stopped) this.start();
        });
    });
  }

  /** Resolves when the sweep under way, if there is one, is done. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#cancel?.();
    await this.#sweeping;
  }

  /** One sweep: every deadline that is due, and now and then the sessions of lost nodes. */
  async sweep(): Promise<void> {
    await this.#sweepMoved();
    await this.#sweepLost();
    this.#registry.metrics.swept(await this.#sweepDeadlines());
    const now = this.#clock.now();
    if (now < this.#lostNodesAt) return;
    this.#lostNodesAt = now + LOST_NODES_EVERY_MS;
    if (this.#directory.mayJudge(now)) await this.#sweepLostNodes(now);
  }

  /** Lets go of the sessions that other nodes took, and closes their conduits here (`resume.anywhere`). */
  async #sweepMoved(): Promise<void> {
    const rows = await this.#store.list(keys.movedFrom(this.#registry.boot), { limit: BATCH });
    for (const { key } of rows) {
      await this.#registry.find(key[2] as string)?.confirmOwnership();
      await this.#store.atomic({ checks: [], puts: [], deletes: [key] });
    }
  }

  /**
   * Looks after the sessions that this node gave up because a commit of theirs failed: one that is nobody else's (the
   * commit could not even be made) is detached from now on, or it would count as attached here for ever.
   */
  async #sweepLost(): Promise<void> {
    const { boot, lost } = this.#registry;
    for (const session of lost) {
      await this.#release(keys.attachedKey(boot, session), session, boot, this.#clock.now());
      lost.delete(session);
    }
  }

  /** @returns How late the oldest ending was that no memory here stands for; milliseconds. */
  async #sweepDeadlines(): Promise<number> {
    let lag = 0;
    for (;;) {
      const due = await this.#store.list(keys.deadlinesUntil(this.#clock.now() + 1), { limit: BATCH });
      const here = due.filter(({ key }) => this.#registry.find(key[2] as string) !== undefined);
      const others = due.filter((row) => !here.includes(row));
      const [oldest] = others;
      if (oldest !== undefined) lag = Math.max(lag, this.#clock.now() - (oldest.key[1] as number));
      // Nodes that sweep at the same time begin at different places.
      for (const row of rotated(others, this.#clock.now())) await this.#settleDeadline(row);
      if (due.length < BATCH || others.length === 0 || this.#stopped) return lag;
    }
  }

  async #settleDeadline(row: StoredEntry): Promise<void> {
    const [, at, session] = row.key as [string, number, string];
    await this.#registry.decideAlone(session, async () => {
      if (this.#registry.find(session) !== undefined) return;
      const loaded = await loadSession(this.#store, session);
      switch (loaded.kind) {
        case "moved":
          return;
        case "unknown":
          return void await this.#delete([row.key], keys.sessionKey(session), null);
        case "tombstone":
          return await this.#settleTombstone(session, loaded.tombstone, loaded.version, row.key);
        case "session": {
          const { state, stored } = loaded;
          if (stored.deadline !== at) {
            return void await this.#delete([row.key], keys.sessionKey(session), stored.version!);
          }
          const due = endingDue(state, this.#clock.now());
          if (due === null && await this.#isWorkedOn(stored.pendingAt)) return;
          const runner = this.#registry.restore(state, stored);
          if (due === null) return await this.#takeUp(runner);
          runner.end(due.reason, due.detail);
          return await runner.whenCommitted();
        }
        default:
          return loaded satisfies never;
      }
    });
  }

  /** Removes what the ending left behind; the tombstone itself once it need not be remembered. */
  async #settleTombstone(
    session: string,
    tombstone: Tombstone,
    version: Version,
    row: StoreKey,
  ): Promise<void> {
    const core = keys.sessionKey(session);
    const { outboxOf, connectionsOf, keptOf, workOf, chunksOf } = keys;
    for (const range of [outboxOf, connectionsOf, keptOf, workOf, chunksOf].map((of) => of(session))) {
      for (;;) {
        const left = await this.#store.list(range, { limit: BATCH });
        if (left.length === 0) break;
        if (!await this.#delete(left.map((entry) => entry.key), core, version)) return;
      }
    }
    if (tombstone.until <= this.#clock.now()) {
      return void await this.#delete([core, row, keys.historyKey(session)], core, version);
    }
    const moved = encodeTombstone({ ...tombstone, deadline: tombstone.until });
    const put = { key: keys.deadlineKey(tombstone.until, session), value: new Uint8Array(0) };
    const puts = [{ key: core, value: moved }, put];
    await this.#store.atomic({ checks: [{ key: core, version }], puts, deletes: [row] });
  }

  async #sweepLostNodes(now: number): Promise<void> {
    for (const all of [keys.allAttached, keys.allPending]) {
      for (let range = all;;) {
        const [first] = await this.#store.list(range, { limit: 1 });
        if (first === undefined) break;
        const boot = first.key[1] as string;
        range = { ...all, start: [...all.prefix, boot, LAST] };
        if (boot === this.#registry.boot) continue;
        const expiresAt = await this.#expiryOf(boot, now);
        if (expiresAt <= now) {
          await this.#releaseSessionsOf(boot, { ...all, prefix: [...all.prefix, boot] }, expiresAt);
        }
      }
    }
    for (const [boot, until] of this.#rowless) if (until <= now) this.#rowless.delete(boot);
    for (const row of await this.#store.list(keys.allNodes, { limit: BATCH })) {
      const boot = row.key[1] as string;
      if (decodeNode(row.value).expiresAt > now || boot === this.#registry.boot) continue;
      const attached = await this.#store.list(keys.attachedTo(boot), { limit: 1 });
      const pending = await this.#store.list(keys.pendingOf(boot), { limit: 1 });
      if (attached.length + pending.length === 0) await this.#delete([row.key], row.key, row.version);
    }
  }

  async #expiryOf(boot: string, now: number): Promise<number> {
    const [row] = await this.#store.get([keys.nodeKey(boot)]);
    return row === null || row === undefined
      ? this.#rowlessUntil(boot, now)
      : decodeNode(row.value).expiresAt;
  }

  /** True if another process that is up has work of a session's. */
  async #isWorkedOn(boot: string | null): Promise<boolean> {
    if (boot === null || boot === this.#registry.boot) return false;
    return await this.#expiryOf(boot, this.#clock.now()) > this.#clock.now();
  }

  /** A process without a row may only just have begun: it has a lifetime to write one before it counts as lost. */
  #rowlessUntil(boot: string, now: number): number {
    const until = this.#rowless.get(boot) ?? now + NODE_LIFETIME_MS;
    this.#rowless.set(boot, until);
    return until;
  }

  /** Detaches, as of `since`, every session that a lost node still seems to have, and takes up the work it left. */
  async #releaseSessionsOf(boot: string, range: Range, since: number): Promise<void> {
    let released = 0;
    for (let start: StoreKey | null = null; !this.#stopped;) {
      const rows = await this.#store.list(start === null ? range : { ...range, start }, { limit: BATCH });
      for (const { key } of rows) await this.#release(key, key[2] as string, boot, since);
      released += rows.length;
      if (rows.length < BATCH) break;
      start = [...rows.at(-1)!.key, LAST];
    }
    this.#log.info("lost-node-released", { boot, sessions: released });
  }

  async #release(row: StoreKey, session: string, boot: string, since: number): Promise<void> {
    await this.#registry.decideAlone(session, async () => {
      // What is in memory here may be from before the lost node had it.
      await this.#registry.find(session)?.confirmOwnership();
      if (this.#registry.find(session) !== undefined) return;
      const loaded = await loadSession(this.#store, session);
      if (loaded.kind === "moved") return;
      const version = loaded.kind === "session"
        ? loaded.stored.version
        : loaded.kind === "tombstone"
        ? loaded.version
        : null;
      if (loaded.kind !== "session" || !isOf(loaded.stored, boot)) {
        return void await this.#delete([row], keys.sessionKey(session), version);
      }
      const { state, stored } = loaded;
      if (stored.attachedTo === boot) {
        state.detachedAt = since;
        state.history = withEntry(state.history, { kind: "detached", at: since, reason: "node-lost" });
      }
      await this.#takeUp(this.#registry.restore(state, stored));
    });
  }

  /**
   * Writes a session as it is, which puts its index rows right. One that has work stays in this node's memory, where the work
   * is taken up: acked means that it will be done, also if no client comes back.
   */
  async #takeUp(runner: SessionRunner): Promise<void> {
    const works = runner.state.work.size > 0;
    if (works) this.#registry.adopt(runner);
    await runner.confirmOwnership();
    if (!works) runner.park();
  }

  /** Deletes keys if `guard` still has the version that was read. If not (false), somebody else is at it. */
  async #delete(deletes: readonly StoreKey[], guard: StoreKey, version: Version | null): Promise<boolean> {
    return (await this.#store.atomic({ checks: [{ key: guard, version }], puts: [], deletes })).ok;
  }
}

function rotated<T>(items: readonly T[], by: number): T[] {
  if (items.length === 0) return [];
  const at = by % items.length;
  return [...items.slice(at), ...items.slice(0, at)];
}

function isOf({ attachedTo, pendingAt }: StoredSession, boot: string): boolean {
  return attachedTo === boot || pendingAt === boot;
}
