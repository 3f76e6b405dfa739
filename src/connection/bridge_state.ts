/**
 * A bridge between two connections: what is heard on one side is said on the other, in order, and credit is granted to one
 * side only where the other granted it (`connection.proxy`).
 *
 * Sides are named as their bridge sees them: the client that came is `near`, the server that it is led to is `far`. What is to
 * be said waits here until the session that carries it has room; how much can wait is bounded by the credit that is passed
 * on, and by whoever runs the bridge ({@link heldBytes}).
 */

import type { CallOptions, EncodedBody, SessionMessage, SessionPayload } from "../protocol/messages.ts";
import type { RpcCode } from "../protocol/rpc_codes.ts";
import { encodeFailure } from "../protocol/rpc_error.ts";
import type { IncomingCall } from "./call_state.ts";
import { INITIAL_CREDIT } from "./channel_state.ts";
import type { MuxOutcome } from "./mux_model.ts";

/** Items, or plain messages, of one channel that may be under way to a bridge and wait in it, unless it is told otherwise. */
const BRIDGE_CREDIT = 64;

/** What one message costs beside its body while it waits: objects, and the view of its body. */
const HELD_OVERHEAD_BYTES = 256;

/** See the top of this file. */
export type BridgeSide = "near" | "far";

/** What a bridge says; the connection's id is that of the side it is said on. */
export type Said = Exclude<SessionPayload, { readonly kind: "open" | "reject" }>;

/** The credit of one channel, in the direction of its receiver. */
interface Flow {
  /** By the receiver, in all. */
  granted: number;
  /** Of these to the sender: never more. */
  told: number;
  /** What the receiver was sent. */
  passed: number;
}

/** What goes to one side. */
interface Direction {
  readonly waiting: Said[];
  bytes: number;
  /** Of the channels on which this side receives; 0 is that of plain messages. */
  readonly flows: Map<number, Flow>;
  /** Plain messages that this side was sent. */
  messages: number;
  /** Calls that this side made and that are not answered. */
  readonly calls: Map<number, CallOptions>;
}

/** One bridge. */
export interface BridgeState {
  readonly near: Direction;
  readonly far: Direction;
  /** Names an operation apart from those of others who come over the same bridge. */
  readonly operationOf: (key: string) => string;
  /** Items, or plain messages, of one channel that may be under way to the bridge and wait in it. */
  readonly credit: number;
}

/**
 * A bridge on which nothing was said.
 *
 * @param messageCredit What the near side's `open` granted for plain messages.
 * @returns It, and what the far side's `open` grants.
 */
export function newBridge(
  messageCredit: number | undefined,
  operationOf: (key: string) => string = (key) => key,
  credit: number = BRIDGE_CREDIT,
): { readonly bridge: BridgeState; readonly messageCredit: number | undefined } {
  const bridge = { near: newDirection(), far: newDirection(), operationOf, credit };
  return { bridge, messageCredit: begin(bridge, "near", 0, messageCredit) };
}

/** What waits to be said on a side, bytes. */
export function heldBytes(bridge: BridgeState, to: BridgeSide): number {
  return bridge[to].bytes;
}

/** What is to be said next on a side; undefined: nothing. */
export function next(bridge: BridgeState, to: BridgeSide): Said | undefined {
  return bridge[to].waiting[0];
}

/** It was said, or was of no use any more. */
export function passed(bridge: BridgeState, to: BridgeSide): void {
  const direction = bridge[to];
  const said = direction.waiting.shift();
  if (said === undefined) return;
  direction.bytes -= costOf(said);
  switch (said.kind) {
    case "message":
      direction.messages++;
      return count(bridge, to, 0);
    case "item":
      return count(bridge, to, said.channel);
    case "finish":
    case "reset":
      direction.flows.delete(said.channel);
      return;
    case "response":
      return forget(bridge, to, said.request);
  }
}

