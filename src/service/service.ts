/**
 * What runs on a session's connections, as the session sees it: the port between sessions and services.
 *
 * Bodies stay encoded here. `define_service.ts` puts names, types and schemas on top; a service that only passes bodies on
 * (`echo`, `upstream`) is written against this port itself.
 */

import type { MethodKind } from "../protocol/contract.ts";
import type { EncodedBody, Metadata } from "../protocol/messages.ts";
import type { RpcCode } from "../protocol/rpc_codes.ts";

export type { MethodKind } from "../protocol/contract.ts";

/** Where a service's own data lies: an ordered path, at most 1 KiB; what it is made of may come from outside. */
export type DataKey = readonly (string | number | boolean)[];

/**
 * One connection, in a service's hands. On one that is gone every method does nothing.
 *
 * What a service does in one synchronous step is committed together, and leaves after that commit. What it does while
 * `onMessage` handles a message, up to the end of the promise that this gave, is committed with the end of that message.
 */
export interface ServiceConnection {
  /** Its id within the session: odd where the client opened it. */
  readonly id: number;
  /** The session's public id. */
  readonly session: string;
  /** Who the session belongs to; empty where nobody is authenticated. */
  readonly principal: string;
  /** The name it was opened with. */
  readonly service: string;
  /** Milliseconds since the Unix epoch. */
  readonly now: number;
  /** Sends a plain message: numbered, kept, delivered exactly once (`docs/protocol.md`, Delivery). */
  send(body: EncodedBody): void;
  /** Sends now or never (`delivery.volatile`). */
  sendVolatile(body: EncodedBody): void;
  /** What was kept last; null if nothing was. */
  readonly kept: EncodedBody | null;
  /**
   * Keeps a small value with the connection; it survives whatever the session survives.
   *
   * @throws RangeError for more than 32 KiB.
   */
  keep(value: EncodedBody): void;
  /**
   * True while a message that is sent now goes out without piling up: the client's credit allows it, and less than half of
   * a window waits for the client.
   */
  readonly writable: boolean;
  /** Resolves when `writable` is true, or the connection is gone. A reader of something else waits here. */
  whenWritable(): Promise<void>;
  /**
   * The connection depends on something of this process (a socket): when the session goes on elsewhere, or here without
   * its memory, the connection ends with this reason instead of going on without it.
   */
  bindToNode(reason: string): void;
  /** Ends the connection (`connection.end`): one word for machines, a sentence for people. */
  end(reason?: string, detail?: string): void;
  /**
   * Opens a connection to a service that the **client** serves (`connection.open`). It lives as long as this process has
   * the session: then it ends with `opener-lost`.
   *
   * @param handler What happens on it; its `onOpen` is not called. `onOpened` is, when the client has accepted.
   */
  openToClient(handler: Service, metadata?: Metadata): ServiceConnection;
  /** Calls a method of the client's side of this connection (`call.once`). Never rejects. */
  call(method: string, body: EncodedBody, options?: { readonly timeout?: number }): Promise<CallOutcome>;
}

/** How a call came out. */
export type CallOutcome =
  | { readonly ok: true; readonly body: EncodedBody }
  | { readonly ok: false; readonly error: CallFailure };

/** Why a call failed, as the caller is told. */
export interface CallFailure {
  /** Which of the closed set it is. */
  readonly code: RpcCode;
  /** For people; the wire carries its first 512 characters. */
  readonly message: string;
  /** A value for programs. */
  readonly data?: EncodedBody;
}

/** Why a service does not take a connection. */
export interface Rejection {
  /** One word for machines. */
  readonly reason: string;
  /** For people. */
  readonly detail: string;
}

/** What a service says to a connection that it takes. */
export interface Acceptance {
  /** Told to the client with the accept. */
  readonly metadata?: Metadata;
}

/**
 * One call, in a service's hands. It is answered once; what is done after the answer, or after the call is over, does
 * nothing. The answer, what the handler did since its last wait, and the end of the call are one commit.
 */
export interface ServedCall {
  /** The connection that it came on. */
  readonly connection: ServiceConnection;
  /** One of the service's methods. */
  readonly method: string;
  /** Its argument. */
  readonly body: EncodedBody;
  /** What the caller says beside it. */
  readonly metadata: Metadata;
  /** When it is answered `deadline-exceeded`; milliseconds since the Unix epoch. Null: never. */
  readonly deadline: number | null;
  /**
   * Aborts when the call is over without an answer of this handler. `reason` is an `Error` whose `name` is one of
   * `cancelled`, `deadline-exceeded`, `connection-ended`, `moved`. Made when it is first read.
   */
  readonly signal: AbortSignal;
  /** True when a node accepted it before and was lost: the handler runs again. */
  readonly again: boolean;
  /** Items that are out already on the download, by earlier runs too. */
  readonly itemsSent: number;
  /** Answers with a result. The download is finished first. */
  respond(body: EncodedBody): void;
  /** Answers with an error. The download is reset first. */
  fail(failure: CallFailure): void;
  /**
   * Sends one item on the download, if the client's credit allows it.
   *
   * @returns False, and nothing is sent, where it does not: wait for {@link whenCredit}. True also when the call is over.
   */
  trySend(item: EncodedBody): boolean;
  /** Resolves when an item may be sent, or the call is over. */
  whenCredit(): Promise<void>;
  /**
   * The next item of the upload, in order.
   *
   * @returns Null after its end. Rejects with an `Error` named `reset` when the client broke it off, and with the signal's reason
   * when the call is over. One at a time. An item that was taken grants room for another.
   */
  nextItem(): Promise<EncodedBody | null>;
  /**
   * Runs a transaction and answers with what comes of it, all in one commit. `run` may be called several times, also after
   * a crash, and must do nothing else than read and write through `tx`; what it rejects with is its failure.
   *
   * @param run Gives the answer's body, or a failure, which discards what was written.
   */
  transact(run: (tx: Transaction) => Promise<EncodedBody | CallFailure>): void;
}

