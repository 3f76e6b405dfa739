/** Has credentials judged that a client gives over a conduit that is established (`authorise`). */

import type { Judgement } from "../access/authenticator.ts";

interface Given {
  readonly conduit: number;
  readonly auth: string;
}

/** One judgement at a time, of the newest credentials: a flood of them costs no more than one after the other. */
export class LiveCredentials {
  readonly #judge: (credentials: string) => Promise<Judgement>;
  readonly #judged: (conduit: number, judgement: Judgement) => void;
  /** The newest that were given; null when all are judged. */
  #newest: Given | null = null;

  /**
   * @param judge Never rejects.
   * @param judged Told what came of credentials, unless newer ones took their place before they were looked at.
   */
  constructor(
    judge: (credentials: string) => Promise<Judgement>,
    judged: (conduit: number, judgement: Judgement) => void,
  ) {
    this.#judge = judge;
    this.#judged = judged;
  }

  judge(conduit: number, auth: string): void {
    const idle = this.#newest === null;
    this.#newest = { conduit, auth };
    if (idle) void this.#run(this.#newest);
  }

  async #run(first: Given): Promise<void> {
    try {
      for (let given: Given | null = first; given !== null;) {
        this.#judged(given.conduit, await this.#judge(given.auth));
        const newest: Given | null = this.#newest;
        given = newest === given ? null : newest;
      }
    } finally {
      this.#newest = null;
    }
  }
}
