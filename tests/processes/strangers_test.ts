/** Strangers against a live process: silent ones, slow ones and noisy ones. Who means it is served meanwhile. */

import assert from "node:assert/strict";
import { WebSocket as PeerSocket } from "ws";
import { ForeignClient } from "../support/foreign_client.ts";
import { request, upgrade, UPGRADE_HEADERS } from "../support/raw_http.ts";
import { SeededRandom } from "../support/seeded_random.ts";
import { ServerProcess } from "../support/server_process.ts";
import { claimsAt, EXPECTED, SECRET, signed } from "../support/tokens.ts";

const MIB = 1024 * 1024;

/** Conduits that never send `start`, all in all and at once. */
const SILENT = 10_000;
const SILENT_AT_ONCE = 1_024;

/** What they may cost. */
const SILENT_BYTES = 32 * MIB;

/** Runs beside a session that echoes all the time and must notice nothing. */
async function besideEchoes(
  environment: { readonly [name: string]: string },
  run: (server: ServerProcess) => Promise<void>,
): Promise<void> {
  const server = await ServerProcess.start(environment);
  const bystander = new ForeignClient({ url: () => `ws://127.0.0.1:${server.port}/v1/connect` });
  const producer = setInterval(() => bystander.produce(2), 10);
  try {
    bystander.start();
    await bystander.until("the first echoes", () => bystander.echoed > 10, 10_000);
    await run(server);
    const sent = bystander.produced;
    await bystander.until("its echoes go on", () => bystander.echoed > sent, 10_000);
    assert.equal(bystander.counts.established, 1, bystander.describe());
    for (const line of server.log) assert.notEqual(line.level, "error", JSON.stringify(line));
  } finally {
    clearInterval(producer);
    await bystander.stop();
    await server.dispose();
  }
}

async function gauge(server: ServerProcess, name: string): Promise<number> {
  const text = await (await fetch(`${server.url}/metrics`)).text();
  return Number(new RegExp(`^${name} (\\d+)$`, "m").exec(text)?.[1]);
}

// @rule handshake.first
Deno.test(`${SILENT} conduits that never send start are bounded in number and memory, and others are served`, async () => {
  const environment = {
    HOLDFAST_HANDSHAKE_TIMEOUT: "1m",
    HOLDFAST_TRANSPORT: "hardened",
    HOLDFAST_HANDSHAKES_PER_ADDRESS: "10000",
  };
  await besideEchoes(environment, async (server) => {
    const before = await server.residentBytes();
    const silent: Deno.TcpConn[] = [];
    try {
      while (silent.length < SILENT) {
        const some = Array.from({ length: 100 }, () => upgrade(server, "holdfast.v1.msgpack"));
        silent.push(...await Promise.all(some));
        if (silent.length % 2_500 !== 0) continue;
        const late = new ForeignClient({ url: () => `ws://127.0.0.1:${server.port}/v1/connect` });
        late.start();
        await late.until("a newcomer's session", () => late.counts.established === 1, 5_000);
        late.produce(5);
        await late.until("a newcomer's echoes", () => late.echoed >= 5, 5_000);
        await late.stop();
      }
      const growth = await server.residentBytes() - before;
      console.log(`resident memory grew by ${Math.round(growth / MIB)} MiB`);
      assert.ok(growth < SILENT_BYTES, `grew by ${Math.round(growth / MIB)} MiB`);
      // Those that were closed are counted until their peers had time to answer.
      const settled = Date.now() + 10_000;
      while (await gauge(server, "holdfast_conduits") > SILENT_AT_ONCE + 10 && Date.now() < settled) {
        await new Promise((resolve) => setTimeout(resolve, 200));
      }
      assert.ok(await gauge(server, "holdfast_conduits") <= SILENT_AT_ONCE + 10);
    } finally {
      for (const connection of silent) connection.close();
    }
  });
});

