/** The real server as a process of its own, to be killed and started again on the same port and store. */

import { join } from "node:path";
import { fileURLToPath } from "node:url";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));

/** How long a start may take on a loaded machine. Milliseconds. */
const START_MS = 20_000;

/** What a test sets of the server's environment. */
export type ServerEnvironment = { readonly [name: string]: string };

/** One line of the server's log. */
export interface LogLine {
  readonly time: string;
  readonly level: string;
  readonly event: string;
  readonly [field: string]: unknown;
}

/** How a process ended. */
export interface Exit {
  readonly code: number;
  readonly signal: Deno.Signal | null;
  /** Milliseconds since {@link ServerProcess.stop} was called. */
  readonly after: number;
}

/** What a run that never listened left behind. */
export interface FailedStart {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** A process with its output, before anybody knows whether it will listen. */
interface Run {
  readonly child: Deno.ChildProcess;
  readonly stdout: string[];
  readonly stderr: string[];
  /** The first line of stdout, or undefined when stdout ended without one. */
  readonly firstLine: Promise<string | undefined>;
  /** The process is gone and both outputs were read to their end. */
  readonly over: Promise<Deno.CommandStatus>;
}

/** See the top of this file. */
export class ServerProcess {
  readonly #environment: ServerEnvironment;
  readonly #cwd: string;
  readonly #directory: string | null;
  readonly #runtime: string;
  #run: Run;
  #url: URL;

  /**
   * Starts the server and waits for its listening line.
   *
   * Without `HOLDFAST_KV` it gets a SQLite file in a directory of its own, removed by {@link dispose}; without `PORT` any
   * free one. Nothing else of the test's environment reaches it but what a Deno process needs.
   *
   * @param cwd Where it runs; elsewhere than in the project its store's default path is left as it is.
   * @param runtime The Deno that runs it.
   * @throws Error with the server's output if it does not listen in time.
   */
  static async start(
    environment: ServerEnvironment = {},
    cwd: string = ROOT,
    runtime: string = Deno.execPath(),
  ): Promise<ServerProcess> {
    const own = environment["HOLDFAST_KV"] === undefined && cwd === ROOT;
    const directory = own ? await Deno.makeTempDir() : null;
    const complete: ServerEnvironment = {
      PORT: "0",
      ...(directory === null ? {} : { HOLDFAST_KV: join(directory, "holdfast.sqlite3") }),
      ...environment,
    };
    try {
      const run = spawn(complete, cwd, runtime);
      const url = await listening(run);
      return new ServerProcess(complete, cwd, directory, runtime, run, url);
    } catch (error) {
      if (directory !== null) await Deno.remove(directory, { recursive: true });
      throw error;
    }
  }

  /** Runs the server where it is expected to refuse to start, and gives what it said. */
  static async startsNot(
    environment: ServerEnvironment,
    runtime: string = Deno.execPath(),
  ): Promise<FailedStart> {
    const run = spawn({ PORT: "0", ...environment }, ROOT, runtime);
    const timer = setTimeout(() => run.child.kill("SIGKILL"), START_MS);
    if (await run.firstLine !== undefined) run.child.kill("SIGKILL");
    const { code } = await run.over;
    clearTimeout(timer);
    return { code, stdout: run.stdout.join("\n"), stderr: run.stderr.join("\n") };
  }

  private constructor(
    environment: ServerEnvironment,
    cwd: string,
    directory: string | null,
    runtime: string,
    run: Run,
    url: URL,
  ) {
    this.#environment = environment;
    this.#cwd = cwd;
    this.#directory = directory;
    this.#runtime = runtime;
    this.#run = run;
    this.#url = url;
  }

  /** `http://HOST:PORT`. */
  get url(): string {
    return this.#url.origin;
  }

  get hostname(): string {
    return this.#url.hostname;
  }

