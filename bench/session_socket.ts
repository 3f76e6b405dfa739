/** One session by the protocol alone, MessagePack, over a WebSocket: what all sessions of the bench share. */

import { WebSocket as LibrarySocket } from "ws";
import type { FrameCodec } from "../src/protocol/codec.ts";
import { encodeConduit, encodeSession } from "../src/protocol/encode.ts";
import {
  ACK_AFTER_BYTES,
  ACK_AFTER_MESSAGES,
  DEFAULT_LIMITS,
  PROTOCOL_VERSION,
} from "../src/protocol/limits.ts";
import {
  type Durability,
  type Established,
  isSessionMessage,
  type Message,
  type SessionMessage,
  type SessionPayload,
} from "../src/protocol/messages.ts";
import { msgpackCodec } from "../src/protocol/msgpack_codec.ts";
import { secret, systemRandom } from "../src/system/random.ts";

const SUBPROTOCOL = "holdfast.v1.msgpack";

/** Whom a session tells what comes. */
export interface SessionHandler {
  /** The session is there, or there again: what is put now leaves in the frame of the confirming ack. */
  established(): void;
  /** The next message, in order and once. */
  took(message: SessionMessage, now: number): void;
  /** That was all of one frame: what is put now leaves in one frame, with an ack. */
  frameTaken(now: number): void;
  /** Anything that makes the run worthless. */
  failed(what: string): void;
}

/** Where a session is, and which. */
export interface SessionPlace {
  /** `http://HOST:PORT` of the server. */
  readonly url: string;
  readonly durability: Durability;
  /**
   * Dials with npm `ws` in place of the platform's client, which switches TCP_NODELAY off: where a client says two things and
   * the server has nothing to say in between, an ack and a moment later a grant, the second one waits there for 40 ms.
   */
  readonly noDelay?: boolean;
}

/**
 * A session. Acks travel with messages, or alone where `delivery.ack` wants them.
 *
 * It keeps nothing that it could send again: it can be resumed where everything was acked before its conduit broke.
 */
export class SessionSocket {
  readonly #place: SessionPlace;
  readonly #handler: SessionHandler;
  readonly #codec: FrameCodec = msgpackCodec(DEFAULT_LIMITS);
  #socket: WebSocket | null = null;
  #session: { readonly id: string; readonly token: string } | null = null;
  #pending: Uint8Array[] = [];
  #sent = 0;
  #acked = 0;
  #received = 0;
  /** What the server was told of that; −1: not even that it established the session was confirmed. */
  #told = 0;
  #untoldBytes = 0;
  #gone: PromiseWithResolvers<void> | null = null;

  constructor(place: SessionPlace, handler: SessionHandler) {
    this.#place = place;
    this.#handler = handler;
  }

  /** Messages that the server has not acked. */
  get unacked(): number {
    return this.#sent - this.#acked;
  }

  /** Dials: begins the session, or resumes it where it was begun. */
  dial(): void {
    const url = `${this.#place.url.replace(/^http/, "ws")}/v1/connect`;
    const socket: WebSocket = this.#place.noDelay === true
      ? new LibrarySocket(url, [SUBPROTOCOL], { perMessageDeflate: false })
      : new WebSocket(url, [SUBPROTOCOL]);
    socket.binaryType = "arraybuffer";
    socket.onopen = () => this.#start();
    socket.onmessage = ({ data }) => this.#frame(new Uint8Array(data));
    socket.onclose = ({ code, reason }) => {
      if (this.#gone === null) this.#handler.failed(`the server closed with ${code} ${reason}`);
      else this.#gone.resolve();
    };
    this.#gone = null;
    this.#socket = socket;
  }

  /** Numbers a message; its body is read at once. It leaves with {@link flush}. */
  put(payload: SessionPayload): void {
    if (this.#pending.length === 0 && this.#told < this.#received) this.#putAck();
    this.#pending.push(encodeSession(++this.#sent, payload));
  }

  /** Sends what was put, in one frame. */
  flush(): void {
    if (this.#pending.length === 0) return;
    this.#socket!.send(this.#codec.join(this.#pending) as Uint8Array<ArrayBuffer>);
    this.#pending = [];
  }

  /** Acks what was not acked yet. */
  ack(): void {
    if (this.#told === this.#received) return;
    this.#putAck();
    this.flush();
  }

  /** Ends the session. Settles when the transport is closed. */
  end(): Promise<void> {
    this.#putAck();
    this.#pending.push(encodeConduit({ kind: "close", reason: "done", detail: "the run is over" }));
    this.flush();
    return this.break();
  }

  /** Closes the transport and says nothing of an end: a conduit break. */
  break(): Promise<void> {
    this.#gone = Promise.withResolvers<void>();
    if (this.#socket!.readyState === WebSocket.CLOSED) this.#gone.resolve();
    else this.#socket!.close();
    return this.#gone.promise;
  }

  /** The server is about to be killed: that the transport breaks is no failure. Settles when it has. */
  broken(): Promise<void> {
    this.#gone = Promise.withResolvers<void>();
    return this.#gone.promise;
  }

  #putAck(): void {
    this.#told = this.#received;
    this.#untoldBytes = 0;
    this.#pending.push(encodeConduit({ kind: "ack", received: this.#received }));
  }

  #start(): void {
    const session = this.#session;
    const { durability } = this.#place;
    this.#socket!.send(
      encodeConduit({
        kind: "start",
        version: PROTOCOL_VERSION,
        challenge: secret(systemRandom),
        ...(session === null ? { settings: { durability } } : {
          resume: { session: session.id, token: session.token, received: this.#received, sent: this.#sent },
        }),
      }) as Uint8Array<ArrayBuffer>,
    );
  }

  #frame(frame: Uint8Array): void {
    const now = performance.now();
    const decoded = this.#codec.decode(frame);
    if (!decoded.ok) return this.#handler.failed(`a frame that breaks ${decoded.violation.rule}`);
    for (const message of decoded.messages) {
      if (isSessionMessage(message)) this.#take(message, now);
      else this.#conduitMessage(message);
    }
    this.#handler.frameTaken(now);
    const due = this.#received - this.#told >= ACK_AFTER_MESSAGES || this.#untoldBytes >= ACK_AFTER_BYTES;
    if (due) this.ack();
  }

  #take(message: SessionMessage, now: number): void {
    if (message.seq !== this.#received + 1) {
      return this.#handler.failed(`expected message ${this.#received + 1}, got ${message.seq}`);
    }
    this.#received = message.seq;
    this.#untoldBytes += message.cost;
    this.#handler.took(message, now);
  }

  #conduitMessage(message: Exclude<Message, SessionMessage>): void {
    switch (message.kind) {
      case "established":
        return this.#established(message);
      case "ack":
        if (message.received > this.#sent) {
          this.#handler.failed(`ack ${message.received} of ${this.#sent} sent`);
        }
        this.#acked = message.received;
        return;
      case "ping":
        return this.#socket!.send(
          encodeConduit({ kind: "pong", nonce: message.nonce }) as Uint8Array<ArrayBuffer>,
        );
      default:
        this.#handler.failed(`the server says ${JSON.stringify(message)}`);
    }
  }

  #established({ session, token, resumed, received }: Established): void {
    if (resumed !== (this.#session !== null) || received !== this.#sent) {
      this.#handler.failed(`resumed is ${resumed}, with ${received} of ${this.#sent} messages`);
    }
    this.#session = { id: session, token };
    this.#acked = received;
    this.#told = -1;
    this.#handler.established();
    if (this.#told < 0) this.ack();
    else this.flush();
  }
}
