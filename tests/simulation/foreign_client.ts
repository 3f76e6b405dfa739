/**
 * A client by the protocol's text alone, over the shared delivery machine: no SDK. It keeps its whole state after every
 * event, so that a reload may come at any moment.
 */

import type { Frame, FrameCodec, Subprotocol } from "../../src/protocol/codec.ts";
import { codecFor } from "../../src/protocol/codecs.ts";
import { encodeConduit } from "../../src/protocol/encode.ts";
import { DEFAULT_LIMITS } from "../../src/protocol/limits.ts";
import type { ConduitMessage, Established, Message, SessionMessage } from "../../src/protocol/messages.ts";
import { instructionFor, instructionForCode, isReason } from "../../src/protocol/reasons.ts";
import * as delivery from "../../src/session/delivery_state.ts";
import { secret } from "../../src/system/random.ts";
import type { SeededRandom } from "../support/seeded_random.ts";
import {
  type ForeignSession,
  freshSession,
  produce,
  receive,
  reloaded,
  reopen,
  say,
  type Windows,
  windowsFor,
} from "./foreign_session.ts";
import { act, attend, consume, leave } from "./caller.ts";
import { receive as receiveWork } from "./caller_inbox.ts";
import { type Books, booksOf, type CallerWorld, isQuiet } from "./caller_model.ts";
import type { LedgerSession } from "./ledger.ts";
import type { ClientHost, ClientSpec, SimClient } from "./sim_client.ts";
import type { SimEnd } from "./sim_line.ts";
import type { SimNode } from "./sim_node.ts";
import type { SimProcess } from "./sim_process.ts";
import { isComplete } from "./workload.ts";

const ANSWER_TIMEOUT_MS = 12_000;

export class ForeignClient implements SimClient {
  readonly spec: ClientSpec;
  #shared = false;
  node: SimNode | null = null;
  over: string | null = null;
  closed = false;
  readonly #host: ClientHost;
  readonly #random: SeededRandom;
  readonly #codecs: { readonly [name in Subprotocol]: FrameCodec };
  #process: SimProcess;
  #kept: ForeignSession;
  #attached: SimEnd | null = null;
  #heardAt = 0;
  #keepalive = { interval: 25_000, timeout: 10_000 };
  #dialling: { readonly end: SimEnd; asked: boolean; refused: string | null } | null = null;
  /** A `start` that was given up may yet take effect: the 4510 that comes of it is our own doing. */
  #rival = false;
  #cancelDial: (() => void) | null = null;
  #cancelAnswer = () => {};
  #cancelAck: (() => void) | null = null;
  #attempt = 0;
  #resting = false;

