/** What is put under load, by name, and the peers that do it. */

import { AddPeer, EchoCallPeer, Total } from "./call_peers.ts";
import { DownloadPeer } from "./download_peer.ts";
import { HoldfastPeer, type Peer, type PeerOptions, PlainPeer } from "./peers.ts";

/** Echoes: servers without sessions, the floor first, and sessions of either class in either manner. */
export const ECHOES = [
  "bare",
  "naive",
  "ephemeral",
  "durable",
  "ephemeral-unbatched",
  "durable-unbatched",
] as const;

/**
 * Calls: `demo.echo` in a session of either class, and the transaction `demo.add` in durable ones, each adding to a total
 * of its own, or all to the same.
 */
export const CALLS = ["call-ephemeral", "call-durable", "transaction-own", "transaction-hot"] as const;

/** Downloads whose handler is an `async function*`, and one whose handler is a `function*`. */
export const DOWNLOADS = ["download-ephemeral", "download-durable", "download-sync"] as const;

/** All of them, the floor first. */
export const SYSTEMS = [...ECHOES, ...CALLS, ...DOWNLOADS] as const;

/** One of {@link SYSTEMS}. */
export type System = typeof SYSTEMS[number];

/** The servers of the bench that sessions or sockets are opened to. */
export type ServerName = "bare" | "naive" | "holdfast" | "items";

/** The server that has a system. */
export function serverOf(system: System): ServerName {
  if (system === "bare" || system === "naive") return system;
  return DOWNLOADS.some((download) => download === system) ? "items" : "holdfast";
}

/** Opens a peer. Those of one run that add to the same total share `hot`. */
function openPeer(system: System, options: PeerOptions, hot: Total): Peer {
  switch (system) {
    case "bare":
    case "naive":
      return new PlainPeer(options);
    case "ephemeral":
    case "durable":
      return new HoldfastPeer(options, { durability: system, batched: true });
    case "ephemeral-unbatched":
      return new HoldfastPeer(options, { durability: "ephemeral", batched: false });
    case "durable-unbatched":
      return new HoldfastPeer(options, { durability: "durable", batched: false });
    case "call-ephemeral":
      return new EchoCallPeer(options, "ephemeral");
    case "call-durable":
      return new EchoCallPeer(options, "durable");
    case "transaction-own":
      return new AddPeer(options, "durable", new Total(`${hot.name}.${options.number}`), true);
    case "transaction-hot":
      return new AddPeer(options, "durable", hot, false);
    case "download-ephemeral":
      return new DownloadPeer(options, "ephemeral", "async");
    case "download-durable":
      return new DownloadPeer(options, "durable", "async");
    case "download-sync":
      return new DownloadPeer(options, "ephemeral", "sync");
    default:
      return system satisfies never;
  }
}

/** Opens `count` peers, a few at a time so that no listen queue overflows, and waits until all may send. */
export async function openPeers(
  system: System,
  count: number,
  options: Omit<PeerOptions, "number">,
): Promise<Peer[]> {
  // Totals outlive the run in the server's store.
  const hot = new Total(crypto.randomUUID());
  const peers: Peer[] = [];
  for (let from = 0; from < count; from += 64) {
    const some = Array.from({ length: Math.min(64, count - from) }, (_, i) => {
      return openPeer(system, { ...options, number: from + i }, hot);
    });
    await Promise.all(some.map((peer) => peer.ready));
    peers.push(...some);
  }
  return peers;
}
