/**
 * Carries out what the session machine decides, in order: calls services, commits, sends, closes. One per session that is
 * in this node's memory; it owns the session's one timer and knows nothing of the protocol.
 */

import type { Frame } from "../protocol/codec.ts";
import { connectionRefusal } from "../observe/metrics.ts";
import type { EncodedBody } from "../protocol/messages.ts";
import { closeCode, type Reason } from "../protocol/reasons.ts";
import type { Put } from "../storage/session_store.ts";
import type { StoredSession } from "../storage/session_write.ts";
import { Turn } from "../system/turn.ts";
import { durableTransactions, ephemeralTransactions } from "./session_transactions.ts";
import { CommitDelay, unsettled } from "./commit_delay.ts";
import type { Link } from "./link.ts";
import { LiveCredentials } from "./live_credentials.ts";
import type { AttachRequest, RunnerHost } from "./runner_host.ts";
import { judgePush, type PushVerdict } from "./push_state.ts";
import type { ServedSession } from "./served_session.ts";
import { type CommittedSession, SessionCommits } from "./session_commits.ts";
import { type AttachOutcome, SessionConduits } from "./session_conduits.ts";
import { SessionMeter } from "./session_meter.ts";
import { SessionTimer } from "./session_timer.ts";
import { SessionServices } from "./session_services.ts";
import type {
  CommitPoint,
  ServiceAction,
  SessionEffect,
  SessionEvent,
  SessionState,
} from "./session_model.ts";
import { partsOf, step, wakeAt } from "./session_state.ts";
import type { TransactionQueue } from "./transaction_queue.ts";

export class SessionRunner implements ServedSession, CommittedSession {
  readonly state: SessionState;
  readonly #host: RunnerHost;
  readonly #services: SessionServices;
  readonly #conduits: SessionConduits;
  readonly #commits: SessionCommits;
  readonly #meter: SessionMeter;
  readonly #timer: SessionTimer;
  /** Made when they are first needed: most sessions never do. */
  #credentials: LiveCredentials | null = null;
  #delay: CommitDelay | null = null;
  /** What services do outside of a turn is a turn of its own, however many steps it takes. */
  #late: Turn | null = null;
  #transactions: TransactionQueue | null = null;
  #inTurn = false;
  #gone = false;
  /** It was read from the store, and what it left undone has not been taken up. */
  #unresumed: boolean;

  /** @param restored It was read from the store; what it left undone is taken up once this node owns it. */
  constructor(host: RunnerHost, state: SessionState, stored: StoredSession | null, restored = false) {
    this.#host = host;
    this.state = state;
    this.#services = new SessionServices(this, host);
    this.#conduits = new SessionConduits(this, host);
    this.#commits = new SessionCommits(this, host, stored);
    this.#meter = new SessionMeter(host.metrics, state.delivery);
    this.#timer = new SessionTimer(host.clock, () => this.#woke());
    this.#unresumed = restored;
  }

  /** False once the session is not this node's to serve any more. */
  get live(): boolean {
    return !this.#gone;
  }

  get attached(): boolean {
    return this.#conduits.attached !== null;
  }

  /** True while something runs that would be lost with this process. */
  get working(): boolean {
    return this.#services.working;
  }

  /** The version of the core that this memory builds on; null for an ephemeral session. */
  get version(): string | null {
    return this.#commits.version;
  }

  /** Attaches an admitted conduit. Settles when that is committed, or known to have failed because another node wrote. */
  attach(request: AttachRequest): Promise<AttachOutcome> {
    const settled = this.#conduits.begin(request);
    const { link: { id: conduit }, hash: offered, used, grant, peer, resumed } = request;
    const { node, clock } = this.#host;
    const access = { expiresAt: grant.expiresAt, services: grant.services, admin: grant.admin };
    this.#turn({ kind: "attach", conduit, node, offered, used, access, peer, resumed, now: clock.now() });
    return settled;
  }

