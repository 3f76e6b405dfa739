/** Runs a bridge: hands on what one side heard as the other has room, and ends one side when the other is over. */

import {
  type BridgeSide,
  type BridgeState,
  drop,
  ended,
  heard,
  heldBytes,
  newBridge,
  next,
  overruled,
  passed,
  refused,
  type Said,
  tooLarge,
} from "../connection/bridge_state.ts";
import type { MuxOutcome, PassedOn } from "../connection/mux_model.ts";
import type { EncodedBody, SessionMessage } from "../protocol/messages.ts";
import { type Relay, type RelayedConnection, REMOTE_LOST, type Saying } from "../service/relay.ts";
import type { FarConnection, FarHandler } from "./remote_link.ts";

/** Counts what waits in the bridges of each session, bytes. */
export class HeldBytes {
  readonly #bytes = new Map<string, number>();

  /** What waits in all; tests look at it. */
  get total(): number {
    return [...this.#bytes.values()].reduce((sum, bytes) => sum + bytes, 0);
  }

  /** @returns What waits for this session then. */
  add(session: string, bytes: number): number {
    const sum = (this.#bytes.get(session) ?? 0) + bytes;
    if (sum === 0) this.#bytes.delete(session);
    else this.#bytes.set(session, sum);
    return sum;
  }
}

/** How a bridge reaches the outside. */
export interface BridgeHost {
  readonly held: HeldBytes;
  /** What may wait in all bridges of one session, bytes. */
  readonly mostHeld: number;
  /** Opens the far side. */
  open(messageCredit: number | undefined, handler: FarHandler): FarConnection;
  /** Names an operation of this owner's apart from those of others. */
  operationOf(key: string): string;
  /** The far side has accepted. */
  opened(): void;
  /** Nothing of it is left; `lost`: since the link is. */
  over(lost: boolean): void;
}

/** See the top of this file. As a {@link Relay} it hears the near side. */
export class Bridge implements Relay {
  readonly #near: RelayedConnection;
  readonly #host: BridgeHost;
  readonly #state: BridgeState;
  readonly #far: FarConnection;
  /** Sides on which nothing more is said. */
  readonly #gone = new Set<BridgeSide>();
  /** A side is being spoken to: what that brings about waits its turn. */
  readonly #pumping = new Set<BridgeSide>();
  #counted = 0;
  #lost = false;
  #over = false;

  constructor(near: RelayedConnection, host: BridgeHost) {
    this.#near = near;
    this.#host = host;
    const { bridge, messageCredit } = newBridge(near.messageCredit, (key) => host.operationOf(key));
    this.#state = bridge;
    this.#far = host.open(messageCredit, {
      heard: (message, outcome) => {
        if (outcome.kind === "accepted") host.opened();
        this.#heard("far", message, outcome);
      },
      heardVolatile: (body) => {
        if (!this.#gone.has("near")) near.sayVolatile(body);
      },
      room: () => this.room(),
      ended: (ending, lost) => {
        this.#lost ||= lost && !this.#gone.has("far");
        const { reason, detail } = ending;
        this.#ended("far", lost ? { reason: REMOTE_LOST, detail: `${reason} ${detail}`.trim() } : ending);
      },
    });
  }

  /** Ends both sides now; what waits is dropped. */
  cut(reason: string, detail: string): void {
    for (const side of SIDES) {
      if (this.#gone.has(side)) continue;
      this.#gone.add(side);
      this.#say(side, { kind: "end", connection: 0, reason, detail });
    }
    this.#settle();
  }

  // Relay

  heard(message: SessionMessage, outcome: PassedOn): void {
    this.#heard("near", message, outcome);
  }

  heardVolatile(body: EncodedBody): void {
    if (!this.#gone.has("far")) this.#far.sayVolatile(body);
  }

  overruled(request: number): void {
    overruled(this.#state, "near", request);
    this.room();
  }

  room(): void {
    let moved = true;
    while (moved) {
      moved = false;
      for (const side of SIDES) moved = this.#pump(side) || moved;
    }
    this.#settle();
  }

  ended(ending: { readonly reason: string; readonly detail: string }): void {
    this.#ended("near", ending);
  }

  #heard(from: BridgeSide, message: SessionMessage, outcome: MuxOutcome): void {
    if (this.#gone.has(from)) return;
    heard(this.#state, from, message, outcome);
    this.room();
    const { held, mostHeld } = this.#host;
    if (held.add(this.#near.session, 0) <= mostHeld) return;
    this.cut("overloaded", `more than ${mostHeld} bytes wait to cross the bridge (delivery.bounded)`);
  }

  #ended(side: BridgeSide, ending: { readonly reason: string; readonly detail: string }): void {
    if (this.#gone.has(side)) return;
    this.#gone.add(side);
    ended(this.#state, side, ending);
    this.room();
  }

  /** Says on a side what waits for it, while it has room. @returns True if something went. */
  #pump(to: BridgeSide): boolean {
    if (this.#pumping.has(to)) return false;
    this.#pumping.add(to);
    let moved = false;
    try {
      for (let said = this.#next(to); said !== undefined; said = this.#next(to)) {
        const saying = this.#say(to, said);
        if (saying === "no-room") return moved;
        moved = true;
        if (saying === "refused") refused(this.#state, to);
        else if (saying === "too-large") tooLarge(this.#state, to);
        else passed(this.#state, to);
        if (said.kind === "end") this.#gone.add(to);
      }
      return moved;
    } finally {
      this.#pumping.delete(to);
    }
  }

  #next(to: BridgeSide): Said | undefined {
    return this.#gone.has(to) ? undefined : next(this.#state, to);
  }

  #say(to: BridgeSide, said: Said): Saying {
    return to === "near" ? this.#near.say(said) : this.#far.say(said);
  }

  #settle(): void {
    if (this.#over) return;
    for (const side of this.#gone) drop(this.#state, side);
    const bytes = heldBytes(this.#state, "near") + heldBytes(this.#state, "far");
    this.#host.held.add(this.#near.session, bytes - this.#counted);
    this.#counted = bytes;
    if (this.#gone.size < SIDES.length) return;
    this.#over = true;
    this.#host.over(this.#lost);
  }
}

const SIDES: readonly BridgeSide[] = ["near", "far"];
