/**
 * The part of the client's machine that has the application's calls: from when one is made until its outcome was taken.
 *
 * Rules `call.once`, `call.cancel`, `call.timeout`, `call.limit` and, where an operation runs elsewhere just now,
 * `call.operation`: such a call is asked for again, with backoff, for as long as it may take.
 */

import type { CallRequest, OutgoingCall } from "../connection/call_state.ts";
import * as mux from "../connection/mux_state.ts";
import { decodeFailure } from "../protocol/rpc_error.ts";
import { hasRoom } from "../session/delivery_state.ts";
import { claim, watchDeadline } from "./client_call_claim_state.ts";
import { drop, type Failure, neverSent, settle, tooLarge } from "./client_call_ending_state.ts";
import type { CallWords, ClientCall } from "./client_call_model.ts";
import type { CallAct, ClientEffect, Moment } from "./client_events.ts";
import type { ClientConnection, ClientState } from "./client_model.ts";
import { largestBody, mayHold, MESSAGE_OVERHEAD_BYTES, number, owned } from "./client_numbering_state.ts";
import { fifo, last, shift, size } from "./fifo.ts";
import { exponentialBackoff } from "./reconnect_policy.ts";

/** When an operation that runs elsewhere is asked for again. */
const RETRY = exponentialBackoff({ least: 50, first: 250, most: 10_000 });

/** What the application does with its calls, items aside. */
export function callActed(
  state: ClientState,
  event: Moment & Exclude<CallAct, { readonly kind: "item_consumed" | "upload_item" | "upload_over" }>,
  effects: ClientEffect[],
): void {
  switch (event.kind) {
    case "call":
      return startCall(state, event.connection, event.words, event.now, effects);
    case "claim_call":
      return claim(state, event.call, effects);
    case "cancel_call":
      return cancel(state, event.call, { code: "cancelled", message: "cancelled by the caller" }, effects);
    case "leave_call": {
      const call = state.calls.get(event.call);
      if (call === undefined) return;
      if (call.stage !== "over") withdraw(state, call);
      return drop(state, call);
    }
    default:
      return event satisfies never;
  }
}

/** Makes a call: numbers it, or lets it wait for its turn. */
function startCall(
  state: ClientState,
  id: number,
  words: CallWords,
  now: number,
  effects: ClientEffect[],
): void {
  const connection = state.connections.get(id);
  const call = newCall(++state.lastCall, id, connection?.service ?? "", words, now);
  state.calls.set(call.key, call);
  if (connection === undefined || isClosing(state, connection)) {
    return settle(state, call, neverSent(state, connection), effects);
  }
  if (words.body.length > largestBody(state, Infinity)) return settle(state, call, tooLarge(state), effects);
  const atOnce = size(connection.waiting) === 0 && size(connection.parked) === 0 && mayNumber(state, call) &&
    mux.mayCall(state.mux, id);
  if (!(atOnce && !isKept(state, call)) && !mayHold(state, call.cost)) {
    const message = `more than ${state.settings.storedBytes} bytes wait to be sent, or to be answered`;
    return settle(state, call, { code: "resource-exhausted", message }, effects);
  }
  watchDeadline(state, call.deadline);
  if (atOnce) return numberCall(state, connection, call, now, effects);
  enter(state, connection, call);
}

/** A call that nothing was done for. */
function newCall(
  key: number,
  connection: number,
  service: string,
  words: CallWords,
  now: number,
): ClientCall {
  const { method, shape, body, operation, timeout, metadata, credit } = words;
  return {
    key,
    connection,
    service,
    method,
    shape,
    operation,
    metadata,
    credit,
    deadline: timeout === null ? Infinity : now + timeout,
    cost: costOf(words),
    stage: "waiting",
    request: 0,
    tried: false,
    body,
    kept: false,
    retryAt: Infinity,
    retries: 0,
    claimed: true,
    downloads: 0,
    items: shape === "download" || shape === "duplex" ? fifo() : null,
    finished: false,
    held: 0,
    uploads: 0,
    pending: null,
    outcome: null,
  };
}

function costOf({ body, method, operation, metadata }: CallWords): number {
  const options = metadata === null ? 0 : JSON.stringify(metadata).length;
  return body.length + MESSAGE_OVERHEAD_BYTES + method.length + (operation?.length ?? 0) + options;
}

/** Lets a call wait behind what came before it on its connection. */
export function enter(state: ClientState, connection: ClientConnection, call: ClientCall): void {
  call.stage = "waiting";
  connection.waiting.items.push({ kind: "call", call });
  state.waitingBytes += call.cost;
  state.changes++;
}

/**
 * Takes a call that is at the front of its connection's queue further: numbers it, or parks it where only other
 * calls, or the `accept`, hold it up.
 *
 * @returns False, and nothing is changed, where it must go on waiting in front of all that came after it.
 */
export function advanceCall(
  state: ClientState,
  connection: ClientConnection,
  call: ClientCall,
  moment: Moment,
  effects: ClientEffect[],
): boolean {
  if (call.body!.length > largestBody(state, Infinity)) {
    settle(state, call, tooLarge(state), effects);
    return true;
  }
  if (!mayNumber(state, call)) return false;
  shift(connection.waiting);
  if (size(connection.parked) > 0 || !mux.mayCall(state.mux, connection.id)) {
    connection.parked.items.push(call);
    return true;
  }
  state.waitingBytes -= call.cost;
  numberCall(state, connection, call, moment.now, effects);
  return true;
}

