/** Lists and shows sessions, those of this node's memory and those of the store, without touching any. */

import { OPERATOR } from "../access/authenticator.ts";
import { knownProcesses, type NodeRow } from "../session/node_directory.ts";
import type { SessionRegistry } from "../session/session_registry.ts";
import * as keys from "../storage/keys.ts";
import { loadServices, loadSession } from "../storage/session_load.ts";
import { decodeHistory, decodeRecord } from "../storage/session_record.ts";
import type { Range, SessionStore, StoredEntry } from "../storage/session_store.ts";
import { hashOf } from "../system/hash.ts";
import { decodeCursor, encodeCursor, type Place } from "./cursor.ts";
import * as views from "./session_view.ts";

/** Which sessions are listed; what is absent matches all. */
export interface SessionFilter {
  readonly principal?: string | undefined;
  readonly state?: views.ViewedState | undefined;
  /** A node's name, or its process. */
  readonly node?: string | undefined;
  /** A service that one of its connections is for. */
  readonly service?: string | undefined;
  /** Milliseconds since it was created, at least and at most. */
  readonly minAge?: number | undefined;
  readonly maxAge?: number | undefined;
}

/** A part of a listing. It may be shorter than asked for, or empty, and yet not be the last: only `next` tells. */
export interface SessionPage {
  readonly sessions: readonly views.SessionSummary[];
  /** The cursor of the next part; null: this was the last. */
  readonly next: string | null;
}

/** What one part may look at in the store: a filter that matches little must not read everything at once. */
const MOST_EXAMINED = 1_000;
const BATCH = 100;
/** Sessions whose connections are read at once: one's may be as large as all that it keeps. */
const MOST_LOADED = 4;

/** Sorts after every string that a key of ours holds. */
const LAST = "\uffff";

interface ListContext extends views.ViewContext {
  /** The processes that are up of a node, or the one of this id. */
  readonly processesOf: (node: string) => string[];
}

export class SessionList {
  readonly #registry: SessionRegistry;
  readonly #store: SessionStore;

  constructor(registry: SessionRegistry) {
    this.#registry = registry;
    this.#store = registry.options.store;
  }

  /**
   * Lists sessions: first the ephemeral ones of this node, then those of the store; each group in an order that stays. Those of
   * operators are left out, unless they are asked for by their principal.
   *
   * @throws {InvalidCursor} For a cursor of another listing.
   */
  async page(filter: SessionFilter, limit: number, cursor?: string): Promise<SessionPage> {
    const question = JSON.stringify(filter, Object.keys(filter).sort());
    const place = cursor === undefined ? undefined : decodeCursor(question, cursor);
    const context = await this.#context();
    const sessions: views.SessionSummary[] = [];
    if (place?.in !== "store") {
      const here = this.#ephemeral(filter, limit + 1, place?.after ?? "", context);
      sessions.push(...here.slice(0, limit));
      if (here.length > limit) {
        return { sessions, next: encodeCursor(question, { in: "memory", after: sessions.at(-1)!.id }) };
      }
    }
    const rest = await this.#stored(filter, limit - sessions.length, place, context);
    sessions.push(...rest.sessions);
    return { sessions, next: rest.place === null ? null : encodeCursor(question, rest.place) };
  }

