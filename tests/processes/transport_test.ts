/** The hardened transport against strangers: what they send is bounded, what they keep open ends, and others are served. */

import assert from "node:assert/strict";
import { encodeConduit } from "../../src/protocol/encode.ts";
import { FIRST_FRAME_BYTES } from "../../src/conduit/ws_conduit.ts";
import { ForeignClient } from "../support/foreign_client.ts";
import { newChallenge, RawConduit } from "../support/raw_conduit.ts";
import { request, upgrade, UPGRADE_HEADERS } from "../support/raw_http.ts";
import { ServerProcess } from "../support/server_process.ts";

const MIB = 1024 * 1024;

/** What the server may grow by at any moment of an attack. */
const GROWTH_BYTES = 32 * MIB;

/** What each attack sends, if it is let. */
const ATTACK_BYTES = 200 * MIB;

const HANDSHAKE_MS = 2_000;

/** How long the bystander may wait for its echoes while an attack runs on the same processors. */
const ECHO_MS = 5_000;

const hardened = (environment: { readonly [name: string]: string } = {}) =>
  ServerProcess.start({ HOLDFAST_TRANSPORT: "hardened", ...environment });

/** Runs an attack on a server on which a well-behaved session echoes, and watches both. */
async function attacked(
  name: string,
  attack: (server: ServerProcess) => Promise<void>,
  environment: { readonly [name: string]: string } = {},
): Promise<void> {
  const server = await hardened(environment);
  const bystander = new ForeignClient({ url: () => `ws://127.0.0.1:${server.port}/v1/connect` });
  const producer = setInterval(() => bystander.produce(5), 5);
  let longest = 0;
  let echoed = 0;
  let echoedAt = performance.now();
  let peak = 0;
  let looking = Promise.resolve();
  const watch = setInterval(() => {
    if (bystander.echoed > echoed) {
      echoed = bystander.echoed;
      echoedAt = performance.now();
    }
    longest = Math.max(longest, performance.now() - echoedAt);
    looking = looking.then(async () => {
      peak = Math.max(peak, await server.residentBytes());
    });
    // It fails this test where it is awaited, and no other one here.
    looking.catch(() => {});
  }, 20);
  try {
    bystander.start();
    // A young process grows by itself; the attack is to be seen alone.
    await bystander.until("the server is warm", () => bystander.echoed > 2_000, 30_000);
    for (let count = 0; count < 600; count++) {
      await request(server, "/nowhere", { "Connection": "close" }, "POST");
    }
    const before = await server.residentBytes();
    peak = 0;
    longest = 0;
    await attack(server);
    const sent = bystander.produced;
    await bystander.until("its echoes go on", () => bystander.echoed > sent, 10_000);
    const growth = Math.max(peak, await server.residentBytes()) - before;
    console.log(
      `${name}: ${Math.round(before / MIB)} MiB resident, at most ${Math.round(growth / MIB)} MiB more; ` +
        `longest silence of the bystander ${Math.round(longest)} ms`,
    );
    assert.ok(growth < GROWTH_BYTES, `resident memory grew by ${Math.round(growth / MIB)} MiB`);
    assert.ok(longest < ECHO_MS, `the well-behaved session was not served for ${Math.round(longest)} ms`);
    assert.equal(bystander.counts.established, 1, `it was disturbed: ${bystander.describe()}`);
    for (const line of server.log) assert.notEqual(line.level, "error", JSON.stringify(line));
  } finally {
    clearInterval(watch);
    clearInterval(producer);
    await bystander.stop();
    // A process that is over has no memory to look at.
    await looking.finally(() => server.dispose());
  }
}

/** A header of a client's frame with a length of 64 bits, masked with zeros. */
function header(opcode: number, final: boolean, length: number): Uint8Array {
  const bytes = new Uint8Array(14);
  bytes[0] = (final ? 0x80 : 0) | opcode;
  bytes[1] = 0xff;
  new DataView(bytes.buffer).setBigUint64(2, BigInt(length));
  return bytes;
}

