/**
 * The sessions of one node: which are in memory, which conduits are open, and how the node lets go of all of them.
 */

import {
  type AddressState,
  countFailedResume,
  countHandshake,
  newAddresses,
} from "../access/address_state.ts";
import {
  ANONYMOUS,
  type Authenticator,
  type Judgement,
  nobodyIsAuthenticated,
  OPERATOR,
} from "../access/authenticator.ts";
import { type Conduit, type ConduitHandler, type ConduitPeer, UNKNOWN_PEER } from "../conduit/conduit.ts";
import { describeError } from "../observe/json_log.ts";
import type { Log } from "../observe/log.ts";
import { type Metrics, NO_METRICS } from "../observe/metrics.ts";
import { NO_TRACING, type Tracing } from "../observe/tracing.ts";
import type { FrameCodec, Subprotocol } from "../protocol/codec.ts";
import { codecFor } from "../protocol/codecs.ts";
import type { Start } from "../protocol/messages.ts";
import type { Reason } from "../protocol/reasons.ts";
import type { Service } from "../service/service.ts";
import { Committer } from "../storage/committer.ts";
import { DataCache } from "../storage/data_cache.ts";
import { type StoreLimits, StoreUnanswered } from "../storage/session_store.ts";
import type { StoredSession } from "../storage/session_write.ts";
import type { Clock } from "../system/clock.ts";
import type { Random } from "../system/random.ts";
import { Admission } from "./admission_runner.ts";
import { DRAINING, rateLimited, type Refusal, UNAVAILABLE } from "./admission_state.ts";
import { type Block, judgeCredentials } from "./blocked.ts";
import { Drain } from "./drain_runner.ts";
import { EndedMemory } from "./ended_memory.ts";
import { Link, type LinkHost } from "./link.ts";
import { DEFAULT_STRANGERS, type RegistryOptions, type StrangerLimits } from "./registry_options.ts";
import { reasonOfLoss } from "./lost_conduit.ts";
import { OperationsRunner } from "./operations_runner.ts";
import type { SessionState } from "./session_model.ts";
import type { RunnerHost } from "./runner_host.ts";
import { SessionRunner } from "./session_runner.ts";
import { DEFAULT_SLOTS, NODE_FULL, Slots } from "./slots_runner.ts";
import type { TokenHash } from "./token_state.ts";

export { DEFAULT_STRANGERS, type RegistryOptions, type StrangerLimits } from "./registry_options.ts";

export class SessionRegistry implements LinkHost, RunnerHost {
  readonly options: RegistryOptions;
  readonly services: ReadonlyMap<string, Service>;
  readonly committer: Committer;
  readonly operations: OperationsRunner;
  readonly dataCache: DataCache;
  /** How ephemeral sessions ended; durable ones have their tombstones in the store. */
  readonly ended: EndedMemory;
  readonly metrics: Metrics;
  readonly tracing: Tracing;
  readonly authenticator: Authenticator;
  /** Whether there is room for a session, and what anonymous ones store. */
  readonly slots: Slots;
  /** Sessions whose memory turned out to be void, until the sweeper has seen who has them now. */
  readonly lost = new Set<string>();
  readonly #admission: Admission;
  readonly #strangers: StrangerLimits;
  readonly #addresses: AddressState;
  /** Which of the sessions in memory belong to whom; anonymous ones are not listed. */
  readonly #byPrincipal = new Map<string, Set<SessionRunner>>();
  /** Links whose handshake is not over, the oldest first. */
  readonly #handshaking = new Set<Link>();
  /** Of these, the ones that have not said `start`; the one that was silent longest first. */
  readonly #silent = new Set<Link>();
  readonly #codecs: Readonly<Record<Subprotocol, FrameCodec>>;
  readonly #sessions = new Map<string, SessionRunner>();
  readonly #links = new Set<Link>();
  readonly #drain = new Drain(this);

