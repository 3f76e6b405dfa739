/**
 * The client's end of a conduit in process, by the codecs alone, and a client on top of it that keeps exactly the state
 * the protocol asks for. Both judge nothing; what is out of order is written down in `faults`.
 */

import type { ConduitHandler, ConduitPeer } from "../../src/conduit/conduit.ts";
import type { MemoryConduit, MemoryPipe } from "../../src/conduit/memory_conduit.ts";
import { type BodyValue, decodeBody, encodeBody } from "../../src/protocol/body.ts";
import type { Frame, FrameCodec, Subprotocol } from "../../src/protocol/codec.ts";
import { codecFor } from "../../src/protocol/codecs.ts";
import { encodeConduit, encodeSession } from "../../src/protocol/encode.ts";
import { DEFAULT_LIMITS } from "../../src/protocol/limits.ts";
import type {
  ConduitMessage,
  Message,
  RequestedSettings,
  SessionPayload,
  Start,
} from "../../src/protocol/messages.ts";
import { settle } from "./fake_clock.ts";
import type { Closing } from "./recording_handler.ts";
import type { TestNode } from "./test_node.ts";

/** A session message with its number. */
export interface Numbered {
  readonly seq: number;
  readonly payload: SessionPayload;
}

const WIDE = { ...DEFAULT_LIMITS, bodyBytes: 16 * 1024 * 1024, frameBytes: 16 * 1024 * 1024 };

export class RawPeer implements ConduitHandler {
  /** Everything that came, in order. */
  readonly messages: Message[] = [];
  /** How the conduit was closed; null while it is open. */
  closing: Closing | null = null;
  /** Called for each message, after it was kept. */
  behave: (message: Message) => void = () => {};
  readonly pipe: MemoryPipe;
  readonly #end: MemoryConduit;
  readonly #codec: FrameCodec;

  constructor(node: TestNode, subprotocol: Subprotocol = "holdfast.v1.msgpack", peer?: ConduitPeer) {
    this.#codec = codecFor(subprotocol, WIDE);
    const { pipe, end } = node.dial(subprotocol, peer);
    this.pipe = pipe;
    this.#end = end;
    end.listen(this);
  }

  /** Puts all of this into one frame. */
  send(...messages: readonly (ConduitMessage | Numbered)[]): void {
    this.sendFrame(
      this.#codec.join(
        messages.map((m) => "seq" in m ? encodeSession(m.seq, m.payload) : encodeConduit(m)),
      ),
    );
  }

  sendFrame(frame: Frame): void {
    this.#end.send(frame);
  }

  close(code: number, reason = ""): void {
    this.#end.close(code, reason);
  }

  /** False once the conduit was closed. */
  get open(): boolean {
    return this.closing === null;
  }

  /** The messages of one kind, in order. */
  of<K extends Message["kind"]>(kind: K): Extract<Message, { readonly kind: K }>[] {
    return this.messages.filter((m): m is Extract<Message, { readonly kind: K }> => m.kind === kind);
  }

  onFrame(frame: Frame): void {
    const decoded = this.#codec.decode(frame);
    if (!decoded.ok) throw new Error(`the server sent a frame that breaks ${decoded.violation.rule}`);
    for (const message of decoded.messages) {
      this.messages.push(message);
      this.behave(message);
    }
  }

  onClose(code: number, reason: string): void {
    this.closing = { code, reason };
  }
}

let challenges = 0;

/** A challenge of the right form that no other test used. */
export function newChallenge(): string {
  return `challenge-${String(++challenges).padStart(20, "0")}`;
}

/** A `start` for a new session. */
export function newStart(fields: Partial<Start> = {}): Start {
  return { kind: "start", version: 1, challenge: newChallenge(), ...fields };
}

/** A plain message on connection 1. */
export function plain(seq: number, value: BodyValue, connection = 1): Numbered {
  return { seq, payload: { kind: "message", connection, body: encodeBody(value) } };
}

/** An `open` of the service `echo`. */
export function openEcho(seq: number, connection = 1): Numbered {
  return { seq, payload: { kind: "open", connection, service: "echo" } };
}

