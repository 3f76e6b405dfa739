import assert from "node:assert/strict";
import { once } from "node:events";
import type { Buffer } from "node:buffer";
import { createServer } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import { WebSocket as PeerSocket } from "ws";
import type { Conduit } from "../../src/conduit/conduit.ts";
import { SilentClosings } from "../../src/conduit/silent_closings.ts";
import { BACKLOG_LOOK_MS, CLOSE_WAIT_MS } from "../../src/conduit/socket_conduit.ts";
import { FrameMeter } from "../../src/conduit/frame_meter.ts";
import { Tally } from "../../src/conduit/tally.ts";
import { FRAME_PATIENCE_MS, UnfinishedFrames } from "../../src/conduit/unfinished_frames.ts";
import { WsAcceptor } from "../../src/conduit/ws_acceptor.ts";
import { FIRST_FRAME_BYTES, WsConduit, type WsConduitContext } from "../../src/conduit/ws_conduit.ts";
import { CountedMetrics } from "../../src/observe/counted_metrics.ts";
import { NO_METRICS } from "../../src/observe/metrics.ts";
import type { Subprotocol } from "../../src/protocol/codec.ts";
import { type Bench, conduitContract } from "../contracts/conduit_contract.ts";
import { counted } from "../support/counted.ts";
import { FakeClock, settle } from "../support/fake_clock.ts";
import { RecordingHandler } from "../support/recording_handler.ts";
import { TestLog } from "../support/test_log.ts";

const FRAME_BYTES = 64 * 1024;

const AMPLE = { wait: 16 * FRAME_BYTES, most: 32 * FRAME_BYTES };

interface SocketBench extends Bench {
  readonly clock: FakeClock;
  readonly log: TestLog;
  readonly metrics: CountedMetrics;
  readonly unfinished: UnfinishedFrames;
  /** The TCP connection, for bytes that no library would send. */
  readonly line: Socket;
  /** The server's end of it is gone. */
  readonly lineClosed: Promise<void>;
}

