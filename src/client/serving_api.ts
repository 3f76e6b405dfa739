/** What an application says to serve the server: methods that it may call, and services that it may connect to. */

import type { BodyValue } from "../protocol/body.ts";
import type { Metadata } from "../protocol/messages.ts";
import type { Connection } from "./connection_api.ts";

/** A call of the server's, as its handler sees it. */
export interface ReceivedCall {
  /** On which it came. */
  readonly connection: Connection;
  /** What the server said beside the argument. */
  readonly metadata: Metadata;
  /**
   * Aborts when the call is over without the handler's answer: cancelled, out of time, or its connection ended. `reason` is an
   * `RpcError`.
   */
  readonly signal: AbortSignal;
}

/**
 * Answers a call of the server's.
 *
 * @returns The result; nothing is answered as null. A thrown `RpcError` is the call's failure; anything else that is thrown is
 * answered `internal` and told as an `error` event.
 */
export type ClientMethod = (
  input: BodyValue,
  call: ReceivedCall,
) => BodyValue | void | Promise<BodyValue | void>;

/** Methods that the server may call, by name. Each has one argument and one result. */
export type ClientMethods = { readonly [method: string]: ClientMethod };

/**
 * A service that the server may open connections to.
 *
 * A handler runs in memory: calls that were not answered when a page went are answered `indeterminate` by the next one.
 */
export interface ClientService {
  /** `[a-z0-9._:-]{1,64}`. */
  readonly name: string;
  /** Plain messages that the server may have under way on one connection, at least 16; without it the session's window bounds them. */
  readonly messageCredit?: number;
  /** What the server may call. */
  readonly methods?: ClientMethods;
  /**
   * Before the connection is taken; messages and calls come after it. A thrown `HoldfastError` rejects the connection with its reason,
   * anything else with `service-failed`. Also called for a connection that was open before a reload: `connection.restored` is
   * true then, and what was kept is `connection.kept`.
   */
  onOpen?(connection: Connection): void | Promise<void>;
  /**
   * One message; the next one when the promise that this gives, if it gives one, is settled. With a `storage` a message whose handling
   * was not over is handled again after a reload. Without `onMessage` whoever got the connection iterates over it.
   */
  onMessage?(connection: Connection, value: BodyValue): void | Promise<void>;
}
