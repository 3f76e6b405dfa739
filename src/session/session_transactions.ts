/**
 * Transactions by the class of their session. Those of an ephemeral one have commits of their own: the session is in no
 * store, but the data of its services are.
 */

import { pack } from "../protocol/pack.ts";
import type { CommitOutcome, CommitSource, SessionWrite } from "../storage/committer.ts";
import type { DataCache } from "../storage/data_cache.ts";
import { transactionKey } from "../storage/keys.ts";
import type { StoreLimits, Version } from "../storage/session_store.ts";
import { publicId, type Random } from "../system/random.ts";
import type { ServiceAction, SessionState } from "./session_model.ts";
import { type TakenTransactions, type TransactionHost, TransactionQueue } from "./transaction_queue.ts";
import { actionsOf, giveBack, type Withheld, withhold } from "./transaction_state.ts";

/**
 * How long the store keeps the mark after the last commit of a session, milliseconds: longer than an outcome is unknown, and
 * than a commit may be late.
 */
const MARK_MS = 24 * 3_600_000;

/** What an ephemeral session's commits need of its node. */
export interface EphemeralHost {
  readonly committer: { request(source: CommitSource): void };
  readonly boot: string;
  readonly random: Random;
  readonly limits: StoreLimits;
}

/** The session, as these commits need it. */
export interface EphemeralSession {
  readonly state: SessionState;
  /** Does what is committed: the client is told. */
  act(action: ServiceAction): void;
  /** Calls wait again, with their deadlines. */
  arm(): void;
}

/** The node, as it is given to the transactions of any of its sessions. */
export interface TransactingNode
  extends Omit<EphemeralHost, "limits">, Omit<TransactionHost, "cache" | "ripe"> {
  readonly dataCache: DataCache;
  readonly storeLimits: StoreLimits;
}

/** The transactions of a durable session: what they decide is committed with the session, which `ripe` asks for. */
export function durableTransactions(node: TransactingNode, ripe: () => void): TransactionQueue {
  const { dataCache: cache, clock, random, metrics } = node;
  return new TransactionQueue({ cache, clock, random, metrics, ripe });
}

/** The transactions of an ephemeral session. */
export function ephemeralTransactions(node: TransactingNode, session: EphemeralSession): TransactionQueue {
  const { committer, boot, random, storeLimits: limits } = node;
  const queue = durableTransactions(node, () => commits.request());
  const commits = new EphemeralCommits({ committer, boot, random, limits }, session, queue);
  return queue;
}

class EphemeralCommits implements CommitSource {
  readonly #host: EphemeralHost;
  readonly #session: EphemeralSession;
  readonly #queue: TransactionQueue;
  readonly #name: string;
  #count = 0;
  #taken: TakenTransactions | null = null;
  #withheld: readonly Withheld[] = [];
  /** Of the mark as the last commit left it: a version never comes back, so no commit is applied once another one was. */
  #version: Version | null = null;

  constructor(host: EphemeralHost, session: EphemeralSession, queue: TransactionQueue) {
    this.#host = host;
    this.#session = session;
    this.#queue = queue;
    this.#name = `${host.boot} ${publicId(host.random)}`;
  }

  /** Asks for a commit of what is decided. */
  request(): void {
    this.#host.committer.request(this);
  }

  prepare(): SessionWrite | null {
    const taken = this.#queue.take(this.#host.limits.checks - 1);
    if (taken === null) return null;
    this.#taken = taken;
    this.#withheld = withhold(this.#session.state, taken.decided);
    const key = transactionKey(this.#name);
    // The mark tells, after an unknown outcome, whether this commit was applied.
    const value = pack([this.#name, ++this.#count]);
    const core = { key, version: this.#version, value, expireIn: MARK_MS };
    return { core, checks: taken.checks, puts: taken.puts, deletes: taken.deletes, staged: [] };
  }

  settle(outcome: CommitOutcome): void {
    const taken = this.#taken;
    this.#taken = null;
    giveBack(this.#session.state, this.#withheld);
    this.#withheld = [];
    if (outcome.kind === "conflict") {
      this.#session.arm();
      return this.#queue.refuted();
    }
    this.#version = outcome.version;
    for (const decision of taken?.decided ?? []) {
      const { connection, ending } = decision;
      for (const action of actionsOf(decision)) this.#session.act(action);
      if (ending !== null) this.#session.act({ do: "end", connection, ...ending });
    }
    this.#queue.committed(outcome.version);
  }
}
