/** What an application sees of a session. */

import type { ContractOf } from "../protocol/contract.ts";
import type { Connection, Ending, OpenOptions } from "./connection_api.ts";
import type { ClientService } from "./serving_api.ts";

export type { Connection, Ending, OpenOptions } from "./connection_api.ts";

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

/** A call that is asked for again in the session that follows a lost one. */
export interface RepeatedCall {
  /** The service's name. */
  readonly service: string;
  /** The method's name. */
  readonly method: string;
  /** The key under which it runs at most once. */
  readonly operation: string;
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
  /**
   * After `lost`, with `startAnewWhenLost` and `auth`: these calls have an operation key and no answer yet, and are asked for again
   * in the new session. Their promises go on; all other calls that were sent have failed with `indeterminate`.
   */
  readonly "repeated": { readonly calls: readonly RepeatedCall[] };
  /** Somebody else resumed this session (a copied tab); this client stays away. */
  readonly "taken-over": { readonly session: string };
  /** The session is over: closed here, ended by the server, or refused for good. */
  readonly "ended": Ending;
  /** The server wants other credentials. With `auth` it is asked again; without, `ended` follows. */
  readonly "credentials": Ending;
  /**
   * Something failed that the session survives: the storage, `auth`, a listener, a handler of a served call. While the storage
   * fails nothing is acked and nothing new is sent; it is tried again until it works. Where nobody listens the platform reports
   * the error as uncaught.
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
   * As above, for a service whose contract is known: `open<typeof counter>("counter")`, with `import type` for the service. One
   * that another server serves is reached as `remote:` and the name it has here.
   *
   * @typeParam S The service's type.
   */
  open<S extends { readonly name: string }>(
    service: S["name"] | `remote:${string}`,
    options?: OpenOptions,
  ): Connection<ContractOf<S>>;

  /** As above, for a service that is at hand: `open(counter)`. Only its name and its type are used. */
  open<S extends { readonly name: string }>(service: S, options?: OpenOptions): Connection<ContractOf<S>>;

  /**
   * Takes connections that the server opens to a service. For those that were open before a reload it must be called in the turn of
   * `connect`, or be one of its options.
   *
   * @throws TypeError for a name that is none; HoldfastError for one that is served already.
   */
  serve(service: ClientService): void;

  /**
   * Ends the session for both sides, once everything sent is acked (at most 5 s). Calls that were not sent fail with `cancelled` at
   * once, those without an answer when the session is over.
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
