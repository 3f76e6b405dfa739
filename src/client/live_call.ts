/** The application's side of one call: its signal, its items, its outcome. */

import { type BodyValue, decodeBody, encodeBody } from "../protocol/body.ts";
import type { Items } from "../protocol/contract.ts";
import type { EncodedBody, Metadata } from "../protocol/messages.ts";
import { decodeFailure } from "../protocol/rpc_error.ts";
import { CallError } from "./call_error.ts";
import { notTaken } from "./client_call_ending_state.ts";
import { restoredCall } from "./client_call_claim_state.ts";
import type { CallShape, CallWords, ClientCall } from "./client_call_model.ts";
import type { ClientState, ConnectionEnding } from "./client_model.ts";
import { largestBody } from "./client_numbering_state.ts";
import type { ClientRunner } from "./client_runner.ts";
import { checkMetadata, checkMethod } from "./names.ts";
import type { Caller } from "./runner_ports.ts";
import { UploadPump } from "./upload_pump.ts";

/** Items of a download that may be under way, unless the application says otherwise. */
export const DOWNLOAD_CREDIT = 256;

/** The connection that a call is made on. */
export interface CallPlace {
  readonly runner: ClientRunner;
  /** Its place in a session; null until it has one. */
  readonly bound: { readonly state: ClientState; readonly id: number } | null;
  readonly ending: ConnectionEnding | null;
}

/** What an application may say about a call, of whatever shape. */
export interface AnyCallOptions {
  readonly timeout?: number;
  readonly signal?: AbortSignal;
  readonly metadata?: Metadata;
  readonly operation?: string;
  readonly credit?: number;
}

/** Whoever made a call. One of `answered` and `failed` is called, once. */
export interface CallListener {
  answered(value: BodyValue): void;
  failed(error: unknown): void;
  /** The first item is there. */
  arrived(): void;
}

/**
 * What a call says.
 *
 * @throws TypeError or RangeError for what cannot be said.
 */
export function callWords(
  shape: CallShape,
  method: string,
  input: BodyValue | undefined,
  options: AnyCallOptions,
): CallWords {
  const { timeout, metadata, operation, credit = DOWNLOAD_CREDIT } = options;
  checkMethod(method);
  if (timeout !== undefined && !(timeout > 0 && timeout <= Number.MAX_SAFE_INTEGER)) {
    throw new RangeError(`timeout must be above 0 milliseconds, not ${timeout}`);
  }
  if (!Number.isSafeInteger(credit) || credit < 1) {
    throw new RangeError(`credit must be an integer above 0, not ${credit}`);
  }
  if (operation !== undefined) checkOperation(operation);
  if (metadata !== undefined) checkMetadata(metadata);
  return {
    method,
    shape,
    body: encodeBody(input ?? null),
    operation: operation ?? null,
    timeout: timeout ?? null,
    metadata: metadata ?? null,
    credit,
  };
}

const OPERATION_BYTES = 128;

function checkOperation(operation: string): void {
  const bytes = new TextEncoder().encode(operation).length;
  if (bytes === 0 || bytes > OPERATION_BYTES || !operation.isWellFormed()) {
    throw new RangeError(`an operation key has 1 to ${OPERATION_BYTES} bytes, not ${bytes}`);
  }
}

/** One call, from when it is made until its outcome was told. */
export class LiveCall implements Caller {
  readonly #place: CallPlace;
  readonly #words: CallWords;
  readonly #listener: CallListener;
  readonly #signal: AbortSignal | undefined;
  readonly #pump: UploadPump | null;
  #state: ClientState | null = null;
  #record: ClientCall | null = null;
  #key = 0;
  #over = false;
  #cancelled = false;
  /** Why the application cancelled it. */
  #cause: { readonly cause: unknown } | Record<never, never> = {};

