/** `GET /v1/connect`: where a WebSocket becomes a conduit (`frame.route`, `frame.origin`). */

import { Hono } from "hono";
import { bearerOf } from "../src/access/claims_state.ts";
import { clientAddress, type TrustedProxies } from "../src/access/client_address.ts";
import type { ConduitPeer } from "../src/conduit/conduit.ts";
import type { Subprotocol } from "../src/protocol/codec.ts";
import { chooseSubprotocol } from "../src/protocol/codecs.ts";
import { type OriginPolicy, refuseOrigin } from "./origin.ts";
import { type Problem, problem } from "./problem.ts";

/** What was decided before a socket is upgraded. */
export interface UpgradeOptions {
  /** Milliseconds; 0: none. */
  readonly idleTimeout: number;
  /** What the frames will be. */
  readonly subprotocol: Subprotocol;
  /** The answer names the subprotocol; the client offered some. */
  readonly named: boolean;
}

/**
 * A transport's upgrade, so that routes are tested without a port.
 *
 * @returns The socket, and the answer that this route gives with `Sec-WebSocket-Protocol` set; a transport that has answered
 *   by itself ignores it.
 * @throws TypeError if the request lacks what the handshake needs.
 */
export type Upgrade<Socket> = (
  request: Request,
  options: UpgradeOptions,
) => { readonly socket: Socket; readonly response: Response };

/** What the server knows of the connection that a request came on. */
export interface Connection {
  /** Absent where there is no network in between. */
  readonly remoteAddr?: { readonly hostname: string };
}

/** What the route needs. */
export interface ConnectOptions<Socket> {
  readonly upgrade: Upgrade<Socket>;
  readonly origin: OriginPolicy;
  /** Takes over a socket that was just upgraded. */
  readonly onSocket: (socket: Socket, subprotocol: Subprotocol, peer: ConduitPeer) => void;
  /** Whose word counts about the address that a request comes from; absent: nobody's. */
  readonly trustedProxies?: TrustedProxies;
  /** The credentials of a request that asks to be an operator's; undefined: it does not ask. Absent: nobody may. */
  readonly operator?: (request: Request) => string | undefined;
  /** Told the HTTP status of each request that did not become a conduit. */
  readonly onRefused?: (status: number) => void;
  /** True while this node has all the conduits it can hold: further ones are not even made. Absent: never. */
  readonly full?: () => boolean;
}

/**
 * The platform's own WebSocket pings are off: the protocol's keepalive detaches without ending the session, and a timer
 * for each socket, set again with each frame, would be paid for twice.
 */
const PLATFORM_IDLE_TIMEOUT = 0;

/**
 * The route. A draining server still upgrades: it refuses in-band, where the client learns what to do.
 *
 * It must be mounted before any middleware that touches responses: the platform recognises its 101 by identity.
 */
export function connect<Socket>(options: ConnectOptions<Socket>): Hono<{ Bindings: Connection }> {
  return new Hono<{ Bindings: Connection }>()
    .get("/v1/connect", (context) => answer(context.req.raw, context.env, options))
    .all("/v1/connect", () =>
      problem({
        status: 405,
        name: "method-not-allowed",
        title: "Method not allowed",
        detail: "/v1/connect takes GET with a WebSocket upgrade",
        headers: { allow: "GET" },
      }));
}

function answer<Socket>(
  request: Request,
  connection: Connection | undefined,
  options: ConnectOptions<Socket>,
): Response {
  const { headers } = request;
  const refuse = (why: Problem) => {
    options.onRefused?.(why.status);
    return problem(why);
  };
  if (!isWebSocketUpgrade(headers.get("upgrade"))) {
    return refuse({
      status: 426,
      name: "upgrade-required",
      title: "Upgrade required",
      detail: "/v1/connect speaks WebSocket: send Connection: Upgrade and Upgrade: websocket",
      rule: "frame.route",
      headers: { upgrade: "websocket", connection: "Upgrade" },
    });
  }
  const refused = refuseOrigin(headers.get("origin"), headers.get("host"), options.origin);
  if (refused !== undefined) {
    return refuse({
      status: 403,
      name: "origin-refused",
      title: "Origin refused",
      detail: refused,
      rule: "frame.origin",
    });
  }
  if (options.full?.() === true) {
    return refuse({
      status: 503,
      name: "no-slots",
      title: "No slots",
      detail: "this node has as many conduits as it can hold",
      headers: { "retry-after": "5" },
    });
  }
  const offered = headers.get("sec-websocket-protocol");
  const subprotocol = chooseSubprotocol(offered);
  if (subprotocol === null) {
    return refuse({
      status: 400,
      name: "unknown-subprotocol",
      title: "Unknown subprotocol",
      detail: "offer holdfast.v1.msgpack or holdfast.v1.json in Sec-WebSocket-Protocol, or none for JSON",
      rule: "frame.route",
    });
  }
  const remote = connection?.remoteAddr?.hostname;
  // Once it is upgraded, the request cannot be read any more.
  const peer: ConduitPeer = {
    address: remote === undefined
      ? null
      : clientAddress(remote, headers, options.trustedProxies ?? { kind: "none" }),
    credentials: bearerOf(headers.get("authorization")) ?? options.operator?.(request),
  };
  let upgraded;
  try {
    upgraded = options.upgrade(request, {
      idleTimeout: PLATFORM_IDLE_TIMEOUT,
      subprotocol,
      named: offered !== null,
    });
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    return refuse({
      status: 400,
      name: "malformed-upgrade",
      title: "Malformed upgrade",
      detail: "the request lacks Connection: Upgrade, Sec-WebSocket-Key or Sec-WebSocket-Version: 13",
      rule: "frame.route",
    });
  }
  // The platform takes only the list separator ", "; so the answer is set here and not by it.
  if (offered !== null) upgraded.response.headers.set("Sec-WebSocket-Protocol", subprotocol);
  options.onSocket(upgraded.socket, subprotocol, peer);
  return upgraded.response;
}

/** The header is a list of protocols, and their names have no case (RFC 9110, 7.8). */
function isWebSocketUpgrade(header: string | null): boolean {
  return (header ?? "").split(",").some((protocol) => protocol.trim().toLowerCase() === "websocket");
}
