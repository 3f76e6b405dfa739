/** Adds up garbage, and has it collected when it is much. */

/** Bytes of garbage after which it is collected. */
export const GARBAGE_BYTES = 1536 * 1024;

/** The engine by itself lets 64 MiB of buffers pile up, whatever of them is in use: a bound on what is in use is a part of that. */
export class Litter {
  readonly #collect: () => void;
  /** Bytes that became garbage, or soon will, since it was collected. */
  #bytes = 0;

  /** @param collect Collects garbage; called when {@link GARBAGE_BYTES} of it have been added. */
  constructor(collect: () => void) {
    this.#collect = collect;
  }

  /** States that so many bytes are garbage. */
  add(bytes: number): void {
    this.#bytes += Math.max(0, bytes);
    if (this.#bytes < GARBAGE_BYTES) return;
    this.#bytes = 0;
    this.#collect();
  }
}
