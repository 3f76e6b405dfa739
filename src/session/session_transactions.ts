/**
 * Transactions by the class of their session. Those of an ephemeral one have commits of their own: the session is in no
 * store, but the data of its services are.
 */

import { pack } from "../protocol/pack.ts";
import type { CommitOutcome, CommitSource, SessionWrite } from "../storage/committer.ts";
import type { DataCache } from "../storage/data_cache.ts";
import { transactionKey } from "../storage/keys.ts";
import type { StoreKey, StoreLimits } from "../storage/session_store.ts";
import { publicId, type Random } from "../system/random.ts";
import type { ServiceAction } from "./session_model.ts";
import { type TakenTransactions, type TransactionHost, TransactionQueue } from "./transaction_queue.ts";
import { actionsOf } from "./transaction_state.ts";

/** How long the mark of a commit may be kept by the store, milliseconds. */
const MARK_MS = 60_000;

/** What an ephemeral session's commits need of its node. */
export interface EphemeralHost {
  readonly committer: { request(source: CommitSource): void };
  readonly boot: string;
  readonly random: Random;
  readonly limits: StoreLimits;
}

/** The session, as these commits need it. */
export interface EphemeralSession {
  readonly queue: TransactionQueue;
  /** These are committed: the client is told. */
  decided(actions: readonly ServiceAction[]): void;
}

/** The node, as it is given to the transactions of any of its sessions. */
export interface TransactingNode
  extends Omit<EphemeralHost, "limits">, Omit<TransactionHost, "cache" | "ripe"> {
  readonly dataCache: DataCache;
  readonly storeLimits: StoreLimits;
}

/** The transactions of a durable session: what they decide is committed with the session, which `ripe` asks for. */
export function durableTransactions(node: TransactingNode, ripe: () => void): TransactionQueue {
  const { dataCache: cache, clock, random } = node;
  return new TransactionQueue({ cache, clock, random, ripe });
}

/** The transactions of an ephemeral session. @param decided Told of what is committed. */
export function ephemeralTransactions(
  node: TransactingNode,
  decided: (actions: readonly ServiceAction[]) => void,
): TransactionQueue {
  const { committer, boot, random, storeLimits: limits } = node;
  const commits = new EphemeralCommits({ committer, boot, random, limits }, {
    decided,
    get queue() {
      return queue;
    },
  });
  const queue = durableTransactions(node, () => commits.request());
  return queue;
}

class EphemeralCommits implements CommitSource {
  readonly #host: EphemeralHost;
  readonly #session: EphemeralSession;
  readonly #name: string;
  #count = 0;
  #taken: TakenTransactions | null = null;
  /** The mark of the last commit: it goes with the next. */
  #mark: StoreKey | null = null;

  constructor(host: EphemeralHost, session: EphemeralSession) {
    this.#host = host;
    this.#session = session;
    this.#name = `${host.boot} ${publicId(host.random)}`;
  }

  /** Asks for a commit of what is decided. */
  request(): void {
    this.#host.committer.request(this);
  }

  prepare(): SessionWrite | null {
    const taken = this.#session.queue.take(this.#host.limits.checks - 1);
    if (taken === null) return null;
    this.#taken = taken;
    const key = transactionKey(this.#name, ++this.#count);
    const deletes = this.#mark === null ? taken.deletes : [...taken.deletes, this.#mark];
    this.#mark = key;
    // The mark tells, after an unknown outcome, whether this commit was applied.
    const core = { key, version: null, value: pack([this.#name, this.#count]), expireIn: MARK_MS };
    return { core, checks: taken.checks, puts: taken.puts, deletes, staged: [] };
  }

  settle(outcome: CommitOutcome): void {
    const taken = this.#taken;
    this.#taken = null;
    if (outcome.kind === "conflict") return this.#session.queue.refuted();
    this.#session.decided((taken?.decided ?? []).flatMap(actionsOf));
    this.#session.queue.committed(outcome.version);
  }
}