/** A call cannot be made there: the other side lets fewer be in flight. */
export function refused(bridge: BridgeState, to: BridgeSide): void {
  const said = next(bridge, to);
  if (said?.kind !== "call") return;
  passed(bridge, to);
  const text = "as many calls are in flight behind the bridge as may be (call.limit)";
  answer(bridge, other(to), said.request, "resource-exhausted", text);
}

/** The other side takes no body of this size: its call fails, or the bridge ends where there is none. */
export function tooLarge(bridge: BridgeState, to: BridgeSide): void {
  const said = next(bridge, to);
  if (said === undefined || !("body" in said)) return;
  passed(bridge, to);
  const text = `${said.body.length} bytes are more than the other side of the bridge takes`;
  switch (said.kind) {
    case "call":
      return answer(bridge, other(to), said.request, "invalid-argument", text);
    case "response":
      return answer(bridge, to, said.request, "internal", text);
    case "item":
      return failItem(bridge, other(to), said.channel, text);
    case "message":
      for (const side of ["near", "far"] as const) ended(bridge, side, { reason: "too-large", detail: text });
  }
}

/** A side is gone: what waited for it is dropped. */
export function drop(bridge: BridgeState, to: BridgeSide): void {
  bridge[to].waiting.length = 0;
  bridge[to].bytes = 0;
}

/** What a side heard on the bridged connection, and what it means there. */
export function heard(
  bridge: BridgeState,
  from: BridgeSide,
  message: SessionMessage,
  outcome: MuxOutcome,
): void {
  const to = other(from);
  switch (outcome.kind) {
    case "accepted": {
      if (message.kind !== "accept") return;
      const { seq: _, cost: __, messageCredit, ...accept } = message;
      const told = begin(bridge, from, 0, messageCredit, bridge[from].messages);
      return say(bridge, to, { ...accept, ...(told === undefined ? {} : { messageCredit: told }) });
    }
    case "message":
      return say(bridge, to, { kind: "message", connection: 0, body: outcome.body });
    case "called":
      return called(bridge, from, message, outcome.call, outcome.malformed);
    case "answered": {
      const { call: { request }, ok, body, malformed } = outcome;
      if (malformed !== undefined) return answer(bridge, to, request, "internal", malformed);
      return say(bridge, to, { kind: "response", connection: 0, request, ok, body });
    }
    case "cancelled":
      return say(bridge, to, { kind: "cancel", connection: 0, request: outcome.call.request });
    case "item": {
      const { channel, body, malformed } = outcome;
      if (malformed !== undefined) return failItem(bridge, from, channel, `a malformed item: ${malformed}`);
      return say(bridge, to, { kind: "item", connection: 0, channel, body });
    }
    case "channel_over": {
      const { channel, reason } = outcome;
      return say(
        bridge,
        to,
        reason === null
          ? { kind: "finish", connection: 0, channel }
          : { kind: "reset", connection: 0, channel, reason },
      );
    }
    case "credited":
    case "messages_credited": {
      const flow = message.kind === "credit" ? bridge[from].flows.get(message.channel) : undefined;
      if (flow === undefined || message.kind !== "credit") return;
      flow.granted += message.additional;
      return tell(bridge, from, message.channel, flow);
    }
    case "ended":
      return ended(bridge, from, outcome);
  }
}

/** A side is over: so is the other, once it was told what came before. */
export function ended(
  bridge: BridgeState,
  from: BridgeSide,
  { reason, detail }: { readonly reason?: string | undefined; readonly detail?: string | undefined },
): void {
  say(bridge, other(from), {
    kind: "end",
    connection: 0,
    ...(reason === undefined ? {} : { reason }),
    ...(detail === undefined ? {} : { detail }),
  });
}

/** A side's own call was answered in the other side's place: nobody waits for it any more. */
export function overruled(bridge: BridgeState, from: BridgeSide, request: number): void {
  say(bridge, other(from), { kind: "cancel", connection: 0, request });
}

