/** Conduits over the platform's own WebSocket: browsers, Deno, Node 22 or newer. */

import type { Conduit } from "../conduit/conduit.ts";
import type { Frame, Subprotocol } from "../protocol/codec.ts";
import type { Dial, DialHandler } from "./options.ts";

/** As many characters as surely fit the 123 bytes of a close frame. */
const REASON_CHARACTERS = 40;

let lastId = 0;

/** Dials with the platform's WebSocket. */
export const dialWebSocket: Dial = (url, subprotocols, handler) =>
  new DialledWebSocket(url, subprotocols, handler);

class DialledWebSocket implements Conduit {
  readonly id: number = ++lastId;
  readonly subprotocol: Subprotocol;
  readonly #handler: DialHandler;
  #socket: WebSocket | null = null;
  #closed = false;

  constructor(url: string, subprotocols: readonly Subprotocol[], handler: DialHandler) {
    this.subprotocol = subprotocols[0] ?? "holdfast.v1.json";
    this.#handler = handler;
    try {
      this.#socket = this.#open(url, subprotocols);
    } catch (error) {
      // No WebSocket here, a url that is none, or a page that may not dial it.
      const reason = error instanceof Error ? error.message : String(error);
      queueMicrotask(() => this.#finish(1006, reason));
    }
  }

  get bufferedBytes(): number {
    return this.#closed ? 0 : this.#socket?.bufferedAmount ?? 0;
  }

  send(frame: Frame): void {
    const socket = this.#socket;
    if (socket === null || socket.readyState !== WebSocket.OPEN) return;
    // Frames come from encoders, whose memory is never shared; the platform's type rules shared memory out.
    socket.send(frame as string | Uint8Array<ArrayBuffer>);
  }

  close(code: number, reason: string): void {
    // A page may use no other codes, and to a server a break is a break.
    const allowed = code === 1000 || code >= 3000 && code <= 4999 ? code : 1000;
    this.#socket?.close(allowed, reason.slice(0, REASON_CHARACTERS));
  }

  #open(url: string, subprotocols: readonly Subprotocol[]): WebSocket {
    const socket = new WebSocket(url, [...subprotocols]);
    socket.binaryType = "arraybuffer";
    socket.addEventListener("open", () => {
      if (!this.#closed) this.#handler.onOpen();
    });
    socket.addEventListener("message", ({ data }) => {
      if (this.#closed || socket.readyState !== WebSocket.OPEN) return;
      this.#handler.onFrame(typeof data === "string" ? data : new Uint8Array(data as ArrayBuffer));
    });
    // What an error means arrives as `close`; unobserved, a platform would report it.
    socket.addEventListener("error", (event) => event.preventDefault());
    // The platform reports 0 for a socket that broke without a close frame.
    socket.addEventListener("close", ({ code, reason }) => this.#finish(code === 0 ? 1006 : code, reason));
    return socket;
  }

  #finish(code: number, reason: string): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#handler.onClose(code, reason);
  }
}

/**
 * The WebSocket url of a server: `http(s)` becomes `ws(s)`, and without a path it is `/v1/connect`.
 *
 * @throws TypeError for a url of another kind, or one with a user, a password or a fragment.
 */
export function socketUrl(url: string): string {
  const parsed = new URL(url);
  if (parsed.protocol === "http:") parsed.protocol = "ws:";
  if (parsed.protocol === "https:") parsed.protocol = "wss:";
  if (
    parsed.protocol !== "ws:" && parsed.protocol !== "wss:" || parsed.hash !== "" || parsed.username !== ""
  ) {
    throw new TypeError(
      `cannot connect to ${JSON.stringify(url)}: http, https, ws or wss is needed, without a fragment`,
    );
  }
  if (parsed.pathname === "/") parsed.pathname = "/v1/connect";
  return parsed.href;
}
