/**
 * Carries out what the session machine decides, in order: calls services, commits, sends, closes. One per session that is
 * in this node's memory; it owns the session's one timer and knows nothing of the protocol.
 */

import type { Frame } from "../protocol/codec.ts";
import type { EncodedBody } from "../protocol/messages.ts";
import { closeCode, type Reason } from "../protocol/reasons.ts";
import type { CommitOutcome, CommitSource, SessionWrite } from "../storage/committer.ts";
import type { Put } from "../storage/session_store.ts";
import { heldBytes, type PlannedWrite, planWrite, type StoredSession } from "../storage/session_write.ts";
import { CommitWaiters } from "./commit_waiters.ts";
import type { Link } from "./link.ts";
import { LiveCredentials } from "./live_credentials.ts";
import type { AttachRequest, RunnerHost } from "./runner_host.ts";
import { judgePush, type PushVerdict } from "./push_state.ts";
import { type AttachOutcome, SessionConduits } from "./session_conduits.ts";
import { SessionMeter } from "./session_meter.ts";
import { SessionServices } from "./session_services.ts";
import type { ServiceAction, SessionEffect, SessionEvent, SessionState } from "./session_model.ts";
import { commitPoint, partsOf, step, wakeAt } from "./session_state.ts";

export class SessionRunner implements CommitSource {
  readonly state: SessionState;
  readonly #host: RunnerHost;
  readonly #services: SessionServices;
  readonly #conduits: SessionConduits;
  readonly #meter: SessionMeter;
  /** Made when it is first needed: most sessions never do. */
  #credentials: LiveCredentials | null = null;
  /** Null for an ephemeral session: it is nowhere but here. */
  #stored: StoredSession | null;
  #planned: PlannedWrite | null = null;
  #requested = false;
  #inTurn = false;
  #cancelTimer: (() => void) | null = null;
  #timerAt = Infinity;
  #gone = false;
  /** What the next commit must also hold: what was pushed by whom. */
  #receipts: Put[] = [];
  readonly #waiters = new CommitWaiters();

  constructor(host: RunnerHost, state: SessionState, stored: StoredSession | null) {
    this.#host = host;
    this.#services = new SessionServices(this, host);
    this.#conduits = new SessionConduits(this, host);
    this.#meter = new SessionMeter(host.metrics, state.delivery);
    this.state = state;
    this.#stored = stored;
  }

  /** False once the session is not this node's to serve any more. */
  get live(): boolean {
    return !this.#gone;
  }

  get attached(): boolean {
    return this.#conduits.attached !== null;
  }

  /** The version of the core that this memory builds on; null for an ephemeral session. */
  get version(): string | null {
    return this.#stored?.version ?? null;
  }

  /** Attaches an admitted conduit. Settles when that is committed, or known to have failed because another node wrote. */
  attach(request: AttachRequest): Promise<AttachOutcome> {
    const settled = this.#conduits.begin(request);
    const { link: { id: conduit }, hash: offered, used, grant, peer, resumed } = request;
    const { node, clock } = this.#host;
    const access = { expiresAt: grant.expiresAt, services: grant.services };
    this.#turn({ kind: "attach", conduit, node, offered, used, access, peer, resumed, now: clock.now() });
    return settled;
  }

  /** One frame of the session's conduit: what it says, what services answer, one commit, one frame back. */
  frameReceived(link: Link, frame: Frame): void {
    const decoded = link.codec.decode(frame);
    const now = this.#host.clock.now();
    const conduit = link.id;
    if (decoded.ok) this.#turn({ kind: "frame", conduit, messages: decoded.messages, now });
    else this.#turn({ kind: "undecodable", conduit, violation: decoded.violation, now });
  }

  conduitLost(link: Link, reason?: Reason): void {
    this.#conduits.lost(link);
    const why = reason === undefined ? {} : { reason };
    this.#turn({ kind: "conduit_lost", conduit: link.id, ...why, now: this.#host.clock.now() });
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
    const link = this.#conduits.attached;
    if (link === null) return;
    this.#conduits.close(link.id, closeCode(reason), reason);
    this.conduitLost(link, reason);
  }

