/** Reads a client's session from what its storage holds. A string that is damaged is refused as a whole. */

import { decodeConnection } from "../connection/connection_record.ts";
import * as mux from "../connection/mux_state.ts";
import { splitEncoded } from "../protocol/encode.ts";
import { restoreDelivery } from "../session/delivery_state.ts";
import type { CallShape, CallStage, ClientCall } from "./client_call_model.ts";
import {
  type Agreed,
  type ClientSettings,
  type ClientState,
  type ConnectionEnding,
  newClient,
  type Waiting,
} from "./client_model.ts";
import { MESSAGE_OVERHEAD_BYTES, number } from "./client_numbering_state.ts";
import { costOf, newConnection } from "./client_sending_state.ts";
import { answerRestored } from "./client_serving_state.ts";
import { FORMAT } from "./client_snapshot.ts";
import { fifo } from "./fifo.ts";
import {
  boolean,
  bytes,
  count,
  damaged,
  type Fields,
  list,
  metadata,
  oneOf,
  optional,
  record,
  string,
  time,
} from "./stored_fields.ts";

/**
 * Reads a session back. Everything in it is safe, and no conduit carries it.
 *
 * @throws Error naming the part that is damaged, or of another version.
 */
export function restore(settings: ClientSettings, stored: string): ClientState {
  const root = record(JSON.parse(stored), "state");
  if (root.format !== FORMAT) throw new Error(`stored state has format ${root.format}, not ${FORMAT}`);
  const state = newClient(settings, string(root.challenge, "challenge"));
  if (root.identity !== null) {
    const { session, token, inUse } = record(root.identity, "identity");
    state.identity = {
      session: string(session, "session"),
      token: string(token, "token"),
      inUse: optional(inUse, string, "inUse"),
    };
    state.agreed = readAgreed(root.agreed);
  }
  const limits = state.agreed?.limits;
  if (limits !== undefined) {
    state.mux = { ...state.mux, most: limits.connections, mostCalls: limits.concurrentCalls };
  }
  const peer = limits === undefined
    ? state.delivery.peerWindow
    : { messages: limits.windowMessages, bytes: limits.windowBytes };
  const acked = count(root.acked, "acked");
  const retained = list(root.retained, "retained").map((item) => bytes(item, "retained"));
  retained.forEach((encoded, index) => {
    const messages = splitEncoded(encoded);
    if (messages.length !== 1 || messages[0]!.seq !== acked + index + 1) {
      throw new Error(`stored state: message ${acked + index + 1} is damaged`);
    }
  });
  const received = count(root.received, "received");
  state.delivery = restoreDelivery({ own: settings.ownWindow, peer }, { received, acked, retained });
  state.mux.highestOwn = count(root.highestOwn, "highestOwn");
  state.mux.highestPeer = count(root.highestPeer, "highestPeer");
  const calls = list(root.calls, "calls").map((item) => readCall(state, record(item, "call")));
  for (const item of list(root.connections, "connections")) {
    readConnection(state, record(item, "connection"), calls);
  }
  for (const call of calls) placeCall(state, call);
  // A `start` of the page that was here before may be unanswered.
  state.rival = true;
  state.storedChanges = state.changes;
  cancelUploads(state);
  answerRestored(state);
  return state;
}

function readConnection(state: ClientState, item: Fields, calls: readonly ClientCall[]): void {
  const id = count(item.id, "connection.id");
  const stored = optional(item.record, bytes, "connection.record");
  if (stored !== null) state.mux.connections.set(id, decodeConnection(id, stored));
  const connection = newConnection(id, string(item.service, "connection.service"), {
    restored: true,
    serving: boolean(item.serving, "connection.serving"),
    hidden: boolean(item.hidden, "connection.hidden"),
    offer: optional(item.offer, metadata, "connection.offer") ?? undefined,
  });
  state.connections.set(id, connection);
  if (connection.hidden) state.hidden.add(id);
  connection.accepted = boolean(item.accepted, "connection.accepted");
  connection.metadata = metadata(item.metadata, "connection.metadata");
  connection.schema = optional(item.schema, string, "connection.schema");
  connection.kept = optional(item.kept, bytes, "connection.kept");
  connection.over = optional(item.over, readEnding, "connection.over");
  for (const body of list(item.inbox, "connection.inbox").map((one) => bytes(one, "connection.inbox"))) {
    connection.inbox.items.push(body);
    state.inboxBytes += body.length + MESSAGE_OVERHEAD_BYTES;
  }
  for (const one of list(item.waiting, "connection.waiting")) {
    const waiting = readWaiting(one, calls);
    connection.waiting.items.push(waiting);
    state.waitingBytes += costOf(waiting);
  }
  for (const one of list(item.parked, "connection.parked")) {
    const call = callAt(one, calls);
    connection.parked.items.push(call);
    state.waitingBytes += call.cost;
  }
}

function readWaiting(item: unknown, calls: readonly ClientCall[]): Waiting {
  if (typeof item === "string") {
    return { kind: "message", body: bytes(item, "connection.waiting"), ticket: null };
  }
  if (typeof item === "number") return { kind: "call", call: callAt(item, calls) };
  const { reason, detail } = record(item, "connection.waiting");
  return {
    kind: "end",
    reason: reason === undefined ? undefined : string(reason, "connection.waiting.reason"),
    detail: detail === undefined ? undefined : string(detail, "connection.waiting.detail"),
  };
}

