/**
 * The sessions of one node: which are in memory, which conduits are open, and how the node lets go of all of them.
 */

import type { Conduit, ConduitHandler } from "../conduit/conduit.ts";
import type { Log } from "../observe/log.ts";
import type { FrameCodec, Subprotocol } from "../protocol/codec.ts";
import { codecFor } from "../protocol/codecs.ts";
import type { Limits } from "../protocol/limits.ts";
import type { Start } from "../protocol/messages.ts";
import type { Service } from "../service/service.ts";
import { Committer } from "../storage/committer.ts";
import type { SessionStore } from "../storage/session_store.ts";
import type { StoredSession } from "../storage/session_write.ts";
import type { Clock } from "../system/clock.ts";
import type { Random } from "../system/random.ts";
import { Admission } from "./admission_runner.ts";
import { DRAINING, UNAVAILABLE } from "./admission_state.ts";
import { EndedMemory } from "./ended_memory.ts";
import { Link, type LinkHost } from "./link.ts";
import { reasonOfLoss } from "./lost_conduit.ts";
import type { SessionState } from "./session_model.ts";
import type { RunnerHost } from "./runner_host.ts";
import { SessionRunner } from "./session_runner.ts";
import type { TokenHash } from "./token_state.ts";

/** What a registry is told at the start; durations in milliseconds. */
export interface RegistryOptions {
  readonly store: SessionStore;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly services: readonly Service[];
  /** What clients are told of the node; `boot` is new at every start of the process. */
  readonly node: string;
  readonly boot: string;
  readonly region?: string | undefined;
  readonly limits: Limits;
  readonly resumeWindow: number;
  /** Null: sessions never end for being idle. */
  readonly idleTimeout: number | null;
  /** How long a detached durable session stays in memory. */
  readonly parkAfter: number;
  readonly handshakeTimeout: number;
  readonly keepalive: { readonly interval: number; readonly timeout: number };
  /** What happens when a replaced token is presented: the session is untouched, or ended (`resume.rotate`). */
  readonly tokenReuse: "keep" | "end";
}

export class SessionRegistry implements LinkHost, RunnerHost {
  readonly options: RegistryOptions;
  readonly services: ReadonlyMap<string, Service>;
  readonly committer: Committer;
  /** How ephemeral sessions ended; durable ones have their tombstones in the store. */
  readonly ended: EndedMemory;
  /** Sessions whose memory turned out to be void, until the sweeper has seen who has them now. */
  readonly lost = new Set<string>();
  readonly #admission: Admission;
  readonly #codecs: Readonly<Record<Subprotocol, FrameCodec>>;
  readonly #sessions = new Map<string, SessionRunner>();
  readonly #links = new Set<Link>();
  #draining = false;

  constructor(options: RegistryOptions) {
    this.options = options;
    const { store, clock, log, random, limits, services } = options;
    this.services = new Map(services.map((service) => [service.name, service]));
    this.committer = new Committer(store, { clock, log, random });
    this.ended = new EndedMemory(clock);
    this.#admission = new Admission(this);
    this.#codecs = {
      "holdfast.v1.msgpack": codecFor("holdfast.v1.msgpack", limits),
      "holdfast.v1.json": codecFor("holdfast.v1.json", limits),
    };
  }

  get clock(): Clock {
    return this.options.clock;
  }

  get log(): Log {
    return this.options.log;
  }

  get boot(): string {
    return this.options.boot;
  }

  get node(): string {
    return this.options.node;
  }

  get region(): string | undefined {
    return this.options.region;
  }

  get parkAfter(): number {
    return this.options.parkAfter;
  }

  get handshakeTimeout(): number {
    return this.options.handshakeTimeout;
  }

  /** Sessions in this node's memory. */
  get size(): number {
    return this.#sessions.size;
  }

  /** Conduits that are open, attached or not. */
  get conduits(): number {
    return this.#links.size;
  }

  /** True from the beginning of {@link drain} on. */
  get draining(): boolean {
    return this.#draining;
  }

  /** The session, if it is in this node's memory. */
  find(session: string): SessionRunner | undefined {
    return this.#sessions.get(session);
  }

  /** Keeps a session in memory from now on. */
  keep(state: SessionState, stored: StoredSession | null): SessionRunner {
    const runner = new SessionRunner(this, state, stored);
    this.#sessions.set(state.id, runner);
    return runner;
  }

  /** A session as it was read from the store. It is not kept, and claimed only by its first commit. */
  restore(state: SessionState, stored: StoredSession): SessionRunner {
    return new SessionRunner(this, state, { ...stored, epoch: stored.epoch + 1 });
  }

  /** Keeps a restored session in memory from now on. */
  adopt(runner: SessionRunner): void {
    this.#sessions.set(runner.state.id, runner);
  }

  /** Runs `work` alone among all that decide about one session on this node. */
  decideAlone<T>(session: string, work: () => Promise<T>): Promise<T> {
    return this.#admission.alone(session, work);
  }

  /** Takes a new conduit; what it receives goes to the handler given back. */
  accept(conduit: Conduit): ConduitHandler {
    const link = new Link(conduit, this);
    this.#links.add(link);
    return link;
  }

  codecOf(conduit: Conduit): FrameCodec {
    return this.#codecs[conduit.subprotocol];
  }

  linkClosed(link: Link): void {
    this.#links.delete(link);
  }

  admit(link: Link, start: Start): void {
    this.#admission.decide(link, start).catch((error: unknown) => {
      const message = error instanceof Error ? error.stack ?? error.message : String(error);
      this.log.error("admission-failed", { conduit: link.id, error: message });
      link.refuse(UNAVAILABLE);
    });
  }

  letGo(link: Link, session: string, offered: TokenHash | null): void {
    link.closeWhenKnown(reasonOfLoss(this.options.store, session, offered), "unavailable");
  }

  forget(runner: SessionRunner, why: "parked" | "ended" | "moved"): void {
    const { id, settings, ended, tokens } = runner.state;
    if (this.#sessions.get(id) === runner) this.#sessions.delete(id);
    if (why === "ended" && settings.durability === "ephemeral" && ended !== null && tokens.current !== null) {
      this.ended.remember(id, { tokens, ...ended }, ended.at + settings.resumeWindow);
    }
    if (why !== "moved" || settings.durability !== "durable") return;
    this.lost.add(id);
    if (runner.version !== null) this.log.info("session-moved", { session: id });
  }

  /**
   * Lets go of every session in good order: new ones are refused from now on, clients are asked to move, what is pending
   * is committed, conduits are closed with 4400 and sessions left detached for whoever takes them.
   */
  async drain(): Promise<void> {
    this.#draining = true;
    const runners = [...this.#sessions.values()];
    for (const runner of runners) runner.goAway("draining", 0);
    await Promise.all(runners.map((runner) => runner.whenCommitted()));
    for (const runner of runners) runner.breakConduit("draining");
    for (const link of this.#links) link.refuse(DRAINING);
    await Promise.all(runners.map((runner) => runner.whenCommitted()));
    await this.committer.idle();
  }
}
