/** What the parts that serve a session's connections need of it and of its node. */

import type { Log } from "../observe/log.ts";
import type { Metrics } from "../observe/metrics.ts";
import type { Tracing } from "../observe/tracing.ts";
import type { Service } from "../service/service.ts";
import type { Clock } from "../system/clock.ts";
import type { Random } from "../system/random.ts";
import type { OperationsRunner } from "./operations_runner.ts";
import type { ServiceAction, SessionState } from "./session_model.ts";
import type { TransactionQueue } from "./transaction_queue.ts";

/** The session, as its services' side needs it. */
export interface ServedSession {
  readonly state: SessionState;
  /** False once it is not this node's to serve any more. */
  readonly live: boolean;
  act(action: ServiceAction): void;
  /** Resolves when all that has happened to it so far is committed, or it has left this node. */
  whenCommitted(): Promise<void>;
  /** Its transactions; made when there is one. */
  readonly transactions: TransactionQueue;
}

/** The node, as a session's services' side needs it. */
export interface ServingNode {
  readonly services: ReadonlyMap<string, Service>;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly tracing: Tracing;
  readonly operations: OperationsRunner;
}
