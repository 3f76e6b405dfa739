/** The connect route over real sockets, where the platform itself has a say. */

import assert from "node:assert/strict";
import { once } from "node:events";
import { Hono } from "hono";
import { WebSocket as PeerSocket } from "ws";
import { app } from "../../routes/app.ts";
import { MemorySessionStore } from "../../src/storage/memory_session_store.ts";
import { FakeClock } from "../support/fake_clock.ts";
import { TestLog } from "../support/test_log.ts";

/** Serves the routes with a session layer that echoes, while `run` runs. */
async function serving(run: (port: number) => Promise<void>): Promise<void> {
  const log = new TestLog();
  const routes = app({
    connect: {
      upgrade: (request, options) => Deno.upgradeWebSocket(request, options),
      origin: { loopback: true, allowed: [] },
      onSocket: (socket) => socket.addEventListener("message", ({ data }) => socket.send(data)),
    },
    health: {
      store: new MemorySessionStore({ clock: new FakeClock() }),
      clock: new FakeClock(),
      log,
      draining: () => false,
    },
    pages: new Hono(),
    log,
  });
  const server = Deno.serve(
    { port: 0, hostname: "127.0.0.1", onListen() {} },
    (request) => routes.fetch(request),
  );
  try {
    await run(server.addr.port);
  } finally {
    await server.shutdown();
  }
  log.verify();
}

/** Sends a request as raw bytes and reads the head of the answer. */
async function head(port: number, headers: readonly string[]): Promise<string> {
  const connection = await Deno.connect({ port, hostname: "127.0.0.1" });
  try {
    const request = ["GET /v1/connect HTTP/1.1", `Host: 127.0.0.1:${port}`, ...headers, "", ""].join("\r\n");
    await connection.write(new TextEncoder().encode(request));
    const buffer = new Uint8Array(4096);
    const length = await connection.read(buffer) ?? 0;
    return new TextDecoder().decode(buffer.subarray(0, length)).toLowerCase();
  } finally {
    connection.close();
  }
}

const KEY = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==";
const VERSION = "Sec-WebSocket-Version: 13";

Deno.test("an upgrade written in capitals, with subprotocols listed without a space, is taken", () =>
  serving(async (port) => {
    const answer = await head(port, [
      "Connection: Upgrade",
      "Upgrade: WebSocket",
      "Sec-WebSocket-Protocol: other,holdfast.v1.msgpack",
      KEY,
      VERSION,
    ]);
    assert.match(answer, /^http\/1\.1 101 /);
    assert.deepEqual(answer.match(/^sec-websocket-protocol: .*$/gm), [
      "sec-websocket-protocol: holdfast.v1.msgpack",
    ]);
  }));

Deno.test("a Node client and the platform's client agree with the server on the subprotocol", () =>
  serving(async (port) => {
    const url = `ws://127.0.0.1:${port}/v1/connect`;
    const node = new PeerSocket(url, ["holdfast.v1.json"]);
    await once(node, "open");
    assert.equal(node.protocol, "holdfast.v1.json");
    node.send("hello");
    assert.equal(String((await once(node, "message"))[0]), "hello");
    node.close();
    await once(node, "close");

    const own = new WebSocket(url, ["holdfast.v1.msgpack", "holdfast.v1.json"]);
    await once(own, "open");
    assert.equal(own.protocol, "holdfast.v1.msgpack");
    own.close();
    await once(own, "close");
  }));

Deno.test("an upgrade that lacks its key is refused with 400", () =>
  serving(async (port) => {
    assert.match(
      await head(port, ["Connection: Upgrade", "Upgrade: websocket", VERSION]),
      /^http\/1\.1 400 /,
    );
  }));

Deno.test("a refused upgrade leaves the server serving", () =>
  serving(async (port) => {
    assert.match(await head(port, ["Connection: close"]), /^http\/1\.1 426 /);
    const answer = await fetch(`http://127.0.0.1:${port}/healthz`);
    assert.deepEqual([answer.status, await answer.json()], [200, { status: "ok" }]);
  }));
