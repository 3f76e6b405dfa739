/** A bound on what all conduits of a server together hold of frames that have begun and not ended. */

import { jsonFrameBytes } from "../protocol/limits.ts";
import type { Clock } from "../system/clock.ts";
import { Litter } from "../system/litter.ts";

const KIB = 1024;

/** How old an unfinished frame may grow while others wait for its room. Milliseconds. */
export const FRAME_PATIENCE_MS = 5_000;

/** What a line may have read already when it is told to read no further. */
const READ_AHEAD_BYTES = 128 * KIB;

/** Who holds the beginning of a frame. */
export interface FrameHolder {
  /** Reads no further until {@link resume}; the peer's own buffers fill up instead of this process's. */
  pause(): void;
  resume(): void;
  /** Gives up what it holds, and its line with it. */
  abandon(): void;
}

/** Bytes. */
export interface UnfinishedLimits {
  /** Above it only the frame that began first goes on; must leave room for the largest frame. */
  readonly wait: number;
  /** Above it the frames that began first are given up at once. */
  readonly most: number;
}

/**
 * The limits of a server: 8 MiB and 16 MiB, or what the largest frame needs.
 *
 * @param frameBytes `limits.frameBytes`.
 */
export function unfinishedLimits(frameBytes: number): UnfinishedLimits {
  const wait = Math.max(8 * KIB * KIB, jsonFrameBytes(frameBytes) + KIB * KIB);
  return { wait, most: 2 * wait };
}

interface Held {
  bytes: number;
  paused: boolean;
  readonly since: number;
}

/**
 * Adds up unfinished frames, and makes their peers take turns when they are too much together.
 *
 * A limit on each frame alone bounds nothing where anybody may open any number of conduits. Honest frames end soon after they
 * begin, so the others wait, unread, for a moment; those that are never ended grow old and are given up.
 * Giving up at once instead would let a flood through to the collector of garbage, which is slower than the network.
 */
export class UnfinishedFrames {
  readonly #limits: UnfinishedLimits;
  readonly #clock: Clock;
  readonly #litter: Litter;
  /** In the order in which their frames began. */
  readonly #held = new Map<FrameHolder, Held>();
  #bytes = 0;
  #waiting = 0;
  #cancelTimer: (() => void) | null = null;

  /**
   * @param collect Collects garbage. The engine by itself lets 64 MiB of buffers pile up, whatever of them is in use, and what is
   * bounded here would be a part of that only. It is called when 1.5 MiB of frames were given up, or came while half of
   * `wait` was held already: never by frames that end soon.
   */
  constructor(limits: UnfinishedLimits, clock: Clock, collect: () => void) {
    this.#limits = limits;
    this.#clock = clock;
    this.#litter = new Litter(collect);
  }

  /** Bytes held at present, with what those that wait may have read ahead. */
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
    const held = this.#held.get(holder);
    const had = begun ? 0 : held?.bytes ?? 0;
    if (this.#bytes > this.#limits.wait / 2) this.#litter.add(bytes - had);
    if (held !== undefined && bytes > 0 && !begun) {
      this.#bytes += bytes - had;
      held.bytes = bytes;
    } else {
      if (held !== undefined) this.#remove(holder, held);
      if (bytes === 0) this.#litter.add(had);
      if (bytes > 0) this.#held.set(holder, { bytes, paused: false, since: this.#clock.now() });
      this.#bytes += bytes;
    }
    this.#settle(holder);
  }

  #remove(holder: FrameHolder, held: Held): void {
    this.#held.delete(holder);
    this.#bytes -= held.bytes;
    if (held.paused) this.#unpause(holder, held);
  }

  #unpause(holder: FrameHolder, held: Held): void {
    held.paused = false;
    this.#waiting--;
    this.#bytes -= READ_AHEAD_BYTES;
    holder.resume();
  }

  /** @param latest Whose frame has grown, if one has. */
  #settle(latest?: FrameHolder): void {
    const { wait, most } = this.#limits;
    const held = latest === undefined ? undefined : this.#held.get(latest);
    if (
      this.#bytes > wait && latest !== undefined && held?.paused === false &&
      this.#held.keys().next().value !== latest
    ) {
      held.paused = true;
      this.#waiting++;
      this.#bytes += READ_AHEAD_BYTES;
      latest.pause();
    }
    const late = this.#clock.now() - FRAME_PATIENCE_MS;
    for (const [oldest, first] of this.#held) {
      if (this.#bytes <= wait) break;
      if (first.paused) this.#unpause(oldest, first);
      if (this.#bytes <= wait || this.#bytes <= most && first.since > late) break;
      this.#abandon(oldest, first);
    }
    if (this.#bytes <= wait) this.#release();
    else this.#watchFirst();
  }

  #abandon(holder: FrameHolder, held: Held): void {
    this.#held.delete(holder);
    this.#bytes -= held.bytes;
    holder.abandon();
    this.#litter.add(held.bytes);
  }

  /** There is room: whoever waits reads on, in the order of their frames. */
  #release(): void {
    this.#disarm();
    if (this.#waiting === 0) return;
    for (const [holder, held] of this.#held) if (held.paused) this.#unpause(holder, held);
  }

  #watchFirst(): void {
    const first = this.#held.values().next().value;
    if (first === undefined || this.#cancelTimer !== null) return;
    this.#cancelTimer = this.#clock.wakeAt(first.since + FRAME_PATIENCE_MS, () => {
      this.#cancelTimer = null;
      this.#settle();
    });
  }

  #disarm(): void {
    this.#cancelTimer?.();
    this.#cancelTimer = null;
  }
}
