/** Judges what nodes hold in memory: deadlines, credit, work, and what must be gone at the end. */

import type { SessionRunner } from "../../src/session/session_runner.ts";
import type { Books } from "./caller_model.ts";
import type { Cluster } from "./cluster.ts";
import type { ForeignClient } from "./foreign_client.ts";
import { SdkClient } from "./sdk_client.ts";

/** How late a deadline may be: clocks jump, and timers go by the machine's own time. */
const OVERDUE_MS = 10_000;

/** What the simulated bank writes. */
const DATA_KEYS = [
  ...["k0", "k1", "k2"].map((key) => ["account", key]),
  ...["x0", "x1"].flatMap((key) => [["flag", key], ["counter", key]]),
];

export class NodeJudge {
  readonly #cluster: Cluster;
  /** Sessions that were in some node's memory at the last {@link look}. */
  #seen = new Set<SessionRunner>();

  constructor(cluster: Cluster) {
    this.#cluster = cluster;
  }

  /** What no node and no client may ever look like, as far as it runs at all. */
  look(): void {
    const { nodes, clients } = this.#cluster;
    const fail = (problem: string) => this.#cluster.fail(problem);
    for (const client of clients) {
      if (client instanceof SdkClient && client.timers > 1) {
        fail(`${client.spec.name} has ${client.timers} timers`);
      }
    }
    // A session that was just read has not looked at its deadlines yet.
    const before = this.#seen;
    this.#seen = new Set(nodes.flatMap(({ registry }) => [...registry.sessions()]));
    for (const { up, process, registry } of nodes) {
      if (!up || process.waits) continue;
      const now = process.clock.now();
      for (const runner of registry.sessions()) {
        const { state, live } = runner;
        // What was restored waits until it is this node's.
        if (!live || state.ended !== null || state.committedChanges === 0 || !before.has(runner)) continue;
        for (const { id, calls } of state.mux.connections.values()) {
          for (const { request, deadline, early } of calls?.incoming.values() ?? []) {
            if (deadline === null || early !== null || deadline + OVERDUE_MS > now) continue;
            fail(
              `${process.name}: request ${request} on connection ${id} of ${state.id} is overdue for ${
                now - deadline
              } ms`,
            );
          }
        }
      }
    }
  }

  /** A client that is caught up and its server must agree on what is open, and how much may be said there. */
  books(client: ForeignClient): void {
    const { nodes } = this.#cluster;
    const fail = (problem: string) => this.#cluster.fail(problem);
    const { session, attachedTo } = client;
    const runner = nodes.find(({ process }) => process === attachedTo)?.registry.find(session ?? "");
    const { books, sent, received } = client.books;
    if (
      runner === undefined || runner.state.delivery.sent !== received || runner.state.delivery.taken !== sent
    ) return;
    const { state: { mux, work, heldBytes, heldOf } } = runner;
    // Somewhere a message is still being handled that fails, and nobody waits for it.
    if ([...mux.connections.values()].some(({ ending }) => ending !== null)) return;
    this.#cluster.count("books compared");
    const told = [...mux.connections.values()].map(({ id, sending, receiving }) => ({
      connection: id,
      up: receiving === null ? null : receiving.granted - receiving.received,
      down: sending?.credit ?? null,
    }));
    const order = (a: Books, b: Books) => a.connection - b.connection;
    const [here, there] = [[...books].sort(order), told.sort(order)].map((all) => JSON.stringify(all));
    if (here !== there) fail(`${client.spec.name} has ${here}, its server ${there}`);
    const kept = [...heldOf.values()].reduce((sum, bytes) => sum + bytes, 0);
    if (work.size > 0 || heldBytes !== kept) {
      fail(
        `${client.spec.name}'s server holds ${heldBytes} bytes and ${work.size} pieces of work; ${kept} are kept`,
      );
    }
    for (const { id, calls, held } of mux.connections.values()) {
      const left = [held.length, calls?.incoming.size ?? 0, calls?.channels.size ?? 0];
      if (left.some((count) => count > 0)) {
        fail(`connection ${id} of ${session} is left with ${left.join(", ")}`);
      }
    }
  }

  /** When all sessions are gone, nothing runs, and nobody holds or waits for data. */
  services(): void {
    const { nodes, operationWitness } = this.#cluster;
    const fail = (problem: string) => this.#cluster.fail(problem);
    for (const { process, registry: { operations, dataCache } } of nodes) {
      if (operations.size > 0) fail(`${process.name} still runs ${operations.size} operations`);
      for (const parts of DATA_KEYS) {
        const { holder, waiters, loading } = dataCache.entry("bank", parts);
        if (holder !== null || waiters.length > 0 || loading !== null) {
          fail(`${process.name} still holds, or waits for, ${parts.join("/")}`);
        }
      }
    }
    const up = new Set(nodes.map(({ process }) => process.name));
    for (const { hash, boot } of operationWitness.running()) {
      if (up.has(boot)) fail(`operation ${hash} is left running on ${boot}`);
    }
  }
}
