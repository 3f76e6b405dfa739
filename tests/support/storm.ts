/** Bad weather between clients and a server process that is killed again and again meanwhile. */

import type { SeededRandom } from "./seeded_random.ts";
import type { ServerProcess } from "./server_process.ts";
import type { TcpFaultProxy } from "./tcp_fault_proxy.ts";
import { Weather, type WeatherCounts } from "./weather.ts";

/** What a {@link Storm} works on; milliseconds. */
export interface StormOptions {
  readonly proxy: TcpFaultProxy;
  readonly server: ServerProcess;
  readonly random: SeededRandom;
  /** How often the server is killed with SIGKILL and started again. */
  readonly kills: number;
  /** Roughly how long the server lives between two kills. */
  readonly between: number;
  /** Whether clients had enough of it; links go on breaking until then, for half a minute at most. */
  readonly enough?: () => boolean;
}

/** Milliseconds. */
const LONGEST_AFTERMATH_MS = 30_000;

/** What a storm did. */
export interface StormCounts extends WeatherCounts {
  kills: number;
}

/** See the top of this file. */
export class Storm {
  readonly #options: StormOptions;
  readonly #weather: Weather;
  #kills = 0;

  constructor(options: StormOptions) {
    this.#options = options;
    this.#weather = new Weather(options.proxy, options.random);
  }

  get counts(): StormCounts {
    return { kills: this.#kills, ...this.#weather.counts };
  }

  /** Storms until the last kill was followed by a time of calm long enough for clients to come back. */
  async run(): Promise<void> {
    const { server, random, kills, between, enough } = this.#options;
    this.#weather.begin();
    try {
      for (let kill = 0; kill < kills; kill++) {
        await pause(between * (0.6 + 0.8 * random.float()));
        await server.kill();
        this.#kills++;
        if (random.chance(0.5)) await pause(random.int(300));
        await server.restart();
      }
      await pause(between);
      const last = performance.now() + LONGEST_AFTERMATH_MS;
      while (enough?.() === false && performance.now() < last) await pause(100);
    } finally {
      this.#weather.end();
    }
  }
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => void setTimeout(resolve, ms));
}