/**
 * A service's durable data, read and written inside one transaction. Keys are the service's own: no other service sees
 * them; all sessions do.
 */
export interface Transaction {
  /** Milliseconds since the Unix epoch. */
  readonly now: number;
  /**
   * What a key holds, the transaction's own writes included; null if nothing.
   *
   * @throws RangeError for the ninth key that is read, or a key that is too long.
   */
  get(key: DataKey): Promise<EncodedBody | null>;
  /**
   * Writes a key when the transaction commits; null removes it.
   *
   * @throws RangeError for a value of more than 56 KiB, the ninth key that is written, or a key that is too long.
   */
  set(key: DataKey, value: EncodedBody | null): void;
  /** Sends a plain message on the connection, with the commit. */
  send(body: EncodedBody): void;
}

/** What a session must know of a method. */
export interface Method {
  /** Which channels its calls have, and whether it is a transaction. */
  readonly kind: MethodKind;
  /** What happens to a call that was accepted and then lost with its node; transactions always run again. */
  readonly retry: "never" | "safe";
}

/** What a service looks like from outside (`connection.schema`). */
export interface ServiceDescription {
  /** base64url of SHA-256 over the canonical document: `accept.schema`. */
  readonly hash: string;
  /** A JSON document: `GET /v1/services/{service}`. */
  readonly document: { readonly [key: string]: unknown };
}

/**
 * A service. One that throws ends its connection with `service-failed`, or answers its call with `internal`; it never ends
 * the session.
 */
export interface Service {
  /** `[a-z0-9._:-]{1,64}`. */
  readonly name: string;
  /** Its methods by name; absent: none. A call of another is answered `unknown-method` before the service hears of it. */
  readonly methods?: ReadonlyMap<string, Method>;
  /** How it describes itself; absent: it does not. */
  readonly description?: ServiceDescription;
  /**
   * Plain messages that may be under way to this service on one connection, 16 … 1024 (`connection.credit`). Absent: the
   * session's window alone bounds them, and `delivery.bounded` ends a connection that piles up.
   */
  readonly messageCredit?: number;
  /**
   * Before `accept`. While a promise is pending the connection is neither accepted nor rejected; after the loss of the node
   * it is asked again.
   */
  onOpen?(
    connection: ServiceConnection,
    metadata: Metadata,
  ): Acceptance | Rejection | void | Promise<Acceptance | Rejection | void>;
  /** Only for a connection that was opened to the client: it was accepted. */
  onOpened?(connection: ServiceConnection, metadata: Metadata): void;
  /**
   * One message; in order, and the next one only when the promise that this gives, if it gives one, is settled. A message that was
   * acked and whose handling was lost with its node is handled again.
   */
  onMessage?(connection: ServiceConnection, body: EncodedBody): void | Promise<void>;
  /** How messages are handled: by `onMessage` (`plain`, what absent means) or by `onMessageTransaction`. */
  readonly messageKind?: "plain" | "transaction";
  /**
   * For `messageKind: "transaction"`, in place of `onMessage`: one message, in order, as a transaction of which the end of the
   * message is a part. Like {@link ServedCall.transact}'s `run` it may be called several times, also after a crash, and must do
   * nothing else than read and write through `tx`. A failure discards what was written and ends the connection with its code
   * as the reason and its message as the detail; one that it rejects with, with `service-failed`.
   */
  onMessageTransaction?(
    connection: ServiceConnection,
    body: EncodedBody,
    tx: Transaction,
  ): Promise<CallFailure | void>;
  /** A message that was sent now or never (`delivery.volatile`). */
  onVolatile?(connection: ServiceConnection, body: EncodedBody): void;
  /** A call of one of `methods`. Calls run side by side and do not wait for messages. */
  onCall?(call: ServedCall): void | Promise<void>;
  /** The session was restored from the store, by this node; before anything else happens on the connection. */
  onResume?(connection: ServiceConnection): void;
  /**
   * The connection is gone from this node: ended by either side, or its session ended, moved to another node (`moved`) or left
   * this one's memory because nobody attends it (`parked`; `onResume` tells when it is back). So what a service holds for
   * its connections is bounded by those that are here.
   */
  onEnd?(connection: ServiceConnection, ending: { readonly reason: string; readonly detail: string }): void;
}