  constructor(
    place: CallPlace,
    words: CallWords,
    signal: AbortSignal | undefined,
    items: Items<BodyValue> | null,
    listener: CallListener,
  ) {
    this.#place = place;
    this.#words = words;
    this.#listener = listener;
    this.#signal = signal;
    this.#pump = items === null ? null : new UploadPump(items, {
      item: (body) => this.#upload(body),
      finished: () => this.#act("upload_over", null),
      broke: (error) => this.#broke(error),
      failed: (error) => place.runner.failed(error),
    });
    place.runner.whenReady(() => this.#begin());
  }

  /** What the machine keeps of it; null until it was made. */
  get record(): ClientCall | null {
    return this.#record ??= this.#state?.calls.get(this.#key) ?? null;
  }

  /** True if the application cancelled it before it was over. */
  get cancelled(): boolean {
    return this.#cancelled;
  }

  /** Ends it; the listener is told `cancelled`. */
  cancel(cause?: unknown): void {
    if (this.#over) return;
    this.#cancelled = true;
    if (cause !== undefined) this.#cause = { cause };
    if (this.#key !== 0) return this.#place.runner.act({ kind: "cancel_call", call: this.#key }, this.#state);
    this.#settle();
    this.#listener.failed(this.#error("cancelled", "cancelled by the caller"));
  }

  /** The first item of its download was consumed. */
  consumed(): void {
    this.#place.runner.act({ kind: "item_consumed", call: this.#key }, this.#state);
  }

  /** Nobody waits for it any more; the listener hears nothing more. */
  leave(): void {
    this.#settle();
    if (this.#state !== null && this.#key !== 0) this.#place.runner.leave(this.#state, this.#key);
  }

  // Caller

  started(state: ClientState, key: number): void {
    this.#state = state;
    this.#key = key;
    this.#record = null;
  }

  arrived(): void {
    this.#listener.arrived();
  }

  pull(): void {
    this.#pump?.pull();
  }

  over(ok: boolean, body: EncodedBody): void {
    this.#settle();
    if (!ok) {
      const { code, message, data } = decodeFailure(body);
      return this.#listener.failed(this.#error(code, message, data));
    }
    let value;
    try {
      value = decodeBody(body);
    } catch (error) {
      return this.#listener.failed(this.#error("internal", String(error)));
    }
    this.#listener.answered(value);
  }

  #begin(): void {
    if (this.#over) return;
    const signal = this.#signal;
    if (signal?.aborted === true) return this.cancel(signal.reason);
    const { runner, bound, ending } = this.#place;
    const words = this.#words;
    if (bound === null || ending !== null && restoredCall(bound.state, bound.id, words) === null) {
      this.#settle();
      const { code, message } = notTaken(ending ?? NO_PLACE);
      return this.#listener.failed(this.#error(code, message));
    }
    signal?.addEventListener("abort", this.#aborted);
    runner.call(bound.state, bound.id, words, this);
  }

  readonly #aborted = (): void => this.cancel(this.#signal?.reason);

  #upload(body: EncodedBody): void {
    const most = largestBody(this.#state!, Infinity);
    if (body.length > most) {
      const message = `an item of ${body.length} bytes; at most ${most} may be sent`;
      return this.#broke(this.#error("invalid-argument", message));
    }
    this.#place.runner.act({ kind: "upload_item", call: this.#key, body }, this.#state);
  }

  /** The application's items failed: that is what the call fails with. */
  #broke(error: unknown): void {
    if (this.#over) return;
    this.#act("upload_over", "failed");
    this.leave();
    this.#listener.failed(error);
  }

  #act(kind: "upload_over", reason: string | null): void {
    this.#place.runner.act({ kind, call: this.#key, reason }, this.#state);
  }

  #settle(): void {
    this.#over = true;
    this.#signal?.removeEventListener("abort", this.#aborted);
    this.#pump?.stop();
  }

  #error(code: CallError["code"], message: string, data?: BodyValue): CallError {
    const options = { ...(data === undefined ? {} : { data }), ...this.#cause };
    return new CallError(code, message, options, this.#words.operation ?? undefined);
  }
}

const NO_PLACE: ConnectionEnding = { reason: "", detail: "", failed: true, by: "other" };
