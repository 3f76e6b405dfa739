/** One hostile peer: opens conduits one after the other, sends mutated frames, and knows which of them were judged. */

import { WebSocket } from "ws";
import type { Frame, FrameCodec, Subprotocol } from "../../src/protocol/codec.ts";
import { codecFor } from "../../src/protocol/codecs.ts";
import { DEFAULT_LIMITS } from "../../src/protocol/limits.ts";
import { isSessionMessage, type Message } from "../../src/protocol/messages.ts";
import type { SeededRandom } from "../support/seeded_random.ts";
import { harmless } from "./harmless.ts";
import { encodeLoose, fullStart, type Loose, newStart, plausible, type Position } from "./loose_message.ts";
import { mutated } from "./mutation.ts";

/** What all peers together did and saw. */
export interface FuzzCounts {
  /** Mutated frames that the server judged: a ping after each was answered, or it was the one that ended its conduit. */
  judged: number;
  /** Sent behind a frame that had ended the conduit, and so never judged. */
  unread: number;
  /** Judged before `established`. */
  early: number;
  conduits: number;
  established: number;
  resumed: number;
  /** How often each close code came. */
  readonly codes: Map<number, number>;
}

/** What is attacked. */
export interface FuzzTarget {
  readonly url: string;
  readonly victims: readonly string[];
}

/** A session that a peer left behind and may come back to. */
interface Held {
  readonly session: string;
  readonly token: string;
  readonly sent: number;
  readonly received: number;
  readonly connection: number;
  readonly highest: number;
}

const ENCODINGS: readonly Subprotocol[] = ["holdfast.v1.msgpack", "holdfast.v1.json"];
/** The share of conduits whose first frame is already wrong, and of later frames that are wrong in any way. */
const FIRST = 0.25;
const WRONG = 0.12;
const BURST = 12;
/** Frames after which a conduit that still lives is left, for another one to resume its session. */
const LONGEST = 120;
/** How long an answer may take on a loaded machine. Milliseconds. */
const PATIENCE_MS = 20_000;
const HELD = 64;

/** See the top of this file. */
export class HostilePeer {
  readonly #url: string;
  readonly #random: SeededRandom;
  readonly #counts: FuzzCounts;
  /** Shared, so that peers also meet on one session. */
  readonly #pool: Held[];
  readonly #victims: readonly string[];
  /** The last frames of the present conduit, for a failure's message. */
  readonly #frames: Frame[] = [];

  /**
   * @param target `url`: `ws://…` of the server; `victims`: the ids of sessions there that are not to be disturbed.
   */
  constructor(target: FuzzTarget, random: SeededRandom, counts: FuzzCounts, pool: Held[]) {
    this.#url = target.url;
    this.#victims = target.victims;
    this.#random = random;
    this.#counts = counts;
    this.#pool = pool;
  }

