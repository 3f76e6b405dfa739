/** Hostile input against a live process: each frame ends its own conduit or session, with the right code, and nothing else. */

import assert from "node:assert/strict";
import { encodeBody } from "../../src/protocol/body.ts";
import { encodeConduit, encodeSession } from "../../src/protocol/encode.ts";
import { DEFAULT_LIMITS } from "../../src/protocol/limits.ts";
import type { Message } from "../../src/protocol/messages.ts";
import { msgpackCodec } from "../../src/protocol/msgpack_codec.ts";
import { ForeignClient } from "../support/foreign_client.ts";
import {
  hostileFirstBinary,
  hostileFirstText,
  OVERSIZE_BYTES,
  OVERSIZE_CHARACTERS,
  violatingBinary,
  violatingText,
} from "../support/hostile_frames.ts";
import { newChallenge, RawConduit } from "../support/raw_conduit.ts";
import { upgrade } from "../support/raw_http.ts";
import { SeededRandom } from "../support/seeded_random.ts";
import { ServerProcess } from "../support/server_process.ts";

const MIB = 1024 * 1024;

/** What the server may grow by, whatever it is sent; V8 keeps some of what it once needed. */
const GROWTH_BYTES = 200 * MIB;

const HANDSHAKE_MS = 2_000;

/** Runs against one server on which a well-behaved session echoes all the time, and must notice nothing. */
async function beside(
  run: (server: ServerProcess) => Promise<void>,
  environment: { readonly [name: string]: string } = {},
): Promise<void> {
  const server = await ServerProcess.start({
    HOLDFAST_HANDSHAKE_TIMEOUT: `${HANDSHAKE_MS}ms`,
    ...environment,
  });
  const bystander = new ForeignClient({ url: () => `ws://127.0.0.1:${server.port}/v1/connect` });
  const producer = setInterval(() => bystander.produce(2), 10);
  try {
    bystander.start();
    await bystander.until("the first echoes", () => bystander.echoed > 10, 10_000);
    const before = await server.residentBytes();
    await run(server);
    const growth = await server.residentBytes() - before;
    console.log(
      `resident memory: ${Math.round(before / MIB)} MiB, then ${Math.round(growth / MIB)} MiB more`,
    );
    assert.ok(growth < GROWTH_BYTES, `resident memory grew by ${Math.round(growth / MIB)} MiB`);
    const sent = bystander.produced;
    await bystander.until("its echoes go on", () => bystander.echoed > sent, 10_000);
    assert.equal(
      bystander.counts.established,
      1,
      `the well-behaved session was disturbed: ${bystander.describe()}`,
    );
    for (const line of server.log) assert.notEqual(line.level, "error", JSON.stringify(line));
    const response = await fetch(`${server.url}/healthz`);
    await response.body?.cancel();
    assert.equal(response.status, 200);
  } finally {
    clearInterval(producer);
    await bystander.stop();
    await server.dispose();
  }
}

const codec = msgpackCodec(DEFAULT_LIMITS);

async function nextBinary<K extends Message["kind"]>(
  conduit: RawConduit,
  kind: K,
): Promise<Extract<Message, { readonly kind: K }>> {
  for (;;) {
    const decoded = codec.decode(await conduit.nextFrame());
    assert.ok(decoded.ok, "the server sent what its own codec refuses");
    for (const message of decoded.messages) {
      if (message.kind === kind) return message as Extract<Message, { readonly kind: K }>;
    }
  }
}

/** A MessagePack session whose token is proven. */
async function binarySession(server: ServerProcess): Promise<RawConduit> {
  const conduit = await RawConduit.open(server.url, "holdfast.v1.msgpack");
  conduit.send(encodeConduit({ kind: "start", version: 1, challenge: newChallenge() }));
  await nextBinary(conduit, "established");
  conduit.send(encodeConduit({ kind: "ack", received: 0 }));
  return conduit;
}

async function textSession(server: ServerProcess): Promise<RawConduit> {
  const conduit = await RawConduit.open(server.url, "holdfast.v1.json");
  await conduit.establish();
  return conduit;
}

