/** Judges a message that an operator wants sent on a session's connection, before anything is done about it. */

import type { EncodedBody } from "../protocol/messages.ts";
import { retainedCost } from "./delivery_state.ts";
import type { SessionState } from "./session_model.ts";

/** Whether a push is taken, or why not. */
export type PushVerdict = "taken" | "ended" | "unknown-connection" | "connection-not-open" | "session-full";

/**
 * A connection's own service that sends too much has its connection ended (`delivery.bounded`); an operator who does is
 * refused, and nothing else happens.
 */
export function judgePush(state: SessionState, connection: number, body: EncodedBody): PushVerdict {
  if (state.ended !== null) return "ended";
  const found = state.mux.connections.get(connection);
  if (found === undefined) return "unknown-connection";
  if (found.phase !== "open") return "connection-not-open";
  const full = retainedCost(state.delivery) + body.length > state.settings.limits.storedBytes;
  return full ? "session-full" : "taken";
}
