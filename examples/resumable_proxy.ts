/**
 * An ordinary WebSocket server, and a client that knows nothing but the standard's `WebSocket`: with Holdfast in between neither
 * notices that the network breaks every three seconds.
 *
 * `deno run -A examples/resumable_proxy.ts`
 */

import type { AddressInfo } from "node:net";
import { WebSocketServer } from "ws";
import { HoldfastSocket } from "../src/client/holdfast_socket.ts";
import { connect } from "../src/client/mod.ts";
import { serve } from "../src/serve.ts";

/** What a socket of the library is here. */
interface Socket {
  send(text: string): void;
  on(event: "close", listener: (code: number) => void): void;
}

// The server: counts for each socket, from 1.
const server = new WebSocketServer({ host: "127.0.0.1", port: 0 });
let sockets = 0;
server.on("connection", (socket: Socket) => {
  console.log(`  server: socket ${++sockets} is open`);
  let tick = 0;
  const timer = setInterval(() => socket.send(`tick ${++tick}`), 500);
  socket.on("close", (code) => {
    clearInterval(timer);
    console.log(`  server: the socket was closed with ${code}`);
  });
});
await new Promise((resolve) => server.once("listening", resolve));
const { port } = server.address() as AddressInfo;

// Holdfast in between. Where it runs by itself: `HOLDFAST_UPSTREAMS=ticker=ws://127.0.0.1:9000/ deno task start`.
const holdfast = await serve({
  settings: {
    PORT: "0",
    HOLDFAST_KV: ":memory:",
    HOLDFAST_LOG_LEVEL: "warn",
    HOLDFAST_UPSTREAMS: `ticker=ws://127.0.0.1:${port}/`,
  },
});

// The client: written for any class of WebSockets.
function watch(Socket: typeof WebSocket, upTo: number): Promise<CloseEvent> {
  const socket = new Socket("ws://ticker.example/");
  socket.onopen = () => console.log("client: open");
  socket.onmessage = ({ data }) => {
    console.log(`client: ${data}`);
    if (data === `tick ${upTo}`) socket.close(1000, "seen enough");
  };
  return new Promise((resolve) => socket.onclose = resolve);
}

const session = connect(holdfast.url);
session.on("detached", () => console.log("    line: broken"));
session.on("resumed", () => console.log("    line: there again"));
const breaking = setInterval(() => session.breakConduit(), 3_000);
const { code, reason } = await watch(HoldfastSocket.over(session, "upstream:ticker"), 20);
console.log(`client: closed with ${code} ${reason}`);

clearInterval(breaking);
await session.close();
await holdfast.stop();
server.close();
