/** A session as an operator sees it: no token, no hash of one, no body. */

import type { ConnectionPhase, ConnectionState } from "../connection/mux_model.ts";
import type { Durability } from "../protocol/messages.ts";
import type { Reason } from "../protocol/reasons.ts";
import { retainedCost } from "../session/delivery_state.ts";
import type { History } from "../session/history.ts";
import type { SessionState } from "../session/session_model.ts";
import { type CoreRecord, decodeIdentity, type Tombstone } from "../storage/session_record.ts";

/** Where a session is: with a conduit, without one, without one and in no node's memory, or over and remembered. */
export const VIEWED_STATES = ["attached", "detached", "parked", "ended"] as const;

/** One of {@link VIEWED_STATES}. */
export type ViewedState = typeof VIEWED_STATES[number];

/** What a listing shows of a session. Times are milliseconds since the Unix epoch. */
export interface SessionSummary {
  readonly id: string;
  /** Empty where nobody is authenticated. */
  readonly principal: string;
  readonly state: ViewedState;
  /** Null when that was forgotten with the end. */
  readonly durability: Durability | null;
  readonly createdAt: number;
  /** The node that has its conduit; null: none has. */
  readonly node: string | null;
  readonly detachedAt: number | null;
  /** When a message last moved; null for an ended session. */
  readonly movedAt: number | null;
  readonly ended: { readonly reason: Reason; readonly detail: string; readonly at: number } | null;
}

/** A connection, in numbers. */
export interface ConnectionView {
  readonly id: number;
  readonly service: string;
  /** `ending`: the client ended it, and messages from before are being handled. */
  readonly phase: ConnectionPhase | "ending";
  /** Calls in flight, the client's and the service's, and their channels that are open. */
  readonly calls: number;
  readonly callsToClient: number;
  readonly channels: number;
  /** Messages that were taken and are not handled. */
  readonly held: number;
  /** Messages that wait for the client's credit. */
  readonly waiting: number;
  readonly keptBytes: number;
}

/** Everything that is shown of one session. */
export interface SessionDetail extends SessionSummary {
  readonly connections: readonly ConnectionView[];
  /** Null for an ended session. */
  readonly counters: {
    /** Messages taken from the client. */
    readonly received: number;
    /** Messages numbered for the client, and how many of them it has. */
    readonly sent: number;
    readonly acked: number;
    /** What is kept until the client has it: its bytes, and what it costs under `delivery.bounded`. */
    readonly unackedBytes: number;
    readonly unackedCost: number;
    /** Messages and calls that were taken and are not done. */
    readonly work: number;
    /** What they, and what connections keep and have waiting, cost under `delivery.bounded`. */
    readonly heldBytes: number;
  } | null;
  readonly history: History;
}

/** What a view depends on beside the session. */
export interface ViewContext {
  readonly now: number;
  /** The name of a node that is up, by its process; undefined for one that is not. */
  readonly liveNode: (boot: string) => string | undefined;
  /** The name of this node. */
  readonly node: string;
  /** Whether a session is in this node's memory. */
  readonly remembered: (session: string) => boolean;
  /** After so long (ms) without a conduit a session leaves its node's memory. */
  readonly parkAfter: number;
}

/** A session by its core in the store. */
export function viewCore(core: CoreRecord, context: ViewContext): SessionSummary {
  const { id, principal, createdAt, settings } = decodeIdentity(core.identity);
  const node = core.attachedTo === null ? null : context.liveNode(core.attachedTo) ?? null;
  const { detachedAt, movedAt } = core;
  return {
    ...{ id, principal, createdAt, node, detachedAt, movedAt },
    state: node !== null ? "attached" : withoutConduit(id, detachedAt, context),
    durability: settings.durability,
    ended: null,
  };
}

/** What a node is about to forget is told by time, since only that node knows. */
function withoutConduit(id: string, detachedAt: number | null, context: ViewContext): ViewedState {
  if (context.remembered(id)) return "detached";
  return detachedAt === null || context.now < detachedAt + context.parkAfter ? "detached" : "parked";
}

/** A session by its tombstone. */
export function viewTombstone(id: string, tombstone: Tombstone): SessionSummary {
  const { principal, createdAt, reason, detail, at } = tombstone;
  return {
    ...{ id, principal, createdAt },
    state: "ended",
    durability: null,
    node: null,
    detachedAt: null,
    movedAt: null,
    ended: { reason, detail, at },
  };
}

/** A session by its machine in this node's memory, as far as that is committed. */
export function viewState(state: SessionState, context: Pick<ViewContext, "node">): SessionSummary {
  const { id, principal, createdAt, settings, detachedAt, movedAt, ended } = state;
  const attached = state.attached !== null;
  return {
    ...{ id, principal, createdAt, movedAt, ended },
    state: ended !== null ? "ended" : attached ? "attached" : "detached",
    durability: settings.durability,
    node: attached ? context.node : null,
    detachedAt,
  };
}

/** All that a machine shows beside its summary. */
export function detailOf(state: SessionState): Omit<SessionDetail, keyof SessionSummary> {
  const { delivery, mux, history, work, heldBytes } = state;
  return {
    connections: [...mux.connections.values()].map(viewConnection),
    counters: {
      received: delivery.received,
      sent: delivery.secured,
      acked: delivery.acked,
      unackedBytes: delivery.retainedBytes,
      unackedCost: retainedCost(delivery),
      work: work.size,
      heldBytes,
    },
    history,
  };
}

function viewConnection(connection: ConnectionState): ConnectionView {
  const { id, service, phase, ending, calls, held, waiting, kept } = connection;
  return {
    ...{ id, service },
    phase: ending === null ? phase : "ending",
    calls: calls?.incoming.size ?? 0,
    callsToClient: calls?.outgoing.size ?? 0,
    channels: calls?.channels.size ?? 0,
    held: held.length,
    waiting: waiting.length,
    keptBytes: kept?.length ?? 0,
  };
}
