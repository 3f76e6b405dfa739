/** Processor time of processes, from Linux's `/proc`. */

/** `sysconf(_SC_CLK_TCK)`, which is 100 on every Linux that Deno runs on. */
const TICKS_PER_SECOND = 100;

/**
 * Milliseconds of processor time that a process has used, all its threads together.
 *
 * @returns `undefined` where there is no `/proc`.
 */
export function cpuTime(pid: number): number | undefined {
  let text: string;
  try {
    text = Deno.readTextFileSync(`/proc/${pid}/stat`);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
  // The second field is a name in parentheses and may hold blanks; counting begins behind it.
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[11]) + Number(fields[12])) * 1000 / TICKS_PER_SECOND;
}
