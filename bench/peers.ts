/** The client's end of the load: one plain or Holdfast conversation each, checked for order and exactly-once. */

import { msgpackCodec } from "../src/protocol/msgpack_codec.ts";
import { encodeConduit, encodeSession } from "../src/protocol/encode.ts";
import type { FrameCodec } from "../src/protocol/codec.ts";
import { DEFAULT_LIMITS, PROTOCOL_VERSION } from "../src/protocol/limits.ts";
import {
  type Durability,
  isSessionMessage,
  type Message,
  type SessionMessage,
} from "../src/protocol/messages.ts";
import { secret, systemRandom } from "../src/system/random.ts";
import { TestBody } from "./body.ts";

/** Takes each round trip's time. */
export interface Meter {
  /** @param roundTrip Milliseconds. */
  record(roundTrip: number): void;
  /** Anything that makes the run worthless. */
  failed(error: Error): void;
}

/** What one peer does. */
export interface PeerOptions {
  /** `http://HOST:PORT` of the server. */
  readonly url: string;
  /** Which peer of its process it is. */
  readonly number: number;
  /** Bytes of each body. */
  readonly bytes: number;
  /** Most messages that are out at once. */
  readonly inFlight: number;
  readonly meter: Meter;
}

/** One connection of the load. Each echo is answered by another message while {@link Peer.refilling} is set. */
export abstract class Peer {
  refilling = false;
  /** Settles when messages may be sent. */
  abstract readonly ready: Promise<void>;
  protected readonly socket: WebSocket;
  protected readonly body: TestBody;
  readonly #options: PeerOptions;
  /** When message `n` was sent, at `n % inFlight`: echoes come in order. */
  readonly #sentAt: Float64Array;
  #sent = 0;
  #echoed = 0;
  #closing = false;
  readonly #closed = Promise.withResolvers<void>();

