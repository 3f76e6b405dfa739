/**
 * A server of KV Connect over one SQLite database, so that several nodes share a store in tests, with faults in between.
 *
 * In a test: `const server = await KvConnectServer.start({ path, token })`. As a process of its own:
 * `deno run -A tests/support/kv_connect_server.ts --port 0 --path FILE --token TOKEN` prints the URL; faults are then set
 * by `POST /faults` with a {@link FaultRequest} and the token. A client takes the token from `DENO_KV_ACCESS_TOKEN`.
 */

import { openKv } from "@deno/kv";
import { createHash } from "node:crypto";
import { parseArgs } from "node:util";

/** What happens to one atomic write. */
export type WriteFault =
  /** Not applied; 503, after which a client tries again by itself. */
  | "refuse"
  /** Applied; 503, after which a client tries again by itself, and its checks then fail. */
  | "drop_reply"
  /** Not applied; 400, which a client reports as a rejection. */
  | "reject"
  /** Applied; 400, which a client reports as a rejection. */
  | "reject_after";

/** What `POST /faults` takes; what is absent stays as it is. */
export interface FaultRequest {
  /** The next atomic writes meet these, one each; added to those still to come. */
  readonly writes?: readonly WriteFault[];
  /** While true, everything is answered 503 and nothing is applied. */
  readonly away?: boolean;
  /** Milliseconds by which each answer is delayed, after it was applied. */
  readonly delay?: number;
}

/** The part of the native package that takes and returns KV Connect's own encoding. */
interface NativeDatabase {
  readonly napi: {
    snapshotRead(database: number, request: Uint8Array, debug: boolean): Promise<Uint8Array>;
    atomicWrite(database: number, request: Uint8Array, debug: boolean): Promise<Uint8Array>;
    startWatch(database: number, request: Uint8Array, debug: boolean): Promise<number>;
    dequeueNextWatchMessage(database: number, watch: number, debug: boolean): Promise<Uint8Array | undefined>;
    endWatch(database: number, watch: number, debug: boolean): void;
  };
  readonly dbId: number;
  close(): void;
}

/** See the top of this file. */
export class KvConnectServer {
  readonly token: string;
  readonly #database: NativeDatabase;
  readonly #server: Deno.HttpServer<Deno.NetAddr>;
  readonly #databaseId: string;
  readonly #watches = new Set<number>();
  readonly #faults: WriteFault[] = [];
  readonly #delayed = new Map<ReturnType<typeof setTimeout>, () => void>();
  #away = false;
  #delay = 0;
  #holding: (() => Promise<void>) | undefined;

  /** Requests that came, faults included. */
  readonly calls = { metadata: 0, read: 0, write: 0, watch: 0 };

  /** @param options `path`: a file, created if absent (default: a database in memory); `port`: 0 picks one. */
  static async start(
    options: { readonly path?: string; readonly port?: number; readonly token: string },
  ): Promise<KvConnectServer> {
    const opened: unknown = await openKv(options.path ?? ":memory:", { implementation: "sqlite" });
    // A file is the same database after a restart of its server.
    const id = options.path === undefined ? crypto.randomUUID() : uuidOf(options.path);
    return new KvConnectServer(nativeDatabase(opened), id, options.token, options.port ?? 0);
  }

