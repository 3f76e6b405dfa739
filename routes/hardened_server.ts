/**
 * The server for addresses that strangers reach: `node:http`, whose requests have a size and a time, in front of the same
 * routes.
 */

import type { Connection } from "./connect.ts";
import type { Buffer } from "node:buffer";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo, Socket as NodeSocket } from "node:net";
import type { Duplex } from "node:stream";
import type { Subprotocol } from "../src/protocol/codec.ts";
import { describeError } from "../src/observe/json_log.ts";
import type { Log } from "../src/observe/log.ts";
import type { Clock } from "../src/system/clock.ts";
import type { Upgrade } from "./connect.ts";
import { bodyBytes, BodyFailed, incomingBody } from "./incoming_body.ts";
import { MalformedRequest, rawAnswer, respond, toRequest } from "./node_message.ts";
import { OpenBodies } from "./open_bodies_state.ts";
import { OpenLines } from "./open_lines_state.ts";
import { problem } from "./problem.ts";
import type { Listener, ListenOptions, Routes } from "./serving.ts";

/** Bytes of a request's head; more is answered with 431. */
const HEAD_BYTES = 16 * 1024;

/** Bytes of a request's body; more is answered with 413. No route takes files. */
const BODY_BYTES = 1024 * 1024;

/**
 * Bytes of a body that `node:http` takes before a route asks for them. It reads 64 KiB at once, whatever this says, and not
 * again; with its default it would read twice.
 */
const AHEAD_BYTES = 1024;

/**
 * Connections that speak HTTP, from their accept until they are closed or become WebSockets. Unfinished heads of so many are
 * some 16 MiB.
 */
const MOST_CONNECTIONS = 1_024;

/**
 * How long more may stay, up to half as many again: when many honest clients come at once, their heads follow. Milliseconds.
 */
const ROOM_MS = 250;

/** Bodies that came and were not read, all together. Bytes. */
const BODIES_BYTES = 4 * 1024 * 1024;
/** What `node:http` reads at once, and so the most that it holds of one body. Bytes. */
const READ_BYTES = 64 * 1024;

/**
 * What a connection leaves behind beside the bytes that it sent, and of these what still lies somewhere when it is closed:
 * counted for those that are cut off, so that garbage is collected in time. Bytes.
 */
const LINE_BYTES = 16 * 1024;
const LAST_READ_BYTES = 128 * 1024;

/** How long a whole request may take, and an idle connection stays open. Milliseconds. */
const REQUEST_MS = 30_000;
const KEEP_ALIVE_MS = 5_000;

/** How often requests are compared with their time. Milliseconds. */
const LOOK_MS = 500;

/** How long a peer may take to read the last answer of its connection. Milliseconds. */
const LAST_ANSWER_MS = 5_000;

/** Makes a WebSocket of a connection. @throws TypeError if the request lacks what the handshake needs. */
export type Accept<Socket> = (
  request: IncomingMessage,
  line: Duplex,
  head: Buffer,
  subprotocol: Subprotocol,
  named: boolean,
) => Socket;

/** What the server needs beside routes. */
export interface HardenedServerOptions<Socket> {
  readonly accept: Accept<Socket>;
  /** How long the head of a request may take, and so a WebSocket handshake. Milliseconds. */
  readonly headMs: number;
  readonly clock: Clock;
  readonly log: Log;
  /** Told of bytes that are garbage from now on. */
  readonly onGarbage: (bytes: number) => void;
  /** Connections that are not, or not yet, WebSockets; default 1,024. */
  readonly mostConnections?: number;
}

/** A request that asks for an upgrade, until it is answered. */
interface Pending {
  readonly incoming: IncomingMessage;
  readonly line: NodeSocket;
  readonly head: Buffer;
  upgraded: boolean;
}

/**
 * Serves routes over `node:http`.
 *
 * - A head that is not complete in time, or too long, ends its connection with 408 or 431.
 * - A body is read when a route asks for it. One that was not read to its end ends its connection with the answer.
 * - Connections that are no WebSockets are bounded in number: the one that is idle or incomplete longest makes room.
 * - Bodies that nobody has read are bounded in bytes: the oldest makes room, and ends its connection.
 * - Every request goes through the routes, those for an upgrade too: the same code refuses, whatever the transport.
 */
export class HardenedServer<Socket> {
  readonly #options: HardenedServerOptions<Socket>;
  readonly #pending = new WeakMap<Request, Pending>();
  /** Connections that have had their last answer. */
  readonly #answered = new WeakSet<Duplex>();
  readonly #lines: OpenLines<NodeSocket>;
  /** Of the wait before some make room, if there is one. */
  #cancelRoom: (() => void) | null = null;
  readonly #bodies = new OpenBodies<IncomingMessage>(BODIES_BYTES, READ_BYTES);

