/** A server that a test plays by hand: it sees what a client says and answers what it likes, also what is wrong. */

import assert from "node:assert/strict";
import type { Dial, DialHandler } from "../../src/client/mod.ts";
import type { FrameCodec, Subprotocol } from "../../src/protocol/codec.ts";
import { codecFor } from "../../src/protocol/codecs.ts";
import { type BodyValue, encodeBody } from "../../src/protocol/body.ts";
import { encodeConduit, encodeSession } from "../../src/protocol/encode.ts";
import { DEFAULT_LIMITS } from "../../src/protocol/limits.ts";
import type {
  Call,
  ConduitMessage,
  Established,
  Message,
  SessionMessage,
  SessionPayload,
  Start,
} from "../../src/protocol/messages.ts";
import { isSessionMessage } from "../../src/protocol/messages.ts";
import { settle } from "./fake_clock.ts";

/** What a client can dial. Each dial is a {@link FakeLine} that a test opens, answers and closes. */
export class FakeServer {
  readonly lines: FakeLine[] = [];
  /** Where frames are decoded with, and answered. */
  readonly dial: Dial = (url, [subprotocol = "holdfast.v1.json"], handler) => {
    const line = new FakeLine(this.lines.length + 1, url, subprotocol, handler);
    this.lines.push(line);
    return line;
  };

  /** The latest line. */
  get line(): FakeLine {
    const line = this.lines.at(-1);
    assert.ok(line !== undefined, "nothing was dialled");
    return line;
  }

  /** Opens the latest line, awaits its `start` and answers it. */
  async establish(answer: Partial<Established> = {}): Promise<FakeLine> {
    await settle();
    const { line } = this;
    line.open();
    await settle();
    await line.establish(answer);
    return line;
  }
}

/** The server's end of one conduit. */
export class FakeLine {
  readonly id: number;
  readonly url: string;
  readonly subprotocol: Subprotocol;
  readonly bufferedBytes = 0;
  /** Everything the client said, one entry per frame. */
  readonly frames: Message[][] = [];
  /** How the client closed it. */
  closedWith: { readonly code: number; readonly reason: string } | null = null;
  readonly #handler: DialHandler;
  readonly #codec: FrameCodec;
  #over = false;
  #sent = 0;

  constructor(id: number, url: string, subprotocol: Subprotocol, handler: DialHandler) {
    this.id = id;
    this.url = url;
    this.subprotocol = subprotocol;
    this.#handler = handler;
    this.#codec = codecFor(subprotocol, DEFAULT_LIMITS);
  }

  // The client's end

