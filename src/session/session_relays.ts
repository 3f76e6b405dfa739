/** The connections of one session that are bridged to something else: who hears of them, and what is said on them. */

import type { Said } from "../connection/bridge_state.ts";
import type { EncodedBody, Metadata } from "../protocol/messages.ts";
import {
  type Relay,
  type RelayedConnection,
  type RelayingService,
  REMOTE_LOST,
  type Saying,
} from "../service/relay.ts";
import { hasRoom } from "./delivery_state.ts";
import { ownerOf } from "./operation_record.ts";
import type { ServedSession } from "./served_session.ts";
import type { ServiceEffect } from "./session_events.ts";
import { HEADER_BYTES } from "./session_service_state.ts";

export class SessionRelays {
  readonly #session: ServedSession;
  readonly #relays = new Map<number, Relay>();

  constructor(session: ServedSession) {
    this.#session = session;
  }

  /** A connection is opened to a service that passes everything on. */
  begin(id: number, service: RelayingService, metadata: Metadata): void {
    const session = this.#session;
    session.act({ do: "relay_on", connection: id });
    session.act({ do: "bind", connection: id, reason: REMOTE_LOST });
    this.#relays.set(id, service.relays(new SessionRelayedConnection(session, id, metadata)));
  }

  /** @returns False for what is not about one of these connections. */
  perform(effect: ServiceEffect): boolean {
    const relay = this.#relays.get(effect.connection);
    if (relay === undefined) return false;
    switch (effect.kind) {
      case "relayed":
        relay.heard(effect.message, effect.outcome);
        return true;
      case "deliver":
        relay.heardVolatile(effect.body);
        return true;
      case "call_over":
        relay.overruled(effect.request);
        return true;
      case "connection_ended":
        this.ended(effect.connection, effect);
        return true;
      default:
        return false;
    }
  }

  /** A connection is gone from this node. */
  ended(id: number, { reason, detail }: { readonly reason: string; readonly detail: string }): void {
    const relay = this.#relays.get(id);
    this.#relays.delete(id);
    relay?.ended({ reason, detail });
  }

  /** The client may take more. */
  room(): void {
    for (const relay of this.#relays.values()) relay.room();
  }
}

class SessionRelayedConnection implements RelayedConnection {
  readonly #session: ServedSession;
  readonly id: number;
  readonly service: string;
  readonly metadata: Metadata;
  readonly messageCredit: number | undefined;

  constructor(session: ServedSession, id: number, metadata: Metadata) {
    this.#session = session;
    this.id = id;
    this.metadata = metadata;
    const connection = session.state.mux.connections.get(id);
    this.service = connection?.service ?? "";
    this.messageCredit = connection?.sending?.credit;
  }

  get session(): string {
    return this.#session.state.id;
  }

  get owner(): string {
    return ownerOf(this.#session.state.principal, this.session);
  }

  say(said: Said): Saying {
    const session = this.#session;
    const { id: connection } = this;
    const { state } = session;
    const found = state.mux.connections.get(connection);
    if (!session.live || found === undefined) return "said";
    if (said.kind === "accept") {
      const { kind: _, ...opening } = said;
      session.act({ do: "accept", ...opening, connection });
      return "said";
    }
    if (said.kind === "end") {
      const { reason, detail } = said;
      if (found.phase === "offered") {
        session.act({ do: "reject", connection, reason: reason ?? "ended", detail: detail ?? "" });
      } else session.act({ do: "end", connection, ...optional({ reason, detail }) });
      return "said";
    }
    const bytes = "body" in said ? said.body.length : 0;
    if (bytes > state.settings.limits.bodyBytes) return "too-large";
    if (!hasRoom(state.delivery, bytes + HEADER_BYTES)) return "no-room";
    // An operator's messages may be before it, and wait for credit.
    if (said.kind === "message") session.act({ do: "send", connection, body: said.body });
    else session.act({ do: "relay", connection, payload: { ...said, connection } });
    return "said";
  }

  sayVolatile(body: EncodedBody): void {
    this.#session.act({ do: "send_volatile", connection: this.id, body });
  }
}

function optional({ reason, detail }: { reason: string | undefined; detail: string | undefined }) {
  return { ...(reason === undefined ? {} : { reason }), ...(detail === undefined ? {} : { detail }) };
}