/** Writes until everything is written or the server ended the connection. @returns Bytes written. */
async function writeWhileOpen(connection: Deno.TcpConn, pieces: Iterable<Uint8Array>): Promise<number> {
  let written = 0;
  try {
    for (const piece of pieces) {
      for (let at = 0; at < piece.length;) {
        const count = await connection.write(piece.subarray(at));
        at += count;
        written += count;
      }
    }
  } catch (error) {
    const ended = error instanceof Deno.errors.ConnectionReset || error instanceof Deno.errors.BrokenPipe;
    if (!ended) throw error;
  }
  return written;
}

/** A message of this many bytes in fragments, none of which is the last. */
function* fragments(opcode: number, total: number, size: number): Generator<Uint8Array> {
  const payload = new Uint8Array(size).fill(0x20);
  for (let sent = 0; sent < total; sent += size) {
    yield header(sent === 0 ? opcode : 0, false, size);
    yield payload;
  }
}

/** Reads until the server ends the connection, and says how long that took. @throws Error if it does not within `ms`. */
async function endWithin(connection: Deno.TcpConn, ms: number): Promise<{ text: string; after: number }> {
  const begun = performance.now();
  const timer = setTimeout(() => connection.close(), ms);
  const piece = new Uint8Array(16 * 1024);
  let text = "";
  try {
    for (;;) {
      const read = await connection.read(piece);
      if (read === null) break;
      text += String.fromCharCode(...piece.subarray(0, read));
    }
  } catch (error) {
    if (error instanceof Deno.errors.BadResource || error instanceof Deno.errors.Interrupted) {
      throw new Error(`the connection was still open after ${ms} ms`);
    }
    if (!(error instanceof Deno.errors.ConnectionReset)) throw error;
  }
  clearTimeout(timer);
  return { text, after: performance.now() - begun };
}

function closeQuietly(connection: Deno.TcpConn): void {
  try {
    connection.close();
  } catch (error) {
    if (!(error instanceof Deno.errors.BadResource)) throw error;
  }
}

// @rule frame.cost
Deno.test("200 MiB in unfinished fragments of strangers cost the server nothing", () =>
  attacked("fragments of strangers", async (server) => {
    const connections: Deno.TcpConn[] = [];
    const conduits = 16;
    await Promise.all(Array.from({ length: conduits }, async (_, index) => {
      const text = index % 2 === 0;
      const connection = await upgrade(server, text ? "holdfast.v1.json" : "holdfast.v1.msgpack");
      connections.push(connection);
      await writeWhileOpen(connection, fragments(text ? 1 : 2, ATTACK_BYTES / conduits, 64 * 1024));
    }));
    for (const connection of connections) connection.close();
  }));

// @rule frame.cost
Deno.test("a stranger's first frame may be as large as a start can be, and no larger", () =>
  attacked("many strangers, each within the limit", async (server) => {
    const each = FIRST_FRAME_BYTES - 32 * 1024;
    const connections: Deno.TcpConn[] = [];
    // Many more would be seen by what their sockets cost, which is for a limit on conduits to bound.
    for (let count = 0; count < 64; count++) {
      const connection = await upgrade(server, "holdfast.v1.json");
      connections.push(connection);
      await writeWhileOpen(connection, fragments(1, each, 16 * 1024));
    }
    for (const connection of connections) connection.close();
    const conduit = await RawConduit.open(server.url, "holdfast.v1.json");
    conduit.send(" ".repeat(FIRST_FRAME_BYTES + 1));
    assert.equal((await conduit.closed).code, 4600);
  }, { HOLDFAST_HANDSHAKE_TIMEOUT: "30s" }));

// @rule frame.cost
Deno.test("200 MiB in unfinished fragments of sessions cost the server nothing, however often they come back", () =>
  attacked(
    "fragments of sessions",
    async (server) => {
      await Promise.all(Array.from({ length: 8 }, async () => {
        for (let left = ATTACK_BYTES / 8; left > 0;) {
          const connection = await upgrade(server, "holdfast.v1.json");
          const start = new TextEncoder().encode(
            JSON.stringify(["start", { version: 1, challenge: newChallenge() }]),
          );
          await connection.write(header(1, true, start.length));
          await connection.write(start);
          left -= await writeWhileOpen(connection, fragments(1, left, 64 * 1024));
          closeQuietly(connection);
        }
      }));
    },
  ));

