/**
 * A client's session as a string, for its storage, and back (`resume.stored-client`).
 *
 * It holds all that a reload must not lose: the challenge or the token, the counters, unacked messages, what waits to
 * be sent, and what was received and not consumed. A string that is damaged is refused as a whole.
 */

import type { ConnectionPhase } from "../connection/mux_state.ts";
import { fromBase64Url, toBase64Url } from "../protocol/base64url.ts";
import { splitEncoded } from "../protocol/encode.ts";
import type { Durability } from "../protocol/messages.ts";
import { restoreDelivery, retainedMessage } from "../session/delivery_state.ts";
import {
  type Agreed,
  type ClientSettings,
  type ClientState,
  newClient,
  type Waiting,
} from "./client_model.ts";
import { MESSAGE_OVERHEAD_BYTES } from "./client_sending_state.ts";
import { all, fifo } from "./fifo.ts";

const FORMAT = 1;

/** Messages are written again with each change until they are acked or consumed: each is encoded once. */
const encodings = new WeakMap<Uint8Array, string>();

/** Writes down a session. What was taken counts as received: this write makes it safe. */
export function snapshot(state: ClientState): string {
  const { delivery, mux } = state;
  const retained: string[] = [];
  for (let seq = delivery.acked + 1; seq <= delivery.sent; seq++) {
    retained.push(text(retainedMessage(delivery, seq)!));
  }
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
    connections: [...state.connections.values()].map((connection) => {
      const { id, service, accepted, inbox, waiting, kept, over } = connection;
      const { phase = null, early = 0 } = mux.connections.get(id) ?? {};
      return {
        id,
        service,
        accepted,
        phase,
        early,
        inbox: all(inbox).map(text),
        waiting: all(waiting).map((item) =>
          item.kind === "message" ? text(item.body) : { reason: item.reason, detail: item.detail }
        ),
        kept: kept === null ? null : text(kept),
        over,
      };
    }),
  });
}

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
      inUse: inUse === null ? null : string(inUse, "inUse"),
    };
    state.agreed = readAgreed(root.agreed);
  }
  const limits = state.agreed?.limits;
  if (limits !== undefined) state.mux = { ...state.mux, most: limits.connections };
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
  for (const item of list(root.connections, "connections")) readConnection(state, record(item, "connection"));
  // A `start` of the page that was here before may be unanswered.
  state.rival = true;
  state.storedChanges = state.changes;
  return state;
}

function readConnection(state: ClientState, item: Fields): void {
  const id = count(item.id, "connection.id");
  const service = string(item.service, "connection.service");
  const over = item.over === null ? null : record(item.over, "connection.over");
  if (item.phase !== null) {
    const early = count(item.early, "connection.early");
    state.mux.connections.set(id, { id, service, phase: readPhase(item.phase), early });
  }
  const inbox = list(item.inbox, "connection.inbox").map((body) => bytes(body, "connection.inbox"));
  const waiting = list(item.waiting, "connection.waiting").map(readWaiting);
  for (const body of inbox) state.inboxBytes += body.length + MESSAGE_OVERHEAD_BYTES;
  for (const one of waiting) {
    state.waitingBytes += MESSAGE_OVERHEAD_BYTES + (one.kind === "message" ? one.body.length : 0);
  }
  state.connections.set(id, {
    id,
    service,
    restored: true,
    accepted: item.accepted === true,
    inbox: fifo(inbox),
    waiting: fifo(waiting),
    kept: item.kept === null ? null : bytes(item.kept, "connection.kept"),
    over: over === null ? null : {
      reason: string(over.reason, "connection.over.reason"),
      detail: string(over.detail, "connection.over.detail"),
      failed: over.failed === true,
    },
  });
}

function readWaiting(item: unknown): Waiting {
  if (typeof item === "string") {
    return { kind: "message", body: bytes(item, "connection.waiting"), ticket: null };
  }
  const { reason, detail } = record(item, "connection.waiting");
  return {
    kind: "end",
    reason: reason === undefined ? undefined : string(reason, "connection.waiting.reason"),
    detail: detail === undefined ? undefined : string(detail, "connection.waiting.detail"),
  };
}

function readPhase(value: unknown): ConnectionPhase {
  if (value === "opening" || value === "offered" || value === "open") return value;
  throw damaged("connection.phase");
}

function readAgreed(value: unknown): Agreed {
  const agreed = record(value, "agreed");
  const keepalive = record(agreed.keepalive, "agreed.keepalive");
  const limits = record(agreed.limits, "agreed.limits");
  const limit = (name: keyof Agreed["limits"]) => count(limits[name], `agreed.limits.${name}`);
  return {
    durability: readDurability(agreed.durability),
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

function readDurability(value: unknown): Durability {
  if (value === "durable" || value === "ephemeral") return value;
  throw damaged("agreed.durability");
}

type Fields = { readonly [name: string]: unknown };

function record(value: unknown, name: string): Fields {
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw damaged(name);
  return value as Fields;
}

function list(value: unknown, name: string): readonly unknown[] {
  if (!Array.isArray(value)) throw damaged(name);
  return value;
}

function string(value: unknown, name: string): string {
  if (typeof value !== "string") throw damaged(name);
  return value;
}

function count(value: unknown, name: string): number {
  if (typeof value !== "number" || !Number.isSafeInteger(value) || value < 0) throw damaged(name);
  return value;
}

function bytes(value: unknown, name: string): Uint8Array {
  const decoded = fromBase64Url(string(value, name));
  if (decoded === null) throw damaged(name);
  return decoded;
}

function damaged(name: string): Error {
  return new Error(`stored state: ${name} is damaged`);
}

function text(message: Uint8Array): string {
  let encoded = encodings.get(message);
  if (encoded === undefined) {
    encoded = toBase64Url(message);
    encodings.set(message, encoded);
  }
  return encoded;
}
