/** Conduits over the platform's own WebSocket: browsers, Deno, Node 22 or newer. */

import type { Frame, Subprotocol } from "../protocol/codec.ts";
import { DialledConduit } from "./dialled_conduit.ts";
import type { Dial, DialHandler } from "./options.ts";

/** As many characters as surely fit the 123 bytes of a close frame. */
const REASON_CHARACTERS = 40;

/** Dials with the platform's WebSocket. */
export const dialWebSocket: Dial = (url, subprotocols, handler) =>
  new DialledWebSocket(url, subprotocols, handler);

class DialledWebSocket extends DialledConduit<WebSocket> {
  constructor(url: string, subprotocols: readonly Subprotocol[], handler: DialHandler) {
    super(subprotocols, handler);
    this.begin(() => this.#open(url, subprotocols));
  }

  send(frame: Frame): void {
    const socket = this.socket;
    if (socket === null || socket.readyState !== WebSocket.OPEN) return;
    // Frames come from encoders, whose memory is never shared; the platform's type rules shared memory out.
    socket.send(frame as string | Uint8Array<ArrayBuffer>);
  }

  close(code: number, reason: string): void {
    // A page may use no other codes, and to a server a break is a break.
    const allowed = code === 1000 || code >= 3000 && code <= 4999 ? code : 1000;
    this.socket?.close(allowed, reason.slice(0, REASON_CHARACTERS));
  }

  #open(url: string, subprotocols: readonly Subprotocol[]): WebSocket {
    const socket = new WebSocket(url, [...subprotocols]);
    socket.binaryType = "arraybuffer";
    socket.addEventListener("open", () => {
      if (!this.isClosed) this.handler.onOpen();
    });
    socket.addEventListener("message", ({ data }) => {
      if (this.isClosed || socket.readyState !== WebSocket.OPEN) return;
      this.handler.onFrame(typeof data === "string" ? data : new Uint8Array(data as ArrayBuffer));
    });
    // What an error means arrives as `close`; unobserved, a platform would report it.
    socket.addEventListener("error", (event) => event.preventDefault());
    // The platform reports 0 for a socket that broke without a close frame.
    socket.addEventListener("close", ({ code, reason }) => this.finish(code === 0 ? 1006 : code, reason));
    return socket;
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
