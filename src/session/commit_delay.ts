/** Waits a moment for what has just begun: if it is done by then, all of it is one commit. */

import type { TransactionQueue } from "./transaction_queue.ts";

/** Microtasks that what just began has to be done within the commit of what it handles. */
const FRESH_MICROTASKS = 64;
/** How often that may begin anew, because one transaction after the other is decided. */
const MOST_LOOKS = 64;

/** What is waited for: handlers that began in this turn, and transactions that are being evaluated. */
export interface Unsettled {
  readonly startedTransactions: Pick<TransactionQueue, "busy" | "decided"> | null;
}

/** True while something has just begun that a commit may wait a moment for. */
export function unsettled(session: Unsettled, services: { readonly fresh: boolean }): boolean {
  return services.fresh || session.startedTransactions?.busy === true;
}

/** See the top of this file. No timer: a handler that really waits for something is waited for no longer. */
export class CommitDelay {
  readonly #session: Unsettled;
  readonly #services: { readonly fresh: boolean; settleForIt(): void };
  readonly #commits: { request(): void };
  #waits = false;

  constructor(
    session: Unsettled,
    services: { readonly fresh: boolean; settleForIt(): void },
    commits: { request(): void },
  ) {
    this.#session = session;
    this.#services = services;
    this.#commits = commits;
  }

  /** Has a commit asked for once nothing is unsettled, or what is had its moment. */
  request(): void {
    if (this.#waits) return;
    this.#waits = true;
    let left = FRESH_MICROTASKS;
    let looks = 0;
    let decided = this.#decided;
    const look = () => {
      // While one transaction after the other is decided, the next may be as well.
      if (this.#decided !== decided && ++looks < MOST_LOOKS) left = FRESH_MICROTASKS;
      decided = this.#decided;
      if (unsettled(this.#session, this.#services) && --left > 0) return queueMicrotask(look);
      this.#waits = false;
      this.#services.settleForIt();
      this.#commits.request();
    };
    queueMicrotask(look);
  }

  get #decided(): number {
    return this.#session.startedTransactions?.decided ?? 0;
  }
}
