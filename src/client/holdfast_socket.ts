/** A `WebSocket` whose connection outlives its network: for libraries that take a class of WebSockets. */

import type { BodyValue } from "../protocol/body.ts";
import {
  ABNORMAL,
  CLOSED_BY_CLIENT,
  CLOSED_BY_UPSTREAM,
  closingDetail,
  fitsClose,
  readClosing,
} from "../protocol/socket_closing.ts";
import { HoldfastError } from "./errors.ts";
import {
  closingOf,
  messageOf,
  type OutgoingMessage,
  socketUrlOf,
  subprotocolsOf,
} from "./socket_arguments.ts";
import { type CloseDetails, closeEvent, SocketEvents } from "./socket_events.ts";
import type { SocketConnection, SocketEnding, SocketSession } from "./socket_ports.ts";

export type { SocketConnection, SocketEnding, SocketSession } from "./socket_ports.ts";
export { SocketEvents, type SocketHandler } from "./socket_events.ts";

const CONNECTING = 0;
const OPEN = 1;
const CLOSING = 2;
const CLOSED = 3;

/** Why a session does not take one message. */
const OF_A_MESSAGE = new Set(["too-large", "overloaded", "failed"]);

/** A class of WebSockets over one session, as libraries take it in place of the platform's. */
export interface HoldfastSocketClass {
  /** Opens one. The url is for the attribute `url` alone: the session and the service say where messages go. */
  new (url: string | URL, protocols?: string | string[]): HoldfastSocket;
  /** What its instances are. */
  readonly prototype: HoldfastSocket;
  /** `readyState` before the service accepted. */
  readonly CONNECTING: 0;
  /** `readyState` while messages go to and fro. */
  readonly OPEN: 1;
  /** `readyState` while it is closed from here. */
  readonly CLOSING: 2;
  /** `readyState` when it is over. */
  readonly CLOSED: 3;
}

/**
 * The standard's `WebSocket`, over a connection of a session.
 *
 * A broken conduit is not seen: the socket stays open, what is sent meanwhile waits, and every message arrives once and in
 * order. It closes with the code and the reason of the other side's WebSocket where the service is an upstream. Where a
 * WebSocket does not know the reason — the service did not take it, the session is lost, taken over or ended, the server
 * lost the upstream — there is an `error`, and a `close` with 1006 and the protocol's reason.
 *
 * Strings are text messages, bytes binary ones. A socket is never one of before a reload: the session's restored
 * connections to the same service are ended first, since the library that used them forgot them.
 *
 * @example
 * ```ts no-assert
 * import { connect } from "./mod.ts";
 * import { HoldfastSocket } from "./holdfast_socket.ts";
 *
 * function chat() {
 *   const session = connect("http://127.0.0.1:8080");
 *   const Socket = HoldfastSocket.over(session, "upstream:chat");
 *   const socket = new Socket("ws://any.example/", ["chat.v1"]);
 *   socket.onopen = () => socket.send("hi");
 *   socket.onmessage = ({ data }) => console.log(data);
 * }
 * ```
 */
export class HoldfastSocket extends SocketEvents implements WebSocket {
  /** See {@link HoldfastSocketClass}. */
  static readonly CONNECTING: 0 = CONNECTING;
  /** See {@link HoldfastSocketClass}. */
  static readonly OPEN: 1 = OPEN;
  /** See {@link HoldfastSocketClass}. */
  static readonly CLOSING: 2 = CLOSING;
  /** See {@link HoldfastSocketClass}. */
  static readonly CLOSED: 3 = CLOSED;
  /** See {@link HoldfastSocketClass}. */
  readonly CONNECTING: 0 = CONNECTING;
  /** See {@link HoldfastSocketClass}. */
  readonly OPEN: 1 = OPEN;
  /** See {@link HoldfastSocketClass}. */
  readonly CLOSING: 2 = CLOSING;
  /** See {@link HoldfastSocketClass}. */
  readonly CLOSED: 3 = CLOSED;
  /** The one it was given, resolved and with a WebSocket's scheme. */
  readonly url: string;
  /** Always empty: what lies between is not one WebSocket. */
  readonly extensions: string = "";
  #binaryType: BinaryType = "blob";
  #readyState: 0 | 1 | 2 | 3 = CONNECTING;
  #protocol = "";
  #bufferedAmount = 0;
  #connection: SocketConnection | null = null;
  /** Ends when the blobs sent so far were read; null while none is. */
  #reading: Promise<void> | null = null;

