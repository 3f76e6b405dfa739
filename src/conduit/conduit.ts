/** The port to one live transport: a WebSocket, an in-memory pipe. Conduits break; sessions do not. */

import type { Frame, Subprotocol } from "../protocol/codec.ts";

/**
 * One live transport, dialled or accepted.
 *
 * Obligations of an implementation:
 * - frames arrive whole, once, and in the order they were sent, until the conduit breaks;
 * - `send` and `close` never throw; on a conduit that is closing or closed they do nothing;
 * - the handler's `onClose` is called exactly once, also when this side closed, and nothing is called after it;
 * - no callback runs inside a call of `send` or `close`;
 * - a throw in a handler reaches the one error handler of the conduit, never the process.
 */
export interface Conduit {
  /** Unique in this process; ascending. */
  readonly id: number;
  /** Which encoding its frames have. */
  readonly subprotocol: Subprotocol;
  /** Bytes accepted by `send` that have not left this process. */
  readonly bufferedBytes: number;
  /** Sends one frame. */
  send(frame: Frame): void;
  /**
   * Closes in good order.
   *
   * @param code A WebSocket close code (`docs/protocol.md`, Reasons and codes).
   * @param reason At most 123 bytes of UTF-8; longer ones are cut.
   */
  close(code: number, reason: string): void;
}

/** Who listens to a conduit. */
export interface ConduitHandler {
  /** One whole frame, in order. */
  onFrame(frame: Frame): void;
  /**
   * The conduit is gone.
   *
   * @param code The code the other side gave; 1006 when the conduit broke without one.
   */
  onClose(code: number, reason: string): void;
}

/** What is known of the other side before it says anything. */
export interface ConduitPeer {
  /** Whom limits count for; null: not limited, as this machine itself. */
  readonly address: string | null;
  /** The token of the upgrade's `Authorization` header. */
  readonly credentials: string | undefined;
}

/** A peer that came without an address or credentials. */
export const UNKNOWN_PEER: ConduitPeer = { address: null, credentials: undefined };