  /**
   * Sends a message of an operator's on a connection.
   *
   * @param receiptFor Gives, for the number the message got, what the commit that holds it must also hold.
   */
  push(connection: number, body: EncodedBody, receiptFor: (sequence: number) => Put): PushVerdict {
    const verdict = judgePush(this.state, connection, body);
    if (verdict !== "taken") return verdict;
    // Both before the next commit is assembled, which takes all that is there by then.
    this.act({ do: "send", connection, body });
    const receipt = receiptFor(this.state.delivery.sent);
    if (this.#stored !== null) this.#receipts.push(receipt);
    return verdict;
  }

  /** As {@link whenCommitted}; false if the session has left this node without it. */
  async committed(): Promise<boolean> {
    const { changes } = this.state;
    await this.whenCommitted();
    return this.state.committedChanges >= changes;
  }

  /** Resolves when all that has happened to this session so far is committed, or the session has left this node. */
  whenCommitted(): Promise<void> {
    const { changes, committedChanges } = this.state;
    if (this.#gone || this.#stored === null || changes <= committedChanges) return Promise.resolve();
    return this.#waiters.wait(changes);
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
    const link = this.#conduits.attached;
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
    const { write } = this.#planned;
    if (this.#receipts.length === 0) return write;
    const receipts = this.#receipts;
    this.#receipts = [];
    return { ...write, puts: [...write.puts, ...receipts] };
  }

  settle(outcome: CommitOutcome): void {
    const planned = this.#planned;
    this.#planned = null;
    // Also without a plan: one that could not be made, or whose success could not be taken in.
    if (outcome.kind === "conflict") return this.lost();
    if (planned === null) return;
    this.#tellStored(planned.next);
    this.#stored = { ...planned.next, version: outcome.version };
    this.#turn({ kind: "committed", point: planned.point, now: this.#host.clock.now() });
    if (planned.point.ended !== null) this.#leave("ended");
    this.#waiters.wake(this.#gone ? Infinity : this.state.committedChanges);
  }

  // What services do

  /** Carries out what a service does, in the turn under way or in one of its own. */
  act(action: ServiceAction): void {
    if (this.#gone) return;
    const storedBytes = this.#host.storedBytesFor(this.state.principal);
    const event: SessionEvent = { kind: "service", action, storedBytes, now: this.#host.clock.now() };
    if (this.#inTurn) this.#perform(step(this.state, event));
    else this.#turn(event);
  }

  #turn(event: SessionEvent): void {
    if (this.#gone) return;
    this.#inTurn = true;
    try {
      for (const part of partsOf(event)) this.#perform(step(this.state, part));
      this.#perform(step(this.state, { kind: "turn_ended", now: event.now }));
      this.#meter.turned(this.state.delivery, this.attached, event.now);
    } finally {
      this.#inTurn = false;
    }
    // The attach is done though nobody is told: its conduit broke, or the session ended.
    if (this.#conduits.attaching && this.state.attaching === null) this.#conduits.settle("attached");
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
        case "transmit":
          this.#conduits.transmit(effect);
          break;
        case "commit":
          this.#request();
          break;
        case "established":
          this.#conduits.establish(this.state, effect, this.#meter);
          break;
        case "refuse":
          this.#conduits.refuse(effect.conduit, effect);
          break;
        case "send":
          this.#conduits.send(effect.conduit, effect.message);
          break;
        case "close_conduit":
          this.#conduits.close(effect.conduit, effect.code, effect.reason);
          break;
        case "authorise":
          this.#authorise(effect.conduit, effect.auth);
          break;
        case "offer":
          this.#services.offer(effect.connection, effect.service, effect.metadata);
          break;
        case "connection_ended":
          this.#services.ended(effect.connection, effect.service);
          break;
        case "violated":
          this.#host.metrics.protocolError(effect.violation.rule);
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

  #tellStored(next: StoredSession): void {
    const before = this.#stored;
    if (before === null || before.segments === next.segments) return;
    this.#host.stored(this.state.principal, heldBytes(next.segments) - heldBytes(before.segments));
  }

  #authorise(conduit: number, auth: string): void {
    this.#credentials ??= new LiveCredentials(this.#host.authenticator, (judged, authentication) => {
      this.#turn({ kind: "authorised", conduit: judged, authentication, now: this.#host.clock.now() });
    });
    this.#credentials.judge(conduit, auth);
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

  #leave(why: "parked" | "ended" | "moved"): void {
    if (this.#gone) return;
    this.#gone = true;
    this.#cancelTimer?.();
    this.#cancelTimer = null;
    this.#conduits.release();
    this.#host.forget(this, why);
    this.#conduits.settle("conflict");
    this.#waiters.wake(Infinity);
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
