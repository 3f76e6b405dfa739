/** Two ends of a conduit inside one process: for tests, and for clients that live beside the server. */

import type { Frame, Subprotocol } from "../protocol/codec.ts";
import { cutReason } from "./close_reason.ts";
import type { Conduit, ConduitHandler } from "./conduit.ts";
import { nextConduitId } from "./conduit_id.ts";

/** How a {@link MemoryPipe} behaves. */
export interface MemoryPipeOptions {
  readonly subprotocol: Subprotocol;
  /** Runs a delivery later, and never inside the call; by default as a microtask. Deliveries must keep their order. */
  readonly schedule?: (delivery: () => void) => void;
  /** Called with what a handler threw or rejected with; its end is then closed with 1011. */
  readonly onError: (error: unknown) => void;
}

type Delivery = { readonly frame: Frame } | { readonly code: number; readonly reason: string };

/** Two joined conduits, and what can happen to the line between them. */
export class MemoryPipe {
  readonly left: MemoryConduit;
  readonly right: MemoryConduit;

  constructor(options: MemoryPipeOptions) {
    this.left = new MemoryConduit(options);
    this.right = new MemoryConduit(options);
    this.left.join(this.right);
    this.right.join(this.left);
  }

  /** Cuts the line: what is under way is lost, and both ends are told 1006. */
  break(): void {
    this.left.cut();
    this.right.cut();
  }

  /** From here on everything sent vanishes, closes included, and neither end is told: a half-open line. */
  stall(): void {
    this.left.stall();
    this.right.stall();
  }
}

/** One end of a {@link MemoryPipe}. What arrives before it is listened to waits. */
export class MemoryConduit implements Conduit {
  readonly id: number = nextConduitId();
  readonly subprotocol: Subprotocol;
  readonly #schedule: (delivery: () => void) => void;
  readonly #onError: (error: unknown) => void;
  #peer: MemoryConduit | null = null;
  #handler: ConduitHandler | null = null;
  #state: "open" | "closing" | "closed" = "open";
  /** Arrived, not yet handed over. */
  #inbox: Delivery[] = [];
  #bufferedBytes = 0;
  #stalled = false;

  constructor(options: MemoryPipeOptions) {
    this.subprotocol = options.subprotocol;
    this.#schedule = options.schedule ?? queueMicrotask;
    this.#onError = options.onError;
  }

  get bufferedBytes(): number {
    return this.#state === "open" ? this.#bufferedBytes : 0;
  }

  /** Sets who listens. */
  listen(handler: ConduitHandler): void {
    this.#handler = handler;
    this.#schedule(() => this.#drain());
  }

  send(frame: Frame): void {
    if (this.#state !== "open" || this.#stalled) return;
    // The sender may use its memory again, as with a socket.
    const copy = typeof frame === "string" ? frame : frame.slice();
    this.#bufferedBytes += copy.length;
    this.#peer?.arrive({ frame: copy }, () => this.#bufferedBytes -= copy.length);
  }

  close(code: number, reason: string): void {
    if (this.#state !== "open") return;
    this.#state = "closing";
    // Frames that were already here are no longer wanted; a close that is, stands.
    this.#inbox = this.#inbox.filter((delivery) => "code" in delivery);
    if (this.#stalled) this.arrive({ code: 1006, reason: "" });
    else this.#peer?.arrive({ code, reason: cutReason(reason) });
  }

  /** Makes this end send to `peer`. */
  join(peer: MemoryConduit): void {
    this.#peer = peer;
  }

  /** Breaks this end, whatever is under way. */
  cut(): void {
    if (this.#state === "closed") return;
    this.#state = "closing";
    this.#inbox = [];
    this.arrive({ code: 1006, reason: "" });
  }

  /** Makes this end's line half-open. */
  stall(): void {
    this.#stalled = true;
    this.#inbox = [];
  }

  /** Takes what the other end sent. */
  arrive(delivery: Delivery, taken: () => void = () => {}): void {
    this.#inbox.push(delivery);
    this.#schedule(() => {
      taken();
      this.#drain();
    });
  }

  #drain(): void {
    while (this.#handler !== null && this.#state !== "closed") {
      const delivery = this.#inbox.shift();
      if (delivery === undefined) return;
      try {
        if ("code" in delivery) this.#finish(this.#handler, delivery.code, delivery.reason);
        else if (this.#state === "open") this.#guard(this.#handler.onFrame(delivery.frame));
      } catch (error) {
        this.#fail(error);
      }
    }
  }

  #finish(handler: ConduitHandler, code: number, reason: string): void {
    // A close is answered with itself, so that the closer hears of it too.
    if (this.#state === "open" && code !== 1006) this.#peer?.arrive({ code, reason });
    this.#state = "closed";
    this.#inbox = [];
    this.#guard(handler.onClose(code, reason));
  }

  #guard(result: unknown): void {
    if (result instanceof Promise) result.catch((error) => this.#fail(error));
  }

  #fail(error: unknown): void {
    this.#onError(error);
    this.close(1011, "internal error");
  }
}
