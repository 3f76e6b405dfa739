/** Calls the services of one session's connections, and turns what they do into actions of that session. */

import type { IncomingCall } from "../connection/call_state.ts";
import { describeError } from "../observe/json_log.ts";
import type { EncodedBody, Metadata } from "../protocol/messages.ts";
import type { RelayingService } from "../service/relay.ts";
import type { Service } from "../service/service.ts";
import { ConnectionLife, type LifeHost } from "./connection_life.ts";
import { offer } from "./connection_offer.ts";
import { RunnerConnection } from "./runner_connection.ts";
import type { LiveCall } from "./live_call.ts";
import type { ServedSession, ServingNode } from "./served_session.ts";
import { SessionRelays } from "./session_relays.ts";
import type { ServiceEffect } from "./session_events.ts";
import { workStored } from "./work_state.ts";

/** A service that throws is logged and ends its connection, or fails its call; it never ends the session. */
export class SessionServices implements LifeHost {
  readonly session: ServedSession;
  readonly node: ServingNode;
  /** Made when something first lives: most idle sessions have nothing alive. */
  #lives: Map<number, ConnectionLife> | null = null;
  #relays: SessionRelays | null = null;
  /** Made when somebody first waits. */
  #waiters: (() => boolean)[] | null = null;
  /** Handlers that run. */
  #running = 0;
  /** Of these, the ones that began in the turn under way. */
  #begun = 0;
  /** Calls that began in it, and lives on which nothing may be alive any more. */
  #fresh: LiveCall[] = [];
  #idle: ConnectionLife[] = [];

  constructor(session: ServedSession, node: ServingNode) {
    this.session = session;
    this.node = node;
  }

  /** True while handlers began in this turn that may be done within a few microtasks. */
  get fresh(): boolean {
    return this.#begun > 0 && this.#running > 0;
  }

  /** True while something runs that would be lost with this process. */
  get working(): boolean {
    return this.#running > 0 || this.session.state.bound.size > 0;
  }

