/** The part of the session machine that answers calls. */

import * as mux from "../connection/mux_state.ts";
import type { EncodedBody } from "../protocol/messages.ts";
import type { RpcCode } from "../protocol/rpc_codes.ts";
import { encodeFailure } from "../protocol/rpc_error.ts";
import { emit } from "./session_ending_state.ts";
import { connectionChanged, type SessionEffect, type SessionState } from "./session_model.ts";
import { dropWork, hasRoomFor } from "./work_state.ts";

/** An answer to a call. */
export interface Answer {
  readonly ok: boolean;
  /** The result, or a failure. */
  readonly body: EncodedBody;
  /** The word for the reset of its download. */
  readonly reason: string;
}

/** A failure of the session's own, as a response carries it. */
export function failure(code: RpcCode, message: string): EncodedBody {
  return encodeFailure({ code, message });
}

/** Small enough to be told whatever else the session holds. */
const SMALL_ANSWER_BYTES = 1024;

/**
 * Answers a call, once; its work is done. A result that the session has no room for is answered `indeterminate`: the client
 * does not take what it is sent (`delivery.bounded`).
 */
export function answerCall(
  state: SessionState,
  connection: number,
  request: number,
  answer: Answer,
  now: number,
  effects: SessionEffect[],
): void {
  const call = state.mux.connections.get(connection)?.calls?.incoming.get(request);
  if (call === undefined) return;
  dropWork(state, call.seq);
  connectionChanged(state, connection);
  state.changes++;
  const told = tellable(state, answer);
  for (const payload of mux.respond(state.mux, connection, request, told)) emit(state, payload, now, effects);
}

function tellable(state: SessionState, answer: Answer): Answer {
  const { length } = answer.body;
  const { bodyBytes } = state.settings.limits;
  if (length > bodyBytes) {
    const text = `the answer has ${length} bytes; at most ${bodyBytes} may be sent`;
    return { ok: false, body: failure("internal", text), reason: "internal" };
  }
  if (length <= SMALL_ANSWER_BYTES || hasRoomFor(state, length)) return answer;
  const text = "the call is over, and too much waits for the client to tell it how (delivery.bounded)";
  return { ok: false, body: failure("indeterminate", text), reason: "indeterminate" };
}
