/** A simulated conduit between two processes: latency of its own in each direction, and all the ways a line goes bad. */

import { cutReason } from "../../src/conduit/close_reason.ts";
import type { Conduit, ConduitHandler } from "../../src/conduit/conduit.ts";
import { nextConduitId } from "../../src/conduit/conduit_id.ts";
import type { Frame, Subprotocol } from "../../src/protocol/codec.ts";
import type { ResumeRequest } from "../../src/protocol/messages.ts";
import type { SeededRandom } from "../support/seeded_random.ts";
import type { SimProcess } from "./sim_process.ts";
import type { Timeline } from "./timeline.ts";

/** Which way something goes. */
export type Direction = "up" | "down";

/** After a close that nobody answers. Milliseconds. */
const CLOSE_TIMEOUT_MS = 3_000;

/** Who sees what an end gives to the line, before it is under way. */
export interface LineWitness {
  sent(line: SimLine, direction: Direction, frame: Frame): void;
  closed(line: SimLine, direction: Direction, code: number, reason: string): void;
  /** A frame is about to reach whom it was sent to. */
  arrived(line: SimLine, direction: Direction, frame: Frame): void;
}

/** What a line is made of. */
export interface LineOptions {
  readonly id: number;
  readonly subprotocol: Subprotocol;
  readonly timeline: Timeline;
  readonly random: SeededRandom;
  readonly client: SimProcess;
  readonly server: SimProcess;
  readonly witness: LineWitness;
  /** Slowest and fastest way of a frame, milliseconds. */
  readonly latency: { readonly least: number; readonly most: number };
  /** A break that was asked for has come. */
  readonly count: (fault: string) => void;
  readonly onError: (error: unknown) => void;
}

/** Two joined ends. Frames of one direction never overtake each other. */
export class SimLine {
  readonly id: number;
  readonly client: SimEnd;
  readonly server: SimEnd;
  readonly options: LineOptions;
  /** What its `start` claimed, once one was sent. */
  resume: ResumeRequest | null = null;
  /** No frame gets through in these directions, and nobody is told. */
  readonly #dead = new Set<Direction>();
  readonly #lastArrival = { up: 0, down: 0 };
  #stalledUntil = 0;
  /** How many more frames get through before the line breaks. */
  #allowance: { readonly direction: Direction; left: number; readonly fault: string } | null = null;

  constructor(options: LineOptions) {
    this.id = options.id;
    this.options = options;
    this.client = new SimEnd(this, "up", options.client);
    this.server = new SimEnd(this, "down", options.server);
  }

  get open(): boolean {
    return !this.client.gone || !this.server.gone;
  }

  /** What is under way is lost; each end finds out in its own time. */
  break(): void {
    this.#dead.add("up").add("down");
    const { timeline, random } = this.options;
    for (const end of [this.client, this.server]) timeline.after(random.between(0, 500), () => end.cut());
  }

  /** From here on nothing arrives in these directions. */
  halfOpen(...directions: readonly Direction[]): void {
    for (const direction of directions) this.#dead.add(direction);
  }

  /** Holds everything back for a while. */
  stall(ms: number): void {
    this.#stalledUntil = this.options.timeline.now + ms;
  }

  /** Breaks when one more than `frames` frames were sent this way; that one is lost, and counts as `fault`. */
  breakAfter(direction: Direction, frames: number, fault: string): void {
    this.#allowance = { direction, left: frames, fault };
  }

  /** Takes a frame, or a close, from one end to the other. */
  carry(direction: Direction, isFrame: boolean, deliver: () => void): void {
    const allowance = this.#allowance;
    if (isFrame && allowance?.direction === direction && allowance.left-- <= 0) {
      this.#allowance = null;
      this.options.count(allowance.fault);
      return this.break();
    }
    if (this.#dead.has(direction)) return;
    const { timeline, random, latency: { least, most } } = this.options;
    const now = timeline.now;
    const earliest = Math.max(now, this.#stalledUntil) + random.between(least, most);
    const at = this.#lastArrival[direction] = Math.max(earliest, this.#lastArrival[direction]);
    timeline.after(at - now, () => {
      // A break since then took it along; so did a stall delay it.
      if (this.#dead.has(direction)) return;
      deliver();
    });
  }
}

/** One end of a {@link SimLine}. */
export class SimEnd implements Conduit {
  readonly id = nextConduitId();
  readonly line: SimLine;
  readonly bufferedBytes = 0;
  readonly #direction: Direction;
  readonly #process: SimProcess;
  #handler: ConduitHandler | null = null;
  #state: "open" | "closing" | "closed" = "open";
  #cancelTimeout = () => {};

  constructor(line: SimLine, direction: Direction, process: SimProcess) {
    this.line = line;
    this.#direction = direction;
    this.#process = process;
  }

  get subprotocol(): Subprotocol {
    return this.line.options.subprotocol;
  }

  /** Nobody will hear from this end again. */
  get gone(): boolean {
    return this.#state === "closed" || !this.#process.alive;
  }

  /** Sets who listens; before the first frame. */
  listen(handler: ConduitHandler): void {
    this.#handler = handler;
  }

  send(frame: Frame): void {
    if (this.#state !== "open" || !this.#process.alive) return;
    const { witness } = this.line.options;
    const copy = typeof frame === "string" ? frame : frame.slice();
    witness.sent(this.line, this.#direction, copy);
    this.line.carry(this.#direction, true, () => this.#other.#arrived(copy, this.#direction));
  }

  close(code: number, reason: string): void {
    if (this.#state !== "open" || !this.#process.alive) return;
    this.#state = "closing";
    const cut = cutReason(reason);
    this.line.options.witness.closed(this.line, this.#direction, code, cut);
    this.line.carry(this.#direction, false, () => this.#other.#closed(code, cut));
    this.#cancelTimeout = this.line.options.timeline.after(CLOSE_TIMEOUT_MS, () => this.cut());
  }

  /** Breaks this end. */
  cut(): void {
    this.#finish(1006, "");
  }

  get #other(): SimEnd {
    return this.#direction === "up" ? this.line.server : this.line.client;
  }

  #arrived(frame: Frame, direction: Direction): void {
    this.#process.enter(() => {
      if (this.#state !== "open" || this.#handler === null) return;
      this.line.options.witness.arrived(this.line, direction, frame);
      try {
        this.#handler.onFrame(frame);
      } catch (error) {
        this.line.options.onError(error);
      }
    });
  }

  #closed(code: number, reason: string): void {
    // A close is answered with itself, so that the closer hears of it too.
    if (this.#state === "open") {
      this.line.carry(this.#direction, false, () => this.#other.#closed(code, reason));
    }
    this.#finish(code, reason);
  }

  #finish(code: number, reason: string): void {
    this.#process.enter(() => {
      if (this.#state === "closed") return;
      this.#state = "closed";
      this.#cancelTimeout();
      try {
        this.#handler?.onClose(code, reason);
      } catch (error) {
        this.line.options.onError(error);
      }
    });
  }
}
