/** Calls through a storm: transactions take effect exactly once, and what cannot be known is said and counted. */

import assert from "node:assert/strict";
import { connect, type Session } from "../../src/client/mod.ts";
import { RpcError } from "../../src/protocol/rpc_error.ts";
import type { demoService } from "../../src/service/demo.ts";
import { SeededRandom } from "../support/seeded_random.ts";
import { ServerProcess } from "../support/server_process.ts";
import { Storm } from "../support/storm.ts";
import { TcpFaultProxy } from "../support/tcp_fault_proxy.ts";

type Demo = ReturnType<typeof demoService>;

const CLIENTS = 20;
const CALLS = 5_000;
const KILLS = 10;
/** Calls of one client that wait for their answers at once. */
const IN_FLIGHT = 4;

/** What a client's calls came to. */
interface Tally {
  ok: number;
  readonly failures: Map<string, number>;
}

/** Runs `each` for every client through a storm of ten SIGKILLs. */
async function inStorm(
  seed: number,
  each: (session: Session, client: number, random: SeededRandom) => Promise<void>,
  after: (url: string) => Promise<void>,
): Promise<void> {
  const random = new SeededRandom(seed);
  const server = await ServerProcess.start({
    HOLDFAST_KEEPALIVE_INTERVAL: "500ms",
    HOLDFAST_KEEPALIVE_TIMEOUT: "500ms",
    HOLDFAST_HANDSHAKE_TIMEOUT: "1s",
    HOLDFAST_PARK_AFTER: "300ms",
  });
  const proxy = await TcpFaultProxy.listen({ hostname: server.hostname, port: server.port });
  const sessions = Array.from({ length: CLIENTS }, () => connect(`http://127.0.0.1:${proxy.port}`));
  let resumed = 0;
  for (const session of sessions) {
    session.on("resumed", () => void resumed++);
    session.on("lost", ({ reason, detail }) => assert.fail(`lost: ${reason} ${detail}`));
  }
  const work = Promise.all(
    sessions.map((session, client) => each(session, client, new SeededRandom(seed + client))),
  );
  const storm = new Storm({ proxy, server, random, kills: KILLS, between: 1_200 });
  try {
    await Promise.all([storm.run(), work]);
    console.log(JSON.stringify({ resumed, ...storm.counts }));
    assert.equal(storm.counts.kills, KILLS);
    assert.ok(resumed >= CLIENTS, `only ${resumed} resumes`);
    await Promise.all(sessions.map((session) => session.close()));
    await after(server.url);
  } finally {
    await Promise.all(sessions.map((session) => session.close()));
    await proxy.close();
    await server.dispose();
  }
}

/** Makes `count` calls, some at once, spread over the storm. */
async function spread(count: number, call: (n: number) => Promise<void>): Promise<void> {
  let next = 0;
  const lane = async () => {
    while (next < count) await call(next++);
  };
  await Promise.all(Array.from({ length: IN_FLIGHT }, lane));
}

const pause = (ms: number) => new Promise((resolve) => void setTimeout(resolve, ms));

// @rule call.once, call.restart, call.operation
Deno.test("20 clients, 5,000 transactions, ten SIGKILLs: totals equal the calls answered, and none is indeterminate", async () => {
  const totals = new Map<string, number[]>();
  const tally: Tally = { ok: 0, failures: new Map() };
  await inStorm(31_007, async (session, client, random) => {
    const demo = session.open<Demo>("demo");
    await spread(CALLS / CLIENTS, async (n) => {
      // A key of everybody's, one of the client's own, and calls with and without an operation key.
      const name = n % 5 === 0 ? "everybody" : `client ${client}`;
      const options = n % 2 === 0 ? { operation: `${client}/${n}` } : {};
      try {
        const total = await demo.call("add", { name, by: 1 }, options);
        totals.set(name, [...totals.get(name) ?? [], total]);
        tally.ok++;
      } catch (error) {
        if (!(error instanceof RpcError)) throw error;
        tally.failures.set(error.code, (tally.failures.get(error.code) ?? 0) + 1);
      }
      await pause(random.int(150));
    });
  }, async (url) => {
    const session = connect(url);
    const demo = session.open<Demo>("demo");
    console.log(JSON.stringify({ ok: tally.ok, failures: [...tally.failures] }));
    assert.deepEqual([...tally.failures], []);
    assert.equal(tally.ok, CALLS);
    for (const [name, seen] of totals) {
      // Each answer is a total of its own: no effect is lost and none is doubled.
      assert.deepEqual(seen.sort((a, b) => a - b), seen.map((_, n) => n + 1), name);
      assert.equal(await demo.call("get", { name }), seen.length, name);
    }
    await session.close();
  });
});

// @rule call.restart
Deno.test("plain calls through the same storm are answered, or indeterminate: never silence, and each is counted", async () => {
  const tally: Tally = { ok: 0, failures: new Map() };
  let asked = 0;
  await inStorm(31_009, async (session, _, random) => {
    const demo = session.open<Demo>("demo");
    await spread(60, async (n) => {
      asked++;
      try {
        if (n % 3 === 0) await demo.call("slow", { ms: random.int(400) });
        else assert.equal(await demo.call("echo", n), n);
        tally.ok++;
      } catch (error) {
        if (!(error instanceof RpcError)) throw error;
        tally.failures.set(error.code, (tally.failures.get(error.code) ?? 0) + 1);
      }
      await pause(random.int(600));
    });
  }, () => {
    const failures = [...tally.failures.values()].reduce((sum, count) => sum + count, 0);
    console.log(JSON.stringify({ asked, ok: tally.ok, failures: [...tally.failures] }));
    assert.equal(tally.ok + failures, asked);
    assert.deepEqual([...tally.failures.keys()].filter((code) => code !== "indeterminate"), []);
    assert.ok(failures > 0, "no call was under way when a node was killed");
    assert.ok(tally.ok > asked / 2);
    return Promise.resolve();
  });
});