  constructor(options: HardenedServerOptions<Socket>) {
    this.#options = options;
    this.#lines = new OpenLines(options.mostConnections ?? MOST_CONNECTIONS);
  }

  /** For the connect route. The answer it returns is not sent: the handshake has answered. */
  readonly upgrade: Upgrade<Socket> = (request, { subprotocol, named }) => {
    const pending = this.#pending.get(request);
    if (pending === undefined) {
      throw new TypeError("the request does not ask for an upgrade of its connection");
    }
    const { incoming, line, head } = pending;
    const socket = this.#options.accept(incoming, line, head, subprotocol, named);
    pending.upgraded = true;
    this.#lines.gone(line);
    return { socket, response: new Response() };
  };

  /** Starts to listen. @throws Error if the address cannot be had. */
  async listen(routes: Routes, { hostname, port }: ListenOptions): Promise<Listener> {
    const server = createServer({
      maxHeaderSize: HEAD_BYTES,
      headersTimeout: this.#options.headMs,
      requestTimeout: Math.max(REQUEST_MS, this.#options.headMs),
      keepAliveTimeout: KEEP_ALIVE_MS,
      connectionsCheckingInterval: LOOK_MS,
      highWaterMark: AHEAD_BYTES,
    });
    server.on("connection", (line: NodeSocket) => this.#opened(line));
    server.on("request", (incoming, outgoing) => void this.#request(routes, incoming, outgoing));
    // It is told to go on when a route asks for the body, and not before.
    server.on("checkContinue", (incoming, outgoing) => void this.#request(routes, incoming, outgoing, true));
    server.on("upgrade", (incoming: IncomingMessage, line: NodeSocket, head: Buffer) => {
      void this.#upgrading(routes, { incoming, line, head, upgraded: false });
    });
    server.on("clientError", (error: Error & { code?: string }, line: NodeSocket) => {
      void this.#unreadable(error, line);
    });
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      server.listen({ port, host: hostname }, () => {
        server.off("error", reject);
        resolve();
      });
    });
    server.on("error", (error) => this.#options.log.error("server_failed", { error: describeError(error) }));
    const address = server.address() as AddressInfo;
    return {
      hostname: address.address,
      port: address.port,
      refuse: () => void server.close(),
      shutdown: () => {
        this.#cancelRoom?.();
        this.#cancelRoom = null;
        return shutdown(server);
      },
    };
  }

  #opened(line: NodeSocket): void {
    line.once("close", () => {
      // As a WebSocket it is no longer this server's.
      if (this.#lines.gone(line)) this.#options.onGarbage(Math.min(line.bytesRead, LAST_READ_BYTES));
    });
    const makes = this.#lines.opened(line);
    if (makes === "now") this.#makeRoom();
    if (makes !== "soon" || this.#cancelRoom !== null) return;
    const { clock } = this.#options;
    this.#cancelRoom = clock.wakeAt(clock.now() + ROOM_MS, () => this.#makeRoom());
  }

  #makeRoom(): void {
    this.#cancelRoom?.();
    this.#cancelRoom = null;
    for (const line of this.#lines.makeRoom()) {
      line.destroy();
      this.#leavesGarbage(line);
      this.#options.log.debug("connection_made_room");
    }
  }

  async #request(
    routes: Routes,
    incoming: IncomingMessage,
    outgoing: ServerResponse,
    toldToGoOn = false,
  ): Promise<void> {
    const line = incoming.socket;
    this.#lines.asked(line);
    outgoing.once("close", () => this.#lines.answered(line));
    // Both: an answer that waits behind others does not say so when their connection closes.
    for (const end of [incoming, outgoing]) end.once("close", () => this.#bodies.gone(incoming));
    for (const oldest of this.#bodies.opened(incoming, bodyBytes(incoming))) this.#giveUp(oldest);
    try {
      const body = incomingBody(incoming, {
        most: BODY_BYTES,
        onAsked: () => toldToGoOn && outgoing.writeContinue(),
        onWaiting: (waiting) => this.#lines.waits(line, waiting),
      });
      const answer = await routes.fetch(toRequest(incoming, body), connectionOf(incoming));
      await this.#answer(incoming, outgoing, answer);
    } catch (error) {
      const answer = this.#failure(error);
      if (outgoing.headersSent) outgoing.destroy();
      else await this.#answer(incoming, outgoing, answer);
    }
  }

  async #answer(incoming: IncomingMessage, outgoing: ServerResponse, answer: Response): Promise<void> {
    const line = incoming.socket;
    this.#lines.waits(line, true);
    if (line.destroyed || this.#answered.has(line)) {
      this.#options.log.debug("request_aborted");
      outgoing.destroy();
    } else if (incoming.complete) {
      await respond(outgoing, answer);
    } else if (outgoing.socket === line) {
      // The rest of the body is not read. To close at once would reset the connection, and the answer with it.
      await this.#lastAnswer(line, answer, incoming.method === "HEAD", false);
    } else {
      // It follows answers that the connection still waits for.
      await respond(outgoing, answer, true);
    }
  }

  /** Ends a connection for the body of a request on it; its answer goes out where it is there. */
  #giveUp(incoming: IncomingMessage): void {
    const line = incoming.socket;
    // What came lies in the request, which whoever answers it still has.
    incoming.read();
    if (this.#answered.has(line)) line.destroySoon();
    else line.destroy();
    if (this.#lines.gone(line)) this.#leavesGarbage(line);
    this.#options.log.debug("body_made_room");
  }

  #leavesGarbage(line: NodeSocket): void {
    this.#options.onGarbage(LINE_BYTES + Math.min(line.bytesRead, LAST_READ_BYTES));
  }

  async #upgrading(routes: Routes, pending: Pending): Promise<void> {
    const { incoming, line } = pending;
    // Its end is what counts, and every error is followed by that.
    line.on("error", ignore);
    this.#lines.asked(line);
    let answer: Response;
    try {
      const request = toRequest(incoming);
      this.#pending.set(request, pending);
      answer = await routes.fetch(request, connectionOf(incoming));
    } catch (error) {
      answer = this.#failure(error);
    }
    if (!pending.upgraded) await this.#lastAnswer(line, answer, incoming.method === "HEAD");
  }

  async #unreadable(error: Error & { code?: string }, line: NodeSocket): Promise<void> {
    const answer = UNREADABLE[error.code ?? ""] ?? MALFORMED;
    // Once is enough: what comes after that is not read.
    if (error.code === "ECONNRESET" || !line.writable || this.#answered.has(line)) line.destroy();
    else await this.#lastAnswer(line, answer(), false);
  }

  /**
   * Answers and ends the connection; a peer that does not read it is not waited for.
   *
   * @param drain Reads what the peer goes on sending, which keeps the end of the connection from being seen.
   */
  async #lastAnswer(line: NodeSocket, response: Response, head: boolean, drain = true): Promise<void> {
    this.#answered.add(line);
    this.#lines.waits(line, true);
    const { clock } = this.#options;
    const cancel = clock.wakeAt(clock.now() + LAST_ANSWER_MS, () => line.destroy());
    line.once("close", cancel);
    if (drain) line.resume();
    line.end(await rawAnswer(response, head));
  }

  #failure(error: unknown): Response {
    if (error instanceof MalformedRequest) return MALFORMED();
    if (error instanceof BodyFailed) return error.getResponse();
    this.#options.log.error("request_failed", { error: describeError(error) });
    return problem({
      status: 500,
      name: "internal",
      title: "Internal error",
      detail: "the request failed; the server's log says why",
    });
  }
}

const MALFORMED = () =>
  problem({
    status: 400,
    name: "malformed-request",
    title: "Malformed request",
    detail: "this is not a request of HTTP/1.1",
  });

/** What `node:http` could not read, by its error's code. */
const UNREADABLE: Readonly<Record<string, () => Response>> = {
  HPE_HEADER_OVERFLOW: () =>
    problem({
      status: 431,
      name: "head-too-large",
      title: "Request header fields too large",
      detail: `the head of a request may have ${HEAD_BYTES} bytes`,
    }),
  ERR_HTTP_REQUEST_TIMEOUT: () =>
    problem({
      status: 408,
      name: "request-timeout",
      title: "Request timeout",
      detail: "the request did not come to its end in time",
    }),
};

function ignore(): void {}

/** Takes no more connections and ends those that are left; WebSockets have their own end before. */
function shutdown(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
    server.closeIdleConnections();
    server.closeAllConnections();
  });
}

/** Who is at the other end of a request's line; nobody that is known once it broke. */
function connectionOf(incoming: IncomingMessage): Connection {
  const { remoteAddress } = incoming.socket;
  return remoteAddress === undefined ? {} : { remoteAddr: { hostname: remoteAddress } };
}
