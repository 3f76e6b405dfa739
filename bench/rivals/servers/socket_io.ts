/** An echo on socket.io with connection state recovery, everything else as it comes; WebSocket only. */

import { load } from "../packages.ts";
import { answer } from "./answer.ts";
import { portOf, serveSide } from "./side.ts";

interface ServerSocket {
  readonly id: string;
  on(event: "text", listener: (text: string) => void): void;
  emit(event: "text", text: string): void;
}

interface IoServer {
  on(event: "connection", listener: (socket: ServerSocket) => void): void;
  to(room: string): { emit(event: "text", text: string): void };
}

const { Server } = await load<{ Server: new (port: number, options: unknown) => IoServer }>("socket.io");
const port = portOf();
const server = new Server(port, {
  transports: ["websocket"],
  connectionStateRecovery: { maxDisconnectionDuration: 120_000, skipMiddlewares: true },
});
server.on("connection", (socket) => {
  socket.on("text", (text) => {
    answer(
      text,
      (echo) => socket.emit("text", echo),
      (missed) => server.to(socket.id).emit("text", missed),
    );
  });
});
serveSide(`http://127.0.0.1:${port}`);
