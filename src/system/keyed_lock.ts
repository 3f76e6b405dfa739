/** One at a time per key. */

import { Mutex } from "es-toolkit";

/** Runs what is asked for a key in the order asked, one after the other; different keys do not wait for each other. */
export class KeyedLock {
  readonly #locks = new Map<string, { readonly mutex: Mutex; users: number }>();

  /** Runs `work` when everything asked earlier for `key` is done, however that ended. */
  async run<T>(key: string, work: () => Promise<T>): Promise<T> {
    let lock = this.#locks.get(key);
    if (lock === undefined) this.#locks.set(key, lock = { mutex: new Mutex(), users: 0 });
    lock.users++;
    await lock.mutex.acquire();
    try {
      return await work();
    } finally {
      lock.mutex.release();
      if (--lock.users === 0) this.#locks.delete(key);
    }
  }

  /** Keys that somebody holds or waits for. */
  get size(): number {
    return this.#locks.size;
  }
}
