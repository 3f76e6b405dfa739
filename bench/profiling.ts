/** Where a server's time goes under one load: measured apart, since a profiler slows down what it looks at. */

import { Server, watchLoad } from "./processes.ts";
import { type SelfTime, type TakenProfile, topFunctions } from "./rivals/profile.ts";
import type { Extent, Shape } from "./scenarios.ts";
import { serverOf, type System } from "./systems.ts";
import { percent, table } from "./tables.ts";

const FUNCTIONS = 40;

/** A profile of a server whose side port is `stats`, from now on. */
export class Profiler {
  private constructor(private readonly stats: string) {}

  static async start(stats: string): Promise<Profiler> {
    await ask(`${stats}/profile/start`);
    return new Profiler(stats);
  }

  /** Ends it. */
  async stop(): Promise<TakenProfile> {
    return await (await ask(`${this.stats}/profile/stop`)).json();
  }
}

async function ask(url: string): Promise<Response> {
  const answer = await fetch(url);
  if (!answer.ok) throw new Error(`${url} answered ${answer.status}: ${await answer.text()}`);
  return answer;
}

/** What a load is on a server that is profiled. */
export interface LoadProfile {
  readonly perSecond: number;
  readonly functions: readonly SelfTime[];
}

/** Profiles the server of a system while it is measured. @param count Functions. */
export async function profileLoad(
  system: System,
  shape: Shape,
  { warmUp, duration }: Extent,
  count: number,
): Promise<LoadProfile> {
  await using server = await Server.start(serverOf(system));
  const { url, pid, statsUrl: stats } = server;
  const profiler = await Profiler.start(stats);
  const { result, windows } = await watchLoad({ system, url, pid, stats, ...shape, warmUp, duration });
  const functions = topFunctions(await profiler.stop(), windows, count);
  return { perSecond: result.messagesPerSecond, functions };
}

/** Profiles the server of a system. @returns Markdown: the functions that took most of the time themselves. */
export async function profileReport(system: System, shape: Shape, extent: Extent): Promise<string> {
  const { perSecond, functions } = await profileLoad(system, shape, extent, FUNCTIONS);
  return [
    `## ${system}, ${shape.sockets} × ${shape.inFlight}: ${
      Math.round(perSecond).toLocaleString("en")
    }/s under the profiler`,
    table(["function, own time", "share"], functions.map(({ where, share }) => [where, percent(share)])),
    "",
  ].join("\n\n");
}
