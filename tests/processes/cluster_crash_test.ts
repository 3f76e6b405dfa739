/** Nodes of a cluster that crash one after the other under load, and stay away for a while, over one store. */

import assert from "node:assert/strict";
import { connect, exponentialBackoff, type Session } from "../../src/client/mod.ts";
import { RpcError } from "../../src/protocol/rpc_error.ts";
import type { demoService } from "../../src/service/demo.ts";
import { assertNoErrors, withCluster } from "../support/cluster.ts";
import { manyNumbers, underLoad } from "../support/numbers.ts";
import { SeededRandom } from "../support/seeded_random.ts";
import type { ServerProcess } from "../support/server_process.ts";
import { Weather } from "../support/weather.ts";

const KILLS = 6;
const SESSIONS = 18;
const CALLERS = 4;
/** Calls of one caller that wait for their answers at once. */
const IN_FLIGHT = 3;
/** Milliseconds. */
const LONGEST_AWAY_MS = 1_500;

// @rule resume.anywhere
// @rule resume.repeat
// @rule resume.committed
// @rule call.restart
// @rule call.operation
Deno.test("six SIGKILLs of nodes that share a store: other nodes take their sessions over, echoes and effects come once", async () => {
  await withCluster(3, async ({ nodes, proxy, url }) => {
    const random = new SeededRandom(6_009);
    const weather = new Weather(proxy, random.fork(), 300);
    const numbers = manyNumbers(SESSIONS, url, random);
    const callers = Array.from({ length: CALLERS }, (_, index) => new Caller(url, index, random.fork()));
    const places = [...numbers, ...callers].map(({ session }) => new Place(session));
    const over = Promise.withResolvers<void>();
    const calling = Promise.allSettled(callers.map((each) => each.run(over.promise)));
    const moved: number[] = [];
    const killed = new Set<ServerProcess>();
    try {
      const crashes = async () => {
        weather.begin();
        try {
          for (let kill = 0; kill < KILLS; kill++) {
            await pause(random.between(700, 1_100));
            const node = nodes[random.chance(0.7) ? kill % nodes.length : random.int(nodes.length)]!;
            const others = nodes.filter((each) => each !== node).map(idOf);
            assertNoErrors(node);
            const lost = places.filter((place) => place.node === idOf(node));
            await node.kill();
            killed.add(node);
            await pause(random.int(LONGEST_AWAY_MS));
            await node.restart();
            moved.push(lost.filter((place) => others.includes(place.node ?? "")).length);
          }
          await pause(700);
        } finally {
          weather.end();
          over.resolve();
        }
      };
      const load = await underLoad(numbers, crashes);
      for (const each of await calling) if (each.status === "rejected") throw each.reason;
      const calls = callers.reduce((sum, each) => sum + each.answered, 0);
      console.log(`crashes in a cluster: ${JSON.stringify({ ...load, calls, moved, ...weather.counts })}`);
      const movedInAll = moved.reduce((sum, each) => sum + each, 0);
      assert.equal(killed.size, nodes.length, "a node was never killed");
      assert.ok(
        movedInAll >= SESSIONS,
        `only ${movedInAll} sessions went to another node while theirs was away`,
      );
      await assertOnceEach(callers, url);
    } finally {
      over.resolve();
      await Promise.all(callers.map(({ session }) => session.close()));
    }
  });
});

/** Where a session was established last. */
class Place {
  node: string | null = null;

  constructor(session: Session) {
    session.on("connected", ({ node }) => void (this.node = node));
    session.on("resumed", ({ node }) => void (this.node = node));
  }
}

/** A session that adds 1 to a total of its own and to one of everybody's, with and without operation keys. */
class Caller {
  readonly session: Session;
  answered = 0;
  /** The totals that calls were answered with, by name. */
  readonly totals = new Map<string, number[]>();
  readonly #lost = Promise.withResolvers<never>();
  readonly #index: number;
  readonly #random: SeededRandom;

  constructor(url: string, index: number, random: SeededRandom) {
    this.session = connect(url, { reconnect: exponentialBackoff({ least: 20, first: 100, most: 500 }) });
    this.session.on("lost", ({ reason, detail }) => {
      this.#lost.reject(new Error(`the session of a caller was lost: ${reason} ${detail}`));
    });
    this.#index = index;
    this.#random = random;
  }

  /** Calls until `until` settles. @throws RpcError for the first call that fails: none of these may, but for contention. */
  async run(until: Promise<void>): Promise<void> {
    let running = true;
    void until.then(() => running = false);
    const demo = this.session.open<ReturnType<typeof demoService>>("demo");
    let calls = 0;
    const lane = async () => {
      while (running) {
        const n = calls++;
        const name = n % 3 === 0 ? "everybody" : `caller ${this.#index}`;
        const argument = { name, by: 1 };
        const options = n % 2 === 0 ? { operation: `call ${n}` } : {};
        const total = await settled(() => demo.call("add", argument, options));
        this.totals.set(name, [...this.totals.get(name) ?? [], total]);
        this.answered++;
        // The same operation once more has no effect, and the same answer.
        if (n % 4 === 0) assert.equal(await settled(() => demo.call("add", argument, options)), total);
        await pause(this.#random.int(40));
      }
    };
    await Promise.race([Promise.all(Array.from({ length: IN_FLIGHT }, lane)), this.#lost.promise]);
  }
}

/** Calls again while the answer is `unavailable`: nothing was done then. */
async function settled<T>(call: () => Promise<T>): Promise<T> {
  for (;;) {
    try {
      return await call();
    } catch (error) {
      if (!(error instanceof RpcError) || error.code !== "unavailable") throw error;
    }
  }
}

/** Asserts that each answer was a total of its own and that no effect is missing or too many. */
async function assertOnceEach(callers: readonly Caller[], url: string): Promise<void> {
  const session = connect(url);
  try {
    const demo = session.open<ReturnType<typeof demoService>>("demo");
    for (const name of new Set(callers.flatMap(({ totals }) => [...totals.keys()]))) {
      const seen = callers.flatMap(({ totals }) => totals.get(name) ?? []).sort((a, b) => a - b);
      assert.deepEqual(seen, seen.map((_, n) => n + 1), name);
      assert.equal(await demo.call("get", { name }), seen.length, name);
    }
  } finally {
    await session.close();
  }
}

/** What a node calls itself in its present run. */
function idOf(node: ServerProcess): string {
  const started = node.stderr.find((line) => line.includes('"event":"started"'));
  return String(JSON.parse(started ?? "{}").node);
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => void setTimeout(resolve, ms));
}
