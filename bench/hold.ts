/**
 * Opens idle connections and keeps them, a process of its own, so that the server's memory can be looked at.
 *
 * Run as `deno run -A bench/hold.ts SYSTEM URL COUNT`. Each connection is used once (one echo, acked) and then left
 * alone. Prints `held` when all are idle, and after a line on standard input breaks them all and prints `dropped`.
 */

import type { Meter } from "./peers.ts";
import { openPeers, type System } from "./systems.ts";

const [system, url = "", count] = Deno.args;
const meter: Meter = {
  record: () => {},
  failed(error) {
    console.error(error.message);
    Deno.exit(1);
  },
};
const peers = await openPeers(system as System, Number(count), { url, bytes: 100, inFlight: 1, meter });
for (const peer of peers) peer.fill();
while (peers.some((peer) => peer.outstanding > 0)) await new Promise((resolve) => setTimeout(resolve, 5));
for (const peer of peers) peer.ack();
console.log("held");
await Deno.stdin.read(new Uint8Array(1));
await Promise.all(peers.map((peer) => peer.break()));
console.log("dropped");
Deno.exit(0);
