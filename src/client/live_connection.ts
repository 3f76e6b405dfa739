/** The application's side of one connection. */

import { type BodyValue, decodeBody, encodeBody } from "../protocol/body.ts";
import type { CallOptions, Download, DownloadOptions, Items, UnaryOptions } from "../protocol/contract.ts";
import { DEFAULT_LIMITS } from "../protocol/limits.ts";
import type { EncodedBody, Metadata } from "../protocol/messages.ts";
import type { ClientConnection, ClientState, ConnectionEnding } from "./client_model.ts";
import { largestBody } from "./client_numbering_state.ts";
import type { ClientRunner } from "./client_runner.ts";
import { takesVolatile } from "./client_sending_state.ts";
import type { Connection, Ending } from "./connection_api.ts";
import { deferred } from "./deferred.ts";
import { checkEndingTexts } from "./ending_texts.ts";
import { HoldfastError } from "./errors.ts";
import { first } from "./fifo.ts";
import { type AnyCallOptions, type CallPlace, callWords, LiveCall } from "./live_call.ts";
import { LiveDownload } from "./live_download.ts";
import { ReceivedCalls } from "./received_calls.ts";
import type { Called } from "./runner_ports.ts";
import type { ClientMethods } from "./serving_api.ts";

/** What `keep` may keep, encoded. */
const KEPT_BYTES = 32 * 1024;

type Taken = IteratorResult<BodyValue, undefined>;

/** One connection of one session; it survives the session only to be consumed. */
export class LiveConnection implements Connection, CallPlace {
  readonly service: string;
  readonly opened: Promise<void>;
  readonly closed: Promise<Ending>;
  readonly runner: ClientRunner;
  readonly #report: (error: unknown) => void;
  readonly #opened = deferred<void>();
  readonly #closed = deferred<Ending>();
  readonly #volatileListeners = new Set<(value: BodyValue) => void>();
  #bound: { readonly state: ClientState; readonly id: number; readonly restored: boolean } | null = null;
  #metadata: Metadata = NO_METADATA;
  #schema: string | null = null;
  #methods: ClientMethods = {};
  #received: ReceivedCalls | null = null;
  #kept: BodyValue | undefined;
  #ending: ConnectionEnding | null = null;
  /** The first message of the inbox was given to the consumer, who has not asked for the next. */
  #handed = false;
  #askers: { readonly resolve: (taken: Taken) => void; readonly reject: (error: Error) => void }[] = [];

  /** @param report Told of what a listener throws. */
  constructor(runner: ClientRunner, service: string, report: (error: unknown) => void) {
    this.runner = runner;
    this.service = service;
    this.#report = report;
    this.opened = this.#opened.promise;
    this.closed = this.#closed.promise;
    // An application that never looks at `opened` must not be ended by its rejection; iterating and sending tell it too.
    this.opened.catch(() => {});
  }

  /** Gives it its place in a session. */
  bind(state: ClientState, id: number): void {
    const connection = state.connections.get(id);
    this.#bound = { state, id, restored: connection?.restored ?? false };
    if (connection === undefined) return;
    if (connection.kept !== null) this.#kept = decodeBody(connection.kept);
    this.#look(connection);
    if (connection.accepted) this.#opened.resolve();
    if (connection.over !== null) this.over(connection.over);
    this.arrived();
  }

  /** What the server may call on it. */
  answer(methods: ClientMethods): void {
    this.#methods = methods;
    this.#received = null;
  }

  get id(): number {
    return this.#bound?.id ?? 0;
  }

  get bound(): { readonly state: ClientState; readonly id: number } | null {
    return this.#bound;
  }

  get restored(): boolean {
    return this.#bound?.restored ?? false;
  }

  get metadata(): Metadata {
    return this.#metadata;
  }

  get schema(): string | null {
    return this.#schema;
  }

  get kept(): BodyValue | undefined {
    return this.#kept;
  }

  /** How it is over; null while it is not. */
  get ending(): ConnectionEnding | null {
    return this.#ending;
  }

  call(method: string, input?: BodyValue, options: UnaryOptions = {}): Promise<BodyValue> {
    return this.#call("unary", method, input, null, options);
  }

  upload(
    method: string,
    input: BodyValue | undefined,
    items: Items<BodyValue>,
    options: CallOptions = {},
  ): Promise<BodyValue> {
    return this.#call("upload", method, input, items, options);
  }

  download(method: string, input?: BodyValue, options: DownloadOptions = {}): Download<BodyValue> {
    return new LiveDownload(this, callWords("download", method, input, options), options.signal, null);
  }

  duplex(
    method: string,
    input: BodyValue | undefined,
    items: Items<BodyValue>,
    options: DownloadOptions = {},
  ): Download<BodyValue> {
    return new LiveDownload(this, callWords("duplex", method, input, options), options.signal, items);
  }