  /** Goes on, conduit by conduit, until `enough` says so. @throws Error with the last frames when the server goes quiet. */
  async run(enough: () => boolean): Promise<void> {
    while (!enough()) {
      const conduit = await FuzzedConduit.open(this.#url, this.#random.pick(ENCODINGS));
      this.#counts.conduits++;
      this.#frames.length = 0;
      try {
        await this.#attack(conduit, enough);
      } catch (error) {
        const frames = this.#frames.slice(-BURST).map((frame) => {
          return typeof frame === "string" ? JSON.stringify(frame) : frame.toHex();
        });
        throw new Error(`after these frames:\n${frames.join("\n")}`, { cause: error });
      } finally {
        conduit.terminate();
      }
      if (conduit.code !== null) {
        this.#counts.codes.set(conduit.code, (this.#counts.codes.get(conduit.code) ?? 0) + 1);
      }
    }
  }

  async #attack(conduit: FuzzedConduit, enough: () => boolean): Promise<void> {
    const random = this.#random;
    const victim = random.pick(this.#victims);
    const held = random.chance(0.3) && this.#pool.length > 0
      ? this.#pool.splice(random.int(this.#pool.length), 1)[0]!
      : null;
    if (random.chance(FIRST)) {
      // The first frame is the wrong one. Whatever it is, it is answered.
      const at: Position = { seq: 1, connection: 1, highest: 1, received: held?.received ?? 0, held, victim };
      const first = random.chance(0.6) ? fullStart(random, at) : plausible(random, at);
      this.#send(conduit, mutated([first], conduit.subprotocol, random));
      await conduit.answered();
      this.#counts.judged++;
      this.#counts.early++;
    } else {
      const start = held === null ? newStart(random) : resume(held, random);
      conduit.send(encodeLoose([start], conduit.subprotocol));
      await conduit.answered();
    }
    const { established } = conduit;
    if (established === null) return;
    this.#counts.established++;
    if (established.resumed) this.#counts.resumed++;
    let connection = established.resumed && held !== null ? held.connection : 1;
    conduit.resumeAt(established.received, held?.received ?? 0, held?.highest ?? 1);
    if (!established.resumed) this.#tell(conduit, ["ack", 0], ["open", 1, 1, { service: "echo" }]);
    else this.#tell(conduit, ["ack", conduit.received]);
    const most = random.between(1, LONGEST);
    for (let sent = 0; sent < most && conduit.code === null && !enough();) {
      if (conduit.connectionsEnded.has(connection)) {
        connection = conduit.highest + 2;
        this.#tell(conduit, ["open", conduit.taken + 1, connection, { service: "echo" }]);
      }
      const burst = random.between(1, BURST);
      const pongs = conduit.pongs;
      for (let n = 0; n < burst; n++) {
        const { taken, highest, received } = conduit;
        const at = { seq: taken + 1, connection, highest, received, held: null, victim };
        this.#send(conduit, this.#frame(at, conduit.subprotocol));
        conduit.send(encodeLoose([["ping", FuzzedConduit.NONCE]], conduit.subprotocol));
      }
      if (random.chance(0.7)) this.#tell(conduit, ["ack", conduit.received]);
      await conduit.ponged(pongs + burst);
      const answered = conduit.pongs - pongs;
      const ended = conduit.code !== null && answered < burst ? 1 : 0;
      this.#counts.judged += answered + ended;
      this.#counts.unread += burst - answered - ended;
      sent += burst;
    }
    if (conduit.code === null && this.#pool.length < HELD) {
      const { session, token } = established;
      const { taken, received, highest } = conduit;
      this.#pool.push({ session, token, sent: taken, received, connection, highest });
    }
  }

  /** Most frames leave the session alive, so that what follows meets a state that has come some way. */
  #frame(at: Position, subprotocol: Subprotocol): Frame {
    const random = this.#random;
    if (!random.chance(WRONG)) return harmless(random, at, subprotocol);
    const messages = Array.from({ length: random.between(1, 3) }, () => plausible(random, at));
    return mutated(messages, subprotocol, random);
  }

  #send(conduit: FuzzedConduit, frame: Frame): void {
    this.#frames.push(frame);
    if (this.#frames.length > 4 * BURST) this.#frames.splice(0, 2 * BURST);
    conduit.sendTracked(frame);
  }

  #tell(conduit: FuzzedConduit, ...messages: Loose[]): void {
    conduit.sendTracked(encodeLoose(messages, conduit.subprotocol));
  }
}

function resume(held: Held, random: SeededRandom): Loose {
  const [, fields] = newStart(random);
  const { session, token, received, sent } = held;
  return ["start", { ...fields as object, resume: { session, token, received, sent } }];
}

/** A conduit that follows what the server must have made of what was sent, so that the next frames are near misses. */
class FuzzedConduit {
  /** That of the pings which follow each frame; mutated frames hold smaller ones. */
  static readonly NONCE = 2 ** 40;
  readonly subprotocol: Subprotocol;
  readonly connectionsEnded = new Set<number>();
  established: (Message & { readonly kind: "established" }) | null = null;
  pongs = 0;
  /** The close code; null while it is open. */
  code: number | null = null;
  /** The highest number that the server has taken, if it thinks as the codec does. */
  taken = 0;
  /** The highest number that came from the server. */
  received = 0;
  /** The highest connection that was opened. */
  highest = 1;
  readonly #socket: WebSocket;
  readonly #codec: FrameCodec;
  #heard = false;
  #wake: () => void = () => {};

