/**
 * A client written by hand from `docs/protocol.md` alone: npm `ws`, the JSON subprotocol, and nothing of this project's
 * code. It proves that the document is enough, and judges what it receives by its own bookkeeping.
 *
 * It opens one connection to `echo` and counts: {@link ForeignClient.produce} sends the numbers 1, 2, 3, … and expects
 * each back exactly once, in order.
 */

import { randomBytes } from "node:crypto";
import { WebSocket } from "ws";
import { ForeignDelivery } from "./foreign_delivery.ts";

/** A message as JSON text has it: name first. */
type Wire = readonly [name: string, ...fields: unknown[]];

interface Established {
  readonly challenge: string;
  readonly session: string;
  readonly token: string;
  readonly resumed: boolean;
  readonly received: number;
  readonly sent: number;
  readonly keepalive: { readonly interval: number; readonly timeout: number };
  readonly limits: { readonly windowMessages: number; readonly windowBytes: number };
}

/** What a {@link ForeignClient} saw. */
export interface ForeignCounts {
  dials: number;
  established: number;
  resumed: number;
  replayed: number;
  /** Session messages dropped because they had been taken before (`delivery.dedupe`). */
  duplicates: number;
  acksSent: number;
  acksReceived: number;
  pings: number;
  /** Conduits that an abandoned `start` of this very client superseded. */
  ghosts: number;
  goaways: number;
}

/** How a client's conduits are made and for how long it is patient; milliseconds. */
export interface ForeignOptions {
  /** Where to dial next. */
  readonly url: () => string;
  readonly settings?: { readonly durability?: "durable" | "ephemeral" };
  /** How long an answer to `start` may take (default 2,000). */
  readonly answer?: number;
  /** The longest wait before a dial (default 400). */
  readonly backoff?: number;
}

/** How long an ack may wait (`delivery.ack`). */
const ACK_MS = 50;
/** How long a handshake may stay open at a server, and so take effect after its client gave it up. */
const GHOST_MS = 10_000;
/** The only connection, the client's first: odd, as `frame.ids` has it. */
const CONNECTION = 1;
/** Session messages for which this client has no use: it opens no channels and makes no calls. */
const CONDUIT_NAMES = ["established", "refused", "ack", "ping", "pong", "goaway", "close", "volatile"];

/** See the top of this file. */
export class ForeignClient {
  readonly counts: ForeignCounts = {
    dials: 0,
    established: 0,
    resumed: 0,
    replayed: 0,
    duplicates: 0,
    acksSent: 0,
    acksReceived: 0,
    pings: 0,
    ghosts: 0,
    goaways: 0,
  };
  /** How conduits that had been established were closed, in order. */
  readonly closeCodes: number[] = [];
  /** Why the server refused a handshake, in order. */
  readonly refusals: string[] = [];
  session: string | null = null;
  token: string | null = null;
  /** The last `established`. */
  established: Established | null = null;
  /** The last things that happened to conduits, for the message of a failed test. */
  readonly history: string[] = [];
  /** What the server did that the protocol forbids, or that ended the session; null while all is well. */
  failure: string | null = null;
  /** How many numbers were given to {@link produce}. */
  produced = 0;
  /** The highest number that came back; all below it came before. */
  echoed = 0;

  readonly #options: ForeignOptions;
  readonly #challenge = randomBytes(24).toString("base64url");
  readonly #delivery = new ForeignDelivery();
  #accepted = false;
  readonly #sockets = new Set<WebSocket>();
  readonly #established = new Set<WebSocket>();
  readonly #numbers = new WeakMap<WebSocket, number>();
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
  #stopped = false;
  #failures = 0;
  readonly #timers: { [name in "dial" | "ack" | "silence" | "answer"]?: ReturnType<typeof setTimeout> } = {};
  readonly #waiters = new Set<() => void>();

  constructor(options: ForeignOptions) {
    this.#options = options;
    this.#delivery.keep("open", CONNECTION, { service: "echo" });
  }