function callAt(index: unknown, calls: readonly ClientCall[]): ClientCall {
  const call = calls[count(index, "connection.waiting")];
  if (call === undefined || call.stage !== "waiting") throw damaged("connection.waiting");
  return call;
}

function readEnding(value: unknown, name: string): ConnectionEnding {
  const { reason, detail, failed, by } = record(value, name);
  return {
    reason: string(reason, `${name}.reason`),
    detail: string(detail, `${name}.detail`),
    failed: boolean(failed, `${name}.failed`),
    by: oneOf(by, ["application", "refusal", "other"] as const, `${name}.by`),
  };
}

const SHAPES: readonly CallShape[] = ["unary", "download"];
const STAGES: readonly CallStage[] = ["waiting", "sent", "retrying", "over"];

/** Somebody has yet to ask for it. */
function readCall(state: ClientState, item: Fields): ClientCall {
  const shape = oneOf(item.shape, SHAPES, "call.shape");
  const body = optional(item.body, bytes, "call.body");
  const items = list(item.items, "call.items").map((one) => bytes(one, "call.items"));
  const method = string(item.method, "call.method");
  const outcome = optional(item.outcome, record, "call.outcome");
  const call: ClientCall = {
    key: ++state.lastCall,
    connection: count(item.connection, "call.connection"),
    service: string(item.service, "call.service"),
    method,
    shape,
    operation: optional(item.operation, string, "call.operation"),
    metadata: optional(item.metadata, metadata, "call.metadata"),
    credit: count(item.credit, "call.credit"),
    deadline: optional(item.deadline, time, "call.deadline") ?? Infinity,
    cost: (body?.length ?? 0) + method.length + MESSAGE_OVERHEAD_BYTES,
    stage: oneOf(item.stage, STAGES, "call.stage"),
    request: count(item.request, "call.request"),
    tried: boolean(item.tried, "call.tried"),
    body,
    kept: false,
    retryAt: optional(item.retryAt, time, "call.retryAt") ?? Infinity,
    retries: count(item.retries, "call.retries"),
    claimed: false,
    downloads: count(item.downloads, "call.downloads"),
    items: shape === "download" ? fifo(items) : null,
    finished: boolean(item.finished, "call.finished"),
    held: 0,
    uploads: 0,
    pending: null,
    outcome: outcome === null
      ? null
      : { ok: boolean(outcome.ok, "call.outcome"), body: bytes(outcome.body, "call.outcome") },
  };
  if (call.stage !== "over" && body === null) throw damaged("call.body");
  for (const one of items) call.held += one.length + MESSAGE_OVERHEAD_BYTES;
  if (call.outcome !== null) call.held += call.outcome.body.length + MESSAGE_OVERHEAD_BYTES;
  state.inboxBytes += call.held;
  return call;
}

function placeCall(state: ClientState, call: ClientCall): void {
  // An outcome that was given to somebody, but for a download's items, is of no use to anybody else.
  if (call.stage === "over" && call.body === null) {
    state.inboxBytes -= call.held;
    return;
  }
  state.calls.set(call.key, call);
  state.unclaimed++;
  if (call.stage === "sent" || call.stage === "retrying") {
    call.kept = true;
    state.keptBytes += call.cost;
  }
  if (call.stage !== "sent") return;
  const connection = state.connections.get(call.connection);
  if (state.mux.connections.get(call.connection)?.calls?.outgoing.has(call.request) !== true) {
    throw damaged("call.request");
  }
  connection?.requests.set(call.request, call);
}

/** The page that had their items is gone. */
function cancelUploads(state: ClientState): void {
  for (const { id, calls } of state.mux.connections.values()) {
    for (const { request, upload } of calls?.outgoing.values() ?? []) {
      if (upload === null) continue;
      const reset = mux.endChannel(state.mux, id, upload.id, "reloaded");
      if (reset === null) continue;
      number(state, reset);
      const payload = mux.cancel(state.mux, id, request);
      if (payload !== null) number(state, payload);
    }
  }
}

function readAgreed(value: unknown): Agreed {
  const agreed = record(value, "agreed");
  const keepalive = record(agreed.keepalive, "agreed.keepalive");
  const limits = record(agreed.limits, "agreed.limits");
  const limit = (name: keyof Agreed["limits"]) => count(limits[name], `agreed.limits.${name}`);
  return {
    durability: oneOf(agreed.durability, ["durable", "ephemeral"] as const, "agreed.durability"),
    resumeWindow: count(agreed.resumeWindow, "agreed.resumeWindow"),
    keepalive: {
      interval: count(keepalive.interval, "agreed.keepalive.interval"),
      timeout: count(keepalive.timeout, "agreed.keepalive.timeout"),
    },
    limits: {
      frameBytes: limit("frameBytes"),
      bodyBytes: limit("bodyBytes"),
      windowMessages: limit("windowMessages"),
      windowBytes: limit("windowBytes"),
      connections: limit("connections"),
      concurrentCalls: limit("concurrentCalls"),
    },
  };
}