  /** A class whose sockets are connections of this session to this service, such as `upstream:chat`. */
  static over(session: SocketSession, service: string): HoldfastSocketClass {
    return class extends HoldfastSocket {
      constructor(url: string | URL, protocols?: string | string[]) {
        super(session, service, url, protocols);
      }
    };
  }

  /**
   * Opens a connection.
   *
   * @param url For the attribute alone.
   * @param protocols What is offered to the upstream.
   * @throws DOMException `SyntaxError` for a url or a subprotocol that no WebSocket takes.
   */
  constructor(
    session: SocketSession,
    service: string,
    url: string | URL,
    protocols: string | readonly string[] = [],
  ) {
    super();
    this.url = socketUrlOf(url);
    void this.#live(session, service, subprotocolsOf(protocols));
  }

  /** Where it is. */
  get readyState(): 0 | 1 | 2 | 3 {
    return this.#readyState;
  }

  /** The subprotocol that the upstream chose; empty before it is open, or if none was offered. */
  get protocol(): string {
    return this.#protocol;
  }

  /**
   * Bytes of messages that were sent and are not yet numbered and kept by the session: those that wait for a blob to be read,
   * for the service's credit or for room in the session's window. What is kept is not counted; it arrives unless the session is
   * lost. After the end it does not sink, and grows with what is sent in vain.
   */
  get bufferedAmount(): number {
    return this.#bufferedAmount;
  }

  /** What binary messages come as. */
  get binaryType(): BinaryType {
    return this.#binaryType;
  }

  set binaryType(type: BinaryType) {
    if (type === "blob" || type === "arraybuffer") this.#binaryType = type;
  }

