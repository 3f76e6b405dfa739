/** The server's side of a WebSocket of npm `ws`, as a conduit: the one that strangers may connect to. */

import type { Buffer } from "node:buffer";
import type { Frame, Subprotocol } from "../protocol/codec.ts";
import { closeCode } from "../protocol/reasons.ts";
import type { ConduitPeer } from "./conduit.ts";
import { FrameMeter } from "./frame_meter.ts";
import type { SilentClosing, SilentClosings } from "./silent_closings.ts";
import { SocketConduit, type SocketConduitContext } from "./socket_conduit.ts";
import type { FrameHolder, UnfinishedFrames } from "./unfinished_frames.ts";

/** What the conduits of one server share. */
export interface WsConduitContext extends SocketConduitContext {
  /** Bounds what all of them hold of frames that have not ended. */
  readonly unfinished: UnfinishedFrames;
  /** Bounds those of them that were closed before a frame had come. */
  readonly silent: SilentClosings;
}

const CONDUIT = Symbol("conduit");

/** What is used of the TCP socket under a WebSocket. */
export interface Line {
  on(event: "data", listener: (this: Line, chunk: Uint8Array) => void): unknown;
  off(event: "data", listener: (this: Line, chunk: Uint8Array) => void): unknown;
  pause(): unknown;
  [CONDUIT]?: WsConduit;
}

/** What is used of `ws`'s server-side `WebSocket`; its package has no types. */
export interface WsSocket {
  binaryType: string;
  readonly readyState: number;
  readonly bufferedAmount: number;
  send(data: Uint8Array, options: { readonly binary: boolean }): void;
  close(code: number, reason: string): void;
  terminate(): void;
  /** Both concern reading only. */
  pause(): void;
  resume(): void;
  on(
    event: "message",
    listener: (this: WsSocket, data: ArrayBuffer | Buffer, isBinary: boolean) => void,
  ): unknown;
  on(event: "close", listener: (this: WsSocket, code: number, reason: Buffer) => void): unknown;
  on(event: "error", listener: (this: WsSocket, error: Error & { readonly code?: string }) => void): unknown;
  [CONDUIT]?: WsConduit;
}

/** A WebSocket that was just accepted, with the line under it. */
export interface AcceptedSocket {
  readonly socket: WsSocket;
  readonly line: Line;
}

const OPEN = 1;

/**
 * The first frame holds a `start` (`handshake.first`), which is never as large: its credential has at most 16 Ki characters and its
 * metadata 4 KiB, and JSON may escape each as six. What is larger is `malformed`, and is not read to its end to be told so
 * in-band: nobody has said yet who sends it.
 */
export const FIRST_FRAME_BYTES = 256 * 1024;

/** What is read and thrown away after a frame was refused, before a peer that goes on sending is left unread. */
const DISCARDED_BYTES = 128 * 1024;

/** How `ws` calls what it does not take, and closes for. */
const REFUSED = "WS_ERR_";

/** What `ws` calls a frame, or its fragments together, above `maxPayload`. */
const TOO_BIG = new Set(["WS_ERR_UNSUPPORTED_MESSAGE_LENGTH", "WS_ERR_UNSUPPORTED_DATA_PAYLOAD_LENGTH"]);

const encoder = new TextEncoder();

/**
 * A conduit over an accepted socket of `ws`, whose `maxPayload` is the frame limit of the subprotocol.
 *
 * - A frame above the limit is refused by its first header that says so, before it is assembled; the first frame of a
 *   conduit already above {@link FIRST_FRAME_BYTES}.
 * - What has come of frames that have not ended is bounded for all conduits together ({@link UnfinishedFrames}).
 * - A peer that leaves a close unanswered loses its TCP connection.
 *
 * All listeners are shared functions that find their conduit by the socket.
 */
export class WsConduit extends SocketConduit<WsConduitContext> implements FrameHolder, SilentClosing {
  readonly #socket: WsSocket;
  readonly #line: Line;
  readonly #meter = new FrameMeter();
  /** A frame was delivered, so that the next may be as large as the limit. */
  #introduced = false;
  /** The code that this side closed with. */
  #code = 0;

  /** The handler is accepted before this returns; none of the socket's events may have fired yet. */
  constructor(
    { socket, line }: AcceptedSocket,
    subprotocol: Subprotocol,
    context: WsConduitContext,
    peer?: ConduitPeer,
  ) {
    super(subprotocol, context, peer);
    this.#socket = socket;
    this.#line = line;
    socket[CONDUIT] = this;
    line[CONDUIT] = this;
    // With Node's own buffers a short frame would keep the whole chunk in which it came.
    socket.binaryType = "arraybuffer";
    socket.on("message", onMessage);
    socket.on("error", onError);
    socket.on("close", onClose);
    line.on("data", onChunk);
    this.opened();
  }

