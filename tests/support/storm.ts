/** Bad weather between clients and a server process: conduits that break in every way, and a server that is killed. */

import type { SeededRandom } from "./seeded_random.ts";
import type { ServerProcess } from "./server_process.ts";
import type { Link, TcpFaultProxy } from "./tcp_fault_proxy.ts";

/** Bytes of an HTTP upgrade and of a handshake over it, roughly: a planned cut below falls into them. */
const UPGRADE_BYTES = 220;
const HANDSHAKE_BYTES = 900;

/** After this a half-open link is reset, as by a gateway that forgot it. Milliseconds. */
const HALF_OPEN_MS = 2_500;

/** What a {@link Storm} works on; milliseconds. */
export interface StormOptions {
  readonly proxy: TcpFaultProxy;
  readonly server: ServerProcess;
  readonly random: SeededRandom;
  /** How often the server is killed with SIGKILL and started again. */
  readonly kills: number;
  /** Roughly how long the server lives between two kills. */
  readonly between: number;
}

/** What a storm did. */
export interface StormCounts {
  kills: number;
  /** Cuts planned to fall inside the upgrade, the handshake, and what is sent first after it (the replay). */
  withinUpgrade: number;
  withinHandshake: number;
  withinReplay: number;
  reset: number;
  finish: number;
  halfOpen: number;
  stall: number;
  delay: number;
  links: number;
}

/** See the top of this file. */
export class Storm {
  readonly #options: StormOptions;
  readonly #planned = { withinUpgrade: 0, withinHandshake: 0, withinReplay: 0 };
  #kills = 0;
  /** Half-open links, and when each is reset. */
  readonly #halfOpen = new Map<Link, number>();

  constructor(options: StormOptions) {
    this.#options = options;
  }

  get counts(): StormCounts {
    const { reset, finish, halfOpen, stall, delay, links } = this.#options.proxy.counts;
    return { kills: this.#kills, ...this.#planned, reset, finish, halfOpen, stall, delay, links };
  }

  /** Storms until the last kill was followed by a time of calm long enough for clients to come back. */
  async run(): Promise<void> {
    const { proxy, server, random, kills, between } = this.#options;
    proxy.onLink = (link) => this.#planBreak(link);
    const breaker = setInterval(() => this.#breakOne(), 120);
    try {
      for (let kill = 0; kill < kills; kill++) {
        await pause(between * (0.6 + 0.8 * random.float()));
        await server.kill();
        this.#kills++;
        if (random.chance(0.5)) await pause(random.int(300));
        await server.restart();
      }
      await pause(between);
    } finally {
      clearInterval(breaker);
      proxy.onLink = null;
    }
    for (const link of this.#halfOpen.keys()) link.dispose();
    for (const link of proxy.links) link.delay(0);
  }

  #planBreak(link: Link): void {
    const { random } = this.#options;
    const how = random.chance(0.5) ? "reset" : "finish";
    const direction = random.chance(0.5) ? "up" : "down";
    const draw = random.float();
    if (draw < 0.06) {
      this.#planned.withinUpgrade++;
      link.cutAfter(direction, random.int(UPGRADE_BYTES), how);
    } else if (draw < 0.18) {
      this.#planned.withinHandshake++;
      link.cutAfter(direction, random.between(UPGRADE_BYTES, HANDSHAKE_BYTES), how);
    } else if (draw < 0.3) {
      this.#planned.withinReplay++;
      link.cutAfter(direction, random.between(HANDSHAKE_BYTES, HANDSHAKE_BYTES + 4_000), how);
    }
  }

  #breakOne(): void {
    const { proxy, random } = this.#options;
    const now = performance.now();
    for (const [link, at] of this.#halfOpen) {
      if (now < at && proxy.links.has(link)) continue;
      link.dispose();
      this.#halfOpen.delete(link);
    }
    const links = [...proxy.links].filter((link) => !this.#halfOpen.has(link));
    if (links.length === 0) return;
    const link = random.pick(links);
    const how = random.pick(["reset", "finish"] as const);
    const draw = random.float();
    if (draw < 0.35) link.cut(how);
    else if (draw < 0.55) {
      link.swallow(random.pick(["up", "down", "both"] as const));
      this.#halfOpen.set(link, now + HALF_OPEN_MS);
    } else if (draw < 0.75) link.stall(random.between(20, 400));
    else if (draw < 0.85) link.delay(random.between(1, 25));
    else link.cutAfter(random.pick(["up", "down"] as const), random.int(2_000), how);
  }
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => void setTimeout(resolve, ms));
}
