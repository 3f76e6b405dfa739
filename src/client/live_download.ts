/** The application's side of a call that answers with items. */

import { type BodyValue, decodeBody } from "../protocol/body.ts";
import type { Download, Items } from "../protocol/contract.ts";
import type { CallWords } from "./client_call_model.ts";
import { first } from "./fifo.ts";
import { type CallListener, type CallPlace, LiveCall } from "./live_call.ts";

type Taken = IteratorResult<BodyValue, undefined>;

/** Items on their way; its own iterator, since they are taken once. */
export class LiveDownload implements Download<BodyValue>, AsyncIterator<BodyValue, undefined>, CallListener {
  readonly #call: LiveCall;
  /** How it came out; `error` is null where the service was done. */
  #outcome: { error: unknown } | null = null;
  /** The first item was given to the consumer, who has not asked for the next. */
  #handed = false;
  #left = false;
  #askers: { readonly resolve: (taken: Taken) => void; readonly reject: (error: unknown) => void }[] = [];

  constructor(
    place: CallPlace,
    words: CallWords,
    signal: AbortSignal | undefined,
    items: Items<BodyValue> | null,
  ) {
    this.#call = new LiveCall(place, words, signal, items, this);
  }

  [Symbol.asyncIterator](): AsyncIterator<BodyValue, undefined> {
    return this;
  }

  cancel(): void {
    this.#call.cancel();
  }

  next(): Promise<Taken> {
    if (this.#askers.length === 0) {
      const body = this.#advance();
      if (body !== undefined) {
        // Most items take this path: no promise of them is made before they are there.
        return Promise.resolve({ done: false, value: decodeBody(body) });
      }
      if (this.#outcome !== null || this.#left) {
        return new Promise((resolve, reject) => this.#end(resolve, reject));
      }
    }
    return new Promise((resolve, reject) => {
      this.#askers.push({ resolve, reject });
      this.arrived();
    });
  }

  return(): Promise<Taken> {
    this.#leave();
    for (const { resolve } of this.#askers.splice(0)) resolve(DONE);
    return Promise.resolve(DONE);
  }

  // CallListener

  answered(): void {
    this.#outcome = { error: null };
    this.arrived();
  }

  failed(error: unknown): void {
    this.#outcome = { error };
    this.arrived();
  }

  /** There is something to take, or somebody who asks. */
  arrived(): void {
    while (this.#askers.length > 0) {
      const body = this.#advance();
      if (body === undefined && this.#outcome === null && !this.#left) return;
      const { resolve, reject } = this.#askers.shift()!;
      if (body !== undefined) resolve({ done: false, value: decodeBody(body) });
      else this.#end(resolve, reject);
    }
  }

  /** Gives the next item, which makes the one before it consumed. */
  #advance(): Uint8Array | undefined {
    if (this.#left) return undefined;
    if (this.#handed) {
      this.#handed = false;
      this.#call.consumed();
    }
    const items = this.#call.record?.items ?? null;
    const body = items === null || this.#call.cancelled ? undefined : first(items);
    this.#handed = body !== undefined;
    return body;
  }

  /** There are no more items: says why, once. */
  #end(resolve: (taken: Taken) => void, reject: (error: unknown) => void): void {
    const error = this.#left ? null : this.#outcome?.error ?? null;
    this.#leave();
    if (error === null) resolve(DONE);
    else reject(error);
  }

  #leave(): void {
    if (this.#left) return;
    this.#left = true;
    this.#call.leave();
  }
}

const DONE: Taken = { done: true, value: undefined };
