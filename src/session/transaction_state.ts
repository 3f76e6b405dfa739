/** The part of the session machine that takes in what transactions decided, and takes it back where its commit failed. */

import type { IncomingCall } from "../connection/call_state.ts";
import { reopen } from "../connection/call_state.ts";
import type { EncodedBody } from "../protocol/messages.ts";
import { withdraw } from "./delivery_state.ts";
import {
  connectionChanged,
  type ServiceAction,
  type SessionEffect,
  type SessionState,
  type Work,
} from "./session_model.ts";
import { serviceActed } from "./session_service_state.ts";
import { restoreWork } from "./work_state.ts";

/** A decided transaction, as the machine needs it. */
export interface Decision {
  readonly connection: number;
  /** The call that it answers; null: it handles the message `seq`. */
  readonly request: number | null;
  readonly seq: number | null;
  readonly ok: boolean;
  readonly body: EncodedBody;
  readonly reason: string;
  readonly sends: readonly EncodedBody[];
  /** Null: the message was handled. */
  readonly ending: { readonly reason: string; readonly detail: string } | null;
}

/** What a decision changed, so that it can be taken back. */
interface Undo {
  readonly connection: number;
  readonly call: IncomingCall | null;
  readonly heldSeq: number | null;
  readonly work: Work | undefined;
  /** Credit that its messages used, and what it granted and counted as consumed. */
  readonly spent: number;
  readonly granted: number;
  readonly consumed: number;
  /** Null: it is no message, or was handled. */
  readonly ending: Decision["ending"];
}

/** What some decisions changed: these messages, consecutive, and what each of them did. */
export interface Decisions {
  /** The number of the first of their messages, and how many there are. */
  readonly first: number;
  readonly count: number;
  readonly undos: readonly Undo[];
}

/** Takes decisions in: their messages are numbered and their work is done, if the commit that is being made succeeds. */
export function decide(
  state: SessionState,
  decisions: readonly Decision[],
  now: number,
  effects: SessionEffect[],
): Decisions {
  const first = state.delivery.sent + 1;
  const undos: Undo[] = [];
  for (const decision of decisions) {
    const { connection: id, request, seq } = decision;
    const connection = state.mux.connections.get(id);
    if (connection === undefined) continue;
    const call = request === null ? null : connection.calls?.incoming.get(request) ?? null;
    if (request !== null && call === null) continue;
    const work = state.work.get(call?.seq ?? seq ?? -1);
    const before = { ...connection.receiving, sent: connection.sending?.sent ?? 0 };
    if (request === null) connection.unsettled++;
    for (const action of actionsOf(decision)) serviceActed(state, action, now, effects);
    undos.push({
      ...{ connection: id, call, work, heldSeq: request === null ? seq : null, ending: decision.ending },
      spent: (connection.sending?.sent ?? 0) - before.sent,
      granted: (connection.receiving?.granted ?? 0) - (before.granted ?? 0),
      consumed: (connection.receiving?.consumed ?? 0) - (before.consumed ?? 0),
    });
  }
  return { first, count: state.delivery.sent - first + 1, undos };
}

/** The commit that held decisions succeeded: connections that only waited for it end now. */
export function confirm(
  state: SessionState,
  { undos }: Decisions,
  now: number,
  effects: SessionEffect[],
): void {
  for (const { connection: id, heldSeq, ending } of undos) {
    const connection = state.mux.connections.get(id);
    if (connection === undefined || heldSeq === null) continue;
    connection.unsettled--;
    const over = connection.ending !== null && connection.held.length + connection.unsettled === 0;
    if (ending === null && !over) continue;
    serviceActed(state, { do: "end", connection: id, ...ending ?? {} }, now, effects);
  }
}

/** Takes decisions back: nobody was told, and nothing of them is committed. A connection that is gone meanwhile stays so. */
export function revoke(state: SessionState, { first, count, undos }: Decisions): void {
  if (count > 0) withdraw(state.delivery, first, count);
  for (const { connection: id, call, heldSeq, work, spent, granted, consumed, ending } of undos) {
    const connection = state.mux.connections.get(id);
    if (connection === undefined) continue;
    if (call !== null && connection.calls !== null) {
      reopen(connection.calls, call);
      if (call.deadline !== null) state.callDeadline = Math.min(state.callDeadline, call.deadline);
    }
    if (heldSeq !== null) connection.unsettled--;
    if (heldSeq !== null && ending === null) connection.held = [heldSeq, ...connection.held];
    // A call that was ended meanwhile is not done any more.
    if (work !== undefined && ending === null && (call === null || connection.calls !== null)) {
      restoreWork(state, work);
    }
    if (connection.sending !== null) {
      connection.sending.credit += spent;
      connection.sending.sent -= spent;
    }
    if (connection.receiving !== null) {
      connection.receiving.granted -= granted;
      connection.receiving.consumed -= consumed;
    }
    connectionChanged(state, id);
  }
  state.changes++;
}

/** A call whose answer is being committed. */
export interface Withheld {
  readonly connection: number;
  readonly call: IncomingCall;
}

/** Takes calls off those that wait: while their answers are being committed, a cancel or a deadline comes too late. */
export function withhold(state: SessionState, decisions: readonly Decision[]): Withheld[] {
  return decisions.flatMap(({ connection, request }) => {
    const { incoming } = state.mux.connections.get(connection)?.calls ?? {};
    const call = request === null ? undefined : incoming?.get(request);
    if (call === undefined) return [];
    incoming!.delete(call.request);
    return [{ connection, call }];
  });
}

/** Ends {@link withhold}: it is known what became of the commit. */
export function giveBack(state: SessionState, withheld: readonly Withheld[]): void {
  for (const { connection, call } of withheld) {
    const { calls = null } = state.mux.connections.get(connection) ?? {};
    if (calls === null) continue;
    reopen(calls, call);
    if (call.deadline !== null) state.callDeadline = Math.min(state.callDeadline, call.deadline);
  }
}

/** What a decision does on its connection at once; an ending waits until it is committed ({@link confirm}). */
export function actionsOf(decision: Decision): ServiceAction[] {
  const { connection, request, seq, ok, body, reason, sends, ending } = decision;
  const actions: ServiceAction[] = sends.map((sent) => ({ do: "send", connection, body: sent }));
  if (request !== null) actions.push({ do: "respond", connection, request, ok, body, reason });
  else if (ending === null) actions.push({ do: "handled", connection, seq });
  return actions;
}
