/** How ephemeral sessions ended: what a tombstone is for durable ones, in this node's memory and bounded. */

import type { Clock } from "../system/clock.ts";
import { judgeTombstone, type Refusal, type ResumeClaim } from "./admission_state.ts";
import type { Ending } from "./session_model.ts";
import type { TokenState } from "./token_state.ts";

/** Beyond this the oldest are forgotten: a later resume is then told `unknown-session`. */
const MOST_REMEMBERED = 10_000;

type Remembered = Pick<Ending, "reason" | "detail"> & {
  readonly tokens: TokenState;
  readonly principal: string;
  readonly until: number;
};

export class EndedMemory {
  readonly #clock: Clock;
  readonly #ended = new Map<string, Remembered>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get size(): number {
    return this.#ended.size;
  }

  /** @param until Milliseconds since the epoch. */
  remember(
    session: string,
    how: Omit<Remembered, "until">,
    until: number,
  ): void {
    const now = this.#clock.now();
    for (const [id, entry] of this.#ended) {
      if (entry.until > now && this.#ended.size < MOST_REMEMBERED) break;
      this.#ended.delete(id);
    }
    const { reason, detail, tokens, principal } = how;
    this.#ended.set(session, { reason, detail, tokens, principal, until });
  }

  /** What a holder of one of the session's tokens is told; null when nothing is remembered. */
  judge(session: string, claim: Pick<ResumeClaim, "token" | "authentication">): Refusal | null {
    const entry = this.#ended.get(session);
    if (entry === undefined || entry.until <= this.#clock.now()) return null;
    return judgeTombstone(entry, claim);
  }
}
