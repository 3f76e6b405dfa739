/** What a session's runner is given: its node, and the handshakes that were admitted. */

import type { Grant, Judgement } from "../access/authenticator.ts";
import type { Log } from "../observe/log.ts";
import type { Metrics } from "../observe/metrics.ts";
import type { Tracing } from "../observe/tracing.ts";
import type { Service } from "../service/service.ts";
import type { CommitSource } from "../storage/committer.ts";
import type { DataCache } from "../storage/data_cache.ts";
import type { StoreLimits } from "../storage/session_store.ts";
import type { Clock } from "../system/clock.ts";
import type { Random } from "../system/random.ts";
import type { PeerCounters } from "./delivery_state.ts";
import type { Link } from "./link.ts";
import type { OperationsRunner } from "./operations_runner.ts";
import type { SessionRunner } from "./session_runner.ts";
import type { TokenHash } from "./token_state.ts";

/** What a session needs of its node. */
export interface RunnerHost {
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly tracing: Tracing;
  /** The node's process, new at every start; part of each commit's identity. */
  readonly boot: string;
  readonly node: string;
  readonly region: string | undefined;
  /** Milliseconds without a conduit after which a durable session leaves memory. */
  readonly parkAfter: number;
  readonly services: ReadonlyMap<string, Service>;
  readonly random: Random;
  readonly operations: OperationsRunner;
  /** The data of services, as this node's transactions see it. */
  readonly dataCache: DataCache;
  readonly storeLimits: StoreLimits;
  readonly committer: { request(source: CommitSource): void };
  /** What one session of this principal may retain just now, in bytes. */
  storedBytesFor(principal: string): number;
  /** A commit made a session of this principal store so many bytes more, or less. */
  stored(principal: string, bytes: number): void;
  /** Judges credentials that come over a live conduit. Takes a bounded time where the store does, and never rejects. */
  judge(credentials: string): Promise<Judgement>;
  /** Closes the conduit of a session that another node wrote; `offered` is the token its `established` carried. */
  letGo(link: Link, session: string, offered: TokenHash | null): void;
  /** True if this is the session's runner in this node's memory. */
  keeps(runner: SessionRunner): boolean;
  /** The session left this node's memory: parked, ended, or owned by another node. */
  forget(runner: SessionRunner, why: "parked" | "ended" | "moved"): void;
}

/** A handshake that was admitted: the conduit, and the new token it is offered. */
export interface AttachRequest {
  readonly link: Link;
  readonly challenge: string;
  /** The secret itself; it goes into `established` and is kept nowhere. */
  readonly token: string;
  readonly hash: TokenHash;
  /** The one that resumed; null for a `start` of a new session. */
  readonly used: TokenHash | null;
  /** What the conduit's credentials gave. */
  readonly grant: Grant;
  readonly peer: PeerCounters;
  readonly resumed: boolean;
}
