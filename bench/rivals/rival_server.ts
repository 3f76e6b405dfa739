/** A server of the contest as a process: started, weighed, killed and started again. */

import { residentBytes } from "../cpu.ts";
import { LineProcess } from "../line_process.ts";
import type { Contender } from "./jobs.ts";
import { type Room, type ServerKind, SERVERS } from "./programs.ts";

const START_MS = 15_000;
/** Between two attempts to reach a server that starts. */
const KNOCK_MS = 5;

/** Bytes of a server's memory. */
export interface ServerWeight {
  readonly resident: number;
  /** V8's used heap, and what it holds outside of it; absent where there is none. */
  readonly heap?: number;
  readonly external?: number;
}

/** A server with a port and files of its own. */
export class RivalServer implements AsyncDisposable {
  readonly url: string;
  readonly #kind: ServerKind;
  readonly #room: Room;
  #process: LineProcess;
  #stats: string;
  #disposed = false;

  private constructor(kind: ServerKind, room: Room, process: LineProcess, stats: string) {
    this.#kind = kind;
    this.#room = room;
    this.#process = process;
    this.#stats = stats;
    this.url = `${kind.scheme}://127.0.0.1:${room.port}`;
  }

  /** Starts one; settles when it can be reached. */
  static async start(contender: Contender): Promise<RivalServer> {
    const kind = SERVERS[contender];
    const directory = await Deno.makeTempDir({ prefix: "holdfast-contest-" });
    const room = { port: freePort(), directory };
    try {
      const { process, stats } = await launch(kind, room);
      return new RivalServer(kind, room, process, stats);
    } catch (error) {
      await Deno.remove(directory, { recursive: true });
      throw error;
    }
  }

  get pid(): number {
    return this.#process.pid;
  }

  /** The side port of a Deno server. */
  get stats(): string {
    return this.#stats;
  }

  /** Waits until it was killed, and starts it again with the same port and files. */
  async revive(): Promise<void> {
    await this.#process.ended;
    if (this.#disposed) return;
    await this.#process.stop();
    const { process, stats } = await launch(this.#kind, this.#room);
    this.#process = process;
    this.#stats = stats;
  }

  /** Its memory, after a full collection where there is a collector. */
  async weight(): Promise<ServerWeight> {
    const heap = await this.#collected();
    return { resident: residentBytes(this.pid) ?? NaN, ...heap };
  }

  async #collected(): Promise<Omit<ServerWeight, "resident">> {
    switch (this.#kind.collect) {
      case "line": {
        await this.#process.say("collect");
        const [, said = ""] = await this.#process.line(/^collected (.*)$/, START_MS);
        return heapOf(JSON.parse(said));
      }
      case "stats":
        return heapOf(await (await fetch(`${this.#stats}/collected`)).json());
      case "none":
        return {};
      default:
        return this.#kind.collect satisfies never;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#disposed = true;
    await this.#process.stop();
    await Deno.remove(this.#room.directory, { recursive: true });
  }
}

function heapOf({ heapUsed, external }: { readonly heapUsed: number; readonly external: number }) {
  return { heap: heapUsed, external };
}

async function launch(kind: ServerKind, room: Room): Promise<{ process: LineProcess; stats: string }> {
  const process = new LineProcess(await kind.program(room));
  try {
    const stats = kind.collect === "stats" ? (await process.line(/^stats at (\S+)/, START_MS))[1] ?? "" : "";
    await reachable(room.port);
    return { process, stats };
  } catch (error) {
    await process.stop();
    throw error;
  }
}

async function reachable(port: number): Promise<void> {
  const late = performance.now() + START_MS;
  for (;;) {
    try {
      const connection = await Deno.connect({ hostname: "127.0.0.1", port });
      return connection.close();
    } catch (error) {
      if (!(error instanceof Deno.errors.ConnectionRefused) || performance.now() > late) throw error;
      await new Promise((resolve) => setTimeout(resolve, KNOCK_MS));
    }
  }
}

/** Free a moment ago; nothing else on the machine is expected to take it within the same second. */
function freePort(): number {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr as Deno.NetAddr;
  listener.close();
  return port;
}
