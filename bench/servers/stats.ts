/** What a server of the bench tells about itself, on a port of its own, so that measuring needs no route of the product. */

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
 * `stats at URL`.
 *
 * @throws Error on a request for `/collected` in a process that was started without `--v8-flags=--expose-gc`.
 */
export function serveStats(counts: KvCounts): void {
  Deno.serve({
    port: 0,
    hostname: "127.0.0.1",
    onListen: ({ port }) => console.log(`stats at http://127.0.0.1:${port}`),
  }, async (request) => {
    if (new URL(request.url).pathname === "/collected") await collect();
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
