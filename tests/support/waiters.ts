/** Who waits for something to change, in tests: woken at each change, and once when the time is up. */

/** One who waits, with a limit. */
export interface Waiting {
  /** Resolves at the next change with true, or with false once the time is up. */
  changed(): Promise<boolean>;
}

/** See the top of this file. */
export class Waiters {
  readonly #wakes = new Set<() => void>();

  /** Something changed. */
  wake(): void {
    for (const wake of [...this.#wakes]) wake();
  }

  /** @param ms The limit for all changes together, from now on. */
  within(ms: number): Waiting {
    const given = performance.now() + ms;
    return {
      changed: async () => {
        const left = given - performance.now();
        if (left <= 0) return false;
        return await new Promise<boolean>((resolve) => {
          const settle = (changed: boolean) => {
            clearTimeout(timer);
            this.#wakes.delete(wake);
            resolve(changed);
          };
          const wake = () => settle(true);
          const timer = setTimeout(() => settle(false), left);
          this.#wakes.add(wake);
        });
      },
    };
  }
}
