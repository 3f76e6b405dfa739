/**
 * The side under test of the golden scenarios (`tests/protocol/vectors`): the multiplexer, between the JSON encoding and an
 * application that does only what a scenario says.
 *
 * What a session adds to the multiplexer is here in its shortest form: what may not be sent yet waits, and the answers that
 * nobody but the session gives (`cancelled`, `deadline-exceeded`, `invalid-argument`).
 */

import assert from "node:assert/strict";
import {
  type CallWords,
  decodeConnection,
  encodeConnection,
} from "../../src/connection/connection_record.ts";
import type { CallRequest } from "../../src/connection/call_state.ts";
import * as mux from "../../src/connection/mux_state.ts";
import { type BodyValue, decodeBody, encodeBody } from "../../src/protocol/body.ts";
import { encodeSession } from "../../src/protocol/encode.ts";
import { jsonCodec } from "../../src/protocol/json_codec.ts";
import { jsonMessage } from "../../src/protocol/json_writer.ts";
import { DEFAULT_LIMITS } from "../../src/protocol/limits.ts";
import {
  isSessionMessage,
  type Metadata,
  type SessionMessage,
  type SessionPayload,
} from "../../src/protocol/messages.ts";
import type { RpcCode } from "../../src/protocol/rpc_codes.ts";
import type { RuleId } from "../../src/protocol/rules.ts";

const codec = jsonCodec(DEFAULT_LIMITS);

/** What the application does; `README.md` of the vectors says what each means. */
export type ScenarioAction =
  | ({ readonly action: "open"; readonly service: string } & mux.Opening)
  | ({ readonly action: "accept"; readonly connection: number } & mux.Opening)
  | {
    readonly action: "reject";
    readonly connection: number;
    readonly reason: string;
    readonly detail: string;
  }
  | {
    readonly action: "end";
    readonly connection: number;
    readonly reason?: string;
    readonly detail?: string;
  }
  | { readonly action: "message"; readonly connection: number; readonly body: BodyValue }
  | {
    readonly action: "call";
    readonly connection: number;
    readonly method: string;
    readonly body: BodyValue;
    readonly options?: CallRequest;
  }
  | { readonly action: "cancel"; readonly connection: number; readonly request: number }
  | {
    readonly action: "respond";
    readonly connection: number;
    readonly request: number;
    readonly ok: boolean;
    readonly body: BodyValue;
  }
  | {
    readonly action: "item";
    readonly connection: number;
    readonly channel: number;
    readonly body: BodyValue;
  }
  | { readonly action: "finish"; readonly connection: number; readonly channel: number }
  | {
    readonly action: "reset";
    readonly connection: number;
    readonly channel: number;
    readonly reason: string;
  }
  | {
    readonly action: "take";
    readonly connection: number;
    readonly channel: number;
    readonly count: number;
  }
  | { readonly action: "busy"; readonly connection: number }
  | { readonly action: "free"; readonly connection: number };

/** What the application is told. */
export type ScenarioEvent = { readonly event: string; readonly [field: string]: unknown };

/** Something that waits until it may be sent. */
interface Waiting {
  readonly kind: "message" | "call" | "item" | "finish";
  /** What waits for the same waits in one line: the connection's messages, its calls, or one channel. */
  readonly line: string;
  readonly connection: number;
  readonly channel: number;
  /** @returns False if it still may not be sent. */
  readonly attempt: () => boolean;
}

export class ScenarioSide {
  readonly #mux: mux.MuxState;
  readonly #words = new Map<number, CallWords>();
  #waiting: Waiting[] = [];
  /** The number of the message of each connection that the application was told of last. */
  readonly #last = new Map<number, number>();
  /** Connections that are busy with a message, and what waits behind it. */
  readonly #busy = new Map<number, { readonly seq: number; readonly body: BodyValue }[]>();
  #now = 1_700_000_000_000;
  #sequence = 0;
  #received = 0;
  #sent: unknown[] = [];
  #heard: ScenarioEvent[] = [];
  /** The rule that the other side broke: the session is over. */
  violated: RuleId | null = null;

  constructor(side: mux.Side, { connections = DEFAULT_LIMITS.connections, concurrentCalls }: {
    readonly connections?: number;
    readonly concurrentCalls?: number;
  } = {}) {
    this.#mux = mux.newMux(side, connections, concurrentCalls);
  }

  /** What was sent since this was last asked: messages in the JSON encoding. */
  takeSent(): unknown[] {
    return this.#sent.splice(0);
  }

  /** What the application was told since this was last asked. */
  takeHeard(): ScenarioEvent[] {
    return this.#heard.splice(0);
  }