  send(value: BodyValue): Promise<void> {
    return new Promise((resolve, reject) => {
      const body = encodeBody(value);
      this.runner.whenReady(() => this.#send(body).then(resolve, reject));
    });
  }

  sendVolatile(value: BodyValue): boolean {
    const body = encodeBody(value);
    const bound = this.#bound;
    if (bound === null || this.#ending !== null || !takesVolatile(bound.state, bound.id)) return false;
    if (body.length > largestBody(bound.state, 0)) return false;
    this.runner.act({ kind: "send_volatile", connection: bound.id, body }, bound.state);
    return true;
  }

  onVolatile(listener: (value: BodyValue) => void): () => void {
    // A function of its own, so that the same listener may be added twice.
    const own = (value: BodyValue) => listener(value);
    this.#volatileListeners.add(own);
    return () => void this.#volatileListeners.delete(own);
  }

  keep(value: BodyValue): void {
    const encoded = encodeBody(value);
    if (encoded.length > KEPT_BYTES) {
      throw new RangeError(`cannot keep ${encoded.length} bytes with a connection; at most ${KEPT_BYTES}`);
    }
    this.#kept = value;
    this.runner.whenReady(() => {
      const bound = this.#bound;
      if (bound !== null) {
        this.runner.act({ kind: "keep", connection: bound.id, value: encoded }, bound.state);
      }
    });
  }

  close(reason?: string, detail?: string): void {
    checkEndingTexts(reason, detail);
    this.runner.whenReady(() => {
      const bound = this.#bound;
      if (bound === null) return;
      this.runner.act({ kind: "end", connection: bound.id, reason, detail }, bound.state);
    });
  }

  [Symbol.asyncIterator](): AsyncIterator<BodyValue, undefined> {
    return {
      next: () =>
        new Promise((resolve, reject) => {
          this.#askers.push({ resolve, reject });
          this.arrived();
        }),
      return: () => {
        this.#consume();
        return Promise.resolve({ done: true, value: undefined });
      },
    };
  }

  /** It was accepted, by whichever side. */
  accepted(): void {
    const connection = this.#record();
    if (connection !== undefined) this.#look(connection);
    this.#opened.resolve();
    this.#received?.accepted();
    this.arrived();
  }

  /** There is something to consume, or somebody who asks. */
  arrived(): void {
    while (this.#askers.length > 0) {
      this.#consume();
      const body = this.#next();
      if (body === undefined && this.#ending === null) return;
      const { resolve, reject } = this.#askers.shift()!;
      if (body !== undefined) {
        this.#handed = true;
        resolve({ done: false, value: decodeBody(body) });
      } else if (this.#ending!.failed) {
        reject(new HoldfastError(this.#ending!.reason, this.#ending!.detail));
      } else {
        resolve({ done: true, value: undefined });
      }
    }
  }

  /** A volatile message came. */
  volatile(body: EncodedBody): void {
    if (this.#volatileListeners.size === 0) return;
    const value = decodeBody(body);
    for (const listener of [...this.#volatileListeners]) {
      try {
        listener(value);
      } catch (error) {
        this.#report(error);
      }
    }
  }

  /** The server calls. */
  called(state: ClientState, call: Called): void {
    const accepted = this.#record()?.accepted ?? true;
    this.#received ??= new ReceivedCalls(this.runner, state, this, this.#methods, accepted);
    this.#received.called(call);
  }

  /** A call of the server's is over without an answer of its handler. */
  aborted(request: number, reason: string): void {
    this.#received?.aborted(request, reason);
  }

  /** It is over; what arrived before may still be consumed. */
  over(ending: ConnectionEnding): void {
    if (this.#ending !== null) return;
    this.#ending = ending;
    const { reason, detail } = ending;
    this.#opened.reject(new HoldfastError(reason || "ended", detail));
    this.#closed.resolve({ reason, detail });
    this.#received?.over();
    this.arrived();
  }

  #call(
    shape: "unary" | "upload",
    method: string,
    input: BodyValue | undefined,
    items: Items<BodyValue> | null,
    options: AnyCallOptions,
  ): Promise<BodyValue> {
    return new Promise((resolve, reject) => {
      const words = callWords(shape, method, input, options);
      new LiveCall(this, words, options.signal, items, {
        answered: resolve,
        failed: reject,
        arrived: NOTHING,
      });
    });
  }

  async #send(body: EncodedBody): Promise<void> {
    const bound = this.#bound;
    if (bound === null || this.#ending !== null) {
      throw new HoldfastError(
        this.#ending?.reason || "ended",
        this.#ending?.detail || "the connection is over",
      );
    }
    const most = largestBody(bound.state, DEFAULT_LIMITS.bodyBytes);
    if (body.length > most) {
      throw new HoldfastError("too-large", `a body of ${body.length} bytes; at most ${most} may be sent`);
    }
    await this.runner.send(bound.state, bound.id, body);
  }

  #look({ metadata, schema }: ClientConnection): void {
    this.#metadata = metadata;
    this.#schema = schema;
  }

  #record(): ClientConnection | undefined {
    return this.#bound?.state.connections.get(this.#bound.id);
  }

  /** What the server sends before this side has accepted is given after that. */
  #next(): EncodedBody | undefined {
    const connection = this.#record();
    if (connection === undefined || connection.serving && !connection.accepted) return undefined;
    return first(connection.inbox);
  }

  #consume(): void {
    if (!this.#handed || this.#bound === null) return;
    this.#handed = false;
    this.runner.act({ kind: "consumed", connection: this.#bound.id }, this.#bound.state);
  }
}

const NO_METADATA: Metadata = {};
const NOTHING = (): void => {};
