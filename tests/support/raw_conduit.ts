/** One WebSocket in a test's hands: sends anything, keeps everything that comes, and judges nothing. */

import { randomBytes } from "node:crypto";
import { WebSocket } from "ws";
import { Waiters } from "./waiters.ts";

/** How a conduit was closed. */
export interface Closed {
  readonly code: number;
  readonly reason: string;
}

/** A message as the JSON subprotocol writes it: name first. */
export type JsonMessage = readonly [name: string, ...fields: unknown[]];

/** What {@link RawConduit.establish} was answered. */
export interface RawEstablished {
  readonly challenge: string;
  readonly session: string;
  readonly token: string;
  readonly resumed: boolean;
  readonly received: number;
  readonly sent: number;
  readonly [field: string]: unknown;
}

/** How long an answer may take before the test fails. Milliseconds. */
const PATIENCE_MS = 10_000;

/** A fresh challenge as `handshake.challenge` wants it. */
export function newChallenge(): string {
  return randomBytes(24).toString("base64url");
}

/** See the top of this file. */
export class RawConduit {
  /** Resolves when the socket is closed, however that came. */
  readonly closed: Promise<Closed>;
  /** JSON messages that came and were not asked for yet. */
  readonly messages: JsonMessage[] = [];
  /** Binary frames that came and were not asked for yet. */
  readonly frames: Uint8Array[] = [];
  readonly #socket: WebSocket;
  readonly #waiters = new Waiters();
  #closed: Closed | null = null;

  /**
   * Dials and waits until the socket is open.
   *
   * @param url `http://…` of the server, or of a proxy before it.
   * @param upgrade What the request says beside what it must.
   * @throws Error if it does not open, with the HTTP status if there was one.
   */
  static async open(
    url: string,
    subprotocol: "holdfast.v1.json" | "holdfast.v1.msgpack",
    upgrade: { readonly query?: string; readonly headers?: Record<string, string> } = {},
  ): Promise<RawConduit> {
    const { query = "", headers = {} } = upgrade;
    const socket = new WebSocket(`${url.replace(/^http/, "ws")}/v1/connect${query}`, [subprotocol], {
      headers,
      perMessageDeflate: false,
      handshakeTimeout: PATIENCE_MS,
      maxPayload: 64 * 1024 * 1024,
    });
    const conduit = new RawConduit(socket);
    await new Promise<void>((resolve, reject) => {
      socket.once("open", () => resolve());
      socket.once("error", reject);
    });
    return conduit;
  }

  private constructor(socket: WebSocket) {
    this.#socket = socket;
    // An error is always followed by the close.
    socket.on("error", () => {});
    socket.on("message", (data: Uint8Array, isBinary: boolean) => {
      if (isBinary) this.frames.push(new Uint8Array(data));
      else {
        for (const line of new TextDecoder().decode(data).split("\n")) this.messages.push(JSON.parse(line));
      }
      this.#waiters.wake();
    });
    this.closed = new Promise((resolve) => {
      socket.on("close", (code: number, reason: Uint8Array) => {
        this.#closed = { code, reason: new TextDecoder().decode(reason) };
        resolve(this.#closed);
        this.#waiters.wake();
      });
    });
  }

  get isClosed(): boolean {
    return this.#closed !== null;
  }

  /** Sends one frame as it is: text as text, bytes as binary. */
  send(frame: string | Uint8Array): void {
    this.#socket.send(frame);
  }

  /** Sends messages as one JSON frame. */
  say(...messages: readonly JsonMessage[]): void {
    this.send(messages.map((message) => JSON.stringify(message)).join("\n"));
  }

  /** Says `start` and waits for `established`, which it confirms. @throws if it is refused. */
  async establish(start: { readonly [field: string]: unknown } = {}): Promise<RawEstablished> {
    this.say(["start", { version: 1, challenge: newChallenge(), ...start }]);
    const [name, fields] = await this.next("established", "refused");
    if (name === "refused") throw new Error(`refused: ${JSON.stringify(fields)}`);
    const established = fields as RawEstablished;
    this.say(["ack", (start["resume"] as { received?: number } | undefined)?.received ?? 0]);
    return established;
  }

  /** Takes the next message of one of these names, dropping what comes before it. @throws if the socket closes first. */
  async next(...names: readonly string[]): Promise<JsonMessage> {
    for (;;) {
      const at = this.messages.findIndex(([name]) => names.includes(name));
      if (at >= 0) {
        const message = this.messages[at]!;
        this.messages.splice(0, at + 1);
        return message;
      }
      this.messages.length = 0;
      await this.#changed(names.join(" or "));
    }
  }

  /** Takes the next binary frame. @throws if the socket closes first. */
  async nextFrame(): Promise<Uint8Array> {
    for (;;) {
      const frame = this.frames.shift();
      if (frame !== undefined) return frame;
      await this.#changed("a binary frame");
    }
  }

  /** Drops the socket as a broken network does, and waits until it is gone. */
  async break(): Promise<void> {
    this.#socket.terminate();
    await this.closed;
  }

  /** Stops reading, so that what the server sends piles up. */
  pause(): void {
    this.#socket.pause();
  }

  /** Reads again. */
  resume(): void {
    this.#socket.resume();
  }

  async #changed(what: string): Promise<void> {
    if (this.#closed !== null) {
      throw new Error(`${what} was expected, but the conduit closed: ${JSON.stringify(this.#closed)}`);
    }
    if (!await this.#waiters.within(PATIENCE_MS).changed()) {
      throw new Error(`${what} did not come within ${PATIENCE_MS} ms`);
    }
  }
}
