/** A conduit handler that keeps what it was told, so that a test can await it. */

import type { ConduitHandler } from "../../src/conduit/conduit.ts";
import type { Frame } from "../../src/protocol/codec.ts";

/** How a conduit ended. */
export interface Closing {
  readonly code: number;
  readonly reason: string;
}

/** Records frames and closings in order; a test may make it misbehave. */
export class RecordingHandler implements ConduitHandler {
  readonly frames: Frame[] = [];
  readonly closings: Closing[] = [];
  /** Called after a frame was recorded. */
  behave: (frame: Frame) => void | Promise<void> = () => {};
  readonly #waiters: { readonly done: () => boolean; readonly resolve: () => void }[] = [];

  onFrame(frame: Frame): void | Promise<void> {
    this.frames.push(frame);
    this.#wake();
    return this.behave(frame);
  }

  onClose(code: number, reason: string): void {
    this.closings.push({ code, reason });
    this.#wake();
  }

  /** Resolves with the frames once there are this many. */
  async received(count: number): Promise<readonly Frame[]> {
    await this.#until(() => this.frames.length >= count);
    return this.frames;
  }

  /** Resolves once the conduit is closed. */
  async closed(): Promise<Closing> {
    await this.#until(() => this.closings.length > 0);
    return this.closings[0]!;
  }

  #until(done: () => boolean): Promise<void> {
    if (done()) return Promise.resolve();
    return new Promise((resolve) => void this.#waiters.push({ done, resolve }));
  }

  #wake(): void {
    for (const waiter of this.#waiters) if (waiter.done()) waiter.resolve();
  }
}
