/** Takes the items of an upload from the application, one at a time and only when one is wanted. */

import { type BodyValue, encodeBody } from "../protocol/body.ts";
import type { Items } from "../protocol/contract.ts";
import type { EncodedBody } from "../protocol/messages.ts";

/** Where items go. */
export interface UploadSink {
  item(body: EncodedBody): void;
  finished(): void;
  /** The application's items failed, or one of them is no body value; {@link UploadPump.stop} is to follow. */
  broke(error: unknown): void;
  /** The iterator failed when it was told to return. */
  failed(error: unknown): void;
}

type Source = AsyncIterator<BodyValue> | Iterator<BodyValue>;

export class UploadPump {
  readonly #items: Items<BodyValue>;
  readonly #sink: UploadSink;
  #source: Source | null = null;
  /** The source has said that it is over, or nobody wants more of it. */
  #over = false;

  constructor(items: Items<BodyValue>, sink: UploadSink) {
    this.#items = items;
    this.#sink = sink;
  }

  /** The next item is wanted. */
  pull(): void {
    if (this.#over) return;
    let next;
    try {
      next = (this.#source ??= sourceOf(this.#items)).next();
    } catch (error) {
      return this.#broke(error);
    }
    if ("then" in next) next.then((taken) => this.#take(taken), (error) => this.#broke(error));
    else this.#take(next);
  }

  /** Nothing more is wanted: what is open behind the items may be closed. */
  stop(): void {
    if (this.#over) return;
    this.#over = true;
    try {
      const returned = this.#source?.return?.();
      if (returned !== undefined && "then" in returned) {
        returned.then(undefined, (error) => this.#sink.failed(error));
      }
    } catch (error) {
      this.#sink.failed(error);
    }
  }

  #take(taken: IteratorResult<BodyValue>): void {
    if (this.#over) return;
    if (taken.done === true) {
      this.#over = true;
      return this.#sink.finished();
    }
    let body;
    try {
      body = encodeBody(taken.value);
    } catch (error) {
      return this.#sink.broke(error);
    }
    this.#sink.item(body);
  }

  #broke(error: unknown): void {
    if (this.#over) return;
    this.#over = true;
    this.#sink.broke(error);
  }
}

function sourceOf(items: Items<BodyValue>): Source {
  return Symbol.asyncIterator in items ? items[Symbol.asyncIterator]() : items[Symbol.iterator]();
}
