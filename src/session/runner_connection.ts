/** A connection in a service's hands. Made when it is needed, so that an idle one costs nothing here. */

import { hasRoomFor, KEPT_BYTES } from "./work_state.ts";
import type { ConnectionState } from "../connection/mux_model.ts";
import { mayCall } from "../connection/mux_state.ts";
import type { EncodedBody, Metadata } from "../protocol/messages.ts";
import { encodeFailure, failureOf, RpcError } from "../protocol/rpc_error.ts";
import type { CallOutcome, Service, ServiceConnection } from "../service/service.ts";
import type { ConnectionLife } from "./connection_life.ts";
import type { ServiceAction } from "./session_model.ts";
import type { ServedSession, ServingNode } from "./served_session.ts";
import { isWritable } from "./session_service_state.ts";

/** What a connection needs of the session's services. */
export interface ConnectionHost {
  readonly session: ServedSession;
  readonly node: ServingNode;
  /** What is alive on a connection; made when there is nothing yet. */
  lifeOf(id: number): ConnectionLife;
  /** A connection that a service opened to the client begins its life. */
  opened(id: number, handler: Service): void;
  /** Calls `waiter` back whenever the client may take more, until it gives true. */
  wait(waiter: () => boolean): void;
}

/** The reason with which a connection that a service opened ends when this process is lost. */
const OPENER_LOST = "opener-lost";

export class RunnerConnection implements ServiceConnection {
  readonly #host: ConnectionHost;
  readonly id: number;
  /** What is done once all of it is: while this collects, nothing is. */
  #collected: ServiceAction[] | null = null;

  constructor(host: ConnectionHost, id: number) {
    this.#host = host;
    this.id = id;
  }

  get session(): string {
    return this.#host.session.state.id;
  }

  get principal(): string {
    return this.#host.session.state.principal;
  }

  get service(): string {
    return this.#state?.service ?? "";
  }

  get now(): number {
    return this.#host.node.clock.now();
  }

  get kept(): EncodedBody | null {
    const collected = this.#collected?.findLast((action) => action.do === "keep");
    return collected?.do === "keep" ? collected.value : this.#state?.kept ?? null;
  }

  get writable(): boolean {
    return isWritable(this.#host.session.state, this.id);
  }

  whenWritable(): Promise<void> {
    if (this.#isOver || this.writable) return Promise.resolve();
    return new Promise((resolve) => {
      this.#host.wait(() => {
        if (!this.#isOver && !this.writable) return false;
        resolve();
        return true;
      });
    });
  }

  send(body: EncodedBody): void {
    this.#act({ do: "send", connection: this.id, body });
  }

  sendVolatile(body: EncodedBody): void {
    this.#act({ do: "send_volatile", connection: this.id, body });
  }

  keep(value: EncodedBody): void {
    if (value.length > KEPT_BYTES) {
      throw new RangeError(`cannot keep ${value.length} bytes with a connection; at most ${KEPT_BYTES}`);
    }
    if (!hasRoomFor(this.#host.session.state, value.length)) {
      throw new RangeError("cannot keep more: the session holds as much as it may (delivery.bounded)");
    }
    this.#act({ do: "keep", connection: this.id, value });
  }

  bindToNode(reason: string): void {
    this.#act({ do: "bind", connection: this.id, reason });
  }

  end(reason?: string, detail?: string): void {
    this.#act({
      do: "end",
      connection: this.id,
      ...(reason === undefined ? {} : { reason }),
      ...(detail === undefined ? {} : { detail }),
    });
  }

  openToClient(handler: Service, metadata?: Metadata): ServiceConnection {
    const { session } = this.#host;
    const { mux } = session.state;
    if (this.#isOver) throw new RpcError("unavailable", "the connection is over");
    if (mux.connections.size >= mux.most) {
      throw new RpcError("resource-exhausted", `at most ${mux.most} connections in a session`);
    }
    const opening = metadata === undefined ? {} : { metadata };
    session.act({ do: "open", connection: 0, service: handler.name, opening });
    const id = mux.highestOwn;
    session.act({ do: "bind", connection: id, reason: OPENER_LOST });
    this.#host.opened(id, handler);
    return new RunnerConnection(this.#host, id);
  }

  call(
    method: string,
    body: EncodedBody,
    { timeout }: { readonly timeout?: number } = {},
  ): Promise<CallOutcome> {
    const { session, node } = this.#host;
    if (this.#isOver) return failed("unavailable", "the connection is over");
    if (!mayCall(session.state.mux, this.id)) {
      return failed("resource-exhausted", "as many calls are in flight as may be (call.limit)");
    }
    session.act({ do: "call", connection: this.id, method, body, timeout });
    const request = this.#state?.calls?.highestOutgoing ?? 0;
    return new Promise((resolve) => {
      const life = this.#host.lifeOf(this.id);
      const cancelTimer = timeout === undefined ? () => {} : node.clock.wakeAt(this.now + timeout, () => {
        if (!life.outgoing.delete(request)) return;
        session.act({ do: "cancel", connection: this.id, request });
        void failed("deadline-exceeded", "the client did not answer in time").then(resolve);
      });
      life.outgoing.set(request, (outcome) => {
        cancelTimer();
        resolve(outcome);
      });
    });
  }

  /** Does nothing from now on but take down what is to be done. */
  collect(): void {
    this.#collected ??= [];
  }

  /** Ends {@link collect}. @returns What was taken down, in order. */
  collected(): readonly ServiceAction[] {
    const actions = this.#collected ?? [];
    this.#collected = null;
    return actions;
  }

  get #state(): ConnectionState | undefined {
    return this.#host.session.state.mux.connections.get(this.id);
  }

  get #isOver(): boolean {
    const state = this.#state;
    return !this.#host.session.live || state === undefined || state.ending !== null;
  }

  #act(action: ServiceAction): void {
    if (this.#collected !== null) this.#collected.push(action);
    else this.#host.session.act(action);
  }
}

function failed(code: RpcError["code"], message: string): Promise<CallOutcome> {
  return Promise.resolve({ ok: false, error: failureOf(new RpcError(code, message)) });
}

/** A failure of the host's own, encoded. */
export function hostFailure(code: RpcError["code"], message: string): EncodedBody {
  return encodeFailure({ code, message });
}
