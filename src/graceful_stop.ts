/** Stopping in the time that platforms leave between their signal and SIGKILL. */

import { describeError } from "./observe/json_log.ts";
import type { Log } from "./observe/log.ts";
import type { Clock } from "./system/clock.ts";

/** One step of a stop. */
export interface StopStep {
  readonly name: string;
  readonly run: () => Promise<void> | void;
  /** How long it may take before the next one begins anyway. Milliseconds. */
  readonly within: number;
  /** It waits for others, who may be slow or gone: that it is not done in time is no fault of this process. */
  readonly waitsForOthers?: true;
}

/**
 * Runs the steps in order. One that fails or takes too long is logged and left behind, so that the stop always ends,
 * within the sum of the steps' times.
 *
 * @returns Whether every step was done in time.
 */
export async function gracefulStop(steps: readonly StopStep[], clock: Clock, log: Log): Promise<boolean> {
  let clean = true;
  for (const { name, run, within, waitsForOthers } of steps) {
    const late = Promise.withResolvers<string>();
    const lateness = `not done within ${within} ms`;
    const cancel = clock.wakeAt(clock.now() + within, () => late.resolve(lateness));
    const done = Promise.try(run).then(() => undefined, describeError);
    const fault = await Promise.race([done, late.promise]);
    cancel();
    if (fault === undefined) continue;
    clean = false;
    const fields = { step: name, error: fault };
    if (waitsForOthers === true && fault === lateness) log.warn("stop_step_failed", fields);
    else log.error("stop_step_failed", fields);
  }
  return clean;
}
