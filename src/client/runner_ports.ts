/** What a client's runner is given, and whom it tells. */

import type { MuxOutcome } from "../connection/mux_model.ts";
import type { Subprotocol } from "../protocol/codec.ts";
import type { EncodedBody, SessionMessage } from "../protocol/messages.ts";
import type { Clock } from "../system/clock.ts";
import type { Random } from "../system/random.ts";
import type { Act, ClientEffect, ClientEvent, Moment, Told } from "./client_events.ts";
import type { ClientSettings, ClientState, ConnectionEnding } from "./client_model.ts";
import type { AuthRequest, Dial, KeyValueStorage } from "./options.ts";

/** What a runner is given. */
export interface RunnerHost {
  readonly url: string;
  readonly subprotocol: Subprotocol;
  readonly settings: ClientSettings;
  readonly clock: Clock;
  readonly random: Random;
  readonly dial: Dial;
  readonly storage: KeyValueStorage | null;
  readonly storageKey: string;
  readonly auth: ((request: AuthRequest) => string | Promise<string>) | null;
  readonly startAnew: boolean;
}

/** Who hears of what happens: after what the machine decided is done, never inside one of its steps. */
export interface RunnerListener {
  /** The session's state is there: new, or read from the storage. */
  loaded(state: ClientState): void;
  told(event: Told): void;
  accepted(state: ClientState, connection: number): void;
  arrived(state: ClientState, connection: number): void;
  /** Something was heard on a connection that was opened to be relayed. */
  relayed?(state: ClientState, message: SessionMessage, outcome: MuxOutcome): void;
  /** More may be said on such connections. */
  room?(): void;
  volatile(state: ClientState, connection: number, body: EncodedBody): void;
  over(state: ClientState, connection: number, ending: ConnectionEnding): void;
  /** The server opened a connection, or one that it opened was restored. */
  offered(state: ClientState, connection: number): void;
  called(state: ClientState, call: Called): void;
  aborted(state: ClientState, connection: number, request: number, reason: string): void;
}

/** A call of the server's. */
export type Called = Extract<ClientEffect, { readonly kind: "called" }>;

/** Who made a call. */
export interface Caller {
  /** It is made now, or goes on in another session; `key` names it there. */
  started(state: ClientState, key: number): void;
  /** The first item is there to be consumed. */
  arrived(): void;
  /** The next item of the upload may come. */
  pull(): void;
  /** What came of it; called once, and nothing after it. */
  over(ok: boolean, body: EncodedBody): void;
}

/** What can happen, without the moment: the runner adds it. */
export type Happening = Exclude<
  ClientEvent extends infer E ? E extends ClientEvent ? Omit<E, keyof Moment> : never : never,
  Act
>;
