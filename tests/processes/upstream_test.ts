/** Upstreams behind a real server: good ones through cuts and kills, and bad ones of every kind. */

import assert from "node:assert/strict";
import { HoldfastSocket } from "../../src/client/holdfast_socket.ts";
import { connect, type HoldfastError, type Session } from "../../src/client/mod.ts";
import { CutSession } from "../support/cut_session.ts";
import { RawUpstream } from "../support/raw_upstream.ts";
import { ServerProcess } from "../support/server_process.ts";
import { type LibrarySocket, UpstreamServer } from "../support/upstream_server.ts";

const MIB = 1024 * 1024;

/** A standard socket to an upstream, with what happens to it. */
class Watched {
  readonly socket: WebSocket;
  readonly messages: string[] = [];
  readonly opened: Promise<void>;
  readonly closed: Promise<CloseEvent>;
  #wanted: { readonly count: number; readonly resolve: () => void } | null = null;

  constructor(session: Session, name: string) {
    const Socket = HoldfastSocket.over(session, `upstream:${name}`);
    this.socket = new Socket("ws://any.example/") as unknown as WebSocket;
    this.opened = new Promise((resolve) => this.socket.addEventListener("open", () => resolve()));
    this.closed = new Promise((resolve) => this.socket.addEventListener("close", (event) => resolve(event)));
    this.socket.addEventListener("message", ({ data }) => {
      this.messages.push(String(data));
      if (this.#wanted !== null && this.messages.length >= this.#wanted.count) this.#wanted.resolve();
    });
  }

  /** Resolves when so many messages came. */
  count(count: number): Promise<void> {
    if (this.messages.length >= count) return Promise.resolve();
    return new Promise((resolve) => this.#wanted = { count, resolve });
  }
}

function echoing(socket: LibrarySocket): void {
  socket.on("message", (data, isBinary) => socket.send(isBinary ? data : data.toString()));
}

Deno.test("an upstream sees one steady socket through cuts, and is told of a client that closes", async () => {
  await using upstream = await UpstreamServer.listen({ onSocket: echoing });
  const server = await ServerProcess.start({ HOLDFAST_UPSTREAMS: `echo=${upstream.url}` });
  try {
    await using line = await CutSession.with(server);
    const it = new Watched(line.session, "echo");
    await it.opened;
    for (let n = 0; n < 20; n++) {
      it.socket.send(`message ${n}`);
      if (n % 4 === 3) await line.cut();
    }
    await it.count(20);
    assert.deepEqual(it.messages, Array.from({ length: 20 }, (_, n) => `message ${n}`));
    assert.equal(upstream.peers.length, 1);
    it.socket.close(4001, "enough");
    assert.equal((await it.closed).code, 4001);
    await upstream.until("the close reached it", () => upstream.peer.closed !== null);
    assert.deepEqual(upstream.peer.closed, { code: 4001, reason: "enough" });
  } finally {
    await server.dispose();
  }
});

Deno.test("when the node is killed the connection ends with upstream-lost and is never silently reopened; the session goes on", async () => {
  await using upstream = await UpstreamServer.listen({ onSocket: echoing });
  const server = await ServerProcess.start({ HOLDFAST_UPSTREAMS: `echo=${upstream.url}` });
  try {
    await using line = await CutSession.with(server);
    const it = new Watched(line.session, "echo");
    await it.opened;
    it.socket.send("before");
    await it.count(1);
    await server.kill();
    await server.restart();
    const { code, reason, wasClean } = await it.closed;
    assert.deepEqual([code, reason, wasClean], [1006, "upstream-lost", false]);
    assert.equal(upstream.peers.length, 1);
    const again = new Watched(line.session, "echo");
    await again.opened;
    again.socket.send("after");
    await again.count(1);
    assert.equal(upstream.peers.length, 2);
    again.socket.close();
    await again.closed;
  } finally {
    await server.dispose();
  }
});

Deno.test("upstreams that refuse, answer nonsense, never answer, reset or are not configured: a clear error each, nothing left", async () => {
  const unused = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = unused.addr as Deno.NetAddr;
  unused.close();
  await using silent = await RawUpstream.listen();
  await using nonsense = await RawUpstream.listen((socket) =>
    void socket.end("HTTP/1.1 404 Not Found\r\n\r\n")
  );
  await using resets = await UpstreamServer.listen({
    onSocket: (socket) => socket._socket.resetAndDestroy(),
  });
  const server = await ServerProcess.start({
    HOLDFAST_UPSTREAMS:
      `refuses=ws://127.0.0.1:${port}/,silent=${silent.url},nonsense=${nonsense.url},resets=${resets.url}`,
    HOLDFAST_UPSTREAM_TIMEOUT: "500ms",
  });
  try {
    const session = connect(server.url);
    const reasonOf = async (service: string): Promise<string> => {
      const connection = session.open(service);
      return await connection.opened.then(
        async () => (await connection.closed).reason,
        (error: HoldfastError) => error.reason,
      );
    };
    assert.deepEqual(
      await Promise.all(
        ["refuses", "silent", "nonsense", "resets", "nobody"].map((name) => reasonOf(`upstream:${name}`)),
      ),
      ["upstream-refused", "upstream-timeout", "upstream-refused", "upstream-closed", "unknown-service"],
    );
    await silent.until("the silent upstream's socket is closed", () => silent.open === 0);
    // The session lives.
    const echo = session.open("echo");
    await echo.send("alive");
    for await (const value of echo) {
      assert.equal(value, "alive");
      break;
    }
    assert.deepEqual(session.connections.map(({ service }) => service), ["echo"]);
    await session.close();
  } finally {
    await server.dispose();
  }
});

Deno.test("an upstream that floods a client which does not read is not read either: memory stays, and nothing is lost", async () => {
  const CHUNK = "x".repeat(32 * 1024);
  const CHUNKS = 2_000;
  await using upstream = await UpstreamServer.listen({
    onSocket: (socket) => {
      for (let n = 0; n < CHUNKS; n++) socket.send(`${n} ${CHUNK}`);
    },
  });
  const server = await ServerProcess.start({ HOLDFAST_UPSTREAMS: `flood=${upstream.url}` });
  try {
    const session = connect(server.url, { durability: "ephemeral" });
    const flood = session.open("upstream:flood", { messageCredit: 16 });
    const others = session.open("echo");
    await flood.opened;
    const before = await server.residentBytes();
    let most = 0;
    for (let n = 0; n < 40; n++) {
      await others.send(n);
      for await (const value of others) {
        assert.equal(value, n);
        break;
      }
      most = Math.max(most, await server.residentBytes());
    }
    assert.ok(upstream.peer.socket.bufferedAmount > 16 * MIB, "the upstream could send on");
    assert.ok(most - before < 16 * MIB, `${(most - before) / MIB} MiB more`);
    let next = 0;
    for await (const value of flood) {
      assert.ok(String(value).startsWith(`${next} x`), `${String(value).slice(0, 10)} for ${next}`);
      if (++next === CHUNKS) break;
    }
    console.log(JSON.stringify({ chunks: next, grew: Math.round((most - before) / MIB * 10) / 10 }));
    await session.close();
  } finally {
    await server.dispose();
  }
});
