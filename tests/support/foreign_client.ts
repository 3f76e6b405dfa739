/**
 * A client written by hand from `docs/protocol.md` alone: npm `ws`, the JSON subprotocol, and nothing of this project's
 * code. It proves that the document is enough, and judges what it receives by its own bookkeeping.
 *
 * It opens one connection to `echo` and counts: {@link ForeignClient.produce} sends the numbers 1, 2, 3, … and expects
 * each back exactly once, in order.
 */

import { randomBytes } from "node:crypto";
import { WebSocket } from "ws";
import { EchoedNumbers } from "./echoed_numbers.ts";
import { ForeignDelivery } from "./foreign_delivery.ts";
import {
  type Established,
  type ForeignCounts,
  type ForeignOptions,
  isNumbered,
  noCounts,
  type Wire,
} from "./foreign_types.ts";
import { ForeignNotes } from "./foreign_notes.ts";
import { Waiters } from "./waiters.ts";

/** How long an ack may wait (`delivery.ack`). */
const ACK_MS = 50;
/** How long a handshake may stay open at a server, and so take effect after its client gave it up. */
const GHOST_MS = 10_000;
/** The only connection, the client's first: odd, as `frame.ids` has it. */
const CONNECTION = 1;

/** See the top of this file. */
export class ForeignClient {
  readonly counts: ForeignCounts = noCounts();
  /** How conduits that had been established were closed, in order. */
  readonly closeCodes: number[] = [];
  /** The last `established`. */
  established: Established | null = null;
  /** What the server did that the protocol forbids, or that ended the session; null while all is well. */
  failure: string | null = null;

  readonly #options: ForeignOptions;
  readonly #challenge = randomBytes(24).toString("base64url");
  readonly #delivery = new ForeignDelivery();
  readonly #numbers = new EchoedNumbers();
  readonly #sockets = new Set<WebSocket>();
  readonly #established = new Set<WebSocket>();
  /** What replaced a conduit, and so bounds what may still come on it. */
  readonly #replacedBy = new WeakMap<WebSocket, Established>();
  #socket: WebSocket | null = null;
  #attached = false;
  /**
   * The socket whose `start` is unanswered. Until it is answered nothing numbered and no ack goes out on an older conduit:
   * the server would count it and find the counters of this `start` too low (`resume.diverged`).
   */
  #starting: WebSocket | null = null;
  /** When a `start` was last given up unanswered: it may still take effect, on another node, after a newer one. */
  #gaveUpAt = -Infinity;
  /** One handshake at a time: the token of a second one would be retired by the proof of the first one's. */
  #dialling: WebSocket | null = null;
  readonly #notes = new ForeignNotes();
  #stopped = false;
  #failures = 0;
  readonly #timers: { [name in "dial" | "ack" | "silence" | "answer"]?: ReturnType<typeof setTimeout> } = {};
  readonly #waiters = new Waiters();

  constructor(options: ForeignOptions) {
    this.#options = options;
    this.#delivery.keep("open", CONNECTION, { service: "echo" });
  }

  /** Dials, and from now on again whenever the conduit breaks. */
  start(): void {
    this.#stopped = false;
    this.#dial();
  }

  get session(): string | null {
    return this.established?.session ?? null;
  }

  get unacked(): number {
    return this.#delivery.unacked;
  }

  /** How many numbers were given to {@link produce}. */
  get produced(): number {
    return this.#numbers.produced;
  }

  /** The highest number that came back; all below it came before. */
  get echoed(): number {
    return this.#numbers.echoed;
  }

  /** Highest sequence number given to a session message. */
  get sent(): number {
    return this.#delivery.sent;
  }

  /** Sends the next numbers, as many of `count` as window and early limit allow; tells how many those were. */
  produce(count: number): number {
    // Before the first `established` the window is not known, and before `accept` 16 messages are allowed.
    const limits = this.established?.limits ?? { windowMessages: 1, windowBytes: 0 };
    let made = 0;
    while (made < count && this.#delivery.hasRoom(limits)) {
      const body = this.#numbers.next();
      if (body === null) break;
      this.#delivery.keep("message", CONNECTION, body);
      made++;
    }
    if (made > 0) this.#transmit();
    return made;
  }

  /** Resolves once `test` holds, which is looked at after each message and close. @throws if it does not within `ms`. */
  async until(what: string, test: () => boolean, ms: number): Promise<void> {
    const left = this.#waiters.within(ms);
    while (!test()) {
      if (this.failure !== null) throw new Error(`${what}: ${this.failure}`);
      if (!await left.changed()) throw new Error(`${what}: not within ${ms} ms; ${this.describe()}`);
    }
  }

