/**
 * An upstream as others run them, npm `ws`: it sends as fast as its client takes it. The first message of a client says how
 * many messages it wants; behind them the socket is closed with 1000.
 */

import { WebSocketServer } from "ws";
import { FLOOD_BYTES, floodMessage } from "../flood.ts";
import { serveStats } from "./stats.ts";

/** What waits to be written before it pauses. */
const HIGH_WATER_BYTES = 1024 * 1024;

/** What is used of the library. */
interface LibrarySocket {
  readonly bufferedAmount: number;
  send(data: Uint8Array, written: (error?: Error) => void): void;
  close(code: number): void;
  on(event: "error", listener: () => void): unknown;
  once(event: "message", listener: (data: { toString(): string }) => void): unknown;
}

interface LibraryServer {
  address(): { readonly port: number };
  on(event: "listening", listener: () => void): unknown;
  on(event: "connection", listener: (socket: LibrarySocket) => void): unknown;
}

serveStats({ atomics: 0, mutations: 0 });
const server: LibraryServer = new WebSocketServer({
  host: "127.0.0.1",
  port: Number(Deno.env.get("PORT") ?? 0),
  perMessageDeflate: false,
});
server.on("connection", (socket) => {
  socket.on("error", () => {});
  socket.once("message", (data) => flood(socket, Number(data.toString())));
});
server.on("listening", () => console.log(`flood listening on ws://127.0.0.1:${server.address().port}/`));

function flood(socket: LibrarySocket, count: number): void {
  let next = 0;
  /** Messages that are given to the socket and not written. */
  let waiting = 0;
  const go = () => {
    while (next < count && waiting * FLOOD_BYTES < HIGH_WATER_BYTES) {
      waiting++;
      socket.send(floodMessage(next++), (error) => {
        waiting--;
        if (error === undefined || error === null) go();
      });
    }
    if (next === count && waiting === 0) socket.close(1000);
  };
  go();
}