  constructor(options: PeerOptions, path: string, subprotocols: readonly string[]) {
    this.#options = options;
    this.#sentAt = new Float64Array(options.inFlight);
    this.body = new TestBody(options.bytes, options.number);
    this.socket = new WebSocket(`${options.url.replace(/^http/, "ws")}${path}`, [...subprotocols]);
    this.socket.binaryType = "arraybuffer";
    this.socket.onclose = ({ code, reason }) => {
      if (!this.#closing) this.fail(`the server closed with ${code} ${reason}`);
      this.#closed.resolve();
    };
    this.socket.onmessage = ({ data }) => this.received(new Uint8Array(data));
  }

  /** Messages sent and not yet echoed. */
  get outstanding(): number {
    return this.#sent - this.#echoed;
  }

  /** Sends as many messages as may be in flight, in one turn. */
  fill(): void {
    this.sendNext(this.#options.inFlight - this.outstanding, performance.now());
  }

  /** Leaves; a Holdfast session is ended. Settles when the transport is closed. */
  close(): Promise<void> {
    return this.break();
  }

  /** Closes the transport and says nothing of an end: a conduit break. */
  break(): Promise<void> {
    this.#closing = true;
    this.socket.close();
    return this.#closed.promise;
  }

  protected abstract received(frame: Uint8Array): void;

  /** Sends `count` further messages that are numbered by {@link Peer.numbered}. */
  protected abstract sendNext(count: number, now: number): void;

  protected numbered(now: number): Uint8Array<ArrayBuffer> {
    const index = this.#sent++;
    this.#sentAt[index % this.#sentAt.length] = now;
    return this.body.number(index);
  }

  protected echoed(body: Uint8Array, now: number): void {
    const index = this.#echoed++;
    if (index >= this.#sent) return this.fail(`an echo too many: ${this.#sent} messages were sent`);
    const wrong = this.body.mismatch(body, index);
    if (wrong !== null) return this.fail(wrong);
    this.#options.meter.record(now - this.#sentAt[index % this.#sentAt.length]!);
  }

  protected fail(what: string): void {
    this.#options.meter.failed(new Error(`peer ${this.#options.number}: ${what}`));
  }
}

/** Speaks to a server that echoes WebSocket messages: one message, one frame. */
export class PlainPeer extends Peer {
  readonly ready: Promise<void>;

  constructor(options: PeerOptions) {
    super(options, "/", []);
    this.ready = new Promise((resolve) => this.socket.onopen = () => resolve());
  }

  protected override received(frame: Uint8Array): void {
    const now = performance.now();
    this.echoed(frame, now);
    if (this.refilling) this.sendNext(1, now);
  }

  protected override sendNext(count: number, now: number): void {
    for (; count > 0; count--) this.socket.send(this.numbered(now));
  }
}

const CONNECTION = 1;

/** How a {@link HoldfastPeer} talks. */
export interface Manner {
  readonly durability: Durability;
  /** What one frame caused goes into one frame, as `frame.batch` wants it; else each message has a frame of its own. */
  readonly batched: boolean;
}

/** Speaks the protocol, MessagePack, to `echo`. Acks travel with messages. */
export class HoldfastPeer extends Peer {
  readonly ready: Promise<void>;
  readonly #codec: FrameCodec = msgpackCodec(DEFAULT_LIMITS);
  readonly #accepted = Promise.withResolvers<void>();
  readonly #batched: boolean;
  #sequence = 0;
  #received = 0;
  #told = 0;

  constructor(options: PeerOptions, { durability, batched }: Manner) {
    super(options, "/v1/connect", ["holdfast.v1.msgpack"]);
    this.#batched = batched;
    this.ready = this.#accepted.promise;
    this.socket.onopen = () => {
      const challenge = secret(systemRandom);
      this.#send([
        encodeConduit({ kind: "start", version: PROTOCOL_VERSION, challenge, settings: { durability } }),
      ]);
    };
  }

  /** Acks what was not acked yet. */
  ack(): void {
    if (this.#told < this.#received) this.#send([this.#ack()]);
  }

  override close(): Promise<void> {
    this.#send([this.#ack(), encodeConduit({ kind: "close", reason: "done", detail: "the run is over" })]);
    return super.close();
  }

  protected override received(frame: Uint8Array): void {
    const now = performance.now();
    const decoded = this.#codec.decode(frame);
    if (!decoded.ok) return this.fail(`a frame that breaks ${decoded.violation.rule}`);
    let echoes = 0;
    for (const message of decoded.messages) {
      if (!isSessionMessage(message)) this.#conduitMessage(message);
      else if (this.#next(message) && message.kind === "message") {
        echoes++;
        this.echoed(message.body, now);
      }
    }
    if (this.refilling && echoes > 0) this.sendNext(echoes, now);
  }

  protected override sendNext(count: number, now: number): void {
    let encoded = this.#told < this.#received ? [this.#ack()] : [];
    for (; count > 0; count--) {
      const body = this.numbered(now);
      encoded.push(encodeSession(++this.#sequence, { kind: "message", connection: CONNECTION, body }));
      if (this.#batched) continue;
      this.#send(encoded);
      encoded = [];
    }
    if (encoded.length > 0) this.#send(encoded);
  }

  #conduitMessage(message: Exclude<Message, SessionMessage>): void {
    switch (message.kind) {
      case "established":
        // The confirming ack and what follows it leave in one frame.
        return this.#send([
          this.#ack(),
          encodeSession(++this.#sequence, { kind: "open", connection: CONNECTION, service: "echo" }),
        ]);
      case "ack":
        if (message.received > this.#sequence) this.fail(`ack ${message.received} of ${this.#sequence} sent`);
        return;
      case "ping":
        return this.#send([encodeConduit({ kind: "pong", nonce: message.nonce })]);
      default:
        this.fail(`the server says ${JSON.stringify(message)}`);
    }
  }

  /** Takes the next session message; anything but `accept` and echoes is a failure. */
  #next(message: SessionMessage): boolean {
    if (
      message.seq !== this.#received + 1 || !("connection" in message) || message.connection !== CONNECTION
    ) {
      this.fail(`expected message ${this.#received + 1} of connection ${CONNECTION}, got ${message.seq}`);
      return false;
    }
    this.#received = message.seq;
    if (message.kind === "accept") this.#accepted.resolve();
    else if (message.kind !== "message") this.fail(`the server says ${message.kind}`);
    return true;
  }

  #ack(): Uint8Array {
    this.#told = this.#received;
    return encodeConduit({ kind: "ack", received: this.#received });
  }

  #send(encoded: readonly Uint8Array[]): void {
    this.socket.send(this.#codec.join(encoded) as Uint8Array<ArrayBuffer>);
  }
}

/** What is measured: servers without sessions, the floor first, and sessions of either class in either manner. */
export const SYSTEMS = [
  "bare",
  "naive",
  "ephemeral",
  "durable",
  "ephemeral-unbatched",
  "durable-unbatched",
] as const;

/** One of {@link SYSTEMS}. */
export type System = typeof SYSTEMS[number];

const MANNERS: Readonly<Record<Exclude<System, "bare" | "naive">, Manner>> = {
  "ephemeral": { durability: "ephemeral", batched: true },
  "durable": { durability: "durable", batched: true },
  "ephemeral-unbatched": { durability: "ephemeral", batched: false },
  "durable-unbatched": { durability: "durable", batched: false },
};

/** Opens a peer for a system. */
function openPeer(system: System, options: PeerOptions): PlainPeer | HoldfastPeer {
  return system === "bare" || system === "naive"
    ? new PlainPeer(options)
    : new HoldfastPeer(options, MANNERS[system]);
}

/** Opens `count` peers, a few at a time so that no listen queue overflows, and waits until all may send. */
export async function openPeers(
  system: System,
  count: number,
  options: Omit<PeerOptions, "number">,
): Promise<(PlainPeer | HoldfastPeer)[]> {
  const peers: (PlainPeer | HoldfastPeer)[] = [];
  for (let from = 0; from < count; from += 64) {
    const some = Array.from({ length: Math.min(64, count - from) }, (_, i) => {
      return openPeer(system, { ...options, number: from + i });
    });
    await Promise.all(some.map((peer) => peer.ready));
    peers.push(...some);
  }
  return peers;
}
