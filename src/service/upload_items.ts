/** The items of one upload, in a handler's hands. */

import { RpcError } from "../protocol/rpc_error.ts";
import type { Gate } from "./gate.ts";
import type { ServedCall } from "./service.ts";

/** What a call's upload is read with. */
type Source = Pick<ServedCall, "nextItem">;

/**
 * Takes, decodes and checks one item at a time, also where several are asked for at once. It has no `return`: leaving a loop
 * ends nothing. After its first error it gives that error again, so that a broken upload never looks like its end.
 */
export class UploadItems implements AsyncIterableIterator<unknown> {
  readonly #source: Source;
  readonly #gate: Gate;
  #taken = 0;
  /** How many were asked for and not given. */
  #asked = 0;
  #last: Promise<Step> = Promise.resolve(FINISHED);
  #end: "finished" | { readonly error: unknown } | null = null;

  constructor(source: Source, gate: Gate) {
    this.#source = source;
    this.#gate = gate;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  next(): Promise<Step> {
    const take = () => this.#take();
    this.#last = this.#asked++ === 0 ? this.#take() : this.#last.then(take, take);
    return this.#last;
  }

  async #take(): Promise<Step> {
    try {
      if (this.#end === "finished") return FINISHED;
      if (this.#end !== null) throw this.#end.error;
      const body = await this.#source.nextItem();
      if (body === null) {
        this.#end = "finished";
        return FINISHED;
      }
      const value = this.#gate.take(body);
      this.#taken++;
      return { done: false, value };
    } catch (error) {
      this.#end ??= { error: this.#told(error) };
      throw this.#end === "finished" ? error : this.#end.error;
    } finally {
      this.#asked--;
    }
  }

  /** The error as the handler is given it. */
  #told(error: unknown): unknown {
    if (error instanceof RpcError) {
      return new RpcError(error.code, `item ${this.#taken + 1} of the upload: ${error.message}`);
    }
    if (error instanceof Error && error.name === "reset") {
      return new RpcError("cancelled", "the caller broke off the upload", { cause: error });
    }
    return error;
  }
}

type Step = IteratorResult<unknown, undefined>;

const FINISHED: Step = { done: true, value: undefined };
