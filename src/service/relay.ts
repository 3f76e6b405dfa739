/**
 * A connection whose messages are passed on as they are (`connection.proxy`): the port between the session that has it and
 * what it is bridged to. Nothing of it is decoded, handled or kept by the session.
 */

import type { Said } from "../connection/bridge_state.ts";
import type { PassedOn } from "../connection/mux_model.ts";
import type { EncodedBody, Metadata, SessionMessage } from "../protocol/messages.ts";
import type { Service } from "./service.ts";

/** Why a bridged connection ends whose process has lost its session, or whose other side is gone with the session there. */
export const REMOTE_LOST = "remote-lost";

/** A service that passes on everything that happens on its connections; of a service's other members only the name counts. */
export interface RelayingService extends Service {
  /** A client opened a connection. Must not throw. */
  relays(connection: RelayedConnection): Relay;
}

/** True for one of these. */
export function isRelaying(service: Service): service is RelayingService {
  return "relays" in service;
}

/**
 * What came of saying something:
 *
 * - `said`: it is numbered and kept, or what it belongs to is over;
 * - `no-room`: nothing was said, since the session takes no more just now; {@link Relay.room} tells when to try again;
 * - `refused`: a call, and as many are in flight as may be;
 * - `too-large`: the other side takes no body of this size.
 */
export type Saying = "said" | "no-room" | "refused" | "too-large";

/** The connection that a client opened, in the hands of what it is bridged to. It ends with this process. */
export interface RelayedConnection {
  /** Its id within the session. */
  readonly id: number;
  /** The session's public id. */
  readonly session: string;
  /** The name it was opened with. */
  readonly service: string;
  /** Whose operation keys count: the principal, or the session where nobody is authenticated. */
  readonly owner: string;
  /** What its `open` said. */
  readonly metadata: Metadata;
  /** What its `open` granted for plain messages; undefined: the session's window alone bounds them. */
  readonly messageCredit: number | undefined;
  /** Says what the other side said. An `end` before the `accept` rejects it. */
  say(said: Said): Saying;
  /** Sends now or never (`delivery.volatile`). */
  sayVolatile(body: EncodedBody): void;
}

/** What hears of such a connection. */
export interface Relay {
  /** The client said something on it; `outcome` is what that means. */
  heard(message: SessionMessage, outcome: PassedOn): void;
  /** A volatile message. */
  heardVolatile(body: EncodedBody): void;
  /** The session answered a call of the client's itself, since its time is over (`call.timeout`). */
  overruled(request: number): void;
  /** More may be said. */
  room(): void;
  /** It is gone from this node. */
  ended(ending: { readonly reason: string; readonly detail: string }): void;
}
