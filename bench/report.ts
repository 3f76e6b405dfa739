/** Turns measurements into tables, and says which targets they meet. */

import type { ConnectionsResult } from "./connections.ts";
import {
  callTables,
  connectionsTable,
  itemsTable,
  judgeCalls,
  judgeConnections,
  judgeItems,
  judgeTransfers,
  transferTable,
} from "./rpc_report.ts";
import type { Weights } from "./scenarios.ts";
import { type Load, middle, ratio, speedSection } from "./speed_report.ts";
import { BOUNDS } from "./bounds.ts";
import { type Miss, missedReport } from "./missed.ts";
import { Judge, table, type Target, targetTable } from "./tables.ts";
import type { Transfer } from "./upstream.ts";

/** All that one run of the bench measured; a part that was not asked for is absent. */
export interface Measurements {
  readonly machine: Readonly<Record<string, string>>;
  readonly loaded?: Load;
  readonly single?: Load;
  readonly memory?: Readonly<Record<"bare" | "ephemeral" | "durable", Weights>>;
  /** Many calls at once, and one after the other. */
  readonly calls?: { readonly loaded: Load; readonly single: Load };
  /** The shape is that of the downloads; bare has its own. */
  readonly streams?: Load;
  readonly upstream?: readonly Transfer[];
  readonly connections?: readonly ConnectionsResult[];
}

/** An echo is two session messages, one in and one out, and both are in the store before they count. */
const MESSAGES_PER_ECHO = 2;

/** Heap bytes that collections leave behind at random, per session at the numbers held here. */
const PARKED_NOISE = 256;

/** Judges what was measured. */
export function judge(measurements: Measurements): readonly Target[] {
  const { loaded, single, memory, calls, streams, upstream, connections } = measurements;
  const judge = new Judge();
  if (loaded !== undefined) {
    const { rounds } = loaded;
    judge.atLeast("ephemeral echo, to bare", 1.4, ratio(rounds, "ephemeral", "bare"));
    judge.atLeast("durable echo, to bare", 0.65, ratio(rounds, "durable", "bare"));
    judge.atLeast("durable echo, to one commit per message", 8, ratio(rounds, "durable", "naive"));
    const mutations = middle(rounds, "durable", (result) => result.mutationsPerEcho) / MESSAGES_PER_ECHO;
    judge.atMost("KV mutations per durable message", 0.12, mutations, "", 3);
  }
  if (single !== undefined) {
    const p50 = middle(single.rounds, "durable", (r) => r.p50);
    judge.atMost("durable round trip, one in flight, p50", 0.6, p50, "ms");
  }
  if (memory !== undefined) {
    for (const system of ["ephemeral", "durable"] as const) {
      const above = memory[system].attached.heap - memory.bare.attached.heap;
      judge.atMost(`attached idle ${system} session above a bare socket, heap`, 6, above / 1024, "KiB");
      const resident = memory[system].attached.resident - memory.bare.attached.resident;
      judge.atMost(
        `attached idle ${system} session above a bare socket, resident`,
        6,
        resident / 1024,
        "KiB",
      );
    }
    judge.atMost("parked session, heap", PARKED_NOISE, memory.durable.dropped.heap, "B", 0);
  }
  if (calls !== undefined) judgeCalls(judge, calls.loaded.rounds);
  if (streams !== undefined) judgeItems(judge, streams.rounds);
  if (upstream !== undefined) judgeTransfers(judge, upstream);
  if (connections !== undefined) judgeConnections(judge, connections);
  return judge.targets;
}

/** The whole report, Markdown that reads well as it is. @param misses What is said of the targets that were missed. */
export function report(measurements: Measurements, misses: readonly Miss[]): string {
  const { machine, loaded, single, memory, calls, streams, upstream, connections } = measurements;
  const parts = [
    "# Bench",
    Object.entries(machine).map(([name, value]) => `- ${name}: ${value}`).join("\n"),
  ];
  for (const load of [loaded, single]) {
    if (load !== undefined) parts.push(speedSection("Echoes", load, "echo", "bodies"));
  }
  if (memory !== undefined) parts.push(memoryTable(memory));
  if (calls !== undefined) parts.push(...callTables(calls.loaded, calls.single));
  if (streams !== undefined) parts.push(...itemsTable(streams));
  if (upstream !== undefined) parts.push(...transferTable(upstream));
  if (connections !== undefined) parts.push(...connectionsTable(connections));
  parts.push(...targetTable(judge(measurements)), ...missedReport(misses, BOUNDS));
  return `${parts.join("\n\n")}\n`;
}

function memoryTable(memory: NonNullable<Measurements["memory"]>): string {
  const rows = (["bare", "ephemeral", "durable"] as const).map((system) => {
    const { attached, dropped } = memory[system];
    return [system, attached.heap, attached.resident, dropped.heap, dropped.resident].map((cell) => {
      return typeof cell === "string" ? cell : (cell / 1024).toFixed(2);
    });
  });
  const heads = ["", "attached, heap", "attached, resident", "dropped, heap", "dropped, resident"];
  return [
    "## Memory of one idle connection, KiB",
    "Dropped is what stays of it when its socket is gone: an ephemeral session is detached, a durable one parked. A figure below zero is a small one: less was there after these were dropped than after earlier ones were.",
    table(heads, rows),
  ].join("\n\n");
}
