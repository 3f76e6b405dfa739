/** Watches every frame as a server gives it to a conduit, and judges it by what the store has applied by then. */

import { decodeBody } from "../../src/protocol/body.ts";
import type { Frame, FrameCodec, Subprotocol } from "../../src/protocol/codec.ts";
import { codecFor } from "../../src/protocol/codecs.ts";
import { encodeSession } from "../../src/protocol/encode.ts";
import { DEFAULT_LIMITS } from "../../src/protocol/limits.ts";
import type { Established, Message, SessionMessage } from "../../src/protocol/messages.ts";
import { hashOf } from "../../src/system/hash.ts";
import type { Direction, LineWitness, SimLine } from "./sim_line.ts";
import type { FlowWitness } from "./flow_witness.ts";
import { fingerprint, type Seen, type StoreWitness } from "./store_witness.ts";

/** What is known of a line whose handshake was answered. */
interface Carried {
  readonly session: string;
  readonly durable: boolean;
  /** Of its `established`. */
  readonly token: string;
  /** The version of the core that held it. */
  readonly version: string | undefined;
  readonly boot: string;
  /** Highest number sent on this line, so that each line is in order. */
  sent: number;
}

export class WireWitness implements LineWitness {
  /** Session messages sent by servers and by clients. */
  readonly messages = { down: 0, up: 0 };
  /** Conduits whose handshake was answered with `established`, and those of them that resumed. */
  readonly handshakes = { established: 0, resumed: 0 };
  /** The process that first answered for a session. */
  readonly firstBoot = new Map<string, string>();
  readonly #store: StoreWitness;
  readonly #flow: FlowWitness;
  readonly #fail: (problem: string) => void;
  readonly #trace: (line: string) => void;
  readonly #carried = new Map<SimLine, Carried>();
  /** The most that a client was told is safe, by session and client: a copied tab hears for itself. */
  readonly #told = new Map<string, number>();
  readonly #codecs: { readonly [name in Subprotocol]: FrameCodec };

