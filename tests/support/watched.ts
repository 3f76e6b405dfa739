/** Promises that a test looks at without waiting for them. */

import { settle } from "./fake_clock.ts";

/** Whether a promise has settled yet, and how. */
export interface Watched {
  /** `waits`, `resolved`, or the code or reason of its error. */
  outcome: string;
  /** The outcome once everything that can settle has. */
  settled(): Promise<string>;
}

/** Watches a promise; its rejection is no unhandled one. */
export function watch(promise: Promise<unknown>): Watched {
  const watched: Watched = {
    outcome: "waits",
    settled: async () => {
      await settle();
      return watched.outcome;
    },
  };
  promise.then(
    () => watched.outcome = "resolved",
    (error) => watched.outcome = String(error.code ?? error.reason ?? error),
  );
  return watched;
}