// @rule frame.batch
// @rule frame.header
// @rule frame.cost
// @rule handshake.first
// @rule end.protocol
Deno.test("a hostile first frame is refused as malformed with 4600, and the process goes on", async () => {
  await beside(async (server) => {
    const cases = [
      ...hostileFirstBinary().map((each) => ({ ...each, subprotocol: "holdfast.v1.msgpack" as const })),
      ...hostileFirstText().map((each) => ({ ...each, subprotocol: "holdfast.v1.json" as const })),
    ];
    for (const { name, frame, subprotocol } of cases) {
      const conduit = await RawConduit.open(server.url, subprotocol);
      conduit.send(frame);
      const { code } = await conduit.closed;
      assert.equal(code, 4600, `${subprotocol}: ${name}`);
      if (subprotocol === "holdfast.v1.json") {
        const [, refused] = conduit.messages.find(([name]) => name === "refused") ?? [];
        assert.equal((refused as { reason?: string } | undefined)?.reason, "malformed", name);
      } else {
        const refused = await nextBinary(conduit, "refused");
        assert.equal(refused.reason, "malformed", name);
      }
    }
  });
});

// @rule frame.batch
// @rule frame.header
// @rule frame.unknown
// @rule frame.cost
// @rule frame.ids
// @rule handshake.first
// @rule delivery.gap
// @rule delivery.ack
// @rule delivery.window
// @rule end.protocol
Deno.test("a protocol error ends its session with 4500, and detail names the rule", async () => {
  await beside(async (server) => {
    for (const { name, rule, frame } of violatingBinary()) {
      const conduit = await binarySession(server);
      conduit.send(frame);
      const close = await nextBinary(conduit, "close");
      assert.equal(close.reason, "protocol-error", name);
      assert.ok(close.detail.startsWith(`${rule}:`), `${name}: ${rule} was expected in: ${close.detail}`);
      assert.equal((await conduit.closed).code, 4500, name);
    }
    for (const { name, rule, frame } of violatingText()) {
      const conduit = await textSession(server);
      conduit.send(frame);
      const [, fields] = await conduit.next("close");
      const close = fields as { reason: string; detail: string };
      assert.equal(close.reason, "protocol-error", name);
      assert.ok(close.detail.startsWith(`${rule}:`), `${name}: ${rule} was expected in: ${close.detail}`);
      assert.equal((await conduit.closed).code, 4500, name);
    }
  });
});

// @rule end.protocol
Deno.test("a session that ended with a protocol error cannot be resumed, and its holder is told why", async () => {
  await beside(async (server) => {
    const conduit = await RawConduit.open(server.url, "holdfast.v1.json");
    const { session, token } = await conduit.establish();
    conduit.say(["ack", 1]);
    assert.equal((await conduit.closed).code, 4500);
    const again = await RawConduit.open(server.url, "holdfast.v1.json");
    again.say(["start", {
      version: 1,
      challenge: newChallenge(),
      resume: { session, token, received: 0, sent: 0 },
    }]);
    const [, refused] = await again.next("refused");
    assert.equal((refused as { reason: string }).reason, "closed");
    assert.match((refused as { detail: string }).detail, /protocol-error.*delivery\.ack/);
    assert.equal((await again.closed).code, 4501);
  });
});

// @rule frame.body
Deno.test("a malformed body ends its connection alone, and the session goes on", async () => {
  await beside(async (server) => {
    const conduit = await textSession(server);
    const open = (seq: number, connection: number) => ["open", seq, connection, { service: "echo" }] as const;
    conduit.say(open(1, 1), open(2, 3));
    await conduit.next("accept");
    await conduit.next("accept");
    conduit.send('["message",3,1,{"$bin":"!"}]');
    const [, , connection, fields] = await conduit.next("end");
    assert.equal(connection, 1);
    assert.equal((fields as { reason: string }).reason, "malformed-body");
    conduit.say(["message", 4, 3, "still here"]);
    assert.deepEqual((await conduit.next("message")).slice(2), [3, "still here"]);
    await conduit.break();
  });
});

// @rule delivery.dedupe
// @rule frame.unknown
Deno.test("a message that comes again and an unknown conduit message are passed over in silence", async () => {
  await beside(async (server) => {
    const conduit = await textSession(server);
    conduit.say(["open", 1, 1, { service: "echo" }], ["message", 2, 1, "once"]);
    assert.deepEqual(await conduit.next("message"), ["message", 2, 1, "once"]);
    conduit.say(["message", 2, 1, "again"], ["open", 1, 1, { service: "other" }], ["message", 3, 1, "next"]);
    assert.deepEqual(await conduit.next("message"), ["message", 3, 1, "next"]);
    await conduit.break();
    const binary = await binarySession(server);
    // Tag 15, which this version does not have.
    binary.send(Uint8Array.of(0x92, 0x0f, 0x01));
    binary.send(encodeConduit({ kind: "ping", nonce: 5 }));
    assert.equal((await nextBinary(binary, "pong")).nonce, 5);
    await binary.break();
  });
});

