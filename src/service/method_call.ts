/** What a method's handler knows of the call that it answers. */

import type { BodyValue } from "../protocol/body.ts";
import type { Metadata } from "../protocol/messages.ts";
import type { Gate } from "./gate.ts";
import type { ServedCall } from "./service.ts";
import { type ConnectionGates, GatedConnection, type TypedConnection } from "./typed_connection.ts";
import { UploadItems } from "./upload_items.ts";

/** One call, in its handler's hands. What the handler does after the call is over does nothing. */
export interface MethodCall {
  /** The connection that it came on. What it sends and keeps must still fit the service's `sends` and `kept`. */
  readonly connection: TypedConnection;
  /** What the caller says beside its argument. */
  readonly metadata: Metadata;
  /** When it is answered `deadline-exceeded`; milliseconds since the Unix epoch. Null: never. */
  readonly deadline: number | null;
  /**
   * Aborts when the call is over without an answer of this handler: `reason` is an `Error` named `cancelled`,
   * `deadline-exceeded`, `connection-ended` or `moved`. Nobody waits for the handler then; it passes this on to what it waits
   * for.
   */
  readonly signal: AbortSignal;
  /** True when a node accepted the call before and was lost: the handler runs again. */
  readonly again: boolean;
}

/** A call whose caller is sent items. */
export interface DownloadCall extends MethodCall {
  /** Items that are out already, by earlier runs too. A handler that runs again goes on behind them. */
  readonly itemsSent: number;
}

/** A call whose caller sends items. */
export interface UploadCall<Item> extends MethodCall {
  /**
   * The items, in order; one that is taken grants room for another. A loop that is left loses nothing: another goes on where
   * it stopped. It throws an `RpcError`: `invalid-argument` for an item that does not fit, `cancelled` when the caller broke it
   * off; and the signal's reason when the call is over. A handler that lets it through fails the call with it.
   */
  readonly items: AsyncIterable<Item>;
}

/** A call with items both ways. */
export interface DuplexCall<Item> extends UploadCall<Item>, DownloadCall {}

/** Puts values on top of a raw call; for every kind of method. */
export class GatedCall implements DuplexCall<unknown> {
  readonly #raw: ServedCall;
  readonly #gates: ConnectionGates;
  readonly #upload: Gate | null;
  #connection: TypedConnection | null = null;
  #items: UploadItems | null = null;

  /** @param upload What each item of the upload must fit; null: there is no upload. */
  constructor(raw: ServedCall, gates: ConnectionGates, upload: Gate | null) {
    this.#raw = raw;
    this.#gates = gates;
    this.#upload = upload;
  }

  get connection(): TypedConnection {
    return this.#connection ??= new GatedConnection(this.#raw.connection, this.#gates) as TypedConnection<
      BodyValue
    >;
  }

  get metadata(): Metadata {
    return this.#raw.metadata;
  }

  get deadline(): number | null {
    return this.#raw.deadline;
  }

  get signal(): AbortSignal {
    return this.#raw.signal;
  }

  get again(): boolean {
    return this.#raw.again;
  }

  get itemsSent(): number {
    return this.#raw.itemsSent;
  }

  get items(): AsyncIterable<unknown> {
    if (this.#upload === null) throw new TypeError(`${this.#raw.method} has no upload`);
    return this.#items ??= new UploadItems(this.#raw, this.#upload);
  }
}
