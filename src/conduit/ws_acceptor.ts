/** The WebSocket handshake of npm `ws`, for sockets that a server of `node:http` hands over. */

import type { Buffer } from "node:buffer";
import type { IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import { WebSocketServer } from "ws";
import type { Subprotocol } from "../protocol/codec.ts";
import { jsonFrameBytes } from "../protocol/limits.ts";
import { CLOSE_WAIT_MS } from "./socket_conduit.ts";
import type { AcceptedSocket, Line, WsSocket } from "./ws_conduit.ts";

/**
 * Fragments of one frame. Browsers send a large frame in pieces of some 100 KiB; a frame in pieces of a few bytes costs
 * many times what it holds.
 */
const MOST_FRAGMENTS = 1_024;

/** Pieces in which the network delivers one frame; the largest JSON frame has under 5,000 packets. */
const MOST_CHUNKS = 16 * 1_024;

interface Handshakes {
  on(event: "headers", listener: (headers: string[], request: IncomingMessage) => void): unknown;
  handleUpgrade(
    request: IncomingMessage,
    line: Duplex,
    head: Buffer,
    accepted: (socket: WsSocket) => void,
  ): void;
}

/** Accepts WebSockets; one library server for each frame limit. */
export class WsAcceptor {
  readonly #servers: { readonly [S in Subprotocol]: Handshakes };

  /** @param frameBytes `limits.frameBytes`. */
  constructor(frameBytes: number) {
    this.#servers = {
      "holdfast.v1.msgpack": handshakes(frameBytes),
      "holdfast.v1.json": handshakes(jsonFrameBytes(frameBytes)),
    };
  }

  /**
   * Answers an upgrade with 101.
   *
   * @param head What was read beyond the request.
   * @param subprotocol What the frames will be.
   * @param named Whether the answer names it: not, if the client offered none.
   * @throws TypeError if the request lacks what a WebSocket handshake needs.
   */
  accept(
    request: IncomingMessage,
    line: Duplex,
    head: Buffer,
    subprotocol: Subprotocol,
    named: boolean,
  ): AcceptedSocket {
    const { headers } = request;
    const key = headers["sec-websocket-key"] ?? "";
    if (headers["sec-websocket-version"] !== "13" || !/^[+/0-9A-Za-z]{22}==$/.test(key)) {
      throw new TypeError("the key or the version of a WebSocket handshake is missing");
    }
    // Of the header `Upgrade` the library takes the one word only, and of subprotocols the first; both were judged before.
    headers.upgrade = "websocket";
    if (named) headers["sec-websocket-protocol"] = subprotocol;
    else delete headers["sec-websocket-protocol"];
    let accepted: WsSocket | undefined;
    this.#servers[subprotocol].handleUpgrade(request, line, head, (socket) => accepted = socket);
    if (accepted === undefined) throw new TypeError("the client went away during its handshake");
    return { socket: accepted, line: line as unknown as Line };
  }
}

function handshakes(maxPayload: number): Handshakes {
  return new WebSocketServer({
    noServer: true,
    clientTracking: false,
    maxPayload,
    maxFragments: MOST_FRAGMENTS,
    maxBufferedChunks: MOST_CHUNKS,
    // A small frame can inflate to a large one, and each conduit would keep two zlib windows.
    perMessageDeflate: false,
    // The conduit's own wait is the one that counts; this one is for sockets that it has let go.
    closeTimeout: 2 * CLOSE_WAIT_MS,
  });
}
