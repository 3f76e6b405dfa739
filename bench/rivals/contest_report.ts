/** Turns a contest into tables and charts. */

import { table } from "../tables.ts";
import { bars, type Line, lines } from "../plot.ts";
import {
  type Contest,
  type ContestExtent,
  GROWTH_IN_FLIGHT,
  KILL,
  MISSED,
  type Rounds,
  STORM_DIALS,
} from "./contest_model.ts";
import { type Key, middle, present, ratio, total, why } from "./figures.ts";
import { type Contender, CONTENDERS, type Pace, type Recovery } from "./jobs.ts";

const OURS: readonly Contender[] = ["ephemeral", "durable"];

/** The charts of a contest: file name and SVG text. */
export function charts({ echo, storm, growth, extent }: Contest): ReadonlyMap<string, string> {
  const drawn = new Map<string, string>();
  const chart = <T extends object>(part: Rounds<T>, key: Key<T>, label: (value: number) => string) => {
    return present(part).filter((contender) => why(part, contender) === null).map((name) => {
      const value = middle(part, name, key);
      return { name, value, label: Number.isNaN(value) ? "lost" : label(value), ours: OURS.includes(name) };
    });
  };
  if (echo !== undefined) {
    const rows = chart(echo, "perSecond", thousands);
    drawn.set("echo.svg", bars("Echoes per second, 50 × 8 in flight", rows));
  }
  if (storm !== undefined) {
    const rows = chart(storm, "all", (ms) => `${ms.toFixed(0)} ms`);
    drawn.set("storm.svg", bars(`Milliseconds until ${extent.storm} sessions are all caught up`, rows));
  }
  if (growth !== undefined) {
    const names = CONTENDERS.filter((name) => growth.some((part) => why(part, name) === null));
    const drawnLines = names.map((name): Line => ({
      name,
      ours: OURS.includes(name),
      points: extent.growth.flatMap((x, i) => {
        const part = growth[i];
        const y = part === undefined ? NaN : middle(part, name, "serverCost");
        return Number.isNaN(y) || y <= 0 ? [] : [{ x, y }];
      }),
    }));
    drawn.set("growth.svg", lines("Server time per echo by open sessions", "µs", drawnLines));
  }
  return drawn;
}

const thousands = (value: number) => Math.round(value).toLocaleString("en");
const ms = (value: number) => Number.isNaN(value) ? "–" : value.toFixed(value < 10 ? 2 : 0);

/** The contest's chapter of the report. @param settings What is said of each system. */
export function contestReport(contest: Contest, settings: ReadonlyMap<Contender, string>): string {
  const { echo, alone, weight, break: broken, storm, kill, growth, extent } = contest;
  const parts = [
    "# Beside others",
    [...settings].map(([name, text]) => `- **${name}**: ${text}`).join("\n"),
    "Each run has a fresh server, a load generator in a process of its own, and checks every message; systems take turns " +
    `within a round; figures are medians over rounds (${extent.rounds} of the loaded echo, ${extent.otherRounds} of the others, 1 of growth), ratios are medians of the ratios within a round. ` +
    "Bodies have 100 bytes. Raw sockets (bare, Holdfast) are driven from Deno, the npm clients from Node, where they are " +
    "faster. × is to bare.",
  ];
  if (echo !== undefined) {
    parts.push("## Echo, 50 sessions × 8 in flight", "![](plots/echo.svg)", paceTable(echo));
    parts.push(
      "`jetstream-publish` is one client with 400 publishes in flight; each counts when its ack is there. It stores one message " +
        "for each, a durable echo two: one in, one out.",
    );
  }
  if (alone !== undefined) parts.push("## Echo, 1 × 1", paceTable(alone));
  if (weight !== undefined) {
    const rows = present(weight).map((name) => {
      const reason = why(weight, name);
      if (reason !== null) return [name, reason];
      return [
        name,
        ...(["attached", "heap", "external", "detached"] as const).map((key) => {
          return (middle(weight, name, key) / 1024).toFixed(2).replace("NaN", "–");
        }),
      ];
    });
    const negative = present(weight).some((name) => middle(weight, name, "detached") < 0);
    parts.push(
      `## Resident memory of one idle session, KiB (${extent.held} sessions)`,
      "After a full collection where the server has a collector; bare, Holdfast and socket.io in each round, the others once. Of what is attached, `heap` is V8's used heap and `external` what it holds outside of it, where the " +
        "server has one. Detached is what stays of a session whose socket is gone; a durable one is parked by then." +
        (negative
          ? " A figure below zero is a small one: less was resident after these sessions were dropped than after earlier ones were, which is the allocators' doing."
          : ""),
      table(["", "attached", "heap", "external", "detached"], rows),
    );
  }
  if (broken !== undefined) {
    parts.push(
      `## Caught up after a break, ${MISSED.break} messages missed, milliseconds`,
      "From the dial to the last missed message; for bare, which misses nothing because nothing is kept, to the first echo.",
      recoveryTable(broken),
      ...phaseParts(broken),
    );
  }
  if (storm !== undefined) {
    parts.push(
      `## Storm: ${extent.storm} sessions come back at once, ${MISSED.storm} messages missed each, milliseconds`,
      `From the first dial, ${STORM_DIALS} at the same time, until a session has everything it missed (bare: its first echo).`,
      "![](plots/storm.svg)",
      "The two columns of µs are processor time per session while the storm lasts, of the server and of the load.",
      recoveryTable(storm, true),
    );
  }
  if (kill !== undefined) {
    parts.push(
      `## kill -9 under load: ${KILL.sessions} sessions × ${KILL.inFlight} in flight, milliseconds`,
      "From the SIGKILL, the server is started again at once with the same files, until a session has the echo of a message " +
        "that it sent after it was back. Lost are messages that were under way and never came back; forgotten are sessions " +
        "that had to begin anew.",
      recoveryTable(kill),
    );
  }
  if (growth !== undefined) parts.push(...growthParts(growth, extent));
  return parts.join("\n\n");
}

