/** What the client's machine keeps of one call that the application made: types. */

import type { EncodedBody, Metadata } from "../protocol/messages.ts";
import type { Fifo } from "./fifo.ts";

/** Which way items go with a call. */
export type CallShape = "unary" | "download" | "upload" | "duplex";

/**
 * - `waiting`: not numbered: for room in the window, for `accept`, for the server's limits, for its turn;
 * - `sent`: numbered, and not answered;
 * - `retrying`: its operation runs elsewhere (`in-progress`), and it is asked for again later;
 * - `over`: its outcome is known.
 */
export type CallStage = "waiting" | "sent" | "retrying" | "over";

/** What the application asks for. */
export interface CallWords {
  readonly method: string;
  readonly shape: CallShape;
  readonly body: EncodedBody;
  /** Null: it has no key. */
  readonly operation: string | null;
  /** Milliseconds; null: for ever. */
  readonly timeout: number | null;
  readonly metadata: Metadata | null;
  /** Items of its download that may be under way. */
  readonly credit: number;
}

/** What came of a call; the body of one that is not ok is `{code, message, data?}`. */
export interface CallOutcome {
  readonly ok: boolean;
  readonly body: EncodedBody;
}

/** A call that the application made, from then until its outcome was taken. */
export interface ClientCall {
  /** Its name between the machine and the application's side; no other call of this client has it. */
  readonly key: number;
  readonly connection: number;
  readonly service: string;
  readonly method: string;
  readonly shape: CallShape;
  readonly operation: string | null;
  readonly metadata: Metadata | null;
  readonly credit: number;
  /** Milliseconds since the Unix epoch; infinite without a timeout. */
  readonly deadline: number;
  /** What it counts for while it waits, and while its body is kept. */
  readonly cost: number;
  stage: CallStage;
  /** Its number on the connection while it is `sent`; otherwise 0. */
  request: number;
  /** It was numbered at least once: the server may have run it. */
  tried: boolean;
  /** Null once nobody needs it any more: it is sent, and needs neither be sent again nor found again after a reload. */
  body: EncodedBody | null;
  /** `body` is counted in `keptBytes`. */
  kept: boolean;
  /** When it is asked for again; infinite unless it is `retrying`. */
  retryAt: number;
  retries: number;
  /** Somebody waits for its outcome. False: it was restored, and nobody has asked for it yet. */
  claimed: boolean;
  /** The channel of its download; 0 while it has none. */
  downloads: number;
  /** Received and not consumed, oldest first; null without a download. */
  readonly items: Fifo<EncodedBody> | null;
  /** The download ended as it should. */
  finished: boolean;
  /** What it counts for in `inboxBytes`. */
  held: number;
  /** The channel of its upload; 0 while it has none. */
  uploads: number;
  /** The one item that waits for credit or for room. */
  pending: EncodedBody | null;
  outcome: CallOutcome | null;
}
