/** Holdfast over a raw socket: the protocol's client side with retained messages and resume, MessagePack, to `echo`. */

import { msgpackCodec } from "../../src/protocol/msgpack_codec.ts";
import { encodeConduit, encodeSession } from "../../src/protocol/encode.ts";
import { DEFAULT_LIMITS, PROTOCOL_VERSION } from "../../src/protocol/limits.ts";
import type {
  Durability,
  Established,
  Message,
  Refused,
  SessionMessage,
} from "../../src/protocol/messages.ts";
import { isSessionMessage } from "../../src/protocol/messages.ts";
import { secret, systemRandom } from "../../src/system/random.ts";
import { Conversation, type Hearer, MISSED_AFTER_MS, type Place } from "./conversation.ts";
import { TEXT_BYTES } from "./text.ts";

const CONNECTION = 1;
/** Messages taken before they are acked on their own (`delivery.ack`). */
const ACK_AFTER = 64;
/** MessagePack's `str 8` marker. */
const STR_8 = 0xd9;
const HEADER_BYTES = 2;

const codec = msgpackCodec(DEFAULT_LIMITS);
const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** One handshake under way. */
interface Handshake {
  readonly resolve: (resumed: boolean) => void;
  readonly reject: (error: Error) => void;
}

/** A session in one durability class. */
export class HoldfastConversation extends Conversation {
  #socket: WebSocket | undefined;
  #session: { readonly id: string; token: string } | undefined;
  #handshake: Handshake | undefined;
  #sequence = 0;
  #received = 0;
  #told = 0;
  /** Encoded messages from number `#sequence - length + 1` on, not acked. */
  #retained: Uint8Array[] = [];

  constructor(place: Place, hearer: Hearer, private readonly durability: Durability) {
    super(place, hearer);
  }

  override async open(): Promise<void> {
    await this.#dial();
  }

  override cut(): void {
    const socket = this.#socket;
    this.#socket = undefined;
    socket?.close();
  }

  override resume(): Promise<boolean> {
    return this.#dial();
  }

  override close(): Promise<void> {
    this.#transmit([
      this.#ack(),
      encodeConduit({ kind: "close", reason: "done", detail: "the run is over" }),
    ]);
    this.cut();
    return Promise.resolve();
  }

  protected override deliver(texts: readonly string[]): void {
    const encoded = this.#told < this.#received ? [this.#ack()] : [];
    for (const text of texts) encoded.push(this.#retain({ kind: "message", text }));
    this.#transmit(encoded);
  }

  /** The echoes leave for a conduit that is going away; the server has no ack of them. */
  protected override async missed(texts: readonly string[]): Promise<void> {
    this.deliver(texts);
    this.cut();
    await new Promise((resolve) => setTimeout(resolve, MISSED_AFTER_MS));
  }

  #dial(): Promise<boolean> {
    return new Promise((resolve, reject) => {
      const url = `${this.place.url.replace(/^http/, "ws")}/v1/connect`;
      const socket = new WebSocket(url, ["holdfast.v1.msgpack"]);
      socket.binaryType = "arraybuffer";
      this.#socket = socket;
      this.#handshake = { resolve, reject };
      socket.onopen = () => {
        this.opened = performance.now();
        this.#start();
      };
      socket.onmessage = ({ data }) => {
        if (this.#socket === socket) this.#frame(new Uint8Array(data));
      };
      socket.onclose = ({ code, reason }) => {
        if (this.#socket !== socket) return;
        this.#socket = undefined;
        const handshake = this.#handshake;
        this.#handshake = undefined;
        if (handshake === undefined) this.broke();
        else handshake.reject(new Error(`closed with ${code} ${reason}`));
      };
    });
  }

  #start(): void {
    const session = this.#session;
    this.#transmit([encodeConduit({
      kind: "start",
      version: PROTOCOL_VERSION,
      challenge: secret(systemRandom),
      ...(session === undefined ? { settings: { durability: this.durability } } : {
        resume: {
          session: session.id,
          token: session.token,
          received: this.#received,
          sent: this.#sequence,
        },
      }),
    })]);
  }

  #frame(frame: Uint8Array): void {
    const decoded = codec.decode(frame);
    if (!decoded.ok) return this.fail(`a frame that breaks ${decoded.violation.rule}`);
    for (const message of decoded.messages) {
      if (isSessionMessage(message)) this.#take(message);
      else this.#conduitMessage(message);
    }
    if (this.#received - this.#told >= ACK_AFTER) this.#transmit([this.#ack()]);
  }

  #conduitMessage(message: Exclude<Message, SessionMessage>): void {
    switch (message.kind) {
      case "established":
        return this.#established(message);
      case "refused":
        return this.#refused(message);
      case "ack":
        return this.#acked(message.received);
      case "ping":
        return this.#transmit([encodeConduit({ kind: "pong", nonce: message.nonce })]);
      default:
        this.fail(`the server says ${JSON.stringify(message)}`);
    }
  }

  #established({ session, token, resumed, received }: Established): void {
    this.established = performance.now();
    this.#session = { id: session, token };
    if (resumed) this.#acked(received);
    else {
      this.#received = this.#sequence = 0;
      this.#retained = [];
      this.#retain({ kind: "open" });
    }
    // The confirming ack and what is sent again leave in one frame.
    this.#transmit([this.#ack(), ...this.#retained]);
    const handshake = this.#handshake;
    this.#handshake = undefined;
    handshake?.resolve(resumed);
  }

  /** A session that the server does not have any more is begun anew; the other refusals are for another attempt. */
  #refused({ reason, detail }: Refused): void {
    const handshake = this.#handshake;
    this.#handshake = undefined;
    this.cut();
    if (reason !== "unknown-session") return handshake?.reject(new Error(`${reason}: ${detail}`));
    this.#session = undefined;
    this.#dial().then(() => handshake?.resolve(false), handshake?.reject);
  }

  #take(message: SessionMessage): void {
    if (message.seq !== this.#received + 1) {
      return this.fail(`expected message ${this.#received + 1}, got ${message.seq}`);
    }
    this.#received = message.seq;
    if (message.kind === "message") this.took(decoder.decode(message.body.subarray(HEADER_BYTES)));
    else if (message.kind !== "accept") this.fail(`the server says ${message.kind}`);
  }

  #acked(received: number): void {
    const first = this.#sequence - this.#retained.length + 1;
    if (received >= first) this.#retained.splice(0, received - first + 1);
  }

  #retain(what: { kind: "open" } | { kind: "message"; text: string }): Uint8Array {
    const encoded = encodeSession(
      ++this.#sequence,
      what.kind === "open"
        ? { kind: "open", connection: CONNECTION, service: "echo" }
        : { kind: "message", connection: CONNECTION, body: bodyOf(what.text) },
    );
    this.#retained.push(encoded);
    return encoded;
  }

  #ack(): Uint8Array {
    this.#told = this.#received;
    return encodeConduit({ kind: "ack", received: this.#received });
  }

  #transmit(encoded: readonly Uint8Array[]): void {
    if (this.#socket?.readyState !== WebSocket.OPEN) return;
    this.#socket.send(codec.join(encoded) as Uint8Array<ArrayBuffer>);
  }
}

function bodyOf(text: string): Uint8Array {
  const body = new Uint8Array(HEADER_BYTES + TEXT_BYTES);
  body[0] = STR_8;
  body[1] = TEXT_BYTES;
  encoder.encodeInto(text, body.subarray(HEADER_BYTES));
  return body;
}