// @rule frame.cost
Deno.test("a frame above the limit closes its conduit with 1009, before and after established", async () => {
  await beside(async (server) => {
    for (
      const [subprotocol, frame] of [
        ["holdfast.v1.msgpack", new Uint8Array(OVERSIZE_BYTES)],
        ["holdfast.v1.json", "x".repeat(OVERSIZE_CHARACTERS)],
      ] as const
    ) {
      const early = await RawConduit.open(server.url, subprotocol);
      early.send(frame);
      assert.equal((await early.closed).code, 1009, subprotocol);
      const late = subprotocol === "holdfast.v1.json"
        ? await textSession(server)
        : await binarySession(server);
      late.send(frame);
      assert.equal((await late.closed).code, 1009, subprotocol);
    }
  });
});

// @rule end.protocol
Deno.test("tens of thousands of random frames end their own conduits and sessions and nothing else", async () => {
  const random = new SeededRandom(1_337);
  await beside(async (server) => {
    const codes = new Map<number, number>();
    let frames = 0;
    const worker = async (random: SeededRandom) => {
      for (let round = 0; round < 100; round++) {
        const established = random.chance(0.5);
        const subprotocol = random.pick(["holdfast.v1.msgpack", "holdfast.v1.json"] as const);
        const text = subprotocol === "holdfast.v1.json";
        const conduit = !established
          ? await RawConduit.open(server.url, subprotocol)
          : text
          ? await textSession(server)
          : await binarySession(server);
        for (let n = 0; n < 40; n++, frames++) conduit.send(text ? randomText(random) : randomFrame(random));
        // What happens to be valid leaves the conduit open; half a message does not.
        conduit.send(text ? "[" : Uint8Array.of(0x92));
        const { code } = await conduit.closed;
        codes.set(code, (codes.get(code) ?? 0) + 1);
        // The platform drops a closing socket that is still written to, and the code with it.
        assert.ok(code === 1006 || code === (established ? 4500 : 4600), `${code}`);
      }
    };
    await Promise.all(Array.from({ length: 8 }, () => worker(random.fork())));
    console.log(`${frames} random frames on ${[...codes].map(([code, n]) => `${n} × ${code}`).join(", ")}`);
  });
});

/** Random bytes, or a real message with a few of its bytes changed, which gets deeper into a decoder. */
function randomFrame(random: SeededRandom): Uint8Array {
  if (random.chance(0.4)) return random.bytes(1 + random.int(200));
  const message = random.chance(0.5)
    ? encodeConduit({ kind: "start", version: 1, challenge: "a".repeat(32), metadata: { key: "value" } })
    : encodeSession(1 + random.int(3), { kind: "open", connection: 1, service: "echo" });
  for (let n = random.between(1, 4); n > 0; n--) message[random.int(message.length)] = random.int(256);
  return message;
}

/** Real messages with a few of their characters changed, doubled or left out. */
function randomText(random: SeededRandom): string {
  const lines = [
    '["start",{"version":1,"challenge":"aaaaaaaaaaaaaaaaaaaaaaaaaaaa"}]',
    '["open",1,1,{"service":"echo"}]',
  ];
  let text = random.shuffle([...lines, '["message",2,1,{"a":[1.5,null,{"$bin":"AAAA"}]}]', '["ack",0]']).join(
    "\n",
  );
  for (let n = random.between(1, 4); n > 0; n--) {
    const at = random.int(text.length);
    const instead = random.pick(["", '"', "[", "}", "\\u", "9", "\0", "\ud800", text.slice(at, at + 20)]);
    text = text.slice(0, at) + instead + text.slice(at + 1);
  }
  return text;
}

// @rule handshake.first
Deno.test("200 conduits that never say start are closed with 4408 in time", async () => {
  await beside(async (server) => {
    const begun = performance.now();
    const conduits = await Promise.all(Array.from({ length: 200 }, (_, index) => {
      return RawConduit.open(server.url, index % 2 === 0 ? "holdfast.v1.json" : "holdfast.v1.msgpack");
    }));
    for (const { code } of await Promise.all(conduits.map((conduit) => conduit.closed))) {
      assert.equal(code, 4408);
    }
    const took = performance.now() - begun;
    assert.ok(took >= HANDSHAKE_MS - 50 && took < HANDSHAKE_MS + 3_000, `it took ${took} ms`);
  });
});