function called(
  bridge: BridgeState,
  from: BridgeSide,
  message: SessionMessage,
  { request }: IncomingCall,
  malformed: string | undefined,
): void {
  if (malformed !== undefined) return answer(bridge, from, request, "invalid-argument", malformed);
  if (message.kind !== "call") return;
  const { method, body, options } = message;
  const to = other(from);
  const call = { kind: "call", connection: 0, request, method, body } as const;
  if (options === undefined) return say(bridge, to, call);
  const { upload, download, operation } = options;
  bridge[from].calls.set(request, options);
  // The first credit of an upload is the same everywhere.
  if (upload !== undefined) begin(bridge, to, upload, INITIAL_CREDIT);
  const credit = download === undefined
    ? options.credit
    : begin(bridge, from, download, options.credit ?? INITIAL_CREDIT);
  say(bridge, to, {
    ...call,
    options: {
      ...options,
      ...(credit === undefined ? {} : { credit }),
      ...(operation === undefined ? {} : { operation: bridge.operationOf(operation) }),
    },
  });
}

/** An item that cannot be passed on fails its call, whoever made it (`frame.body`). */
function failItem(bridge: BridgeState, sender: BridgeSide, channel: number, text: string): void {
  for (const caller of ["near", "far"] as const) {
    for (const [request, { upload, download }] of bridge[caller].calls) {
      if (upload !== channel && download !== channel) continue;
      answer(bridge, caller, request, caller === sender ? "invalid-argument" : "internal", text);
      return say(bridge, other(caller), { kind: "cancel", connection: 0, request });
    }
  }
}

function answer(bridge: BridgeState, to: BridgeSide, request: number, code: RpcCode, message: string): void {
  const body: EncodedBody = encodeFailure({ code, message });
  say(bridge, to, { kind: "response", connection: 0, request, ok: false, body });
}

function say(bridge: BridgeState, to: BridgeSide, said: Said): void {
  bridge[to].waiting.push(said);
  bridge[to].bytes += costOf(said);
}

/** A side says what it takes on a channel. @returns What the other side is told of it. */
function begin(
  bridge: BridgeState,
  receiver: BridgeSide,
  channel: number,
  granted: number | undefined,
  passed = 0,
): number | undefined {
  if (granted === undefined) return undefined;
  const told = Math.min(granted, passed + bridge.credit);
  bridge[receiver].flows.set(channel, { granted, told, passed });
  return told;
}

function count(bridge: BridgeState, to: BridgeSide, channel: number): void {
  const flow = bridge[to].flows.get(channel);
  if (flow === undefined) return;
  flow.passed++;
  tell(bridge, to, channel, flow);
}

/** Grants the sender what the receiver granted, as far as its items are passed on. */
function tell(bridge: BridgeState, receiver: BridgeSide, channel: number, flow: Flow): void {
  const due = Math.min(flow.granted, flow.passed + bridge.credit) - flow.told;
  // Few at a time only where it is all that there is to grant.
  if (due <= 0 || due * 2 < bridge.credit && flow.told + due < flow.granted) return;
  flow.told += due;
  say(bridge, other(receiver), { kind: "credit", connection: 0, channel, additional: due });
}

/** A call of a side is answered: its channels are over. */
function forget(bridge: BridgeState, caller: BridgeSide, request: number): void {
  const options = bridge[caller].calls.get(request);
  if (options === undefined) return;
  bridge[caller].calls.delete(request);
  if (options.upload !== undefined) bridge[other(caller)].flows.delete(options.upload);
  if (options.download !== undefined) bridge[caller].flows.delete(options.download);
}

function newDirection(): Direction {
  return { waiting: [], bytes: 0, flows: new Map(), messages: 0, calls: new Map() };
}

function other(side: BridgeSide): BridgeSide {
  return side === "near" ? "far" : "near";
}

function costOf(said: Said): number {
  return HELD_OVERHEAD_BYTES + ("body" in said ? said.body.length : 0);
}
