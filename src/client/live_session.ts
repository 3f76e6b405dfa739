/** The application's side of a session. */

import { DEFAULT_LIMITS } from "../protocol/limits.ts";
import type {
  Connection,
  Ending,
  OpenOptions,
  Session,
  SessionEventName,
  SessionEvents,
  SessionPhase,
} from "./api.ts";
import type { Told } from "./client_events.ts";
import type { ClientState, ConnectionEnding } from "./client_model.ts";
import { ClientRunner } from "./client_runner.ts";
import { phaseOf } from "./client_state.ts";
import { checkEndingTexts } from "./ending_texts.ts";
import { HoldfastError } from "./errors.ts";
import { size } from "./fifo.ts";
import { LiveConnection } from "./live_connection.ts";
import { LiveServices, refuseUnclaimed } from "./live_serving.ts";
import { checkCredit, checkMetadata, checkService } from "./names.ts";
import type { Called, RunnerHost, RunnerListener } from "./runner_ports.ts";
import type { ClientService } from "./serving_api.ts";

type Listener = (details: never) => void;

/** A session as `connect` gives it. */
export class LiveSession implements Session, RunnerListener {
  readonly ready: Promise<void>;
  readonly #runner: ClientRunner;
  readonly #listeners = new Map<SessionEventName, Set<Listener>>();
  /** Of the present session, by id. */
  #live = new Map<number, LiveConnection>();
  /** Restored, and not asked for yet. */
  #unclaimed = new Set<LiveConnection>();
  readonly #services = new LiveServices(() => this.#runner);
  readonly #storedBytes: number;
  readonly #startsAnew: boolean;
  #closers: (() => void)[] = [];
  #stopProbes: () => void = () => {};