  /** Everything about one session; null: nobody knows it. */
  async show(session: string): Promise<views.SessionDetail | null> {
    const runner = this.#registry.find(session);
    if (runner !== undefined) {
      return { ...views.viewState(runner.state, this.#registry), ...views.detailOf(runner.state) };
    }
    for (;;) {
      const loaded = await loadSession(this.#store, session);
      switch (loaded.kind) {
        case "unknown":
          return null;
        case "tombstone": {
          const [kept] = await this.#store.get([keys.historyKey(session)]);
          const history = kept === null || kept === undefined ? [] : decodeHistory(kept.value);
          return {
            ...views.viewTombstone(session, loaded.tombstone),
            connections: [],
            counters: null,
            history,
          };
        }
        case "moved":
          continue;
        case "session": {
          const [entry] = await this.#store.get([keys.sessionKey(session)]);
          const record = entry === null || entry === undefined ? undefined : decodeRecord(entry.value);
          // It was committed once more, or ended, since it was loaded.
          if (entry?.version !== loaded.stored.version || record?.kind !== "session") continue;
          return { ...views.viewCore(record.core, await this.#context()), ...views.detailOf(loaded.state) };
        }
        default:
          return loaded satisfies never;
      }
    }
  }

  async #context(): Promise<ListContext> {
    const { clock, node, boot, parkAfter } = this.#registry;
    const now = clock.now();
    const live = new Map<string, NodeRow>();
    for (const row of await knownProcesses(this.#store)) if (row.expiresAt > now) live.set(row.boot, row);
    live.set(boot, { name: node, expiresAt: Infinity });
    return {
      now,
      node,
      parkAfter,
      liveNode: (process) => live.get(process)?.name,
      remembered: (session) => this.#registry.find(session) !== undefined,
      processesOf: (named) =>
        [...live].filter(([process, row]) => process === named || row.name === named).map(([process]) =>
          process
        ).sort(),
    };
  }

  /** The first sessions after an id that are nowhere but here. */
  #ephemeral(
    filter: SessionFilter,
    limit: number,
    after: string,
    context: views.ViewContext,
  ): views.SessionSummary[] {
    const first: string[] = [];
    for (const { state } of this.#registry.sessions()) {
      const { id, settings } = state;
      if (settings.durability !== "ephemeral" || id <= after) continue;
      if (first.length === limit && id > first.at(-1)!) continue;
      const view = views.viewState(state, context);
      if (!matches(view, filter, context, this.#registry.boot)) continue;
      if (filter.service !== undefined && !offers(state.mux.connections.values(), filter.service)) continue;
      first.splice(placeOf(first, id), 0, id);
      if (first.length > limit) first.pop();
    }
    return first.flatMap((id) => {
      const runner = this.#registry.find(id);
      return runner === undefined ? [] : [views.viewState(runner.state, context)];
    });
  }

  async #stored(
    filter: SessionFilter,
    limit: number,
    place: Place | undefined,
    context: ListContext,
  ): Promise<{ readonly sessions: views.SessionSummary[]; readonly place: Place | null }> {
    const ranges = rangesOf(filter, context);
    const byIndex = ranges[0] !== keys.allSessions;
    let after = place?.in === "store" ? place.after : [];
    const sessions: views.SessionSummary[] = [];
    let examined = 0;
    for (const range of ranges) {
      if (!isBefore(after, range)) continue;
      for (;;) {
        if (sessions.length >= limit || examined >= MOST_EXAMINED) {
          return { sessions, place: { in: "store", after } };
        }
        const rest = restOf(range, after);
        const most = Math.min(BATCH, Math.max(limit - sessions.length, 1));
        const rows = await this.#store.list(rest, { limit: most });
        examined += rows.length;
        const cores = byIndex ? await this.#coresOf(rows) : rows;
        sessions.push(...await this.#matching(cores, filter, context));
        const last = rows.at(-1);
        if (last !== undefined) after = last.key.slice(1) as string[];
        if (rows.length < most) break;
      }
    }
    return { sessions, place: null };
  }

  async #coresOf(rows: readonly StoredEntry[]): Promise<StoredEntry[]> {
    const cores = await this.#store.get(rows.map(({ key }) => keys.sessionKey(key[2] as string)));
    return cores.filter((entry) => entry !== null);
  }

  async #matching(
    cores: readonly StoredEntry[],
    filter: SessionFilter,
    context: views.ViewContext,
  ): Promise<views.SessionSummary[]> {
    const found: views.SessionSummary[] = [];
    for (const { key, value } of cores) {
      const record = decodeRecord(value);
      const view = record.kind === "session"
        ? views.viewCore(record.core, context)
        : views.viewTombstone(key[1] as string, record.tombstone);
      const boot = record.kind === "session" ? record.core.attachedTo : null;
      if (matches(view, filter, context, boot)) found.push(view);
    }
    const { service } = filter;
    if (service === undefined) return found;
    const serving: views.SessionSummary[] = [];
    for (let from = 0; from < found.length; from += MOST_LOADED) {
      const some = found.slice(from, from + MOST_LOADED);
      const services = await Promise.all(some.map(({ id }) => loadServices(this.#store, id)));
      serving.push(...some.filter((_, index) => services[index]!.has(service)));
    }
    return serving;
  }
}

function matches(
  view: views.SessionSummary,
  filter: SessionFilter,
  { now }: Pick<views.ViewContext, "now">,
  boot: string | null,
): boolean {
  const { principal, state, node, minAge, maxAge } = filter;
  const age = now - view.createdAt;
  return (principal === undefined ? view.principal !== OPERATOR : view.principal === principal) &&
    (state === undefined || view.state === state) &&
    (node === undefined || view.node !== null && (view.node === node || boot === node)) &&
    (minAge === undefined || age >= minAge) && (maxAge === undefined || age <= maxAge);
}

function offers(connections: Iterable<{ readonly service: string }>, service: string): boolean {
  for (const connection of connections) if (connection.service === service) return true;
  return false;
}

/** What a listing reads: an index, if one holds all that can match. */
function rangesOf({ state, node, principal }: SessionFilter, context: ListContext): readonly Range[] {
  if (node !== undefined) return context.processesOf(node).map(keys.attachedTo);
  // Those that have ended are in no index.
  if (principal !== undefined && state !== undefined && state !== "ended") {
    return [keys.principalOf(hashOf(principal))];
  }
  return [state === "attached" ? keys.allAttached : keys.allSessions];
}

/** What of a range comes after `after`. */
function restOf(range: Range, after: readonly string[]): Range {
  const [kind, boot] = range.prefix as [string, string?];
  const begun = after.length > 0 && (boot === undefined || boot === after[0]);
  return begun ? { ...range, start: [kind, ...after, LAST] } : range;
}

/** False if a listing that is after `after` is through with all of a range. */
function isBefore(after: readonly string[], range: Range): boolean {
  const [, boot] = range.prefix as [string, string?];
  const [reached] = after;
  return boot === undefined || reached === undefined || boot >= reached;
}

function placeOf(sorted: readonly string[], id: string): number {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (sorted[middle]! < id) low = middle + 1;
    else high = middle;
  }
  return low;
}
