/**
 * Carries out what the session machine decides, in order: calls services, commits, sends, closes. One per session that is
 * in this node's memory; it owns the session's one timer and knows nothing of the protocol.
 */

import type { Frame } from "../protocol/codec.ts";
import { encodeConduit } from "../protocol/encode.ts";
import type { Established } from "../protocol/messages.ts";
import { closeCode, type Reason } from "../protocol/reasons.ts";
import type { CommitOutcome, CommitSource, SessionWrite } from "../storage/committer.ts";
import { type PlannedWrite, planWrite, type StoredSession } from "../storage/session_write.ts";
import type { Link } from "./link.ts";
import type { AttachRequest, RunnerHost } from "./runner_host.ts";
import { SessionServices } from "./session_services.ts";
import type { ServiceAction, SessionEffect, SessionEvent, SessionState } from "./session_model.ts";
import { commitPoint, partsOf, step, wakeAt } from "./session_state.ts";

interface PendingAttach {
  readonly request: AttachRequest;
  readonly settled: (outcome: "attached" | "conflict") => void;
}

export class SessionRunner implements CommitSource {
  readonly state: SessionState;
  readonly #host: RunnerHost;
  readonly #services: SessionServices;
  /** Null for an ephemeral session: it is nowhere but here. */
  #stored: StoredSession | null;
  #planned: PlannedWrite | null = null;
  #requested = false;
  #link: Link | null = null;
  #attaching: PendingAttach | null = null;
  #inTurn = false;
  #cancelTimer: (() => void) | null = null;
  #timerAt = Infinity;
  #gone = false;
  #waiters: { readonly changes: number; readonly resolve: () => void }[] = [];

  constructor(host: RunnerHost, state: SessionState, stored: StoredSession | null) {
    this.#host = host;
    this.#services = new SessionServices(this, host);
    this.state = state;
    this.#stored = stored;
  }

  /** False once the session is not this node's to serve any more. */
  get live(): boolean {
    return !this.#gone;
  }

  get attached(): boolean {
    return this.#link !== null;
  }

  /** The version of the core that this memory builds on; null for an ephemeral session. */
  get version(): string | null {
    return this.#stored?.version ?? null;
  }

  /** Attaches an admitted conduit. Settles when that is committed, or known to have failed because another node wrote. */
  attach(request: AttachRequest): Promise<"attached" | "conflict"> {
    return new Promise((settled) => {
      this.#attaching = { request, settled };
      request.link.ownedBy(this);
      const { link: { id: conduit }, hash: offered, used, peer, resumed } = request;
      this.#turn({ kind: "attach", conduit, offered, used, peer, resumed, now: this.#host.clock.now() });
    });
  }

  /** One frame of the session's conduit: what it says, what services answer, one commit, one frame back. */
  frameReceived(link: Link, frame: Frame): void {
    const decoded = link.codec.decode(frame);
    const now = this.#host.clock.now();
    const conduit = link.id;
    if (decoded.ok) this.#turn({ kind: "frame", conduit, messages: decoded.messages, now });
    else this.#turn({ kind: "undecodable", conduit, violation: decoded.violation, now });
  }