Deno.test("broken WebSocket framing ends the TCP connection and nothing else", async () => {
  await beside(async (server) => {
    const cases: readonly (readonly [string, Uint8Array])[] = [
      ["a reserved opcode", Uint8Array.of(0x83, 0x80, 0, 0, 0, 0)],
      ["reserved bits", Uint8Array.of(0xf2, 0x80, 0, 0, 0, 0)],
      ["a length of 2^62", Uint8Array.of(0x82, 0xff, 0x40, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5)],
      ["a ping of 60 KiB", Uint8Array.of(0x89, 0xfe, 0xf0, 0x00, 1, 2, 3, 4)],
      ["text that is no UTF-8", Uint8Array.of(0x81, 0x82, 0, 0, 0, 0, 0xff, 0xff)],
      ["HTTP", new TextEncoder().encode("GET / HTTP/1.1\r\n\r\n")],
    ];
    await Promise.all(cases.map(async ([name, bytes]) => {
      const connection = await upgrade(server, "holdfast.v1.json");
      try {
        await connection.write(bytes);
        assert.equal(await closeFrameWithin(connection, HANDSHAKE_MS + 2_000), 1006, name);
      } finally {
        connection.close();
      }
    }));
  });
});

// @rule handshake.first
Deno.test("a message in endless fragments is no start: 4408 in time, and its memory comes back", async () => {
  await beside(async (server) => {
    const connection = await upgrade(server, "holdfast.v1.msgpack");
    try {
      const closing = closeFrameWithin(connection, HANDSHAKE_MS + 5_000);
      const fragment = new Uint8Array(MIB + 14);
      // Not final, 64-bit length, masked with zeros: first binary, then continuations.
      fragment.set([0x02, 0xff, 0, 0, 0, 0, 0, 0x10, 0, 0, 0, 0, 0, 0]);
      for (let sent = 0; sent < 60; sent++) {
        await writeAll(connection, fragment);
        fragment[0] = 0x00;
      }
      const peak = await server.residentBytes();
      assert.equal(await closing, 4408);
      console.log(`endless fragments: ${Math.round(peak / MIB)} MiB resident with 60 MiB unfinished`);
    } finally {
      connection.close();
    }
    // The end of the connection takes its buffers with it.
    await new Promise((resolve) => setTimeout(resolve, 1_000));
  });
});

// @rule delivery.volatile
Deno.test("a consumer that does not read is closed with 4409, and its session resumes", async () => {
  await beside(async (server) => {
    const conduit = await RawConduit.open(server.url, "holdfast.v1.msgpack");
    conduit.send(encodeConduit({ kind: "start", version: 1, challenge: newChallenge() }));
    const { session, token } = await nextBinary(conduit, "established");
    conduit.send(encodeSession(1, { kind: "open", connection: 1, service: "echo" }));
    await nextBinary(conduit, "accept");
    conduit.send(encodeConduit({ kind: "ack", received: 1 }));
    conduit.pause();
    // More than the server buffers (4 MiB) and the two kernels hold.
    const body = encodeBody("x".repeat(256 * 1024));
    const volatile = encodeConduit({ kind: "volatile", connection: 1, body });
    for (let n = 0; n < 80; n++) conduit.send(volatile);
    await new Promise((resolve) => setTimeout(resolve, 1_500));
    conduit.resume();
    assert.equal((await conduit.closed).code, 4409);
    const again = await RawConduit.open(server.url, "holdfast.v1.json");
    const { resumed } = await again.establish({ resume: { session, token, received: 1, sent: 1 } });
    assert.equal(resumed, true);
    await again.break();
  });
});

async function writeAll(connection: Deno.TcpConn, bytes: Uint8Array): Promise<void> {
  for (let at = 0; at < bytes.length;) at += await connection.write(bytes.subarray(at));
}

/**
 * The code of the peer's close frame, 1006 if it ended or reset the connection without one, null if neither came within
 * `ms`. Frames before it must be short and unfragmented.
 */
async function closeFrameWithin(connection: Deno.TcpConn, ms: number): Promise<number | null> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<null>((resolve) => void (timer = setTimeout(() => resolve(null), ms)));
  const code = await Promise.race([readCloseFrame(connection), late]);
  clearTimeout(timer);
  return code;
}

async function readCloseFrame(connection: Deno.TcpConn): Promise<number> {
  const piece = new Uint8Array(16 * 1024);
  let bytes: number[] = [];
  for (;;) {
    let read: number | null;
    try {
      read = await connection.read(piece);
    } catch (error) {
      if (error instanceof Deno.errors.ConnectionReset || error instanceof Deno.errors.Interrupted) {
        return 1006;
      }
      throw error;
    }
    if (read === null) return 1006;
    bytes.push(...piece.subarray(0, read));
    for (let length = bytes[1]; length !== undefined && bytes.length >= 2 + length; length = bytes[1]) {
      assert.ok(length < 126, "a long frame came");
      if (bytes[0] === 0x88) return bytes[2]! << 8 | bytes[3]!;
      bytes = bytes.slice(2 + length);
    }
  }
}
