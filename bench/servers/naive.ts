/**
 * The durable echo that one would write first: each message is one commit, checked against the one before it, and echoed
 * when that is done. `HOLDFAST_KV` is the file.
 */

import { countKv, serveStats } from "./stats.ts";

const counts = countKv();
const kv = await Deno.openKv(Deno.env.get("HOLDFAST_KV"));
serveStats(counts);

async function commit(key: Deno.KvKey, last: string | null, body: Uint8Array): Promise<string> {
  const result = await kv.atomic().check({ key, versionstamp: last }).set(key, body).commit();
  if (!result.ok) throw new Error(`somebody else wrote ${String(key)}`);
  return result.versionstamp;
}

Deno.serve({
  port: 0,
  hostname: "127.0.0.1",
  onListen: ({ port }) => console.log(`naive listening on http://127.0.0.1:${port}`),
}, (request) => {
  const { socket, response } = Deno.upgradeWebSocket(request, { idleTimeout: 0 });
  socket.binaryType = "arraybuffer";
  const key = ["session", crypto.randomUUID()];
  let last: Promise<string | null> = Promise.resolve(null);
  socket.onmessage = (event) => {
    const body = new Uint8Array(event.data);
    last = last.then((version) => commit(key, version, body)).then((version) => {
      socket.send(body);
      return version;
    });
  };
  return response;
});
