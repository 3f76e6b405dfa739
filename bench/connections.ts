/** Measures many open connections of one session: what each weighs, and how long a restart of the server keeps them waiting. */

import type { Opened, Resumed } from "./connections_options.ts";
import { denoProgram, LineProcess } from "./line_process.ts";
import { Server } from "./processes.ts";
import type { ServerStats } from "./servers/stats.ts";

/** Longest that one step may take. Milliseconds. */
const STEP_MS = 60_000;

const KINDS = [
  { durability: "ephemeral", service: "echo" },
  { durability: "ephemeral", service: "demo" },
  { durability: "durable", service: "echo" },
  { durability: "durable", service: "demo" },
] as const;

/** What was measured of one kind of session, with connections to one service. */
export interface ConnectionsResult {
  readonly durability: "ephemeral" | "durable";
  readonly service: "echo" | "demo";
  readonly count: number;
  /** V8's heap and what it holds outside, bytes per connection: open and never used, and after each was used once. */
  readonly fresh: number;
  readonly used: number;
  readonly opened: Opened;
  /** For durable sessions: the server was killed and started again. Milliseconds until it listened, and from then on. */
  readonly restart?: { readonly started: number; readonly resumed: Resumed };
}

/** Connections of one session, in a process that holds them. */
class Holder implements AsyncDisposable {
  readonly opened: Opened;
  readonly #process: LineProcess;

  private constructor(process: LineProcess, opened: Opened) {
    this.#process = process;
    this.opened = opened;
  }

  static async open(
    { url }: Server,
    kind: { readonly durability: string; readonly service: string },
    count: number,
  ): Promise<Holder> {
    const options = JSON.stringify({ url, count, ...kind });
    const process = new LineProcess(denoProgram("the opener", "open_connections.ts", [options]));
    try {
      const [line] = await process.line(/^\{.*\}$/, STEP_MS);
      return new Holder(process, JSON.parse(line));
    } catch (error) {
      await process.stop();
      throw error;
    }
  }

  async use(): Promise<void> {
    await this.#process.say("use");
    await this.#process.line(/^used$/, STEP_MS);
  }

  async expectKill(): Promise<void> {
    await this.#process.say("expect");
    await this.#process.line(/^expecting$/, STEP_MS);
  }

  async resume(): Promise<Resumed> {
    await this.#process.say("resume");
    const [line] = await this.#process.line(/^\{.*\}$/, STEP_MS);
    return JSON.parse(line);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#process.stop();
  }
}

/** Measures all kinds, each in a fresh server. */
export async function connections(
  count: number,
  progress: (text: string) => void,
): Promise<ConnectionsResult[]> {
  const results: ConnectionsResult[] = [];
  for (const kind of KINDS) {
    const result = await measure(kind, count);
    progress(
      `${count} connections to ${kind.service}, ${kind.durability}: ${
        Math.round(result.fresh)
      } B of heap each`,
    );
    results.push(result);
  }
  return results;
}

async function measure(kind: typeof KINDS[number], count: number): Promise<ConnectionsResult> {
  await using server = await Server.start("holdfast", { env: { HOLDFAST_CONNECTIONS: String(count) } });
  await using stack = new AsyncDisposableStack();
  let holder: Holder;
  let weights: Pick<ConnectionsResult, "fresh" | "used">;
  {
    // As many are there before anything is weighed, so that what grows once has grown.
    await using ballast = await Holder.open(server, kind, count);
    await ballast.use();
    const before = await server.collected();
    holder = stack.use(await Holder.open(server, kind, count));
    const weight = ({ heapUsed, external }: ServerStats) => {
      return (heapUsed + external - before.heapUsed - before.external) / count;
    };
    const fresh = weight(await server.collected());
    await holder.use();
    weights = { fresh, used: weight(await server.collected()) };
  }
  const result = { ...kind, count, ...weights, opened: holder.opened };
  if (kind.durability === "ephemeral") return result;
  await holder.expectKill();
  const started = await server.restart();
  return { ...result, restart: { started, resumed: await holder.resume() } };
}