  constructor(
    store: StoreWitness,
    flow: FlowWitness,
    fail: (problem: string) => void,
    trace: (line: string) => void,
  ) {
    this.#store = store;
    this.#flow = flow;
    this.#fail = fail;
    this.#trace = trace;
    const wide = { ...DEFAULT_LIMITS, frameBytes: 1 << 24 };
    this.#codecs = {
      "holdfast.v1.json": codecFor("holdfast.v1.json", wide),
      "holdfast.v1.msgpack": codecFor("holdfast.v1.msgpack", wide),
    };
  }

  sent(line: SimLine, direction: Direction, frame: Frame): void {
    for (const message of this.#decode(line, frame)) {
      this.#trace(`${line.id} ${direction} ${describe(message)}`);
      if ("seq" in message) this.messages[direction]++;
      if (direction === "down") this.#judge(line, message);
      const session = this.#carried.get(line)?.session;
      if ("seq" in message && session !== undefined) this.#flow.said(session, direction, message);
    }
  }

  arrived(line: SimLine, direction: Direction, frame: Frame): void {
    this.#trace(`${line.id} ${direction} arrived`);
    if (direction === "up") return;
    // What a client was told is a promise from the moment it hears it.
    for (const message of this.#decode(line, frame)) {
      const carried = this.#carried.get(line);
      if (carried === undefined || message.kind !== "ack" && message.kind !== "established") continue;
      const hearer = `${carried.session} ${line.options.client.name}`;
      const told = this.#told.get(hearer) ?? 0;
      if (message.kind === "established" && message.received < told) {
        this.#fail(`line ${line.id}: ${carried.session} has ${message.received}, a client was told ${told}`);
      }
      this.#told.set(hearer, Math.max(told, message.received));
    }
  }

  closed(line: SimLine, direction: Direction, code: number, reason: string): void {
    this.#trace(`${line.id} ${direction} close ${code} ${reason}`);
    const carried = this.#carried.get(line);
    if (direction === "up" || carried === undefined || !carried.durable) return;
    const seen = this.#store.sessions.get(carried.session)!;
    if (code === 1000 && seen.record.kind !== "tombstone") {
      this.#fail(`line ${line.id}: an end was confirmed before its commit (end.close)`);
    }
    if (code === 4510 && !isSuperseded(seen, carried)) {
      this.#fail(`line ${line.id}: taken over before the commit of the takeover (resume.takeover)`);
    }
  }

  #judge(line: SimLine, message: Message): void {
    if (message.kind === "established") return this.#established(line, message);
    const carried = this.#carried.get(line);
    if (carried === undefined) {
      if (message.kind !== "refused") this.#fail(`line ${line.id}: ${message.kind} before established`);
      return;
    }
    if ("seq" in message) {
      if (message.seq !== carried.sent + 1) {
        return this.#fail(`line ${line.id}: message ${message.seq} after ${carried.sent} (delivery.order)`);
      }
      carried.sent = message.seq;
    }
    if (!carried.durable) return;
    const seen = this.#store.sessions.get(carried.session)!;
    if (message.kind === "ack" && message.received > seen.received) {
      this.#fail(`line ${line.id}: ack ${message.received} before its commit, ${seen.received} is committed`);
    }
    if (!("seq" in message)) return;
    const committed = seen.messages.get(message.seq);
    if (committed === undefined) {
      return this.#fail(`line ${line.id}: message ${message.seq} left before its commit (delivery.ack)`);
    }
    if (line.options.subprotocol === "holdfast.v1.json") return;
    const { seq, cost: _, ...payload } = message;
    if (fingerprint(encodeSession(seq, payload)) !== committed) {
      this.#fail(`line ${line.id}: message ${seq} is not the one that is committed`);
    }
  }

  #established(line: SimLine, message: Established): void {
    this.handshakes.established++;
    if (message.resumed) this.handshakes.resumed++;
    const { session, token, received, sent } = message;
    const durable = message.durability === "durable";
    if (!this.firstBoot.has(session)) this.firstBoot.set(session, line.options.server.name);
    const seen = this.#store.sessions.get(session);
    this.#carried.set(line, {
      session,
      durable,
      token: hashOf(token),
      version: seen?.version,
      boot: line.options.server.name,
      sent: 0,
    });
    const carried = this.#carried.get(line)!;
    if (durable) {
      if (seen === undefined || !seen.tokens.has(carried.token)) {
        return this.#fail(`line ${line.id}: established before its commit (resume.committed)`);
      }
      if (received > seen.received || sent > seen.sent) {
        return this.#fail(`line ${line.id}: established with counters that are not committed`);
      }
    }
    if (line.resume === null) return;
    carried.sent = line.resume.received;
    // Another process may have proven a newer one just now; this one would know.
    if (seen?.record.kind !== "session" || seen.owners.at(-1)!.boot !== carried.boot) return;
    if (seen.record.core.tokens.retired.includes(hashOf(line.resume.token))) {
      this.#fail(`line ${line.id}: established by a token that was replaced (resume.rotate)`);
    }
  }

  #decode(line: SimLine, frame: Frame): readonly Message[] {
    const decoded = this.#codecs[line.options.subprotocol].decode(frame);
    if (decoded.ok) {
      for (const message of decoded.messages) {
        if (message.kind === "start" && message.resume !== undefined) line.resume = message.resume;
      }
      return decoded.messages;
    }
    this.#fail(`line ${line.id}: a frame that breaks ${decoded.violation.rule}: ${decoded.violation.detail}`);
    return [];
  }
}

/** True if something newer than the line's own attach is in the store. */
function isSuperseded(seen: Seen, line: Carried): boolean {
  if (seen.record.kind === "tombstone") return true;
  const own = seen.tokens.get(line.token) ?? -1;
  if (seen.tokens.size - 1 > own) return true;
  const last = seen.owners.at(-1)!;
  return last.boot !== line.boot && last.version > (line.version ?? "");
}

function describe(message: Message): string {
  if ("seq" in message) return `${message.kind} ${message.seq} c${message.connection}${detailOf(message)}`;
  switch (message.kind) {
    case "ack":
      return `ack ${message.received}`;
    case "start":
      return `start ${message.resume === undefined ? "new" : JSON.stringify(message.resume)}`;
    case "established":
      return `established ${message.session} ${message.token} ${message.received}/${message.sent}`;
    case "refused":
      return `refused ${message.reason}: ${message.detail}`;
    default:
      return message.kind;
  }
}

function detailOf(message: SessionMessage): string {
  switch (message.kind) {
    case "call": {
      const { operation, timeout, upload, download } = message.options ?? {};
      const options = { operation, timeout, upload, download };
      return ` r${message.request} ${message.method} ${JSON.stringify(options)}`;
    }
    case "response":
      return ` r${message.request} ${
        message.ok ? "ok" : (decodeBody(message.body) as { readonly code: string }).code
      }`;
    case "cancel":
      return ` r${message.request}`;
    case "item":
    case "finish":
    case "reset":
      return ` channel ${message.channel}`;
    case "credit":
      return ` channel ${message.channel} ${message.additional}`;
    case "open":
      return ` ${message.service} ${JSON.stringify(message.metadata ?? {})}`;
    case "end":
    case "reject":
      return ` ${message.reason}`;
    default:
      return "";
  }
}
