/** What the two kinds of simulated clients have in common. */

import type { Subprotocol } from "../../src/protocol/codec.ts";
import type { Limits } from "../../src/protocol/limits.ts";
import type { RequestedSettings } from "../../src/protocol/messages.ts";
import type { SeededRandom } from "../support/seeded_random.ts";
import type { Ledger } from "./ledger.ts";
import type { SimEnd } from "./sim_line.ts";
import type { SimNode } from "./sim_node.ts";
import type { SimProcess } from "./sim_process.ts";
import type { Timeline } from "./timeline.ts";
import type { Sizes } from "./workload.ts";

/** Who listens to a conduit that a simulated client dialled. */
export interface SimDialHandler {
  onOpen(): void;
  onFrame(frame: Uint8Array | string): void;
  onClose(code: number, reason: string): void;
}

/** What a client is like; all from the seed. */
export interface ClientSpec {
  readonly name: string;
  readonly kind: "foreign" | "sdk";
  readonly subprotocol: Subprotocol;
  readonly settings: RequestedSettings;
  /** Its state outlives its page. */
  readonly stored: boolean;
  /** The slowest write of the storage, milliseconds; null: each is done when it returns. The SDK's storage only. */
  readonly storageLatency: number | null;
  /** Milliseconds between requests, on average. */
  readonly pace: number;
  /** Requests in all, per session. */
  readonly requests: number;
  /** Who it says it is; `""`: nobody. */
  readonly principal: string;
  /** Calls and messages beside the requests, per session; 0: none. Of clients by the protocol alone. */
  readonly work: number;
  readonly mix: WorkMix;
}

/** What a client's work is made of; probabilities. */
export interface WorkMix {
  /** A connection is to the bank; the others are to the desk. */
  readonly bank: number;
  /** The next thing it does is to open a connection, to end one, to send a message; all else are calls. */
  readonly opens: number;
  readonly ends: number;
  readonly messages: number;
}

/** Why a session ended for its client. */
export interface Loss {
  readonly client: SimClient;
  readonly session: string | null;
  readonly reason: string;
  readonly detail: string;
}

/** What a client needs of the simulated world. */
export interface ClientHost {
  readonly timeline: Timeline;
  readonly sizes: Sizes;
  readonly limits: Limits;
  readonly ledger: Ledger;
  /** Accounts of the simulated bank. */
  readonly accounts: number;
  /** Of the server, as every client of this version may assume them before it is told. */
  readonly windows: { readonly messages: number; readonly bytes: number };
  newProcess(name: string): SimProcess;
  newRandom(): SeededRandom;
  dial(client: SimClient, process: SimProcess, subprotocol: Subprotocol, handler: SimDialHandler): SimEnd;
  /** Another node than before is dialled from now on. */
  moved(client: SimClient): void;
  fail(problem: string): void;
  trace(line: string): void;
  /** Its session is gone, and this is what it was told. */
  lost(loss: Loss): void;
  count(what: string): void;
}

export interface SimClient {
  readonly spec: ClientSpec;
  /** A copy of its session is, or was, elsewhere: what holds for one client does not hold for the two. */
  shared: boolean;
  /** Whom it dials; null: anyone. */
  node: SimNode | null;
  /** The present session's public id. */
  readonly session: string | null;
  /** No session will come of it any more. */
  readonly over: string | null;
  /** Attached, everything acked, every reply there. */
  readonly caughtUp: boolean;
  /** Its application has asked for the end and was told that it came. */
  readonly closed: boolean;
  /** The application asks for no more than it has by now. */
  rest(): void;
  /** The page is gone and, where something was stored, comes back. @returns False if it cannot. */
  reload(): boolean;
  /** Dials once more though a conduit is there or on its way. */
  redial(): void;
  /** Ends the session. */
  close(): void;
  /** Is never heard of again. */
  vanish(): void;
  /** Another page with the same state; null if this kind has none. */
  copy(): SimClient | null;
  describe(): string;
}
