/** Calls the services of one session's connections, and turns what they do into actions of that session. */

import { describeError } from "../observe/json_log.ts";
import type { Log } from "../observe/log.ts";
import type { Rejection, Service, ServiceConnection } from "../service/service.ts";
import type { ServiceAction, SessionState } from "./session_model.ts";

/** The session, as its services' side needs it. */
export interface ServedSession {
  readonly state: SessionState;
  act(action: ServiceAction): void;
}

/** A service that throws is logged and ends its connection; it never ends the session. */
export class SessionServices {
  readonly #session: ServedSession;
  readonly #host: { readonly services: ReadonlyMap<string, Service>; readonly log: Log };

  constructor(
    session: ServedSession,
    host: { readonly services: ReadonlyMap<string, Service>; readonly log: Log },
  ) {
    this.#session = session;
    this.#host = host;
  }

  /** The client opens a connection: a service takes it or rejects it. */
  offer(id: number, name: string, metadata: { readonly [key: string]: string }): void {
    const service = this.#host.services.get(name);
    if (service === undefined) {
      const detail = `no service ${JSON.stringify(name)} here`;
      return this.#session.act({ do: "reject", connection: id, reason: "unknown-service", detail });
    }
    // What the service does before it has accepted follows the accept.
    const early: ServiceAction[] = [];
    let opening = true;
    const connection = new RunnerConnection({
      state: this.#session.state,
      act: (action) => opening ? void early.push(action) : this.#session.act(action),
    }, id);
    let rejection: Rejection | void = undefined;
    try {
      rejection = service.onOpen?.(connection, metadata);
    } catch (error) {
      rejection = { reason: "service-failed", detail: "the service failed" };
      this.#threw(name, error);
    }
    opening = false;
    if (rejection !== undefined) {
      return this.#session.act({ do: "reject", connection: id, ...rejection });
    }
    this.#session.act({ do: "accept", connection: id });
    for (const action of early) this.#session.act(action);
  }

  /** Hands one message to the service of its connection. */
  deliver(id: number, body: Uint8Array, volatile: boolean): void {
    // A message before it in the same frame may have ended the connection.
    const name = this.#session.state.mux.connections.get(id)?.service;
    if (name === undefined) return;
    const service = this.#host.services.get(name);
    if (service === undefined) {
      const detail = `this node does not serve ${JSON.stringify(name)} any more`;
      return this.#session.act({ do: "end", connection: id, reason: "unknown-service", detail });
    }
    const connection = new RunnerConnection(this.#session, id);
    try {
      if (volatile) service.onVolatile?.(connection, body);
      else service.onMessage(connection, body);
    } catch (error) {
      this.#threw(name, error);
      this.#session.act({
        do: "end",
        connection: id,
        reason: "service-failed",
        detail: "the service failed",
      });
    }
  }

  /** Tells a service that a connection is gone from this node. */
  ended(id: number, name: string): void {
    try {
      this.#host.services.get(name)?.onEnd?.(new RunnerConnection(this.#session, id));
    } catch (error) {
      this.#threw(name, error);
    }
  }

  #threw(service: string, error: unknown): void {
    this.#host.log.error("service-failed", {
      session: this.#session.state.id,
      service,
      error: describeError(error),
    });
  }
}

/** A connection in a service's hands: made when it is needed, so that an idle one costs nothing here. */
class RunnerConnection implements ServiceConnection {
  readonly #session: ServedSession;
  readonly id: number;

  constructor(session: ServedSession, id: number) {
    this.#session = session;
    this.id = id;
  }

  get session(): string {
    return this.#session.state.id;
  }

  get principal(): string {
    return this.#session.state.principal;
  }

  send(body: Uint8Array): void {
    this.#session.act({ do: "send", connection: this.id, body });
  }

  sendVolatile(body: Uint8Array): void {
    this.#session.act({ do: "send_volatile", connection: this.id, body });
  }

  end(reason?: string, detail?: string): void {
    this.#session.act({
      do: "end",
      connection: this.id,
      ...(reason === undefined ? {} : { reason }),
      ...(detail === undefined ? {} : { detail }),
    });
  }
}
