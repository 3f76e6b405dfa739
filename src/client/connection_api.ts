/** What an application sees of a connection. */

import type { BodyValue } from "../protocol/body.ts";
import type { Calls, Messages, ServiceContract, UntypedContract } from "../protocol/contract.ts";
import type { Metadata } from "../protocol/messages.ts";
import type { ClientMethods } from "./serving_api.ts";

/** Why a session or a connection is over. */
export interface Ending {
  /** One word: a reason of the protocol, or the application's own; empty for an end without a reason. */
  readonly reason: string;
  /** For a person. */
  readonly detail: string;
}

/** What `Session.open` may say about the connection. */
export interface OpenOptions {
  /** Handed to the service; at most 4 KiB. */
  readonly metadata?: Metadata;
  /**
   * Plain messages that the service may have under way on this connection, at least 16; more are granted as they are consumed, so
   * that a slow consumer slows down its service and nobody else. Without it they pile up here, up to `storedBytes`.
   */
  readonly messageCredit?: number;
  /** What the service may call on this connection. A restored connection takes it too. */
  readonly methods?: ClientMethods;
}

/**
 * A connection to one service inside a session.
 *
 * Iterate over it to take its messages, one consumer at a time. A message is **consumed** when the next one is asked
 * for, or when the loop is left; with a `storage` one that was not consumed is given again after a reload. Memory is
 * bounded: a connection whose messages nobody takes is ended with `overloaded` (`storedBytes`). The loop ends when the
 * connection was closed here, or ended by the service without a reason; otherwise it throws a `HoldfastError` that names the reason.
 *
 * Its calls wait for their turn, for room and for the conduit by themselves, and go on over any break. Each failure is an `RpcError`
 * (a {@link CallError}), whose `advice` says whether to make the call again:
 *
 * - a connection or session that is over: `cancelled` where it was ended here, otherwise `indeterminate` for a call that was sent
 *   and `unavailable` for one that was not;
 * - more than `storedBytes` wait to be sent, or to be answered: `resource-exhausted`.
 *
 * A call whose operation runs elsewhere just now (`in-progress`) is asked for again until it is over or its timeout is.
 *
 * With a `storage`, calls go on over a reload: the same call (method, argument and operation key) made again gives back the restored one,
 * once, within a minute; after that it is forgotten, and a download cancelled. An answer is taken in the turn in which it is given, an item
 * of a download when the next one is asked for. Uploads are cancelled: their items were in the page's memory.
 *
 * @typeParam C What the service promises; without it values are body values.
 */
export interface Connection<C extends ServiceContract = UntypedContract> extends Calls<C>, Messages<C> {
  /** Its id within the session; 0 until the session's state was read from an asynchronous storage. */
  readonly id: number;
  /** The service's name. */
  readonly service: string;
  /** True if it was restored from a storage. */
  readonly restored: boolean;
  /** Resolves when the service accepted it; rejects with a HoldfastError when it did not. */
  readonly opened: Promise<void>;
  /** Resolves when it is over, whoever ended it; never rejects. */
  readonly closed: Promise<Ending>;
  /** What the other side said when it accepted the connection, or opened it; empty until then. */
  readonly metadata: Metadata;
  /** The hash of the service's description (`connection.schema`); null until it accepted, or where it gave none. */
  readonly schema: string | null;
  /** What `keep` was last given, also before a reload; undefined if nothing was. */
  readonly kept: BodyValue | undefined;

  /**
   * Sends a message: delivered exactly once, in the order of the calls.
   *
   * @returns Resolves when the message is numbered and kept, so that it will arrive unless the session is lost; with a
   * storage, when it is stored. Waits while the window is full, the service grants no more (`connection.credit`) or has not
   * accepted (beyond 16 messages): await it and memory stays bounded.
   * @throws TypeError (as a rejection) naming the path, for a value that is no body value. HoldfastError when the
   * connection or the session is over, or when more than `storedBytes` wait because nobody awaited.
   */
  send(value: C["receives"]): Promise<void>;

  /** Sends now or never: not kept, not sent again. @returns False if it was dropped. */
  sendVolatile(value: C["receives"]): boolean;

  /** Listens to volatile messages. @returns Stops listening. */
  onVolatile(listener: (value: C["sends"]) => void): () => void;

  /**
   * Keeps a small value with the session, in the same write of the storage as everything else of this turn.
   *
   * So a counter kept in the turn that sends, or as the last act of a loop's body, never disagrees with what was sent or
   * consumed, also across a reload at any moment.
   *
   * @param value At most 32 KiB encoded.
   * @throws TypeError for a value that is no body value; RangeError for one that is too large.
   */
  keep(value: BodyValue): void;

  /** Ends the connection, after everything sent before; calls without an answer fail with `cancelled`. */
  close(reason?: string, detail?: string): void;
}
