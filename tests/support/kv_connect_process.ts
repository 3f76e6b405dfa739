/** A {@link KvConnectServer} as a process of its own, over a file, to be killed and started again while nodes use it. */

import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { FaultRequest } from "./kv_connect_server.ts";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const START_MS = 20_000;

/** See the top of this file. */
export class KvConnectProcess {
  readonly token = "test-token";
  readonly #directory: string;
  #child: Deno.ChildProcess | null = null;
  #url = "";

  /** Starts the process over a new file. @throws Error if it does not listen. */
  static async start(): Promise<KvConnectProcess> {
    const server = new KvConnectProcess(await Deno.makeTempDir());
    try {
      await server.#run("0");
    } catch (error) {
      await server.dispose();
      throw error;
    }
    return server;
  }

  private constructor(directory: string) {
    this.#directory = directory;
  }

  /** Where it listens, also after a restart. */
  get url(): string {
    return this.#url;
  }

  /** Sets faults from now on; a restart forgets them. */
  async inject(faults: FaultRequest): Promise<void> {
    const response = await fetch(`${this.#url}/faults`, {
      method: "POST",
      headers: { authorization: `Bearer ${this.token}` },
      body: JSON.stringify(faults),
    });
    await response.body?.cancel();
    if (response.status !== 204) throw new Error(`the fault port answered ${response.status}`);
  }

  /** Ends the process as a crash does; its file stays. */
  async kill(): Promise<void> {
    const child = this.#child;
    this.#child = null;
    child?.kill("SIGKILL");
    await child?.status;
  }

  /** Starts it again on the same port and file, once it was killed. */
  async restart(): Promise<void> {
    await this.#run(new URL(this.#url).port);
  }

  /** Makes sure that process and file are gone. */
  async dispose(): Promise<void> {
    await this.kill();
    await Deno.remove(this.#directory, { recursive: true });
  }

  async #run(port: string): Promise<void> {
    const child = new Deno.Command(Deno.execPath(), {
      args: [
        ...["run", "-A", "--config", join(ROOT, "deno.json")],
        join(ROOT, "tests", "support", "kv_connect_server.ts"),
        ...["--port", port, "--path", join(this.#directory, "store.sqlite3"), "--token", this.token],
      ],
      stdin: "null",
      stdout: "piped",
      stderr: "inherit",
    }).spawn();
    this.#child = child;
    const timer = setTimeout(() => child.kill("SIGKILL"), START_MS);
    const line = await firstLine(child.stdout);
    clearTimeout(timer);
    if (!/^http:\/\/\S+$/.test(line)) throw new Error(`the store did not listen: ${JSON.stringify(line)}`);
    this.#url = line;
  }
}

/** The first line; what follows is not read. */
async function firstLine(stream: ReadableStream<Uint8Array>): Promise<string> {
  const decoder = new TextDecoder();
  let text = "";
  for await (const piece of stream) {
    text += decoder.decode(piece, { stream: true });
    if (text.includes("\n")) break;
  }
  return text.split("\n", 1)[0]!;
}