/** A client that numbers, keeps, dedupes, acks and resumes. */
export class TestClient {
  session: string | null = null;
  /** The newest token that came. */
  token = "";
  /** Every token that came, in order. */
  readonly tokens: string[] = [];
  received = 0;
  sent = 0;
  /** What the server has not acked. */
  unacked: Numbered[] = [];
  /** Bodies of plain messages, in order, each once. */
  readonly echoes: BodyValue[] = [];
  /** What a server must never do. */
  readonly faults: string[] = [];
  /** Whether it acks what it takes, and `established`. */
  acks = true;
  peer: RawPeer | null = null;
  /** The conduit is established. */
  ready = false;
  challenge = newChallenge();
  /** The credentials of its `start`. */
  auth: string | undefined;
  /** What the node knows of it before it says anything. */
  origin: ConduitPeer | undefined;
  readonly #settings: RequestedSettings | undefined;

  constructor(settings?: RequestedSettings, auth?: string) {
    this.#settings = settings;
    this.auth = auth;
  }

  /** The `start` that it would send now. */
  start(): Start {
    const { session, token, received, sent } = this;
    return {
      kind: "start",
      version: 1,
      challenge: this.challenge,
      ...(this.auth === undefined ? {} : { auth: this.auth }),
      ...(session === null ? {} : { resume: { session, token, received, sent } }),
      ...(this.#settings === undefined || session !== null ? {} : { settings: this.#settings }),
    };
  }

  /** Dials and sends its `start`; what comes of it is in the peer given back. */
  async dial(node: TestNode, subprotocol?: Subprotocol): Promise<RawPeer> {
    const peer = new RawPeer(node, subprotocol, this.origin);
    this.ready = false;
    this.peer = peer;
    peer.behave = (message) => {
      if (this.peer === peer) this.#take(message);
    };
    peer.send(this.start());
    await settle();
    return peer;
  }

  /** Dials, and expects to be established. */
  async connect(node: TestNode, subprotocol?: Subprotocol): Promise<RawPeer> {
    const peer = await this.dial(node, subprotocol);
    if (!this.ready) {
      throw new Error(
        `not established: ${JSON.stringify(peer.of("refused"))} ${JSON.stringify(peer.closing)}`,
      );
    }
    return peer;
  }

  /** Numbers a message, keeps it, and sends it if there is a conduit. */
  say(payload: SessionPayload): void {
    const message = { seq: ++this.sent, payload };
    this.unacked.push(message);
    if (this.ready) this.peer!.send(message);
  }

  /** A plain message on connection 1. */
  echo(value: BodyValue, connection = 1): void {
    this.say({ kind: "message", connection, body: encodeBody(value) });
  }

  open(connection = 1): void {
    this.say({ kind: "open", connection, service: "echo" });
  }

  /** Cuts its conduit. */
  async cut(): Promise<void> {
    this.ready = false;
    this.peer!.pipe.break();
    await settle();
  }

  /** A session message was taken, in order, for the first time. */
  protected noted(_message: Message): void {}

  #take(message: Message): void {
    switch (message.kind) {
      case "established":
        this.#established(message.session, message.token, message.received);
        return;
      case "ack":
        this.unacked = this.unacked.filter(({ seq }) => seq > message.received);
        return;
      default:
    }
    if (!("seq" in message)) return;
    if (!this.ready) this.faults.push(`${message.kind} ${message.seq} before established`);
    if (message.seq !== this.received + 1) {
      this.faults.push(`got ${message.seq} after ${this.received}`);
      return;
    }
    this.received = message.seq;
    this.noted(message);
    if (message.kind === "message") this.echoes.push(decodeBody(message.body));
    if (this.acks) this.peer!.send({ kind: "ack", received: this.received });
  }

  #established(session: string, token: string, received: number): void {
    if (received > this.sent) this.faults.push(`the server has ${received} of ${this.sent} messages`);
    this.session = session;
    this.token = token;
    this.tokens.push(token);
    this.ready = true;
    this.unacked = this.unacked.filter(({ seq }) => seq > received);
    const confirm = this.acks ? [{ kind: "ack", received: this.received } as const] : [];
    if (confirm.length + this.unacked.length > 0) this.peer!.send(...confirm, ...this.unacked);
  }
}
