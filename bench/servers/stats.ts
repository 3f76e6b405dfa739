/** What a server of the bench tells about itself, on a port of its own, so that measuring needs no route of the product. */

import type { Session } from "node:inspector";
import type { CpuProfile, TakenProfile } from "../rivals/profile.ts";

/** Calls of Deno KV since the process began. */
export interface KvCounts {
  atomics: number;
  /** Sets and deletes of those atomics. */
  mutations: number;
}

/** The answer of the side port. Memory in bytes, after a full collection if the request asked for one. */
export interface ServerStats extends KvCounts {
  readonly rss: number;
  readonly heapUsed: number;
  readonly external: number;
}

/**
 * Counts Deno KV's atomics and mutations where they leave for the platform, so that no counter of the code under test
 * has to be believed.
 */
export function countKv(): KvCounts {
  const counts: KvCounts = { atomics: 0, mutations: 0 };
  const prototype = Deno.AtomicOperation.prototype;
  const { set, delete: remove, commit } = prototype;
  prototype.set = function (...given: Parameters<typeof set>) {
    counts.mutations++;
    return set.apply(this, given);
  };
  prototype.delete = function (...given: Parameters<typeof remove>) {
    counts.mutations++;
    return remove.apply(this, given);
  };
  prototype.commit = function () {
    counts.atomics++;
    return commit.call(this);
  };
  return counts;
}

/**
 * Serves {@link ServerStats} at `/`, and at `/collected` after full garbage collections, on a free loopback port; prints
 * `stats at URL`. `/profile/start` and `/profile/stop` take a CPU profile, `/heap` writes a heap snapshot to a file and
 * answers its path.
 *
 * @throws Error on a request for `/collected` in a process that was started without `--v8-flags=--expose-gc`.
 */
export function serveStats(counts: KvCounts): void {
  Deno.serve({
    port: 0,
    hostname: "127.0.0.1",
    onListen: ({ port }) => console.log(`stats at http://127.0.0.1:${port}`),
  }, async (request) => {
    switch (new URL(request.url).pathname) {
      case "/collected":
        await collect();
        break;
      case "/profile/start":
        await startProfile();
        break;
      case "/profile/stop":
        return Response.json(await stopProfile());
      case "/heap":
        await collect();
        return Response.json(await writeHeap());
    }
    const { rss, heapUsed, external } = Deno.memoryUsage();
    return Response.json({ ...counts, rss, heapUsed, external } satisfies ServerStats);
  });
}

/**
 * Finalizers run between turns and free more, so one collection is not all. Of the last two, with no turn between them, the
 * second one waits until the first has counted the buffers that it freed.
 */
async function collect(): Promise<void> {
  const { gc } = globalThis as { gc?: () => void };
  if (gc === undefined) throw new Error("start the process with --v8-flags=--expose-gc");
  for (let round = 0; round < 4; round++) {
    gc();
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  gc();
  gc();
}

/** Microseconds between two samples. */
const SAMPLED_EVERY = 200;

/** A profile that is being taken. */
let profiling: { readonly session: Session; readonly began: number } | undefined;

/** The profiler is loaded by those who want it: a server that is measured has none. */
async function startProfile(): Promise<void> {
  const { Session } = await import("node:inspector");
  const session = new Session();
  session.connect();
  await posted((done) => session.post("Profiler.enable", done));
  await posted((done) => session.post("Profiler.setSamplingInterval", { interval: SAMPLED_EVERY }, done));
  profiling = { session, began: performance.timeOrigin + performance.now() };
  await posted((done) => session.post("Profiler.start", done));
}

async function stopProfile(): Promise<TakenProfile> {
  if (profiling === undefined) throw new Error("no profile was begun");
  const { session, began } = profiling;
  profiling = undefined;
  const { profile } = await posted<{ profile: unknown }>((done) => session.post("Profiler.stop", done));
  session.disconnect();
  return { began, profile: profile as CpuProfile };
}

function posted<T>(post: (done: (error: Error | null, result?: T) => void) => void): Promise<T> {
  return new Promise((resolve, reject) => {
    post((error, result) => error === null || error === undefined ? resolve(result as T) : reject(error));
  });
}

async function writeHeap(): Promise<string> {
  const { writeHeapSnapshot } = await import("node:v8");
  return writeHeapSnapshot(`${await Deno.makeTempDir({ prefix: "holdfast-heap-" })}/server.heapsnapshot`);
}
