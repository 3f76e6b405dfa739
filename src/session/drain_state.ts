/** When a draining node asks whom to leave: spread over a window, so that nobody's new node meets all of them at once. */

/** The part of the window in which clients are asked; the rest is for the last of them to move. */
const ASKING = 0.8;

/** A drain's progress. Times are milliseconds. */
export interface DrainProgress {
  /** How long clients have in all. */
  readonly window: number;
  /** Since its beginning. */
  readonly elapsed: number;
  /** Conduits asked so far. */
  readonly asked: number;
  /** Attached conduits that were not asked yet. */
  readonly waiting: number;
}

/** What a drain does now. */
export interface DrainWave {
  /** How many of the waiting conduits are asked. */
  readonly ask: number;
  /** What they are told: within how many milliseconds to move. */
  readonly after: number;
  /** Whether the window is over. */
  readonly over: boolean;
}

/** Decides one wave: evenly many conduits are asked over the window, the first of them at once. */
export function nextWave({ window, elapsed, asked, waiting }: DrainProgress): DrainWave {
  const over = elapsed >= window;
  const asking = window * ASKING;
  const total = asked + waiting;
  const due = elapsed >= asking ? total : Math.min(total, Math.floor(total * elapsed / asking) + 1);
  const after = Math.max(0, Math.floor(Math.min(window - asking, window - elapsed)));
  return { ask: Math.min(waiting, Math.max(0, due - asked)), after, over };
}
