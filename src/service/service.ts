/** What runs on a session's connections, as the session sees it. */

import type { EncodedBody, Metadata } from "../protocol/messages.ts";

/**
 * One open connection, in a service's hands.
 *
 * What a service does in one turn is committed together with the message that made it do so, and leaves after that
 * commit. On a connection that is gone every method does nothing.
 */
export interface ServiceConnection {
  readonly id: number;
  readonly session: string;
  readonly principal: string;
  /** Sends a plain message: numbered, kept, delivered exactly once (`docs/protocol.md`, Delivery). */
  send(body: EncodedBody): void;
  /** Sends now or never (`delivery.volatile`). */
  sendVolatile(body: EncodedBody): void;
  end(reason?: string, detail?: string): void;
}

/** Why a service does not take a connection. */
export interface Rejection {
  readonly reason: string;
  readonly detail: string;
}

/**
 * A service. Its handlers run synchronously, one message at a time and in order; one that throws ends its connection with
 * `service-failed`, never the session.
 */
export interface Service {
  /** `[a-z0-9._:-]{1,64}`. */
  readonly name: string;
  /** Before `accept`; gives a rejection to refuse. */
  onOpen?(connection: ServiceConnection, metadata: Metadata): Rejection | void;
  onMessage(connection: ServiceConnection, body: EncodedBody): void;
  onVolatile?(connection: ServiceConnection, body: EncodedBody): void;
  /** The connection is gone from this node: ended by either side, or its session moved or ended. */
  onEnd?(connection: ServiceConnection): void;
}
