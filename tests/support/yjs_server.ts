/** An ordinary server for collaborative documents: Hocuspocus on `ws`, without anything of this project. */

import type { Buffer } from "node:buffer";
import type { IncomingMessage } from "node:http";
import { Hocuspocus } from "@hocuspocus/server";
import { WebSocketServer } from "ws";

/** A server that listens. */
export interface YjsServer extends AsyncDisposable {
  readonly url: string;
  /** How many WebSockets ever came. */
  readonly connections: number;
  /** The codes with which they were closed. */
  readonly closeCodes: readonly number[];
}

/** What is used of the library. */
interface Socket {
  readonly readyState: number;
  send(data: string | ArrayBufferLike | Blob | ArrayBufferView): void;
  close(code?: number, reason?: string): void;
  terminate(): void;
  on(event: "message", listener: (data: Buffer) => void): void;
  on(event: "close", listener: (code: number, reason: Buffer) => void): void;
}

/** Listens on a free port of 127.0.0.1. Its own `Server` refuses to run under Deno, its core does not. */
export async function yjsServer(): Promise<YjsServer> {
  const hocuspocus = new Hocuspocus({ quiet: true });
  const server = new WebSocketServer({ host: "127.0.0.1", port: 0 });
  await new Promise<void>((resolve) => void server.on("listening", resolve));
  const closeCodes: number[] = [];
  const sockets = new Set<Socket>();
  let connections = 0;
  server.on("connection", (socket: Socket, request: IncomingMessage) => {
    connections++;
    sockets.add(socket);
    const client = hocuspocus.handleConnection(
      socket,
      new Request(new URL(request.url ?? "/", "http://127.0.0.1")),
    );
    socket.on("message", (data) => client.handleMessage(new Uint8Array(data)));
    socket.on("close", (code, reason) => {
      sockets.delete(socket);
      closeCodes.push(code);
      client.handleClose({ code, reason: reason.toString() });
    });
  });
  return {
    url: `ws://127.0.0.1:${server.address().port}/`,
    get connections() {
      return connections;
    },
    closeCodes,
    [Symbol.asyncDispose]: async () => {
      for (const socket of sockets) socket.terminate();
      await new Promise<void>((resolve) => void server.close(() => resolve()));
    },
  };
}
