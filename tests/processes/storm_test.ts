/** The promise of the whole: 20 sessions, conduits that break in every way, ten SIGKILLs, and nothing lost or doubled. */

import assert from "node:assert/strict";
import { connect, type Connection, exponentialBackoff, type Session } from "../../src/client/mod.ts";
import { SeededRandom } from "../support/seeded_random.ts";
import { ServerProcess } from "../support/server_process.ts";
import { Storm } from "../support/storm.ts";
import { TcpFaultProxy } from "../support/tcp_fault_proxy.ts";

const SESSIONS = 20;
const KILLS = 10;

/** How long the last echoes may take once the weather is calm. Milliseconds. */
const CALM_MS = 20_000;

/** One session: sends 1, 2, 3, … until it is told to stop, and judges what comes back. */
class Numbers {
  sent = 0;
  echoed = 0;
  resumed = 0;
  replayed = 0;
  detached = 0;
  /** The first thing that must not happen; null while nothing did. */
  failure: string | null = null;
  readonly session: Session;
  readonly #connection: Connection;
  readonly #random: SeededRandom;
  #stopping = false;

  constructor(url: string, encoding: "msgpack" | "json", random: SeededRandom) {
    this.#random = random;
    // The default waits up to 30 s after many failures in a row; this test has its storm in half a minute.
    const reconnect = exponentialBackoff({ least: 20, first: 100, most: 500 });
    this.session = connect(url, { encoding, reconnect });
    this.session.on("resumed", ({ replayed }) => {
      this.resumed++;
      this.replayed += replayed;
    });
    this.session.on("detached", () => void this.detached++);
    this.session.on("lost", ({ reason, detail }) => this.#fail(`lost: ${reason}: ${detail}`));
    this.session.on("taken-over", () => this.#fail("taken over"));
    this.session.on("ended", ({ reason, detail }) => {
      if (!this.#stopping) this.#fail(`ended: ${reason}: ${detail}`);
    });
    this.#connection = this.session.open("echo");
  }

  /** Sends until `until` settles, then resolves when everything came back, or something failed. */
  async run(until: Promise<void>): Promise<void> {
    let sending = true;
    const stop = until.then(() => void (sending = false));
    const received = this.#receive(() => !sending && this.echoed === this.sent);
    while (sending && this.failure === null) {
      const burst = this.#random.between(1, 8);
      for (let n = 0; n < burst && sending; n++) {
        const number = ++this.sent;
        await this.#connection.send({ number, pad: "x".repeat(number % 90) });
      }
      await pause(this.#random.between(5, 30));
    }
    await stop;
    if (this.echoed < this.sent) await received;
  }

  async close(): Promise<void> {
    this.#stopping = true;
    await this.session.close();
  }

  async #receive(complete: () => boolean): Promise<void> {
    for await (const body of this.#connection) {
      const { number, pad } = body as { number: number; pad: string };
      if (number !== this.echoed + 1) return this.#fail(`${number} came after ${this.echoed}`);
      if (pad !== "x".repeat(number % 90)) return this.#fail(`${number} came back changed`);
      this.echoed = number;
      if (complete()) return;
    }
    this.#fail("the connection ended");
  }

  #fail(what: string): void {
    this.failure ??= what;
  }
}

// @rule delivery.sequence
// @rule delivery.order
// @rule delivery.retain
// @rule resume.repeat
// @rule resume.exchange
// @rule resume.takeover
// @rule keepalive.ping
Deno.test("20 sessions get every message echoed exactly once, in order, through broken conduits and ten SIGKILLs", async () => {
  const random = new SeededRandom(77_001);
  const server = await ServerProcess.start({
    HOLDFAST_KEEPALIVE_INTERVAL: "500ms",
    HOLDFAST_KEEPALIVE_TIMEOUT: "500ms",
    HOLDFAST_HANDSHAKE_TIMEOUT: "1s",
    HOLDFAST_PARK_AFTER: "300ms",
  });
  const proxy = await TcpFaultProxy.listen({ hostname: server.hostname, port: server.port });
  const sessions = Array.from({ length: SESSIONS }, (_, index) => {
    return new Numbers(`http://127.0.0.1:${proxy.port}`, index % 2 === 0 ? "msgpack" : "json", random.fork());
  });
  const storm = new Storm({ proxy, server, random, kills: KILLS, between: 1_200 });
  try {
    const weather = storm.run();
    const late = deadline(weather, CALM_MS);
    await Promise.race([Promise.all(sessions.map((each) => each.run(weather))), late.reached]);
    late.cancel();
    console.log(JSON.stringify({
      messages: sum(sessions, (each) => each.sent),
      resumed: sum(sessions, (each) => each.resumed),
      replayed: sum(sessions, (each) => each.replayed),
      detached: sum(sessions, (each) => each.detached),
      ...storm.counts,
    }));
    for (const [index, each] of sessions.entries()) {
      assert.equal(each.failure, null, `session ${index}`);
      assert.equal(each.echoed, each.sent, `session ${index} waits, in phase ${each.session.phase}`);
      assert.ok(each.sent > 100, `session ${index} sent only ${each.sent} messages`);
      assert.ok(each.resumed >= 5, `session ${index} resumed only ${each.resumed} times`);
    }
    assert.equal(new Set(sessions.map((each) => each.session.id)).size, SESSIONS);
    assert.equal(storm.counts.kills, KILLS);
    for (
      const kind of [
        "reset",
        "finish",
        "halfOpen",
        "stall",
        "withinUpgrade",
        "withinHandshake",
        "withinReplay",
      ] as const
    ) {
      assert.ok(storm.counts[kind] > 0, `the storm had no ${kind}`);
    }
  } finally {
    await Promise.all(sessions.map((each) => each.close()));
    await proxy.close();
    await server.dispose();
  }
});

/** A promise that resolves `ms` after `started` did; what is not done by then is judged as it stands. */
function deadline(
  started: Promise<void>,
  ms: number,
): { readonly reached: Promise<void>; readonly cancel: () => void } {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const reached = started.then(() => new Promise<void>((resolve) => void (timer = setTimeout(resolve, ms))));
  return { reached, cancel: () => clearTimeout(timer) };
}

function sum<T>(items: readonly T[], of: (item: T) => number): number {
  return items.reduce((total, item) => total + of(item), 0);
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => void setTimeout(resolve, ms));
}
