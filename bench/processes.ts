/** The processes of a run: servers, the load, and connections that are held. */

import { denoProgram, LineProcess } from "./line_process.ts";
import type { LoadOptions, LoadResult } from "./load_options.ts";
import type { Window } from "./rivals/profile.ts";
import type { ServerStats } from "./servers/stats.ts";
import type { ServerName, System } from "./systems.ts";

/** How long a server may take to listen, and connections to be opened. Milliseconds. */
const START_MS = 15_000;
const HOLD_MS = 60_000;

/** What can be started as a server. */
export type ServerKind = ServerName | "flood";

/** How a server is started. */
export interface ServerOptions {
  /** Settings beside `PORT` and `HOLDFAST_KV`. */
  readonly env?: Readonly<Record<string, string>>;
}

/** A server of the bench that listens. */
export class Server implements AsyncDisposable {
  readonly url: string;
  readonly #kind: ServerKind;
  readonly #options: ServerOptions;
  readonly #directory: string;
  #process: LineProcess;
  #statsUrl: string;

  private constructor(kind: ServerKind, options: ServerOptions, directory: string, launched: Launched) {
    this.#kind = kind;
    this.#options = options;
    this.#directory = directory;
    this.#process = launched.process;
    this.#statsUrl = launched.stats;
    this.url = launched.url;
  }

  /** Starts a server with a store of its own on the file system. */
  static async start(kind: ServerKind, options: ServerOptions = {}): Promise<Server> {
    const directory = await Deno.makeTempDir({ prefix: "holdfast-bench-" });
    try {
      return new Server(kind, options, directory, await launch(kind, options, directory, 0));
    } catch (error) {
      await Deno.remove(directory, { recursive: true });
      throw error;
    }
  }

  get pid(): number {
    return this.#process.pid;
  }

  get statsUrl(): string {
    return this.#statsUrl;
  }

  /** What the server says of itself. */
  async stats(): Promise<ServerStats> {
    return await (await fetch(this.#statsUrl)).json();
  }

  /** What the server says of itself, after full garbage collections. */
  async collected(): Promise<ServerStats> {
    return await (await fetch(`${this.#statsUrl}/collected`)).json();
  }

  /**
   * Kills it with SIGKILL and starts it again, with the same port and files.
   *
   * @returns Milliseconds from the start of the new process until it listens.
   */
  async restart(): Promise<number> {
    await this.#process.kill();
    const began = performance.now();
    const port = Number(new URL(this.url).port);
    const { process, stats } = await launch(this.#kind, this.#options, this.#directory, port);
    this.#process = process;
    this.#statsUrl = stats;
    return performance.now() - began;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#process.stop();
    await Deno.remove(this.#directory, { recursive: true });
  }
}

/** A server's process, and what it said. */
interface Launched {
  readonly process: LineProcess;
  readonly stats: string;
  readonly url: string;
}

async function launch(
  kind: ServerKind,
  { env = {} }: ServerOptions,
  directory: string,
  port: number,
): Promise<Launched> {
  const program = denoProgram(kind, `servers/${kind}.ts`, [], {
    PORT: String(port),
    HOLDFAST_LOG_LEVEL: "warn",
    HOLDFAST_KV: `${directory}/store.sqlite3`,
    ...env,
  });
  const process = new LineProcess(program);
  try {
    const [, stats = ""] = await process.line(/^stats at (\S+)/, START_MS);
    const [, url = ""] = await process.line(/listening on (\S+)/, START_MS);
    return { process, stats, url };
  } catch (error) {
    await process.stop();
    throw error;
  }
}

/** Runs the load generator once. */
export async function runLoad(options: Omit<LoadOptions, "bytes">): Promise<LoadResult> {
  return (await watchLoad(options)).result;
}

/** As {@link runLoad}, and says when it measured. */
export async function watchLoad(
  options: Omit<LoadOptions, "bytes">,
): Promise<{ readonly result: LoadResult; readonly windows: readonly Window[] }> {
  const process = new LineProcess(denoProgram("the load", "load.ts", [JSON.stringify(options)]));
  try {
    const within = options.warmUp + options.duration + START_MS;
    const [, windows = ""] = await process.line(/^windows (.*)$/, within);
    const [line] = await process.line(/^\{.*\}$/, START_MS);
    return { result: JSON.parse(line), windows: JSON.parse(windows) };
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