  /** One frame of the session's conduit: what it says, what services answer, one commit, one frame back. */
  frameReceived(link: Link, frame: Frame): void {
    const decoded = link.codec.decode(frame);
    const at = { conduit: link.id, now: this.#host.clock.now() };
    if (decoded.ok) this.#turn({ kind: "frame", messages: decoded.messages, ...at });
    else this.#turn({ kind: "undecodable", violation: decoded.violation, ...at });
  }

  conduitLost(link: Link, reason?: Reason): void {
    this.#conduits.lost(link);
    const at = { conduit: link.id, now: this.#host.clock.now() };
    this.#turn({ kind: "conduit_lost", ...at, ...(reason === undefined ? {} : { reason }) });
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
   * @param receiptFor Gives, for the number the message has, what the commit that holds it must also hold. Called at once, and
   * again when that commit is made.
   */
  push(connection: number, body: EncodedBody, receiptFor: (sequence: number) => Put): PushVerdict {
    const verdict = judgePush(this.state, connection, body);
    if (verdict !== "taken") return verdict;
    // Both before the next commit is assembled, which takes all that is there by then.
    this.act({ do: "send", connection, body });
    const { sent } = this.state.delivery;
    receiptFor(sent);
    this.#commits.withReceipt(sent, receiptFor);
    this.#lateTurnEnded();
    return verdict;
  }

  /** As {@link whenCommitted}; false if the session left this node without it. */
  async committed(): Promise<boolean> {
    const { changes } = this.state;
    await this.whenCommitted();
    return this.state.committedChanges >= changes;
  }

  /** Resolves when all that has happened to this session so far is committed, or the session has left this node. */
  whenCommitted(): Promise<void> {
    return this.#commits.whenCommitted();
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
    if (this.#gone || !this.#commits.durable) return;
    this.state.changes++;
    this.#commits.request();
    await this.whenCommitted();
  }

  /** Another node owns the session: everything in memory is void (`resume.anywhere`). */
  lost(): void {
    if (this.#gone) return;
    const link = this.#conduits.attached;
    this.#leave("moved");
    if (link !== null) this.#host.letGo(link, this.state.id, this.state.attached?.offered ?? null);
  }

  // ServedSession

  act(action: ServiceAction): void {
    if (this.#gone) return;
    const { clock } = this.#host;
    const event: SessionEvent = action.do === "send" || action.do === "keep"
      ? {
        ...{ kind: "service", action, now: clock.now() },
        storedBytes: this.#host.storedBytesFor(this.state.principal),
      }
      : { kind: "service", action, now: clock.now() };
    this.perform(step(this.state, event));
    if (!this.#inTurn) (this.#late ??= new Turn(() => this.#lateTurnEnded())).touch();
  }

  get transactions(): TransactionQueue {
    return this.#transactions ??= this.#commits.durable
      ? durableTransactions(this.#host, () => this.#requestCommit())
      : ephemeralTransactions(this.#host, this);
  }

  // CommittedSession

  get startedTransactions(): TransactionQueue | null {
    return this.#transactions;
  }

  perform(effects: readonly SessionEffect[]): void {
    for (const effect of effects) {
      switch (effect.kind) {
        case "transmit":
          this.#conduits.transmit(effect);
          break;
        case "commit":
          this.#requestCommit();
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
        case "violated":
          this.#host.metrics.protocolError(effect.violation.rule);
          this.#host.log.info("protocol-error", { session: this.state.id, ...effect.violation });
          break;
        case "connection_refused":
          this.#host.metrics.connectionRefused(connectionRefusal(effect.reason));
          break;
        case "ended":
          this.#host.log.debug("session-ended", { session: this.state.id, reason: effect.reason });
          break;
        default:
          this.#services.perform(effect);
      }
    }
  }

  reached(point: CommitPoint): void {
    const now = this.#host.clock.now();
    this.#turn({ kind: "committed", point, now });
    if (point.ended !== null) return this.#leave("ended");
    if (!this.#unresumed || !this.#host.keeps(this)) return;
    this.#unresumed = false;
    this.#services.resume();
  }

  #turn(event: SessionEvent): void {
    if (this.#gone) return;
    this.#inTurn = true;
    try {
      for (const part of partsOf(event)) this.perform(step(this.state, part));
      this.#endTurn(event.now);
    } finally {
      this.#inTurn = false;
    }
    this.#afterTurn();
  }

  /** Asks for a commit: at once, or when what has just begun had its moment to be part of it. */
  #requestCommit(): void {
    if (!unsettled(this, this.#services)) return this.#commits.request();
    (this.#delay ??= new CommitDelay(this, this.#services, this.#commits)).request();
  }

  #lateTurnEnded(): void {
    if (this.#gone) return;
    this.#endTurn(this.#host.clock.now());
    this.#afterTurn();
  }

  #endTurn(now: number): void {
    this.#services.endTurn();
    this.perform(step(this.state, { kind: "turn_ended", now }));
    this.#meter.turned(this.state.delivery, this.attached, now);
  }

  #afterTurn(): void {
    // The attach is done though nobody is told: its conduit broke, or the session ended.
    if (this.#conduits.attaching && this.state.attaching === null) this.#conduits.settle("attached");
    if (this.#commits.canRelease) this.#commits.request();
    // An ephemeral session is in no store: it has ended when it says so.
    if (!this.#commits.durable && this.state.ended !== null) return this.#leave("ended");
    this.#services.serveWaiters();
    this.arm();
  }

  #authorise(conduit: number, auth: string): void {
    const judge = (credentials: string) => this.#host.judge(credentials);
    this.#credentials ??= new LiveCredentials(judge, (judged, judgement) => {
      this.#turn({ kind: "authorised", conduit: judged, judgement, now: this.#host.clock.now() });
    });
    this.#credentials.judge(conduit, auth);
  }

  #leave(why: "parked" | "ended" | "moved"): void {
    if (this.#gone) return;
    this.#gone = true;
    this.#timer.stop();
    this.#transactions?.close();
    // Of a session that ended, services have heard.
    if (why !== "ended") this.#services.left(why);
    this.#conduits.release();
    this.#host.forget(this, why);
    this.#conduits.settle("conflict");
    this.#commits.release();
    this.#services.serveWaiters();
  }

  arm(): void {
    if (!this.#gone) this.#timer.arm(Math.min(wakeAt(this.state) ?? Infinity, this.#parkAt()));
  }

  #woke(): void {
    const now = this.#host.clock.now();
    if (now >= this.#parkAt()) return this.#leave("parked");
    if (now >= (wakeAt(this.state) ?? Infinity)) this.#turn({ kind: "woke", now });
    else this.arm();
  }

  /** A durable session that nobody attends is all in the store; it may leave when its last commit and its work are done. */
  #parkAt(): number {
    const { detachedAt, attaching, ended } = this.state;
    if (!this.#commits.durable || detachedAt === null || attaching !== null || ended !== null) {
      return Infinity;
    }
    if (this.#commits.pending || this.#unresumed || this.#services.working) return Infinity;
    return detachedAt + this.#host.parkAfter;
  }
}
