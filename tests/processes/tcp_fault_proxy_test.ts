/** The fault proxy does what it says: a storm that breaks nothing would prove nothing. */

import assert from "node:assert/strict";
import { connect, createServer, type Server, type Socket } from "node:net";
import type { AddressInfo } from "node:net";
import { type Link, TcpFaultProxy } from "../support/tcp_fault_proxy.ts";

/** A client and an echo server with the proxy between them. */
interface Rig {
  readonly proxy: TcpFaultProxy;
  readonly link: Link;
  readonly client: Peer;
  readonly server: Peer;
}

/** One end of the rig: what it received, and how it ended. */
class Peer {
  readonly socket: Socket;
  received = "";
  ended = false;
  error: string | null = null;
  readonly #waiters = new Set<() => void>();

  constructor(socket: Socket) {
    this.socket = socket;
    socket.on("data", (piece: Uint8Array) => {
      this.received += new TextDecoder().decode(piece);
      this.#wake();
    });
    socket.on("end", () => {
      this.ended = true;
      this.#wake();
    });
    socket.on("error", (error: Error & { readonly code?: string }) => {
      this.error = error.code ?? error.message;
      this.#wake();
    });
  }

  async until(test: (peer: Peer) => boolean): Promise<void> {
    while (!test(this)) {
      await new Promise<void>((resolve, reject) => {
        const wake = () => {
          clearTimeout(timer);
          this.#waiters.delete(wake);
          resolve();
        };
        const timer = setTimeout(() => reject(new Error(`received ${JSON.stringify(this.received)}`)), 5_000);
        this.#waiters.add(wake);
      });
    }
  }

  #wake(): void {
    for (const wake of [...this.#waiters]) wake();
  }
}

async function withRig(run: (rig: Rig) => Promise<void>): Promise<void> {
  const accepted = Promise.withResolvers<Socket>();
  const listener: Server = createServer((socket) => accepted.resolve(socket));
  await new Promise<void>((resolve) => void listener.listen(0, "127.0.0.1", () => resolve()));
  const target = { hostname: "127.0.0.1", port: (listener.address() as AddressInfo).port };
  const proxy = await TcpFaultProxy.listen(target);
  const linked = Promise.withResolvers<Link>();
  proxy.onLink = linked.resolve;
  const client = new Peer(connect({ host: "127.0.0.1", port: proxy.port, allowHalfOpen: true }));
  const server = new Peer(await accepted.promise);
  try {
    await run({ proxy, link: await linked.promise, client, server });
  } finally {
    client.socket.destroy();
    server.socket.destroy();
    await proxy.close();
    await new Promise<void>((resolve) => void listener.close(() => resolve()));
  }
}

Deno.test("a link passes bytes and ends both ways until a fault is ordered", async () => {
  await withRig(async ({ client, server, link }) => {
    client.socket.write("question");
    await server.until((peer) => peer.received === "question");
    server.socket.write("answer");
    await client.until((peer) => peer.received === "answer");
    assert.deepEqual([link.bytes("up"), link.bytes("down")], [8, 6]);
    client.socket.end();
    await server.until((peer) => peer.ended);
  });
});

Deno.test("a cut by reset is seen as a reset by both ends, a cut by finish as an end", async () => {
  await withRig(async ({ client, server, link, proxy }) => {
    client.socket.write("x");
    await server.until((peer) => peer.received === "x");
    link.cut("reset");
    await client.until((peer) => peer.error === "ECONNRESET");
    await server.until((peer) => peer.error === "ECONNRESET");
    assert.equal(proxy.counts.reset, 1);
  });
  await withRig(async ({ client, server, link, proxy }) => {
    link.cut("finish");
    await client.until((peer) => peer.ended);
    await server.until((peer) => peer.ended);
    assert.equal(proxy.counts.finish, 1);
  });
});

Deno.test("a planned cut lets exactly that many bytes of its direction through", async () => {
  await withRig(async ({ client, server, link, proxy }) => {
    link.cutAfter("up", 7, "finish");
    client.socket.write("1234");
    await server.until((peer) => peer.received === "1234");
    client.socket.write("56789");
    await server.until((peer) => peer.ended);
    assert.equal(server.received, "1234567");
    assert.equal(proxy.counts.cutWithin, 1);
  });
});

Deno.test("a half-open link keeps both sockets and passes nothing, not even an end", async () => {
  await withRig(async ({ client, server, link, proxy }) => {
    link.swallow("up");
    client.socket.write("lost");
    server.socket.write("still heard");
    await client.until((peer) => peer.received === "still heard");
    client.socket.end();
    server.socket.write(", again");
    await client.until((peer) => peer.received === "still heard, again");
    assert.deepEqual([server.received, server.ended, server.error], ["", false, null]);
    assert.equal(proxy.counts.halfOpen, 1);
  });
});

Deno.test("a stalled link holds what comes and lets it all through afterwards, in order", async () => {
  await withRig(async ({ client, server, link, proxy }) => {
    link.stall(60);
    for (const piece of ["a", "b", "c"]) client.socket.write(piece);
    const before = performance.now();
    await server.until((peer) => peer.received === "abc");
    assert.ok(performance.now() - before >= 50);
    assert.equal(proxy.counts.stall, 1);
  });
});

Deno.test("a bytewise link passes so many bytes in pieces of one, and then whole pieces again", async () => {
  await withRig(async ({ client, server, link, proxy }) => {
    const sizes: number[] = [];
    server.socket.on("data", (piece: Uint8Array) => sizes.push(piece.length));
    link.bytewise(20);
    client.socket.write("abcdefghijklmnopqrstuvwxyz");
    await server.until((peer) => peer.received.length === 26);
    assert.equal(server.received, "abcdefghijklmnopqrstuvwxyz");
    // The kernel may join neighbours, but not all of them.
    assert.ok(sizes.length >= 8, `it came in pieces of ${sizes}`);
    assert.equal(proxy.counts.bytewise, 1);
  });
});

Deno.test("connections go to several targets by turns, and past one that does not listen", async () => {
  const accepted = [0, 0];
  const listeners = accepted.map((_, index) =>
    createServer((socket) => void (accepted[index]!++, socket.end()))
  );
  await Promise.all(listeners.map((each) => {
    return new Promise<void>((resolve) => void each.listen(0, "127.0.0.1", () => resolve()));
  }));
  const targets = listeners.map((each) => ({
    hostname: "127.0.0.1",
    port: (each.address() as AddressInfo).port,
  }));
  const proxy = await TcpFaultProxy.listen(...targets, { hostname: "127.0.0.1", port: 1 });
  for (let n = 0; n < 6; n++) {
    const client = new Peer(connect({ host: "127.0.0.1", port: proxy.port }));
    await client.until((peer) => peer.ended);
    client.socket.destroy();
  }
  // The third and the sixth found nobody at their turn and went on to the first.
  assert.deepEqual(accepted, [4, 2]);
  assert.equal(proxy.counts.unreachable, 0);
  await proxy.close();
  await Promise.all(
    listeners.map((each) => new Promise<void>((resolve) => void each.close(() => resolve()))),
  );
});

Deno.test("a target that does not listen resets the client", async () => {
  const proxy = await TcpFaultProxy.listen({ hostname: "127.0.0.1", port: 1 });
  const client = new Peer(connect({ host: "127.0.0.1", port: proxy.port }));
  await client.until((peer) => peer.error === "ECONNRESET" || peer.ended);
  assert.equal(proxy.counts.unreachable, 1);
  client.socket.destroy();
  await proxy.close();
});
