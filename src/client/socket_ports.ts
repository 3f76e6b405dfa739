/** What a {@link HoldfastSocket} needs of a session: less than there is, so that anything alike will do. */

import type { BodyValue } from "../protocol/body.ts";
import type { Metadata } from "../protocol/messages.ts";

/** The part of `Session` that opens connections. */
export interface SocketSession {
  /** Resolves when connections can be told from restored ones. */
  readonly ready: Promise<void>;
  /** Opens a connection, or gives a restored one. */
  open(service: string, options?: { readonly metadata?: Metadata }): SocketConnection;
}

/** Why a connection is over. */
export interface SocketEnding {
  /** One word. */
  readonly reason: string;
  /** For a person; of a WebSocket's close its code and reason. */
  readonly detail: string;
}

/** The part of `Connection` that carries messages. */
export interface SocketConnection extends AsyncIterable<BodyValue> {
  /** True if it was open before a reload. */
  readonly restored: boolean;
  /** Resolves when the service accepted it; rejects with a `HoldfastError` when it did not. */
  readonly opened: Promise<void>;
  /** Resolves when it is over. */
  readonly closed: Promise<SocketEnding>;
  /** What the service said with its accept. */
  readonly metadata: Metadata;
  /** Takes the value as it is now. Resolves when it is numbered and kept. */
  send(value: BodyValue): Promise<void>;
  /** Ends it after everything sent before. */
  close(reason?: string, detail?: string): void;
}
