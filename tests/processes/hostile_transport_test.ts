/** Peers that break WebSocket itself, say nothing, never finish, or do not read: they cost nobody else anything. */

import assert from "node:assert/strict";
import { encodeBody } from "../../src/protocol/body.ts";
import { encodeConduit, encodeSession } from "../../src/protocol/encode.ts";
import { beside, HANDSHAKE_MS, MIB, nextBinary } from "../support/beside.ts";
import { parseExposition, valueOf } from "../support/exposition_parser.ts";
import { newChallenge, RawConduit } from "../support/raw_conduit.ts";
import { upgrade } from "../support/raw_http.ts";
import type { ServerProcess } from "../support/server_process.ts";

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
    assert.equal(await closedFor(server, "handshake-timeout"), 200);
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
    assert.equal(await closedFor(server, "slow-consumer"), 1);
    const again = await RawConduit.open(server.url, "holdfast.v1.json");
    const { resumed } = await again.establish({ resume: { session, token, received: 1, sent: 1 } });
    assert.equal(resumed, true);
    await again.break();
  });
});

/** How many conduits the server says that it closed for this reason. */
async function closedFor({ url }: ServerProcess, reason: string): Promise<number> {
  const text = await (await fetch(`${url}/metrics`)).text();
  return valueOf(parseExposition(text), "holdfast_conduits_closed_total", { reason });
}

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
