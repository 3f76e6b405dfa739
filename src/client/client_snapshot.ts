/**
 * A client's session as a string, for its storage (`resume.stored-client`); `client_restore.ts` reads it.
 *
 * It holds all that a reload must not lose: the challenge or the token, the counters, unacked messages, what waits to
 * be sent, calls whose outcome was not taken, and what was received and not consumed.
 */

import { encodeConnection } from "../connection/connection_record.ts";
import { toBase64Url } from "../protocol/base64url.ts";
import { retainedMessage } from "../session/delivery_state.ts";
import type { ClientCall } from "./client_call_model.ts";
import type { ClientConnection, ClientState, Waiting } from "./client_model.ts";
import { all } from "./fifo.ts";

/** Raised with each change of what the string holds. */
export const FORMAT = 2;

/** Messages are written again with each change until they are acked or consumed: each is encoded once. */
const encodings = new WeakMap<Uint8Array, string>();

/** Writes down a session. What was taken counts as received: this write makes it safe. */
export function snapshot(state: ClientState): string {
  const { delivery, mux } = state;
  const retained: string[] = [];
  for (let seq = delivery.acked + 1; seq <= delivery.sent; seq++) {
    retained.push(text(retainedMessage(delivery, seq)!));
  }
  // An upload cannot go on: what it sends was in the page's memory alone.
  const calls = [...state.calls.values()].filter(({ shape }) => shape === "unary" || shape === "download");
  return JSON.stringify({
    format: FORMAT,
    challenge: state.challenge,
    identity: state.identity,
    agreed: state.agreed,
    received: delivery.taken,
    acked: delivery.acked,
    retained,
    highestOwn: mux.highestOwn,
    highestPeer: mux.highestPeer,
    connections: [...state.connections.values()].map((connection) => connectionOut(state, connection, calls)),
    calls: calls.map(callOut),
  });
}

function connectionOut(
  state: ClientState,
  connection: ClientConnection,
  calls: readonly ClientCall[],
): unknown {
  const { id, service, serving, hidden, accepted, metadata, schema, inbox, waiting, parked, kept, over } =
    connection;
  const record = state.mux.connections.get(id);
  return {
    id,
    service,
    serving,
    hidden,
    offer: connection.offer ?? null,
    accepted,
    metadata,
    schema,
    record: record === undefined ? null : toBase64Url(encodeConnection(record)),
    inbox: all(inbox).map(text),
    waiting: all(waiting).map((item) => waitingOut(item, calls)).filter((item) => item !== null),
    parked: all(parked).map((call) => calls.indexOf(call)).filter((index) => index >= 0),
    kept: kept === null ? null : text(kept),
    over,
  };
}

/** A message is its body, a call its place among the calls. Null: it is not kept. */
function waitingOut(item: Waiting, calls: readonly ClientCall[]): unknown {
  switch (item.kind) {
    case "message":
      return text(item.body);
    case "end":
      return { reason: item.reason, detail: item.detail };
    case "call": {
      const index = calls.indexOf(item.call);
      return index < 0 ? null : index;
    }
    default:
      return item satisfies never;
  }
}

function callOut(call: ClientCall): unknown {
  const { connection, service, method, shape, operation, metadata, credit, stage, request, tried } = call;
  const { deadline, retryAt, retries, body, downloads, items, finished, outcome } = call;
  return {
    connection,
    service,
    method,
    shape,
    operation,
    metadata,
    credit,
    deadline: deadline === Infinity ? null : deadline,
    stage,
    request,
    tried,
    body: body === null ? null : text(body),
    retryAt: retryAt === Infinity ? null : retryAt,
    retries,
    downloads,
    items: items === null ? [] : all(items).map(text),
    finished,
    outcome: outcome === null ? null : { ok: outcome.ok, body: text(outcome.body) },
  };
}

function text(message: Uint8Array): string {
  let encoded = encodings.get(message);
  if (encoded === undefined) {
    encoded = toBase64Url(message);
    encodings.set(message, encoded);
  }
  return encoded;
}
