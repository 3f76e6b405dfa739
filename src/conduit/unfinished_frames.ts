/** A bound on what all conduits of a server together hold of frames that have begun and not ended. */

import { jsonFrameBytes } from "../protocol/limits.ts";

const MIB = 1024 * 1024;

/**
 * The limit for a server: 16 MiB, or the largest frame where that is more.
 *
 * @param frameBytes `limits.frameBytes`.
 */
export function unfinishedBytes(frameBytes: number): number {
  return Math.max(16 * MIB, jsonFrameBytes(frameBytes) + MIB);
}

/** Who holds the beginning of a frame. */
export interface FrameHolder {
  /** Lets go of what it holds, and reports `hold(this, 0)` sooner or later; must not call back before it returns. */
  abandon(): void;
}

/**
 * Adds up unfinished frames. When they exceed the limit, the frame that began first is abandoned, and the next, until they
 * fit: honest frames end soon after they begin, and those that are never ended grow old.
 *
 * A limit on each frame alone bounds nothing where anybody may open any number of conduits.
 */
export class UnfinishedFrames {
  readonly #limit: number;
  /** What each holds, in the order in which their frames began. */
  readonly #held = new Map<FrameHolder, number>();
  #bytes = 0;

  /** @param limit Bytes; must leave room for the largest frame. */
  constructor(limit: number) {
    this.#limit = limit;
  }

  /** Bytes held at present. */
  get bytes(): number {
    return this.#bytes;
  }

  /**
   * States what a holder has of its present frame.
   *
   * @param bytes 0 if it has none.
   * @param begun The frame is another one than at the last call.
   */
  hold(holder: FrameHolder, bytes: number, begun: boolean): void {
    const before = this.#held.get(holder);
    if (before !== undefined && (begun || bytes === 0)) this.#held.delete(holder);
    if (bytes > 0) this.#held.set(holder, bytes);
    this.#bytes += bytes - (before ?? 0);
    for (const [oldest, held] of this.#held) {
      if (this.#bytes <= this.#limit) return;
      this.#held.delete(oldest);
      this.#bytes -= held;
      oldest.abandon();
    }
  }
}
