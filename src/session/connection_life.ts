/** What is alive on one connection: messages, calls, uploads, answers that are waited for. Where nothing is, there is none. */

import type { IncomingCall } from "../connection/call_state.ts";
import type { EncodedBody } from "../protocol/messages.ts";
import { decodeFailure, failureOf } from "../protocol/rpc_error.ts";
import type { CallFailure, CallOutcome, Service, Transaction } from "../service/service.ts";
import { publicId } from "../system/random.ts";
import { problemOf } from "./call_check.ts";
import { CallObserver } from "./call_observer.ts";
import { type CallHost, LiveCall, type Overruling } from "./live_call.ts";
import { ownerOf } from "./operation_record.ts";
import { type ConnectionHost, hostFailure, RunnerConnection } from "./runner_connection.ts";
import type { Work } from "./session_model.ts";
import { maySendItem } from "./session_service_state.ts";

/** What a life needs beside what its connection does. */
export interface LifeHost extends ConnectionHost {
  /** A handler began; of a call, if one is given. */
  begun(live?: LiveCall): void;
  /** It is over. */
  finished(life: ConnectionLife): void;
  /** A handler threw. */
  threw(service: string, error: unknown): void;
}

interface Held {
  readonly seq: number;
  readonly body: EncodedBody;
}

export class ConnectionLife implements CallHost {
  readonly id: number;
  readonly service: Service;
  readonly connection: RunnerConnection;
  /** Who waits for which answer of the client. */
  readonly outgoing = new Map<number, (outcome: CallOutcome) => void>();
  /** The service has not said yet whether it takes the connection. */
  opening = false;
  readonly #host: LifeHost;
  readonly #calls = new Map<number, LiveCall>();
  /** Messages behind the one that is being handled. */
  #held: Held[] = [];
  /** Calls that came before the connection was accepted. */
  #early: { readonly call: IncomingCall; readonly live: LiveCall }[] = [];
  #busy = false;
  readonly #observer: CallObserver;
  /** The connection is gone from this node. */
  over = false;

  constructor(host: LifeHost, id: number, service: Service) {
    this.#host = host;
    this.id = id;
    this.service = service;
    this.connection = new RunnerConnection(host, id);
    this.#observer = new CallObserver(host.node, service, host.session.state.id);
  }

  /** True while nothing is alive here. */
  get idle(): boolean {
    return !this.#busy && !this.opening && this.#calls.size === 0 && this.#held.length === 0 &&
      this.#early.length === 0 && this.outgoing.size === 0;
  }

  /** True if a message may be handled now. */
  get ready(): boolean {
    return !this.opening && !this.#busy && this.#held.length === 0;
  }

  /** A message came. */
  deliver(body: EncodedBody, seq: number): void {
    if (this.ready) return this.#handle(body, seq, false);
    this.#host.session.act({ do: "hold", connection: this.id, seq, body });
    if (this.over) return;
    this.#held.push({ seq, body: body.buffer.byteLength > 2 * body.length ? body.slice() : body });
  }

  /**
   * Takes up what an earlier process left: its messages, and its calls by what their methods declare.
   *
   * @param begun Handlers of the calls may have begun there.
   */
  restore(
    messages: readonly Held[],
    unanswered: readonly { readonly call: IncomingCall; readonly work: Work }[],
    begun: boolean,
  ): void {
    this.#held.push(...messages);
    const now = this.#host.node.clock.now();
    const calls = this.#host.session.state.mux.connections.get(this.id)?.calls;
    for (const { call, work } of unanswered) {
      // The items that came went with that process.
      const again = begun || (call.upload?.end.received ?? 0) > 0;
      const live = new LiveCall(this, call, work.body, again, now);
      if (call.upload !== null && calls?.channels.has(call.upload.id) !== true) live.uploadOver(call.broken);
      this.#early.push({ call, live });
    }
    if (this.opening) return;
    this.#takeEarly();
    this.pump();
  }