/** Numbers a parked call, if it may be. */
export function advanceParked(
  state: ClientState,
  connection: ClientConnection,
  call: ClientCall,
  moment: Moment,
  effects: ClientEffect[],
): boolean {
  if (!mayNumber(state, call) || !mux.mayCall(state.mux, connection.id)) return false;
  shift(connection.parked);
  state.waitingBytes -= call.cost;
  numberCall(state, connection, call, moment.now, effects);
  return true;
}

/** Before the server's limits are known no call is made: how many it takes is one of them. */
function mayNumber(state: ClientState, call: ClientCall): boolean {
  return state.agreed !== null && call.body!.length <= state.agreed.limits.bodyBytes &&
    hasRoom(state.delivery, call.cost);
}

function numberCall(
  state: ClientState,
  connection: ClientConnection,
  call: ClientCall,
  now: number,
  effects: ClientEffect[],
): void {
  const made = mux.call(state.mux, connection.id, call.method, call.body!, requestOf(call, now));
  number(state, made.payload);
  call.stage = "sent";
  call.tried = true;
  call.request = made.call.request;
  call.downloads = made.call.download?.id ?? 0;
  call.uploads = made.call.upload?.id ?? 0;
  connection.requests.set(call.request, call);
  if (isKept(state, call)) {
    if (!call.kept) state.keptBytes += call.cost;
    call.kept = true;
  } else {
    call.body = null;
  }
  if (call.uploads !== 0) effects.push({ kind: "pull", call: call.key });
}

function requestOf(call: ClientCall, now: number): CallRequest {
  const { shape, operation, deadline, metadata, credit } = call;
  if (shape === "unary" && operation === null && deadline === Infinity && metadata === null) return PLAIN;
  return {
    ...(operation === null ? {} : { operation }),
    ...(deadline === Infinity ? {} : { timeout: Math.max(1, Math.ceil(deadline - now)) }),
    ...(shape === "upload" || shape === "duplex" ? { upload: true } : {}),
    ...(call.items === null ? {} : { download: true, credit }),
    ...(metadata === null ? {} : { metadata }),
  };
}

const PLAIN: CallRequest = {};

/** The body of a call is kept where it may have to be sent again, or found again after a reload. */
function isKept(state: ClientState, call: ClientCall): boolean {
  return call.operation !== null || state.settings.stored && call.uploads === 0;
}

/** The server answered a call. */
export function callAnswered(
  state: ClientState,
  outcome: Extract<mux.MuxOutcome, { readonly kind: "answered" }>,
  moment: Moment,
  effects: ClientEffect[],
): void {
  const call = callOf(state, outcome.connection, outcome.call);
  // Nobody waits for it any more.
  if (call === undefined) return;
  const { ok, body, malformed } = outcome;
  if (malformed !== undefined) {
    return settle(state, call, { code: "internal", message: `a malformed answer: ${malformed}` }, effects);
  }
  if (ok && call.items !== null && !call.finished) {
    const message = "the call was answered with a result, and its download was reset";
    return settle(state, call, { code: "internal", message }, effects);
  }
  if (
    !ok && call.operation !== null && state.closing === null && decodeFailure(body).code === "in-progress"
  ) {
    state.connections.get(call.connection)?.requests.delete(call.request);
    call.request = 0;
    call.stage = "retrying";
    call.retryAt = moment.now +
      RETRY({ attempt: call.retries++, fraction: moment.chance, retryAfter: null })!;
    state.changes++;
    return watchDeadline(state, call.retryAt);
  }
  settle(state, call, { ok, body: owned(body) }, effects);
}

/** The application's call that a call of the multiplexer is; undefined where nobody waits for it any more. */
export function callOf(state: ClientState, connection: number, call: OutgoingCall): ClientCall | undefined {
  return state.connections.get(connection)?.requests.get(call.request);
}

/** Fails a call, and tells the server that nobody waits for it. */
export function cancel(state: ClientState, key: number, failure: Failure, effects: ClientEffect[]): void {
  const call = state.calls.get(key);
  if (call === undefined || call.stage === "over") return;
  withdraw(state, call);
  settle(state, call, failure, effects);
}

/** Tells the server that nobody waits for a call, if the server knows of it. */
function withdraw(state: ClientState, call: ClientCall): void {
  if (call.stage !== "sent" || state.ended !== null) return;
  const payload = mux.cancel(state.mux, call.connection, call.request);
  if (payload !== null) number(state, payload);
}

/** What is due of the calls: deadlines, operations to ask for again, restored calls that nobody wants. */
export function callsDue(state: ClientState, { now }: Moment, effects: ClientEffect[]): void {
  if (now < state.callsDueAt) return;
  const abandons = now >= state.claimUntil;
  if (abandons) state.claimUntil = Infinity;
  state.callsDueAt = state.claimUntil;
  for (const call of [...state.calls.values()]) {
    if (abandons && !call.claimed) {
      // What a download would still bring is of no use; a call that may have effects runs to its end.
      if (call.items !== null && call.stage !== "over") withdraw(state, call);
      drop(state, call);
    } else if (call.stage === "over") {
      continue;
    } else if (now >= call.deadline) {
      cancel(state, call.key, { code: "deadline-exceeded", message: "not answered in time" }, effects);
    } else {
      const connection = state.connections.get(call.connection);
      if (now >= call.retryAt && connection !== undefined) {
        call.retryAt = Infinity;
        enter(state, connection, call);
      }
      watchDeadline(state, Math.min(call.deadline, call.retryAt));
    }
  }
}

/** True if nothing new is begun on a connection. */
export function isClosing(state: ClientState, connection: ClientConnection): boolean {
  return state.ended !== null || state.closing !== null || connection.over !== null || isEnding(connection);
}

/** True if the application wants a connection to end once all before it is sent. */
export function isEnding(connection: ClientConnection): boolean {
  return last(connection.waiting)?.kind === "end";
}
