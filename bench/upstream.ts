/** Measures transfers from an upstream to a client that reads more slowly than the upstream sends. */

import { residentBytes } from "./cpu.ts";
import { FLOOD_BYTES } from "./flood.ts";
import { denoProgram, LineProcess } from "./line_process.ts";
import { Server } from "./processes.ts";
import type { ServerStats } from "./servers/stats.ts";
import type { TransferOptions, TransferResult } from "./transfer_options.ts";

/** How often the resident memory is looked at, and the heap after full collections. Milliseconds. */
const LOOK_MS = 50;
const COLLECT_MS = 500;
const STEP_MS = 60_000;

const MEGABYTE = 1_000_000;

/** Messages that the client lets come ahead of what it has read: 1 MiB, as much as a window. */
const CREDIT = 32;

/** How fast the client reads, bytes per second. */
const RATES = [5 * MEGABYTE, 50 * MEGABYTE];

/** One transfer, and what the server's memory was meanwhile. Bytes. */
export interface Transfer extends TransferResult {
  readonly rate: number;
  /** What V8's heap, and what it holds outside, had grown by after a full collection, at most. */
  readonly heap: number;
  /** What the resident memory had grown by, at most, and after the transfer with its collection. */
  readonly resident: number;
  readonly residentAfter: number;
}

/** @param bytes How much each transfer moves, at least. */
export async function upstream(bytes: number, progress: (text: string) => void): Promise<Transfer[]> {
  const transfers: Transfer[] = [];
  for (const rate of RATES) {
    progress(`upstream: ${bytes / MEGABYTE} MB at ${rate / MEGABYTE} MB/s, ${Math.round(bytes / rate)} s`);
    const transfer = await measure(bytes, rate);
    progress(`upstream: at most ${(transfer.heap / MEGABYTE).toFixed(1)} MB more of heap`);
    transfers.push(transfer);
  }
  return transfers;
}

async function measure(bytes: number, rate: number): Promise<Transfer> {
  await using flood = await Server.start("flood");
  await using server = await Server.start("holdfast", {
    env: { HOLDFAST_UPSTREAMS: `flood=${flood.url}` },
  });
  const options: TransferOptions = {
    url: server.url,
    service: "upstream:flood",
    messages: Math.ceil(bytes / FLOOD_BYTES),
    rate,
    credit: CREDIT,
  };
  const reader = new LineProcess(denoProgram("the reader", "read_upstream.ts", [JSON.stringify(options)]));
  try {
    await reader.line(/^warm$/, STEP_MS);
    const before = await server.collected();
    const watch = new Watch(server, before);
    await reader.say("go");
    const [line] = await reader.line(/^\{.*\}$/, STEP_MS + bytes / rate * 2_000);
    await watch.stop();
    const after = await server.collected();
    const result: TransferResult = JSON.parse(line);
    const { heap, resident } = watch;
    return { ...result, rate, heap, resident, residentAfter: after.rss - before.rss };
  } finally {
    await reader.stop();
  }
}

/** Looks at a server's memory again and again. */
class Watch {
  heap = -Infinity;
  resident = -Infinity;
  readonly #server: Server;
  readonly #before: ServerStats;
  readonly #over: Promise<void>;
  #stopped = false;

  constructor(server: Server, before: ServerStats) {
    this.#server = server;
    this.#before = before;
    this.#over = this.#look();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#over;
  }

  async #look(): Promise<void> {
    for (let looks = 1; !this.#stopped; looks++) {
      await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
      const resident = residentBytes(this.#server.pid) ?? NaN;
      this.resident = Math.max(this.resident, resident - this.#before.rss);
      if (this.#stopped || looks % (COLLECT_MS / LOOK_MS) !== 0) continue;
      const { heapUsed, external } = await this.#server.collected();
      this.heap = Math.max(this.heap, heapUsed + external - this.#before.heapUsed - this.#before.external);
    }
  }
}
