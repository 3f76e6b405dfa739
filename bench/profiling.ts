/** Where a server's time goes under one load: measured apart, since a profiler slows down what it looks at. */

import { runLoad, Server } from "./processes.ts";
import { topFunctions } from "./rivals/profile.ts";
import type { Extent, Shape } from "./scenarios.ts";
import { serverOf, type System } from "./systems.ts";
import { percent, table } from "./tables.ts";

const FUNCTIONS = 40;

/** Profiles the server of a system. @returns Markdown: the functions that took most of the time themselves. */
export async function profileReport(system: System, shape: Shape, extent: Extent): Promise<string> {
  const directory = await Deno.makeTempDir({ prefix: "holdfast-profile-" });
  const profile = `${directory}/server.cpuprofile`;
  try {
    const began = performance.now();
    let started: number;
    let perSecond: number;
    {
      await using server = await Server.start(serverOf(system), { profile });
      started = performance.now() - began;
      const { url, pid, statsUrl: stats } = server;
      const { warmUp, duration } = extent;
      const result = await runLoad({ system, url, pid, stats, ...shape, warmUp, duration });
      perSecond = result.messagesPerSecond;
    }
    const functions = topFunctions(await Deno.readTextFile(profile), started + extent.warmUp, FUNCTIONS);
    return [
      `## ${system}, ${shape.sockets} × ${shape.inFlight}: ${
        Math.round(perSecond).toLocaleString("en")
      }/s under the profiler`,
      table(["function, own time", "share"], functions.map(({ where, share }) => [where, percent(share)])),
      "",
    ].join("\n\n");
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}
