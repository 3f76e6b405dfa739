/** The services `remote:NAME`: each connection is bridged to one at another Holdfast server (`connection.proxy`). */

import type { RunnerHost } from "../client/runner_ports.ts";
import { DEFAULT_LIMITS } from "../protocol/limits.ts";
import type { Log } from "../observe/log.ts";
import type { Metrics } from "../observe/metrics.ts";
import type { Relay, RelayedConnection, RelayingService } from "../service/relay.ts";
import type { Clock } from "../system/clock.ts";
import { hashOf } from "../system/hash.ts";
import { Bridge, HeldBytes } from "./bridge.ts";
import { type FarConnection, type FarHandler, type FarOpening, RemoteLink } from "./remote_link.ts";
import type { Remote } from "./remote_names.ts";

/** What may wait in all bridges of one session here, bytes. */
const MOST_HELD_BYTES = DEFAULT_LIMITS.storedBytes;

/** What the remotes of a node share. */
export interface RemotesHost {
  /** How a session at a server is dialled. */
  readonly hostFor: (url: string) => RunnerHost;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Pick<Metrics, "upstreamRefused">;
  /** How long a server may take to accept a connection; milliseconds. */
  readonly timeout: number;
}

/**
 * All remotes of a node.
 *
 * - Messages, calls, channels, their credit and their ends cross as they are, in both directions; operation keys are
 *   translated, so that each owner's stay apart.
 * - A server that does not accept in time rejects with `remote-timeout`. Where the session there is lost, or this node is, the
 *   connection ends with `remote-lost`. A conduit that breaks on either side is not noticed.
 * - Connections share sessions at their server, as many as one takes; one without a connection is closed after 30 s.
 */
export class Remotes {
  readonly services: readonly RelayingService[];
  readonly #host: RemotesHost;
  readonly #links = new Map<string, Set<RemoteLink>>();
  readonly #held = new HeldBytes();
  #bridges = 0;

  constructor(remotes: readonly Remote[], host: RemotesHost) {
    this.#host = host;
    this.services = remotes.map((remote) => ({
      name: `remote:${remote.name}`,
      relays: (connection) => this.#bridge(remote, connection),
    }));
  }

  /** Connections that are bridged. */
  get bridges(): number {
    return this.#bridges;
  }

  /** What waits in them, bytes. */
  get heldBytes(): number {
    return this.#held.total;
  }

  /** Sessions at other servers. */
  get links(): number {
    return [...this.#links.values()].reduce((sum, links) => sum + links.size, 0);
  }

  /** The node stops: ends the sessions at other servers. */
  stop(): void {
    for (const links of this.#links.values()) for (const link of [...links]) link.close();
  }

  #bridge({ url, service }: Remote, near: RelayedConnection): Relay {
    const { clock, log, timeout, metrics } = this.#host;
    const { owner, metadata } = near;
    const fields = { service: near.service, session: near.session, connection: near.id };
    this.#bridges++;
    const bridge = new Bridge(near, {
      held: this.#held,
      mostHeld: MOST_HELD_BYTES,
      open: (messageCredit, handler) => this.#open(url, { service, metadata, messageCredit }, handler),
      operationOf: (key) => hashOf(JSON.stringify([owner, key])),
      opened: () => {
        cancelTimer();
        log.debug("remote_opened", fields);
      },
      over: (lost) => {
        cancelTimer();
        this.#bridges--;
        if (lost) log.warn("remote_lost", fields);
      },
    });
    const cancelTimer = clock.wakeAt(clock.now() + timeout, () => {
      metrics.upstreamRefused("remote-timeout");
      log.warn("remote_refused", { ...fields, reason: "remote-timeout" });
      bridge.cut("remote-timeout", `the server did not accept within ${timeout} ms`);
    });
    return bridge;
  }

  #open(url: string, opening: FarOpening, handler: FarHandler): FarConnection {
    let links = this.#links.get(url);
    if (links === undefined) this.#links.set(url, links = new Set());
    return ([...links].find(({ open }) => open) ?? this.#dial(url, links)).connect(opening, handler);
  }

  #dial(url: string, links: Set<RemoteLink>): RemoteLink {
    const { log } = this.#host;
    const link = new RemoteLink(
      this.#host.hostFor(url),
      (reason, detail) => {
        links.delete(link);
        if (reason !== "closed") log.warn("remote_link_lost", { reason, detail });
      },
      (error) =>
        log.warn("remote_link_failed", { error: error instanceof Error ? error.message : String(error) }),
    );
    links.add(link);
    return link;
  }
}
