/** An upstream server made by hand, for what a library would not do. */

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import { Waiters } from "./waiters.ts";

/** How long a test waits for what must come, milliseconds. */
const PATIENCE_MS = 10_000;

/** What RFC 6455 adds to the key of a handshake. */
const GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/** See the top of this file. */
export class RawUpstream implements AsyncDisposable {
  readonly sockets: Socket[] = [];
  /** What the sockets sent, each. */
  readonly heard: string[] = [];
  readonly #server: Server;
  readonly #changes = new Waiters();
  #open = 0;

  /** @param onHead Called once for each socket with the head of its request. */
  static async listen(onHead: (socket: Socket, head: string) => void = () => {}): Promise<RawUpstream> {
    const upstream = new RawUpstream(onHead);
    await new Promise<void>((resolve) => void upstream.#server.listen(0, "127.0.0.1", () => resolve()));
    return upstream;
  }

  private constructor(onHead: (socket: Socket, head: string) => void) {
    this.#server = createServer((socket) => {
      const index = this.sockets.push(socket) - 1;
      this.heard.push("");
      this.#open++;
      let answered = false;
      socket.on("error", () => {});
      socket.on("data", (piece: Uint8Array) => {
        // Bytes as characters.
        this.heard[index] += Array.from(piece, (byte) => String.fromCharCode(byte)).join("");
        if (!answered && this.heard[index]!.includes("\r\n\r\n")) {
          answered = true;
          onHead(socket, this.heard[index]!);
        }
        this.#changes.wake();
      });
      socket.on("close", () => {
        this.#open--;
        this.#changes.wake();
      });
      this.#changes.wake();
    });
  }

  get url(): string {
    return `ws://127.0.0.1:${(this.#server.address() as AddressInfo).port}/`;
  }

  /** Sockets that are open. */
  get open(): number {
    return this.#open;
  }

  /** Resolves when `condition` holds, which is looked at after everything that happens here. */
  async until(what: string, condition: () => boolean): Promise<void> {
    const waiting = this.#changes.within(PATIENCE_MS);
    while (!condition()) if (!await waiting.changed()) assert.fail(`waited in vain: ${what}`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.sockets) socket.destroy();
    await new Promise<void>((resolve) => void this.#server.close(() => resolve()));
  }
}

/** The answer that opens a WebSocket. */
export function switching(head: string, ...headers: readonly string[]): string {
  const [, key = ""] = /^sec-websocket-key: *(.*?)\r$/im.exec(head) ?? [];
  const accept = createHash("sha1").update(key + GUID).digest("base64");
  return [
    "HTTP/1.1 101 Switching Protocols",
    "Upgrade: websocket",
    "Connection: Upgrade",
    `Sec-WebSocket-Accept: ${accept}`,
    ...headers,
    "\r\n",
  ].join("\r\n");
}

/** A server's frame with a short payload. @param first The first byte: `0x81` text, `0x82` binary, `0x88` close. */
export function frame(first: number, payload: readonly number[] | string): Uint8Array {
  const bytes = typeof payload === "string" ? [...new TextEncoder().encode(payload)] : payload;
  assert.ok(bytes.length < 126);
  return new Uint8Array([first, bytes.length, ...bytes]);
}
