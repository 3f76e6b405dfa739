/** The server's side of a WebSocket, as a conduit. */

import { setImmediate } from "node:timers";
import type { Frame, Subprotocol } from "../protocol/codec.ts";
import { jsonFrameBytes } from "../protocol/limits.ts";
import { closeCode } from "../protocol/reasons.ts";
import type { Log } from "../observe/log.ts";
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

/** How many turns of the event loop a close waits for the peer to pause. */
const QUIET_TURNS = 200;

/** What all conduits of one server share, so that one conduit holds a single reference to it. */
export interface WebSocketConduitContext {
  readonly clock: Clock;
  readonly log: Log;
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
 * A conduit over an accepted `WebSocket`.
 *
 * The socket calls into one `EventListenerObject` instead of four closures, and an idle conduit owns no timer: what
 * one costs counts as many times as there are sessions.
 *
 * - A handler that throws or rejects is logged, and its conduit closed with 1011.
 * - A peer that leaves more than `bufferedBytes` unread is closed with 4409.
 * - `onClose` follows `close` within {@link CLOSE_WAIT_MS} even if the peer is silent. The platform has no way to drop
 *   the socket under it; what still arrives on it is discarded.
 */
export class WebSocketConduit implements Conduit, EventListenerObject {
  readonly id: number = nextConduitId();
  readonly subprotocol: Subprotocol;
  readonly #socket: WebSocket;
  readonly #context: WebSocketConduitContext;
  #handler: ConduitHandler | null = null;
  #state: "opening" | "open" | "closing" | "closed" = "opening";
  /** Something arrived that nobody wants any more, since the last look. */
  #discarding = true;
  /** Kept until it is handed over with the open conduit. */
  #peer: ConduitPeer | null;
  /** The one timer: the next look at a backlog while open, the end of the wait while closing. */
  #cancelTimer: (() => void) | null = null;

  /**
   * @param socket Just upgraded, so that none of its events has fired yet.
   * @param peer What is known of the other side.
   */
  constructor(
    socket: WebSocket,
    subprotocol: Subprotocol,
    context: WebSocketConduitContext,
    peer: ConduitPeer = UNKNOWN_PEER,
  ) {
    this.#peer = peer;
    this.#socket = socket;
    this.subprotocol = subprotocol;
    this.#context = context;
    context.open.add();
    socket.binaryType = "arraybuffer";
    socket.addEventListener("open", this);
    socket.addEventListener("message", this);
    socket.addEventListener("error", this);
    socket.addEventListener("close", this);
  }

  get bufferedBytes(): number {
    return this.#state === "closed" ? 0 : this.#socket.bufferedAmount;
  }

