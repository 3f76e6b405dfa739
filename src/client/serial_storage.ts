/** A storage whose operations run one after the other, and at once where the storage answers at once. */

/** What came of an operation; called once. */
export interface StorageOutcome {
  done(): void;
  failed(error: unknown): void;
}

export class SerialStorage {
  /** The last operation that is under way; null while there is none. */
  #last: Promise<void> | null = null;

  /**
   * Runs an operation after those before it.
   *
   * @param settle Carries out what an operation that finished at once leads to, when the caller can bear it.
   */
  run(
    operation: () => void | Promise<void>,
    outcome: StorageOutcome,
    settle: (act: () => void) => void,
  ): void {
    if (this.#last !== null) return this.#queue(this.#last.then(operation), outcome);
    let result;
    try {
      result = operation();
    } catch (error) {
      return settle(() => outcome.failed(error));
    }
    if (result instanceof Promise) this.#queue(result, outcome);
    else settle(() => outcome.done());
  }

  #queue(result: Promise<void>, outcome: StorageOutcome): void {
    const last = result.then(() => outcome.done(), (error) => outcome.failed(error)).then(() => {
      if (this.#last === last) this.#last = null;
    });
    this.#last = last;
  }
}
