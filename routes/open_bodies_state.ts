/**
 * Which requests hold bytes of their bodies that nobody has read, and which of them makes room when that is too much.
 *
 * A request is here from its head until its answer is out and its body over, or its connection closed.
 */

/** The requests of one server. `Incoming` is compared by identity. */
export class OpenBodies<Incoming> {
  readonly #most: number;
  readonly #each: number;
  /** Bytes that each may hold; the oldest first. */
  readonly #bodies = new Map<Incoming, number>();
  /** All of these together. */
  #bytes = 0;

  /**
   * @param most Bytes of all of them together.
   * @param each Bytes that one holds at most; not above `most`.
   */
  constructor(most: number, each: number) {
    this.#most = most;
    this.#each = each;
  }

  /**
   * The head of a request has come.
   *
   * @param length Bytes of the body, `Infinity` where the head does not say.
   * @returns The oldest, which are known no more: as many as are too much. Never the new one.
   */
  opened(incoming: Incoming, length: number): Incoming[] {
    const bytes = Math.min(length, this.#each);
    if (bytes === 0) return [];
    const chosen: Incoming[] = [];
    for (const oldest of this.#bodies.keys()) {
      if (this.#bytes + bytes <= this.#most) break;
      this.gone(oldest);
      chosen.push(oldest);
    }
    this.#bodies.set(incoming, bytes);
    this.#bytes += bytes;
    return chosen;
  }

  /** Its answer is out and its body over, or its connection is closed. */
  gone(incoming: Incoming): void {
    const bytes = this.#bodies.get(incoming);
    if (bytes === undefined) return;
    this.#bodies.delete(incoming);
    this.#bytes -= bytes;
  }
}
