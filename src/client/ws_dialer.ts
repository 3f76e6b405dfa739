/**
 * Conduits over npm `ws`, for programs: Deno, and Node also before 22, which has no WebSocket. Not for browsers.
 *
 * @module
 */

import type { Buffer } from "node:buffer";
import { WebSocket as LibrarySocket } from "ws";
import { cutReason } from "../conduit/close_reason.ts";
import type { Frame, Subprotocol } from "../protocol/codec.ts";
import { jsonFrameBytes, MOST_FRAME_BYTES } from "../protocol/limits.ts";
import { DialledConduit } from "./dialled_conduit.ts";
import type { Dial, DialHandler } from "./options.ts";

/** How long a server may take to answer a close; milliseconds of the system's clock. */
const CLOSE_TIMEOUT_MS = 2_000;

/** Pieces of one frame. */
const MOST_FRAGMENTS = 1_024;
const MOST_CHUNKS = 16 * 1_024;

const OPEN = 1;

/** What is used of the library's client; its package has no types. */
interface Library {
  readonly readyState: number;
  readonly bufferedAmount: number;
  binaryType: string;
  send(data: Frame): void;
  close(code: number, reason: string): void;
  on(event: "open", listener: () => void): unknown;
  on(event: "message", listener: (data: ArrayBuffer | Buffer, isBinary: boolean) => void): unknown;
  on(event: "close", listener: (code: number, reason: Buffer) => void): unknown;
  on(event: "error", listener: (error: Error) => void): unknown;
}

/**
 * Dials with npm `ws`: `connect(url, { dial: dialWs })`.
 *
 * Where a session says something and, before the server has answered, something more, this is the faster one: Deno's own client
 * leaves Nagle's algorithm on (RFC 896), and what comes second waits until the server's system has acked the first, up to
 * 40 ms. Programs with much in flight on one session notice it, as does anybody who streams to the server.
 *
 * A frame above 16 MiB, the most a server can be set to, closes the conduit.
 */
export const dialWs: Dial = (url, subprotocols, handler) => new WsDialled(url, subprotocols, handler);

class WsDialled extends DialledConduit<Library> {
  constructor(url: string, subprotocols: readonly Subprotocol[], handler: DialHandler) {
    super(subprotocols, handler);
    this.begin(() => this.#open(url, subprotocols));
  }

  send(frame: Frame): void {
    // Masking copies it before this returns.
    if (this.socket?.readyState === OPEN) this.socket.send(frame);
  }

  close(code: number, reason: string): void {
    // These are never sent: they tell of a close without a code, and of none.
    const allowed = code === 1005 || code === 1006 ? 1000 : code;
    this.socket?.close(allowed, cutReason(reason));
  }

  #open(url: string, subprotocols: readonly Subprotocol[]): Library {
    const json = this.subprotocol === "holdfast.v1.json";
    const socket: Library = new LibrarySocket(url, [...subprotocols], {
      maxPayload: json ? jsonFrameBytes(MOST_FRAME_BYTES) : MOST_FRAME_BYTES,
      maxFragments: MOST_FRAGMENTS,
      maxBufferedChunks: MOST_CHUNKS,
      perMessageDeflate: false,
      followRedirects: false,
      closeTimeout: CLOSE_TIMEOUT_MS,
    });
    // With Node's own buffers a short frame would keep the whole chunk in which it came.
    socket.binaryType = "arraybuffer";
    socket.on("open", () => {
      if (!this.isClosed) this.#guard(() => this.handler.onOpen());
    });
    socket.on("message", (data, isBinary) => {
      if (this.isClosed || socket.readyState !== OPEN) return;
      const frame = isBinary ? new Uint8Array(data as ArrayBuffer) : (data as Buffer).toString();
      this.#guard(() => this.handler.onFrame(frame));
    });
    // What an error means arrives as `close`; unobserved, it would end the process.
    socket.on("error", () => {});
    socket.on("close", (code, reason) => this.#guard(() => this.finish(code, reason.toString())));
    return socket;
  }

  /** What a handler throws is reported as the platform's WebSocket does it, and does not pass through the library. */
  #guard(act: () => void): void {
    try {
      act();
    } catch (error) {
      queueMicrotask(() => {
        throw error;
      });
    }
  }
}
