/** The services `upstream:NAME`: each connection is bridged to one WebSocket of its own to a configured server. */

import { type BridgeContext, offeredProtocols, UpstreamBridge } from "./upstream_bridge.ts";
import type { Upstream } from "./upstream_names.ts";
import type { Rejection, Service, ServiceConnection } from "./service.ts";

/** A client's messages are bounded by their number; so many of the largest are what a session may keep. */
const MESSAGE_CREDIT = 16;

const INVALID_PROTOCOLS: Rejection = {
  reason: "invalid-protocols",
  detail: "metadata.protocols holds no subprotocols, or one of them twice",
};

/**
 * All upstreams of a node.
 *
 * - The client says with `open.metadata.protocols` which subprotocols it offers, separated by commas; `accept.metadata.protocol`
 *   is the chosen one. The URL is the configured one, whatever the client says.
 * - A string is a text message and bytes are a binary one, each way. Another body ends the connection with `unsupported-body`.
 * - Close codes and reasons cross in `end` (`socket_closing.ts`). Where the client's side is over in another way, its
 *   session's end and its move to another node included, the upstream is closed with 1001 and the reason.
 * - An upstream that cannot be had rejects with `upstream-refused` or `upstream-timeout`. Its messages above the largest body end
 *   the connection with `upstream-too-big`; the loss of this node ends it with `upstream-lost`.
 * - Neither side is read faster than the other takes.
 */
export class Upstreams {
  readonly services: readonly Service[];
  readonly #context: BridgeContext;
  readonly #bridges = new Map<string, UpstreamBridge>();
  #sockets = 0;

  constructor(upstreams: readonly Upstream[], context: BridgeContext) {
    this.#context = context;
    this.services = upstreams.map((upstream) => this.#service(upstream));
  }

  /** Sockets that are dialled, open or not yet closed. */
  get sockets(): number {
    return this.#sockets;
  }

  /** The node stops: closes all sockets with 1001. Their connections end when the node is missed. */
  stop(): void {
    for (const bridge of this.#bridges.values()) bridge.ended({ reason: "node-stopped", detail: "" });
  }

  #service({ name, url }: Upstream): Service {
    return {
      name: `upstream:${name}`,
      messageCredit: MESSAGE_CREDIT,
      onOpen: (connection, metadata) => {
        const protocols = offeredProtocols(metadata);
        if (protocols === null) return INVALID_PROTOCOLS;
        const key = keyOf(connection);
        // The session went and came back without this node having heard of it.
        this.#bridges.get(key)?.ended({ reason: "moved", detail: "" });
        const bridge = new UpstreamBridge(this.#context, connection, url, protocols, () => {
          this.#sockets--;
          if (this.#bridges.get(key) === bridge) this.#bridges.delete(key);
        });
        this.#sockets++;
        this.#bridges.set(key, bridge);
        return bridge.opened;
      },
      onMessage: (connection, body) => this.#bridges.get(keyOf(connection))?.message(body),
      onEnd: (connection, ending) => this.#bridges.get(keyOf(connection))?.ended(ending),
    };
  }
}

function keyOf({ session, id }: ServiceConnection): string {
  return `${session}/${id}`;
}
