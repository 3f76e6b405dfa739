/** A process of the bench, which talks in lines. */

/** How long a process may take to stop. Milliseconds. */
const STOP_MS = 5_000;

/** The repository. */
export const root = new URL("..", import.meta.url).pathname;

/** What to run. */
export interface Program {
  /** For messages. */
  readonly name: string;
  readonly command: string;
  readonly args: readonly string[];
  /** Beside this process's own. */
  readonly env?: Readonly<Record<string, string>>;
}

/**
 * A TypeScript program of the bench, on this Deno.
 *
 * @param file Relative to `bench/`.
 * @param flags For Deno.
 */
export function denoProgram(
  name: string,
  file: string,
  args: readonly string[] = [],
  env: Readonly<Record<string, string>> = {},
  flags: readonly string[] = [],
): Program {
  const script = new URL(file, import.meta.url).pathname;
  return {
    name,
    command: Deno.execPath(),
    args: ["run", "-A", "--v8-flags=--expose-gc", ...flags, script, ...args],
    env,
  };
}

/** A process that talks in lines. */
export class LineProcess {
  readonly #child: Deno.ChildProcess;
  readonly #lines: ReadableStreamDefaultReader<string>;
  readonly #name: string;
  #rest = "";

  constructor({ name, command, args, env = {} }: Program) {
    this.#name = name;
    this.#child = new Deno.Command(command, {
      args: [...args],
      cwd: root,
      env: { ...env },
      stdin: "piped",
      stdout: "piped",
      stderr: "inherit",
    }).spawn();
    this.#lines = this.#child.stdout.pipeThrough(new TextDecoderStream()).getReader();
  }

  get pid(): number {
    return this.#child.pid;
  }

  /** Settles when it has ended. */
  get ended(): Promise<unknown> {
    return this.#child.status;
  }

  /**
   * The first line from here on that matches.
   *
   * @throws Error if the process ends first, or says no such line within `ms`.
   */
  async line(pattern: RegExp, ms: number): Promise<RegExpExecArray> {
    const late = setTimeout(() => this.#child.kill("SIGKILL"), ms);
    try {
      for (;;) {
        const end = this.#rest.indexOf("\n");
        if (end < 0) {
          const { value, done } = await this.#lines.read();
          if (done) throw new Error(`${this.#name} ended without a line like ${pattern} within ${ms} ms`);
          this.#rest += value;
          continue;
        }
        const line = this.#rest.slice(0, end);
        this.#rest = this.#rest.slice(end + 1);
        const match = pattern.exec(line);
        if (match !== null) return match;
      }
    } finally {
      clearTimeout(late);
    }
  }

  async say(line: string): Promise<void> {
    const writer = this.#child.stdin.getWriter();
    await writer.write(new TextEncoder().encode(`${line}\n`));
    writer.releaseLock();
  }

  /** Asks it to stop, then makes it. */
  stop(): Promise<void> {
    return this.#end("SIGTERM");
  }

  /** Makes it stop at once, with SIGKILL. */
  kill(): Promise<void> {
    return this.#end("SIGKILL");
  }

  async #end(signal: "SIGTERM" | "SIGKILL"): Promise<void> {
    const late = setTimeout(() => this.#child.kill("SIGKILL"), STOP_MS);
    try {
      this.#child.kill(signal);
    } catch (error) {
      // It has ended by itself.
      if (!(error instanceof TypeError)) throw error;
    }
    await this.#lines.cancel();
    await this.#child.stdin.close().catch(() => {});
    await this.#child.status;
    clearTimeout(late);
  }
}
