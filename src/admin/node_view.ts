/** A node and its store as an operator sees them. */

import type { CountedMetrics } from "../observe/counted_metrics.ts";
import type { NodeLevels } from "../observe/node_metrics.ts";
import type { Reason } from "../protocol/reasons.ts";
import type { SessionRegistry } from "../session/session_registry.ts";
import type { SettingDescription } from "../settings.ts";
import type { CommitterStats } from "../storage/committer_stats.ts";
import type { Range } from "../storage/session_store.ts";

/** What a node is shown by, beside its sessions. */
export interface NodeFacts {
  readonly settings: { readonly [name: string]: SettingDescription };
  /** The environment that the settings were read from. */
  readonly env: { readonly [name: string]: string };
  readonly memory: () => { readonly rss: number; readonly heapUsed: number };
  /** What it holds now. */
  readonly levels: () => NodeLevels;
  /** What happened on this node since its start. */
  readonly counts: () => NodeCounts;
  /** The size of the store's file in bytes; null where it is not a file. */
  readonly storeBytes: () => Promise<number | null>;
}

/** Totals since the node's start. */
export interface NodeCounts {
  readonly newSessions: number;
  readonly resumed: number;
  readonly messagesIn: number;
  readonly messagesOut: number;
  readonly replayed: number;
  /** Handshakes that were refused, by reason. */
  readonly refused: { readonly reason: Reason; readonly count: number }[];
  /** Sessions that ended, by reason. */
  readonly ended: { readonly reason: Reason; readonly count: number }[];
}

/** The totals that an admin page shows, read off the node's metrics; reasons that did not occur are left out. */
export function countsOf(metrics: CountedMetrics): NodeCounts {
  const { sessionsNew: newSessions, sessionsResumed: resumed, messagesIn, messagesOut, replayed } = metrics;
  const byReason = (counts: ReadonlyMap<Reason, number>) =>
    [...counts].filter(([, count]) => count > 0).map(([reason, count]) => ({ reason, count }));
  return {
    ...{ newSessions, resumed, messagesIn, messagesOut, replayed },
    refused: byReason(metrics.refusedBy.counts),
    ended: byReason(metrics.endedBy.counts),
  };
}

/** Rows of one kind are counted up to here. */
const MOST_COUNTED = 10_000;
const BATCH = 1_000;

/** Sorts after every string that a key of ours holds. */
const LAST = "\uffff";

const KINDS = ["session", "connection", "outbox", "deadline", "attached", "operation", "data"] as const;

/** How many rows of a kind there are; `capped`: at least so many. */
export interface Counted {
  readonly rows: number;
  readonly capped: boolean;
}

/** {@link NodeView.pulse}. */
export type NodePulse = ReturnType<NodeView["pulse"]>;

export class NodeView {
  readonly #registry: SessionRegistry;
  readonly #facts: NodeFacts;
  readonly #startedAt: number;

  constructor(registry: SessionRegistry, facts: NodeFacts) {
    this.#registry = registry;
    this.#facts = facts;
    this.#startedAt = registry.clock.now();
  }

  /** Milliseconds since the Unix epoch. */
  now(): number {
    return this.#registry.clock.now();
  }

  /** Every service, and how many connections of this node's memory it has. */
  services(): { name: string; connections: number }[] {
    const connections = new Map([...this.#registry.services.keys()].map((name) => [name, 0]));
    for (const { state } of this.#registry.sessions()) {
      for (const { service } of state.mux.connections.values()) {
        const known = connections.get(service);
        if (known !== undefined) connections.set(service, known + 1);
      }
    }
    return [...connections].map(([name, count]) => ({ name, connections: count }));
  }

  /** The node; its settings without what is secret. */
  node() {
    return { ...this.pulse(), settings: this.#settings() };
  }

  /** The node at this moment. */
  pulse() {
    const { node, boot, region } = this.#registry;
    const levels = this.#facts.levels();
    const { attached, detached, operators, draining, conduits } = levels;
    const { work, operations, upstreamSockets } = levels;
    const { rss, heapUsed } = this.#facts.memory();
    return {
      ...{ node, boot, draining, conduits, startedAt: this.#startedAt },
      region: region ?? null,
      sessions: { attached, detached, operators },
      ...{ work, operations, upstreamSockets },
      counts: this.#facts.counts(),
      memory: { rss, heapUsed },
    };
  }

  /** What the store holds, and what this node wrote. */
  async store(): Promise<
    { bytes: number | null; rows: Record<typeof KINDS[number], Counted>; committer: CommitterStats }
  > {
    const counted = await Promise.all(
      KINDS.map(async (kind) => [kind, await this.#count({ prefix: [kind] })] as const),
    );
    return {
      bytes: await this.#facts.storeBytes(),
      rows: Object.fromEntries(counted) as Record<typeof KINDS[number], Counted>,
      committer: this.#registry.committer.stats,
    };
  }

  async #count(range: Range): Promise<Counted> {
    const { store } = this.#registry.options;
    let rows = 0;
    let rest = range;
    while (rows < MOST_COUNTED) {
      const part = await store.list(rest, { limit: BATCH });
      rows += part.length;
      const last = part.at(-1);
      if (part.length < BATCH || last === undefined) return { rows, capped: false };
      rest = { ...range, start: [...last.key, LAST] };
    }
    return { rows, capped: true };
  }

  #settings(): { name: string; value: string | null; set: boolean; doc: string }[] {
    const { settings, env } = this.#facts;
    return Object.entries(settings).map(([name, { fallback, secret, doc }]) => {
      const given = env[name];
      const value = secret === true ? null : withoutCredentials(given ?? fallback ?? "") || null;
      return { name, value, set: given !== undefined, doc };
    });
  }
}

/** A URL's user and password, and what follows its `?`, are nobody's to see. */
function withoutCredentials(text: string): string {
  return text.replace(/\/\/[^/@\s]*@/g, "//…@").replace(/\?.*$/, "?…");
}
