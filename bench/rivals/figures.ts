/** Figures of a contest: over rounds, and beside those of another system. */

import { median } from "../tables.ts";
import { isMeasured, type Rounds } from "./contest_model.ts";
import { type Contender, CONTENDERS } from "./jobs.ts";

/** A key of a number. */
export type Key<T> = { [K in keyof T]-?: T[K] extends number | undefined ? K : never }[keyof T];

/** The systems that took their turns in a part. */
export const present = (part: Rounds<object>) =>
  CONTENDERS.filter((contender) => part[contender] !== undefined);

/** JSON has no NaN: what could not be said arrives as null. */
const numeric = (value: unknown) => typeof value === "number" ? value : NaN;

/** The median over rounds; NaN if there is none. */
export function middle<T extends object>(part: Rounds<T>, contender: Contender, key: Key<T>): number {
  const values = (part[contender] ?? []).filter(isMeasured<T>).map((result) => numeric(result[key]));
  return median(values.filter((value) => !Number.isNaN(value)));
}

/** The sum over rounds. */
export function total<T extends object>(part: Rounds<T>, contender: Contender, key: Key<T>): number {
  return (part[contender] ?? []).filter(isMeasured<T>).reduce((sum, result) => sum + numeric(result[key]), 0);
}

/** The median over rounds of the ratio within each round. */
export function ratio<T extends object>(
  part: Rounds<T>,
  contender: Contender,
  to: Contender,
  key: Key<T>,
): number {
  const others = part[to] ?? [];
  const ratios = (part[contender] ?? []).map((result, round) => {
    const other = others[round];
    return isMeasured<T>(result) && isMeasured<T>(other) ? numeric(result[key]) / numeric(other[key]) : NaN;
  });
  return median(ratios.filter((value) => !Number.isNaN(value)));
}

/** Why a contender has no figure; null if it has one. */
export function why(part: Rounds<object>, contender: Contender): string | null {
  const results = part[contender] ?? [];
  if (results.some(isMeasured)) return null;
  const first = results[0];
  return first !== undefined && "why" in first ? String(first.why) : "not measured";
}
