/** Bad weather on a proxy's links: conduits that break in every way, at random moments. */

import type { SeededRandom } from "./seeded_random.ts";
import type { Link, TcpFaultProxy } from "./tcp_fault_proxy.ts";

/** Bytes of an HTTP upgrade and of a handshake over it, roughly: a planned cut below falls into them. */
const UPGRADE_BYTES = 220;
const HANDSHAKE_BYTES = 900;

/** After this a half-open link is reset, as by a gateway that forgot it. Milliseconds. */
const HALF_OPEN_MS = 2_500;

/** What the weather did. */
export interface WeatherCounts {
  /** Cuts planned to fall inside the upgrade, the handshake, and what is sent first after it (the replay). */
  withinUpgrade: number;
  withinHandshake: number;
  withinReplay: number;
  reset: number;
  finish: number;
  /** Links of which one direction, or both, swallowed everything. */
  halfOpen: number;
  oneWay: number;
  stall: number;
  delay: number;
  bytewise: number;
  links: number;
}

/** See the top of this file. */
export class Weather {
  readonly #proxy: TcpFaultProxy;
  readonly #random: SeededRandom;
  readonly #every: number;
  readonly #planned = { withinUpgrade: 0, withinHandshake: 0, withinReplay: 0, oneWay: 0 };
  /** Half-open links, and when each is reset. */
  readonly #halfOpen = new Map<Link, number>();
  #breaker: ReturnType<typeof setInterval> | undefined;

  /** @param every How often something breaks, milliseconds. */
  constructor(proxy: TcpFaultProxy, random: SeededRandom, every = 120) {
    this.#proxy = proxy;
    this.#random = random;
    this.#every = every;
  }

  get counts(): WeatherCounts {
    const { reset, finish, halfOpen, stall, delay, bytewise, links } = this.#proxy.counts;
    return { ...this.#planned, reset, finish, halfOpen, stall, delay, bytewise, links };
  }

  /** From now on links break. */
  begin(): void {
    this.#proxy.onLink = (link) => this.#planBreak(link);
    this.#breaker = setInterval(() => this.#breakOne(), this.#every);
  }

  /** From now on none breaks, and what was half-open or slow is over. May be called twice. */
  end(): void {
    clearInterval(this.#breaker);
    this.#proxy.onLink = null;
    for (const link of this.#halfOpen.keys()) link.dispose();
    this.#halfOpen.clear();
    for (const link of this.#proxy.links) link.delay(0);
  }

  #planBreak(link: Link): void {
    const random = this.#random;
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
    } else if (draw < 0.4) {
      link.bytewise(random.between(1, UPGRADE_BYTES + 200));
    }
  }

  #breakOne(): void {
    const random = this.#random;
    const now = performance.now();
    for (const [link, at] of this.#halfOpen) {
      if (now < at && this.#proxy.links.has(link)) continue;
      link.dispose();
      this.#halfOpen.delete(link);
    }
    const links = [...this.#proxy.links].filter((link) => !this.#halfOpen.has(link));
    if (links.length === 0) return;
    const link = random.pick(links);
    const how = random.pick(["reset", "finish"] as const);
    const draw = random.float();
    if (draw < 0.35) link.cut(how);
    else if (draw < 0.55) {
      const direction = random.pick(["up", "down", "both"] as const);
      if (direction !== "both") this.#planned.oneWay++;
      link.swallow(direction);
      this.#halfOpen.set(link, now + HALF_OPEN_MS);
    } else if (draw < 0.75) link.stall(random.between(20, 400));
    else if (draw < 0.83) link.delay(random.between(1, 25));
    else if (draw < 0.88) link.bytewise(random.between(1, 400));
    else link.cutAfter(random.pick(["up", "down"] as const), random.int(2_000), how);
  }
}
