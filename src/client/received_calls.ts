/** The server's calls on one connection, and the application's handlers that answer them. */

import { type BodyValue, decodeBody, encodeBody } from "../protocol/body.ts";
import type { EncodedBody } from "../protocol/messages.ts";
import { encodeFailure, failureOf, RpcError } from "../protocol/rpc_error.ts";
import type { RpcCode } from "../protocol/rpc_codes.ts";
import { largestBody } from "./client_numbering_state.ts";
import type { ClientState } from "./client_model.ts";
import type { ClientRunner } from "./client_runner.ts";
import type { Connection } from "./connection_api.ts";
import type { Called } from "./runner_ports.ts";
import type { ClientMethod, ClientMethods } from "./serving_api.ts";

export class ReceivedCalls {
  readonly #runner: ClientRunner;
  readonly #state: ClientState;
  readonly #connection: Connection;
  readonly #methods: ClientMethods;
  /** Handlers that run, by request. */
  readonly #running = new Map<number, AbortController>();
  /** What came before the connection was accepted; null since then. */
  #early: Called[] | null;

  /** @param accepted False: handlers wait for {@link accepted}. */
  constructor(
    runner: ClientRunner,
    state: ClientState,
    connection: Connection,
    methods: ClientMethods,
    accepted: boolean,
  ) {
    this.#runner = runner;
    this.#state = state;
    this.#connection = connection;
    this.#methods = methods;
    this.#early = accepted ? null : [];
  }

  called(call: Called): void {
    if (this.#early !== null) return void this.#early.push(call);
    const { request, method, channels } = call;
    const handler = Object.hasOwn(this.#methods, method) ? this.#methods[method] : undefined;
    if (handler === undefined) {
      return this.#fail(request, "unknown-method", `the client has no method ${JSON.stringify(method)} here`);
    }
    if (channels) {
      return this.#fail(
        request,
        "invalid-argument",
        `${method} has one argument and one result, and no items`,
      );
    }
    void this.#run(handler, call);
  }

  /** The connection was accepted: what came before is answered now. */
  accepted(): void {
    const early = this.#early ?? [];
    this.#early = null;
    for (const call of early) this.called(call);
  }

  aborted(request: number, reason: string): void {
    this.#early = this.#early?.filter((call) => call.request !== request) ?? null;
    const controller = this.#running.get(request);
    this.#running.delete(request);
    controller?.abort(new RpcError(reason as RpcCode, reason));
  }

  /** The connection is over. */
  over(): void {
    this.#early = null;
    for (const request of [...this.#running.keys()]) this.aborted(request, "cancelled");
  }

  async #run(handler: ClientMethod, { request, body, metadata }: Called): Promise<void> {
    const controller = new AbortController();
    this.#running.set(request, controller);
    const { signal } = controller;
    try {
      const value = await handler(decodeBody(body), { connection: this.#connection, metadata, signal });
      const answer = encodeBody(value as BodyValue | undefined ?? null);
      const most = largestBody(this.#state, Infinity);
      if (answer.length > most) throw new RangeError(`an answer of ${answer.length} bytes; at most ${most}`);
      if (this.#running.delete(request)) this.#respond(request, true, answer);
    } catch (error) {
      // One that was aborted is answered already, and what it says about that is no news.
      if (this.#running.delete(request)) this.#respond(request, false, this.#failureOf(error));
    }
  }

  #failureOf(error: unknown): EncodedBody {
    if (error instanceof RpcError) {
      try {
        return encodeFailure(failureOf(error));
      } catch (problem) {
        this.#runner.failed(problem);
      }
    } else {
      this.#runner.failed(error);
    }
    return encodeFailure({ code: "internal", message: "the handler failed" });
  }

  #fail(request: number, code: RpcCode, message: string): void {
    this.#respond(request, false, encodeFailure({ code, message }));
  }

  #respond(request: number, ok: boolean, body: EncodedBody): void {
    this.#runner.act({ kind: "respond", connection: this.#connection.id, request, ok, body }, this.#state);
  }
}
