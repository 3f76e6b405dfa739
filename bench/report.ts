/** Turns measurements into tables, and says which targets they meet. */

import type { LoadResult } from "./load_options.ts";
import { type System, SYSTEMS } from "./systems.ts";
import type { Round, Shape, Weights } from "./scenarios.ts";

/** All that one run of the bench measured; a part that was not asked for is absent. */
export interface Measurements {
  readonly machine: Readonly<Record<string, string>>;
  readonly loaded?: { readonly shape: Shape; readonly rounds: readonly Round[] };
  readonly single?: { readonly shape: Shape; readonly rounds: readonly Round[] };
  readonly memory?: Readonly<Record<"bare" | "ephemeral" | "durable", Weights>>;
}

/** One promise of the project, and whether this run keeps it. */
export interface Target {
  readonly name: string;
  readonly wanted: string;
  readonly measured: string;
  readonly met: boolean;
}

/** The middle one, or the mean of the two in the middle; NaN of nothing. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length / 2;
  return ((sorted[Math.ceil(middle) - 1] ?? NaN) + (sorted[Math.floor(middle)] ?? NaN)) / 2;
}

type Pick = (result: LoadResult) => number | undefined;

const speed: Pick = (result) => result.messagesPerSecond;

/** The median over rounds; NaN where a system was not measured or could not tell. */
function middle(rounds: readonly Round[], system: System, pick: Pick): number {
  return median(rounds.map((round) => measured(round, system, pick)));
}

/** The median over rounds of one system's speed divided by another's in the same round. */
function ratio(rounds: readonly Round[], system: System, to: System): number {
  return median(rounds.map((round) => measured(round, system, speed) / measured(round, to, speed)));
}

function measured(round: Round, system: System, pick: Pick): number {
  const result = round[system];
  return (result === undefined ? undefined : pick(result)) ?? NaN;
}

/** An echo is two session messages, one in and one out, and both are in the store before they count. */
const MESSAGES_PER_ECHO = 2;

/** Heap bytes that collections leave behind at random, per session at the numbers held here. */
const PARKED_NOISE = 256;

/** Judges what was measured. */
export function judge({ loaded, single, memory }: Measurements): Target[] {
  const targets: Target[] = [];
  const atLeast = (name: string, least: number, value: number, unit = "×") => {
    targets.push({
      name,
      wanted: `≥ ${least} ${unit}`,
      measured: `${value.toFixed(2)} ${unit}`,
      met: value >= least,
    });
  };
  const atMost = (name: string, most: number, value: number, unit: string, digits = 2) => {
    targets.push({
      name,
      wanted: `≤ ${most} ${unit}`,
      measured: `${value.toFixed(digits)} ${unit}`,
      met: value <= most,
    });
  };
  if (loaded !== undefined) {
    const { rounds } = loaded;
    atLeast("ephemeral echo, to bare", 1.4, ratio(rounds, "ephemeral", "bare"));
    atLeast("durable echo, to bare", 0.65, ratio(rounds, "durable", "bare"));
    atLeast("durable echo, to one commit per message", 8, ratio(rounds, "durable", "naive"));
    const mutations = middle(rounds, "durable", (result) => result.mutationsPerEcho) / MESSAGES_PER_ECHO;
    atMost("KV mutations per durable message", 0.12, mutations, "", 3);
  }
  if (single !== undefined) {
    atMost(
      "durable round trip, one in flight, p50",
      0.6,
      middle(single.rounds, "durable", (r) => r.p50),
      "ms",
    );
  }
  if (memory !== undefined) {
    for (const system of ["ephemeral", "durable"] as const) {
      const above = memory[system].attached.heap - memory.bare.attached.heap;
      atMost(`attached idle ${system} session above a bare socket, heap`, 6, above / 1024, "KiB");
      const resident = memory[system].attached.resident - memory.bare.attached.resident;
      atMost(`attached idle ${system} session above a bare socket, resident`, 6, resident / 1024, "KiB");
    }
    atMost("parked session, heap", PARKED_NOISE, memory.durable.dropped.heap, "B", 0);
  }
  return targets;
}

/** The whole report, Markdown that reads well as it is. */
export function report(measurements: Measurements): string {
  const { machine, loaded, single, memory } = measurements;
  const parts = [
    "# Bench",
    Object.entries(machine).map(([name, value]) => `- ${name}: ${value}`).join("\n"),
  ];
  for (const part of [loaded, single]) {
    if (part !== undefined) parts.push(speedTable(part.shape, part.rounds));
  }
  if (memory !== undefined) parts.push(memoryTable(memory));
  const rows = judge(measurements).map(({ name, wanted, measured, met }) => {
    return [name, wanted, measured, met ? "pass" : "**miss**"];
  });
  if (rows.length > 0) parts.push("## Targets", table(["", "wanted", "measured", ""], rows));
  return `${parts.join("\n\n")}\n`;
}

function speedTable({ sockets, inFlight }: Shape, rounds: readonly Round[]): string {
  const rows = SYSTEMS.filter((system) => rounds[0]?.[system] !== undefined).map((system) => {
    const of = (pick: Pick) => middle(rounds, system, pick);
    const speeds = rounds.map((round) => measured(round, system, speed) / 1000);
    const stored = !system.startsWith("bare") && !system.startsWith("ephemeral");
    const perEcho = (pick: Pick) => stored ? of(pick).toFixed(3) : "";
    return [
      system,
      Math.round(of(speed)).toLocaleString("en"),
      `${Math.min(...speeds).toFixed(0)}–${Math.max(...speeds).toFixed(0)} k`,
      ratio(rounds, system, "bare").toFixed(2),
      of((r) => r.p50).toFixed(3),
      of((r) => r.p99).toFixed(3),
      percent(of((r) => r.serverCpu)),
      percent(of((r) => r.generatorCpu)),
      perEcho((r) => r.mutationsPerEcho),
      perEcho((r) => r.atomicsPerEcho),
    ];
  });
  const heads = ["", "echoes/s", "least–most", "× bare", "p50 ms", "p99 ms", "server CPU", "load CPU"];
  return [
    `## ${sockets} × ${inFlight} in flight, 100-byte bodies, median of ${rounds.length} rounds`,
    table([...heads, "KV mutations/echo", "KV atomics/echo"], rows),
  ].join("\n\n");
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
    "Dropped is what stays of it when its socket is gone: an ephemeral session is detached, a durable one parked.",
    table(heads, rows),
  ].join("\n\n");
}

function percent(share: number): string {
  return Number.isNaN(share) ? "?" : `${Math.round(share * 100)} %`;
}

/** A Markdown table that also reads well as it is. */
export function table(heads: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = heads.map((head, i) =>
    Math.max(head.length, 3, ...rows.map((row) => (row[i] ?? "").length))
  );
  const line = (cells: readonly string[]) => {
    const padded = widths.map((width, i) =>
      i === 0 ? (cells[i] ?? "").padEnd(width) : (cells[i] ?? "").padStart(width)
    );
    return `| ${padded.join(" | ")} |`;
  };
  const rule = `|${
    widths.map((width, i) => i === 0 ? "-".repeat(width + 2) : `${"-".repeat(width + 1)}:`).join("|")
  }|`;
  return [line(heads), rule, ...rows.map(line)].join("\n");
}
