/** What a service's methods are written with. Each gives one entry of `defineService`'s `methods`. */

import type { Carries, MethodContract, Received } from "../protocol/contract.ts";
import {
  gateOf,
  type NoInput,
  type NoOutput,
  NOTHING,
  type Schema,
  type SchemaInput,
  type SchemaOutput,
} from "./gate.ts";
import type { DownloadCall, DuplexCall, MethodCall, UploadCall } from "./method_call.ts";
import {
  type Handler,
  type MethodGates,
  serveDownload,
  serveResult,
  serveTransaction,
  type TransactionHandler,
} from "./serve_call.ts";
import type { Method, MethodKind, ServedCall } from "./service.ts";
import type { ConnectionGates } from "./typed_connection.ts";
import type { TypedTransaction } from "./typed_transaction.ts";

/** A method, ready to be part of a service. */
export interface DefinedMethod<C extends MethodContract = MethodContract> extends Method, Carries<C> {
  /** How it takes and gives values. */
  readonly kind: C["kind"];
  /** What its values must fit. */
  readonly gates: MethodGates;
  /** Answers one call. */
  serve(call: ServedCall, connection: ConnectionGates): void | Promise<void>;
}

/** A transaction, ready to be a method of a service, or to handle its messages. */
export interface DefinedTransaction<In extends Schema = Schema, Out extends Schema = Schema>
  extends
    DefinedMethod<MethodContract<"transaction", SchemaInput<In>, Received<SchemaOutput<Out>>, never, never>> {
  /** The schema of its argument. */
  readonly input: In | undefined;
  /** What it does, without its types. */
  readonly handler: TransactionHandler;
}

/** A value, or a promise of it. */
export type Awaitable<T> = T | Promise<T>;

/** What a handler with a download gives: usually it is an `async function*`. */
export type Source<T> = AsyncIterable<T> | Iterable<T>;

/** What happens to a call that was accepted and then lost with its node: answered `indeterminate`, or run again. */
export type Retry = "never" | "safe";

/**
 * A method whose effects, answer and end are one commit: exactly once, also across a crash.
 *
 * @param spec The schemas of its argument and of its result; without one there is none.
 * @param handler Reads and writes through `tx` alone; it may run several times. A thrown `RpcError` is the call's failure and
 * discards what was written.
 */
export function transaction<In extends Schema = NoInput, Out extends Schema = NoOutput>(
  spec: { readonly input?: In; readonly output?: Out },
  handler: (input: SchemaOutput<In>, tx: TypedTransaction) => Awaitable<SchemaInput<Out>>,
): DefinedTransaction<In, Out> {
  const gates = gatesOf(spec);
  const run = handler as TransactionHandler;
  return {
    kind: "transaction",
    // Transactions always run again.
    retry: "safe",
    gates,
    input: spec.input,
    handler: run,
    serve: (call, connection) => serveTransaction(call, gates, connection, run),
  };
}

/**
 * A method with one result, which may do anything.
 *
 * An integer within ±(2^53 − 1) arrives as a `number`, whatever it was sent as; a schema for larger ones takes both.
 *
 * @param spec The schemas of its argument and of its result; without one there is none. `retry` is `never` unless it says
 * otherwise.
 * @param handler A thrown `RpcError` is the call's failure; anything else that it throws is answered `internal` and logged.
 */
export function method<In extends Schema = NoInput, Out extends Schema = NoOutput>(
  spec: { readonly input?: In; readonly output?: Out; readonly retry?: Retry },
  handler: (input: SchemaOutput<In>, call: MethodCall) => Awaitable<SchemaInput<Out>>,
): DefinedMethod<MethodContract<"method", SchemaInput<In>, Received<SchemaOutput<Out>>, never, never>> {
  return defined("method", spec, handler as Handler);
}

/**
 * A method that answers with items.
 *
 * @param spec The schemas of its argument and of each item. `retry: "safe"` runs it again after a loss of its node: it then goes on
 * behind `call.itemsSent`.
 * @param handler Its iterator is told to return when the call is over, and is asked for an item only when there was credit
 * for the one before.
 */
export function download<Item extends Schema, In extends Schema = NoInput>(
  spec: { readonly input?: In; readonly item: Item; readonly retry?: Retry },
  handler: (input: SchemaOutput<In>, call: DownloadCall) => Source<SchemaInput<Item>>,
): DefinedMethod<MethodContract<"download", SchemaInput<In>, null, never, Received<SchemaOutput<Item>>>> {
  const { item, ...rest } = spec;
  return defined("download", { ...rest, download: item }, handler as Handler);
}

/**
 * A method that takes items and has one result. It never runs again: its items are gone with its node.
 *
 * @param spec The schemas of its argument, of each item and of its result.
 * @param handler Finds the items in `call.items`.
 */
export function upload<Item extends Schema, In extends Schema = NoInput, Out extends Schema = NoOutput>(
  spec: { readonly input?: In; readonly item: Item; readonly output?: Out },
  handler: (input: SchemaOutput<In>, call: UploadCall<SchemaOutput<Item>>) => Awaitable<SchemaInput<Out>>,
): DefinedMethod<
  MethodContract<"upload", SchemaInput<In>, Received<SchemaOutput<Out>>, SchemaInput<Item>, never>
> {
  const { item, ...rest } = spec;
  return defined("upload", { ...rest, upload: item }, handler as Handler);
}

/**
 * A method that takes items and answers with items. It never runs again.
 *
 * @param spec The schemas of its argument, of each item that it takes (`upload`), and of each that it gives (`download`).
 * @param handler Finds the items in `call.items`, and gives its own as {@link download}'s does.
 */
export function duplex<Up extends Schema, Down extends Schema, In extends Schema = NoInput>(
  spec: { readonly input?: In; readonly upload: Up; readonly download: Down },
  handler: (input: SchemaOutput<In>, call: DuplexCall<SchemaOutput<Up>>) => Source<SchemaInput<Down>>,
): DefinedMethod<
  MethodContract<"duplex", SchemaInput<In>, null, SchemaInput<Up>, Received<SchemaOutput<Down>>>
> {
  return defined("duplex", spec, handler as Handler);
}

interface Spec {
  readonly input?: Schema;
  readonly output?: Schema;
  readonly upload?: Schema;
  readonly download?: Schema;
  readonly retry?: Retry;
}

function defined<Kind extends MethodKind>(
  kind: Kind,
  spec: Spec,
  handler: Handler,
): DefinedMethod<MethodContract<Kind, never, never, never, never>> {
  const gates = gatesOf(spec);
  const serve = gates.download === null ? serveResult : serveDownload;
  return {
    kind,
    retry: spec.retry ?? "never",
    gates,
    serve: (call, connection) => serve(call, gates, connection, handler),
  };
}

function gatesOf(spec: Spec): MethodGates {
  return {
    input: gateOf(spec.input, NOTHING),
    output: gateOf(spec.output, NOTHING),
    upload: spec.upload === undefined ? null : gateOf(spec.upload, NOTHING),
    download: spec.download === undefined ? null : gateOf(spec.download, NOTHING),
  };
}