  /**
   * @param services What the application serves from the start.
   * @param watch Calls its argument whenever there is a reason to doubt the conduit; gives what stops that.
   */
  constructor(
    host: RunnerHost,
    services: readonly ClientService[],
    watch: (nudge: () => void) => () => void,
  ) {
    for (const service of services) this.#services.add(service);
    this.#storedBytes = host.settings.storedBytes;
    this.#startsAnew = host.startAnew;
    this.#runner = new ClientRunner(host, this);
    this.ready = new Promise((resolve) => this.#runner.whenReady(resolve));
    this.#stopProbes = watch(() => this.#runner.happen({ kind: "nudge" }));
    this.#runner.begin();
  }

  get id(): string | null {
    return this.#runner.state?.identity?.session ?? null;
  }

  get phase(): SessionPhase {
    return this.#runner.state === null ? "idle" : phaseOf(this.#runner.state);
  }

  get ending(): Ending | null {
    return this.#runner.state?.ended ?? null;
  }

  get unacked(): number {
    const state = this.#runner.state;
    if (state === null) return 0;
    let unacked = state.delivery.sent - state.delivery.acked;
    for (const { waiting, parked } of state.connections.values()) unacked += size(waiting) + size(parked);
    return unacked + state.uploading.size;
  }

  get connections(): readonly Connection[] {
    return [...this.#live.values()].sort((a, b) => a.id - b.id);
  }

  open(named: string | { readonly name: string }, options: OpenOptions = {}): LiveConnection {
    const service = typeof named === "string" ? named : named.name;
    checkService(service, "open");
    checkMetadata(options.metadata);
    checkCredit(options.messageCredit);
    const connection = this.#newConnection(service);
    if (this.#runner.state !== null) return this.#open(this.#runner.state, connection, options);
    this.#runner.whenReady(() => void this.#openLater(connection, options));
    return connection;
  }

  serve(service: ClientService): void {
    this.#services.add(service);
    this.#runner.whenReady(() => this.#runner.act({ kind: "serve", service: service.name }));
  }

  close(reason = "closed", detail = ""): Promise<void> {
    return new Promise((resolve) => {
      checkEndingTexts(reason, detail);
      if (this.ending !== null) return resolve();
      this.#closers.push(resolve);
      this.#runner.whenReady(() => this.#runner.happen({ kind: "close", reason, detail }));
    });
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  on<Name extends SessionEventName>(
    event: Name,
    listener: (details: SessionEvents[Name]) => void,
  ): () => void {
    let listeners = this.#listeners.get(event);
    if (listeners === undefined) this.#listeners.set(event, listeners = new Set());
    // A function of its own, so that the same listener may be added twice.
    const own = (details: SessionEvents[Name]) => listener(details);
    listeners.add(own);
    return () => void listeners.delete(own);
  }

  breakConduit(): void {
    this.#runner.happen({ kind: "cut" });
  }

  goOffline(): void {
    this.#runner.whenReady(() => this.#runner.happen({ kind: "go_offline" }));
  }

  goOnline(): void {
    this.#runner.whenReady(() => this.#runner.happen({ kind: "go_online" }));
  }

  // RunnerListener

  loaded(state: ClientState): void {
    this.#live = new Map();
    this.#unclaimed = new Set();
    for (
      const { id, service, serving, hidden } of [...state.connections.values()].sort((a, b) => a.id - b.id)
    ) {
      if (hidden) continue;
      const connection = this.#newConnection(service);
      this.#live.set(id, connection);
      if (!serving) this.#unclaimed.add(connection);
      connection.bind(state, id);
    }
    this.#services.announce();
  }

  told(event: Told): void {
    if (event.name === "ended" || event.name === "lost" || event.name === "taken-over") this.#over();
    const listeners = this.#listeners.get(event.name);
    if (event.name === "error" && (listeners === undefined || listeners.size === 0)) {
      return reportUnheard(event.details.error);
    }
    for (const listener of [...listeners ?? []]) {
      try {
        listener(event.details as never);
      } catch (error) {
        if (event.name === "error") reportUnheard(error);
        else this.#runner.failed(error);
      }
    }
  }

  accepted(state: ClientState, id: number): void {
    this.#of(state, id)?.accepted();
  }

  arrived(state: ClientState, id: number): void {
    this.#of(state, id)?.arrived();
  }

  volatile(state: ClientState, id: number, body: Uint8Array): void {
    this.#of(state, id)?.volatile(body);
  }

  over(state: ClientState, id: number, ending: ConnectionEnding): void {
    const connection = this.#of(state, id);
    if (connection === undefined) return;
    connection.over(ending);
    // One that was restored and has messages left may still be asked for.
    if (!this.#unclaimed.has(connection)) this.#live.delete(id);
  }

  offered(state: ClientState, id: number): void {
    const record = state.connections.get(id);
    if (state !== this.#runner.state || record === undefined) return;
    let connection = this.#live.get(id);
    if (connection === undefined) {
      connection = this.#newConnection(record.service);
      this.#live.set(id, connection);
      connection.bind(state, id);
    }
    void this.#services.offered(state, connection);
  }

  called(state: ClientState, call: Called): void {
    const connection = this.#of(state, call.connection);
    if (connection === undefined || this.#unclaimed.has(connection)) {
      return refuseUnclaimed(this.#runner, state, call);
    }
    connection.called(state, call);
  }

  aborted(state: ClientState, id: number, request: number, reason: string): void {
    this.#of(state, id)?.aborted(request, reason);
  }

  #newConnection(service: string): LiveConnection {
    return new LiveConnection(this.#runner, service, (error) => this.#runner.failed(error));
  }

  #of(state: ClientState, id: number): LiveConnection | undefined {
    return state === this.#runner.state ? this.#live.get(id) : undefined;
  }

  #open(state: ClientState, connection: LiveConnection, options: OpenOptions): LiveConnection {
    const { service } = connection;
    const { metadata, messageCredit, methods = {} } = options;
    if (state.ended !== null) {
      throw new HoldfastError(state.ended.reason, `cannot open ${service}: the session is over`);
    }
    for (const restored of this.#unclaimed) {
      if (restored.service !== service) continue;
      this.#unclaimed.delete(restored);
      if (restored.ending !== null) this.#live.delete(restored.id);
      restored.answer(methods);
      return restored;
    }
    const most = state.agreed?.limits.connections ?? DEFAULT_LIMITS.connections;
    if (state.mux.connections.size >= most) {
      throw new HoldfastError("too-many-connections", `cannot open ${service}: ${most} connections are open`);
    }
    if (state.delivery.retainedBytes + state.waitingBytes > this.#storedBytes) {
      throw new HoldfastError(
        "overloaded",
        `cannot open ${service}: ${this.#storedBytes} bytes wait to be sent`,
      );
    }
    this.#runner.act({ kind: "open", service, metadata, messageCredit });
    const id = state.mux.highestOwn;
    this.#live.set(id, connection);
    connection.bind(state, id);
    connection.answer(methods);
    return connection;
  }

  #openLater(connection: LiveConnection, options: OpenOptions): void {
    const state = this.#runner.state!;
    const { service } = connection;
    const restored = [...this.#unclaimed].find((candidate) => candidate.service === service);
    if (restored !== undefined) {
      this.#unclaimed.delete(restored);
      // The application holds this object; it takes the restored one's place.
      this.#live.set(restored.id, connection);
      connection.answer(options.methods ?? {});
      connection.bind(state, restored.id);
      if (restored.ending !== null) this.#live.delete(restored.id);
      return;
    }
    try {
      this.#open(state, connection, options);
    } catch (error) {
      const reason = error instanceof HoldfastError ? error.reason : "ended";
      connection.over({
        reason,
        detail: error instanceof Error ? error.message : String(error),
        failed: true,
        by: "other",
      });
    }
  }

  #over(): void {
    for (const closer of this.#closers.splice(0)) closer();
    if (!this.#startsAnew) this.#stopProbes();
  }
}

/** An error that nobody listens to is the platform's: it must not vanish. */
function reportUnheard(error: unknown): void {
  if (typeof reportError === "function") return reportError(error);
  queueMicrotask(() => {
    throw error;
  });
}
