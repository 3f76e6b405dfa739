/**
 * `deno run -A bench/remote.ts`: what a bridge costs (`remote:NAME`), beside the same service without one, in turns.
 *
 * - Calls of `demo.echo` with 100-byte arguments, by sessions of the SDK in this process.
 * - Items of `demo.ticks`, one download in each session.
 *
 * `--rounds N` and `--seconds N` make it shorter or longer.
 */

import { parseArgs } from "node:util";
import { connect, type Connection } from "../src/client/mod.ts";
import { ServerProcess } from "../tests/support/server_process.ts";
import { median } from "./tables.ts";

const { values } = parseArgs({
  options: { rounds: { type: "string", default: "5" }, seconds: { type: "string", default: "3" } },
});
const rounds = Number(values.rounds);
const milliseconds = 1_000 * Number(values.seconds);

const SESSIONS = 20;
const IN_FLIGHT = 8;
const ARGUMENT = "x".repeat(100);

/** Calls each connection keeps in flight until the time is over. @returns Calls per second. */
async function calls(connections: readonly Connection[]): Promise<number> {
  let done = 0;
  const until = performance.now() + milliseconds;
  await Promise.all(connections.flatMap((connection) =>
    Array.from({ length: IN_FLIGHT }, async () => {
      while (performance.now() < until) {
        await connection.call("echo", ARGUMENT);
        done++;
      }
    })
  ));
  return done * 1_000 / milliseconds;
}

/** One download in each. @returns Items per second. */
async function items(connections: readonly Connection[]): Promise<number> {
  let done = 0;
  const until = performance.now() + milliseconds;
  await Promise.all(connections.map(async (connection) => {
    for await (const _ of connection.download("ticks", { count: 1_000_000 })) {
      done++;
      if (performance.now() >= until) break;
    }
  }));
  return done * 1_000 / milliseconds;
}

const far = await ServerProcess.start();
const near = await ServerProcess.start({ HOLDFAST_REMOTES: `demo=${far.url}` });
const sides = [["direct", far.url, "demo"], ["bridged", near.url, "remote:demo"]] as const;
try {
  for (const durability of ["ephemeral", "durable"] as const) {
    for (const [what, measure] of [["calls", calls], ["items", items]] as const) {
      const figures: Record<string, number[]> = { direct: [], bridged: [] };
      for (let round = 0; round < rounds; round++) {
        for (const [name, url, service] of sides) {
          const sessions = Array.from({ length: SESSIONS }, () => connect(url, { durability }));
          const connections = sessions.map((session) => session.open(service));
          await Promise.all(connections.map(({ opened }) => opened));
          figures[name]!.push(await measure(connections));
          await Promise.all(sessions.map((session) => session.close()));
        }
      }
      const [direct, bridged] = [median(figures["direct"]!), median(figures["bridged"]!)];
      console.log(
        `${durability} ${what}/s: direct ${Math.round(direct)}, bridged ${Math.round(bridged)}: ` +
          `${(bridged / direct).toFixed(2)} ×`,
      );
    }
  }
} finally {
  await near.dispose();
  await far.dispose();
}
