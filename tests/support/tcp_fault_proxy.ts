/**
 * A TCP proxy that breaks what passes through it, on command, as networks do.
 *
 * It knows no WebSocket: faults fall on bytes, so they land inside an HTTP upgrade, a handshake, a replay or a frame. With
 * several targets it is a balancer too.
 */

import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";

/** `up`: from the client to the server. */
export type Direction = "up" | "down";

/** How a link is cut: an RST to both sides, or a FIN to both sides. */
export type Cut = "reset" | "finish";

/** Where a proxy connects to. */
export interface Target {
  readonly hostname: string;
  readonly port: number;
}

/** What the proxy did so far. */
export interface ProxyCounts {
  links: number;
  /** No target took the connection; the client's was reset. */
  unreachable: number;
  reset: number;
  finish: number;
  /** Links that were cut by {@link Link.cutAfter}; they count under `reset` or `finish` too. */
  cutWithin: number;
  halfOpen: number;
  stall: number;
  delay: number;
  bytewise: number;
}

/** One direction of a link. */
interface Lane {
  readonly from: Socket;
  readonly to: Socket;
  bytes: number;
  swallowing: boolean;
  /** Bytes that still pass before the cut; null: no cut is planned. */
  cutIn: number | null;
  cutHow: Cut;
  /** Bytes that still pass one by one. */
  single: number;
}

/** One proxied connection. */
export class Link {
  /** When it was made, for tests that choose among old and new links. */
  readonly number: number;
  readonly #lanes: { readonly [direction in Direction]: Lane };
  readonly #counts: ProxyCounts;
  readonly #gone: (link: Link) => void;
  readonly #timers = new Map<ReturnType<typeof setTimeout>, () => void>();
  /** Resolves when a stall is over; null while none is. */
  #stalled: Promise<void> | null = null;
  #delay = 0;
  #open = 2;

