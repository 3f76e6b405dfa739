/** What an application may say when it connects. */

import type { Subprotocol } from "../protocol/codec.ts";
import type { Durability, Metadata } from "../protocol/messages.ts";
import type { Conduit, ConduitHandler } from "../conduit/conduit.ts";
import type { Clock } from "../system/clock.ts";
import type { Random } from "../system/random.ts";
import type { ReconnectPolicy } from "./reconnect_policy.ts";
import type { ClientService } from "./serving_api.ts";

/**
 * Where a client keeps its state, so that a reload or a restart resumes the session (`resume.stored-client`).
 *
 * One client per key at a time; a second one takes the session over. Obligations: `get` gives what the last completed
 * `set` of that key stored; a `set` that returned or resolved survives whatever the application wants to survive; it is
 * whole or not at all; failures throw or reject.
 */
export interface KeyValueStorage {
  /** What is stored under a key, if anything is. */
  get(key: string): string | null | undefined | Promise<string | null | undefined>;
  /** Stores a value in the place of what was there. */
  set(key: string, value: string): void | Promise<void>;
  /** Removes what is stored, if anything is. */
  remove(key: string): void | Promise<void>;
}

/** The part of the platform's `Storage` that is used: `sessionStorage` fits as it is. */
export interface WebStorage {
  /** As `Storage.getItem`. */
  getItem(key: string): string | null;
  /** As `Storage.setItem`. */
  setItem(key: string, value: string): void;
  /** As `Storage.removeItem`. */
  removeItem(key: string): void;
}

/** Either shape. */
export type ClientStorage = KeyValueStorage | WebStorage;

/** Who listens to a conduit that was dialled. */
export interface DialHandler extends ConduitHandler {
  /** The conduit may be sent to; called once, before the first frame, or never. */
  onOpen(): void;
}

/**
 * Dials a conduit. Never throws: a conduit that cannot be had is closed with 1006.
 *
 * @param url Where to, `ws:` or `wss:`.
 * @param subprotocols What to offer.
 * @param handler Hears of the conduit, never inside this call.
 */
export type Dial = (url: string, subprotocols: readonly Subprotocol[], handler: DialHandler) => Conduit;

/** What `auth` is told. */
export interface AuthRequest {
  /** Why the last credentials were refused; null if they were not. */
  readonly refused: string | null;
}

/** What an application may say when it connects. */
export interface ConnectOptions {
  /** How messages are written on the wire; by default `msgpack`. */
  readonly encoding?: "msgpack" | "json";
  /** What "acked" means for the session; by default the server's (`durable`). */
  readonly durability?: Durability;
  /** Keeps the session's state, so that a reload resumes it. By default nothing is kept. */
  readonly storage?: ClientStorage;
  /** By default `holdfast` and the url. */
  readonly storageKey?: string;
  /** Gives credentials, for each handshake anew. */
  readonly auth?: (request: AuthRequest) => string | Promise<string>;
  /** Small strings about this client, told to the server when the session is created; at most 4 KiB. */
  readonly metadata?: Metadata;
  /** When to dial again; by default exponential with full jitter, for ever. */
  readonly reconnect?: ReconnectPolicy;
  /** How many unacked messages this client takes; by default 1024. */
  readonly windowMessages?: number;
  /** How many unacked bytes this client takes; by default 1 MiB, at least twice the server's largest body. */
  readonly windowBytes?: number;
  /** What may wait in memory, bytes: for the window, and for the application to consume; by default 8 MiB each. */
  readonly storedBytes?: number;
  /**
   * Starts a new session after `lost`, by itself; by default false. The old connections are over all the same. With `auth`, whose
   * principal must stay the same, calls that have an operation key and no answer are asked for again in the new session (`repeated`).
   */
  readonly startAnewWhenLost?: boolean;
  /** Services that the server may open connections to. */
  readonly serve?: readonly ClientService[];
  /** Probes the conduit when the page wakes, goes online or becomes visible; by default true where there is a page. */
  readonly probe?: boolean;
  /** For tests. */
  readonly clock?: Clock;
  /** For tests. */
  readonly random?: Random;
  /** For tests, and for other transports; by default the platform's WebSocket. */
  readonly dial?: Dial;
}
