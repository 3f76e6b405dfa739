/**
 * The floor that everything is measured against: a WebSocket echo and nothing else.
 *
 * Like Holdfast's own upgrade it leaves out the platform's idle timer. That makes no measurable difference in speed, but it does in
 * memory, where the floor must not be raised by it.
 */

import { serveStats } from "./stats.ts";

serveStats({ atomics: 0, mutations: 0 });
Deno.serve({
  port: Number(Deno.env.get("PORT") ?? 0),
  hostname: "127.0.0.1",
  onListen: ({ port }) => console.log(`bare listening on http://127.0.0.1:${port}`),
}, (request) => {
  const { socket, response } = Deno.upgradeWebSocket(request, { idleTimeout: 0 });
  socket.binaryType = "arraybuffer";
  socket.onmessage = (event) => socket.send(event.data);
  return response;
});
