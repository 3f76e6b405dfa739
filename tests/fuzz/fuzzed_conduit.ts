/** A conduit that follows what the server must have made of what was sent, so that the next frames are near misses. */

import { WebSocket } from "ws";
import type { Frame, FrameCodec, Subprotocol } from "../../src/protocol/codec.ts";
import { codecFor } from "../../src/protocol/codecs.ts";
import { DEFAULT_LIMITS } from "../../src/protocol/limits.ts";
import { isSessionMessage, type Message, type SessionMessage } from "../../src/protocol/messages.ts";
import { ConnectionCalls, type FuzzedAnswer } from "./connection_calls.ts";
import { encodeLoose } from "./loose_message.ts";

/**
 * How long an answer may take on a loaded machine, milliseconds. It is beyond the 30 s after which npm ws gives a socket up
 * that says it closes and stays open; what was waited for at most is counted.
 */
const PATIENCE_MS = 60_000;

/** See the top of this file. */
export class FuzzedConduit {
  /** That of the pings which follow each frame; mutated frames hold smaller ones. */
  static readonly NONCE = 2 ** 40;
  readonly subprotocol: Subprotocol;
  readonly connectionsEnded = new Set<number>();
  /** Of each connection that the server has heard of, on this conduit or those before it. */
  calls: Map<number, ConnectionCalls> = new Map();
  /** What calls came to on this conduit. */
  readonly answers: FuzzedAnswer[] = [];
  /** Items of downloads that came on this conduit. */
  items = 0;
  /** The longest wait for an answer or a close, milliseconds. */
  longest = 0;
  established: (Message & { readonly kind: "established" }) | null = null;
  pongs = 0;
  /** The close code; null while it is open. */
  code: number | null = null;
  /** The highest number that the server has taken, if it thinks as the codec does. */
  taken = 0;
  /** The highest number that came from the server. */
  received = 0;
  /** The highest connection that was opened. */
  highest = -1;
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

  /** Where a resume begins, before anything is heard. */
  resume(received: number, highest: number, calls: Map<number, ConnectionCalls>): void {
    this.received = received;
    this.highest = highest;
    this.calls = calls;
  }

  /** The calls of a connection, whether it was ever opened or not. */
  callsOf(connection: number): ConnectionCalls {
    return this.calls.get(connection) ?? new ConnectionCalls("");
  }

  send(frame: Frame): void {
    this.#socket.send(frame);
  }

  sendTracked(frame: Frame): void {
    const decoded = this.#codec.decode(frame);
    for (const message of decoded.ok ? decoded.messages : []) {
      if (!isSessionMessage(message) || message.seq !== this.taken + 1) continue;
      this.taken++;
      this.#said(message);
    }
    this.send(frame);
  }

  /** Resolves with the first thing heard, the close included. @throws Error if nothing is. */
  async answered(): Promise<void> {
    await this.#until(() => this.established !== null || this.code !== null);
  }

  /**
   * Resolves when a connection was accepted or is over, or the conduit closed. Acks meanwhile: the answer may wait for room
   * in the window. @throws Error if nothing comes.
   */
  async opened(connection: number): Promise<void> {
    const answered = () => {
      return this.calls.get(connection)?.accepted === true || this.connectionsEnded.has(connection) ||
        this.code !== null;
    };
    while (!answered()) {
      const { received } = this;
      this.send(encodeLoose([["ack", received]], this.subprotocol));
      await this.#until(() => answered() || this.received > received);
    }
  }

  /** Resolves when so many pongs came, or the conduit closed. @throws Error if neither happens. */
  async ponged(count: number): Promise<void> {
    await this.#until(() => this.pongs >= count || this.code !== null);
  }

  terminate(): void {
    this.#socket.terminate();
  }

  #said(message: SessionMessage): void {
    const { connection } = message;
    if (message.kind === "end") this.connectionsEnded.add(connection);
    else if (message.kind === "open" && connection > this.highest) {
      this.highest = connection;
      this.calls.set(connection, new ConnectionCalls(message.service));
    } else this.calls.get(connection)?.said(message);
  }

  #hear(frame: Frame): void {
    this.#heard = true;
    const decoded = this.#codec.decode(frame);
    if (!decoded.ok) {
      throw new Error(`the server sent what its own codec refuses: ${decoded.violation.detail}`);
    }
    for (const message of decoded.messages) {
      if (message.kind === "established") {
        this.established = message;
        this.taken = message.received;
      } else if (message.kind === "pong" && message.nonce === FuzzedConduit.NONCE) this.pongs++;
      else if (isSessionMessage(message) && message.seq > this.received) {
        this.received = message.seq;
        this.#heardOf(message);
      }
    }
  }

  #heardOf(message: SessionMessage): void {
    if (message.kind === "end" || message.kind === "reject") this.connectionsEnded.add(message.connection);
    if (message.kind === "item") this.items++;
    const answer = this.calls.get(message.connection)?.heard(message) ?? null;
    if (answer !== null) this.answers.push(answer);
  }

  async #until(test: () => boolean): Promise<void> {
    if (test()) return;
    const begun = performance.now();
    let timer: ReturnType<typeof setTimeout> | undefined;
    const late = new Promise<true>((resolve) => void (timer = setTimeout(() => resolve(true), PATIENCE_MS)));
    try {
      while (!test()) {
        const woken = new Promise<false>((resolve) => void (this.#wake = () => resolve(false)));
        if (await Promise.race([woken, late])) {
          const state = this.#socket.readyState === WebSocket.CLOSING ? "closing" : "open";
          throw new Error(
            `nothing came within ${PATIENCE_MS} ms${this.#heard ? " more" : ""}; it is ${state}`,
          );
        }
      }
    } finally {
      clearTimeout(timer);
      this.longest = Math.max(this.longest, performance.now() - begun);
    }
  }
}
