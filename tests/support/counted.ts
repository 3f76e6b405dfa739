/** What was counted at all, of a count by name. */

import type { CountByName } from "../../src/observe/counted_metrics.ts";

/** The names whose count is not 0, with it. */
export function counted<N extends string>({ counts }: CountByName<N>): Record<string, number> {
  return Object.fromEntries([...counts].filter(([, count]) => count > 0));
}
