/** Hostile frames on a live server process, beside sessions that must notice nothing. */

import { ForeignClient } from "../support/foreign_client.ts";
import { Numbers } from "../support/numbers.ts";
import { SeededRandom } from "../support/seeded_random.ts";
import { ServerProcess } from "../support/server_process.ts";
import { type FuzzCounts, HostilePeer, noFuzzCounts, type SessionPool } from "./hostile_peer.ts";
import { lateMeans, memoryProblems, mib, Resident } from "./resident.ts";

/** How much, from which seed, at what. */
export interface FuzzOptions {
  /** Mutated frames that the server shall have judged. */
  readonly frames: number;
  readonly seed: number;
  readonly transport: "native" | "hardened";
  /** Hostile conduits at a time. */
  readonly peers?: number;
  /** How long the server is left alone before its memory is looked at for the last time; milliseconds. */
  readonly settle?: number;
  /** Told every few seconds how far it is. */
  readonly progress?: (line: string) => void;
}

/** What a run showed. Sizes are bytes, times milliseconds. */
export interface FuzzReport extends FuzzCounts {
  readonly seed: number;
  readonly transport: string;
  readonly took: number;
  readonly resident: {
    readonly before: number;
    readonly most: number;
    /** The means of the last two quarters of the attack; null where it was short. */
    readonly late: readonly [number, number] | null;
    readonly after: number;
  };
  /** Sessions of well-behaved clients, and their echoes. */
  readonly bystanders: number;
  readonly echoes: number;
  /** What must not be; empty when all is well. */
  readonly problems: readonly string[];
}

/** Stored sessions go after this, so that a long run shows whether memory and store come back. */
const RESUME_WINDOW_MS = 3_000;

/** A frame may end its conduit in these ways; 1006 where the close was lost because more frames were on their way. */
const EXPECTED_CODES: readonly number[] = [1000, 1006, 1009, 4500, 4501, 4510, 4600];

const BYSTANDERS = 6;

/**
 * Runs until the server judged so many mutated frames.
 *
 * @throws Error if a hostile peer is neither answered nor closed, with its last frames.
 */
export async function fuzz(options: FuzzOptions): Promise<FuzzReport> {
  const random = new SeededRandom(options.seed);
  const server = await ServerProcess.start({
    HOLDFAST_TRANSPORT: options.transport,
    HOLDFAST_RESUME_WINDOW: `${RESUME_WINDOW_MS}ms`,
    HOLDFAST_PARK_AFTER: "500ms",
    // Each protocol error is a line of its own at lower levels.
    HOLDFAST_LOG_LEVEL: "error",
  });
  const counts = noFuzzCounts();
  const bystanders = new Bystanders(server, random.fork());
  const resident = new Resident(server);
  try {
    await bystanders.begin();
    await resident.begin();
    const pool: SessionPool = [];
    const url = `ws://127.0.0.1:${server.port}/v1/connect`;
    const begun = performance.now();
    let told = begun;
    let failed = false;
    const enough = () => {
      const now = performance.now();
      if (options.progress !== undefined && now - told > 5_000) {
        told = now;
        const seconds = Math.round((now - begun) / 1000);
        const waited = Math.round(counts.longest);
        options.progress(
          `${counts.judged} frames in ${seconds} s, ${
            mib(resident.last)
          } resident, longest wait ${waited} ms`,
        );
      }
      return failed || counts.judged >= options.frames;
    };
    const peers = Array.from({ length: options.peers ?? 24 }, () => {
      return new HostilePeer({ url, victims: bystanders.ids }, random.fork(), counts, pool);
    });
    const ended = await Promise.allSettled(peers.map((peer) => {
      return peer.run(enough).catch((error) => {
        failed = true;
        throw error;
      });
    }));
    const took = performance.now() - begun;
    for (const each of ended) if (each.status === "rejected") throw each.reason;
    // Without the quiet that follows, in which memory only comes back.
    const looks = [...resident.looks];
    await pause(options.settle ?? 3 * RESUME_WINDOW_MS);
    const after = await resident.end();
    const problems = [
      ...await bystanders.end(),
      ...await problemsOf(server, counts),
      ...memoryProblems(looks, took),
    ];
    return {
      ...counts,
      seed: options.seed,
      transport: options.transport,
      took,
      resident: { before: resident.before, most: resident.most, late: lateMeans(looks, took), after },
      bystanders: BYSTANDERS,
      echoes: bystanders.echoes,
      problems,
    };
  } finally {
    await resident.end();
    await bystanders.end();
    await server.dispose();
  }
}