  /** The connection is accepted: what came before is taken up. */
  accepted(): void {
    this.opening = false;
    // Calls when the accept is committed: it is what a later process knows by that their handlers may have begun.
    if (this.#early.length > 0) void this.#host.session.whenCommitted().then(() => this.#takeEarly());
    this.pump();
  }

  #takeEarly(): void {
    const { incoming } = this.#host.session.state.mux.connections.get(this.id)?.calls ?? {};
    // One at a time: while some are left, this life is not idle.
    for (let next = this.#early.shift(); next !== undefined; next = this.#early.shift()) {
      if (incoming?.get(next.call.request) === next.call) this.#take(next.call, next.live);
    }
  }

  /** A call came. */
  call(call: IncomingCall, body: EncodedBody): void {
    const live = new LiveCall(this, call, body, false, this.#host.node.clock.now());
    if (this.opening) this.#early.push({ call, live });
    else this.#take(call, live);
  }

  #take(call: IncomingCall, live: LiveCall): void {
    this.#observer.began(live);
    const method = this.service.methods?.get(call.method);
    const problem = problemOf(call, method, this.service.name);
    if (problem !== null) {
      return this.answer(live, false, hostFailure(problem.code, problem.message), problem.code);
    }
    this.#calls.set(call.request, live);
    if (live.operation !== null && method!.kind !== "transaction") {
      this.#host.begun();
      return this.#host.node.operations.dispatch(this, live, method!.retry === "safe");
    }
    if (live.again && method!.kind !== "transaction" && method!.retry !== "safe") {
      const text = "its node was lost; it may have had effects, or not";
      this.#calls.delete(call.request);
      return this.answer(live, false, hostFailure("indeterminate", text), "indeterminate");
    }
    this.#run(live);
  }

