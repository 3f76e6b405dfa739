import assert from "node:assert/strict";
import { once } from "node:events";
import type { Buffer } from "node:buffer";
import { WebSocket as PeerSocket } from "ws";
import {
  BACKLOG_LOOK_MS,
  CLOSE_WAIT_MS,
  WebSocketConduit,
  type WebSocketConduitContext,
} from "../../src/conduit/websocket_conduit.ts";
import type { Conduit } from "../../src/conduit/conduit.ts";
import { CountedMetrics } from "../../src/observe/counted_metrics.ts";
import { NO_METRICS } from "../../src/observe/metrics.ts";
import type { Subprotocol } from "../../src/protocol/codec.ts";
import { Tally } from "../../src/conduit/tally.ts";
import { type Bench, conduitContract } from "../contracts/conduit_contract.ts";
import { counted } from "../support/counted.ts";
import { FakeClock, settle } from "../support/fake_clock.ts";
import { RecordingHandler } from "../support/recording_handler.ts";
import { TestLog } from "../support/test_log.ts";

const FRAME_BYTES = 64 * 1024;

/** The socket under a `ws` client; pausing it is what a laptop that sleeps looks like. */
interface Pausable {
  readonly _socket: { pause(): void; resume(): void };
}

interface SocketBench extends Bench {
  readonly clock: FakeClock;
  readonly log: TestLog;
  readonly metrics: CountedMetrics;
  readonly socket: PeerSocket;
}

async function openBench(
  subprotocol: Subprotocol = "holdfast.v1.msgpack",
  context: Partial<WebSocketConduitContext> = {},
): Promise<SocketBench> {
  const clock = new FakeClock();
  const log = new TestLog();
  const metrics = new CountedMetrics();
  const handler = new RecordingHandler();
  const open = new Tally();
  const accepted = Promise.withResolvers<Conduit>();
  const server = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen() {} }, (request) => {
    const { socket, response } = Deno.upgradeWebSocket(request, { idleTimeout: 0 });
    new WebSocketConduit(socket, subprotocol, {
      clock,
      log,
      metrics,
      open,
      frameBytes: FRAME_BYTES,
      bufferedBytes: 4 * FRAME_BYTES,
      accept(conduit) {
        accepted.resolve(conduit);
        return handler;
      },
      ...context,
    });
    return response;
  });
  assert.equal(open.count, 0);
  const socket = new PeerSocket(`ws://127.0.0.1:${server.addr.port}/`);
  const far = new RecordingHandler();
  socket.on("message", (data: Buffer, binary: boolean) => {
    void far.onFrame(binary ? Uint8Array.from(data) : data.toString());
  });
  const ended = new Promise<void>((resolve) => {
    socket.on("close", (code: number, reason: Buffer) => {
      far.onClose(code, reason.toString());
      resolve();
    });
  });
  await once(socket, "open");
  const conduit = await accepted.promise;
  return {
    conduit,
    handler,
    clock,
    log,
    metrics,
    socket,
    peer: {
      send: (frame) => socket.send(frame),
      close: (code, reason) => socket.close(code, reason),
      break: () => socket.terminate(),
      stall: () => (socket as unknown as Pausable)._socket.pause(),
      received: (count) => far.received(count),
      closed: () => far.closed(),
    },
    handlerErrors: () => log.of("conduit_handler_threw").length,
    passCloseWait: () => clock.advance(CLOSE_WAIT_MS),
    quiet: () => settle(),
    async dispose() {
      socket.terminate();
      await ended;
      await server.shutdown();
      if (handler.closings.length === 0) await handler.closed();
      await open.whenNone();
      assert.equal(clock.pending, 0, "a timer is left");
    },
  };
}

conduitContract("websocket conduit", () => openBench());

async function withBench(
  run: (bench: SocketBench) => Promise<void>,
  subprotocol?: Subprotocol,
  context?: Partial<WebSocketConduitContext>,
): Promise<void> {
  const bench = await openBench(subprotocol, context);
  try {
    await run(bench);
  } finally {
    await bench.dispose();
  }
}

// @rule frame.cost
Deno.test("a frame of exactly the limit is delivered", () =>
  withBench(async ({ peer, handler }) => {
    peer.send(new Uint8Array(FRAME_BYTES));
    assert.equal((await handler.received(1))[0]?.length, FRAME_BYTES);
  }));

