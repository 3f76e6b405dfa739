/** Conduits that this side closed before their peers had said anything. */

/** How many of them wait for their peers' half of the close; beyond that the oldest loses its line. */
export const MOST_SILENT_CLOSINGS = 256;

/** What one leaves behind, bytes. */
const LEFT_BYTES = 16 * 1024;

/** A conduit that waits for its peer's half of the close. */
export interface SilentClosing {
  /** Waits no longer. */
  letGo(): void;
}

/**
 * Bounds what strangers who come and say nothing hold while they are shown out: a close waits for seconds for a peer that does
 * not answer, and in that time any number may come.
 */
export class SilentClosings {
  readonly #onGarbage: (bytes: number) => void;
  readonly #most: number;
  /** The oldest first. */
  readonly #waiting = new Set<SilentClosing>();

  /** @param onGarbage Told of bytes that are garbage from now on. */
  constructor(onGarbage: (bytes: number) => void, most: number = MOST_SILENT_CLOSINGS) {
    this.#onGarbage = onGarbage;
    this.#most = most;
  }

  /** A close has begun. */
  begun(closing: SilentClosing): void {
    this.#waiting.add(closing);
    const [oldest] = this.#waiting;
    if (this.#waiting.size <= this.#most || oldest === undefined) return;
    this.over(oldest);
    // Whoever closes a conduit hears nothing of another one meanwhile.
    queueMicrotask(() => oldest.letGo());
  }

  /** It is closed, or was none of them. */
  over(closing: SilentClosing): void {
    if (this.#waiting.delete(closing)) this.#onGarbage(LEFT_BYTES);
  }
}
