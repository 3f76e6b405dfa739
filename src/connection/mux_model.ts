/** What the multiplexer keeps of a session's connections, and what a message can mean: its types. */

import type { EncodedBody, Metadata, SessionPayload } from "../protocol/messages.ts";
import { DEFAULT_LIMITS } from "../protocol/limits.ts";
import type { Violation } from "../protocol/rules.ts";
import type { CallsState, ChannelOutcome, IncomingCall, OutgoingCall } from "./call_state.ts";
import type { Receiving, Sending } from "./channel_state.ts";

/** Which side of the session this is; it decides whose ids are odd (`frame.ids`). */
export type Side = "client" | "server";

/**
 * - `opening`: this side opened it and waits for the answer;
 * - `offered`: the other side opened it and this side has not answered;
 * - `open`: answered with `accept`.
 */
export type ConnectionPhase = "opening" | "offered" | "open";

export interface ConnectionState {
  readonly id: number;
  readonly service: string;
  phase: ConnectionPhase;
  /** Messages sent (`opening`) or received (`offered`) before `accept`. */
  early: number;
  /** What the `open` said; kept until it is answered. */
  offer: Metadata | null;
  /** Made with the first call: most connections have none. */
  calls: CallsState | null;
  /** The credit of plain messages that this side sends, where the other side gave one (`connection.credit`). */
  sending: Sending | null;
  /** The credit of plain messages that the other side sends, where this side gave one. */
  receiving: Receiving | null;
  /** What the application keeps with the connection. */
  kept: EncodedBody | null;
  /** Raised with each `keep`. */
  keptVersion: number;
  /** The reason with which it ends when the process that has it is lost; null: it survives. */
  lostWith: string | null;
  /** Numbers of plain messages that were taken and whose handling is not over, the oldest first. */
  held: number[];
  /**
   * The other side ended it, and messages from before that are not handled yet: nothing more comes or goes, and it is gone
   * when they are.
   */
  ending: { readonly reason: string; readonly detail: string } | null;
  /** Messages whose handling is decided by a transaction that is not committed: it may yet be taken back. Not kept. */
  unsettled: number;
  /** Messages that this side wants sent and that wait for credit. */
  waiting: EncodedBody[];
  /** What is heard on it is passed on as it is (`connection.proxy`). Not kept: such a connection ends with its process. */
  relayed: boolean;
}

export interface MuxState {
  readonly side: Side;
  /** How many connections may exist at once, whoever opened them. */
  readonly most: number;
  /** How many calls may be in flight on a connection, in each direction (`call.limit`). */
  readonly mostCalls: number;
  readonly connections: Map<number, ConnectionState>;
  highestOwn: number;
  highestPeer: number;
}

/** No connection yet. */
export function newMux(
  side: Side,
  most: number,
  mostCalls: number = DEFAULT_LIMITS.concurrentCalls,
): MuxState {
  return { side, most, mostCalls, connections: new Map(), highestOwn: 0, highestPeer: 0 };
}

/** A connection on which nothing has happened. */
export function newConnection(id: number, service: string, phase: ConnectionPhase): ConnectionState {
  return {
    id,
    service,
    phase,
    early: 0,
    offer: null,
    calls: null,
    sending: null,
    receiving: null,
    kept: null,
    keptVersion: 0,
    lostWith: null,
    held: NO_NUMBERS,
    ending: null,
    unsettled: 0,
    waiting: NO_BODIES,
    relayed: false,
  };
}

/** Shared by all connections on which nothing waits; replaced, never changed. */
const NO_NUMBERS: number[] = [];
const NO_BODIES: EncodedBody[] = [];

/** What means nothing to this side where messages are passed on as they are: another side answers it. */
const PASSED_ON = [
  "message",
  "called",
  "answered",
  "cancelled",
  "item",
  "channel_over",
  "credited",
  "messages_credited",
] as const;
const PASSED_ON_KINDS: ReadonlySet<MuxOutcome["kind"]> = new Set<MuxOutcome["kind"]>(PASSED_ON);

/** An outcome that is passed on. */
export type PassedOn = Extract<MuxOutcome, { readonly kind: typeof PASSED_ON[number] }>;

/** True for what a connection that is relayed passes on. */
export function isPassedOn(outcome: MuxOutcome): outcome is PassedOn {
  return PASSED_ON_KINDS.has(outcome.kind);
}

/** What an arriving session message means. */
export type MuxOutcome =
  /** The other side opens a connection; this side must accept or reject it. */
  | {
    readonly kind: "offered";
    readonly connection: number;
    readonly service: string;
    readonly metadata: Metadata;
  }
  /** `schema`: the hash of the service's description, where it has one (`connection.schema`). */
  | {
    readonly kind: "accepted";
    readonly connection: number;
    readonly metadata: Metadata;
    readonly schema?: string;
  }
  | { readonly kind: "message"; readonly connection: number; readonly body: EncodedBody }
  /** A connection is gone because the other side said so. */
  | {
    readonly kind: "ended";
    readonly connection: number;
    readonly service: string;
    readonly rejected: boolean;
    readonly reason: string | undefined;
    readonly detail: string | undefined;
  }
  /** The other side ended it, and what it sent before is still being handled. */
  | { readonly kind: "ending"; readonly connection: number }
  /** This side answers by itself; `ended` names the connection that the answer ends here, if one does. */
  | {
    readonly kind: "answer";
    readonly payload: SessionPayload;
    readonly ended: number | null;
    readonly service: string;
  }
  /** The other side calls. `malformed`: its argument is no body, so it is to be answered `invalid-argument`. */
  | {
    readonly kind: "called";
    readonly connection: number;
    readonly call: IncomingCall;
    readonly body: EncodedBody;
    readonly malformed: string | undefined;
  }
  /** A call of this side is answered. */
  | {
    readonly kind: "answered";
    readonly connection: number;
    readonly call: OutgoingCall;
    readonly ok: boolean;
    readonly body: EncodedBody;
    readonly malformed: string | undefined;
  }
  /** The other side wants no answer to a call any more. */
  | { readonly kind: "cancelled"; readonly connection: number; readonly call: IncomingCall }
  | {
    readonly kind: "item";
    readonly connection: number;
    readonly call: IncomingCall | OutgoingCall;
    readonly channel: number;
    readonly body: EncodedBody;
    readonly malformed: string | undefined;
  }
  | (Exclude<ChannelOutcome, { readonly kind: "item" | "dropped" | "violation" }> & {
    readonly connection: number;
  })
  /** More plain messages may be sent. */
  | { readonly kind: "messages_credited"; readonly connection: number }
  | { readonly kind: "dropped" }
  | { readonly kind: "violation"; readonly violation: Violation };
