import assert from "node:assert/strict";
import { Socket } from "node:net";
import type { Dial } from "../../src/client/options.ts";
import { dialWebSocket, socketUrl } from "../../src/client/web_socket_dialer.ts";
import { dialWs } from "../../src/client/ws_dialer.ts";
import type { Conduit } from "../../src/conduit/conduit.ts";
import type { Frame } from "../../src/protocol/codec.ts";

const DIALS: readonly (readonly [string, Dial])[] = [["the platform's", dialWebSocket], ["npm ws", dialWs]];

/** One dialled conduit and everything it told. */
function dialled(dial: Dial, url: string) {
  const opened = Promise.withResolvers<void>();
  const closed = Promise.withResolvers<{ code: number; reason: string }>();
  const frames: Frame[] = [];
  const arrived: (() => void)[] = [];
  let closings = 0;
  const conduit: Conduit = dial(url, ["holdfast.v1.msgpack"], {
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

for (const [name, dial] of DIALS) {
  Deno.test(`${name} socket: frames go both ways as they are, and a close is told once with its code and reason`, async () => {
    await serving(async (url) => {
      const { conduit, opened, closed, received, closings } = dialled(dial, url);
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

  Deno.test(`${name} socket: closing works with any code and any reason`, async () => {
    // To what a page may not say, the platform's own gives another code.
    const seen = dial === dialWebSocket ? 1000 : 1009;
    for (const [code, told] of [[4500, 4500], [1009, seen], [1000, 1000], [1006, 1000]] as const) {
      const far = Promise.withResolvers<number>();
      await serving(async (url) => {
        const { conduit, opened, closed } = dialled(dial, url);
        await opened;
        conduit.close(code, "ü".repeat(500));
        assert.equal(await far.promise, told);
        await closed;
      }, (socket) => socket.onclose = (event) => far.resolve(event.code));
    }
  });

  Deno.test(`${name} socket: a conduit that cannot be had is closed with 1006, once, and nothing throws`, async () => {
    const refusal = new Response("no", { status: 426 });
    await serving(
      async (url) => assert.equal((await dialled(dial, url).closed).code, 1006),
      undefined,
      refusal,
    );
    assert.equal((await dialled(dial, "no url at all").closed).code, 1006);
    const listener = Deno.listen({ port: 0, hostname: "127.0.0.1" });
    const { port } = listener.addr as Deno.NetAddr;
    listener.close();
    const nobody = dialled(dial, `ws://127.0.0.1:${port}/`);
    assert.equal((await nobody.closed).code, 1006);
    assert.equal(nobody.closings(), 1);
  });

  Deno.test(`${name} socket: closed before it opened, it is gone without having been there`, async () => {
    await serving(async (url) => {
      const { conduit, opened, closed, closings } = dialled(dial, url);
      conduit.close(1000, "changed my mind");
      assert.equal((await closed).code, 1006);
      assert.equal(closings(), 1);
      assert.equal(await Promise.race([opened.then(() => "open"), Promise.resolve("not open")]), "not open");
    });
  });

  Deno.test(`${name} socket: a throw of its handler is reported, and the conduit goes on`, async () => {
    const reported: string[] = [];
    const listen = (event: ErrorEvent) => {
      event.preventDefault();
      reported.push(event.error.message);
    };
    globalThis.addEventListener("error", listen);
    try {
      await serving(async (url) => {
        const told = Promise.withResolvers<Frame>();
        let frames = 0;
        const closed = Promise.withResolvers<void>();
        const conduit = dial(url, ["holdfast.v1.msgpack"], {
          onOpen: () => {
            conduit.send("first");
            conduit.send("second");
            throw new Error("on opening");
          },
          onFrame: (frame) => {
            if (++frames === 1) throw new Error("on the first frame");
            told.resolve(frame);
          },
          onClose: () => closed.resolve(),
        });
        assert.equal(await told.promise, "second");
        assert.deepEqual(reported, ["on opening", "on the first frame"]);
        conduit.close(1000, "");
        await closed.promise;
      }, (socket) => socket.onmessage = ({ data }) => socket.send(data));
    } finally {
      globalThis.removeEventListener("error", listen);
    }
  });
}

Deno.test("npm ws: what is said second does not wait for an ack of what was said first (RFC 896 is off)", async () => {
  const told: unknown[] = [];
  const { setNoDelay } = Socket.prototype;
  Socket.prototype.setNoDelay = function (noDelay = true) {
    told.push(noDelay);
    return setNoDelay.call(this, noDelay);
  };
  try {
    await serving(async (url) => {
      const { conduit, opened, closed } = dialled(dialWs, url);
      await opened;
      assert.equal(told.at(-1), true);
      conduit.close(1000, "");
      await closed;
    });
  } finally {
    Socket.prototype.setNoDelay = setNoDelay;
  }
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