// @rule frame.cost
Deno.test("frames above the limit are refused by their length, however much of them is sent", () =>
  attacked("frames above the limit", async (server) => {
    await Promise.all(Array.from({ length: 4 }, async () => {
      const connection = await upgrade(server, "holdfast.v1.msgpack");
      const frame = function* () {
        yield header(2, true, ATTACK_BYTES / 4);
        const piece = new Uint8Array(256 * 1024);
        for (let sent = 0; sent < ATTACK_BYTES / 4; sent += piece.length) yield piece;
      };
      const reading = endWithin(connection, 20_000);
      await writeWhileOpen(connection, frame());
      const { text } = await reading;
      // A close frame with 1009, unless the server's reset overtook it.
      assert.ok(text === "" || text.startsWith("\x88\x02\x03\xf1"), JSON.stringify(text));
      closeQuietly(connection);
    }));
  }));

Deno.test("a peer that pings and never reads is bounded too", () =>
  attacked("pings unread", async (server) => {
    const connection = await upgrade(server, "holdfast.v1.msgpack");
    const ping = new Uint8Array(131);
    ping.set([0x89, 0x80 | 125]);
    const many = new Uint8Array(131 * 2_000);
    for (let at = 0; at < many.length; at += ping.length) many.set(ping, at);
    const flood = function* () {
      for (let sent = 0; sent < ATTACK_BYTES; sent += many.length) yield many;
    };
    await writeWhileOpen(connection, flood());
    connection.close();
  }));

Deno.test("slow-loris handshakes end in time, and a good one is served meanwhile", () =>
  attacked("slow-loris", async (server) => {
    const begin = `GET /v1/connect HTTP/1.1\r\nHost: 127.0.0.1:${server.port}\r\n`;
    const open = async (text: string, drip: boolean) => {
      const connection = await Deno.connect({ hostname: "127.0.0.1", port: server.port });
      await connection.write(new TextEncoder().encode(text));
      const timer = drip
        ? setInterval(() => void writeWhileOpen(connection, [new TextEncoder().encode("X-A: b\r\n")]), 100)
        : undefined;
      const { text: answer, after } = await endWithin(connection, HANDSHAKE_MS + 3_000);
      clearInterval(timer);
      closeQuietly(connection);
      assert.ok(after >= HANDSHAKE_MS - 100, `it was ended after ${after} ms`);
      if (answer !== "") assert.match(answer, /^HTTP\/1\.1 408 [\s\S]*application\/problem\+json/);
    };
    const slow = Array.from({ length: 100 }, (_, index) => {
      return index % 3 === 0 ? open("", false) : open(begin, index % 3 === 1);
    });
    const conduit = await RawConduit.open(server.url, "holdfast.v1.json");
    await conduit.establish();
    await Promise.all(slow);
    await conduit.break();
  }, { HOLDFAST_HANDSHAKE_TIMEOUT: `${HANDSHAKE_MS}ms` }));

Deno.test("a request with an endless head is refused with 431, an endless body with 413 or not read", () =>
  attacked("endless requests", async (server) => {
    for (
      const [head, status] of [
        ["GET / HTTP/1.1\r\nHost: a\r\nX-A: ", 431],
        ["POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 209715200\r\n\r\n", 413],
        // Where nobody asks for a body, none of it is waited for.
        ["POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nffffffff\r\n", 404],
        [
          "POST /v1/admin/login HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n" +
          "Transfer-Encoding: chunked\r\n\r\nffffffff\r\n",
          413,
        ],
      ] as const
    ) {
      const connection = await Deno.connect({ hostname: "127.0.0.1", port: server.port });
      const reading = endWithin(connection, 10_000);
      const piece = new Uint8Array(64 * 1024).fill(0x61);
      const endless = function* () {
        yield new TextEncoder().encode(head);
        for (let sent = 0; sent < ATTACK_BYTES; sent += piece.length) yield piece;
      };
      const written = await writeWhileOpen(connection, endless());
      const { text } = await reading;
      assert.ok(written < ATTACK_BYTES, `${status}: all of it was taken`);
      // The reset of a connection that is still written to may overtake the answer.
      if (text !== "") assert.match(text, new RegExp(`^HTTP/1\\.1 ${status} `));
      closeQuietly(connection);
    }
  }));