  send(frame: Frame): void {
    const socket = this.#socket;
    if (this.#state !== "open" || socket.readyState !== WebSocket.OPEN) return;
    // Frames come from encoders, whose memory is never shared; the platform's type rules shared memory out.
    socket.send(frame as string | Uint8Array<ArrayBuffer>);
    if (this.#cancelTimer === null && socket.bufferedAmount > this.#context.frameBytes) this.#watchBacklog();
  }

  close(code: number, reason: string): void {
    if (this.#state !== "open") return;
    this.#state = "closing";
    this.#awaitClose();
    setImmediate(() => this.#closeWhenQuiet(code, cutReason(reason), QUIET_TURNS));
  }

  /**
   * Closes the socket in a turn in which nothing arrived.
   *
   * The platform drops a closing socket as soon as it reads a frame from it, and where that frame was already waiting,
   * before the close frame is written: the peer would see 1006 instead of its instruction.
   */
  #closeWhenQuiet(code: number, reason: string, turns: number): void {
    // A socket that broke, or that the peer is closing, has its own close event on the way.
    if (this.#state !== "closing" || this.#socket.readyState !== WebSocket.OPEN) return;
    if (this.#discarding && turns > 0) {
      this.#discarding = false;
      setImmediate(() => this.#closeWhenQuiet(code, reason, turns - 1));
      return;
    }
    try {
      this.#socket.close(code, reason);
    } catch (error) {
      this.#context.log.error("conduit_close_failed", {
        conduit: this.id,
        code,
        error: describeError(error),
      });
    }
  }

  /** The one place where the platform calls in. Nothing may escape from it: it would end the process. */
  handleEvent(event: Event): void {
    try {
      switch (event.type) {
        case "message":
          return this.#onMessage((event as MessageEvent<unknown>).data);
        case "open":
          return this.#onOpen();
        case "close": {
          const { code, reason } = event as CloseEvent;
          // The platform reports 0 for a socket that broke without a close frame.
          return this.#finish(code === 0 ? 1006 : code, reason);
        }
        case "error":
          // The platform would report an error nobody looked at; what it means arrives as `close`.
          event.preventDefault();
          if (this.#state === "open") {
            this.#state = "closing";
            this.#awaitClose();
          }
      }
    } catch (error) {
      this.#fail(error);
    }
  }

  #onOpen(): void {
    if (this.#state !== "opening") return;
    this.#state = "open";
    const peer = this.#peer ?? UNKNOWN_PEER;
    this.#peer = null;
    this.#handler = this.#context.accept(this, peer);
  }

  #onMessage(data: unknown): void {
    const handler = this.#handler;
    if (this.#state !== "open" || handler === null) {
      this.#discarding = true;
      return;
    }
    let frame: Frame;
    if (typeof data === "string") {
      frame = data;
    } else if (data instanceof ArrayBuffer) {
      frame = new Uint8Array(data);
    } else {
      throw new TypeError("a frame is neither text nor an ArrayBuffer");
    }
    if (exceeds(frame, this.#frameLimit())) {
      this.#context.log.warn("frame_too_big", { conduit: this.id, limit: this.#frameLimit() });
      this.close(closeCode("frame-too-big"), "frame-too-big");
      return;
    }
    this.#guard(handler.onFrame(frame));
  }

  #frameLimit(): number {
    const { frameBytes } = this.#context;
    return this.subprotocol === "holdfast.v1.json" ? jsonFrameBytes(frameBytes) : frameBytes;
  }

  /** A handler typed `void` may still be an async function. */
  #guard(result: unknown): void {
    if (result instanceof Promise) result.catch((error) => this.#fail(error));
  }

  #fail(error: unknown): void {
    this.#context.log.error("conduit_handler_threw", { conduit: this.id, error: describeError(error) });
    this.close(1011, "internal error");
  }

  #finish(code: number, reason: string): void {
    if (this.#state === "closed") return;
    this.#state = "closed";
    this.#disarm();
    this.#context.open.remove();
    const handler = this.#handler;
    this.#handler = null;
    if (handler !== null) this.#guard(handler.onClose(code, reason));
  }

  #awaitClose(): void {
    this.#disarm();
    const { clock } = this.#context;
    this.#cancelTimer = clock.wakeAt(clock.now() + CLOSE_WAIT_MS, () => {
      this.#cancelTimer = null;
      this.handleEvent(new CloseEvent("close", { code: 1006 }));
    });
  }

  #watchBacklog(): void {
    const { clock, frameBytes, bufferedBytes } = this.#context;
    this.#cancelTimer = clock.wakeAt(clock.now() + BACKLOG_LOOK_MS, () => {
      this.#cancelTimer = null;
      if (this.#state !== "open") return;
      const cap = this.subprotocol === "holdfast.v1.json" ? jsonFrameBytes(bufferedBytes) : bufferedBytes;
      const waiting = this.#socket.bufferedAmount;
      if (waiting > cap) {
        this.#context.log.warn("slow_consumer", { conduit: this.id, waiting, cap });
        this.close(closeCode("slow-consumer"), "slow-consumer");
      } else if (waiting > frameBytes) {
        this.#watchBacklog();
      }
    });
  }

  #disarm(): void {
    this.#cancelTimer?.();
    this.#cancelTimer = null;
  }
}

/** True if the frame, as sent on the wire, is longer than `limit` bytes; counts UTF-8 only where it could matter. */
function exceeds(frame: Frame, limit: number): boolean {
  if (typeof frame !== "string") return frame.byteLength > limit;
  if (frame.length > limit) return true;
  if (frame.length * 3 <= limit) return false;
  let size = frame.length;
  for (let at = 0; at < frame.length && size <= limit; at++) {
    const unit = frame.charCodeAt(at);
    // A surrogate is half of four bytes.
    if (unit >= 0x80) size += unit < 0x800 || unit >= 0xd800 && unit <= 0xdfff ? 1 : 2;
  }
  return size > limit;
}
