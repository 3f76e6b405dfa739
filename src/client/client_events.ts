/** What can happen to a client's session, and what its machine asks for: types. */

import type { MuxOutcome } from "../connection/mux_model.ts";
import type { Relayed } from "../connection/relay_state.ts";
import type { ConduitMessage, EncodedBody, Message, Metadata, SessionMessage } from "../protocol/messages.ts";
import type { Violation } from "../protocol/rules.ts";
import type { SessionEvents } from "./api.ts";
import type { CallWords } from "./client_call_model.ts";
import type { ConnectionEnding, RepeatableCall, StorePoint } from "./client_model.ts";

/** When, and a random number in 0 … 1 (1 excluded): both arrive with each event. */
export interface Moment {
  readonly now: number;
  readonly chance: number;
}

/** What the application does with its connections. None of it is decided by chance. */
export type ConnectionAct =
  | {
    readonly kind: "open";
    readonly service: string;
    readonly metadata: Metadata | undefined;
    /** Plain messages that the server may have under way (`connection.credit`). */
    readonly messageCredit: number | undefined;
    /** What is heard on it is passed on as it is (`connection.proxy`). */
    readonly relayed?: boolean;
  }
  /** Says what somebody else said. Ask for room before. */
  | { readonly kind: "relay"; readonly payload: Relayed }
  | {
    readonly kind: "send";
    readonly connection: number;
    readonly body: EncodedBody;
    readonly ticket: number;
  }
  | { readonly kind: "send_volatile"; readonly connection: number; readonly body: EncodedBody }
  /** The oldest message of a connection was consumed. */
  | { readonly kind: "consumed"; readonly connection: number }
  | { readonly kind: "keep"; readonly connection: number; readonly value: EncodedBody }
  | {
    readonly kind: "end";
    readonly connection: number;
    readonly reason: string | undefined;
    readonly detail: string | undefined;
  };

/** What the application does with its calls. */
export type CallAct =
  /** Its key is one above `lastCall`. */
  | { readonly kind: "call"; readonly connection: number; readonly words: CallWords }
  /** Asks for a restored call. */
  | { readonly kind: "claim_call"; readonly call: number }
  | { readonly kind: "cancel_call"; readonly call: number }
  /** Nobody waits for it any more. One that is not over is cancelled. */
  | { readonly kind: "leave_call"; readonly call: number }
  /** The oldest item of a download was consumed. */
  | { readonly kind: "item_consumed"; readonly call: number }
  /** The next item of an upload; the one before is numbered. */
  | { readonly kind: "upload_item"; readonly call: number; readonly body: EncodedBody }
  /** The upload is over; with a reason it broke off, and nobody waits for the answer any more. */
  | { readonly kind: "upload_over"; readonly call: number; readonly reason: string | null };

/** What the application does as a server. */
export type ServingAct =
  | { readonly kind: "serve"; readonly service: string }
  | {
    readonly kind: "accept";
    readonly connection: number;
    readonly messageCredit: number | undefined;
  }
  | {
    readonly kind: "decline";
    readonly connection: number;
    readonly reason: string;
    readonly detail: string;
  }
  | {
    readonly kind: "respond";
    readonly connection: number;
    readonly request: number;
    readonly ok: boolean;
    readonly body: EncodedBody;
  };

/** What the application does. */
export type Act = ConnectionAct | CallAct | ServingAct;

/** What can happen to a client's session. */
export type ClientEvent =
  & Moment
  & (
    | Act
    /** Dials for the first time; `backoff` where a session was refused just before. */
    | { readonly kind: "begin"; readonly backoff: boolean }
    /** Calls of a session that was lost go on in this one. */
    | { readonly kind: "repeat"; readonly calls: readonly RepeatableCall[] }
    | { readonly kind: "conduit_open"; readonly conduit: number; readonly challenge: string }
    | { readonly kind: "credentials"; readonly conduit: number; readonly auth: string }
    | { readonly kind: "credentials_failed"; readonly conduit: number }
    | { readonly kind: "frame"; readonly conduit: number; readonly messages: readonly Message[] }
    | { readonly kind: "undecodable"; readonly conduit: number; readonly violation: Violation }
    | {
      readonly kind: "conduit_closed";
      readonly conduit: number;
      readonly code: number;
      readonly reason: string;
    }
    | { readonly kind: "woke" }
    /** The machine woke, the network came back, the page became visible: is the conduit still there? */
    | { readonly kind: "nudge" }
    | { readonly kind: "cut" }
    | { readonly kind: "go_offline" }
    | { readonly kind: "go_online" }
    | { readonly kind: "close"; readonly reason: string; readonly detail: string }
    /** Everything of this turn was handled: what it produced may go into one write and one frame. */
    | { readonly kind: "turn_ended" }
    | { readonly kind: "stored"; readonly point: StorePoint }
    | { readonly kind: "store_failed" }
  );

/** An event for the application. */
export type Told = {
  [Name in keyof SessionEvents]: {
    readonly kind: "tell";
    readonly name: Name;
    readonly details: SessionEvents[Name];
  };
}[keyof SessionEvents];

/** What the machine asks its runner to do, in order. */
export type ClientEffect =
  | Told
  | { readonly kind: "dial"; readonly conduit: number }
  | { readonly kind: "ask_credentials"; readonly conduit: number; readonly refused: string | null }
  /** As few frames as their size allows: conduit messages, then encoded session messages. */
  | {
    readonly kind: "transmit";
    readonly conduit: number;
    readonly control: readonly ConduitMessage[];
    readonly messages: readonly Uint8Array[];
  }
  /** Nothing of this conduit matters from here on. */
  | {
    readonly kind: "close_conduit";
    readonly conduit: number;
    readonly code: number;
    readonly reason: string;
  }
  | { readonly kind: "store"; readonly point: StorePoint }
  | { readonly kind: "forget" }
  | { readonly kind: "accepted"; readonly connection: number }
  | { readonly kind: "arrived"; readonly connection: number }
  /** Pass on what was heard on a connection that is relayed. */
  | { readonly kind: "relayed"; readonly message: SessionMessage; readonly outcome: MuxOutcome }
  /** More may be said on the connections that are relayed. */
  | { readonly kind: "room" }
  | { readonly kind: "volatile"; readonly connection: number; readonly body: EncodedBody }
  | { readonly kind: "connection_over"; readonly connection: number; readonly ending: ConnectionEnding }
  /** A send is safe. */
  | { readonly kind: "sent"; readonly ticket: number }
  | {
    readonly kind: "unsent";
    readonly ticket: number;
    readonly reason: string;
    readonly detail: string;
  }
  /** The first item of a call's download is there to be consumed. */
  | { readonly kind: "item_arrived"; readonly call: number }
  /** The next item of a call's upload may come. */
  | { readonly kind: "pull"; readonly call: number }
  /** What came of a call; told once. */
  | { readonly kind: "call_over"; readonly call: number; readonly ok: boolean; readonly body: EncodedBody }
  /** The server opened a connection to a service of the client's, or one that it opened was restored. */
  | { readonly kind: "offered"; readonly connection: number }
  /** The server calls. */
  | {
    readonly kind: "called";
    readonly connection: number;
    readonly request: number;
    readonly method: string;
    readonly body: EncodedBody;
    readonly metadata: Metadata;
    /** It sends items, or wants them. */
    readonly channels: boolean;
  }
  /** A call of the server's is over without an answer of its handler. */
  | {
    readonly kind: "abort";
    readonly connection: number;
    readonly request: number;
    readonly reason: "cancelled" | "deadline-exceeded";
  };