  /** Where it stands, for the message of a failed test. */
  describe(): string {
    return JSON.stringify({
      session: this.session,
      attached: this.#attached,
      produced: this.produced,
      echoed: this.echoed,
      sent: this.#delivery.sent,
      unacked: this.#delivery.unacked,
      received: this.#delivery.received,
      closeCodes: this.closeCodes.slice(-8),
      counts: this.counts,
      failure: this.failure,
    });
  }

  /** Drops the conduit as a broken network does; it dials again by itself unless it is stopped. */
  break(): void {
    this.#socket?.terminate();
  }

  /** Dials a second conduit now and leaves the older one open, for the server to close it. */
  move(): void {
    this.#dial();
  }

  /** Drops the conduit and stays away. */
  async stop(): Promise<void> {
    this.#stopped = true;
    for (const timer of Object.values(this.#timers)) clearTimeout(timer);
    const open = [...this.#sockets];
    const closed = open.map((socket) => new Promise((resolve) => void socket.once("close", resolve)));
    for (const socket of open) socket.terminate();
    await Promise.all(closed);
  }

  #dial(): void {
    clearTimeout(this.#timers.dial);
    if (this.#dialling !== null) return;
    this.counts.dials++;
    const socket = new WebSocket(this.#options.url(), ["holdfast.v1.json"], {
      perMessageDeflate: false,
      handshakeTimeout: this.#options.answer ?? 2_000,
    });
    this.#dialling = socket;
    this.#notes.name(socket, this.counts.dials);
    this.#sockets.add(socket);
    const older = this.#socket;
    if (older === null) this.#socket = socket;
    clearTimeout(this.#timers.answer);
    this.#timers.answer = setTimeout(() => socket.terminate(), this.#options.answer ?? 2_000);
    socket.on("open", () => {
      this.#starting = socket;
      const { received, sent } = this.#delivery;
      this.#notes.add(socket, `start, received ${received}, sent ${sent}`);
      const { session, token } = this.established ?? {};
      const resume = session === undefined ? {} : { resume: { session, token, received, sent } };
      socket.send(JSON.stringify(["start", { version: 1, challenge: this.#challenge, ...resume }]));
    });
    // An error is always followed by the close that says what to do.
    socket.on("error", () => {});
    socket.on("message", (data: Uint8Array, isBinary: boolean) => {
      if (isBinary) this.#fail("a binary frame under the JSON subprotocol");
      else this.#onFrame(socket, new TextDecoder().decode(data));
      this.#waiters.wake();
    });
    socket.on("close", (code: number, reason: Uint8Array) => {
      this.#sockets.delete(socket);
      this.#onClose(socket, code, new TextDecoder().decode(reason));
      this.#waiters.wake();
    });
  }

  #onFrame(socket: WebSocket, text: string): void {
    for (const line of text.split("\n")) {
      const message = JSON.parse(line) as Wire;
      if (message[0] === "established") this.#onEstablished(socket, message[1] as Established);
      else if (message[0] === "refused") this.#onRefused(message[1] as { reason: string; detail: string });
      // What an older conduit still delivers changes nothing: its messages come again on the newer one.
      else if (socket === this.#socket) this.#onMessage(socket, message);
      else this.#onReplaced(this.#replacedBy.get(socket), message);
    }
    if (socket === this.#socket) this.#listen(socket);
  }

  #onEstablished(socket: WebSocket, established: Established): void {
    if (established.challenge !== this.#challenge) return this.#fail("established repeats another challenge");
    if (this.session !== null && established.session !== this.session) return this.#fail("another session");
    if (this.session !== null && !established.resumed) return this.#fail("a resume gave a new session");
    const diverged = this.#delivery.exchange(established);
    if (diverged !== null) return this.#fail(diverged);
    this.#notes.add(socket, `established, received ${established.received}, sent ${established.sent}`);
    clearTimeout(this.#timers.answer);
    clearTimeout(this.#timers.dial);
    this.counts.established++;
    if (established.resumed) this.counts.resumed++;
    this.established = established;
    this.#established.add(socket);
    if (this.#socket !== null) this.#replacedBy.set(this.#socket, established);
    this.#socket = socket;
    this.#attached = true;
    this.#failures = 0;
    this.#starting = this.#dialling = null;
    this.counts.replayed += this.#delivery.unacked;
    this.#sendAck();
    this.#transmit();
  }

  #onRefused({ reason, detail }: { reason: string; detail: string }): void {
    // The close code that follows tells what to do; only what must not happen to a well-behaved client is judged here.
    if (!["unavailable", "draining"].includes(reason)) this.#fail(`refused: ${reason}: ${detail}`);
  }

  #onMessage(socket: WebSocket, [name, ...fields]: Wire): void {
    switch (name) {
      case "ack":
        this.counts.acksReceived++;
        return this.#fail(this.#delivery.acked(fields[0] as number));
      case "ping":
        this.counts.pings++;
        return void socket.send(JSON.stringify(["pong", fields[0]]));
      case "goaway":
        // Dials first and keeps the old conduit until the new one is established (`end.goaway`).
        this.counts.goaways++;
        return this.#dialIn(Math.random() * Math.min((fields[0] as { after: number }).after, 200));
      case "close":
        return this.#fail(`the server ended the session: ${JSON.stringify(fields[0])}`);
      default:
        if (isNumbered([name])) this.#onSessionMessage(name, fields);
    }
  }

  /** A node may still tell what it had committed before it lost the session, and nothing else. */
  #onReplaced(by: Established | undefined, [name, count]: Wire): void {
    if (name !== "ack" && !isNumbered([name])) return;
    this.counts.fromReplaced++;
    const most = name === "ack" ? by?.received : by?.sent;
    if (most === undefined || count as number > most) {
      this.#fail(`${name} ${count} on a conduit that was replaced at ${most}`);
    }
  }

  #onSessionMessage(name: string, fields: readonly unknown[]): void {
    const [seq, connection, field] = fields as [number, number, unknown];
    const verdict = this.#delivery.take(seq);
    if (verdict === "duplicate") this.counts.duplicates++;
    if (verdict === "gap") this.#fail(`message ${seq} after ${this.#delivery.received}`);
    if (verdict !== "taken") return;
    if (connection !== CONNECTION) return this.#fail(`${name} for connection ${connection}`);
    this.#fail(this.#numbers.judge(name, field));
    if (this.failure !== null) return;
    if (this.#delivery.ackIsDue) this.#sendAck();
    else this.#timers.ack ??= setTimeout(() => this.#sendAck(), ACK_MS);
  }

  #onClose(socket: WebSocket, code: number, reason: string): void {
    this.#notes.add(socket, `closed with ${code}`);
    const wasEstablished = this.#established.delete(socket);
    if (wasEstablished) this.closeCodes.push(code);
    const unanswered = this.#starting === socket;
    if (unanswered) {
      this.#starting = null;
      this.#gaveUpAt = performance.now();
    }
    if (this.#dialling === socket) this.#dialling = null;
    if (socket !== this.#socket) {
      // A replaced conduit is none of this session's any more, however it closes.
      if (wasEstablished) return;
      if (unanswered && this.#attached) {
        this.#sendAck();
        this.#transmit();
      }
      if (this.#attached) return;
    } else {
      this.#socket = null;
      this.#attached = false;
      clearTimeout(this.#timers.silence);
      clearTimeout(this.#timers.ack);
      delete this.#timers.ack;
    }
    if (this.#stopped) return;
    // Superseded by this client's own `start`, whose answer is under way: that one goes on.
    if (code === 4510 && this.#starting !== null) return;
    const byOwnGhost = code === 4510 && performance.now() - this.#gaveUpAt < GHOST_MS;
    if (byOwnGhost) this.counts.ghosts++;
    else if (code === 1009 || code >= 4500 && code <= 4699) {
      return this.#fail(`closed with ${code}: ${reason}`);
    }
    const most = Math.min(this.#options.backoff ?? 400, 50 * 2 ** Math.min(6, this.#failures++));
    this.#dialIn(10 + Math.random() * most);
  }

  #dialIn(ms: number): void {
    clearTimeout(this.#timers.dial);
    this.#timers.dial = setTimeout(() => this.#dial(), ms);
  }

  /** Nothing at all for `interval + timeout`: the conduit is dead (`keepalive.silence`). */
  #listen(socket: WebSocket): void {
    const { interval, timeout } = this.established?.keepalive ?? { interval: 1_000, timeout: 1_000 };
    clearTimeout(this.#timers.silence);
    this.#timers.silence = setTimeout(() => socket.terminate(), interval + timeout);
  }

  #sendAck(): void {
    clearTimeout(this.#timers.ack);
    delete this.#timers.ack;
    if (!this.#attached || this.#starting !== null) return;
    this.counts.acksSent++;
    this.#socket?.send(this.#delivery.ack());
  }

  /** What the conduit was not given yet, in frames of at most 200 messages: far below the frame limit. */
  #transmit(): void {
    if (!this.#attached || this.#starting !== null) return;
    const texts = this.#delivery.transmit();
    for (let at = 0; at < texts.length; at += 200) this.#socket?.send(texts.slice(at, at + 200).join("\n"));
  }

  /** @param what Null: nothing is wrong. */
  #fail(what: string | null): void {
    if (what === null) return;
    this.failure ??= `${what}; ${this.#notes}`;
    this.#stopped = true;
    clearTimeout(this.#timers.dial);
  }
}