  /** The turn is over: what goes on is kept, what is over is not. */
  endTurn(): void {
    if (this.#fresh.length > 0) { for (const live of this.#fresh.splice(0)) live.outlive(); }
    if (this.#idle.length > 0) { for (const life of this.#idle.splice(0)) this.#forget(life); }
  }

  /** Waits no longer for what began in this turn. */
  settleForIt(): void {
    this.#begun = 0;
  }

  /** Carries out what the session machine decided about a connection. */
  perform(effect: ServiceEffect): void {
    if (this.#relays?.perform(effect) === true) return;
    switch (effect.kind) {
      case "offer":
        return offer(this, effect.connection, effect.service, effect.metadata);
      case "deliver":
        return this.#deliver(effect.connection, effect.body, effect.seq);
      case "call":
        return this.#call(effect.connection, effect.call, effect.body);
      case "accepted":
        return this.#opened(effect.connection, effect.metadata);
      case "connection_ended":
        return this.#ended(effect.connection, effect.service, effect, "connection-ended");
      case "connection_ending":
        return this.#lives?.get(effect.connection)?.endCalls("connection-ended");
      case "call_over":
        return this.#lives?.get(effect.connection)?.overrule(effect.request, effect.reason);
      case "answered":
        return this.#lives?.get(effect.connection)?.answered(effect.request, effect.ok, effect.body);
      case "item":
        return this.#lives?.get(effect.connection)?.uploaded(effect.request, effect.body);
      case "upload_over":
        return this.#lives?.get(effect.connection)?.uploadOver(effect.request, effect.reason);
      case "relayed":
      case "credited":
        return this.serveWaiters();
      default:
        effect satisfies never;
    }
  }

  /** Tells whoever waits for room that there may be some. */
  serveWaiters(): void {
    this.#relays?.room();
    if (this.#waiters === null || this.#waiters.length === 0) return;
    const waiters = this.#waiters;
    this.#waiters = [];
    for (const waiter of waiters) if (!waiter()) this.#waiters.push(waiter);
  }

  /**
   * Takes up what the store held: this node has the session now, and none of what ran elsewhere (`call.restart`).
   */
  resume(): void {
    const { state } = this.session;
    for (const connection of [...state.mux.connections.values()]) {
      const { id, service, lostWith, phase, offer: metadata, held, calls } = connection;
      if (lostWith !== null) {
        const detail = "it depended on a process that is gone";
        this.session.act({ do: "end", connection: id, reason: lostWith, detail });
        continue;
      }
      if (connection.ending !== null && held.length === 0) {
        this.session.act({ do: "end", connection: id });
        continue;
      }
      if (phase === "offered") offer(this, id, service, metadata ?? {});
      else this.#resumed(id, service);
      const incoming = [...calls?.incoming.values() ?? []].filter(({ early }) => early === null);
      if (held.length + incoming.length === 0 || !state.mux.connections.has(id)) continue;
      const life = this.#lifeFor(id, service);
      if (life === null) continue;
      const workOf = (seq: number) => state.work.get(seq);
      const messages = held.map((seq) => ({ seq, body: workOf(seq)?.body ?? NOTHING }));
      const works = incoming.flatMap((call) => {
        const work = workOf(call.seq);
        return work === undefined ? [] : [{ call, work }];
      });
      // Of a connection that nobody had accepted no handler has begun.
      life.restore(messages, works, phase !== "offered");
      this.forgetIdle(life);
    }
    for (const work of state.work.values()) if (work.stored) workStored(work);
  }

  /** The session left this node's memory: services hear that all its connections are gone from here. */
  left(reason: "moved" | "parked"): void {
    const ending = { reason, detail: LEFT[reason] };
    for (const { id, service } of this.session.state.mux.connections.values()) {
      this.#ended(id, service, ending, "moved");
    }
  }

  #ended(
    id: number,
    name: string,
    ending: { readonly reason: string; readonly detail: string },
    why: "connection-ended" | "moved",
  ): void {
    this.#relays?.ended(id, ending);
    const life = this.#lives?.get(id);
    this.#lives?.delete(id);
    life?.end(why);
    const service = life?.service ?? this.node.services.get(name);
    try {
      const { reason, detail } = ending;
      service?.onEnd?.(new RunnerConnection(this, id), { reason, detail });
    } catch (error) {
      this.threw(name, error);
    }
    this.serveWaiters();
  }

  lifeOf(id: number): ConnectionLife {
    const found = this.#lives?.get(id);
    if (found !== undefined) return found;
    const service = this.node.services.get(this.session.state.mux.connections.get(id)?.service ?? "");
    return this.begin(id, service ?? NO_SERVICE);
  }

  opened(id: number, handler: Service): void {
    this.begin(id, handler);
  }

  relay(id: number, service: RelayingService, metadata: Metadata): void {
    (this.#relays ??= new SessionRelays(this.session)).begin(id, service, metadata);
  }

  /** The life of a connection, if there is one. */
  lifeAt(id: number): ConnectionLife | undefined {
    return this.#lives?.get(id);
  }

  begin(id: number, service: Service): ConnectionLife {
    const life = new ConnectionLife(this, id, service);
    (this.#lives ??= new Map()).set(id, life);
    return life;
  }

  /** Looks at the end of the turn whether anything is alive: calls come and go within one. */
  forgetIdle(life: ConnectionLife): void {
    if (life.idle) this.#idle.push(life);
  }

  /** One that a service opened stays: its handler is known nowhere else. */
  #forget(life: ConnectionLife): void {
    if (!life.idle || this.node.services.get(life.service.name) !== life.service) return;
    if (this.#lives?.get(life.id) === life) this.#lives?.delete(life.id);
  }

  /** The service does not take the connection after all. */
  abandon(id: number): void {
    const life = this.#lives?.get(id);
    this.#lives?.delete(id);
    life?.end("connection-ended");
  }

  wait(waiter: () => boolean): void {
    (this.#waiters ??= []).push(waiter);
  }

  begun(live?: LiveCall): void {
    this.#running++;
    this.#begun++;
    if (live !== undefined) this.#fresh.push(live);
  }

  finished(life: ConnectionLife): void {
    this.decided();
    this.forgetIdle(life);
  }

  decided(): void {
    this.#running--;
    if (this.#begun > 0) this.#begun--;
  }

  threw(service: string, error: unknown): void {
    this.node.log.error("service-failed", {
      session: this.session.state.id,
      service,
      error: describeError(error),
    });
  }

  #resumed(id: number, name: string): void {
    const service = this.node.services.get(name);
    if (service?.onResume === undefined) return;
    try {
      service.onResume(new RunnerConnection(this, id));
    } catch (error) {
      this.threw(name, error);
      this.#fail(id);
    }
  }

  #deliver(id: number, body: EncodedBody, seq: number | null): void {
    // A message before it in the same frame may have ended the connection.
    const name = this.session.state.mux.connections.get(id)?.service;
    if (name === undefined) return;
    if (seq === null) return this.#deliverVolatile(id, name, body);
    const service = this.#lives?.has(id) === true ? undefined : this.node.services.get(name);
    if (service !== undefined && service.messageKind !== "transaction") {
      return this.#deliverAtOnce(id, service, body, seq);
    }
    const life = this.#lifeFor(id, name);
    if (life === null) return;
    life.deliver(body, seq);
    this.forgetIdle(life);
  }

  /** Nothing is alive on the connection, and nothing will be if the service is done at once. */
  #deliverAtOnce(id: number, service: Service, body: EncodedBody, seq: number): void {
    const connection = new RunnerConnection(this, id);
    connection.collect();
    let handling: void | Promise<void>;
    try {
      handling = service.onMessage?.(connection, body);
    } catch (error) {
      this.threw(service.name, error);
      return this.#fail(id);
    }
    if (handling === undefined) {
      for (const action of connection.collected()) this.session.act(action);
      if (service.messageCredit !== undefined) this.session.act({ do: "handled", connection: id, seq: null });
      return;
    }
    this.session.act({ do: "hold", connection: id, seq, body });
    // The handler may have called the client already.
    (this.#lives?.get(id) ?? this.begin(id, service)).await(connection, handling, seq);
  }

  #deliverVolatile(id: number, name: string, body: EncodedBody): void {
    const service = this.#lives?.get(id)?.service ?? this.node.services.get(name);
    try {
      service?.onVolatile?.(new RunnerConnection(this, id), body);
    } catch (error) {
      this.threw(name, error);
      this.#fail(id);
    }
  }

  #call(id: number, call: IncomingCall, body: EncodedBody): void {
    const name = this.session.state.mux.connections.get(id)?.service;
    const life = name === undefined ? null : this.#lifeFor(id, name);
    if (life === null) return;
    life.call(call, body);
    this.forgetIdle(life);
  }

  #opened(id: number, metadata: Metadata): void {
    const service = this.#lives?.get(id)?.service;
    try {
      service?.onOpened?.(new RunnerConnection(this, id), metadata);
    } catch (error) {
      this.threw(service!.name, error);
      this.#fail(id);
    }
  }

  #fail(id: number): void {
    const detail = "the service failed";
    this.session.act({ do: "end", connection: id, reason: "service-failed", detail });
  }

  /** Null, and the connection ends, where this node does not serve it any more. */
  #lifeFor(id: number, name: string): ConnectionLife | null {
    const found = this.#lives?.get(id);
    if (found !== undefined) return found;
    const service = this.node.services.get(name);
    if (service !== undefined) return this.begin(id, service);
    const detail = `this node does not serve ${JSON.stringify(name)} any more`;
    this.session.act({ do: "end", connection: id, reason: "unknown-service", detail });
    return null;
  }
}

const LEFT = {
  moved: "the session goes on elsewhere",
  parked: "nobody attends the session; it may be resumed, here or elsewhere",
};
const NO_SERVICE: Service = { name: "none" };
const NOTHING = new Uint8Array(0);
