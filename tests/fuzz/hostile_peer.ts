/** One hostile peer: opens conduits one after the other, sends mutated frames, and knows which of them were judged. */

import type { Frame, Subprotocol } from "../../src/protocol/codec.ts";
import type { SeededRandom } from "../support/seeded_random.ts";
import { ConnectionCalls } from "./connection_calls.ts";
import { FuzzedConduit } from "./fuzzed_conduit.ts";
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
  /** How often each method was answered with a result. */
  readonly results: Map<string, number>;
  /** How often a call was answered with each code. */
  readonly failures: Map<string, number>;
  /** Items of downloads that came. */
  items: number;
  /** The longest that a peer waited for an answer or a close, milliseconds. */
  longest: number;
}

/** Of a run in which nothing happened yet. */
export function noFuzzCounts(): FuzzCounts {
  return {
    judged: 0,
    unread: 0,
    early: 0,
    conduits: 0,
    established: 0,
    resumed: 0,
    codes: new Map(),
    results: new Map(),
    failures: new Map(),
    items: 0,
    longest: 0,
  };
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
  readonly calls: Map<number, ConnectionCalls>;
}

const ENCODINGS: readonly Subprotocol[] = ["holdfast.v1.msgpack", "holdfast.v1.json"];
/** The share of conduits whose first frame is already wrong. */
const FIRST = 0.25;
/** The share of later frames that are wrong in any way, on one half of the conduits and on the other, whose calls come further. */
const WRONG = [0.12, 0.02] as const;
const BURST = 12;
/** Frames after which a conduit that still lives is left, for another one to resume its session. */
const LONGEST = 120;
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
      const { codes, results, failures } = this.#counts;
      if (conduit.code !== null) count(codes, conduit.code);
      for (const { method, outcome } of conduit.answers) {
        if (outcome === "ok") count(results, method);
        else count(failures, outcome);
      }
      this.#counts.items += conduit.items;
      this.#counts.longest = Math.max(this.#counts.longest, conduit.longest);
    }
  }

  async #attack(conduit: FuzzedConduit, enough: () => boolean): Promise<void> {
    const random = this.#random;
    const victim = random.pick(this.#victims);
    const held = random.chance(0.3) && this.#pool.length > 0
      ? this.#pool.splice(random.int(this.#pool.length), 1)[0]!
      : null;
    if (held !== null) conduit.resume(held.received, held.highest, held.calls);
    if (random.chance(FIRST)) {
      // The first frame is the wrong one. Whatever it is, it is answered.
      const calls = new ConnectionCalls("");
      const at: Position = {
        seq: 1,
        connection: 1,
        calls,
        highest: 1,
        received: held?.received ?? 0,
        held,
        victim,
      };
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
    else conduit.resume(0, -1, new Map());
    let connection = established.resumed && held !== null ? held.connection : 1;
    this.#tell(conduit, ["ack", conduit.received]);
    if (!established.resumed) await this.#open(conduit, connection);
    const most = random.between(1, LONGEST);
    const wrong = random.pick(WRONG);
    for (let sent = 0; sent < most && conduit.code === null && !enough();) {
      if (conduit.connectionsEnded.has(connection)) {
        connection = conduit.highest + 2;
        await this.#open(conduit, connection);
      }
      const burst = random.between(1, BURST);
      const pongs = conduit.pongs;
      for (let n = 0; n < burst; n++) {
        const { taken, highest, received } = conduit;
        const calls = conduit.callsOf(connection);
        const at = { seq: taken + 1, connection, calls, highest, received, held: null, victim };
        this.#send(conduit, this.#frame(at, wrong, conduit.subprotocol));
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
      const { taken, received, highest, calls } = conduit;
      this.#pool.push({ session, token, sent: taken, received, connection, highest, calls });
    }
  }

  /** Half of all connections lead to `demo`, and about half are spoken on before they are accepted. */
  async #open(conduit: FuzzedConduit, connection: number): Promise<void> {
    const service = this.#random.chance(0.5) ? "demo" : "echo";
    const waits = this.#random.chance(0.5);
    this.#tell(conduit, ["open", conduit.taken + 1, connection, { service }]);
    if (waits) await conduit.opened(connection);
  }

  /** Most frames leave the session alive, so that what follows meets a state that has come some way. */
  #frame(at: Position, wrong: number, subprotocol: Subprotocol): Frame {
    const random = this.#random;
    if (!random.chance(wrong)) return harmless(random, at, subprotocol);
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

function count<K>(counts: Map<K, number>, key: K): void {
  counts.set(key, (counts.get(key) ?? 0) + 1);
}

function resume(held: Held, random: SeededRandom): Loose {
  const [, fields] = newStart(random);
  const { session, token, received, sent } = held;
  return ["start", { ...fields as object, resume: { session, token, received, sent } }];
}

/** Where peers leave sessions for each other. */
export type SessionPool = Held[];
