/** Turns rounds under load into figures and a table. */

import type { LoadResult } from "./load_options.ts";
import type { Round, Shape } from "./scenarios.ts";
import { type System, SYSTEMS } from "./systems.ts";
import { median, percent, table } from "./tables.ts";

/** Rounds under one load. */
export interface Load {
  readonly shape: Shape;
  readonly rounds: readonly Round[];
}

/** One figure of a result; undefined where it could not be told. */
export type Pick = (result: LoadResult) => number | undefined;

const speed: Pick = (result) => result.messagesPerSecond;

/** Systems that write into the store for each message. */
const STORED = /^naive$|durable|^transaction/;

/** The median over rounds; NaN where a system was not measured or could not tell. */
export function middle(rounds: readonly Round[], system: System, pick: Pick): number {
  return median(rounds.map((round) => measured(round, system, pick)));
}

/** The median over rounds of one system's speed divided by another's in the same round. */
export function ratio(rounds: readonly Round[], system: System, to: System): number {
  return median(rounds.map((round) => measured(round, system, speed) / measured(round, to, speed)));
}

function measured(round: Round, system: System, pick: Pick): number {
  const result = round[system];
  return (result === undefined ? undefined : pick(result)) ?? NaN;
}

/**
 * A heading and the table below it.
 *
 * @param unit What is counted, in the singular.
 * @param bodies What has 100 bytes.
 */
export function speedSection(
  title: string,
  { shape, rounds }: Load,
  unit: "echo" | "call" | "item",
  bodies: string,
): string {
  const { sockets, inFlight } = shape;
  return [
    `## ${title}, ${sockets} × ${inFlight} in flight, 100-byte ${bodies}, median of ${rounds.length} rounds`,
    speedTable(rounds, unit),
  ].join("\n\n");
}

function speedTable(rounds: readonly Round[], unit: "echo" | "call" | "item"): string {
  const rows = SYSTEMS.filter((system) => rounds[0]?.[system] !== undefined).map((system) => {
    const of = (pick: Pick) => middle(rounds, system, pick);
    const speeds = rounds.map((round) => measured(round, system, speed) / 1000);
    const perMessage = (pick: Pick) => STORED.test(system) ? of(pick).toFixed(3) : "";
    return [
      system,
      Math.round(of(speed)).toLocaleString("en"),
      `${Math.min(...speeds).toFixed(0)}–${Math.max(...speeds).toFixed(0)} k`,
      ratio(rounds, system, "bare").toFixed(2),
      of((r) => r.p50).toFixed(3),
      of((r) => r.p99).toFixed(3),
      percent(of((r) => r.serverCpu)),
      percent(of((r) => r.generatorCpu)),
      perMessage((r) => r.mutationsPerEcho),
      perMessage((r) => r.atomicsPerEcho),
    ];
  });
  const many = unit === "echo" ? "echoes" : `${unit}s`;
  const heads = ["", `${many}/s`, "least–most", "× bare", "p50 ms", "p99 ms", "server CPU", "load CPU"];
  return table([...heads, `KV mutations/${unit}`, `KV atomics/${unit}`], rows);
}
