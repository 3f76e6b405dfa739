/** The commits of an ephemeral session's transactions: the session is in no store, but the data of its services are. */

import { pack } from "../protocol/pack.ts";
import type { CommitOutcome, CommitSource, SessionWrite } from "../storage/committer.ts";
import { transactionKey } from "../storage/keys.ts";
import type { StoreKey, StoreLimits } from "../storage/session_store.ts";
import { publicId, type Random } from "../system/random.ts";
import type { ServiceAction } from "./session_model.ts";
import type { TakenTransactions, TransactionQueue } from "./transaction_queue.ts";
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

export class EphemeralCommits implements CommitSource {
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
