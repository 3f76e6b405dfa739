/** A call that stands for an operation: its handler answers all who wait for the outcome. */

import type { EncodedBody, Metadata } from "../protocol/messages.ts";
import { encodeFailure } from "../protocol/rpc_error.ts";
import type { CallFailure, ServedCall, Service, ServiceConnection } from "../service/service.ts";
import type { LiveCall } from "./live_call.ts";
import type { Outcome } from "./operation_record.ts";

/**
 * It has no deadline and is not cancelled: one caller's `cancelled` or `deadline-exceeded` detaches that caller, and others
 * may come for the outcome later.
 */
export class OperationCall implements ServedCall {
  readonly connection: ServiceConnection;
  readonly method: string;
  readonly body: EncodedBody;
  readonly metadata: Metadata;
  readonly again: boolean;
  readonly deadline = null;
  readonly itemsSent = 0;
  readonly #resolve: (outcome: Outcome) => void;
  #signal: AbortSignal | null = null;

  private constructor(connection: ServiceConnection, call: LiveCall, resolve: (outcome: Outcome) => void) {
    this.connection = connection;
    this.method = call.method;
    this.body = call.body;
    this.metadata = call.metadata;
    this.again = call.again;
    this.#resolve = resolve;
  }

  /** Runs the handler. Never rejects: what it throws is told to `report` and is `internal`. */
  static run(
    service: Service,
    connection: ServiceConnection,
    call: LiveCall,
    report: (error: unknown) => void,
  ): Promise<Outcome> {
    return new Promise((resolve) => {
      const served = new OperationCall(connection, call, resolve);
      const threw = (error: unknown) => {
        report(error);
        served.fail({ code: "internal", message: "the service failed" });
      };
      try {
        const handling = service.onCall?.(served);
        if (handling !== undefined) handling.catch(threw);
      } catch (error) {
        threw(error);
      }
    });
  }

  get signal(): AbortSignal {
    return this.#signal ??= new AbortController().signal;
  }

  respond(body: EncodedBody): void {
    this.#resolve({ ok: true, body, reason: "" });
  }

  fail(failure: CallFailure): void {
    this.#resolve({ ok: false, body: encodeFailure(failure), reason: failure.code });
  }

  trySend(): boolean {
    return true;
  }

  whenCredit(): Promise<void> {
    return Promise.resolve();
  }

  nextItem(): Promise<EncodedBody | null> {
    return Promise.resolve(null);
  }

  transact(): void {
    throw new Error(`${this.method} is no transaction`);
  }
}