  #run(live: LiveCall): void {
    // Before it begins: it may be done at once.
    this.#host.begun(live);
    let handling: void | Promise<void>;
    try {
      handling = this.service.onCall?.(live);
    } catch (error) {
      return this.callFailed(live, error);
    }
    if (handling !== undefined) handling.catch((error: unknown) => this.callFailed(live, error));
  }

  /** The handler of a call threw. */
  callFailed(live: LiveCall, error: unknown): void {
    // What a handler throws because it was told to stop is no failure of its own.
    if (live.over) return;
    this.report(error);
    live.fail({ code: "internal", message: "the service failed" });
  }

  /** Logs what a handler threw. */
  report(error: unknown): void {
    this.#host.threw(this.service.name, error);
  }

  /** A transaction is committed, and its caller is told. */
  settled(live: LiveCall, outcome: string): void {
    live.over = true;
    if (!this.#calls.delete(live.request)) return;
    this.#observer.over(live, outcome);
    this.#host.finished(this);
  }

  /** The client wants no answer any more, or its time is over. */
  overrule(request: number, why: Overruling): void {
    const live = this.#calls.get(request);
    if (live === undefined) return;
    this.#calls.delete(request);
    live.overrule(why);
    this.#observer.over(live, why);
    this.#host.finished(this);
  }

  /** An item of a call's upload came. */
  uploaded(request: number, body: EncodedBody): void {
    this.#find(request)?.item(body);
  }

  uploadOver(request: number, reason: string | null): void {
    this.#find(request)?.uploadOver(reason);
  }

  #find(request: number): LiveCall | undefined {
    return this.#calls.get(request) ?? this.#early.find(({ live }) => live.request === request)?.live;
  }

  /** The client answered a call of the service's. */
  answered(request: number, ok: boolean, body: EncodedBody): void {
    const resolve = this.outgoing.get(request);
    this.outgoing.delete(request);
    resolve?.(ok ? { ok, body } : { ok, error: failureOf(decodeFailure(body)) });
  }

  /** The connection is gone from this node. */
  end(why: "connection-ended" | "moved"): void {
    this.over = true;
    this.#held = [];
    // What its handler still does is nothing any more.
    this.#free();
    this.endCalls(why);
  }

  /** The calls of the connection are over, in both directions. */
  endCalls(why: "connection-ended" | "moved"): void {
    this.#early = [];
    for (const request of [...this.#calls.keys()]) this.overrule(request, why);
    const lost = decodeFailure(
      hostFailure("indeterminate", "the connection is over before the client answered"),
    );
    for (const resolve of this.outgoing.values()) resolve({ ok: false, error: failureOf(lost) });
    this.outgoing.clear();
  }

  /** Handles what is held, one message at a time, until one takes time. */
  pump(): void {
    while (!this.#busy && !this.opening && !this.over) {
      const next = this.#held.shift();
      if (next === undefined) return;
      this.#handle(next.body, next.seq, true);
    }
  }

  // CallHost

  get owner(): string {
    const { principal, id } = this.#host.session.state;
    return ownerOf(principal, id);
  }

  stamp(): string {
    return publicId(this.#host.node.random);
  }

  answer(live: LiveCall, ok: boolean, body: EncodedBody, reason: string): void {
    live.over = true;
    const running = this.#calls.delete(live.request);
    this.#host.session.act({ do: "respond", connection: this.id, request: live.request, ok, body, reason });
    this.#observer.over(live, ok ? "ok" : reason);
    if (running) this.#host.finished(this);
  }

  item(channel: number, body: EncodedBody): boolean {
    const { session } = this.#host;
    if (!maySendItem(session.state, this.id, channel, body.length)) return false;
    session.act({ do: "item", connection: this.id, channel, body });
    return true;
  }

  mayItem(channel: number, bytes: number): boolean {
    return maySendItem(this.#host.session.state, this.id, channel, bytes);
  }

  get mostItem(): number {
    return this.#host.session.state.settings.limits.bodyBytes;
  }

  wait(waiter: () => boolean): void {
    this.#host.wait(waiter);
  }

  consumed(request: number, channel: number, bytes: number): void {
    this.#host.session.act({ do: "consume", connection: this.id, request, channel, bytes });
  }

  transact(live: LiveCall, run: (tx: Transaction) => Promise<EncodedBody | CallFailure>): void {
    this.#host.session.transactions.startCall(this, live, run);
  }

  #handle(body: EncodedBody, seq: number, held: boolean): void {
    const { service } = this;
    const { session } = this.#host;
    if (service.messageKind === "transaction") return this.#handleInTransaction(body, seq, held);
    const connection = new RunnerConnection(this.#host, this.id);
    connection.collect();
    let handling: void | Promise<void>;
    try {
      handling = service.onMessage?.(connection, body);
    } catch (error) {
      return this.#messageFailed(error);
    }
    if (handling === undefined) {
      for (const action of connection.collected()) session.act(action);
      return session.act({ do: "handled", connection: this.id, seq: held ? seq : null });
    }
    if (!held) session.act({ do: "hold", connection: this.id, seq, body });
    this.await(connection, handling, seq);
  }

  /** The handling of a message that is held takes time: what it does, and is collected, is done when it is over. */
  await(connection: RunnerConnection, handling: Promise<void>, seq: number): void {
    const { session } = this.#host;
    if (this.over) return void handling.catch((error: unknown) => this.#host.threw(this.service.name, error));
    this.#busy = true;
    this.#host.begun();
    handling.then(() => {
      const actions = connection.collected();
      this.#free();
      if (this.over) return;
      for (const action of actions) session.act(action);
      session.act({ do: "handled", connection: this.id, seq });
      this.pump();
    }, (error: unknown) => {
      this.#free();
      if (!this.over) this.#messageFailed(error);
    });
  }

  #handleInTransaction(body: EncodedBody, seq: number, held: boolean): void {
    const { session } = this.#host;
    if (!held) session.act({ do: "hold", connection: this.id, seq, body });
    if (this.over) return;
    this.#busy = true;
    this.#host.begun();
    session.transactions.startMessage(
      this,
      seq,
      (tx) => this.service.onMessageTransaction!(this.connection, body, tx),
      () => {
        this.#free();
        this.pump();
      },
    );
  }

  #free(): void {
    if (!this.#busy) return;
    this.#busy = false;
    this.#host.finished(this);
  }

  #messageFailed(error: unknown): void {
    this.#host.threw(this.service.name, error);
    this.connection.end("service-failed", "the service failed");
  }
}
