/** The server's side of the platform's own WebSocket, as a conduit. */

import { setImmediate } from "node:timers";
import type { Frame, Subprotocol } from "../protocol/codec.ts";
import { closeCode } from "../protocol/reasons.ts";
import { describeError } from "../observe/json_log.ts";
import type { ConduitPeer } from "./conduit.ts";
import { SocketConduit, type SocketConduitContext } from "./socket_conduit.ts";

export { BACKLOG_LOOK_MS, CLOSE_WAIT_MS } from "./socket_conduit.ts";
/** What the conduits of one server share. */
export type WebSocketConduitContext = SocketConduitContext;

/** How many turns of the event loop a close waits for the peer to pause. */
const QUIET_TURNS = 200;

/**
 * A conduit over an accepted `WebSocket`.
 *
 * The socket calls into one `EventListenerObject` instead of four closures. The platform has no way to drop a socket whose
 * peer does not answer a close; what still arrives on it is discarded. It also assembles a message of up to 64 MiB before
 * anybody can refuse it: where strangers connect, `ws_conduit.ts` stands in.
 */
export class WebSocketConduit extends SocketConduit implements EventListenerObject {
  readonly #socket: WebSocket;
  /** Something arrived that nobody wants any more, since the last look. */
  #discarding = true;

  /**
   * @param socket Just upgraded, so that none of its events has fired yet.
   * @param peer What is known of the other side.
   */
  constructor(
    socket: WebSocket,
    subprotocol: Subprotocol,
    context: WebSocketConduitContext,
    peer?: ConduitPeer,
  ) {
    super(subprotocol, context, peer);
    this.#socket = socket;
    socket.binaryType = "arraybuffer";
    socket.addEventListener("open", this);
    socket.addEventListener("message", this);
    socket.addEventListener("error", this);
    socket.addEventListener("close", this);
  }

  send(frame: Frame): void {
    const socket = this.#socket;
    if (!this.isOpen || socket.readyState !== WebSocket.OPEN) return;
    // Frames come from encoders, whose memory is never shared; the platform's type rules shared memory out.
    socket.send(frame as string | Uint8Array<ArrayBuffer>);
    this.sent(socket.bufferedAmount);
  }

  /** The one place where the platform calls in. Nothing may escape from it: it would end the process. */
  handleEvent(event: Event): void {
    try {
      switch (event.type) {
        case "message":
          return this.#onMessage((event as MessageEvent<unknown>).data);
        case "open":
          return this.opened();
        case "close": {
          const { code, reason } = event as CloseEvent;
          // The platform reports 0 for a socket that broke without a close frame.
          return this.finish(code === 0 ? 1006 : code, reason);
        }
        case "error":
          // The platform would report an error nobody looked at; what it means arrives as `close`.
          event.preventDefault();
          if (this.isOpen) this.awaitClose();
      }
    } catch (error) {
      this.fail(error);
    }
  }

  protected override waitingBytes(): number {
    return this.#socket.bufferedAmount;
  }

  protected override startClose(code: number, reason: string): void {
    setImmediate(() => this.#closeWhenQuiet(code, reason, QUIET_TURNS));
  }

  protected override drop(): void {}

  /**
   * Closes the socket in a turn in which nothing arrived.
   *
   * The platform drops a closing socket as soon as it reads a frame from it, and where that frame was already waiting,
   * before the close frame is written: the peer would see 1006 instead of its instruction.
   */
  #closeWhenQuiet(code: number, reason: string, turns: number): void {
    // A socket that broke, or that the peer is closing, has its own close event on the way.
    if (!this.isClosing || this.#socket.readyState !== WebSocket.OPEN) return;
    if (this.#discarding && turns > 0) {
      this.#discarding = false;
      setImmediate(() => this.#closeWhenQuiet(code, reason, turns - 1));
      return;
    }
    try {
      this.#socket.close(code, reason);
    } catch (error) {
      this.context.log.error("conduit_close_failed", {
        conduit: this.id,
        code,
        error: describeError(error),
      });
    }
  }

  #onMessage(data: unknown): void {
    if (!this.isOpen) {
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
    if (exceeds(frame, this.frameLimit)) {
      this.context.log.warn("frame_too_big", { conduit: this.id, limit: this.frameLimit });
      this.close(closeCode("frame-too-big"), "frame-too-big");
      return;
    }
    this.deliver(frame);
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
