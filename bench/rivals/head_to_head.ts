/** The contest as `deno task bench --peers` runs it: prepared, measured, judged, and profiled where a target was missed. */

import { heapProfile } from "../heap_profile.ts";
import { type Evidence, type Miss, missedReport, type Witness } from "../missed.ts";
import { table } from "../tables.ts";
import { CONTEST_BOUNDS } from "./bounds.ts";
import { ALL, contest, CONTEST_PARTS, type ContestPart } from "./contest.ts";
import { type Contest, type ContestExtent, FULL_CONTEST, QUICK_CONTEST } from "./contest_model.ts";
import { type ContestTarget, judgeContest, seenOf } from "./contest_judge.ts";
import { charts, contestReport } from "./contest_report.ts";
import type { Contender } from "./jobs.ts";
import { nodeVersion, prepare, SERVERS } from "./programs.ts";
import { profiled } from "./runs.ts";

/** What to run. */
export interface HeadToHeadOptions {
  readonly parts: readonly ContestPart[];
  readonly systems: readonly Contender[];
  readonly quick: boolean;
  /** Instead of the extent's own. */
  readonly rounds: number | undefined;
  /** When no further run is begun. */
  readonly minutes: number | undefined;
}

/** What came out. */
export interface HeadToHead {
  /** Markdown. */
  readonly text: string;
  readonly figures: Contest;
  /** What is said of each system: its version, its guarantees and what was set. */
  readonly settings: Readonly<Record<string, string>>;
  readonly targets: readonly ContestTarget[];
}

/** The parts of the contest among those named; all without names. */
export function readParts(names?: readonly string[]): ContestPart[] {
  return CONTEST_PARTS.filter((part) => names === undefined || names.includes(part));
}

/** The systems named, in the contest's order; all without names, null if one is unknown. */
export function readSystems(names?: readonly string[]): readonly Contender[] | null {
  if (names === undefined) return ALL;
  const systems = ALL.filter((system) => names.includes(system));
  return systems.length === names.length ? systems : null;
}

/**
 * Runs the contest.
 *
 * @param progress Is told of each result.
 * @param witness Takes the profiles of targets that are missed.
 * @throws Error if the systems are not installed.
 */
export async function headToHead(
  { parts, systems, quick, rounds, minutes }: HeadToHeadOptions,
  progress: (text: string) => void,
  witness: Witness,
): Promise<HeadToHead> {
  await prepare();
  const base = quick ? QUICK_CONTEST : FULL_CONTEST;
  const extent = {
    ...base,
    ...(rounds === undefined ? {} : { rounds, otherRounds: rounds }),
    ...(minutes === undefined ? {} : { most: minutes * 60_000 }),
  };
  const figures = await contest(parts, systems, extent, progress);
  const targets = judgeContest(figures);
  const misses: Miss[] = [];
  for (const target of targets.filter(({ met }) => !met)) {
    const seen = seenOf(figures, target);
    const evidence = await evidenceOf(target, extent, witness);
    misses.push({ target, evidence, ...(seen === undefined ? {} : { seen }) });
  }
  const settings = new Map<Contender, string>();
  for (const system of systems) {
    const { settings: text, version } = SERVERS[system];
    settings.set(system, `${await version()}; ${text}`);
  }
  const rows = targets.map(({ name, wanted, measured, met }) => {
    return [name, wanted, measured, met ? "pass" : "**miss**"];
  });
  const text = [
    contestReport(figures, settings),
    `All npm clients run on ${await nodeVersion()}.`,
    ...(rows.length === 0 ? [] : [
      "## Targets beside others",
      table(["", "wanted", "measured", ""], rows),
      ...missedReport(misses, CONTEST_BOUNDS),
    ]),
  ].join("\n\n");
  return { text: text.trimEnd(), figures, settings: Object.fromEntries(settings), targets };
}

function evidenceOf(
  { profile: { contender, part } }: ContestTarget,
  extent: ContestExtent,
  witness: Witness,
): Promise<Evidence> {
  if (part === "weight") {
    // The sessions are the same as those of the product's own part, and so is what is said of them.
    return witness.take(
      `${contender}, idle and attached`,
      async () => ({ heap: await heapProfile(contender) }),
    );
  }
  return witness.take(`${contender}, ${part}`, async () => {
    return { functions: await profiled(contender, part, extent) };
  });
}

/** Writes the charts beside the report, into `bench/plots/`. */
export async function writeCharts({ figures }: HeadToHead): Promise<void> {
  const directory = new URL("../plots/", import.meta.url);
  await Deno.mkdir(directory, { recursive: true });
  for (const [name, svg] of charts(figures)) await Deno.writeTextFile(new URL(name, directory), svg);
}
