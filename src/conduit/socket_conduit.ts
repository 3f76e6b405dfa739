/** What the server's side of a WebSocket is, whichever library holds the socket. */

import type { Frame, Subprotocol } from "../protocol/codec.ts";
import { jsonFrameBytes } from "../protocol/limits.ts";
import { closeCode, isReason } from "../protocol/reasons.ts";
import type { Log } from "../observe/log.ts";
import type { Metrics } from "../observe/metrics.ts";
import { describeError } from "../observe/json_log.ts";
import type { Clock } from "../system/clock.ts";
import { cutReason } from "./close_reason.ts";
import { type Conduit, type ConduitHandler, type ConduitPeer, UNKNOWN_PEER } from "./conduit.ts";
import { nextConduitId } from "./conduit_id.ts";
import type { Tally } from "./tally.ts";

/** How long a closed socket may wait for the peer's half of the close. Milliseconds. */
export const CLOSE_WAIT_MS = 3_000;

/** How often a socket with a backlog is looked at. Milliseconds. */
export const BACKLOG_LOOK_MS = 250;

/** What all conduits of one server share, so that one conduit holds a single reference to it. */
export interface SocketConduitContext {
  readonly clock: Clock;
  readonly log: Log;
  /** Told why conduits are closed. */
  readonly metrics: Metrics;
  /** `limits.frameBytes`; a larger frame closes the conduit with 1009 and is not delivered. */
  readonly frameBytes: number;
  /**
   * What may wait to be sent before the peer counts as a slow consumer; for JSON six times that, as for frames.
   * Must exceed a whole window, or a replay would look like one.
   */
  readonly bufferedBytes: number;
  /** Counts the conduits whose end was not reported yet. */
  readonly open: Tally;
  /** Called once for each conduit, when its socket is open. */
  accept(conduit: Conduit, peer: ConduitPeer): ConduitHandler;
}

/**
 * A conduit over an accepted WebSocket: all of it but the socket.
 *
 * An idle conduit owns no timer and no closure: what one costs counts as many times as there are sessions.
 *
 * - A handler that throws or rejects is logged, and its conduit closed with 1011.
 * - A peer that leaves more than `bufferedBytes` unread is closed with 4409.
 * - `onClose` follows `close` within {@link CLOSE_WAIT_MS} even if the peer is silent.
 */
export abstract class SocketConduit<C extends SocketConduitContext = SocketConduitContext>
  implements Conduit {
  readonly id: number = nextConduitId();
  readonly subprotocol: Subprotocol;
  protected readonly context: C;
  /** Kept until it is handed over with the open conduit. */
  #peer: ConduitPeer | null;
  #handler: ConduitHandler | null = null;
  #state: "opening" | "open" | "closing" | "closed" = "opening";
  /** The one timer: the next look at a backlog while open, the end of the wait while closing. */
  #cancelTimer: (() => void) | null = null;

  /** @param peer What is known of the other side. */
  constructor(subprotocol: Subprotocol, context: C, peer: ConduitPeer = UNKNOWN_PEER) {
    this.subprotocol = subprotocol;
    this.#peer = peer;
    this.context = context;
    context.open.add();
  }

  get bufferedBytes(): number {
    return this.#state === "closed" ? 0 : this.waitingBytes();
  }

  abstract send(frame: Frame): void;

  close(code: number, reason: string): void {
    if (this.#state !== "open") return;
    // Only a handler that throws makes a close say something else.
    this.context.metrics.conduitClosed(isReason(reason) ? reason : "internal");
    this.awaitClose();
    this.startClose(code, cutReason(reason));
  }

  /** What the socket was given and has not passed on. Bytes. */
  protected abstract waitingBytes(): number;
  /** Begins the close handshake; must not call back before it returns, and must not throw. */
  protected abstract startClose(code: number, reason: string): void;
  /** The peer did not answer a close in time; what still holds its socket lets go. */
  protected abstract drop(): void;

  /** Frames are sent and taken. */
  protected get isOpen(): boolean {
    return this.#state === "open";
  }

  /** This side closed, or the socket failed, and the end was not reported yet. */
  protected get isClosing(): boolean {
    return this.#state === "closing";
  }

  /** Bytes of the largest frame that is taken, as sent on the wire. */
  protected get frameLimit(): number {
    return this.#scaled(this.context.frameBytes);
  }

  /** The socket is open. */
  protected opened(): void {
    if (this.#state !== "opening") return;
    this.#state = "open";
    const peer = this.#peer ?? UNKNOWN_PEER;
    this.#peer = null;
    try {
      this.#handler = this.context.accept(this, peer);
    } catch (error) {
      this.fail(error);
    }
  }

  /** Hands a frame to the handler. @returns false if nobody wants it any more. */
  protected deliver(frame: Frame): boolean {
    const handler = this.#handler;
    if (this.#state !== "open" || handler === null) return false;
    try {
      this.#guard(handler.onFrame(frame));
    } catch (error) {
      this.fail(error);
    }
    return true;
  }

  /** Nothing more is taken; the end is reported in time, whatever the socket does. */
  protected awaitClose(): void {
    if (this.#state === "closed" || this.#state === "closing") return;
    this.#state = "closing";
    this.#disarm();
    const { clock } = this.context;
    this.#cancelTimer = clock.wakeAt(clock.now() + CLOSE_WAIT_MS, () => {
      this.#cancelTimer = null;
      this.drop();
      this.finish(1006, "");
    });
  }

  /** Reports the end, once. */
  protected finish(code: number, reason: string): void {
    if (this.#state === "closed") return;
    this.#state = "closed";
    this.#disarm();
    this.context.open.remove();
    const handler = this.#handler;
    this.#handler = null;
    if (handler === null) return;
    try {
      this.#guard(handler.onClose(code, reason));
    } catch (error) {
      this.fail(error);
    }
  }

  /** A handler threw: its own conduit pays. */
  protected fail(error: unknown): void {
    this.context.log.error("conduit_handler_threw", { conduit: this.id, error: describeError(error) });
    this.close(1011, "internal error");
  }

  /** To be called after each send: looks after a backlog that is longer than a frame. */
  protected sent(waiting: number): void {
    if (this.#cancelTimer === null && waiting > this.context.frameBytes) this.#watchBacklog();
  }

  #watchBacklog(): void {
    const { clock, frameBytes, bufferedBytes, log } = this.context;
    this.#cancelTimer = clock.wakeAt(clock.now() + BACKLOG_LOOK_MS, () => {
      this.#cancelTimer = null;
      if (this.#state !== "open") return;
      const cap = this.#scaled(bufferedBytes);
      const waiting = this.waitingBytes();
      if (waiting > cap) {
        log.warn("slow_consumer", { conduit: this.id, waiting, cap });
        this.close(closeCode("slow-consumer"), "slow-consumer");
      } else if (waiting > frameBytes) {
        this.#watchBacklog();
      }
    });
  }

  #scaled(bytes: number): number {
    return this.subprotocol === "holdfast.v1.json" ? jsonFrameBytes(bytes) : bytes;
  }

  /** A handler typed `void` may still be an async function. */
  #guard(result: unknown): void {
    if (result instanceof Promise) result.catch((error) => this.fail(error));
  }

  #disarm(): void {
    this.#cancelTimer?.();
    this.#cancelTimer = null;
  }
}