for (
  const [path, headers, status] of [
    ["/nowhere", "", 404],
    ["/v1/admin/login", "Content-Type: application/json\r\n", 413],
    ["/v1/admin/sessions/x/connections/1/messages", "Content-Type: application/json\r\n", 401],
  ] as const
) {
  Deno.test(`300 bodies of almost 1 MiB that never end, to ${path}, are not read`, () =>
    attacked(`unfinished bodies to ${path}`, async (server) => {
      const head = `POST ${path} HTTP/1.1\r\nHost: a\r\n${headers}Content-Length: ${MIB}\r\n\r\n`;
      const body = new Uint8Array(MIB - 1).fill(0x61);
      const connections = await Promise.all(Array.from({ length: 300 }, async () => {
        const connection = await Deno.connect({ hostname: "127.0.0.1", port: server.port });
        const reading = endWithin(connection, 20_000);
        await writeWhileOpen(connection, [new TextEncoder().encode(head), body]);
        return { connection, reading };
      }));
      let answered = 0;
      for (const { connection, reading } of connections) {
        const { text } = await reading;
        // The reset of a connection that is still written to may overtake the answer.
        if (text !== "") assert.match(text, new RegExp(`^HTTP/1\\.1 ${status} `));
        if (text !== "") answered++;
        closeQuietly(connection);
      }
      assert.ok(answered > 0, "nobody was answered");
    }));
}

Deno.test("4,000 heads of 8 KiB that never end are bounded in number and memory", () =>
  attacked("unfinished heads", async (server) => {
    const head = new TextEncoder().encode(`GET / HTTP/1.1\r\nHost: a\r\nX-A: ${"a".repeat(8_000)}`);
    const connections: Deno.TcpConn[] = [];
    for (let count = 0; count < 4_000; count += 100) {
      connections.push(
        ...await Promise.all(Array.from({ length: 100 }, async () => {
          const connection = await Deno.connect({ hostname: "127.0.0.1", port: server.port });
          await writeWhileOpen(connection, [head]);
          return connection;
        })),
      );
      if (count % 1_000 === 0) assert.equal((await request(server, "/healthz", {})).status, 200);
    }
    for (const connection of connections) closeQuietly(connection);
  }, { HOLDFAST_HANDSHAKE_TIMEOUT: "30s" }));

// @rule handshake.first
Deno.test("a peer that ignores its close loses its TCP connection within seconds", async () => {
  const server = await hardened({ HOLDFAST_HANDSHAKE_TIMEOUT: "500ms" });
  try {
    const connection = await upgrade(server, "holdfast.v1.msgpack");
    const { text, after } = await endWithin(connection, 6_000);
    // 4408, which nobody answers.
    assert.ok(text.includes("\x11\x38"), JSON.stringify(text));
    assert.ok(after > 3_000, `it was ended after ${after} ms, before it could have answered`);
    closeQuietly(connection);
  } finally {
    await server.dispose();
  }
});

// @rule frame.batch
Deno.test("over the hardened transport text stays text, bytes stay bytes, and the wrong kind is refused", async () => {
  const server = await hardened();
  try {
    const text = await RawConduit.open(server.url, "holdfast.v1.json");
    await text.establish();
    text.say(["open", 1, 1, { service: "echo" }], ["message", 2, 1, "grüße 🌍"]);
    assert.deepEqual(await text.next("message"), ["message", 2, 1, "grüße 🌍"]);
    assert.deepEqual(text.frames, []);
    await text.break();
    const binary = await RawConduit.open(server.url, "holdfast.v1.msgpack");
    binary.send(encodeConduit({ kind: "start", version: 1, challenge: newChallenge() }));
    assert.ok((await binary.nextFrame()).length > 0);
    assert.deepEqual(binary.messages, []);
    await binary.break();
    const wrong = await RawConduit.open(server.url, "holdfast.v1.msgpack");
    wrong.send('["start",{}]');
    assert.equal((await wrong.closed).code, 4600);
  } finally {
    await server.dispose();
  }
});

