/** Who waits for a session's changes to be committed. */

/** Waiters, each for a number of changes. */
export class CommitWaiters {
  #waiting: { readonly changes: number; readonly resolve: () => void }[] = [];

  /** Resolves once {@link wake} is told at least `changes`. */
  wait(changes: number): Promise<void> {
    return new Promise((resolve) => void this.#waiting.push({ changes, resolve }));
  }

  /** @param committed How many changes are committed; Infinity: nobody need wait any more. */
  wake(committed: number): void {
    if (this.#waiting.length === 0) return;
    const ready = this.#waiting.filter(({ changes }) => changes <= committed);
    this.#waiting = this.#waiting.filter(({ changes }) => changes > committed);
    for (const { resolve } of ready) resolve();
  }
}