  send(frame: Frame): void {
    const socket = this.#socket;
    if (!this.isOpen || socket.readyState !== OPEN) return;
    // The library writes later what it is given now.
    if (typeof frame === "string") socket.send(encoder.encode(frame), { binary: false });
    else socket.send(frame.slice(), { binary: true });
    this.sent(socket.bufferedAmount);
  }

  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  /** Gives up the frame that is coming in, and the line with it: a close would wait for the frame's end. */
  abandon(): void {
    this.context.log.warn("unfinished_frame_abandoned", { conduit: this.id, bytes: this.#meter.unfinished });
    if (this.isOpen) this.context.metrics.conduitClosed("unfinished-frame");
    this.#line.off("data", onChunk);
    this.awaitClose();
    this.#socket.terminate();
  }

  /** A frame of the peer is complete. @param size Bytes of its payload. */
  frame(frame: Frame, size: number): void {
    if (!this.#introduced) {
      if (size > FIRST_FRAME_BYTES) return this.#refuseFirst();
      this.#introduced = true;
    }
    this.deliver(frame);
  }

  /** A chunk of the line was read and taken apart. */
  chunk(chunk: Uint8Array): void {
    const { unfinished } = this.context;
    if (this.isOpen && this.#socket.readyState !== OPEN) {
      // The peer has closed; what it still sends is not kept.
      this.#line.off("data", onChunk);
      unfinished.hold(this, 0, false);
      return;
    }
    const before = this.#meter.unfinished;
    const ended = this.#meter.read(chunk);
    if (this.isClosing && this.#meter.closed) {
      // The peer has answered; that the line ends too takes it another round trip, which nobody waits for.
      unfinished.hold(this, 0, false);
      this.finish(this.#code, "");
      return;
    }
    if (before > 0 || this.#meter.unfinished > 0) unfinished.hold(this, this.#meter.unfinished, ended);
    if (!this.#introduced && this.#meter.unfinished > FIRST_FRAME_BYTES) this.#refuseFirst();
  }

  #refuseFirst(): void {
    if (!this.isOpen) return;
    this.context.log.warn("first_frame_too_big", { conduit: this.id, limit: FIRST_FRAME_BYTES });
    this.close(closeCode("malformed"), "malformed");
    this.#readLittleMore();
  }

  /** The library refused what came, or the line failed. It has sent its close frame and reads no further. */
  broken(error: Error & { readonly code?: string }): void {
    const { code = "unknown", message } = error;
    const { log, metrics } = this.context;
    const tooBig = TOO_BIG.has(code);
    if (tooBig) log.warn("frame_too_big", { conduit: this.id, limit: this.frameLimit });
    else log.debug("conduit_broken", { conduit: this.id, code, error: message });
    // What the line did by itself was closed by nobody.
    if (this.isOpen && code.startsWith(REFUSED)) {
      metrics.conduitClosed(tooBig ? "frame-too-big" : "malformed-frame");
    }
    this.#readLittleMore();
    this.awaitClose();
  }

  /**
   * The library reads on to see the peer's close, and throws away what comes before it: with a flood, faster than the
   * collector of garbage follows.
   */
  #readLittleMore(): void {
    this.#line.off("data", onChunk);
    let left = DISCARDED_BYTES;
    this.#line.on("data", function (chunk) {
      left -= chunk.byteLength;
      if (left < 0) this.pause();
    });
  }

  /** The socket is gone. */
  ended(code: number, reason: string): void {
    this.context.unfinished.hold(this, 0, false);
    this.context.silent.over(this);
    this.finish(code, reason);
  }

  /** Its peer has said nothing, and its close takes too long for the others that come. */
  letGo(): void {
    this.#socket.terminate();
    this.finish(1006, "");
  }

  protected override waitingBytes(): number {
    return this.#socket.bufferedAmount;
  }

  protected override startClose(code: number, reason: string): void {
    this.#code = code;
    this.#socket.close(code, reason);
    if (!this.#introduced) this.context.silent.begun(this);
  }

  protected override drop(): void {
    this.#socket.terminate();
  }
}

function onMessage(this: WsSocket, data: ArrayBuffer | Buffer, isBinary: boolean): void {
  // With `arraybuffer` bytes are one, text is a buffer still.
  const frame = isBinary ? new Uint8Array(data as ArrayBuffer) : (data as Buffer).toString();
  this[CONDUIT]?.frame(frame, data.byteLength);
}

function onError(this: WsSocket, error: Error & { readonly code?: string }): void {
  this[CONDUIT]?.broken(error);
}

function onClose(this: WsSocket, code: number, reason: Buffer): void {
  this[CONDUIT]?.ended(code, reason.toString());
}

function onChunk(this: Line, chunk: Uint8Array): void {
  this[CONDUIT]?.chunk(chunk);
}
