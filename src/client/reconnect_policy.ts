/** When to dial again: a pure function, so that it can be read, tested and replaced. */

/** What a {@link ReconnectPolicy} decides upon. */
export interface ReconnectQuestion {
  /** How many attempts failed since the session last made progress; the first question asks with 0. */
  readonly attempt: number;
  /** A random number in 0 … 1 (1 excluded). */
  readonly fraction: number;
  /** The server asked not to come back earlier than this, milliseconds; null if it did not. */
  readonly retryAfter: number | null;
}

/** Milliseconds until the next dial, or null to give up. */
export type ReconnectPolicy = (question: ReconnectQuestion) => number | null;

/** How {@link exponentialBackoff} grows; times in milliseconds. */
export interface BackoffSettings {
  /** No delay is shorter: a server that refuses at once is not asked in a loop. */
  readonly least: number;
  /** The longest first delay; it doubles with each attempt. */
  readonly first: number;
  /** The longest delay of all. */
  readonly most: number;
}

const DEFAULT: BackoffSettings = { least: 100, first: 500, most: 30_000 };

/**
 * Exponential with full jitter: anything between `least` and a ceiling that doubles with each attempt up to `most`.
 *
 * Full jitter spreads the clients of one server that went away evenly, so that they do not come back together.
 * `retryAfter` is a floor, and the jitter goes on top of it.
 *
 * @throws RangeError for settings that would allow a storm: `least` below 1, or a ceiling below `least`.
 */
export function exponentialBackoff(settings: Partial<BackoffSettings> = {}): ReconnectPolicy {
  const { least, first, most } = { ...DEFAULT, ...settings };
  if (!(least >= 1 && first >= least && most >= first)) {
    throw new RangeError(
      `backoff needs 1 ≤ least ≤ first ≤ most, not least ${least}, first ${first}, most ${most}`,
    );
  }
  return ({ attempt, fraction, retryAfter }) => {
    // 2 ** 40 is beyond every `most` that makes sense, and far from where doubles lose integers.
    const ceiling = Math.min(most, first * 2 ** Math.min(attempt, 40));
    if (retryAfter === null) return Math.round(least + fraction * (ceiling - least));
    return Math.round(Math.max(least, retryAfter) + fraction * ceiling);
  };
}