  /** Takes one message of the other side, in the JSON encoding. */
  receive(json: unknown): void {
    const decoded = codec.decode(JSON.stringify(json));
    assert.ok(decoded.ok, JSON.stringify(decoded));
    const [message] = decoded.messages;
    assert.ok(decoded.messages.length === 1 && message !== undefined && isSessionMessage(message));
    assert.equal(message.seq, ++this.#received, "numbers go up by one");
    this.#received = message.seq;
    if (this.violated === null) this.#outcome(message, mux.receive(this.#mux, message, this.#now));
    this.#flush();
  }

  #outcome(message: SessionMessage, outcome: mux.MuxOutcome): void {
    switch (outcome.kind) {
      case "offered": {
        const { connection, service, metadata } = outcome;
        return this.#tell("offered", { connection, service, ...shown(metadata) });
      }
      case "accepted":
        return this.#tell("accepted", { connection: outcome.connection, ...shown(outcome.metadata) });
      case "message":
        return this.#message(outcome.connection, message.seq, decodeBody(outcome.body));
      case "ended": {
        const { connection, rejected, reason, detail } = outcome;
        return this.#tell(rejected ? "rejected" : "ended", {
          connection,
          ...(reason === undefined ? {} : { reason }),
          ...(detail === undefined ? {} : { detail }),
        });
      }
      // The application is told when it has handled what came before: `free`.
      case "ending":
        return;
      case "answer":
        return this.#send(outcome.payload);
      case "called": {
        const { connection, call: { request, seq, method, operation, metadata }, body, malformed } = outcome;
        this.#words.set(seq, { method, operation, metadata });
        if (malformed !== undefined) return this.#overrule(connection, request, "invalid-argument");
        return this.#tell("called", {
          connection,
          request,
          method,
          body: decodeBody(body),
          ...shown(metadata),
        });
      }
      case "answered": {
        const { connection, call: { request }, ok, body } = outcome;
        return this.#tell("answered", { connection, request, ok, body: decodeBody(body) });
      }
      case "cancelled": {
        const { connection, call: { request } } = outcome;
        this.#overrule(connection, request, "cancelled");
        return this.#tell("aborted", { connection, request, code: "cancelled" });
      }
      case "item": {
        const { connection, channel, body } = outcome;
        return this.#tell("item", { connection, channel, body: decodeBody(body) });
      }
      case "channel_over": {
        const { connection, channel, reason } = outcome;
        return reason === null
          ? this.#tell("finished", { connection, channel })
          : this.#tell("reset", { connection, channel, reason });
      }
      case "violation":
        assert.notEqual(outcome.violation.detail, "");
        this.violated = outcome.violation.rule;
        return;
      case "credited":
      case "messages_credited":
      case "dropped":
        return;
      default:
        throw new Error(`nothing is known of ${JSON.stringify(outcome satisfies never)} for ${message.kind}`);
    }
  }

  #message(id: number, seq: number, body: BodyValue): void {
    const behind = this.#busy.get(id);
    if (behind === undefined) {
      this.#last.set(id, seq);
      return this.#tell("message", { connection: id, body });
    }
    behind.push({ seq, body });
    this.#hold(id, seq);
  }

  #hold(id: number, seq: number): void {
    const connection = this.#mux.connections.get(id);
    assert.ok(connection !== undefined);
    connection.held = [...connection.held, seq];
  }

  /** A message that was held is handled: if the other side has ended the connection, it may be over now. */
  #handled(id: number, seq: number): void {
    const connection = this.#mux.connections.get(id);
    if (connection === undefined) return;
    connection.held = connection.held.filter((held) => held !== seq);
    if (connection.ending === null || connection.held.length > 0) return;
    const { reason, detail } = connection.ending;
    this.#send(mux.end(this.#mux, id));
    this.#tell("ended", {
      connection: id,
      ...(reason === "" ? {} : { reason }),
      ...(detail === "" ? {} : { detail }),
    });
  }

  /** Does what the application does. */
  perform(action: ScenarioAction): void {
    switch (action.action) {
      case "open": {
        const { action: _, service, ...opening } = action;
        this.#send(mux.open(this.#mux, service, opening));
        break;
      }
      case "accept": {
        const { action: _, connection, ...opening } = action;
        this.#sendAll(mux.accept(this.#mux, connection, opening));
        break;
      }
      case "reject":
        this.#send(mux.reject(this.#mux, action.connection, action.reason, action.detail));
        break;
      case "end":
        this.#send(mux.end(this.#mux, action.connection, action.reason, action.detail));
        break;
      case "message": {
        const { connection } = action;
        const body = encodeBody(action.body);
        this.#wait("message", connection, 0, () => {
          if (!mux.maySend(this.#mux, connection)) return false;
          this.#send({ kind: "message", connection, body });
          return true;
        });
        break;
      }
      case "call": {
        const { connection, method, options } = action;
        const body = encodeBody(action.body);
        this.#wait("call", connection, 0, () => {
          if (!mux.mayCall(this.#mux, connection)) return false;
          this.#send(mux.call(this.#mux, connection, method, body, options).payload);
          return true;
        });
        break;
      }
      case "cancel":
        this.#send(mux.cancel(this.#mux, action.connection, action.request));
        break;
      case "respond":
        this.#respond(action.connection, action.request, action.ok, action.body);
        break;
      case "item": {
        const { connection, channel } = action;
        const body = encodeBody(action.body);
        this.#wait("item", connection, channel, () => {
          const payload = mux.sendItem(this.#mux, connection, channel, body);
          this.#send(payload);
          return payload !== null;
        });
        break;
      }
      case "finish": {
        const { connection, channel } = action;
        this.#wait("finish", connection, channel, () => {
          this.#send(mux.endChannel(this.#mux, connection, channel, null));
          return true;
        });
        break;
      }
      case "reset": {
        const { connection, channel, reason } = action;
        this.#waiting = this.#waiting.filter((one) =>
          one.connection !== connection || one.channel !== channel
        );
        this.#send(mux.endChannel(this.#mux, connection, channel, reason));
        break;
      }
      case "take":
        if (action.channel > 0) {
          this.#send(mux.consumeItems(this.#mux, action.connection, action.channel, action.count));
        } else {
          for (let i = 0; i < action.count; i++) this.#send(mux.consumeMessage(this.#mux, action.connection));
        }
        break;
      case "busy": {
        const seq = this.#last.get(action.connection);
        assert.ok(seq !== undefined, "busy with a message that it was told of");
        this.#hold(action.connection, seq);
        this.#busy.set(action.connection, []);
        break;
      }
      case "free": {
        const { connection } = action;
        const behind = this.#busy.get(connection) ?? [];
        this.#busy.delete(connection);
        this.#handled(connection, this.#last.get(connection)!);
        for (const { seq, body } of behind) {
          if (!this.#mux.connections.has(connection)) break;
          this.#last.set(connection, seq);
          this.#tell("message", { connection, body });
          this.#handled(connection, seq);
        }
        break;
      }
      default:
        throw new Error(`no such action: ${JSON.stringify(action satisfies never)}`);
    }
    this.#flush();
  }

  /** Time passes. */
  advance(milliseconds: number): void {
    this.#now += milliseconds;
    for (const { id, calls } of this.#mux.connections.values()) {
      for (const { request, deadline, early } of [...calls?.incoming.values() ?? []]) {
        if (deadline === null || deadline > this.#now || early !== null) continue;
        this.#overrule(id, request, "deadline-exceeded");
        this.#tell("aborted", { connection: id, request, code: "deadline-exceeded" });
      }
    }
    this.#flush();
  }

  /** Goes on with what is read back from the records of its connections. */
  store(): void {
    for (const [id, connection] of this.#mux.connections) {
      const read = decodeConnection(id, encodeConnection(connection), (seq) => this.#words.get(seq)!);
      this.#mux.connections.set(id, read);
    }
  }

  #overrule(connection: number, request: number, code: RpcCode): void {
    this.#respond(connection, request, false, { code, message: `by the session: ${code}` });
  }

  #respond(connection: number, request: number, ok: boolean, body: BodyValue): void {
    const reason = ok ? "" : String((body as { readonly code: string }).code);
    this.#sendAll(mux.respond(this.#mux, connection, request, { ok, body: encodeBody(body), reason }));
  }

  #wait(kind: Waiting["kind"], connection: number, channel: number, attempt: () => boolean): void {
    const line = `${connection} ${kind === "message" || kind === "call" ? kind : channel}`;
    this.#waiting.push({ kind, line, connection, channel, attempt });
  }

  /** Sends what waited and may be sent now, each line in its order. */
  #flush(): void {
    const blocked = new Set<string>();
    this.#waiting = this.#waiting.filter(({ line, attempt }) => {
      if (blocked.has(line) || !attempt()) blocked.add(line);
      return blocked.has(line);
    });
  }

  #sendAll(payloads: readonly SessionPayload[]): void {
    for (const payload of payloads) this.#send(payload);
  }

  #send(payload: SessionPayload | null): void {
    if (payload === null) return;
    this.#sent.push(JSON.parse(jsonMessage(encodeSession(++this.#sequence, payload))));
  }

  #tell(event: string, fields: object): void {
    this.#heard.push({ event, ...fields });
  }
}

/** Metadata where there is some. */
function shown(metadata: Metadata): object {
  return Object.keys(metadata).length === 0 ? {} : { metadata };
}
