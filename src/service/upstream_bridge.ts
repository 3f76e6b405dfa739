/** One connection and the one WebSocket it is bridged to. */

import type { EncodedBody, Metadata } from "../protocol/messages.ts";
import { bodyOf, type Payload, payloadOf } from "../protocol/payload.ts";
import {
  CLOSED_BY_CLIENT,
  CLOSED_BY_UPSTREAM,
  closingDetail,
  fitsClose,
  isApplicationCode,
  NO_CODE,
  readClosing,
  type SocketClosing,
} from "../protocol/socket_closing.ts";
import type { Log, LogFields } from "../observe/log.ts";
import type { Metrics, UpstreamRefusal } from "../observe/metrics.ts";
import type { Clock } from "../system/clock.ts";
import type { Acceptance, Rejection, ServiceConnection } from "./service.ts";
import type { DialUpstream, UpstreamEnd, UpstreamHandler, UpstreamSocket } from "./upstream_socket.ts";

/** What the bridges of a node share. */
export interface BridgeContext {
  readonly dial: DialUpstream;
  readonly clock: Clock;
  readonly log: Log;
  /** Absent: nothing is counted. */
  readonly metrics?: Pick<Metrics, "upstreamRefused">;
  /** Told of what a connection throws, which is a defect. */
  readonly failed: (thrown: unknown) => void;
  /** How long an upstream may take to open; milliseconds. */
  readonly timeout: number;
}

/** How often an upstream is pinged; milliseconds. */
export const PING_EVERY_MS = 25_000;

/** An upstream that let so many pings in a row go by is gone. One that reads slowly answers late. */
const UNANSWERED_PINGS = 2;

/** What the client told and is told about subprotocols. */
const OFFERED = "protocols";
const CHOSEN = "protocol";

