/** One call in a service's hands: what its handler may do, and how it hears that nobody wants its answer any more. */

import type { IncomingCall } from "../connection/call_state.ts";
import type { EncodedBody, Metadata } from "../protocol/messages.ts";
import { newOperation, type Operation } from "./operation_record.ts";
import { encodeFailure } from "../protocol/rpc_error.ts";
import type { CallFailure, ServedCall, ServiceConnection, Transaction } from "../service/service.ts";

/** Why a call is over without an answer of its handler. */
export type Overruling =
  | "cancelled"
  | "deadline-exceeded"
  | "invalid-argument"
  | "resource-exhausted"
  | "connection-ended"
  | "moved";

/** What a call needs of whoever serves its connection. */
export interface CallHost {
  readonly connection: ServiceConnection;
  answer(call: LiveCall, ok: boolean, body: EncodedBody, reason: string): void;
  /** Sends an item if it may. */
  item(channel: number, body: EncodedBody): boolean;
  /** True if an item of this size may be sent now. */
  mayItem(channel: number, bytes: number): boolean;
  /** The largest item that may ever be sent, bytes. */
  readonly mostItem: number;
  /** Calls back whenever credit or room may have come, until `done`. */
  wait(waiter: () => boolean): void;
  /** The handler took an item of `bytes` bytes. */
  consumed(request: number, channel: number, bytes: number): void;
  transact(call: LiveCall, run: (tx: Transaction) => Promise<EncodedBody | CallFailure>): void;
  /** Whose operation keys count: the principal, or the session where nobody is authenticated. */
  readonly owner: string;
  /** A new name for an attempt. */
  stamp(): string;
}

interface Taker {
  readonly resolve: (item: EncodedBody | null) => void;
  readonly reject: (error: Error) => void;
}

export class LiveCall implements ServedCall {
  readonly request: number;
  readonly method: string;
  body: EncodedBody;
  readonly metadata: Metadata;
  readonly deadline: number | null;
  readonly again: boolean;
  readonly itemsSent: number;
  readonly operation: string | null;
  /** When its handler began, milliseconds since the Unix epoch. */
  readonly startedAt: number;
  /** Nobody hears of its answer any more. */
  over = false;
  readonly #host: CallHost;
  readonly #upload: number | null;
  readonly #download: number | null;
  #abort: AbortController | null = null;
  #overruled: Error | null = null;
  #items: EncodedBody[] = [];
  #uploadOver: { readonly reason: string | null } | null = null;
  #taker: Taker | null = null;
  /** The size of the item that was tried last, bytes. */
  #refused = 0;

  constructor(host: CallHost, call: IncomingCall, body: EncodedBody, again: boolean, startedAt: number) {
    this.#host = host;
    this.request = call.request;
    this.method = call.method;
    this.body = body;
    this.metadata = call.metadata;
    this.deadline = call.deadline;
    this.operation = call.operation;
    this.#upload = call.upload?.id ?? null;
    this.#download = call.download?.id ?? null;
    this.itemsSent = call.download?.end.sent ?? 0;
    this.again = again;
    this.startedAt = startedAt;
  }

  get connection(): ServiceConnection {
    return this.#host.connection;
  }

  get signal(): AbortSignal {
    if (this.#abort === null) {
      this.#abort = new AbortController();
      if (this.#overruled !== null) this.#abort.abort(this.#overruled);
    }
    return this.#abort.signal;
  }

  respond(body: EncodedBody): void {
    if (!this.over) this.#host.answer(this, true, body, "");
  }

  fail(failure: CallFailure): void {
    if (!this.over) this.#host.answer(this, false, encodeFailure(failure), failure.code);
  }

  trySend(item: EncodedBody): boolean {
    if (this.over || this.#download === null) return true;
    if (item.length > this.#host.mostItem) {
      const message = `an item of ${item.length} bytes; at most ${this.#host.mostItem} may be sent`;
      this.fail({ code: "internal", message });
      return true;
    }
    this.#refused = item.length;
    return this.#host.item(this.#download, item);
  }

  whenCredit(): Promise<void> {
    const channel = this.#download;
    // There must be room for what was refused, or whoever waits here would try in vain for ever.
    const bytes = this.#refused;
    if (this.over || channel === null || this.#host.mayItem(channel, bytes)) return Promise.resolve();
    return new Promise((resolve) => {
      this.#host.wait(() => {
        if (!this.over && !this.#host.mayItem(channel, bytes)) return false;
        resolve();
        return true;
      });
    });
  }

  nextItem(): Promise<EncodedBody | null> {
    if (this.#taker !== null) throw new Error("one item at a time");
    const item = this.#takeItem();
    if (item !== undefined) return Promise.resolve(item);
    return new Promise((resolve, reject) => {
      this.#taker = { resolve, reject };
      this.#serveTaker();
    });
  }

  transact(run: (tx: Transaction) => Promise<EncodedBody | CallFailure>): void {
    if (!this.over) this.#host.transact(this, run);
  }

  /** The operation that this call asks for (`call.operation`); null: none. */
  operationOf(service: string): Operation | null {
    if (this.operation === null) return null;
    const { owner } = this.#host;
    const words = { owner, service, method: this.method, key: this.operation };
    return newOperation(words, this.body, this.#host.stamp());
  }

  /** It goes on beyond its turn: its body, a view of its frame, must not keep a large frame alive. */
  outlive(): void {
    if (!this.over && this.body.buffer.byteLength > 2 * this.body.length) this.body = this.body.slice();
  }

  /** An item of the upload came. */
  item(body: EncodedBody): void {
    this.#items.push(body.buffer.byteLength > 2 * body.length ? body.slice() : body);
    this.#serveTaker();
  }

  /** The upload is over; `reason`: the client broke it off. */
  uploadOver(reason: string | null): void {
    this.#uploadOver = { reason };
    this.#serveTaker();
  }

  /** The call is over without an answer of its handler. */
  overrule(why: Overruling): void {
    if (this.over) return;
    this.over = true;
    this.#items = [];
    this.#overruled = named(why, `the call is over: ${why}`);
    this.#abort?.abort(this.#overruled);
    this.#serveTaker();
  }

  #serveTaker(): void {
    const taker = this.#taker;
    if (taker === null) return;
    const item = this.#takeItem();
    if (item !== undefined) {
      this.#taker = null;
      return taker.resolve(item);
    }
    const broken = this.#overruled ?? this.#brokenUpload();
    if (broken === null && this.#uploadOver === null) return;
    this.#taker = null;
    if (broken !== null) taker.reject(broken);
    else taker.resolve(null);
  }

  #takeItem(): EncodedBody | undefined {
    const item = this.#items.shift();
    if (item !== undefined && this.#upload !== null && !this.over) {
      this.#host.consumed(this.request, this.#upload, item.length);
    }
    return item;
  }

  #brokenUpload(): Error | null {
    const reason = this.#uploadOver?.reason ?? null;
    return reason === null ? null : named("reset", `the client broke the upload off: ${reason}`);
  }
}

/** An error that handlers tell by its name. */
function named(name: string, message: string): Error {
  const error = new Error(message);
  error.name = name;
  return error;
}