// @rule end.goaway
Deno.test("a graceful stop over the hardened transport gives goaway, the close code and exit 0", async () => {
  const server = await hardened();
  try {
    const attached = await Promise.all(Array.from({ length: 50 }, async () => {
      const conduit = await RawConduit.open(server.url, "holdfast.v1.json");
      await conduit.establish();
      return conduit;
    }));
    // Neither may hold the stop up: an idle connection, and a request that is not complete.
    const idle = await Deno.connect({ hostname: "127.0.0.1", port: server.port });
    await idle.write(new TextEncoder().encode("GET / HTTP/1.1\r\nHost: a\r\n"));
    const stopped = server.stop("SIGTERM");
    for (const conduit of attached) {
      const [, goaway] = await conduit.next("goaway");
      assert.equal((goaway as { reason: string }).reason, "draining");
      const { code } = await conduit.closed;
      assert.ok([1012, 4400].includes(code), `${code}`);
    }
    const exit = await stopped;
    assert.deepEqual({ code: exit.code, signal: exit.signal }, { code: 0, signal: null });
    assert.ok(exit.after <= 4_000, `it took ${exit.after} ms`);
    idle.close();
    for (const line of server.log) assert.notEqual(line.level, "error", JSON.stringify(line));
  } finally {
    await server.dispose();
  }
});

Deno.test("both transports answer the same requests alike", async () => {
  const native = await ServerProcess.start({ HOLDFAST_TRANSPORT: "native" });
  const other = await hardened();
  const foreign = { ...UPGRADE_HEADERS, Origin: "https://evil.example" };
  const unknown = { ...UPGRADE_HEADERS, "Sec-WebSocket-Protocol": "chat" };
  const keyless = { Connection: "Upgrade", Upgrade: "websocket", "Sec-WebSocket-Version": "13" };
  const listed = { ...UPGRADE_HEADERS, "Sec-WebSocket-Protocol": "chat,holdfast.v1.json" };
  const cases:
    readonly (readonly [path: string, headers: { readonly [name: string]: string }, method?: string])[] = [
      ["/healthz", {}],
      ["/healthz?query", { Upgrade: "h2c", Connection: "Upgrade" }],
      ["/v1/connect", {}],
      ["/v1/connect", { ...UPGRADE_HEADERS, Upgrade: "h2c" }],
      ["/v1/connect", UPGRADE_HEADERS, "DELETE"],
      ["/v1/connect", {}, "POST"],
      ["/v1/connect", foreign],
      ["/v1/connect", unknown],
      ["/v1/connect", keyless],
      ["/v1/connect", { ...UPGRADE_HEADERS, Host: "evil.example" }],
      ["/v1/connect", listed],
      ["/v1/connect", UPGRADE_HEADERS],
      ["/nothing", UPGRADE_HEADERS],
      ["/nothing", {}],
      ["//nothing", {}],
    ];
  const compared = [
    "content-type",
    "cache-control",
    "allow",
    "sec-websocket-protocol",
    "x-content-type-options",
  ];
  try {
    for (const [path, headers, method] of cases) {
      const [expected, actual] = await Promise.all(
        [native, other].map(async (server) => {
          const answer = await request(server, path, headers, method);
          return {
            status: answer.status,
            body: answer.body,
            headers: compared.map((name) => answer.headers.get(name)),
          };
        }),
      );
      assert.deepEqual(actual, expected, `${method ?? "GET"} ${path} ${JSON.stringify(headers)}`);
    }
    for (const line of other.log) assert.notEqual(line.level, "error", JSON.stringify(line));
  } finally {
    await native.dispose();
    await other.dispose();
  }
});
