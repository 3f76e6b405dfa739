/** What all reports of the bench are made of: medians, tables, targets. */

/** One promise of the project, and whether this run keeps it. */
export interface Target {
  readonly name: string;
  readonly wanted: string;
  readonly measured: string;
  readonly met: boolean;
}

/** Judges figures. NaN meets nothing. */
export class Judge {
  readonly targets: Target[] = [];

  atLeast(name: string, least: number, value: number, unit = "×"): void {
    this.#add(name, `≥ ${least}`, printed(value, least, value >= least), unit, value >= least);
  }

  atMost(name: string, most: number, value: number, unit: string, digits = 2): void {
    this.#add(name, `≤ ${most}`, printed(value, most, value <= most, digits), unit, value <= most);
  }

  #add(name: string, wanted: string, measured: string, unit: string, met: boolean): void {
    this.targets.push({ name, wanted: `${wanted} ${unit}`, measured: `${measured} ${unit}`, met });
  }
}

/** Digits behind the point beyond which a miss is none. */
const MOST_DIGITS = 6;

/** A figure as a table of targets has it: one that misses its bound is not printed as the bound itself. */
export function printed(value: number, bound: number, met: boolean, digits = 2): string {
  const text = value.toFixed(digits);
  const tied = !met && digits < MOST_DIGITS && Number(text) === Number(bound.toFixed(digits));
  return tied ? printed(value, bound, met, digits + 1) : text;
}

/** The middle one, or the mean of the two in the middle; NaN of nothing. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length / 2;
  return ((sorted[Math.ceil(middle) - 1] ?? NaN) + (sorted[Math.floor(middle)] ?? NaN)) / 2;
}

/** A share of one, in per cent. */
export function percent(share: number): string {
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

/** The table of targets; nothing without any. */
export function targetTable(targets: readonly Target[]): string[] {
  if (targets.length === 0) return [];
  const rows = targets.map(({ name, wanted, measured, met }) => {
    return [name, wanted, measured, met ? "pass" : "**miss**"];
  });
  return ["## Targets", table(["", "wanted", "measured", ""], rows)];
}