  private constructor(database: NativeDatabase, databaseId: string, token: string, port: number) {
    this.#database = database;
    this.#databaseId = databaseId;
    this.token = token;
    this.#server = Deno.serve(
      { hostname: "127.0.0.1", port, onListen: () => {} },
      (request) => this.#answer(request),
    );
  }

  /** Where it listens. */
  get url(): string {
    return `http://127.0.0.1:${this.#server.addr.port}`;
  }

  /** Sets faults from now on. */
  inject(faults: FaultRequest): void {
    this.#faults.push(...faults.writes ?? []);
    this.#away = faults.away ?? this.#away;
    this.#delay = faults.delay ?? this.#delay;
  }

  /** Holds the answer of the next request back until `release`; `reached` resolves when it has come. */
  holdNext(): { readonly reached: Promise<void>; readonly release: () => void } {
    const reached = Promise.withResolvers<void>();
    const { promise: released, resolve: release } = Promise.withResolvers<void>();
    this.#holding = () => {
      reached.resolve();
      return released;
    };
    return { reached: reached.promise, release };
  }

  /** Ends watches, delayed answers, the listener, and the database. */
  async close(): Promise<void> {
    for (const watch of this.#watches) this.#endWatch(watch);
    for (const [timer, resolve] of this.#delayed) {
      clearTimeout(timer);
      resolve();
    }
    await this.#server.shutdown();
    this.#database.close();
  }

  async #answer(request: Request): Promise<Response> {
    const { pathname } = new URL(request.url);
    const body = await wholeBody(request);
    // Its sender was killed in the middle of it, so nobody is told.
    if (body === null) return new Response("incomplete", { status: 400 });
    if (request.method !== "POST") return new Response("only POST", { status: 405 });
    if (request.headers.get("authorization") !== `Bearer ${this.token}`) {
      return new Response("wrong token", { status: 401 });
    }
    if (pathname === "/faults") {
      this.inject(JSON.parse(new TextDecoder().decode(body)));
      return new Response(null, { status: 204 });
    }
    if (this.#away) return new Response("away", { status: 503 });
    const response = await this.#perform(pathname, body);
    await this.#pause();
    const holding = this.#holding;
    this.#holding = undefined;
    await holding?.();
    return response;
  }

  async #perform(pathname: string, body: Uint8Array): Promise<Response> {
    const { napi, dbId } = this.#database;
    switch (pathname) {
      case "/":
        this.calls.metadata++;
        return Response.json(this.#metadata(body));
      case "/data/snapshot_read":
        this.calls.read++;
        return protobuf(await napi.snapshotRead(dbId, body, false));
      case "/data/atomic_write":
        this.calls.write++;
        return await this.#write(body);
      case "/data/watch":
        this.calls.watch++;
        return await this.#watch(body);
      default:
        return new Response("no such path", { status: 404 });
    }
  }

  #metadata(body: Uint8Array): unknown {
    const { supportedVersions } = JSON.parse(new TextDecoder().decode(body));
    return {
      version: supportedVersions.includes(3) ? 3 : 2,
      databaseId: this.#databaseId,
      endpoints: [{ url: `${this.url}/data`, consistency: "strong" }],
      token: this.token,
      expiresAt: new Date(Date.now() + 24 * 3_600_000).toISOString(),
    };
  }

  async #write(body: Uint8Array): Promise<Response> {
    const fault = this.#faults.shift();
    if (fault === "refuse") return new Response("refused", { status: 503 });
    if (fault === "reject") return new Response("rejected", { status: 400 });
    let output: Uint8Array;
    try {
      output = await this.#database.napi.atomicWrite(this.#database.dbId, body, false);
    } catch (error) {
      // Beyond the limits, for instance. A 500 would be repeated by the client for ever.
      return new Response(String(error).split("\n", 1)[0], { status: 400 });
    }
    if (fault === "drop_reply") return new Response("the reply is lost", { status: 503 });
    if (fault === "reject_after") return new Response("rejected", { status: 400 });
    return protobuf(output);
  }

  async #watch(body: Uint8Array): Promise<Response> {
    const { napi, dbId } = this.#database;
    const watch = await napi.startWatch(dbId, body, false);
    this.#watches.add(watch);
    const end = () => this.#endWatch(watch);
    const stream = new ReadableStream<Uint8Array>({
      async pull(controller) {
        const message = await napi.dequeueNextWatchMessage(dbId, watch, false);
        if (message === undefined) {
          end();
          controller.close();
          return;
        }
        const length = new Uint8Array(4);
        new DataView(length.buffer).setUint32(0, message.byteLength, true);
        controller.enqueue(length);
        controller.enqueue(message);
      },
      cancel: end,
    });
    return new Response(stream, { headers: { "content-type": "application/octet-stream" } });
  }

  #endWatch(watch: number): void {
    if (this.#watches.delete(watch)) this.#database.napi.endWatch(this.#database.dbId, watch, false);
  }

  #pause(): Promise<void> | undefined {
    if (this.#delay === 0) return undefined;
    return new Promise((resolve) => {
      const timer = setTimeout(() => {
        this.#delayed.delete(timer);
        resolve();
      }, this.#delay);
      this.#delayed.set(timer, resolve);
    });
  }
}

/** The request's body; null if its sender was gone before the end of it. */
async function wholeBody(request: Request): Promise<Uint8Array | null> {
  try {
    return new Uint8Array(await request.arrayBuffer());
  } catch (error) {
    if (error instanceof Deno.errors.Http || error instanceof Deno.errors.BadResource) return null;
    throw error;
  }
}

/** The same id for the same text, in the form of a UUID. */
function uuidOf(text: string): string {
  const hex = createHash("sha256").update(text).digest("hex");
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20, 32)].join(
    "-",
  );
}

function protobuf(bytes: Uint8Array): Response {
  return new Response(new Uint8Array(bytes), { headers: { "content-type": "application/x-protobuf" } });
}

/** The package does not declare these two fields; this makes sure of them. */
function nativeDatabase(opened: unknown): NativeDatabase {
  const candidate = opened as Partial<NativeDatabase>;
  if (typeof candidate.dbId !== "number" || typeof candidate.napi?.atomicWrite !== "function") {
    throw new Error("@deno/kv has changed: its native database is not reachable as `napi` and `dbId`");
  }
  return candidate as NativeDatabase;
}

if (import.meta.main) {
  const { values } = parseArgs({
    options: {
      port: { type: "string", default: "0" },
      path: { type: "string" },
      token: { type: "string" },
    },
  });
  if (values.token === undefined) {
    console.error("--token is missing");
    Deno.exit(2);
  }
  const server = await KvConnectServer.start({
    port: Number(values.port),
    token: values.token,
    ...(values.path === undefined ? {} : { path: values.path }),
  });
  console.log(server.url);
}