// @rule frame.cost
Deno.test("a frame over the limit closes with 1009, and neither it nor what follows is delivered", () =>
  withBench(async ({ peer, handler, metrics }) => {
    peer.send(new Uint8Array(FRAME_BYTES + 1));
    peer.send("next");
    assert.equal((await peer.closed()).code, 1009);
    await handler.closed();
    assert.deepEqual(handler.frames, []);
    assert.deepEqual(counted(metrics.conduitsClosedBy), { "frame-too-big": 1 });
  }));

// @rule frame.cost
Deno.test("the limit of a JSON frame is six times that and counts bytes, not characters", () =>
  withBench(async ({ peer, handler }) => {
    const limit = 6 * FRAME_BYTES + 1024;
    peer.send("x".repeat(limit));
    peer.send("é".repeat(limit / 2));
    peer.send("€".repeat(Math.floor(limit / 3)));
    peer.send("🌍".repeat(limit / 4));
    await handler.received(4);
    peer.send(`${"🌍".repeat(limit / 4)}x`);
    assert.equal((await peer.closed()).code, 1009);
    await handler.closed();
    assert.equal(handler.frames.length, 4);
  }, "holdfast.v1.json"));

for (const burst of [1, 20, 2_000]) {
  Deno.test(`the close code reaches a peer that had ${burst} frames under way`, () =>
    withBench(async ({ conduit, peer, handler }) => {
      handler.behave = () => conduit.close(4510, "superseded");
      for (let at = 0; at <= burst; at++) peer.send(new Uint8Array(100));
      assert.deepEqual(await peer.closed(), { code: 4510, reason: "superseded" });
      await handler.closed();
      assert.equal(handler.frames.length, 1);
    }));
}

Deno.test("a peer that does not read is closed as a slow consumer while it is above the cap", () =>
  withBench(async ({ conduit, peer, handler, clock, log, metrics }) => {
    peer.stall();
    // The kernel's own buffers take the first megabytes.
    const frame = new Uint8Array(FRAME_BYTES);
    for (let sent = 0; conduit.bufferedBytes <= 4 * FRAME_BYTES; sent++) {
      assert.ok(sent < 10_000, "the backlog never grew");
      conduit.send(frame);
      await settle();
    }
    assert.equal(clock.pending, 1);
    await clock.advance(BACKLOG_LOOK_MS);
    assert.equal(log.of("slow_consumer").length, 1);
    assert.deepEqual(counted(metrics.conduitsClosedBy), { "slow-consumer": 1 });
    await clock.advance(CLOSE_WAIT_MS);
    assert.equal((await handler.closed()).code, 1006);
  }));

Deno.test("a backlog that drains costs nothing and leaves no timer", () =>
  withBench(async ({ conduit, peer, clock }) => {
    for (let at = 0; at < 3; at++) conduit.send(new Uint8Array(FRAME_BYTES));
    await peer.received(3);
    await settle();
    await clock.advance(BACKLOG_LOOK_MS);
    assert.equal(clock.pending, 0);
    assert.equal(conduit.bufferedBytes, 0);
  }));

Deno.test("a throw while a conduit is accepted closes it with 1011 and spares the process", async () => {
  const log = new TestLog();
  const open = new Tally();
  const server = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen() {} }, (request) => {
    const { socket, response } = Deno.upgradeWebSocket(request, { idleTimeout: 0 });
    new WebSocketConduit(socket, "holdfast.v1.json", {
      clock: new FakeClock(),
      log,
      metrics: NO_METRICS,
      open,
      frameBytes: FRAME_BYTES,
      bufferedBytes: FRAME_BYTES,
      accept() {
        throw new Error("no room");
      },
    });
    return response;
  });
  const socket = new PeerSocket(`ws://127.0.0.1:${server.addr.port}/`);
  const [code] = await once(socket, "close");
  assert.equal(code, 1011);
  await open.whenNone();
  log.expectError("conduit_handler_threw");
  log.verify();
  await server.shutdown();
});

Deno.test("an error line of a conduit names neither frame nor token", () =>
  withBench(async ({ peer, handler, log }) => {
    handler.behave = () => {
      throw new Error("broken");
    };
    peer.send("secret-token");
    await handler.closed();
    assert.ok(!JSON.stringify(log.lines).includes("secret-token"));
  }));

Deno.test("a tally is waited for until everything that was added is removed, and never drifts below", async () => {
  const tally = new Tally();
  await tally.whenNone();
  tally.add();
  tally.add();
  let none = false;
  const waited = tally.whenNone().then(() => none = true);
  tally.remove();
  await settle();
  assert.equal(none, false);
  tally.remove();
  await waited;
  assert.throws(() => tally.remove(), RangeError);
});
