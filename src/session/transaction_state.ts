/** The part of the session machine that takes in what transactions decided, and takes it back where its commit failed. */

import type { IncomingCall } from "../connection/call_state.ts";
import { reopen } from "../connection/call_state.ts";
import type { EncodedBody } from "../protocol/messages.ts";
import { withdraw } from "./delivery_state.ts";
import type { ServiceAction, SessionEffect, SessionState, Work } from "./session_model.ts";
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
    for (const action of actionsOf(decision)) serviceActed(state, action, now, effects);
    undos.push({
      ...{ connection: id, call, work, heldSeq: request === null ? seq : null },
      spent: (connection.sending?.sent ?? 0) - before.sent,
      granted: (connection.receiving?.granted ?? 0) - (before.granted ?? 0),
      consumed: (connection.receiving?.consumed ?? 0) - (before.consumed ?? 0),
    });
  }
  return { first, count: state.delivery.sent - first + 1, undos };
}

/** Takes decisions back: nobody was told, and nothing of them is committed. A connection that is gone meanwhile stays so. */
export function revoke(state: SessionState, { first, count, undos }: Decisions): void {
  if (count > 0) withdraw(state.delivery, first, count);
  for (const { connection: id, call, heldSeq, work, spent, granted, consumed } of undos) {
    const connection = state.mux.connections.get(id);
    if (connection === undefined) continue;
    if (call !== null && connection.calls !== null) reopen(connection.calls, call);
    if (heldSeq !== null) connection.held = [heldSeq, ...connection.held];
    if (work !== undefined) restoreWork(state, work);
    if (connection.sending !== null) {
      connection.sending.credit += spent;
      connection.sending.sent -= spent;
    }
    if (connection.receiving !== null) {
      connection.receiving.granted -= granted;
      connection.receiving.consumed -= consumed;
    }
    state.changedConnections.add(id);
  }
  state.changes++;
}

/** What a decision does on its connection. */
export function actionsOf(decision: Decision): ServiceAction[] {
  const { connection, request, seq, ok, body, reason, sends, ending } = decision;
  const actions: ServiceAction[] = sends.map((sent) => ({ do: "send", connection, body: sent }));
  if (request !== null) actions.push({ do: "respond", connection, request, ok, body, reason });
  else if (ending !== null) actions.push({ do: "end", connection, ...ending });
  else actions.push({ do: "handled", connection, seq });
  return actions;
}