  /**
   * Sends a message, whatever becomes of the network.
   *
   * @param data Taken as it is now.
   * @throws DOMException `InvalidStateError` before it is open.
   */
  send(data: string | BufferSource | Blob): void {
    if (this.#readyState === CONNECTING) {
      throw new DOMException("cannot send before the socket is open", "InvalidStateError");
    }
    const message = messageOf(data);
    this.#bufferedAmount += message.size;
    if (this.#readyState !== OPEN) return;
    if (this.#reading === null && !(message.data instanceof Blob)) {
      return this.#give(message.data, message.size);
    }
    this.#read(message);
  }

  /**
   * Closes, after everything that was sent.
   *
   * @param code 1000 or 3000 … 4999; none if it is left out.
   * @param reason At most 123 bytes.
   * @throws DOMException `InvalidAccessError` for another code, `SyntaxError` for a longer reason.
   */
  close(code?: number, reason?: string): void {
    const closing = closingOf(code, reason);
    if (this.#readyState >= CLOSING) return;
    const opened = this.#readyState === OPEN;
    this.#readyState = CLOSING;
    const end = () => {
      if (opened) this.#connection?.close(CLOSED_BY_CLIENT, closingDetail(closing));
      else this.#connection?.close("cancelled", "closed before it was open");
    };
    if (this.#reading === null) end();
    else void this.#reading.then(end);
  }

  async #live(session: SocketSession, service: string, protocols: readonly string[]): Promise<void> {
    let connection: SocketConnection;
    try {
      await session.ready;
      // Before it there is no connection to end.
      if (this.#readyState !== CONNECTING) return this.#over(abnormal("cancelled"));
      connection = this.#connection = openNew(session, service, protocols);
      await connection.opened;
    } catch (error) {
      return this.#over(abnormal(error instanceof HoldfastError ? error.reason : "failed"));
    }
    if (this.#readyState !== CONNECTING) return this.#over(abnormal("cancelled"));
    this.#protocol = connection.metadata["protocol"] ?? "";
    this.#readyState = OPEN;
    this.dispatchEvent(new Event("open"));
    try {
      for await (const value of connection) this.#deliver(value);
    } catch {
      // How it ended, `closed` says too.
    }
    this.#over(closeOf(await connection.closed));
  }

  #deliver(value: BodyValue): void {
    if (this.#readyState !== OPEN) return;
    if (typeof value !== "string" && !(value instanceof Uint8Array)) {
      return this.#fail("unsupported-body", "a WebSocket carries strings and bytes, and nothing else");
    }
    const data = typeof value === "string" ? value : this.#binary(value as Uint8Array<ArrayBuffer>);
    this.dispatchEvent(new MessageEvent("message", { data, origin: new URL(this.url).origin }));
  }

  #binary(bytes: Uint8Array<ArrayBuffer>): Blob | ArrayBuffer {
    if (this.#binaryType === "blob") return new Blob([bytes]);
    const { buffer, byteLength } = bytes;
    return buffer.byteLength === byteLength ? buffer : bytes.slice().buffer;
  }

  /** Hands a message to the session. */
  #give(data: string | Uint8Array, size: number): void {
    this.#connection!.send(data).then(
      () => void (this.#bufferedAmount -= size),
      (error) => {
        const reason = error instanceof HoldfastError ? error.reason : "failed";
        // Otherwise the connection is over, and what came before its end is still to be delivered.
        if (OF_A_MESSAGE.has(reason)) this.#fail(reason, String(error));
      },
    );
  }

  /** Sends a blob, or what comes behind one. */
  #read({ data, size }: OutgoingMessage): void {
    // The application may change it before its turn comes.
    const kept = data instanceof Uint8Array ? data.slice() : data;
    const before = this.#reading ?? Promise.resolve();
    const reading: Promise<void> = before.then(async () => {
      try {
        const bytes = kept instanceof Blob ? new Uint8Array(await kept.arrayBuffer()) : kept;
        this.#give(bytes, size);
      } catch (error) {
        this.#fail("unreadable-blob", String(error));
      }
      if (this.#reading === reading) this.#reading = null;
    });
    this.#reading = reading;
  }

  /** What was sent or received cannot go on. */
  #fail(reason: string, detail: string): void {
    if (this.#readyState === CLOSED) return;
    this.#readyState = CLOSING;
    this.#connection?.close(reason, detail.slice(0, 512));
  }

  #over(details: CloseDetails): void {
    this.#readyState = CLOSED;
    if (!details.wasClean) this.dispatchEvent(new Event("error"));
    this.dispatchEvent(closeEvent(details));
  }
}

/** Ends what a reload left of this service, and opens a connection. */
function openNew(session: SocketSession, service: string, protocols: readonly string[]): SocketConnection {
  const options = protocols.length === 0 ? {} : { metadata: { protocols: protocols.join(",") } };
  while (true) {
    const connection = session.open(service, options);
    if (!connection.restored) return connection;
    connection.close("reloaded");
  }
}

function abnormal(reason: string): CloseDetails {
  return { code: ABNORMAL, reason: fitsClose(reason) ? reason : "", wasClean: false };
}

/** What `close` says of a connection that was open. */
function closeOf({ reason, detail }: SocketEnding): CloseDetails {
  if (reason === "") return { code: 1000, reason, wasClean: true };
  const told = reason === CLOSED_BY_CLIENT || reason === CLOSED_BY_UPSTREAM ? readClosing(detail) : null;
  return told === null ? abnormal(reason) : { ...told, wasClean: told.code !== ABNORMAL };
}
