/** The processes of a run: servers, the load, and connections that are held. */

import { denoProgram, LineProcess } from "./line_process.ts";
import type { LoadOptions, LoadResult } from "./load_options.ts";
import type { System } from "./systems.ts";
import type { ServerStats } from "./servers/stats.ts";

/** How long a server may take to listen, and connections to be opened. Milliseconds. */
const START_MS = 15_000;
const HOLD_MS = 60_000;

/** A server of the bench that listens. */
export class Server implements AsyncDisposable {
  readonly url: string;
  readonly statsUrl: string;
  readonly #process: LineProcess;
  readonly #directory: string;

  private constructor(process: LineProcess, directory: string, urls: { stats: string; own: string }) {
    this.#process = process;
    this.#directory = directory;
    this.statsUrl = urls.stats;
    this.url = urls.own;
  }

  /**
   * Starts a server with a store of its own on the file system.
   *
   * @param env Settings beside `PORT` and `HOLDFAST_KV`.
   */
  static async start(
    kind: "bare" | "naive" | "holdfast",
    env: Readonly<Record<string, string>> = {},
  ): Promise<Server> {
    const directory = await Deno.makeTempDir({ prefix: "holdfast-bench-" });
    const process = new LineProcess(denoProgram(kind, `servers/${kind}.ts`, [], {
      PORT: "0",
      HOLDFAST_LOG_LEVEL: "warn",
      HOLDFAST_KV: `${directory}/store.sqlite3`,
      ...env,
    }));
    try {
      const [, stats = ""] = await process.line(/^stats at (\S+)/, START_MS);
      const [, own = ""] = await process.line(/listening on (\S+)/, START_MS);
      return new Server(process, directory, { stats, own });
    } catch (error) {
      await process.stop();
      await Deno.remove(directory, { recursive: true });
      throw error;
    }
  }

  get pid(): number {
    return this.#process.pid;
  }

  /** What the server says of itself, after full garbage collections. */
  async collected(): Promise<ServerStats> {
    return await (await fetch(`${this.statsUrl}/collected`)).json();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#process.stop();
    await Deno.remove(this.#directory, { recursive: true });
  }
}

/** Runs the load generator once. */
export async function runLoad(options: Omit<LoadOptions, "bytes">): Promise<LoadResult> {
  const process = new LineProcess(denoProgram("the load", "load.ts", [JSON.stringify(options)]));
  try {
    const [line] = await process.line(/^\{.*\}$/, options.warmUp + options.duration + START_MS);
    return JSON.parse(line);
  } finally {
    await process.stop();
  }
}

/** Connections that are open and idle. */
export class Held implements AsyncDisposable {
  readonly #process: LineProcess;

  private constructor(process: LineProcess) {
    this.#process = process;
  }

  /** Opens `count` connections, uses each once, and returns when all are idle. */
  static async open(system: System, url: string, count: number): Promise<Held> {
    const process = new LineProcess(denoProgram("the holder", "hold.ts", [system, url, String(count)]));
    const held = new Held(process);
    try {
      await process.line(/^held$/, HOLD_MS);
      return held;
    } catch (error) {
      await process.stop();
      throw error;
    }
  }

  /** Breaks all connections. */
  async drop(): Promise<void> {
    await this.#process.say("drop");
    await this.#process.line(/^dropped$/, HOLD_MS);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#process.stop();
  }
}