/** The report as a person reads it. */
export function describe(report: FuzzReport): string {
  const { before, most, late, after } = report.resident;
  const codes = [...report.codes].sort(([a], [b]) => a - b).map(([code, n]) => `${n} × ${code}`).join(", ");
  const quarters = late === null ? "" : ` (means of the last quarters: ${late.map(mib).join(", ")})`;
  return [
    `seed ${report.seed}, ${report.transport} transport`,
    `${report.judged} mutated frames judged (${report.early} of them as first frames), ${report.unread} more sent after an end`,
    `${Math.round(report.judged / report.took * 1000)} frames/s in ${Math.round(report.took / 1000)} s`,
    `${report.conduits} conduits, ${report.established} established, ${report.resumed} of them resumed`,
    `closes: ${codes}`,
    `results: ${listed(report.results)}; ${report.items} items`,
    `failures: ${listed(report.failures)}`,
    `longest wait for an answer or a close: ${Math.round(report.longest)} ms`,
    `resident: ${mib(before)} before, ${mib(most)} at most${quarters}, ${mib(after)} after`,
    `${report.bystanders} bystanders, ${report.echoes} echoes, all exactly once: ${
      report.problems.length === 0
    }`,
    ...report.problems.map((problem) => `PROBLEM: ${problem}`),
  ].join("\n");
}

function listed(counts: ReadonlyMap<string, number>): string {
  return [...counts].sort(([, a], [, b]) => b - a).map(([name, n]) => `${n} × ${name}`).join(", ");
}

async function problemsOf(server: ServerProcess, counts: FuzzCounts): Promise<string[]> {
  const problems = server.stderr.map((line) => `the server said: ${line}`);
  for (const [code, count] of counts.codes) {
    if (!EXPECTED_CODES.includes(code)) problems.push(`${count} conduits closed with ${code}`);
  }
  const response = await fetch(`${server.url}/healthz`);
  await response.body?.cancel();
  if (response.status !== 200) problems.push(`/healthz answers ${response.status}`);
  return problems;
}

/** Well-behaved sessions of both kinds of client, which send all the time. */
class Bystanders {
  readonly #foreign: readonly ForeignClient[];
  readonly #numbers: readonly Numbers[];
  readonly #over = Promise.withResolvers<void>();
  #running: Promise<unknown> | null = null;
  #producer: ReturnType<typeof setInterval> | undefined;
  #problems: Promise<string[]> | null = null;

  constructor(server: ServerProcess, random: SeededRandom) {
    const url = `ws://127.0.0.1:${server.port}/v1/connect`;
    this.#foreign = Array.from({ length: BYSTANDERS / 2 }, () => new ForeignClient({ url: () => url }));
    this.#numbers = Array.from({ length: BYSTANDERS / 2 }, (_, index) => {
      return new Numbers(server.url, index % 2 === 0 ? "msgpack" : "json", random.fork());
    });
  }

  /** The public ids of their sessions. */
  get ids(): string[] {
    return [...this.#foreign, ...this.#numbers.map((each) => each.session)].map((each) => {
      const id = "session" in each ? each.session : each.id;
      if (id === null) throw new Error("a bystander has no session yet");
      return id;
    });
  }

  get echoes(): number {
    return [...this.#foreign, ...this.#numbers].reduce((sum, each) => sum + each.echoed, 0);
  }

  async begin(): Promise<void> {
    this.#producer = setInterval(() => {
      for (const client of this.#foreign) client.produce(1);
    }, 20);
    for (const client of this.#foreign) client.start();
    this.#running = Promise.all(this.#numbers.map((each) => each.run(this.#over.promise)));
    for (const client of this.#foreign) {
      await client.until("the first echoes", () => client.echoed > 5, 10_000);
    }
  }

  /** Stops them once everything came back, and says what was wrong. Later calls give the same. */
  end(): Promise<string[]> {
    return this.#problems ??= this.#end();
  }

  async #end(): Promise<string[]> {
    clearInterval(this.#producer);
    this.#over.resolve();
    const problems: string[] = [];
    for (const client of this.#foreign) {
      const complete = () => client.echoed === client.produced && client.unacked === 0;
      await client.until("all echoes", complete, 10_000).catch((error) => problems.push(String(error)));
      if (client.counts.established !== 1) problems.push(`a bystander was disturbed: ${client.describe()}`);
      await client.stop();
    }
    // A session that hangs is a problem to tell, not the end of telling; it is real, and so is the time.
    const late = Promise.withResolvers<void>();
    const timer = setTimeout(late.resolve, 10_000);
    await Promise.race([this.#running, late.promise]);
    clearTimeout(timer);
    for (const { failure, sent, echoed, counts, session } of this.#numbers) {
      if (failure !== null) problems.push(`a bystander: ${failure}`);
      if (sent !== echoed) {
        problems.push(`a bystander got ${echoed} of ${sent} echoes, in phase ${session.phase}`);
      }
      if (counts.detached > 0) problems.push(`a bystander was detached ${counts.detached} times`);
    }
    await Promise.all(this.#numbers.map((each) => each.close()));
    return problems;
  }
}

/** For the memory of a real process, whose resume windows run by its own clock. */
function pause(ms: number): Promise<void> {
  return new Promise((resolve) => void setTimeout(resolve, ms));
}
