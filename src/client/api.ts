/** What an application sees of a session and its connections. */

import type { BodyValue } from "../protocol/body.ts";
import type { Metadata } from "../protocol/messages.ts";

/**
 * Where a session is:
 *
 * - `idle`: its state is being read from a storage, or it is offline by request;
 * - `connecting`, `handshaking`: a conduit is being dialled, or is asked to carry the session;
 * - `attached`: a conduit carries it;
 * - `detached`: no conduit, and the next attempt is waiting for its time;
 * - `ended`: over, or held by somebody else.
 */
export type SessionPhase = "idle" | "connecting" | "handshaking" | "attached" | "detached" | "ended";

/** Why a session or a connection is over. */
export interface Ending {
  /** One word: a reason of the protocol, or the application's own; empty for an end without a reason. */
  readonly reason: string;
  /** For a person. */
  readonly detail: string;
}

/** Each event of a session, with what its listeners are given. */
export interface SessionEvents {
  /** A conduit is being dialled; `attempt` counts from 1 since the session last moved a message. */
  readonly "connecting": { readonly attempt: number };
  /** A **new** session exists; whatever was sent before goes to it. */
  readonly "connected": { readonly session: string; readonly node: string };
  /** The **same** session goes on; `replayed` of its kept messages go out now, in order. */
  readonly "resumed": { readonly session: string; readonly node: string; readonly replayed: number };
  /** The conduit is gone, or could not be had. The next attempt is due in `retryIn` ms; null: not before `goOnline()`. */
  readonly "detached": { readonly code: number; readonly reason: string; readonly retryIn: number | null };
  /** The session is lost: what was not acked may or may not have arrived. Never follows a silent restart. */
  readonly "lost": Ending;
  /** Somebody else resumed this session (a copied tab); this client stays away. */
  readonly "taken-over": { readonly session: string };
  /** The session is over: closed here, ended by the server, or refused for good. */
  readonly "ended": Ending;
  /** The server wants other credentials. With `auth` it is asked again; without, `ended` follows. */
  readonly "credentials": Ending;
  /**
   * Something failed that the session survives: the storage, `auth`, a listener. While the storage fails nothing is acked
   * and nothing new is sent; it is tried again until it works. Where nobody listens the platform reports the error as uncaught.
   */
  readonly "error": { readonly error: Error };
}

/** The name of a {@link SessionEvents} event. */
export type SessionEventName = keyof SessionEvents;

/**
 * A session: it outlives its conduits, reconnects by itself, and delivers exactly once and in order.
 *
 * @example
 * ```ts no-assert
 * import { connect } from "./mod.ts";
 *
 * async function talk() {
 *   await using session = connect("http://127.0.0.1:8080");
 *   const echo = session.open("echo");
 *   await echo.send({ hello: "world" });
 *   for await (const answer of echo) {
 *     console.log(answer);
 *     break;
 *   }
 * }
 * ```
 */
export interface Session extends AsyncDisposable {
  /** The session's public id; null until the server gave one. */
  readonly id: string | null;
  /** Where it is now. */
  readonly phase: SessionPhase;
  /**
   * Resolves when its state was read from the storage: from then on `id`, `connections` and `kept` are what was stored.
   * Never rejects. With a storage that answers at once, or none, they are there when `connect` returns.
   */
  readonly ready: Promise<void>;
  /** How it ended; null while it lives. */
  readonly ending: Ending | null;
  /** Own messages that the server has not acked, those that wait for room in the window included. */
  readonly unacked: number;
  /** The connections that are not over, in the order of their ids; after a reload the restored ones. */
  readonly connections: readonly Connection[];

  /**
   * Opens a connection to a service, at once and also offline.
   *
   * After a reload (`storage`) it first gives back the restored connections of that service that were not yet asked for,
   * in the order of their ids, so that a page which opens the same services again goes on where it was.
   *
   * @throws HoldfastError when the session is over, or has as many connections as the server takes.
   */
  open(service: string, options?: OpenOptions): Connection;

  /**
   * Ends the session for both sides, once everything sent is acked (at most 5 s).
   *
   * @returns Resolves when the server confirmed it, or after at most 15 s; never rejects.
   */
  close(reason?: string, detail?: string): Promise<void>;

  /** Listens to an event. @returns Stops listening. */
  on<Name extends SessionEventName>(
    event: Name,
    listener: (details: SessionEvents[Name]) => void,
  ): () => void;

  /** Cuts the live conduit as a network would: nothing is announced, the session resumes. For tests and demonstrations. */
  breakConduit(): void;
  /** Cuts the conduit and dials no other until `goOnline`. For tests and demonstrations. */
  goOffline(): void;
  /** Ends `goOffline`: dials at once. */
  goOnline(): void;
}

/** What {@link Session.open} may say about the connection. */
export interface OpenOptions {
  /** Handed to the service; at most 4 KiB. */
  readonly metadata?: Metadata;
}

/**
 * A connection to one service inside a session.
 *
 * Iterate over it to take its messages, one consumer at a time. A message is **consumed** when the next one is asked
 * for, or when the loop is left; with a `storage` one that was not consumed is given again after a reload. Memory is
 * bounded: a connection whose messages nobody takes is ended with `overloaded` (`storedBytes`). The loop ends when the
 * connection was closed here, or ended by the service without a reason; otherwise it throws a `HoldfastError` that names the reason.
 */
export interface Connection extends AsyncIterable<BodyValue> {
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
  /** What `keep` was last given, also before a reload; undefined if nothing was. */
  readonly kept: BodyValue | undefined;

  /**
   * Sends a message: delivered exactly once, in the order of the calls.
   *
   * @returns Resolves when the message is numbered and kept, so that it will arrive unless the session is lost; with a
   * storage, when it is stored. Waits while the window is full or the service has not accepted (beyond 16 messages): await
   * it and memory stays bounded.
   * @throws TypeError (as a rejection) naming the path, for a value that is no body value. HoldfastError when the
   * connection or the session is over, or when more than `storedBytes` wait because nobody awaited.
   */
  send(value: BodyValue): Promise<void>;

  /** Sends now or never: not kept, not sent again. @returns False if it was dropped. */
  sendVolatile(value: BodyValue): boolean;

  /** Listens to volatile messages. @returns Stops listening. */
  onVolatile(listener: (value: BodyValue) => void): () => void;

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

  /** Ends the connection, after everything sent before. */
  close(reason?: string, detail?: string): void;
}