  conduitLost(link: Link): void {
    if (this.#link === link) this.#link = null;
    this.#turn({ kind: "conduit_lost", conduit: link.id, now: this.#host.clock.now() });
  }

  /** Ends the session for both sides. */
  end(reason: Reason, detail: string): void {
    this.#turn({ kind: "end", reason, detail, now: this.#host.clock.now() });
  }

  /** Asks the client to move to another conduit within `after` milliseconds (`end.goaway`). */
  goAway(reason: Reason, after: number): void {
    this.#turn({ kind: "go_away", reason, after, now: this.#host.clock.now() });
  }

  /** Breaks the session's conduit from this side, at once: the session is detached and stays resumable. */
  breakConduit(reason: Reason): void {
    const link = this.#link;
    if (link === null) return;
    this.#close(link.id, closeCode(reason), reason);
    this.conduitLost(link);
  }

  /** Resolves when all that has happened to this session so far is committed, or the session has left this node. */
  whenCommitted(): Promise<void> {
    const { changes, committedChanges } = this.state;
    if (this.#gone || this.#stored === null || changes <= committedChanges) return Promise.resolve();
    return new Promise((resolve) => void this.#waiters.push({ changes, resolve }));
  }

  /** Leaves this node's memory. All of a durable session is in the store once it is committed. */
  park(): void {
    this.#leave("parked");
  }

  /**
   * Finds out whether this node still owns the session: commits once more. If another node has written since, the
   * commit fails its check and this runner is not `live` any more.
   */
  async confirmOwnership(): Promise<void> {
    if (this.#gone || this.#stored === null) return;
    this.state.changes++;
    this.#request();
    await this.whenCommitted();
  }

  /** Another node owns the session: everything in memory is void (`resume.anywhere`). */
  lost(): void {
    if (this.#gone) return;
    for (const { id, service } of this.state.mux.connections.values()) this.#services.ended(id, service);
    const link = this.#link;
    this.#leave("moved");
    if (link !== null) this.#host.letGo(link, this.state.id, this.state.attached?.offered ?? null);
  }

  // CommitSource

  prepare(): SessionWrite | null {
    this.#requested = false;
    const { state } = this;
    const stored = this.#stored;
    if (stored === null || this.#gone || state.changes === state.committedChanges && !this.#canRelease) {
      this.#arm();
      return null;
    }
    this.#planned = planWrite(state, stored, commitPoint(state), this.#host.boot, this.#host.clock.now());
    state.changedConnections.clear();
    return this.#planned.write;
  }

  settle(outcome: CommitOutcome): void {
    const planned = this.#planned;
    this.#planned = null;
    // Also without a plan: one that could not be made, or whose success could not be taken in.
    if (outcome.kind === "conflict") return this.lost();
    if (planned === null) return;
    this.#stored = { ...planned.next, version: outcome.version };
    this.#turn({ kind: "committed", point: planned.point, now: this.#host.clock.now() });
    if (planned.point.ended !== null) this.#leave("ended");
    this.#wakeWaiters();
  }

  // What services do

  /** Carries out what a service does, in the turn under way or in one of its own. */
  act(action: ServiceAction): void {
    if (this.#gone) return;
    if (this.#inTurn) {
      this.#perform(step(this.state, { kind: "service", action, now: this.#host.clock.now() }));
    } else this.#turn({ kind: "service", action, now: this.#host.clock.now() });
  }

  #turn(event: SessionEvent): void {
    if (this.#gone) return;
    this.#inTurn = true;
    try {
      for (const part of partsOf(event)) this.#perform(step(this.state, part));
      this.#perform(step(this.state, { kind: "turn_ended", now: event.now }));
    } finally {
      this.#inTurn = false;
    }
    // The attach is done though nobody is told: its conduit broke, or the session ended.
    if (this.#attaching !== null && this.state.attaching === null) this.#settleAttach("attached");
    if (this.#canRelease) this.#request();
    // An ephemeral session is in no store: it has ended when it says so.
    if (this.#stored === null && this.state.ended !== null) this.#leave("ended");
    this.#arm();
  }

  #perform(effects: readonly SessionEffect[]): void {
    for (const effect of effects) {
      switch (effect.kind) {
        case "deliver":
          this.#services.deliver(effect.connection, effect.body, effect.volatile);
          break;
        case "transmit": {
          const link = this.#linkOf(effect.conduit);
          if (link === null) break;
          const conduitMessages: Uint8Array[] = effect.volatile.map(encodeConduit);
          if (effect.ack !== null) conduitMessages.unshift(encodeConduit(effect.ack));
          link.transmit(
            conduitMessages.length === 0 ? effect.messages : [...conduitMessages, ...effect.messages],
          );
          break;
        }
        case "commit":
          this.#request();
          break;
        case "established":
          this.#establish(effect);
          break;
        case "refuse":
          this.#linkOf(effect.conduit)?.refuse(effect);
          break;
        case "send":
          this.#linkOf(effect.conduit)?.send(effect.message);
          break;
        case "close_conduit":
          this.#close(effect.conduit, effect.code, effect.reason);
          break;
        case "offer":
          this.#services.offer(effect.connection, effect.service, effect.metadata);
          break;
        case "connection_ended":
          this.#services.ended(effect.connection, effect.service);
          break;
        case "violated":
          this.#host.log.info("protocol-error", { session: this.state.id, ...effect.violation });
          break;
        case "ended":
          this.#host.log.debug("session-ended", { session: this.state.id, reason: effect.reason });
          break;
        default:
          effect satisfies never;
      }
    }
  }

  #establish(effect: Extract<SessionEffect, { readonly kind: "established" }>): void {
    if (this.#attaching === null) return;
    const { link, challenge, token } = this.#attaching.request;
    this.#link = link;
    const { id: session, settings } = this.state;
    const { storedBytes: _, ...limits } = settings.limits;
    const message: Established = {
      kind: "established",
      challenge,
      session,
      token,
      resumed: effect.resumed,
      received: effect.received,
      sent: effect.sent,
      durability: settings.durability,
      resumeWindow: settings.resumeWindow,
      keepalive: settings.keepalive,
      limits,
      node: this.#host.node,
      ...(this.#host.region === undefined ? {} : { region: this.#host.region }),
    };
    link.establish(message);
    this.#settleAttach("attached");
  }

  #settleAttach(outcome: "attached" | "conflict"): void {
    const attaching = this.#attaching;
    this.#attaching = null;
    if (outcome === "conflict") attaching?.request.link.ownedBy(null);
    attaching?.settled(outcome);
  }

  /** Closes a conduit of this session. What it reports later changes nothing. */
  #close(conduit: number, code: number, reason: string): void {
    const link = this.#linkOf(conduit);
    if (link === this.#link) this.#link = null;
    link?.ownedBy(null);
    link?.close(code, reason);
  }

  #linkOf(conduit: number): Link | null {
    if (this.#link?.id === conduit) return this.#link;
    const attaching = this.#attaching?.request.link;
    return attaching?.id === conduit ? attaching : null;
  }

  get #pending(): boolean {
    return this.#planned !== null || this.#requested;
  }

  /** True if acks made whole segments of the stored outbox superfluous: worth a commit even when nothing else changed. */
  get #canRelease(): boolean {
    const first = this.#stored?.segments[0];
    return first !== undefined && first.last <= this.state.delivery.acked;
  }

  #request(): void {
    if (this.#requested || this.#gone || this.#stored === null) return;
    this.#requested = true;
    this.#host.committer.request(this);
  }

  #wakeWaiters(): void {
    if (this.#waiters.length === 0) return;
    const done = (waiter: { readonly changes: number }) =>
      this.#gone || waiter.changes <= this.state.committedChanges;
    const ready = this.#waiters.filter(done);
    this.#waiters = this.#waiters.filter((waiter) => !done(waiter));
    for (const { resolve } of ready) resolve();
  }

  #leave(why: "parked" | "ended" | "moved"): void {
    if (this.#gone) return;
    this.#gone = true;
    this.#cancelTimer?.();
    this.#cancelTimer = null;
    this.#link?.ownedBy(null);
    this.#link = null;
    this.#host.forget(this, why);
    this.#settleAttach("conflict");
    this.#wakeWaiters();
  }

  /** One timer, set to the earliest deadline; a deadline that moved later is found out when it fires. */
  #arm(): void {
    if (this.#gone) return;
    const at = Math.min(wakeAt(this.state) ?? Infinity, this.#parkAt());
    if (at >= this.#timerAt) return;
    this.#cancelTimer?.();
    this.#timerAt = at;
    this.#cancelTimer = this.#host.clock.wakeAt(at, () => this.#woke());
  }

  #woke(): void {
    this.#timerAt = Infinity;
    this.#cancelTimer = null;
    const now = this.#host.clock.now();
    if (now >= this.#parkAt()) return this.#leave("parked");
    if (now >= (wakeAt(this.state) ?? Infinity)) this.#turn({ kind: "woke", now });
    else this.#arm();
  }

  /** A durable session that nobody attends is all in the store; it may leave when its last commit is done. */
  #parkAt(): number {
    const { detachedAt, attaching, ended } = this.state;
    if (
      this.#stored === null || detachedAt === null || attaching !== null || ended !== null || this.#pending
    ) {
      return Infinity;
    }
    return detachedAt + this.#host.parkAfter;
  }
}
