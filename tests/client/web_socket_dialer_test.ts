import assert from "node:assert/strict";
import { dialWebSocket, socketUrl } from "../../src/client/web_socket_dialer.ts";
import type { Conduit } from "../../src/conduit/conduit.ts";
import type { Frame } from "../../src/protocol/codec.ts";

/** One dialled conduit and everything it told. */
function dialled(url: string) {
  const opened = Promise.withResolvers<void>();
  const closed = Promise.withResolvers<{ code: number; reason: string }>();
  const frames: Frame[] = [];
  const arrived: (() => void)[] = [];
  let closings = 0;
  const conduit: Conduit = dialWebSocket(url, ["holdfast.v1.msgpack"], {
    onOpen: () => opened.resolve(),
    onFrame: (frame) => {
      frames.push(frame);
      for (const wake of arrived.splice(0)) wake();
    },
    onClose: (code, reason) => {
      closings++;
      closed.resolve({ code, reason });
    },
  });
  const received = async (count: number) => {
    while (frames.length < count) await new Promise<void>((wake) => void arrived.push(wake));
    return frames;
  };
  return { conduit, opened: opened.promise, closed: closed.promise, received, closings: () => closings };
}

/** A server that does with each socket what it is told. */
async function serving(
  use: (url: string) => Promise<void>,
  socket: (socket: WebSocket) => void = () => {},
  refuse?: Response,
): Promise<void> {
  const server = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen() {} }, (request) => {
    if (refuse !== undefined) return refuse;
    const upgraded = Deno.upgradeWebSocket(request, { protocol: "holdfast.v1.msgpack" });
    upgraded.socket.binaryType = "arraybuffer";
    socket(upgraded.socket);
    return upgraded.response;
  });
  try {
    await use(`ws://127.0.0.1:${server.addr.port}/v1/connect`);
  } finally {
    await server.shutdown();
  }
}

Deno.test("frames go both ways as they are, and a close is told once with its code and reason", async () => {
  await serving(async (url) => {
    const { conduit, opened, closed, received, closings } = dialled(url);
    conduit.send("too early, and dropped");
    await opened;
    conduit.send(new Uint8Array([1, 2, 3]));
    conduit.send("text");
    assert.deepEqual(await received(2), [new Uint8Array([1, 2, 3]), "text"]);
    conduit.send("end");
    assert.deepEqual(await closed, { code: 4510, reason: "superseded" });
    conduit.send("too late, and dropped");
    conduit.close(1000, "");
    assert.equal(closings(), 1);
    assert.equal(conduit.bufferedBytes, 0);
  }, (socket) => {
    socket.onmessage = ({ data }) => data === "end" ? socket.close(4510, "superseded") : socket.send(data);
  });
});

Deno.test("closing works with any code and any reason: what a page may not say becomes a break", async () => {
  for (const [code, seen] of [[4500, 4500], [1009, 1000], [1000, 1000]] as const) {
    const far = Promise.withResolvers<number>();
    await serving(async (url) => {
      const { conduit, opened, closed } = dialled(url);
      await opened;
      conduit.close(code, "ü".repeat(500));
      assert.equal(await far.promise, seen);
      await closed;
    }, (socket) => socket.onclose = (event) => far.resolve(event.code));
  }
});

Deno.test("a conduit that cannot be had is closed with 1006, once, and nothing throws", async () => {
  const refusal = new Response("no", { status: 426 });
  await serving(async (url) => assert.equal((await dialled(url).closed).code, 1006), undefined, refusal);
  assert.equal((await dialled("no url at all").closed).code, 1006);
  const listener = Deno.listen({ port: 0, hostname: "127.0.0.1" });
  const { port } = listener.addr as Deno.NetAddr;
  listener.close();
  const nobody = dialled(`ws://127.0.0.1:${port}/`);
  assert.equal((await nobody.closed).code, 1006);
  assert.equal(nobody.closings(), 1);
});

// @rule frame.route
Deno.test("the socket's url: http becomes ws, a missing path is /v1/connect, a query stays", () => {
  assert.equal(socketUrl("http://localhost:8080"), "ws://localhost:8080/v1/connect");
  assert.equal(socketUrl("https://edge.test/"), "wss://edge.test/v1/connect");
  assert.equal(socketUrl("wss://edge.test/other?region=fra"), "wss://edge.test/other?region=fra");
  assert.throws(() => socketUrl("ftp://edge.test"), TypeError);
  assert.throws(() => socketUrl("ws://user:secret@edge.test"), TypeError);
  assert.throws(() => socketUrl("nonsense"), TypeError);
});
