/** Runs one call's handler: takes its argument, gives its result, and says how it failed. */

import type { EncodedBody } from "../protocol/messages.ts";
import { failureOf, RpcError } from "../protocol/rpc_error.ts";
import { type Gate, NOTHING, NULL_BODY } from "./gate.ts";
import { GatedCall } from "./method_call.ts";
import { pump } from "./pump.ts";
import type { CallFailure, ServedCall, ServiceConnection, Transaction } from "./service.ts";
import type { ConnectionGates } from "./typed_connection.ts";
import { GatedTransaction, type TypedTransaction } from "./typed_transaction.ts";

/** What the values of one method must fit. */
export interface MethodGates {
  /** Its argument. */
  readonly input: Gate;
  /** Its result. */
  readonly output: Gate;
  /** Null: the caller sends no items. */
  readonly upload: Gate | null;
  /** Null: the caller is sent none. */
  readonly download: Gate | null;
}

/** A handler, whatever its kind, without its types. */
export type Handler = (input: unknown, call: GatedCall) => unknown;

/** A transaction's handler without its types. */
export type TransactionHandler = (input: unknown, tx: TypedTransaction) => unknown;

/**
 * Serves a call that has one result. A handler that is done at once has its call answered before this returns; else the promise
 * settles when the handler is done, however long the call is over by then.
 *
 * @throws What the handler threw, or gave, that is a defect of the service: the caller is told `internal` and no more.
 */
export function serveResult(
  raw: ServedCall,
  gates: MethodGates,
  connection: ConnectionGates,
  handler: Handler,
): void | Promise<void> {
  const answer = (value: unknown) => raw.respond(gates.output.give(value));
  try {
    const result = handler(gates.input.take(raw.body), new GatedCall(raw, connection, gates.upload));
    if (!isThenable(result)) return answer(result);
    return Promise.resolve(result).then(answer).catch((error) => fail(raw, error));
  } catch (error) {
    fail(raw, error);
  }
}

/** Serves a call whose result is a download. @throws As {@link serveResult} does. */
export async function serveDownload(
  raw: ServedCall,
  gates: MethodGates,
  connection: ConnectionGates,
  handler: Handler,
): Promise<void> {
  try {
    const items = handler(gates.input.take(raw.body), new GatedCall(raw, connection, gates.upload));
    if (await pump(raw, items, gates.download ?? NOTHING)) raw.respond(NULL_BODY);
  } catch (error) {
    fail(raw, error);
  }
}

/** Serves a call as a transaction. */
export function serveTransaction(
  raw: ServedCall,
  gates: MethodGates,
  connection: ConnectionGates,
  handler: TransactionHandler,
): void {
  let first: { readonly input: unknown } | null;
  try {
    first = { input: gates.input.take(raw.body) };
  } catch (error) {
    return fail(raw, error);
  }
  raw.transact((tx) => {
    // A run that was discarded may have changed what it was given.
    const input = first === null ? gates.input.take(raw.body) : first.input;
    first = null;
    return transacted(input, new GatedTransaction(tx, raw.connection, connection.sends), gates, handler);
  });
}

/** Handles a message as a transaction: {@link Service.onMessageTransaction}. */
export async function serveMessage(
  body: EncodedBody,
  from: ServiceConnection,
  tx: Transaction,
  gates: MethodGates,
  connection: ConnectionGates,
  handler: TransactionHandler,
): Promise<CallFailure | void> {
  let input: unknown;
  try {
    input = gates.input.take(body);
  } catch (error) {
    return failureFrom(error);
  }
  const result = await transacted(input, new GatedTransaction(tx, from, connection.sends), gates, handler);
  if (!(result instanceof Uint8Array)) return result;
}

async function transacted(
  input: unknown,
  tx: GatedTransaction,
  gates: MethodGates,
  handler: TransactionHandler,
): Promise<EncodedBody | CallFailure> {
  let value: unknown;
  try {
    value = await handler(input, tx);
  } catch (error) {
    return failureFrom(error);
  }
  return gates.output.give(value);
}

/**
 * What an error that a handler threw says to the caller.
 *
 * @throws The error itself, where it is a defect; `BodyError` for an `RpcError` with `data` that is no body value.
 */
function failureFrom(error: unknown): CallFailure {
  if (error instanceof RpcError) return failureOf(error);
  throw error;
}

/** Answers with a failure. What a handler throws because its call is over is none of its defects, and says nothing. */
function fail(raw: ServedCall, error: unknown): void {
  if (error instanceof RpcError) return raw.fail(failureOf(error));
  if (raw.signal.aborted && isAbort(error, raw.signal.reason)) return;
  throw error;
}

/** True for the reason of an abort, and for what the platform makes of it. */
function isAbort(error: unknown, reason: unknown): boolean {
  return error === reason ||
    error instanceof Error && (error.name === "AbortError" || error.cause === reason);
}

/** True for what must be waited for. */
export function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof value === "object" && value !== null && "then" in value && typeof value.then === "function";
}
