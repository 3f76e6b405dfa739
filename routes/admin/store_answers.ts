/** How long a request waits for the store, and what it is told when that gives no answer. */

import { describeError } from "../../src/observe/json_log.ts";
import type { Log } from "../../src/observe/log.ts";
import { StoreUnanswered } from "../../src/storage/session_store.ts";
import type { Clock } from "../../src/system/clock.ts";
import { problem } from "../problem.ts";

/**
 * How long what a request asks of the store may take altogether: longer than one call of it, or another node's answer.
 * Milliseconds.
 */
export const ANSWER_MS = 20_000;

/** Waits for what reads or writes the store. @throws StoreUnanswered if it takes longer than {@link ANSWER_MS}. */
export type WithinPatience = <T>(work: Promise<T>) => Promise<T>;

/** Makes the bound. What is given up goes on, since a commit cannot be taken back; if it then fails, the log says so. */
export function patience({ clock, log }: { readonly clock: Clock; readonly log: Log }): WithinPatience {
  return async (work) => {
    const late = Promise.withResolvers<never>();
    let givenUp = false;
    const cancel = clock.wakeAt(clock.now() + ANSWER_MS, () => {
      givenUp = true;
      late.reject(new StoreUnanswered(`what was asked took longer than ${ANSWER_MS} ms`));
    });
    work.catch((error: unknown) => {
      // Before, the request fails with it; and that the store does not answer has been said.
      if (givenUp && !(error instanceof StoreUnanswered)) {
        log.error("route_failed", { error: describeError(error) });
      }
    });
    try {
      return await Promise.race([work, late.promise]);
    } finally {
      cancel();
    }
  };
}

/** The answer of a request whose store gave none. */
export function storeUnavailable(): Response {
  return problem({
    status: 503,
    name: "store-unavailable",
    title: "Store unavailable",
    detail: "the store gives no answer; what was to be changed may be, or may yet be: asking again is safe",
    headers: { "retry-after": "1" },
  });
}
