/**
 * WebSockets to upstream servers by npm `ws`, whose `pause` stops reading its TCP socket: what an upstream sends to a client
 * that does not take it piles up at the upstream. The platform's own client reads on.
 */

import type { Buffer } from "node:buffer";
import { WebSocket as LibrarySocket } from "ws";
import type { Payload } from "../protocol/payload.ts";
import { ABNORMAL, NO_CODE, type SocketClosing } from "../protocol/socket_closing.ts";
import type { DialUpstream, UpstreamEnd, UpstreamHandler, UpstreamSocket } from "./upstream_socket.ts";

/** What all sockets of a node have in common. */
export interface WsUpstreamOptions {
  /** The largest message that is taken. */
  readonly payloadBytes: number;
  /** How long an upstream may take to answer a close; milliseconds of the system's clock. */
  readonly closeTimeout?: number;
  /** Told of what a handler throws, which is a defect. */
  readonly failed: (thrown: unknown) => void;
}

/** What waits for the network before a sender is told to wait. */
export const HIGH_WATER_BYTES: number = 256 * 1024;

const CLOSE_TIMEOUT_MS = 2_000;

/** Pieces of one message, as of a conduit's frame. */
const MOST_FRAGMENTS = 1_024;
const MOST_CHUNKS = 16 * 1_024;

const OPEN = 1;

/** What the library calls a message, or its fragments together, above `maxPayload`. */
const TOO_BIG = new Set(["WS_ERR_UNSUPPORTED_MESSAGE_LENGTH", "WS_ERR_UNSUPPORTED_DATA_PAYLOAD_LENGTH"]);

type LibraryError = Error & { readonly code?: string };

/** What is used of the library's client; its package has no types. */
interface Library {
  readonly readyState: number;
  readonly bufferedAmount: number;
  readonly protocol: string;
  send(data: Uint8Array, options: { readonly binary: boolean }, written?: () => void): void;
  ping(): void;
  pause(): void;
  resume(): void;
  close(code?: number, reason?: string): void;
  terminate(): void;
  on(event: "open" | "pong", listener: () => void): unknown;
  on(event: "message", listener: (data: Buffer, isBinary: boolean) => void): unknown;
  on(event: "error", listener: (error: LibraryError) => void): unknown;
  on(event: "close", listener: (code: number, reason: Buffer) => void): unknown;
  on(
    event: "unexpected-response",
    listener: (request: unknown, response: { readonly statusCode: number }) => void,
  ): unknown;
}

/** Makes what dials. */
export function wsUpstreams(options: WsUpstreamOptions): DialUpstream {
  return (url, protocols, handler) => new WsUpstreamSocket(url, protocols, handler, options);
}

class WsUpstreamSocket implements UpstreamSocket {
  readonly #socket: Library;
  readonly #handler: UpstreamHandler;
  /** What is told if it is gone without ever having been open; null once it was. */
  #refusal: Extract<UpstreamEnd, { readonly kind: "refused" }> | null = {
    kind: "refused",
    detail: "the connection failed",
    cause: "",
  };
  /** Something is still to be told but `onGone`. */
  #telling = true;

  constructor(
    url: string,
    protocols: readonly string[],
    handler: UpstreamHandler,
    { payloadBytes, closeTimeout = CLOSE_TIMEOUT_MS, failed }: WsUpstreamOptions,
  ) {
    this.#handler = handler;
    const socket: Library = new LibrarySocket(url, [...protocols], {
      maxPayload: payloadBytes,
      maxFragments: MOST_FRAGMENTS,
      maxBufferedChunks: MOST_CHUNKS,
      perMessageDeflate: false,
      followRedirects: false,
      closeTimeout,
    });
    this.#socket = socket;
    // A throw from a listener would end the process.
    const on = <A extends unknown[]>(act: (...details: A) => void) => (...details: A): void => {
      try {
        act(...details);
      } catch (error) {
        failed(error);
        this.drop();
      }
    };
    socket.on("open", on(() => this.#opened()));
    socket.on(
      "message",
      on((bytes, binary) => {
        if (this.#telling) this.#handler.onMessage({ bytes, binary });
      }),
    );
    socket.on(
      "pong",
      on(() => {
        if (this.#telling) this.#handler.onPong();
      }),
    );
    socket.on(
      "unexpected-response",
      on((_request, { statusCode }) => {
        const detail = `the upstream answered ${statusCode}`;
        this.#refusal = { kind: "refused", detail, cause: detail };
        socket.terminate();
      }),
    );
    socket.on("error", on((error) => this.#broken(error)));
    socket.on("close", on((code, reason) => this.#closed(code, reason)));
  }

  send({ bytes, binary }: Payload): void | Promise<void> {
    const socket = this.#socket;
    if (socket.readyState !== OPEN) return;
    if (socket.bufferedAmount + bytes.length <= HIGH_WATER_BYTES) return socket.send(bytes, { binary });
    return new Promise((resolve) => socket.send(bytes, { binary }, () => resolve()));
  }

  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  ping(): void {
    if (this.#socket.readyState === OPEN) this.#socket.ping();
  }

  close({ code, reason }: SocketClosing): void {
    this.#telling = false;
    if (code === NO_CODE) this.#socket.close();
    else this.#socket.close(code, reason);
    // Else the upstream's answer would not be read.
    this.#socket.resume();
  }

  drop(): void {
    this.#socket.terminate();
  }

  #opened(): void {
    this.#refusal = null;
    this.#socket.pause();
    this.#handler.onOpen(this.#socket.protocol);
  }

  /** The library refused what came, or the line failed; `close` follows. */
  #broken({ code = "", message }: LibraryError): void {
    if (this.#refusal !== null) {
      const { kind, detail, cause } = this.#refusal;
      if (cause === "") this.#refusal = { kind, detail: refusal(code, message) ?? detail, cause: message };
    } else if (TOO_BIG.has(code)) {
      this.#end({ kind: "too-big" });
    } else {
      this.#end({ kind: "closed", closing: { code: ABNORMAL, reason: "" } });
    }
  }

  #closed(code: number, reason: Buffer): void {
    try {
      this.#end(this.#refusal ?? { kind: "closed", closing: { code, reason: reason.toString() } });
    } finally {
      this.#handler.onGone();
    }
  }

  #end(end: UpstreamEnd): void {
    if (!this.#telling) return;
    this.#telling = false;
    this.#handler.onEnd(end);
  }
}

/** What may be told of a failed dial: a code of the system, or what the library says of a handshake; no address. */
function refusal(code: string, message: string): string | undefined {
  if (/^E[A-Z_]{2,30}$/.test(code)) return `the upstream is not reachable (${code})`;
  return /^(Server sent|Server indicated|Invalid [\w-]+ header$)/.test(message) ? message : undefined;
}
