/**
 * `deno run -A bench/admin.ts`: what the admin API costs.
 *
 * - Lists 100 of 100,000 sessions on SQLite, without a filter and by state, each by the median of many requests.
 * - Lets one server echo with and without an operator who reads as two open admin pages do, in turns, and compares.
 *
 * `--rounds N` makes the second shorter or longer.
 */

import { parseArgs } from "node:util";
import { AdminNode } from "../tests/support/admin_node.ts";
import { FakeClock } from "../tests/support/fake_clock.ts";
import { aSession } from "../tests/support/stored_sessions.ts";
import { encodeCore, encodeIdentity } from "../src/storage/session_record.ts";
import { attachedKey, nodeKey, sessionKey } from "../src/storage/keys.ts";
import { openKvSessionStore } from "../src/storage/kv_session_store.ts";
import type { Put, SessionStore } from "../src/storage/session_store.ts";
import { systemClock } from "../src/system/clock.ts";
import { base64url } from "../src/system/random.ts";
import { pack } from "../src/protocol/pack.ts";
import type { LoadResult } from "./load_options.ts";
import { runLoad, Server } from "./processes.ts";
import { median } from "./tables.ts";

const { values } = parseArgs({
  options: { rounds: { type: "string", default: "5" } },
});
const sessions = 100_000;
const rounds = Number(values.rounds);

/** Rows of one atomic. */
const BATCH = 200;
const NOTHING = new Uint8Array(0);
const FAR = 8_640_000_000_000_000;

/** Every tenth session is attached to the node `boot-other`. */
async function fill(store: SessionStore): Promise<void> {
  const { principal, createdAt, challenge, provisionalUntil, settings } = aSession({}, Date.now());
  const value = pack(["other", FAR]);
  await store.atomic({ checks: [], puts: [{ key: nodeKey("boot-other"), value }], deletes: [] });
  for (let at = 0; at < sessions; at += BATCH) {
    const puts: Put[] = [];
    for (let n = at; n < Math.min(at + BATCH, sessions); n++) {
      const id = base64url(crypto.getRandomValues(new Uint8Array(16)));
      const attached = n % 10 === 0;
      const core = encodeCore({
        attempt: { boot: "boot-other", epoch: 1, flush: 2 },
        attachedTo: attached ? "boot-other" : null,
        deadline: null,
        pendingAt: null,
        identity: encodeIdentity({ id, principal, createdAt, challenge, provisionalUntil, settings }),
        tokens: { current: "c".repeat(43), successors: [], retired: Array(8).fill("r".repeat(43)) },
        received: 10,
        acked: 10,
        detachedAt: attached ? null : createdAt,
        movedAt: createdAt,
        highestOwn: 0,
        highestPeer: 1,
        segments: [],
        tail: NOTHING,
        work: [],
        spill: null,
      });
      puts.push({ key: sessionKey(id), value: core });
      if (attached) puts.push({ key: attachedKey("boot-other", id), value: NOTHING });
    }
    await store.atomic({ checks: [], puts, deletes: [] });
  }
}

async function timed(admin: AdminNode, path: string): Promise<number> {
  const before = performance.now();
  const { sessions } = await admin.get(path);
  if (sessions.length !== 100) throw new Error(`${path} gave ${sessions.length} sessions`);
  return performance.now() - before;
}

async function listing(): Promise<void> {
  const directory = await Deno.makeTempDir({ prefix: "holdfast-bench-" });
  const store = await openKvSessionStore(`${directory}/store.sqlite3`, { clock: systemClock });
  try {
    await fill(store);
    const admin = new AdminNode({ store, clock: new FakeClock(Date.now()) });
    for (const query of ["", "&state=attached", "&node=other", "&minAge=0"]) {
      const path = `/v1/admin/sessions?limit=100${query}`;
      const times: number[] = [];
      let next: string | null = null;
      for (let i = 0; i < 60; i++) {
        const at: string = next === null ? path : `${path}&cursor=${next}`;
        const took = await timed(admin, at);
        next = (await admin.get(at)).next;
        if (i >= 10) times.push(took);
      }
      console.log(`100 of ${sessions}${query}: median ${median(times).toFixed(1)} ms (at most 20)`);
    }
  } finally {
    store.close();
    await Deno.remove(directory, { recursive: true });
  }
}

const TOKEN = "an-admin-token-of-the-bench";

async function reading<T>(url: string, work: () => Promise<T>): Promise<T> {
  const headers = { authorization: `Bearer ${TOKEN}` };
  let reads = Promise.resolve();
  const timer = setInterval(() => {
    reads = reads.then(async () => {
      for (const path of ["sessions?limit=100", "node"]) {
        const response = await fetch(`${url}/v1/admin/${path}`, { headers });
        if (!response.ok) throw new Error(`${path}: ${response.status} ${await response.text()}`);
        await response.body?.cancel();
      }
    });
  }, 500);
  try {
    return await work();
  } finally {
    clearInterval(timer);
    await reads;
  }
}

function echoesPerCpu({ messagesPerSecond, serverCpu }: LoadResult): number {
  return messagesPerSecond / (serverCpu ?? NaN);
}

async function echoing(): Promise<void> {
  await using server = await Server.start("holdfast", { env: { HOLDFAST_ADMIN_TOKEN: TOKEN } });
  const run = async () => {
    const shape = { system: "durable", sockets: 50, inFlight: 8, warmUp: 500, duration: 2_000 } as const;
    return await runLoad({ ...shape, url: server.url, pid: server.pid });
  };
  const ratios: number[] = [];
  const perCpu: number[] = [];
  for (let round = 0; round < rounds; round++) {
    // Each order as often as the other: what is run first is not favoured.
    const first = round % 2 === 0 ? await run() : await reading(server.url, run);
    const second = round % 2 === 0 ? await reading(server.url, run) : await run();
    const [alone, read] = round % 2 === 0 ? [first, second] : [second, first];
    const speeds = [alone, read].map(({ messagesPerSecond }) => Math.round(messagesPerSecond));
    console.log(`echoes/s: ${speeds[0]} alone, ${speeds[1]} while an operator reads`);
    ratios.push(read.messagesPerSecond / alone.messagesPerSecond);
    perCpu.push(echoesPerCpu(read) / echoesPerCpu(alone));
  }
  const percent = (values: readonly number[]) => `${(median(values) * 100).toFixed(1)} %`;
  console.log(`echo throughput while an operator reads: ${percent(ratios)} (at least 95)`);
  // Less disturbed by what else the machine does.
  console.log(`echoes per second of the server's processor time: ${percent(perCpu)}`);
}

await listing();
await echoing();