  constructor(options: RegistryOptions) {
    this.options = options;
    const { store, clock, log, random, limits, services } = options;
    this.services = new Map(services.map((service) => [service.name, service]));
    this.metrics = options.metrics ?? NO_METRICS;
    this.tracing = options.tracing ?? NO_TRACING;
    this.committer = new Committer(store, { clock, log, random, metrics: this.metrics });
    this.dataCache = new DataCache(store, { clock, random });
    const { committer, metrics } = this;
    this.operations = new OperationsRunner({ store, committer, clock, log, metrics, boot: options.boot });
    this.ended = new EndedMemory(clock);
    this.authenticator = options.authenticator ?? nobodyIsAuthenticated;
    this.slots = new Slots(this, options.slots ?? DEFAULT_SLOTS);
    this.#strangers = options.strangers ?? DEFAULT_STRANGERS;
    const { handshakesPerAddress: fresh, resumesPerAddress: resumes, reads } = this.#strangers;
    this.#addresses = newAddresses({ fresh, resumes });
    this.#admission = new Admission(this, reads);
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

  get random(): Random {
    return this.options.random;
  }

  get storeLimits(): StoreLimits {
    return this.options.store.limits;
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

  /** Conduits whose handshake is not over: nobody knows yet who they are. */
  get handshaking(): number {
    return this.#handshaking.size;
  }

  /** True from the beginning of {@link drain} until {@link undrain}. */
  get draining(): boolean {
    return this.#drain.active;
  }

  /** The session, if it is in this node's memory. */
  find(session: string): SessionRunner | undefined {
    return this.#sessions.get(session);
  }

  keeps(runner: SessionRunner): boolean {
    return this.#sessions.get(runner.state.id) === runner;
  }

  /** The sessions in this node's memory. */
  sessions(): Iterable<SessionRunner> {
    return this.#sessions.values();
  }

  /** Keeps a session in memory from now on. */
  keep(state: SessionState, stored: StoredSession | null): SessionRunner {
    const runner = new SessionRunner(this, state, stored);
    this.adopt(runner);
    return runner;
  }

  /** A principal's sessions in this node's memory; anonymous ones are not told apart. */
  sessionsOf(principal: string): Iterable<SessionRunner> {
    return this.#byPrincipal.get(principal) ?? [];
  }

  /** A session as it was read from the store. It is not kept, and claimed only by its first commit. */
  restore(state: SessionState, stored: StoredSession): SessionRunner {
    return new SessionRunner(this, state, { ...stored, epoch: stored.epoch + 1 }, true);
  }

  /** Keeps a restored session in memory from now on. */
  adopt(runner: SessionRunner): void {
    const { id, principal } = runner.state;
    const replaced = this.#sessions.get(id);
    if (replaced !== undefined && replaced !== runner) this.#disown(replaced);
    this.#sessions.set(id, runner);
    if (principal === ANONYMOUS) return;
    const owned = this.#byPrincipal.get(principal);
    if (owned === undefined) this.#byPrincipal.set(principal, new Set([runner]));
    else owned.add(runner);
  }

  #disown(runner: SessionRunner): void {
    const { principal } = runner.state;
    const owned = this.#byPrincipal.get(principal);
    if (owned?.delete(runner) && owned.size === 0) this.#byPrincipal.delete(principal);
  }

  /** Runs `work` alone among all that decide about one session on this node. */
  decideAlone<T>(session: string, work: () => Promise<T>): Promise<T> {
    return this.#admission.alone(session, work);
  }

  /**
   * Takes a new conduit; what it receives goes to the handler given back.
   *
   * Where as many are silent, or as many handshakes under way, as may be, the conduit that was silent longest makes room:
   * whoever means it sends `start` at once.
   */
  accept(conduit: Conduit, peer: ConduitPeer = UNKNOWN_PEER): ConduitHandler {
    const link = new Link(conduit, this, peer);
    this.#links.add(link);
    const { conduits, silent } = this.#strangers;
    const full = this.#handshaking.size >= conduits || this.#silent.size >= silent;
    const [oldest] = this.#silent;
    this.#handshaking.add(link);
    this.#silent.add(link);
    if (full) (oldest ?? link).refuse(oldest === undefined ? NODE_FULL : MADE_ROOM);
    return link;
  }

  handshakeOver(link: Link): void {
    this.#handshaking.delete(link);
    this.#silent.delete(link);
  }

  linkRefused(link: Link, { reason }: Refusal): void {
    const { address } = link.peer;
    if (address !== null && GUESSED.has(reason)) {
      countFailedResume(this.#addresses, address, this.clock.now());
    }
    this.metrics.refused(reason);
    this.log.debug("refused", { conduit: link.id, reason });
  }

  /** Counts a handshake for its address. @returns The refusal, if there were too many. */
  countHandshake(link: Link, kind: "fresh" | "resume"): Refusal | null {
    const { address } = link.peer;
    if (address === null) return null;
    const retryAfter = countHandshake(this.#addresses, address, kind, this.clock.now());
    return retryAfter === null ? null : rateLimited(retryAfter);
  }

  storedBytesFor(principal: string): number {
    return this.slots.storedBytesFor(principal);
  }

  stored(principal: string, bytes: number): void {
    this.slots.stored(principal, bytes);
  }

  codecOf(conduit: Conduit): FrameCodec {
    return this.#codecs[conduit.subprotocol];
  }

  linkClosed(link: Link): void {
    this.#links.delete(link);
  }

  admit(link: Link, start: Start): void {
    this.#silent.delete(link);
    this.#admission.decide(link, start).catch((error: unknown) => {
      link.refuse(UNAVAILABLE);
      if (error instanceof StoreUnanswered) {
        return this.log.warn("admission-unanswered", { conduit: link.id, error: describeError(error) });
      }
      const message = error instanceof Error ? error.stack ?? error.message : String(error);
      this.log.error("admission-failed", { conduit: link.id, error: message });
    });
  }

  /**
   * Refuses the handshakes of a principal that are being decided, and breaks its conduits. Whoever sets the block first leaves
   * none that was let in before.
   *
   * @returns How many sessions lost a conduit.
   */
  keepOut(principal: string, { detail }: Block): number {
    this.#admission.refuseAll(principal, { reason: "forbidden", detail });
    const attached = [...this.sessionsOf(principal)].filter((runner) => runner.attached);
    for (const runner of attached) runner.breakConduit("unavailable");
    return attached.length;
  }

  judge(credentials: string): Promise<Judgement> {
    const { authenticator, log, options: { store } } = this;
    return judgeCredentials({ authenticator, store, log }, credentials);
  }

  letGo(link: Link, session: string, offered: TokenHash | null): void {
    link.closeWhenKnown(reasonOfLoss(this.options.store, session, offered), "unavailable");
  }

  forget(runner: SessionRunner, why: "parked" | "ended" | "moved"): void {
    const { id, principal, settings, ended, tokens } = runner.state;
    if (this.#sessions.get(id) === runner) this.#sessions.delete(id);
    this.#disown(runner);
    if (why === "ended" && ended !== null && principal !== OPERATOR) this.metrics.ended(ended.reason);
    if (why === "ended" && settings.durability === "ephemeral" && ended !== null && tokens.current !== null) {
      this.ended.remember(id, { tokens, principal, ...ended }, ended.at + settings.resumeWindow);
    }
    if (why !== "moved" || settings.durability !== "durable") return;
    this.lost.add(id);
    if (runner.version !== null) this.log.info("session-moved", { session: id });
  }

  /**
   * Lets go of every session in good order; new ones are refused from now on ({@link Drain.begin}).
   *
   * @param options.window Milliseconds over which clients are asked to move; default 0: at once.
   */
  drain({ window = 0 }: { readonly window?: number } = {}): Promise<void> {
    return this.#drain.begin(window);
  }

  /** Takes new sessions again ({@link Drain.takeBack}). */
  undrain(): void {
    this.#drain.takeBack();
  }

  refuseHandshakes(): void {
    for (const link of this.#links) link.refuse(DRAINING);
  }
}

/** Refusals of whoever guesses tokens or credentials. */
const GUESSED: ReadonlySet<Reason> = new Set<Reason>(["unknown-session", "stale-token", "unauthorized"]);

const MADE_ROOM: Refusal = {
  reason: "handshake-timeout",
  detail: "no start yet, and others wait for the room (handshake.first)",
  retryAfter: 1000,
};