  send(frame: Uint8Array | string): void {
    if (this.#over) return;
    const decoded = this.#codec.decode(frame);
    assert.ok(decoded.ok, "the client sent a frame that does not decode");
    this.frames.push([...decoded.messages]);
  }

  close(code: number, reason: string): void {
    this.closedWith ??= { code, reason };
  }

  // The server's end

  /** All messages so far. */
  get messages(): Message[] {
    return this.frames.flat();
  }

  /** The numbered ones. */
  get numbered(): SessionMessage[] {
    return this.messages.filter(isSessionMessage);
  }

  /** Those of one kind. */
  of<Kind extends Message["kind"]>(kind: Kind): Extract<Message, { readonly kind: Kind }>[] {
    return this.messages.filter((message): message is Extract<Message, { readonly kind: Kind }> =>
      message.kind === kind
    );
  }

  /** The client's `start`. */
  get start(): Start {
    const [start, ...more] = this.of("start");
    assert.ok(start !== undefined && more.length === 0, "there must be one start");
    return start;
  }

  /** The highest `ack` so far; null without one. */
  get acked(): number | null {
    return this.of("ack").at(-1)?.received ?? null;
  }

  open(): void {
    this.#handler.onOpen();
  }

  /** Sends conduit messages in one frame. */
  async say(...messages: ConduitMessage[]): Promise<void> {
    this.#deliver(messages.map(encodeConduit));
    await settle();
  }

  /** Sends numbered messages in one frame, from `sent + 1` on. */
  async tell(...payloads: SessionPayload[]): Promise<void> {
    this.#deliver(payloads.map((payload) => encodeSession(++this.#sent, payload)));
    await settle();
  }

  /** Sends conduit messages, and numbered ones after them, in one frame. */
  async mixed(control: ConduitMessage[], payloads: SessionPayload[]): Promise<void> {
    this.#deliver([
      ...control.map(encodeConduit),
      ...payloads.map((payload) => encodeSession(++this.#sent, payload)),
    ]);
    await settle();
  }

  /** Sends plain messages on a connection. */
  async message(connection: number, ...values: Parameters<typeof encodeBody>[0][]): Promise<void> {
    await this.tell(
      ...values.map((value) => ({ kind: "message", connection, body: encodeBody(value) } as const)),
    );
  }

  /** The client's calls of one method, or all of them. */
  calls(method?: string): (Call & { readonly seq: number })[] {
    return this.of("call").filter((call) => method === undefined || call.method === method);
  }

  /** The latest of them. */
  call(method?: string): Call & { readonly seq: number } {
    const call = this.calls(method).at(-1);
    assert.ok(call !== undefined, `no call of ${method ?? "anything"} came`);
    return call;
  }

  /** Answers a call with a result; its download is finished first. */
  async answer(call: Call, value: BodyValue): Promise<void> {
    const { connection, request, options } = call;
    const channel = options?.download;
    await this.tell(
      ...(channel === undefined ? [] : [{ kind: "finish", connection, channel } as const]),
      { kind: "response", connection, request, ok: true, body: encodeBody(value) },
    );
  }

  /** Answers a call with an error; its download is reset first. */
  async fail(call: Call, code: string, failure: { readonly [key: string]: BodyValue } = {}): Promise<void> {
    const { connection, request, options } = call;
    const channel = options?.download;
    const body = encodeBody({ code, message: `it was ${code}`, ...failure });
    await this.tell(
      ...(channel === undefined ? [] : [{ kind: "reset", connection, channel, reason: "failed" } as const]),
      { kind: "response", connection, request, ok: false, body },
    );
  }

  /** Sends items on a call's download. */
  async items(call: Call, ...values: BodyValue[]): Promise<void> {
    const { connection, options } = call;
    const channel = options?.download;
    assert.ok(channel !== undefined, "the call has no download");
    await this.tell(
      ...values.map((value) => ({ kind: "item", connection, channel, body: encodeBody(value) } as const)),
    );
  }

  /** Sends bytes or text as they are. */
  async raw(frame: Uint8Array | string): Promise<void> {
    this.#handler.onFrame(frame);
    await settle();
  }

  /** Answers the client's `start`. */
  async establish(answer: Partial<Established> = {}): Promise<void> {
    const { challenge, resume } = this.start;
    this.#sent = answer.sent ?? resume?.received ?? 0;
    await this.say({
      kind: "established",
      challenge,
      session: resume?.session ?? "session-1",
      token: `token-${this.id}`,
      resumed: resume !== undefined,
      received: resume?.sent ?? 0,
      sent: resume?.received ?? 0,
      durability: "durable",
      resumeWindow: 3_600_000,
      keepalive: { interval: 25_000, timeout: 10_000 },
      limits: statedLimits(),
      node: "node-1",
      ...answer,
    });
  }

  /** Sends again from a number on: what a resumed server does. */
  replayFrom(seq: number): void {
    this.#sent = seq - 1;
  }

  /** Breaks it, or closes it as the server does. */
  async end(code = 1006, reason = ""): Promise<void> {
    this.#over = true;
    this.#handler.onClose(code, reason);
    await settle();
  }

  #deliver(encoded: Uint8Array[]): void {
    this.#handler.onFrame(this.#codec.join(encoded));
  }
}

/** The defaults, as `established` states them. */
export function statedLimits(): Established["limits"] {
  const { storedBytes: _, ...stated } = DEFAULT_LIMITS;
  return stated;
}
