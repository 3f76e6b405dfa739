/** Processor time and memory of processes, from Linux's `/proc`. */

import { readFileSync } from "node:fs";

/** `sysconf(_SC_CLK_TCK)`, which is 100 on every Linux that Deno runs on. */
const TICKS_PER_SECOND = 100;

/**
 * Milliseconds of processor time that a process has used, all its threads together.
 *
 * @returns `undefined` where there is no `/proc`.
 */
export function cpuTime(pid: number): number | undefined {
  const text = read(`/proc/${pid}/stat`);
  if (text === undefined) return undefined;
  // The second field is a name in parentheses and may hold blanks; counting begins behind it.
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[11]) + Number(fields[12])) * 1000 / TICKS_PER_SECOND;
}

/**
 * Bytes of a process that are in memory.
 *
 * @returns `undefined` where there is no `/proc`.
 */
export function residentBytes(pid: number): number | undefined {
  const kibibytes = /^VmRSS:\s*(\d+) kB$/m.exec(read(`/proc/${pid}/status`) ?? "")?.[1];
  return kibibytes === undefined ? undefined : Number(kibibytes) * 1024;
}

function read(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    if ((error as { code?: unknown }).code === "ENOENT") return undefined;
    throw error;
  }
}
