/** Where a server's processor time goes, from V8's sampling profiler. */

/** The part of a CPU profile that is used. */
export interface CpuProfile {
  readonly nodes: readonly {
    readonly id: number;
    readonly callFrame: { readonly functionName: string; readonly url: string };
  }[];
  readonly samples: readonly number[];
  /** Microseconds before each sample. */
  readonly timeDeltas: readonly number[];
}

/** A CPU profile, and when it was begun: milliseconds since the epoch. */
export interface TakenProfile {
  readonly began: number;
  readonly profile: CpuProfile;
}

/** From when to when, milliseconds since the epoch. */
export type Window = readonly [from: number, to: number];

/** One function's own time. */
export interface SelfTime {
  /** Its name, and where it is. */
  readonly where: string;
  /** Of the time in which the thread was not idle. */
  readonly share: number;
}

/**
 * The functions that took most of the time themselves, most first.
 *
 * @param windows When the job was done; nothing else counts.
 * @param count How many.
 */
export function topFunctions(
  { began, profile: { nodes, samples, timeDeltas } }: TakenProfile,
  windows: readonly Window[],
  count: number,
): SelfTime[] {
  const names = new Map(nodes.map(({ id, callFrame }) => [id, nameOf(callFrame)]));
  const times = new Map<string, number>();
  let busy = 0;
  let elapsed = 0;
  for (const [at, id] of samples.entries()) {
    const name = names.get(id) ?? "(unknown)";
    const time = timeDeltas[at] ?? 0;
    elapsed += time;
    const moment = began + elapsed / 1000;
    if (!windows.some(([from, to]) => from <= moment && moment <= to)) continue;
    if (name === "(idle)" || name === "(root)") continue;
    busy += time;
    times.set(name, (times.get(name) ?? 0) + time);
  }
  return [...times].toSorted(([, a], [, b]) => b - a).slice(0, count).map(([where, time]) => {
    return { where, share: time / busy };
  });
}

/** Without a line: the profiler's are those of the JavaScript that runs, not of the file that one would open. */
function nameOf({ functionName, url }: CpuProfile["nodes"][number]["callFrame"]): string {
  if (functionName.startsWith("(")) return functionName;
  const file = /(?:src|routes|bench)\/[^?]*$/.exec(url)?.[0] ?? url.replace(/^.*\//, "");
  return `${functionName || "(anonymous)"}${file === "" ? " (native)" : ` ${file}`}`;
}