function paceTable(part: Rounds<Pace>): string {
  const rows = present(part).map((name) => {
    const reason = why(part, name);
    if (reason !== null) return [name, reason];
    return [
      name,
      thousands(middle(part, name, "perSecond")),
      ratio(part, name, "bare", "perSecond").toFixed(2),
      middle(part, name, "p50").toFixed(3),
      middle(part, name, "p99").toFixed(3),
      middle(part, name, "serverCost").toFixed(1),
      middle(part, name, "generatorCost").toFixed(1),
    ];
  });
  return table(["", "echoes/s", "×", "p50 ms", "p99 ms", "server µs/echo", "load µs/echo"], rows);
}

function recoveryTable(part: Rounds<Recovery>, costs = false): string {
  const rows = present(part).map((name) => {
    const reason = why(part, name);
    if (reason !== null) return [name, reason];
    return [
      name,
      ms(middle(part, name, "p50")),
      ratio(part, name, "bare", "p50").toFixed(2).replace("NaN", "–"),
      ms(middle(part, name, "p99")),
      ms(middle(part, name, "all")),
      ratio(part, name, "bare", "all").toFixed(2).replace("NaN", "–"),
      ...costs
        ? (["serverCost", "generatorCost"] as const).map((key) =>
          Math.round(middle(part, name, key)).toString()
        )
        : [],
      ...(["lost", "doubled", "late", "forgotten"] as const).map((key) => String(total(part, name, key))),
    ];
  });
  return table([
    "",
    "p50",
    "p50 ×",
    "p99",
    "all",
    "all ×",
    ...costs ? ["server µs", "load µs"] : [],
    "lost",
    "doubled",
    "late",
    "forgotten",
  ], rows);
}

/** When a break's dial reached what, for those whose clients can tell. */
function phaseParts(part: Rounds<Recovery>): string[] {
  const names = present(part).filter((name) => !Number.isNaN(middle(part, name, "opened")));
  if (names.length === 0) return [];
  const rows = names.map((name) => {
    return [name, ...(["opened", "established", "p50"] as const).map((key) => ms(middle(part, name, key)))];
  });
  return [
    "Milliseconds from the dial to each moment, medians: the socket is open, the session is there again (bare has none), the last missed message has come (bare: the first echo).",
    table(["", "open socket", "established", "last missed message"], rows),
  ];
}

function growthParts(
  growth: readonly Rounds<Pace>[],
  { growth: sizes, opening }: ContestExtent,
): string[] {
  const names = CONTENDERS.filter((name) => growth.some((part) => part[name] !== undefined));
  const rows = names.map((name) => {
    const reasons = new Set(growth.map((part) => why(part, name)));
    const [only] = reasons;
    if (reasons.size === 1 && only) return [name, only];
    const cells = growth.map((part) => {
      const reason = why(part, name);
      return reason ??
        `${middle(part, name, "serverCost").toFixed(1)} (${thousands(middle(part, name, "perSecond"))}/s)`;
    });
    const first = growth[0];
    const last = growth.at(-1);
    const grown = first === undefined || last === undefined
      ? NaN
      : middle(last, name, "serverCost") / middle(first, name, "serverCost");
    return [name, ...cells, Number.isNaN(grown) ? "–" : `${grown.toFixed(2)} ×`];
  });
  return [
    `## Cost as sessions grow: server µs per echo (and echoes/s), ${GROWTH_IN_FLIGHT} in flight over all of them in turn`,
    "Each session has at most one message under way, so nothing can be batched within a session. Opening all sessions may take " +
    `${
      opening / 1000
    } s; where echoes are slow, measuring goes on until there are some hundreds, for ten seconds at most.`,
    "![](plots/growth.svg)",
    table(["", ...sizes.map((size) => size.toLocaleString("en")), "last to first"], rows),
  ];
}
