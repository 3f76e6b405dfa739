/** An example as the process that its first lines say, with what it prints. */

import { fileURLToPath } from "node:url";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));

/** How long a line may be waited for, milliseconds. */
const PATIENCE_MS = 30_000;

/** What a test sets of a program's environment. */
export type ProgramEnvironment = { readonly [name: string]: string };

/** A program that runs, and was started as `deno run -A PATH …`. */
export class Program implements AsyncDisposable {
  readonly #args: readonly string[];
  readonly #env: ProgramEnvironment;
  #child!: Deno.ChildProcess;
  #over!: Promise<Deno.CommandStatus>;
  #input!: WritableStreamDefaultWriter<Uint8Array>;
  #stdout: string[] = [];
  #stderr: string[] = [];
  #listeners = new Set<() => void>();

  /**
   * Starts it.
   *
   * @param path From the project's root.
   * @param args What follows the path.
   * @param env Nothing else of the test's environment reaches it but what a Deno process needs.
   */
  constructor(path: string, args: readonly string[] = [], env: ProgramEnvironment = {}) {
    this.#args = ["run", "-A", path, ...args];
    this.#env = env;
    this.#spawn();
  }

  /** Starts an example that is a node, on any free port, with a store of its own; resolves when it listens. */
  static async node(path: string): Promise<NodeProgram> {
    const store = await Deno.makeTempDir();
    const program = new NodeProgram(path, store);
    try {
      await program.listening();
      return program;
    } catch (error) {
      await program[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** What it printed on stdout since it was last started. */
  get stdout(): readonly string[] {
    return this.#stdout;
  }

  /** Resolves with the first line that fits, of those before too. */
  async line(pattern: RegExp): Promise<string> {
    const { promise, resolve, reject } = Promise.withResolvers<string>();
    const said = () => `of ${pattern}:\n${[...this.#stdout, ...this.#stderr].join("\n")}`;
    const look = () => {
      const found = this.#stdout.find((line) => pattern.test(line));
      if (found !== undefined) resolve(found);
    };
    const timer = setTimeout(() => reject(new Error(`not in time: nothing ${said()}`)), PATIENCE_MS);
    void this.#over.then(() => reject(new Error(`the program is over, and printed nothing ${said()}`)));
    this.#listeners.add(look);
    look();
    try {
      return await promise;
    } finally {
      clearTimeout(timer);
      this.#listeners.delete(look);
    }
  }

  /** Types a line. */
  async type(line: string): Promise<void> {
    await this.#input.write(new TextEncoder().encode(`${line}\n`));
  }

  /** Ends its input, and waits until it is over. @returns Its exit code. */
  async finish(): Promise<number> {
    await this.#input.close();
    return (await this.#over).code;
  }

  /** Ends it as a crash does. */
  async kill(): Promise<void> {
    this.#child.kill("SIGKILL");
    await this.#gone();
  }

  /** Starts it again, once it is gone. */
  protected again(env: ProgramEnvironment): void {
    this.#spawn(env);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      this.#child.kill("SIGKILL");
    } catch (error) {
      // It ended by itself.
      if (!(error instanceof TypeError)) throw error;
    }
    await this.#gone();
  }

  async #gone(): Promise<void> {
    await this.#over;
    // It is broken, or closed already; only then is it given back.
    await this.#input.close().catch(() => {});
  }

  #spawn(env: ProgramEnvironment = {}): void {
    this.#stdout = [];
    this.#stderr = [];
    this.#child = new Deno.Command(Deno.execPath(), {
      args: [...this.#args],
      cwd: ROOT,
      env: { ...inherited(), NO_COLOR: "1", ...this.#env, ...env },
      clearEnv: true,
      stdin: "piped",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    this.#input = this.#child.stdin.getWriter();
    const read = Promise.all([
      this.#collect(this.#child.stdout, this.#stdout),
      this.#collect(this.#child.stderr, this.#stderr),
    ]);
    const { status } = this.#child;
    this.#over = read.then(() => status);
  }

  async #collect(stream: ReadableStream<Uint8Array<ArrayBuffer>>, lines: string[]): Promise<void> {
    let rest = "";
    for await (const piece of stream.pipeThrough(new TextDecoderStream())) {
      const parts = (rest + piece).split("\n");
      rest = parts.pop() ?? "";
      lines.push(...parts);
      for (const look of this.#listeners) look();
    }
  }
}

/** An example that is a node. */
export class NodeProgram extends Program {
  readonly #store: string;
  #url = new URL("http://127.0.0.1");

  constructor(path: string, store: string) {
    super(path, [], { PORT: "0", HOLDFAST_KV: `${store}/holdfast.sqlite3`, HOLDFAST_LOG_LEVEL: "error" });
    this.#store = store;
  }

  /** `http://HOST:PORT`, the same after a restart. */
  get url(): string {
    return this.#url.origin;
  }

  /** Resolves when it can be reached. */
  async listening(): Promise<void> {
    const line = await this.line(/^holdfast listening on /);
    this.#url = new URL(line.split(" ").at(-1)!);
  }

  /** Starts it again on the same port and store, once it is gone. */
  async restart(): Promise<void> {
    this.again({ PORT: this.#url.port });
    await this.listening();
  }

  override async [Symbol.asyncDispose](): Promise<void> {
    await super[Symbol.asyncDispose]();
    await Deno.remove(this.#store, { recursive: true });
  }
}

/** What a Deno process needs to find its caches. */
function inherited(): Record<string, string> {
  const kept: Record<string, string> = {};
  for (const name of ["PATH", "HOME", "DENO_DIR", "XDG_CACHE_HOME", "TMPDIR"]) {
    const value = Deno.env.get(name);
    if (value !== undefined) kept[name] = value;
  }
  return kept;
}