/** RFC 9110, token. */
const TOKEN = /^[!#$%&'*+.^`|~\w-]+$/;

/** Code 1001: the client is not there any more. */
const GOING_AWAY = 1001;

/** How the connection's other side ended. */
export interface ConnectionEnding {
  readonly reason: string;
  readonly detail: string;
}

/**
 * `dialling` until the upstream opened; `over` when the connection is, whoever ended it: then the socket closes by itself.
 * `draining`: the socket has ended, and what came before still waits for the client.
 */
type Stage =
  | { readonly at: "dialling"; readonly answer: (answer: Acceptance | Rejection) => void }
  | { readonly at: "open" }
  | { readonly at: "draining"; readonly end: UpstreamEnd }
  | { readonly at: "over" };

/** See the top of this file. */
export class UpstreamBridge implements UpstreamHandler {
  readonly #context: BridgeContext;
  readonly #connection: ServiceConnection;
  readonly #gone: () => void;
  readonly #socket: UpstreamSocket;
  /** Resolves when the upstream has opened, or will not. */
  readonly opened: Promise<Acceptance | Rejection>;
  #stage: Stage;
  #cancelTimer: () => void;
  /** What was read while the client had no room. Bounded by what a socket reads at once. */
  readonly #held: EncodedBody[] = [];
  /** The client has no room: the socket is paused, and somebody waits. */
  #full = true;
  #pings = 0;

  /**
   * Dials.
   *
   * @param protocols What the client offers; see {@link offeredProtocols}.
   * @param gone Called once, when nothing of the socket is left.
   */
  constructor(
    context: BridgeContext,
    connection: ServiceConnection,
    url: string,
    protocols: readonly string[],
    gone: () => void,
  ) {
    this.#context = context;
    this.#connection = connection;
    this.#gone = gone;
    const { promise, resolve } = Promise.withResolvers<Acceptance | Rejection>();
    this.opened = promise;
    this.#stage = { at: "dialling", answer: resolve };
    this.#socket = context.dial(url, protocols, this);
    this.#cancelTimer = context.clock.wakeAt(context.clock.now() + context.timeout, () => this.#timedOut());
  }

  /** A message of the client. */
  message(body: EncodedBody): void | Promise<void> {
    if (this.#stage.at !== "open") return;
    const payload = payloadOf(body);
    if (payload !== null) return this.#socket.send(payload);
    const reason = "unsupported-body";
    this.#leave({ code: GOING_AWAY, reason });
    this.#connection.end(reason, "a WebSocket carries strings and bytes, and nothing else");
  }

  /** The connection is gone from this node. */
  ended(ending: ConnectionEnding): void {
    this.#leave(closingOf(ending));
  }

  // UpstreamHandler

  onOpen(protocol: string): void {
    if (this.#stage.at !== "dialling") return;
    const { answer } = this.#stage;
    this.#connection.bindToNode("upstream-lost");
    this.#cancelTimer();
    this.#stage = { at: "open" };
    this.#context.log.debug("upstream_opened", this.#fields());
    answer(protocol === "" ? {} : { metadata: { [CHOSEN]: protocol } });
    this.#awaitPing();
    // Nothing may be sent before the accept.
    this.#connection.whenWritable().then(() => this.#pass());
  }

  onMessage(payload: Payload): void {
    this.#pings = 0;
    const body = bodyOf(payload);
    if (!this.#full && this.#connection.writable) return this.#connection.send(body);
    this.#held.push(body);
    if (!this.#full) this.#pass();
  }

  onPong(): void {
    this.#pings = 0;
  }

  onEnd(end: UpstreamEnd): void {
    this.#cancelTimer();
    if (this.#stage.at === "dialling") {
      const { detail, cause } = end.kind === "refused" ? end : { detail: "the connection failed", cause: "" };
      this.#refuse("upstream-refused", detail, cause);
    } else if (this.#stage.at === "open") {
      this.#stage = { at: "draining", end };
      if (this.#held.length === 0) this.#drained(end);
    }
  }

  onGone(): void {
    this.#cancelTimer();
    this.#gone();
  }

  #timedOut(): void {
    this.#refuse("upstream-timeout", `the upstream did not answer within ${this.#context.timeout} ms`);
    this.#socket.drop();
  }

  #refuse(reason: UpstreamRefusal, detail: string, cause = detail): void {
    if (this.#stage.at !== "dialling") return;
    const { answer } = this.#stage;
    this.#stage = { at: "over" };
    this.#context.metrics?.upstreamRefused(reason);
    this.#context.log.warn("upstream_refused", { ...this.#fields(), reason, cause });
    answer({ reason, detail });
  }

  #pass(): void {
    this.#passHeld().catch((thrown) => {
      this.#context.failed(thrown);
      this.#socket.drop();
    });
  }

  /** Hands on what is held, as the client has room, and then reads on. Each time it has room one message goes, at least. */
  async #passHeld(): Promise<void> {
    this.#full = false;
    while (this.#held.length > 0) {
      if (!this.#connection.writable) {
        this.#full = true;
        this.#socket.pause();
        await this.#connection.whenWritable();
        if (this.#stage.at === "over") return;
        this.#full = false;
      }
      this.#connection.send(this.#held.shift()!);
    }
    if (this.#stage.at === "draining") return this.#drained(this.#stage.end);
    this.#pings = 0;
    this.#socket.resume();
  }

  /** Everything that came from the upstream has gone to the client; so does its end. */
  #drained(end: UpstreamEnd): void {
    this.#stage = { at: "over" };
    switch (end.kind) {
      case "closed":
        this.#context.log.debug("upstream_closed", { ...this.#fields(), code: end.closing.code });
        return this.#connection.end(CLOSED_BY_UPSTREAM, closingDetail(end.closing));
      case "too-big":
        this.#context.log.warn("upstream_too_big", this.#fields());
        return this.#connection.end("upstream-too-big", "the upstream sent a larger message than is taken");
      case "refused":
        return this.#connection.end(CLOSED_BY_UPSTREAM, end.detail);
      default:
        end satisfies never;
    }
  }

  /** The client's side is over. */
  #leave(closing: SocketClosing): void {
    const stage = this.#stage;
    if (stage.at === "over") return;
    this.#stage = { at: "over" };
    this.#cancelTimer();
    this.#held.length = 0;
    if (stage.at !== "dialling") return this.#socket.close(closing);
    this.#socket.drop();
    stage.answer({ reason: "ended", detail: closing.reason });
  }

  #awaitPing(): void {
    const { clock } = this.#context;
    this.#cancelTimer = clock.wakeAt(clock.now() + PING_EVERY_MS, () => {
      // A socket that is not read hears no answer.
      if (this.#full) this.#pings = 0;
      else if (this.#pings++ < UNANSWERED_PINGS) this.#socket.ping();
      else return this.#socket.drop();
      this.#awaitPing();
    });
  }

  #fields(): LogFields {
    const { service, session, id } = this.#connection;
    return { service, session, connection: id };
  }
}

/**
 * The subprotocols that an `open` offers, separated by commas.
 *
 * @returns Null where they are no tokens, or one is there twice.
 */
export function offeredProtocols(metadata: Metadata): string[] | null {
  const names = (metadata[OFFERED] ?? "").split(",").map((name) => name.trim()).filter((name) => name !== "");
  return names.every((name) => TOKEN.test(name)) && new Set(names).size === names.length ? names : null;
}

/** How an upstream's socket is closed when the connection ended. */
function closingOf({ reason, detail }: ConnectionEnding): SocketClosing {
  const closing = reason === CLOSED_BY_CLIENT ? readClosing(detail) : null;
  if (closing !== null && (closing.code === NO_CODE || isApplicationCode(closing.code))) return closing;
  return { code: GOING_AWAY, reason: reason !== "" && fitsClose(reason) ? reason : "ended" };
}
