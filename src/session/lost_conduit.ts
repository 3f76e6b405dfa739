/** What the client of a session is told whose node found out that it lost it (`resume.anywhere`). */

import type { Reason } from "../protocol/reasons.ts";
import { sessionKey } from "../storage/keys.ts";
import { decodeRecord } from "../storage/session_record.ts";
import type { SessionStore } from "../storage/session_store.ts";
import type { TokenHash } from "./token_state.ts";

/**
 * Why the conduit must close whose `established` carried `offered`.
 *
 * `superseded` only if the store holds a newer token: then somebody resumed the session, and this client must stay away.
 * Without one, another node merely released it, as it does when this node was cut off from the store: the client comes
 * back by itself, and is told then if the session has ended meanwhile.
 */
export async function reasonOfLoss(
  store: SessionStore,
  session: string,
  offered: TokenHash | null,
): Promise<Reason> {
  const [core] = await store.get([sessionKey(session)]);
  if (core === null || core === undefined) return "unavailable";
  const record = decodeRecord(core.value);
  if (record.kind === "tombstone") return "unavailable";
  const { current, successors } = record.core.tokens;
  return (successors.at(-1) ?? current) === offered ? "unavailable" : "superseded";
}
