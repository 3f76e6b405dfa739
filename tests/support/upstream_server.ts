/** An ordinary WebSocket server, as others run them: npm `ws` without anything of this project. */

import assert from "node:assert/strict";
import type { Buffer } from "node:buffer";
import type { IncomingMessage } from "node:http";
import type { Socket } from "node:net";
import { WebSocketServer } from "ws";
import { Waiters } from "./waiters.ts";

/** How long a test waits for what must come, milliseconds. */
const PATIENCE_MS = 10_000;

/** What is used of the library. */
interface LibraryServer {
  address(): { readonly port: number };
  on(event: "listening", listener: () => void): unknown;
  on(event: "connection", listener: (socket: LibrarySocket, request: IncomingMessage) => void): unknown;
  close(done: () => void): void;
}

/** A socket of the library, at the server. */
export interface LibrarySocket {
  readonly bufferedAmount: number;
  readonly protocol: string;
  send(data: string | Uint8Array): void;
  ping(): void;
  pause(): void;
  resume(): void;
  close(code?: number, reason?: string): void;
  terminate(): void;
  on(event: "message", listener: (data: Buffer, isBinary: boolean) => void): unknown;
  on(event: "ping", listener: () => void): unknown;
  on(event: "close", listener: (code: number, reason: Buffer) => void): unknown;
  on(event: "error", listener: (error: Error) => void): unknown;
  readonly _socket: Socket;
}

/** What a server may be told to do. */
export interface UpstreamServerOptions {
  /** Chooses a subprotocol, or none. */
  readonly handleProtocols?: (offered: ReadonlySet<string>) => string | false;
  /** Called with each new socket. */
  readonly onSocket?: (socket: LibrarySocket) => void;
  readonly autoPong?: boolean;
}

/** One client of the server. */
export class UpstreamPeer {
  readonly socket: LibrarySocket;
  readonly request: IncomingMessage;
  readonly received: (string | Uint8Array)[] = [];
  bytes = 0;
  pings = 0;
  /** How the socket was closed; null while it is open. */
  closed: { readonly code: number; readonly reason: string } | null = null;

  constructor(socket: LibrarySocket, request: IncomingMessage, changed: () => void) {
    this.socket = socket;
    this.request = request;
    socket.on("message", (data, isBinary) => {
      this.bytes += data.length;
      this.received.push(isBinary ? new Uint8Array(data) : data.toString());
      changed();
    });
    socket.on("ping", () => {
      this.pings++;
      changed();
    });
    socket.on("error", () => {});
    socket.on("close", (code, reason) => {
      this.closed = { code, reason: reason.toString() };
      changed();
    });
  }
}

/** See the top of this file. */
export class UpstreamServer implements AsyncDisposable {
  readonly peers: UpstreamPeer[] = [];
  readonly #server: LibraryServer;
  readonly #changes = new Waiters();

  static async listen(options: UpstreamServerOptions = {}): Promise<UpstreamServer> {
    const { onSocket, ...rest } = options;
    const library: LibraryServer = new WebSocketServer({
      host: "127.0.0.1",
      port: 0,
      perMessageDeflate: false,
      ...rest,
    });
    const server = new UpstreamServer(library, onSocket);
    await new Promise<void>((resolve) => void library.on("listening", resolve));
    return server;
  }

  private constructor(library: LibraryServer, onSocket: UpstreamServerOptions["onSocket"]) {
    this.#server = library;
    library.on("connection", (socket, request) => {
      this.peers.push(new UpstreamPeer(socket, request, () => this.#changes.wake()));
      onSocket?.(socket);
      this.#changes.wake();
    });
  }

  get url(): string {
    return `ws://127.0.0.1:${this.#server.address().port}/`;
  }

  /** The only client that ever came. */
  get peer(): UpstreamPeer {
    assert.equal(this.peers.length, 1);
    return this.peers[0]!;
  }

  /** Resolves when `condition` holds, which is looked at after everything that happens here. */
  async until(what: string, condition: () => boolean): Promise<void> {
    const waiting = this.#changes.within(PATIENCE_MS);
    while (!condition()) if (!await waiting.changed()) assert.fail(`waited in vain: ${what}`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const { socket } of this.peers) socket.terminate();
    await new Promise<void>((resolve) => this.#server.close(resolve));
  }
}