  /** Dials, and from now on again whenever the conduit breaks. */
  start(): void {
    this.#stopped = false;
    this.#dial();
  }

  get attached(): boolean {
    return this.#attached;
  }

  get unacked(): number {
    return this.#delivery.unacked;
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
      if (!this.#accepted && this.produced >= 16) break;
      const n = ++this.produced;
      this.#delivery.keep("message", CONNECTION, { n, pad: "x".repeat(n % 60) });
      made++;
    }
    if (made > 0) this.#transmit();
    return made;
  }

  /** Resolves once `test` holds, which is looked at after each message and close. @throws if it does not within `ms`. */
  async until(what: string, test: () => boolean, ms: number): Promise<void> {
    const given = performance.now() + ms;
    while (!test()) {
      if (this.failure !== null) throw new Error(`${what}: ${this.failure}`);
      const left = given - performance.now();
      if (left <= 0) throw new Error(`${what}: not within ${ms} ms; ${this.describe()}`);
      await new Promise<void>((resolve) => {
        const wake = () => {
          clearTimeout(timer);
          this.#waiters.delete(wake);
          resolve();
        };
        const timer = setTimeout(wake, left);
        this.#waiters.add(wake);
      });
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

  /** Ends the session with `close` and resolves with the code that the server answers with. */
  async close(): Promise<number> {
    this.#stopped = true;
    const socket = this.#socket;
    if (socket === null || !this.#attached) throw new Error("close needs a conduit");
    const code = new Promise<number>((resolve) => void socket.once("close", resolve));
    socket.send(JSON.stringify(["close", { reason: "done", detail: "" }]));
    const answer = await code;
    await this.stop();
    return answer;
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
    this.#numbers.set(socket, this.counts.dials);
    this.#sockets.add(socket);
    const older = this.#socket;
    if (older === null) this.#socket = socket;
    clearTimeout(this.#timers.answer);
    this.#timers.answer = setTimeout(() => socket.terminate(), this.#options.answer ?? 2_000);
    socket.on("open", () => {
      this.#starting = socket;
      this.#note(socket, `start, received ${this.#delivery.received}, sent ${this.#delivery.sent}`);
      const resume = this.session === null || this.token === null ? {} : {
        resume: {
          session: this.session,
          token: this.token,
          received: this.#delivery.received,
          sent: this.#delivery.sent,
        },
      };
      const settings = this.#options.settings === undefined ? {} : { settings: this.#options.settings };
      socket.send(
        JSON.stringify(["start", { version: 1, challenge: this.#challenge, ...resume, ...settings }]),
      );
    });
    // An error is always followed by the close that says what to do.
    socket.on("error", () => {});
    socket.on("message", (data: Uint8Array, isBinary: boolean) => {
      if (isBinary) this.#fail("a binary frame under the JSON subprotocol");
      else this.#onFrame(socket, new TextDecoder().decode(data));
      this.#wake();
    });
    socket.on("close", (code: number, reason: Uint8Array) => {
      this.#sockets.delete(socket);
      this.#onClose(socket, code, new TextDecoder().decode(reason));
      this.#wake();
    });
  }

  #onFrame(socket: WebSocket, text: string): void {
    for (const line of text.split("\n")) {
      const message = JSON.parse(line) as Wire;
      if (message[0] === "established") this.#onEstablished(socket, message[1] as Established);
      else if (message[0] === "refused") this.#onRefused(message[1] as { reason: string; detail: string });
      // What an older conduit still delivers changes nothing: its messages come again on the newer one.
      else if (socket === this.#socket) this.#onMessage(socket, message);
    }
    if (socket === this.#socket) this.#listen(socket);
  }

  #onEstablished(socket: WebSocket, established: Established): void {
    if (established.challenge !== this.#challenge) return this.#fail("established repeats another challenge");
    if (this.session !== null && established.session !== this.session) return this.#fail("another session");
    if (this.session !== null && !established.resumed) return this.#fail("a resume gave a new session");
    const diverged = this.#delivery.exchange(established);
    if (diverged !== null) return this.#fail(diverged);
    this.#note(socket, `established, received ${established.received}, sent ${established.sent}`);
    clearTimeout(this.#timers.answer);
    clearTimeout(this.#timers.dial);
    this.counts.established++;
    if (established.resumed) this.counts.resumed++;
    this.session = established.session;
    this.token = established.token;
    this.established = established;
    this.#established.add(socket);
    this.#socket = socket;
    this.#attached = true;
    this.#failures = 0;
    this.#starting = this.#dialling = null;
    this.counts.replayed += this.#delivery.unacked;
    this.#sendAck();
    this.#transmit();
  }

  #onRefused({ reason, detail }: { reason: string; detail: string }): void {
    this.refusals.push(reason);
    // The close code that follows tells what to do; only what must not happen to a well-behaved client is judged here.
    if (!["unavailable", "draining"].includes(reason)) this.#fail(`refused: ${reason}: ${detail}`);
  }

  #onMessage(socket: WebSocket, [name, ...fields]: Wire): void {
    switch (name) {
      case "ack":
        this.counts.acksReceived++;
        this.#judge(this.#delivery.acked(fields[0] as number));
        return;
      case "ping":
        this.counts.pings++;
        return void socket.send(JSON.stringify(["pong", fields[0]]));
      case "goaway":
        // Dials first and keeps the old conduit until the new one is established (`end.goaway`).
        this.counts.goaways++;
        clearTimeout(this.#timers.dial);
        this.#timers.dial = setTimeout(
          () => this.#dial(),
          Math.random() * Math.min((fields[0] as { after: number }).after, 200),
        );
        return;
      case "close":
        return this.#fail(`the server ended the session: ${JSON.stringify(fields[0])}`);
      default:
        if (!CONDUIT_NAMES.includes(name)) this.#onSessionMessage(name, fields);
    }
  }

  #onSessionMessage(name: string, fields: readonly unknown[]): void {
    const [seq, connection, field] = fields as [number, number, unknown];
    const verdict = this.#delivery.take(seq);
    if (verdict === "duplicate") this.counts.duplicates++;
    if (verdict === "gap") this.#fail(`message ${seq} after ${this.#delivery.received}`);
    if (verdict !== "taken") return;
    if (connection !== CONNECTION) return this.#fail(`${name} for connection ${connection}`);
    if (name === "accept") {
      if (this.#accepted) return this.#fail("a second accept");
      this.#accepted = true;
    } else if (name === "message") {
      const { n, pad } = field as { n: number; pad: string };
      if (n !== this.echoed + 1) return this.#fail(`echo ${n} after ${this.echoed}`);
      if (pad !== "x".repeat(n % 60)) return this.#fail(`echo ${n} is not what was sent`);
      this.echoed = n;
    } else {
      return this.#fail(`${name}: ${JSON.stringify(field)}`);
    }
    if (this.#delivery.ackIsDue) this.#sendAck();
    else this.#timers.ack ??= setTimeout(() => this.#sendAck(), ACK_MS);
  }

  #onClose(socket: WebSocket, code: number, reason: string): void {
    this.#note(socket, `closed with ${code}`);
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
    clearTimeout(this.#timers.dial);
    const most = Math.min(this.#options.backoff ?? 400, 50 * 2 ** Math.min(6, this.#failures++));
    this.#timers.dial = setTimeout(() => this.#dial(), 10 + Math.random() * most);
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

  #judge(problem: string | null): void {
    if (problem !== null) this.#fail(problem);
  }

  #note(socket: WebSocket, what: string): void {
    const at = (performance.timeOrigin + performance.now()).toFixed(1).slice(-8);
    this.history.push(`${at} ${new URL(socket.url).port}#${this.#numbers.get(socket)} ${what}`);
    if (this.history.length > 40) this.history.shift();
  }

  #fail(what: string): void {
    this.failure ??= `${what}; ${this.history.join("; ")}`;
    this.#stopped = true;
    clearTimeout(this.#timers.dial);
  }

  #wake(): void {
    for (const wake of [...this.#waiters]) wake();
  }
}
