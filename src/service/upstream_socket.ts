/** A WebSocket to an upstream server, as its bridge needs it: the port. */

import type { Payload } from "../protocol/payload.ts";
import type { SocketClosing } from "../protocol/socket_closing.ts";

/** How a socket came to its end. */
export type UpstreamEnd =
  /** It never opened. `detail` is for the client, without an address; `cause` for the operator. Neither holds credentials. */
  | { readonly kind: "refused"; readonly detail: string; readonly cause: string }
  /** `ABNORMAL` where there was no close frame, or what came was no WebSocket. */
  | { readonly kind: "closed"; readonly closing: SocketClosing }
  /** It sent a message that is larger than what is taken, and was closed with 1009. */
  | { readonly kind: "too-big" };

/**
 * Told what happens to a socket.
 *
 * None of these is called before the dial returned, nor from inside one of the socket's methods, but for `onOpen` nothing
 * before `onOpen`, and nothing after `onGone`.
 */
export interface UpstreamHandler {
  /** @param protocol The subprotocol that the upstream chose; empty if none was offered. */
  onOpen(protocol: string): void;
  /** @param payload A view that holds until this returns. */
  onMessage(payload: Payload): void;
  /** A ping was answered. */
  onPong(): void;
  /** Nothing more comes. Once. */
  onEnd(end: UpstreamEnd): void;
  /** Its resources are released. Once, and last. */
  onGone(): void;
}

/** See the top of this file. On one that has ended every method does nothing. */
export interface UpstreamSocket {
  /**
   * Sends a message, which is copied.
   *
   * @returns A promise where more than a high-water mark waits for the network. It resolves when this message was given to the
   * network, or the socket is gone; it never rejects.
   */
  send(payload: Payload): void | Promise<void>;
  /** Reads no further; what was read already still comes. A new socket is paused. */
  pause(): void;
  resume(): void;
  ping(): void;
  /** Closes, and gives up an upstream that does not answer in time. What still comes is not told. */
  close(closing: SocketClosing): void;
  /** Ends the TCP connection at once, or the dial. */
  drop(): void;
}

/**
 * Dials an upstream. Never throws.
 *
 * @param protocols Subprotocols to offer: tokens, each once.
 */
export type DialUpstream = (
  url: string,
  protocols: readonly string[],
  handler: UpstreamHandler,
) => UpstreamSocket;