  /** @param gone Called once, when both sockets are closed. */
  constructor(
    number: number,
    client: Socket,
    server: Socket,
    counts: ProxyCounts,
    gone: (link: Link) => void,
  ) {
    this.number = number;
    this.#counts = counts;
    this.#gone = gone;
    const lane = (from: Socket, to: Socket): Lane => {
      return { from, to, bytes: 0, swallowing: false, cutIn: null, cutHow: "reset", single: 0 };
    };
    this.#lanes = { up: lane(client, server), down: lane(server, client) };
    for (const lane of [this.#lanes.up, this.#lanes.down]) this.#pump(lane);
  }

  /** Bytes that arrived so far, swallowed ones included. */
  bytes(direction: Direction): number {
    return this.#lanes[direction].bytes;
  }

  /** Ends both sockets now. What is under way is lost. */
  cut(how: Cut): void {
    if (this.#open === 0) return;
    this.#counts[how]++;
    this.#destroy(how);
  }

  /** Cuts after exactly `bytes` more have passed in a direction; they still arrive (`finish`) or may (`reset`). */
  cutAfter(direction: Direction, bytes: number, how: Cut): void {
    const lane = this.#lanes[direction];
    lane.cutIn = bytes;
    lane.cutHow = how;
  }

  /** From now on nothing passes, not even an end: both sockets stay open and are read, as with a host that vanished. */
  swallow(direction: Direction | "both"): void {
    if (this.#open === 0) return;
    this.#counts.halfOpen++;
    for (const each of ["up", "down"] as const) {
      if (direction === each || direction === "both") this.#lanes[each].swallowing = true;
    }
  }

  /** Holds both directions for `ms`, then lets everything through. */
  stall(ms: number): void {
    if (this.#open === 0 || this.#stalled !== null) return;
    this.#counts.stall++;
    this.#stalled = this.#pause(ms).then(() => void (this.#stalled = null));
  }

  /** Delays each piece by `ms` from now on; 0 ends it. */
  delay(ms: number): void {
    if (this.#open === 0) return;
    if (ms > 0) this.#counts.delay++;
    this.#delay = ms;
  }

  /** Passes the next `bytes` of each direction one by one, each in a packet of its own. */
  bytewise(bytes: number): void {
    if (this.#open === 0) return;
    this.#counts.bytewise++;
    for (const lane of [this.#lanes.up, this.#lanes.down]) lane.single = bytes;
  }

  /** Ends both sockets without counting it as a fault. */
  dispose(): void {
    this.#destroy("finish");
  }

  #pump(lane: Lane): void {
    const { from, to } = lane;
    // What a reset or refused socket has to say is said by its close.
    from.on("error", () => {});
    from.on("data", (piece: Uint8Array) => {
      lane.bytes += piece.length;
      if (lane.swallowing) return;
      from.pause();
      void this.#pass(lane, piece).then(() => void from.resume());
    });
    from.on("end", () => {
      if (!lane.swallowing) to.end();
    });
    from.on("close", (failed: boolean) => {
      this.#open--;
      if (this.#open === 0) {
        this.#wakeAll();
        this.#gone(this);
      } else if (!lane.swallowing) {
        if (failed) to.resetAndDestroy();
        else to.destroySoon();
      } else if (this.#lanes[lane === this.#lanes.up ? "down" : "up"].swallowing === false) {
        // Half of the link is alive: a real peer that is gone answers with a reset.
        to.on("data", () => to.resetAndDestroy());
      }
    });
  }

  async #pass(lane: Lane, piece: Uint8Array): Promise<void> {
    if (this.#stalled !== null) await this.#stalled;
    if (this.#delay > 0) await this.#pause(this.#delay);
    if (lane.swallowing || lane.to.destroyed) return;
    const cutNow = lane.cutIn !== null && piece.length >= lane.cutIn;
    const passing = cutNow ? piece.subarray(0, lane.cutIn!) : piece;
    if (lane.cutIn !== null) lane.cutIn -= passing.length;
    const rest = lane.single > 0 ? await this.#passSingly(lane, passing) : passing;
    if (lane.swallowing || lane.to.destroyed) return;
    const drained = rest.length === 0 || lane.to.write(rest);
    if (cutNow) {
      this.#counts.cutWithin++;
      this.cut(lane.cutHow);
    } else if (!drained) {
      await new Promise<void>((resolve) => {
        lane.to.once("drain", resolve);
        lane.to.once("close", () => resolve());
      });
    }
  }

  /** @returns What is left once no more bytes pass singly. */
  async #passSingly(lane: Lane, piece: Uint8Array): Promise<Uint8Array> {
    let at = 0;
    while (at < piece.length && lane.single > 0 && !lane.swallowing && !lane.to.destroyed) {
      lane.single--;
      lane.to.write(piece.subarray(at, ++at));
      // Long enough for the other end to have read it alone.
      await this.#pause(1);
    }
    return piece.subarray(at);
  }

  #destroy(how: Cut): void {
    this.#wakeAll();
    for (const { from } of [this.#lanes.up, this.#lanes.down]) {
      if (how === "reset") from.resetAndDestroy();
      else from.destroySoon();
    }
  }

  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(() => {
        this.#timers.delete(timer);
        resolve();
      }, ms);
      this.#timers.set(timer, resolve);
    });
  }

  #wakeAll(): void {
    for (const [timer, resolve] of this.#timers) {
      clearTimeout(timer);
      resolve();
    }
    this.#timers.clear();
  }
}

/** See the top of this file. */
export class TcpFaultProxy {
  readonly counts: ProxyCounts = {
    links: 0,
    unreachable: 0,
    reset: 0,
    finish: 0,
    cutWithin: 0,
    halfOpen: 0,
    stall: 0,
    delay: 0,
    bytewise: 0,
  };
  /** Links with at least one open socket, oldest first. */
  readonly links: Set<Link> = new Set();
  /** Called for each new link before its first byte, to plan faults. */
  onLink: ((link: Link) => void) | null = null;
  readonly #server: Server;
  #closing = false;
  readonly #targets: readonly Target[];
  #turn = 0;

  /** @param targets Where connections go, by turns; one that does not listen is passed over for the next. */
  static async listen(...targets: readonly Target[]): Promise<TcpFaultProxy> {
    const proxy = new TcpFaultProxy(targets);
    await new Promise<void>((resolve) => void proxy.#server.listen(0, "127.0.0.1", () => resolve()));
    return proxy;
  }

  private constructor(targets: readonly Target[]) {
    this.#targets = targets;
    this.#server = createServer({ allowHalfOpen: true, noDelay: true }, (client) => {
      // Read only once the target is there; an error before that is said by the close.
      client.pause();
      client.on("error", () => {});
      this.#connect(client, this.#turn++, this.#targets.length);
    });
  }

  /** The port to connect to, on 127.0.0.1. */
  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** Stops listening and ends all links. */
  async close(): Promise<void> {
    this.#closing = true;
    const closed = new Promise<void>((resolve) => void this.#server.close(() => resolve()));
    for (const link of this.links) link.dispose();
    await closed;
  }

  /** Tries the target whose turn it is, and as many of the next ones as `tries` says. */
  #connect(client: Socket, turn: number, tries: number): void {
    const target = this.#targets[turn % this.#targets.length];
    if (target === undefined || tries === 0 || client.destroyed) {
      this.counts.unreachable++;
      client.resetAndDestroy();
      return;
    }
    const server = connect({ host: target.hostname, port: target.port, allowHalfOpen: true, noDelay: true });
    const unreachable = () => this.#connect(client, turn + 1, tries - 1);
    server.once("error", unreachable);
    server.once("connect", () => {
      server.off("error", unreachable);
      const link = new Link(
        ++this.counts.links,
        client,
        server,
        this.counts,
        (gone) => this.links.delete(gone),
      );
      this.links.add(link);
      this.onLink?.(link);
      if (this.#closing) link.dispose();
      client.resume();
    });
  }
}
