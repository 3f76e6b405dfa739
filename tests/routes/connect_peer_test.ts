/** What the connect route tells of a peer, and when it makes no more conduits. */

import assert from "node:assert/strict";
import { connect, type Connection, type ConnectOptions } from "../../routes/connect.ts";
import { parseNetworks } from "../../src/access/client_address.ts";
import type { ConduitPeer } from "../../src/conduit/conduit.ts";
import { UPGRADE_HEADERS } from "../support/raw_http.ts";

/** Answers one upgrade request and gives what was told of its peer. */
async function told(
  headers: { readonly [name: string]: string },
  connection: Connection | undefined,
  options: Partial<ConnectOptions<null>> = {},
): Promise<
  { readonly status: number; readonly retryAfter: string | null; readonly peers: readonly ConduitPeer[] }
> {
  const peers: ConduitPeer[] = [];
  const routes = connect<null>({
    // A response cannot be made with 101; the route only passes it on.
    upgrade: () => ({ socket: null, response: new Response(null) }),
    origin: { loopback: true, allowed: [] },
    onSocket: (_socket, _subprotocol, peer) => peers.push(peer),
    ...options,
  });
  const request = new Request("http://localhost/v1/connect", {
    headers: { ...UPGRADE_HEADERS, host: "localhost", ...headers },
  });
  const { status, headers: answered } = await routes.fetch(request, connection);
  return { status, retryAfter: answered.get("retry-after"), peers };
}

const FROM = { remoteAddr: { hostname: "203.0.113.7" } };

Deno.test("a conduit is told its address and the bearer token of its upgrade", async () => {
  const { peers } = await told({ authorization: "Bearer a.b.c" }, FROM);
  assert.deepEqual(peers, [{ address: "203.0.113.7", credentials: "a.b.c" }]);
});

Deno.test("without a header, or with one of another scheme, there are no credentials", async () => {
  for (const headers of [{}, { authorization: "Basic YTpi" }, { authorization: "Bearer" }]) {
    assert.equal((await told(headers, FROM)).peers[0]?.credentials, undefined);
  }
});

Deno.test("this machine, and a request that came over no network, have no address to be limited by", async () => {
  const local = { remoteAddr: { hostname: "127.0.0.1" } };
  for (const connection of [local, {}, undefined]) {
    assert.equal((await told({}, connection)).peers[0]?.address, null);
  }
});

Deno.test("a proxy's word about the address counts only where it is trusted", async () => {
  const headers = { "x-forwarded-for": "198.51.100.1" };
  assert.equal((await told(headers, FROM)).peers[0]?.address, "203.0.113.7");
  const trustedProxies = { kind: "networks", networks: parseNetworks(["203.0.113.0/24"])! } as const;
  assert.equal((await told(headers, FROM, { trustedProxies })).peers[0]?.address, "198.51.100.1");
});

Deno.test("a node that has all the conduits it can hold answers 503 and upgrades nothing", async () => {
  const upgrade = () => assert.fail("it was upgraded");
  const { status, retryAfter, peers } = await told({}, FROM, { full: () => true, upgrade });
  assert.deepEqual({ status, retryAfter, peers }, { status: 503, retryAfter: "5", peers: [] });
});