  get port(): number {
    return Number(this.#url.port);
  }

  get pid(): number {
    return this.#run.child.pid;
  }

  /** Everything on stdout of the present run. */
  get stdout(): readonly string[] {
    return this.#run.stdout;
  }

  /** Everything on stderr of the present run. */
  get stderr(): readonly string[] {
    return this.#run.stderr;
  }

  /** The log of the present run. @throws SyntaxError if stderr holds a line that is not JSON. */
  get log(): LogLine[] {
    return this.stderr.map((line) => JSON.parse(line) as LogLine);
  }

  /** Resident memory, bytes (Linux). */
  async residentBytes(): Promise<number> {
    const status = await Deno.readTextFile(`/proc/${this.pid}/status`);
    const [, kib] = /^VmRSS:\s+(\d+) kB$/m.exec(status) ?? [];
    if (kib === undefined) throw new Error("VmRSS is missing in /proc/PID/status");
    return Number(kib) * 1024;
  }

  /** Sends a signal and does not wait. */
  signal(signal: Deno.Signal): void {
    this.#run.child.kill(signal);
  }

  /** Ends the process as a crash does, and waits until it is gone. */
  async kill(): Promise<void> {
    this.signal("SIGKILL");
    await this.#run.over;
  }

  /** Asks the process to stop and waits until it is gone. */
  async stop(signal: "SIGINT" | "SIGTERM" = "SIGTERM"): Promise<Exit> {
    const askedAt = performance.now();
    this.signal(signal);
    const status = await this.#run.over;
    return { code: status.code, signal: status.signal, after: performance.now() - askedAt };
  }

  /** Starts it again on the same port and store, once it is gone. */
  async restart(): Promise<void> {
    await this.#run.over;
    this.#run = spawn({ ...this.#environment, PORT: String(this.port) }, this.#cwd, this.#runtime);
    this.#url = await listening(this.#run);
  }

  /** Makes sure that process and store are gone. */
  async dispose(): Promise<void> {
    try {
      this.signal("SIGKILL");
    } catch (error) {
      // It ended by itself.
      if (!(error instanceof TypeError)) throw error;
    }
    await this.#run.over;
    if (this.#directory !== null) await Deno.remove(this.#directory, { recursive: true });
  }
}

function spawn(environment: ServerEnvironment, cwd: string, runtime: string): Run {
  const child = new Deno.Command(runtime, {
    args: ["run", "-A", "--config", join(ROOT, "deno.json"), join(ROOT, "main.ts")],
    cwd,
    env: { ...inherited(), ...environment },
    clearEnv: true,
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const stdout: string[] = [];
  const stderr: string[] = [];
  const first = Promise.withResolvers<string | undefined>();
  const outEnded = collect(child.stdout, stdout, (line) => first.resolve(line)).then(() =>
    first.resolve(undefined)
  );
  const errEnded = collect(child.stderr, stderr);
  const over = Promise.all([child.status, outEnded, errEnded]).then(([status]) => status);
  return { child, stdout, stderr, firstLine: first.promise, over };
}

async function listening(run: Run): Promise<URL> {
  const timer = setTimeout(() => run.child.kill("SIGKILL"), START_MS);
  const line = await run.firstLine;
  clearTimeout(timer);
  const [, url] = /^holdfast listening on (http:\/\/\S+)$/.exec(line ?? "") ?? [];
  if (url !== undefined) return new URL(url);
  if (line !== undefined) run.child.kill("SIGKILL");
  const { code } = await run.over;
  throw new Error(`the server did not listen (exit ${code}):\n${[...run.stdout, ...run.stderr].join("\n")}`);
}

/** Reads a process's output to its end, line by line. */
export async function collect(
  stream: ReadableStream<Uint8Array<ArrayBuffer>>,
  lines: string[],
  onLine?: (line: string) => void,
): Promise<void> {
  let rest = "";
  for await (const piece of stream.pipeThrough(new TextDecoderStream())) {
    const parts = (rest + piece).split("\n");
    rest = parts.pop() ?? "";
    for (const line of parts) {
      lines.push(line);
      onLine?.(line);
    }
  }
  if (rest !== "") lines.push(rest);
}

/** What a Deno process needs to find its caches; no setting of Holdfast is passed on. */
export function inherited(): Record<string, string> {
  const kept: Record<string, string> = {};
  for (const name of ["PATH", "HOME", "DENO_DIR", "XDG_CACHE_HOME", "TMPDIR", "NO_COLOR"]) {
    const value = Deno.env.get(name);
    if (value !== undefined) kept[name] = value;
  }
  return kept;
}