  static async open(url: string, subprotocol: Subprotocol): Promise<FuzzedConduit> {
    const socket = new WebSocket(url, [subprotocol], {
      perMessageDeflate: false,
      handshakeTimeout: PATIENCE_MS,
    });
    const conduit = new FuzzedConduit(socket, subprotocol);
    await new Promise<void>((resolve, reject) => {
      socket.once("open", () => resolve());
      socket.once("error", reject);
    });
    return conduit;
  }

  private constructor(socket: WebSocket, subprotocol: Subprotocol) {
    this.#socket = socket;
    this.subprotocol = subprotocol;
    this.#codec = codecFor(subprotocol, DEFAULT_LIMITS);
    // An error is always followed by the close.
    socket.on("error", () => {});
    socket.on("message", (data: Uint8Array, isBinary: boolean) => {
      this.#hear(isBinary ? new Uint8Array(data) : new TextDecoder().decode(data));
      this.#wake();
    });
    socket.on("close", (code: number) => {
      this.code = code;
      this.#wake();
    });
  }

  /** Where the counters stand after `established`. */
  resumeAt(taken: number, received: number, highest: number): void {
    this.taken = taken;
    this.highest = highest;
    this.received = Math.max(this.received, received);
  }

  send(frame: Frame): void {
    this.#socket.send(frame);
  }

  sendTracked(frame: Frame): void {
    const decoded = this.#codec.decode(frame);
    for (const message of decoded.ok ? decoded.messages : []) {
      if (!isSessionMessage(message) || message.seq !== this.taken + 1) continue;
      this.taken++;
      if (message.kind === "end") this.connectionsEnded.add(message.connection);
      if (message.kind === "open") this.highest = Math.max(this.highest, message.connection);
    }
    this.send(frame);
  }

  /** Resolves with the first thing heard, the close included. @throws Error if nothing is. */
  async answered(): Promise<void> {
    await this.#until(() => this.established !== null || this.code !== null);
  }

  /** Resolves when so many pongs came, or the conduit closed. @throws Error if neither happens. */
  async ponged(count: number): Promise<void> {
    await this.#until(() => this.pongs >= count || this.code !== null);
  }

  terminate(): void {
    this.#socket.terminate();
  }

  #hear(frame: Frame): void {
    this.#heard = true;
    const decoded = this.#codec.decode(frame);
    if (!decoded.ok) {
      throw new Error(`the server sent what its own codec refuses: ${decoded.violation.detail}`);
    }
    for (const message of decoded.messages) {
      if (message.kind === "established") this.established = message;
      else if (message.kind === "pong" && message.nonce === FuzzedConduit.NONCE) this.pongs++;
      else if (isSessionMessage(message)) {
        this.received = Math.max(this.received, message.seq);
        if (message.kind === "end" || message.kind === "reject") {
          this.connectionsEnded.add(message.connection);
        }
      }
    }
  }

  async #until(test: () => boolean): Promise<void> {
    if (test()) return;
    let timer: ReturnType<typeof setTimeout> | undefined;
    const late = new Promise<true>((resolve) => void (timer = setTimeout(() => resolve(true), PATIENCE_MS)));
    try {
      while (!test()) {
        const woken = new Promise<false>((resolve) => void (this.#wake = () => resolve(false)));
        if (await Promise.race([woken, late])) {
          throw new Error(`nothing came within ${PATIENCE_MS} ms${this.#heard ? " more" : ""}`);
        }
      }
    } finally {
      clearTimeout(timer);
    }
  }
}

/** Where peers leave sessions for each other. */
export type SessionPool = Held[];