async function openBench(
  subprotocol: Subprotocol = "holdfast.v1.msgpack",
  context: Partial<WsConduitContext> = {},
): Promise<SocketBench> {
  const clock = new FakeClock();
  const log = new TestLog();
  const metrics = new CountedMetrics();
  const handler = new RecordingHandler();
  const open = new Tally();
  const unfinished = context.unfinished ?? new UnfinishedFrames(AMPLE, clock, () => {});
  const accepted = Promise.withResolvers<Conduit>();
  const lineClosed = Promise.withResolvers<void>();
  const acceptor = new WsAcceptor(FRAME_BYTES);
  const server = createServer();
  server.on("upgrade", (request, line, head) => {
    line.once("close", lineClosed.resolve);
    const socket = acceptor.accept(request, line, head, subprotocol, false);
    new WsConduit(socket, subprotocol, {
      clock,
      log,
      metrics,
      open,
      unfinished,
      silent: new SilentClosings(() => {}),
      frameBytes: FRAME_BYTES,
      bufferedBytes: 4 * FRAME_BYTES,
      accept(conduit) {
        accepted.resolve(conduit);
        return handler;
      },
      ...context,
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const socket = new PeerSocket(`ws://127.0.0.1:${(server.address() as AddressInfo).port}/`);
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
  const line = (socket as unknown as { readonly _socket: Socket })._socket;
  return {
    conduit,
    handler,
    clock,
    log,
    metrics,
    unfinished,
    line,
    lineClosed: lineClosed.promise,
    peer: {
      send: (frame) => socket.send(frame),
      close: (code, reason) => socket.close(code, reason),
      break: () => socket.terminate(),
      stall: () => line.pause(),
      received: (count) => far.received(count),
      closed: () => far.closed(),
    },
    handlerErrors: () => log.of("conduit_handler_threw").length,
    passCloseWait: () => clock.advance(CLOSE_WAIT_MS),
    quiet: () => settle(),
    async dispose() {
      socket.terminate();
      await ended;
      // A conduit that reads no further hears of it when its wait is over.
      await clock.advance(CLOSE_WAIT_MS);
      if (handler.closings.length === 0) await handler.closed();
      await lineClosed.promise;
      server.close();
      await once(server, "close");
      await open.whenNone();
      assert.equal(clock.pending, 0, "a timer is left");
      assert.equal(unfinished.bytes, 0, "an unfinished frame is still counted");
    },
  };
}

conduitContract("ws conduit", () => openBench());

async function withBench(
  run: (bench: SocketBench) => Promise<void>,
  subprotocol?: Subprotocol,
  context?: Partial<WsConduitContext>,
): Promise<void> {
  const bench = await openBench(subprotocol, context);
  try {
    await run(bench);
  } finally {
    await bench.dispose();
  }
}

/** A fragment that is masked with zeros: what its bytes say is what was meant. */
function fragment(opcode: number, final: boolean, payload: Uint8Array): Uint8Array {
  const length = payload.byteLength;
  const size = length < 126 ? [length] : length < 65_536 ? [126, length >> 8, length & 0xff] : [
    127,
    0,
    0,
    0,
    0,
    ...new Uint8Array(new Uint32Array([length]).buffer).reverse(),
  ];
  const head = [(final ? 0x80 : 0) | opcode, 0x80 | size[0]!, ...size.slice(1), 0, 0, 0, 0];
  const bytes = new Uint8Array(head.length + length);
  bytes.set(head);
  bytes.set(payload, head.length);
  return bytes;
}

/** Writes, and waits until the server took all of it apart. */
async function write({ line, unfinished }: SocketBench, bytes: Uint8Array, counted: number): Promise<void> {
  line.write(bytes);
  for (let turn = 0; unfinished.bytes !== counted; turn++) {
    assert.ok(turn < 10_000, `${counted} bytes should be unfinished, not ${unfinished.bytes}`);
    await settle();
  }
}

// @rule frame.cost
Deno.test("hardened: a frame of exactly the limit is delivered, in one piece or in many", () =>
  withBench(async ({ peer, handler, line, unfinished }) => {
    peer.send(new Uint8Array(FRAME_BYTES));
    const half = new Uint8Array(FRAME_BYTES / 2).fill(7);
    line.write(fragment(2, false, half));
    line.write(fragment(0, true, half));
    const [first, second] = await handler.received(2);
    assert.equal(first?.length, FRAME_BYTES);
    assert.deepEqual(second, new Uint8Array(FRAME_BYTES).fill(7));
    await settle();
    assert.equal(unfinished.bytes, 0);
  }));

// @rule frame.cost
Deno.test("hardened: a frame over the limit closes with 1009, and neither it nor what follows is delivered", () =>
  withBench(async ({ peer, handler, log, metrics }) => {
    peer.send(new Uint8Array(FRAME_BYTES + 1));
    peer.send("next");
    assert.equal((await peer.closed()).code, 1009);
    await handler.closed();
    assert.deepEqual(handler.frames, []);
    assert.deepEqual(counted(metrics.conduitsClosedBy), { "frame-too-big": 1 });
    assert.equal(log.of("frame_too_big").length, 1);
  }));

// @rule frame.cost
Deno.test("hardened: fragments over the limit close with 1009 while their frame is still unfinished", () =>
  withBench(async ({ line, peer, handler }) => {
    line.write(fragment(2, false, new Uint8Array(FRAME_BYTES)));
    line.write(fragment(0, false, new Uint8Array(1)));
    assert.equal((await peer.closed()).code, 1009);
    await handler.closed();
    assert.deepEqual(handler.frames, []);
  }));

// @rule frame.cost
Deno.test("hardened: a frame is refused by its length, before its bytes come", () =>
  withBench(async ({ line, peer, handler }) => {
    line.write(Uint8Array.of(0x82, 0xff, 0, 0, 0, 1, 0, 0, 0, 0));
    assert.equal((await peer.closed()).code, 1009);
    await handler.closed();
  }));

// @rule frame.cost
Deno.test("hardened: the limit of a JSON frame is six times that and counts bytes, not characters", () =>
  withBench(async ({ peer, handler }) => {
    const limit = 6 * FRAME_BYTES + 1024;
    peer.send("first");
    peer.send("x".repeat(limit));
    peer.send("🌍".repeat(limit / 4));
    await handler.received(3);
    peer.send(`${"🌍".repeat(limit / 4)}x`);
    assert.equal((await peer.closed()).code, 1009);
    assert.equal(handler.frames.length, 3);
  }, "holdfast.v1.json"));

// @rule frame.cost
// @rule handshake.first
Deno.test("hardened: the first frame is refused above what a start can be, finished or not", async () => {
  const wide = { frameBytes: 16 * FRAME_BYTES };
  for (const final of [true, false]) {
    await withBench(
      async ({ line, peer, handler, metrics }) => {
        const piece = new Uint8Array(FIRST_FRAME_BYTES / 3 + 1);
        line.write(fragment(1, false, piece));
        line.write(fragment(0, false, piece));
        line.write(fragment(0, final, piece));
        assert.deepEqual(await peer.closed(), { code: 4600, reason: "malformed" });
        assert.deepEqual(handler.frames, []);
        assert.deepEqual(counted(metrics.conduitsClosedBy), { malformed: 1 });
      },
      "holdfast.v1.json",
      wide,
    );
  }
  await withBench(
    async ({ peer, handler }) => {
      peer.send("first");
      peer.send("x".repeat(FIRST_FRAME_BYTES + 1));
      await handler.received(2);
    },
    "holdfast.v1.json",
    wide,
  );
});

Deno.test("hardened: a message in more than 1,024 fragments ends its conduit", () =>
  withBench(async ({ line, peer, handler }) => {
    line.write(fragment(2, false, Uint8Array.of(1)));
    for (let at = 0; at < 1_024; at++) line.write(fragment(0, false, Uint8Array.of(1)));
    assert.equal((await peer.closed()).code, 1008);
    await handler.closed();
    assert.deepEqual(handler.frames, []);
  }));

for (
  const [what, bytes, code] of [
    ["an unmasked frame", Uint8Array.of(0x82, 0x01, 0x00), 1002],
    ["a reserved opcode", Uint8Array.of(0x83, 0x80, 0, 0, 0, 0), 1002],
    ["text that is no UTF-8", fragment(1, true, Uint8Array.of(0xff, 0xff)), 1007],
  ] as const
) {
  Deno.test(`hardened: ${what} closes with ${code}, without an error line`, () =>
    withBench(async ({ line, peer, handler, log, metrics }) => {
      line.write(bytes);
      assert.equal((await peer.closed()).code, code);
      await handler.closed();
      assert.deepEqual(handler.frames, []);
      assert.deepEqual(counted(metrics.conduitsClosedBy), { "malformed-frame": 1 });
      log.verify();
    }));
}

for (const burst of [1, 20, 2_000]) {
  Deno.test(`hardened: the close code reaches a peer that had ${burst} frames under way`, () =>
    withBench(async ({ conduit, peer, handler }) => {
      handler.behave = () => conduit.close(4510, "superseded");
      for (let at = 0; at <= burst; at++) peer.send(new Uint8Array(100));
      assert.deepEqual(await peer.closed(), { code: 4510, reason: "superseded" });
      await handler.closed();
      assert.equal(handler.frames.length, 1);
    }));
}

Deno.test("hardened: a peer that does not answer a close loses its TCP connection", () =>
  withBench(async ({ conduit, peer, clock, handler, lineClosed, metrics }) => {
    peer.stall();
    conduit.close(4409, "keepalive-timeout");
    conduit.close(4409, "slow-consumer");
    assert.deepEqual(counted(metrics.conduitsClosedBy), { "keepalive-timeout": 1 }, "it was closed once");
    await clock.advance(CLOSE_WAIT_MS);
    assert.equal((await handler.closed()).code, 1006);
    await lineClosed;
  }));

Deno.test("hardened: a peer that does not read is closed as a slow consumer, and its memory is let go", () =>
  withBench(async ({ conduit, peer, handler, clock, log, lineClosed, metrics }) => {
    peer.stall();
    // The kernel's own buffers take the first megabytes.
    const frame = new Uint8Array(FRAME_BYTES);
    for (let sent = 0; conduit.bufferedBytes <= 4 * FRAME_BYTES; sent++) {
      assert.ok(sent < 10_000, "the backlog never grew");
      conduit.send(frame);
      await settle();
    }
    await clock.advance(BACKLOG_LOOK_MS);
    assert.equal(log.of("slow_consumer").length, 1);
    assert.deepEqual(counted(metrics.conduitsClosedBy), { "slow-consumer": 1 });
    await clock.advance(CLOSE_WAIT_MS);
    assert.equal((await handler.closed()).code, 1006);
    await lineClosed;
  }));

Deno.test("hardened: bytes that came with the handshake's last packet are delivered", async () => {
  const handler = new RecordingHandler();
  const acceptor = new WsAcceptor(FRAME_BYTES);
  const open = new Tally();
  const server = createServer();
  server.on("upgrade", (request, line, head) => {
    assert.ok(head.length > 0, "the frame came later than the handshake");
    new WsConduit(acceptor.accept(request, line, head, "holdfast.v1.msgpack", false), "holdfast.v1.msgpack", {
      clock: new FakeClock(),
      log: new TestLog(),
      metrics: NO_METRICS,
      open,
      unfinished: new UnfinishedFrames(AMPLE, new FakeClock(), () => {}),
      silent: new SilentClosings(() => {}),
      frameBytes: FRAME_BYTES,
      bufferedBytes: FRAME_BYTES,
      accept: () => handler,
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const client = await Deno.connect({ hostname: "127.0.0.1", port });
  const head = `GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n` +
    `Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAECAwQFBgcICQoLDA0ODw==\r\n\r\n`;
  const frame = fragment(2, true, Uint8Array.of(1, 2, 3));
  await client.write(new Uint8Array([...new TextEncoder().encode(head), ...frame]));
  assert.deepEqual([...await handler.received(1)], [Uint8Array.of(1, 2, 3)]);
  client.close();
  await handler.closed();
  await open.whenNone();
  server.close();
  await once(server, "close");
});

Deno.test("hardened: what is unfinished is counted to the byte, whatever shares its packet", () =>
  withBench(async (bench) => {
    const begun = fragment(2, false, new Uint8Array(1_000));
    await write(bench, begun, begun.length);
    // A ping may come between fragments and is none.
    await write(bench, fragment(9, true, new Uint8Array(10)), begun.length);
    await write(bench, fragment(0, false, new Uint8Array(10)), begun.length + 16);
    await write(bench, fragment(0, true, new Uint8Array(10)), 0);
    const whole = fragment(2, true, new Uint8Array(200));
    const next = fragment(2, false, new Uint8Array(300));
    await write(bench, new Uint8Array([...whole, ...whole, ...next]), next.length);
    await write(bench, fragment(0, true, new Uint8Array(0)), 0);
    assert.deepEqual(bench.handler.frames.map(({ length }) => length), [1_020, 200, 200, 300]);
  }));

Deno.test("hardened: pings inside an unfinished frame do not hide it", () =>
  withBench(async (bench) => {
    const piece = fragment(2, false, new Uint8Array(500));
    await write(bench, piece, piece.length);
    const more = new Uint8Array([
      ...fragment(0, false, new Uint8Array(500)),
      ...fragment(9, true, new Uint8Array(5)),
    ]);
    const each = more.length - 11; // Without the ping.
    for (let at = 1; at <= 20; at++) await write(bench, more, piece.length + at * each);
  }));

Deno.test("hardened: over the common bound others wait for the frame that began first, until it is too old", async () => {
  const clock = new FakeClock();
  const unfinished = new UnfinishedFrames({ wait: 100_000, most: 1_000_000 }, clock, () => {});
  const old = await openBench("holdfast.v1.msgpack", { unfinished });
  const young = await openBench("holdfast.v1.msgpack", { unfinished });
  const half = new Uint8Array(60_000);
  await write(old, fragment(2, false, half), half.length + 8);
  young.line.write(fragment(2, false, half));
  for (let turn = 0; unfinished.bytes <= 100_000; turn++) {
    assert.ok(turn < 10_000, "the second frame never came");
    await settle();
  }
  young.line.write(fragment(0, true, new Uint8Array(0)));
  for (let turn = 0; turn < 20; turn++) await settle();
  assert.deepEqual(young.handler.frames, []);
  await clock.advance(FRAME_PATIENCE_MS);
  await old.lineClosed;
  assert.deepEqual(counted(old.metrics.conduitsClosedBy), { "unfinished-frame": 1 });
  assert.equal((await old.handler.closed()).code, 1006);
  assert.equal(old.log.of("unfinished_frame_abandoned").length, 1);
  assert.equal((await young.handler.received(1))[0]?.length, 60_000);
  await young.dispose();
  await old.dispose();
  assert.equal(clock.pending, 0);
});

Deno.test("hardened: of conduits that never said anything only so many wait for their peers' half of the close", async () => {
  const garbage: number[] = [];
  const silent = new SilentClosings((bytes) => void garbage.push(bytes), 1);
  const [first, second, spoken] = [
    await openBench("holdfast.v1.msgpack", { silent }),
    await openBench("holdfast.v1.msgpack", { silent }),
    await openBench("holdfast.v1.msgpack", { silent }),
  ];
  spoken.peer.send(new Uint8Array([1]));
  await spoken.handler.received(1);
  for (const bench of [first, second, spoken]) {
    bench.peer.stall();
    bench.conduit.close(4408, "handshake-timeout");
    assert.deepEqual(bench.handler.closings, []);
  }
  await first.lineClosed;
  assert.deepEqual(first.handler.closings, [{ code: 1006, reason: "" }]);
  assert.deepEqual([second.handler.closings, spoken.handler.closings, garbage.length], [[], [], 1]);
  await second.clock.advance(CLOSE_WAIT_MS);
  await second.lineClosed;
  for (let turn = 0; turn < 20; turn++) await settle();
  assert.equal(garbage.length, 2);
  for (const bench of [first, second, spoken]) await bench.dispose();
});

Deno.test("hardened: a throw while a conduit is accepted closes it with 1011 and spares the process", async () => {
  const log = new TestLog();
  const metrics = new CountedMetrics();
  const acceptor = new WsAcceptor(FRAME_BYTES);
  const open = new Tally();
  const server = createServer();
  server.on("upgrade", (request, line, head) => {
    new WsConduit(acceptor.accept(request, line, head, "holdfast.v1.json", false), "holdfast.v1.json", {
      clock: new FakeClock(),
      log,
      metrics,
      open,
      unfinished: new UnfinishedFrames(AMPLE, new FakeClock(), () => {}),
      silent: new SilentClosings(() => {}),
      frameBytes: FRAME_BYTES,
      bufferedBytes: FRAME_BYTES,
      accept() {
        throw new Error("no room");
      },
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const socket = new PeerSocket(`ws://127.0.0.1:${(server.address() as AddressInfo).port}/`);
  const [code] = await once(socket, "close");
  assert.equal(code, 1011);
  await open.whenNone();
  assert.deepEqual(counted(metrics.conduitsClosedBy), { internal: 1 });
  log.expectError("conduit_handler_threw");
  log.verify();
  server.close();
  await once(server, "close");
});

Deno.test("a meter counts the same however the line is cut into chunks", () => {
  const line = new Uint8Array([
    ...fragment(2, true, new Uint8Array(125)),
    ...fragment(1, false, new Uint8Array(126)),
    ...fragment(9, true, new Uint8Array(125)),
    ...fragment(0, false, new Uint8Array(0)),
    ...fragment(10, true, new Uint8Array(0)),
    ...fragment(0, true, new Uint8Array(70_000)),
    ...fragment(2, true, new Uint8Array(0)),
    ...fragment(2, false, new Uint8Array(300)),
  ]);
  for (const size of [1, 2, 3, 7, 64, 1_000, 65_536, line.length]) {
    const meter = new FrameMeter();
    let most = 0;
    for (let at = 0; at < line.length; at += size) {
      meter.read(line.subarray(at, at + size));
      most = Math.max(most, meter.unfinished);
    }
    assert.equal(meter.unfinished, 308, `in chunks of ${size}`);
    assert.ok(most < 70_160);
  }
});
