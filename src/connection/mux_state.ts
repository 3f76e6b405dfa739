/**
 * Multiplexing: which connections a session has, and what a message for one of them means.
 *
 * Shared by both sides. Rules `frame.ids`, `connection.open`, `connection.early`, `connection.end`.
 */

import { encodeBody } from "../protocol/body.ts";
import { EARLY_MESSAGES } from "../protocol/limits.ts";
import type { Metadata, SessionMessage, SessionPayload } from "../protocol/messages.ts";
import type { ConnectionReason } from "../protocol/reasons.ts";
import { type Violation, violation } from "../protocol/rules.ts";

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
}

export interface MuxState {
  readonly side: Side;
  /** How many connections may exist at once, whoever opened them. */
  readonly most: number;
  readonly connections: Map<number, ConnectionState>;
  highestOwn: number;
  highestPeer: number;
}

/** No connection yet. */
export function newMux(side: Side, most: number): MuxState {
  return { side, most, connections: new Map(), highestOwn: 0, highestPeer: 0 };
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
  | { readonly kind: "accepted"; readonly connection: number; readonly metadata: Metadata }
  | { readonly kind: "message"; readonly connection: number; readonly body: Uint8Array }
  /** A connection is gone because the other side said so. */
  | {
    readonly kind: "ended";
    readonly connection: number;
    readonly service: string;
    readonly rejected: boolean;
    readonly reason: string | undefined;
    readonly detail: string | undefined;
  }
  /** This side answers by itself; `ended` names the connection that the answer ends here, if one does. */
  | {
    readonly kind: "answer";
    readonly payload: SessionPayload;
    readonly ended: number | null;
    readonly service: string;
  }
  | { readonly kind: "dropped" }
  | { readonly kind: "violation"; readonly violation: Violation };

const DROPPED: MuxOutcome = { kind: "dropped" };
const NO_METADATA: Metadata = {};

/** Decides what one session message means for the connections. */
export function receive(state: MuxState, message: SessionMessage): MuxOutcome {
  if (message.kind === "open") return receiveOpen(state, message);
  const connection = state.connections.get(message.connection);
  if (connection === undefined) return receiveForUnknown(state, message.connection);
  switch (message.kind) {
    case "message":
      if (message.malformed !== undefined) {
        return endLocally(state, connection, "malformed-body", message.malformed);
      }
      if (connection.phase === "offered" && ++connection.early > EARLY_MESSAGES) {
        return broken(
          "connection.early",
          `more than ${EARLY_MESSAGES} messages before accept on connection ${connection.id}`,
        );
      }
      // The other side cannot have spoken on a connection it has not accepted.
      if (connection.phase === "opening") {
        return broken("connection.open", `a message on connection ${connection.id} before its accept`);
      }
      return { kind: "message", connection: connection.id, body: message.body };
    case "accept":
      if (connection.phase !== "opening") return DROPPED;
      connection.phase = "open";
      return { kind: "accepted", connection: connection.id, metadata: message.metadata ?? NO_METADATA };
    case "reject":
      if (connection.phase !== "opening") return DROPPED;
      state.connections.delete(connection.id);
      return {
        kind: "ended",
        connection: connection.id,
        service: connection.service,
        rejected: true,
        reason: message.reason,
        detail: message.detail,
      };
    case "end":
      state.connections.delete(connection.id);
      return {
        kind: "ended",
        connection: connection.id,
        service: connection.service,
        rejected: false,
        reason: message.reason,
        detail: message.detail,
      };
    case "call":
      return {
        kind: "answer",
        payload: unknownMethod(message.connection, message.request),
        ended: null,
        service: connection.service,
      };
    case "response":
    case "cancel":
      // Nothing was called here, or it is answered already: the two may cross.
      return DROPPED;
    case "item":
    case "finish":
    case "reset":
    case "credit":
      return broken("frame.ids", `channel ${message.channel} of connection ${connection.id} was never open`);
    default:
      return message satisfies never;
  }
}

/** Opens a connection from this side: its id, and the message that says so. */
export function open(
  state: MuxState,
  service: string,
  metadata?: Metadata,
): SessionPayload & { readonly kind: "open" } {
  const first = state.side === "client" ? 1 : 2;
  const id = state.highestOwn === 0 ? first : state.highestOwn + 2;
  state.highestOwn = id;
  state.connections.set(id, { id, service, phase: "opening", early: 0 });
  return metadata === undefined
    ? { kind: "open", connection: id, service }
    : { kind: "open", connection: id, service, metadata };
}

/** Accepts an offered connection. Null if there is none of that id to answer. */
export function accept(state: MuxState, id: number): SessionPayload | null {
  const connection = state.connections.get(id);
  if (connection?.phase !== "offered") return null;
  connection.phase = "open";
  return { kind: "accept", connection: id };
}

/** Rejects an offered connection. Null if there is none of that id to answer. */
export function reject(state: MuxState, id: number, reason: string, detail: string): SessionPayload | null {
  if (state.connections.get(id)?.phase !== "offered") return null;
  state.connections.delete(id);
  return { kind: "reject", connection: id, reason, detail };
}

/** Ends a connection from this side. Null if it is gone already. */
export function end(state: MuxState, id: number, reason?: string, detail?: string): SessionPayload | null {
  if (!state.connections.delete(id)) return null;
  return {
    kind: "end",
    connection: id,
    ...(reason === undefined ? {} : { reason }),
    ...(detail === undefined ? {} : { detail }),
  };
}

/**
 * True if this side may send a plain message on a connection now: it is open, or it is this side's own and fewer than
 * 16 were sent before its accept (`connection.early`). Counts the early ones.
 */
export function maySend(state: MuxState, id: number): boolean {
  const connection = state.connections.get(id);
  if (connection === undefined || connection.phase === "offered") return false;
  if (connection.phase === "open") return true;
  if (connection.early >= EARLY_MESSAGES) return false;
  connection.early++;
  return true;
}

function receiveOpen(state: MuxState, message: SessionMessage & { readonly kind: "open" }): MuxOutcome {
  const { connection: id, service } = message;
  if (id === 0 || isOwn(state, id)) {
    return broken(
      "frame.ids",
      `connection id ${id} is not one that the ${state.side === "client" ? "server" : "client"} gives`,
    );
  }
  if (id <= state.highestPeer) {
    return broken("frame.ids", `connection id ${id} is not above ${state.highestPeer}, the highest seen`);
  }
  state.highestPeer = id;
  if (state.connections.size >= state.most) {
    return rejected(id, service, "too-many-connections", `at most ${state.most} connections in a session`);
  }
  if (message.messageCredit !== undefined) {
    return rejected(
      id,
      service,
      "unsupported",
      "messageCredit: this version serves connections without their own credit",
    );
  }
  state.connections.set(id, { id, service, phase: "offered", early: 0 });
  return { kind: "offered", connection: id, service, metadata: message.metadata ?? NO_METADATA };
}

function receiveForUnknown(state: MuxState, id: number): MuxOutcome {
  const highest = isOwn(state, id) ? state.highestOwn : state.highestPeer;
  return id > 0 && id <= highest ? DROPPED : broken("frame.ids", `connection ${id} was never opened`);
}

function endLocally(
  state: MuxState,
  connection: ConnectionState,
  reason: ConnectionReason,
  detail: string,
): MuxOutcome {
  state.connections.delete(connection.id);
  return {
    kind: "answer",
    payload: { kind: "end", connection: connection.id, reason, detail },
    ended: connection.id,
    service: connection.service,
  };
}

function rejected(connection: number, service: string, reason: string, detail: string): MuxOutcome {
  return { kind: "answer", payload: { kind: "reject", connection, reason, detail }, ended: null, service };
}

function isOwn(state: MuxState, id: number): boolean {
  return (id % 2 === 1) === (state.side === "client");
}

function broken(rule: Violation["rule"], detail: string): MuxOutcome {
  return { kind: "violation", violation: violation(rule, detail) };
}

/** The encoding of `{code: "unknown-method", message: …}`; no service of this version has methods. */
function unknownMethod(connection: number, request: number): SessionPayload {
  return { kind: "response", connection, request, ok: false, body: UNKNOWN_METHOD };
}

const UNKNOWN_METHOD = encodeBody({ code: "unknown-method", message: "this service has no methods" });