Deno.test("a start that drips in, and a request that never ends, hold up nobody and are given up", async () => {
  await besideEchoes({ HOLDFAST_HANDSHAKE_TIMEOUT: "1s", HOLDFAST_TRANSPORT: "hardened" }, async (server) => {
    const slow: Deno.TcpConn[] = [];
    try {
      for (let i = 0; i < 200; i++) {
        const connection = await Deno.connect({ hostname: server.hostname, port: server.port });
        await connection.write(new TextEncoder().encode("GET /v1/connect HTTP/1.1\r\nHost: "));
        slow.push(connection);
      }
      const dripping = await Promise.all(
        Array.from({ length: 50 }, () => upgrade(server, "holdfast.v1.json")),
      );
      slow.push(...dripping);
      // A masked text frame of 100 bytes, of which one byte comes now and the rest never.
      for (const connection of dripping) {
        await connection.write(new Uint8Array([0x81, 0x80 | 100, 1, 2, 3, 4, 0x5a]));
      }
      for (const connection of dripping) {
        const heard = await connection.read(new Uint8Array(1024));
        assert.ok(heard !== null && heard > 0, "it is told that no start came");
      }
    } finally {
      for (const connection of slow) connection.close();
    }
  });
});

Deno.test("random paths and headers are answered with a status of theirs or a closed connection", async () => {
  const random = new SeededRandom(4);
  const text = (most: number) => {
    const bytes = random.bytes(1 + (random.bytes(1)[0]! % most));
    return Array.from(bytes, (byte) => String.fromCharCode(33 + byte % 94)).join("");
  };
  await besideEchoes({}, async (server) => {
    const seen = new Set<number>();
    for (let i = 0; i < 400; i++) {
      const path = i % 3 === 0 ? "/v1/connect" : `/${text(i % 7 === 0 ? 2_000 : 40)}`;
      const names = [
        "Authorization",
        "Origin",
        "Sec-WebSocket-Protocol",
        "Sec-WebSocket-Key",
        "X-Forwarded-For",
      ];
      const odd = Object.fromEntries(
        names.filter((_, at) => (i >> at) % 2 === 1).map((name) => [name, text(60)]),
      );
      const headers = { ...(i % 2 === 0 ? UPGRADE_HEADERS : {}), Connection: "close", ...odd };
      try {
        seen.add((await request(server, path, headers)).status);
      } catch (error) {
        // What is no HTTP at all gets no answer.
        assert.match(String(error), /closed in the middle|Connection reset|Broken pipe/);
      }
    }
    for (const status of seen) assert.ok(status >= 200 && status < 500, `status ${status}`);
    assert.ok(seen.has(404) && seen.has(426), [...seen].join());
  });
});

Deno.test("with HOLDFAST_AUTH=jwt a token opens a session, none or a wrong one does not, and no line tells it", async () => {
  const server = await ServerProcess.start({
    HOLDFAST_AUTH: "jwt",
    HOLDFAST_JWT_SECRET: SECRET,
    HOLDFAST_JWT_ISSUER: EXPECTED.issuer,
    HOLDFAST_JWT_AUDIENCE: EXPECTED.audience,
    HOLDFAST_LOG_LEVEL: "debug",
  });
  try {
    const good = await signed(claimsAt(Date.now()));
    const wrong = await signed(claimsAt(Date.now()), "f".repeat(32));
    const expired = await signed(claimsAt(Date.now(), -1_000));
    const outcome = (auth: string | undefined, bearer?: string) =>
      new Promise<string>((resolve, reject) => {
        const headers: Record<string, string> = bearer === undefined
          ? {}
          : { authorization: `Bearer ${bearer}` };
        const url = `ws://127.0.0.1:${server.port}/v1/connect`;
        const socket = new PeerSocket(url, "holdfast.v1.json", { headers });
        let told = "";
        socket.on("open", () => {
          const credentials = auth === undefined ? {} : { auth };
          socket.send(
            JSON.stringify(["start", { version: 1, challenge: crypto.randomUUID(), ...credentials }]),
          );
        });
        socket.on("message", (data: unknown) => {
          const [kind, fields] = JSON.parse(String(data).split("\n")[0]!);
          told = kind === "refused" ? fields.reason : kind;
          if (kind === "established") socket.close();
        });
        socket.on("close", (code: number) => resolve(code > 4000 ? `${told} ${code}` : told));
        socket.on("error", reject);
      });
    assert.equal(await outcome(good), "established");
    assert.equal(await outcome(undefined, good), "established");
    for (const auth of [undefined, wrong, expired, "x"]) {
      assert.equal(await outcome(auth), "unauthorized 4601");
    }
    for (const line of server.log) {
      for (const secret of [good, wrong, expired, SECRET]) assert.ok(!JSON.stringify(line).includes(secret));
    }
  } finally {
    await server.dispose();
  }
});
