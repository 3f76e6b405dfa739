/** An echo on Colyseus: one room for all, clients may reconnect, no state is synchronised. */

import { load } from "../packages.ts";
import { answer } from "./answer.ts";
import { portOf, serveSide } from "./side.ts";

interface RoomClient {
  send(type: string, text: string): void;
}

declare class RoomBase {
  onMessage(type: string, handler: (client: RoomClient, text: string) => void): void;
  allowReconnection(client: RoomClient, seconds: number): Promise<unknown>;
  patchRate: number | null;
  maxClients: number;
  maxMessagesPerSecond: number;
  autoDispose: boolean;
}

interface Core {
  Room: typeof RoomBase;
  Server: new (options: unknown) => {
    define(name: string, room: typeof RoomBase): unknown;
    listen(port: number, host?: string): Promise<unknown>;
  };
}

const { Room, Server } = await load<Core>("@colyseus/core");
const { WebSocketTransport } = await load<{ WebSocketTransport: new (options: unknown) => unknown }>(
  "@colyseus/ws-transport",
);

class Echo extends Room {
  onCreate(): void {
    this.autoDispose = false;
    this.patchRate = null;
    this.maxClients = Infinity;
    this.onMessage("text", (client, text) => answer(text, (echo) => client.send("text", echo)));
  }

  onDrop(client: RoomClient): void {
    // Settled by nobody at the end of a run: the client is gone then.
    this.allowReconnection(client, 120).catch(() => {});
  }
}

const port = portOf();
const server = new Server({ greet: false, transport: new WebSocketTransport({}) });
server.define("echo", Echo);
await server.listen(port, "127.0.0.1");
serveSide(`http://127.0.0.1:${port}`);
