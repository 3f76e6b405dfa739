/** All conversations of one generator process, and what is done with many of them at once. */

import { conversationOf } from "./contenders.ts";
import type { Conversation, Hearer } from "./conversation.ts";
import type { Assignment, Faults } from "./jobs.ts";

/** Openings and dials at the same time, so that no listen queue overflows. */
export const DIALS = 64;

/** How long the last messages may take. Milliseconds. */
const LATE_MS = 10_000;

/** Waits. @param ms Milliseconds. */
export const pause = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));

/** Runs `work` on each, at most `atOnce` at the same time. */
export async function eachOf<T>(items: readonly T[], atOnce: number, work: (item: T) => Promise<void>) {
  let next = 0;
  const worker = async () => {
    while (next < items.length) await work(items[next++]!);
  };
  await Promise.all(Array.from({ length: atOnce }, worker));
}

/** The value below which a share of the values lies; NaN of nothing. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? NaN;
}

/** Waits until nothing is outstanding. @returns False if `quiet` ms went by in which nothing came. */
export async function settle(members: readonly Conversation[], quiet: number): Promise<boolean> {
  let arrived = -1;
  let since = performance.now();
  for (;;) {
    let outstanding = 0;
    let now = 0;
    for (const { outstanding: out, fate } of members) {
      outstanding += out;
      now += fate.arrived;
    }
    if (outstanding === 0) return true;
    if (now !== arrived) {
      arrived = now;
      since = performance.now();
    } else if (performance.now() - since > quiet) return false;
    await pause(5);
  }
}

/** Conversations of one system. The hooks say what an echo and a break mean at present. */
export class Crowd implements Hearer {
  readonly members: Conversation[] = [];
  onEcho: (conversation: Conversation, roundTrip: number) => void = () => {};
  onBreak: (conversation: Conversation) => void = (conversation) => {
    this.failed(new Error(`conversation ${conversation.number}: its transport broke`));
  };
  /** Sessions that were begun anew. */
  forgotten = 0;
  readonly #assignment: Assignment;

  constructor(assignment: Assignment) {
    this.#assignment = assignment;
  }

  echoed(conversation: Conversation, roundTrip: number): void {
    this.onEcho(conversation, roundTrip);
  }

  broke(conversation: Conversation): void {
    this.onBreak(conversation);
  }

  failed(error: Error): never {
    throw error;
  }

  /**
   * Opens `count` conversations, numbered from `from`.
   *
   * @param within Milliseconds.
   * @throws Error that says how many were open, if one cannot be opened or time is over.
   */
  async open(count: number, from = 1, within?: number): Promise<void> {
    const { contender, url, job } = this.#assignment;
    const breaks = job.kind === "break" || job.kind === "storm" || job.kind === "kill";
    const some = Array.from({ length: count }, (_, i) => {
      return conversationOf(contender, { url, number: from + i, breaks }, this);
    });
    let opened = 0;
    const seen = () => `opened ${opened.toLocaleString("en")} of ${count.toLocaleString("en")} sessions`;
    const openOne = async (conversation: Conversation) => {
      try {
        await conversation.open();
      } catch (error) {
        const what = error instanceof Error ? error.message : String(error);
        throw new Error(`${seen()}, not one more: ${what}`, { cause: error });
      }
      opened++;
    };
    let timer: ReturnType<typeof setTimeout> | undefined;
    const late = new Promise<never>((_, reject) => {
      if (within === undefined) return;
      timer = setTimeout(() => reject(new Error(`${seen()} within ${within / 1000} s`)), within);
    });
    await Promise.race([eachOf(some, DIALS, openOne), late]).finally(() => clearTimeout(timer));
    this.members.push(...some);
  }

  /** One echo each, so that each is known to work. */
  async useEach(): Promise<void> {
    for (const member of this.members) member.send(1);
    if (!await settle(this.members, LATE_MS)) throw new Error(`echoes are missing after ${LATE_MS} ms`);
  }

  /** Takes a conversation up again. */
  async resume(conversation: Conversation): Promise<void> {
    if (!await conversation.resume()) this.forgotten++;
  }

  /** Ends all. */
  async close(): Promise<void> {
    this.onBreak = () => {};
    await eachOf(this.members, DIALS, (conversation) => conversation.close());
  }

  /** What went wrong so far. */
  faults(): Faults {
    let lost = 0;
    let doubled = 0;
    let late = 0;
    for (const { outstanding, fate } of this.members) {
      lost += outstanding;
      doubled += fate.doubled;
      late += fate.late;
    }
    return { lost, doubled, late, forgotten: this.forgotten };
  }
}
