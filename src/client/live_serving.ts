/** Services of the application's, and the connections that the server opens to them. */

import { REASON_BYTES } from "../protocol/limits.ts";
import { boundedText, encodeFailure } from "../protocol/rpc_error.ts";
import type { ClientState } from "./client_model.ts";
import type { ClientRunner } from "./client_runner.ts";
import { HoldfastError } from "./errors.ts";
import type { LiveConnection } from "./live_connection.ts";
import { checkCredit, checkService } from "./names.ts";
import type { Called } from "./runner_ports.ts";
import type { ClientService } from "./serving_api.ts";

export class LiveServices {
  readonly #runner: () => ClientRunner;
  readonly #services = new Map<string, ClientService>();

  /** @param runner Gives the session's runner, which may come to be later. */
  constructor(runner: () => ClientRunner) {
    this.#runner = runner;
  }

  /** @throws TypeError for a name that is none; RangeError for a credit that is none; HoldfastError for a name in use. */
  add(service: ClientService): void {
    checkService(service.name, "serve");
    checkCredit(service.messageCredit);
    if (this.#services.has(service.name)) {
      throw new HoldfastError("already-served", `cannot serve ${service.name} twice`);
    }
    this.#services.set(service.name, service);
  }

  /** Tells a session of all services. */
  announce(): void {
    for (const service of this.#services.keys()) this.#runner().act({ kind: "serve", service });
  }

  /** The server opened a connection, or one that it opened was restored. */
  async offered(state: ClientState, connection: LiveConnection): Promise<void> {
    const service = this.#services.get(connection.service);
    if (service === undefined) return;
    connection.answer(service.methods ?? {});
    const { id } = connection;
    try {
      await service.onOpen?.(connection);
    } catch (error) {
      return this.#decline(state, id, error);
    }
    this.#runner().act({ kind: "accept", connection: id, messageCredit: service.messageCredit }, state);
    if (service.onMessage !== undefined) await this.#takeMessages(state, connection, service);
  }

  async #takeMessages(state: ClientState, connection: LiveConnection, service: ClientService): Promise<void> {
    try {
      for await (const value of connection) {
        try {
          await service.onMessage?.(connection, value);
        } catch (error) {
          return this.#decline(state, connection.id, error);
        }
      }
    } catch {
      // The connection's end, which `closed` and the session's events tell.
    }
  }

  #decline(state: ClientState, connection: number, error: unknown): void {
    const runner = this.#runner();
    if (error instanceof HoldfastError && new TextEncoder().encode(error.reason).length <= REASON_BYTES) {
      const { reason, detail } = error;
      return runner.act({ kind: "decline", connection, reason, detail: boundedText(detail) }, state);
    }
    runner.act(
      { kind: "decline", connection, reason: "service-failed", detail: "the service failed" },
      state,
    );
    runner.failed(error);
  }
}

/** Answers a call on a restored connection that the application has not asked for: nothing was done. */
export function refuseUnclaimed(runner: ClientRunner, state: ClientState, call: Called): void {
  const body = encodeFailure({
    code: "unavailable",
    message: "nobody at the client has asked for the connection",
  });
  const { connection, request } = call;
  runner.act({ kind: "respond", connection, request, ok: false, body }, state);
}