  constructor(spec: ClientSpec, host: ClientHost, kept: ForeignSession | null = null) {
    this.spec = spec;
    this.#host = host;
    this.#random = host.newRandom();
    const wide = { ...DEFAULT_LIMITS, frameBytes: 1 << 24 };
    this.#codecs = {
      "holdfast.v1.json": codecFor("holdfast.v1.json", wide),
      "holdfast.v1.msgpack": codecFor("holdfast.v1.msgpack", wide),
    };
    this.#kept = kept ?? this.#fresh();
    this.#process = this.#begin();
  }

  get session(): string | null {
    return this.#kept.session;
  }

  get shared(): boolean {
    return this.#shared;
  }

  set shared(shared: boolean) {
    this.#shared = shared;
    this.#ledgerSession.shared ||= shared;
  }

  /** Its session, as the ledger has it. */
  get #ledgerSession(): LedgerSession {
    return this.#host.ledger.sessionOf(this.#kept.uid);
  }

  /** Its session's name in the ledger. */
  get uid(): string {
    return this.#kept.uid;
  }

  /** The process that its conduit is attached to. */
  get attachedTo(): SimProcess | null {
    return this.#attached?.line.options.server ?? null;
  }

  /** What it knows of its connections, and of how much was said. */
  get books(): { readonly books: readonly Books[]; readonly sent: number; readonly received: number } {
    const { caller, connection, delivery: { sent, received } } = this.#kept;
    return { books: [{ connection, up: null, down: null }, ...booksOf(caller)], sent, received };
  }

  /** The server has all that was said. */
  get isSafe(): boolean {
    const { acked, sent } = this.#kept.delivery;
    return acked === sent;
  }

  get caughtUp(): boolean {
    const { delivery: { acked, sent }, progress, requests } = this.#kept;
    const done = this.#resting || requests >= this.spec.requests;
    return this.#attached !== null && this.#dialling === null && done && acked === sent &&
      isComplete(progress, this.#host.sizes) && isQuiet(this.#kept.caller) &&
      this.#host.ledger.unhandled(this.#kept.uid).length === 0;
  }

  /** Makes calls, and sends messages, that the server must do also if nobody hears of this client again. */
  leaveWork(): void {
    leave(this.#kept.caller, this.#world);
    this.#flush();
  }

  rest(): void {
    this.#resting = true;
  }

  reload(): boolean {
    if (!this.spec.stored || this.over !== null) return false;
    this.#leave();
    this.#kept = reloaded(this.#kept, this.#windows);
    this.#begin();
    return true;
  }

  redial(): void {
    if (this.over !== null || this.#dialling !== null) return;
    this.#host.moved(this);
    this.#dial();
  }

  /** It asked for the end and was not told that it came: what it asks for later is another memory's matter. */
  get isClosing(): boolean {
    return this.#kept.closing;
  }

  close(): void {
    if (this.over !== null) return;
    this.#kept.closing = true;
    this.#sayClose();
  }

  /** Goes offline, and {@link comeBack | back} with all it had. */
  sleep(): void {
    this.#leave();
  }

  comeBack(): void {
    if (this.over === null) this.#begin();
  }

  vanish(): void {
    this.over ??= "vanished";
    this.#leave();
    this.#process.lose();
  }

  copy(): SimClient | null {
    if (!this.spec.stored || this.over !== null || this.#kept.session === null) return null;
    this.shared = true;
    const copy = new ForeignClient(
      { ...this.spec, name: `${this.spec.name}'` },
      this.#host,
      structuredClone(this.#kept),
    );
    copy.shared = true;
    copy.#kept.caller.page += "'";
    copy.#resting = this.#resting;
    return copy;
  }

  describe(): string {
    const { session, delivery: { acked, sent, received }, progress, requests, caller, uid } = this.#kept;
    const waiting = caller.connections.map(({ id, service, accepted, fatal, calls, messages, last }) =>
      `${id} ${service} ${accepted} ${fatal} calls ${
        calls.map((call) => call.id)
      } messages ${messages} ${last.n}`
    );
    const unhandled = this.#host.ledger.unhandled(uid).map(({ id }) => id);
    return `${this.spec.name} ${
      JSON.stringify({
        session,
        over: this.over,
        attached: this.#attached !== null,
        dialling: this.#dialling !== null,
        acked,
        sent,
        received,
        progress,
        requests,
        waiting,
        unhandled,
      })
    }`;
  }

  get #windows(): Windows {
    return windowsFor(this.spec.settings, this.#host.windows);
  }

  #fresh(): ForeignSession {
    const { settings, principal } = this.spec;
    const { uid } = this.#host.ledger.session(settings.durability !== "ephemeral", principal);
    return freshSession(uid, secret(this.#random), this.#windows);
  }

  get #world(): CallerWorld {
    const kept = this.#kept;
    const { ledger, limits: { concurrentCalls: mostCalls }, accounts } = this.#host;
    const now = this.#process.clock.now();
    return {
      ...{ ledger, session: this.#ledgerSession, random: this.#random, now },
      ...{ mostCalls, accounts, mix: this.spec.mix },
      say: (payload) => say(kept, payload, now),
      connection: () => kept.connections += 2,
    };
  }

  #begin(): SimProcess {
    this.#process = this.#host.newProcess(this.spec.name);
    this.#planDial();
    this.#produceLater();
    return this.#process;
  }

  #leave(): void {
    const { line: attached } = this.#attached ?? {};
    const { line: dialled } = this.#dialling?.end ?? {};
    this.#process.lose();
    attached?.break();
    dialled?.break();
    this.#attached =
      this.#dialling =
      this.#cancelDial =
      this.#cancelAck =
        null;
    this.#rival = true;
  }

  #after(ms: number, run: () => void): () => void {
    const { clock } = this.#process;
    return clock.wakeAt(clock.now() + ms, run);
  }

  #planDial(least = 0): void {
    if (this.over !== null) return;
    this.#cancelDial?.();
    const ceiling = Math.min(4_000, 100 * 2 ** Math.min(this.#attempt++, 8));
    this.#cancelDial = this.#after(least + this.#random.between(20, ceiling), () => this.#dial());
  }

  #dial(): void {
    this.#cancelDial?.();
    this.#cancelDial = null;
    if (this.over !== null || this.#dialling !== null) return;
    // A resume may use the other subprotocol (`frame.route`).
    const other = this.spec.subprotocol === "holdfast.v1.json" ? "holdfast.v1.msgpack" : "holdfast.v1.json";
    const subprotocol = this.#random.chance(0.1) ? other : this.spec.subprotocol;
    const end: SimEnd = this.#host.dial(this, this.#process, subprotocol, {
      onOpen: () => this.#start(end),
      onFrame: (frame) => this.#frame(end, frame),
      onClose: (code) => this.#closed(end, code),
    });
    this.#dialling = { end, asked: false, refused: null };
    this.#cancelAnswer = this.#after(ANSWER_TIMEOUT_MS, () => this.#giveUp());
  }

  #giveUp(): void {
    const dialling = this.#dialling;
    if (dialling === null) return;
    if (dialling.asked) this.#rival = true;
    this.#dialling = null;
    dialling.end.close(1000, "given up");
    this.#planDial();
    this.#flush();
  }

  #start(end: SimEnd): void {
    if (this.#dialling?.end !== end) return;
    this.#dialling.asked = true;
    const { challenge, session, token, delivery: { received, sent } } = this.#kept;
    this.#send(end, [{
      kind: "start",
      version: 1,
      challenge: session === null ? challenge : secret(this.#random),
      ...(session === null || token === null ? {} : { resume: { session, token, received, sent } }),
      settings: this.spec.settings,
      ...(this.spec.principal === "" ? {} : { auth: this.spec.principal }),
    }]);
  }

  #frame(end: SimEnd, frame: Frame): void {
    const decoded = this.#codecs[end.subprotocol].decode(frame);
    if (!decoded.ok) {
      return this.#host.fail(`${this.spec.name} got a frame that breaks ${decoded.violation.rule}`);
    }
    for (const message of decoded.messages) {
      if (this.#dialling?.end === end) this.#answered(end, message);
      else if (this.#attached === end) this.#message(message);
    }
    if (this.#attached === end) {
      this.#heardAt = this.#process.clock.now();
      attend(this.#kept.caller, this.#world);
      this.#flush();
    }
  }

  #answered(end: SimEnd, message: Message): void {
    if (message.kind === "refused") {
      this.#dialling!.refused = message.reason;
      return this.#refused(message.reason, message.detail, message.retryAfter ?? 0);
    }
    if (message.kind !== "established") {
      return this.#host.fail(`${this.spec.name} got ${message.kind} as an answer`);
    }
    this.#established(end, message);
  }

  #refused(reason: string, detail: string, retryAfter: number): void {
    this.#cancelAnswer();
    this.#dialling = null;
    const instruction = isReason(reason) ? instructionFor(reason) : "stop";
    if (instruction === "resume") {
      // The node could not wait for its commit: what this `start` asked for may yet take effect.
      this.#rival = true;
      this.#flush();
      return this.#attached === null ? this.#planDial(retryAfter) : undefined;
    }
    this.#lost(reason, detail);
  }

  #established(end: SimEnd, message: Established): void {
    const kept = this.#kept;
    this.#cancelAnswer();
    this.#cancelDial?.();
    this.#cancelDial = null;
    const problem = kept.session !== null && (message.session !== kept.session || !message.resumed)
      ? `was given ${message.session} for ${kept.session}`
      : delivery.divergence(kept.delivery, message);
    if (problem !== null) {
      if (!this.shared) this.#host.fail(`${this.spec.name}: established ${problem}`);
      return this.#lost("diverged", problem);
    }
    this.#attached?.close(1000, "moved");
    this.#dialling = null;
    this.#attached = end;
    this.#heardAt = this.#process.clock.now();
    this.#keepalive = message.keepalive;
    this.#attempt = 0;
    kept.session = message.session;
    this.#ledgerSession.id = message.session;
    kept.token = message.token;
    delivery.reattach(kept.delivery, message);
    delivery.restartIncoming(kept.delivery);
    this.#host.count(message.resumed ? "resumes" : "sessions");
    this.#listen();
    this.#flush(true);
    if (kept.closing) this.#sayClose();
  }

  #message(message: Message): void {
    const { spec: { name } } = this;
    const kept = this.#kept;
    switch (message.kind) {
      case "ack": {
        const problem = delivery.acknowledge(kept.delivery, message.received);
        if (problem !== null) this.#host.fail(`${name}: the server broke ${problem.rule}: ${problem.detail}`);
        return;
      }
      case "ping":
        return this.#send(this.#attached!, [{ kind: "pong", nonce: message.nonce }]);
      case "goaway":
        this.#cancelDial ??= this.#after(this.#random.between(0, Math.max(1, message.after)), () => {
          this.#host.moved(this);
          this.#dial();
        });
        return;
      case "close":
        if (kept.closing) return this.#ended();
        return this.#lost(message.reason, message.detail);
      case "pong":
      case "volatile":
        return;
      default:
        if ("seq" in message) {
          const world = this.#world;
          const other = (said: SessionMessage) => receiveWork(kept.caller, said, world);
          const problem = receive(kept, message, this.#host.sizes, world.now, other);
          if (message.kind === "message") this.#host.count("replies");
          // What two pages with one session say is no conversation.
          if (problem !== null && !this.shared) this.#host.fail(`${name}: ${problem}`);
          return;
        }
        this.#host.fail(`${name} got ${message.kind}`);
    }
  }

  #closed(end: SimEnd, code: number): void {
    const instruction = instructionForCode(code);
    if (this.#dialling?.end === end) {
      const { asked } = this.#dialling;
      this.#cancelAnswer();
      this.#dialling = null;
      if (asked && code === 1006) this.#rival = true;
      if (instruction === "over") return this.#lost(`closed with ${code}`, "");
      if (instruction === "stop") {
        return this.#host.fail(`${this.spec.name}: its start was closed with ${code}`);
      }
      this.#flush();
      if (this.#attached === null) this.#planDial();
      return;
    }
    if (this.#attached !== end) return;
    this.#attached = null;
    this.#cancelAck?.();
    this.#cancelAck = null;
    if (this.#kept.closing && code === 1000) return this.#ended();
    if (instruction === "over" || instruction === "stop") return this.#lost(`closed with ${code}`, "");
    if (instruction === "taken-over" && !this.#rival && this.#dialling === null) {
      return this.#lost("taken-over", "4510 on the current conduit");
    }
    if (instruction === "taken-over") this.#rival = false;
    if (this.#dialling === null) this.#planDial();
  }

  /** `keepalive.silence`. */
  #listen(): void {
    const end = this.#attached;
    if (end === null) return;
    const { interval, timeout } = this.#keepalive;
    this.#after(Math.max(1, this.#heardAt + interval + timeout - this.#process.clock.now()), () => {
      if (this.#attached !== end) return;
      if (this.#process.clock.now() < this.#heardAt + interval + timeout) return this.#listen();
      end.close(4409, "silence");
      this.#closed(end, 1006);
    });
  }

  #produceLater(): void {
    this.#after(this.#random.between(1, 2 * this.spec.pace), () => {
      this.#produce(this.#random.between(1, 4), this.#random.chance(0.02));
      this.#produceLater();
    });
  }

  #produce(count: number, reopens: boolean): void {
    const { sizes } = this.#host;
    const now = this.#process.clock.now();
    if (this.over !== null || this.#kept.closing) return;
    const { caller } = this.#kept;
    const world = this.#world;
    consume(caller, this.#random);
    attend(caller, world);
    if (!this.#resting) {
      if (reopens) reopen(this.#kept, sizes, now);
      const made = produce(this.#kept, count, this.spec.requests, sizes, now);
      for (let i = 0; i < made; i++) this.#host.count("requests");
      for (let i = 0; i < count && caller.made < this.spec.work; i++) act(caller, world);
    }
    this.#flush();
  }

  /** While a `start` is unanswered nothing is said on an older conduit: its counters must stay true. */
  #flush(confirm = false): void {
    const end = this.#attached;
    if (end === null || this.#dialling?.asked === true) return;
    const state = this.#kept.delivery;
    const messages = delivery.transmit(state);
    const dueAt = delivery.ackDueAt(state);
    const now = this.#process.clock.now();
    const control: ConduitMessage[] = [];
    if (confirm || dueAt !== null && (messages.length > 0 || dueAt <= now)) {
      control.push({ kind: "ack", received: delivery.tellReceived(state) });
    } else if (dueAt !== null) {
      this.#cancelAck ??= this.#after(dueAt - now, () => {
        this.#cancelAck = null;
        this.#flush();
      });
    }
    if (control.length + messages.length > 0) this.#send(end, control, messages);
  }

  #send(end: SimEnd, control: readonly ConduitMessage[], messages: readonly Uint8Array[] = []): void {
    end.send(this.#codecs[end.subprotocol].join([...control.map(encodeConduit), ...messages]));
  }

  #sayClose(): void {
    if (this.#attached === null || this.#dialling?.asked === true) return;
    this.#send(this.#attached, [{ kind: "close", reason: "done", detail: "" }]);
  }

  #ended(): void {
    this.over = "closed";
    this.closed = true;
    this.#leave();
  }

  #lost(reason: string, detail: string): void {
    const { session, closing } = this.#kept;
    if (closing && reason === "closed") return this.#ended();
    this.#host.ledger.lost(this.#ledgerSession);
    this.#leave();
    this.#host.lost({ client: this, session, reason, detail });
    if (this.shared || closing) {
      this.over = reason;
      return;
    }
    // Another session, from the beginning.
    this.#kept = this.#fresh();
    this.#rival = false;
    this.#begin();
  }
}
