/** Turns a contest into tables and judgements. */

import { median, table, type Target } from "../tables.ts";
import { bars, type Line, lines } from "../plot.ts";
import {
  type Contest,
  GROWTH_IN_FLIGHT,
  isMeasured,
  KILL,
  MISSED,
  type Rounds,
  STORM_DIALS,
} from "./contest_model.ts";
import { type Contender, CONTENDERS, type Pace, type Recovery } from "./jobs.ts";

type Key<T> = { [K in keyof T]-?: T[K] extends number | undefined ? K : never }[keyof T];

const OURS: readonly Contender[] = ["ephemeral", "durable"];

const present = (part: Rounds<object>) => CONTENDERS.filter((contender) => part[contender] !== undefined);

/** JSON has no NaN: what could not be said arrives as null. */
const numeric = (value: unknown) => typeof value === "number" ? value : NaN;

/** The median over rounds; NaN if there is none. */
function middle<T extends object>(part: Rounds<T>, contender: Contender, key: Key<T>): number {
  const values = (part[contender] ?? []).filter(isMeasured<T>).map((result) => numeric(result[key]));
  return median(values.filter((value) => !Number.isNaN(value)));
}

/** The sum over rounds. */
function total<T extends object>(part: Rounds<T>, contender: Contender, key: Key<T>): number {
  return (part[contender] ?? []).filter(isMeasured<T>).reduce((sum, result) => sum + numeric(result[key]), 0);
}

/** The median over rounds of the ratio within each round. */
function ratio<T extends object>(part: Rounds<T>, contender: Contender, to: Contender, key: Key<T>): number {
  const others = part[to] ?? [];
  const ratios = (part[contender] ?? []).map((result, round) => {
    const other = others[round];
    return isMeasured<T>(result) && isMeasured<T>(other) ? numeric(result[key]) / numeric(other[key]) : NaN;
  });
  return median(ratios.filter((value) => !Number.isNaN(value)));
}

/** Why a contender has no figure; null if it has one. */
function why(part: Rounds<object>, contender: Contender): string | null {
  const results = part[contender] ?? [];
  if (results.some(isMeasured)) return null;
  const first = results[0];
  return first !== undefined && "why" in first ? String(first.why) : "not measured";
}

/** A target with where to look when it is missed. */
export interface ContestTarget extends Target {
  /** What to profile; absent where time is not the question. */
  readonly profile?: {
    readonly contender: "ephemeral" | "durable";
    readonly part: "echo" | "break" | "storm";
  };
}

/** Judges a contest by the promises of the project. */
export function judgeContest({ echo, weight, break: broken, storm }: Contest): ContestTarget[] {
  const targets: ContestTarget[] = [];
  const add = (
    name: string,
    sense: "≥" | "≤",
    bound: number,
    value: number,
    unit: string,
    profile?: ContestTarget["profile"],
  ) => {
    // One of the two was not asked for, or could not be measured; its table says why.
    if (Number.isNaN(value) || Number.isNaN(bound)) return;
    targets.push({
      name,
      wanted: `${sense} ${bound.toFixed(unit === "×" ? 1 : 2)} ${unit}`,
      measured: `${value.toFixed(2)} ${unit}`,
      met: sense === "≥" ? value >= bound : value <= bound,
      ...(profile === undefined ? {} : { profile }),
    });
  };
  if (echo !== undefined) {
    const faster = (name: "ephemeral" | "durable", least: number, than: Contender) => {
      const profile = { contender: name, part: "echo" } as const;
      add(`echoes/s: ${name} to ${than}`, "≥", least, ratio(echo, name, than, "perSecond"), "×", profile);
    };
    faster("ephemeral", 2, "bare");
    faster("durable", 1, "bare");
    faster("durable", 3, "mosquitto-qos1");
    faster("durable", 6, "mosquitto-qos2");
    faster("durable", 5, "jetstream-publish");
    faster("ephemeral", 8, "socket.io");
  }
  for (const contender of ["ephemeral", "durable"] as const) {
    if (broken !== undefined) {
      const value = ratio(broken, contender, "bare", "p50");
      add(`caught up after a break, p50: ${contender} to bare`, "≤", 3, value, "×", {
        contender,
        part: "break",
      });
    }
    if (storm !== undefined) {
      const value = ratio(storm, contender, "bare", "all");
      add(`storm, all back: ${contender} to bare`, "≤", 1.5, value, "×", { contender, part: "storm" });
    }
    if (weight !== undefined) {
      const bound = middle(weight, "socket.io", "attached") / 1024;
      const value = middle(weight, contender, "attached") / 1024;
      add(`idle attached session, resident: ${contender}, at most socket.io's`, "≤", bound, value, "KiB");
    }
  }
  return targets;
}

/** How busy both ends were under full load, for a target about it; undefined for others. */
export function busyness({ echo }: Contest, { profile }: ContestTarget): string | undefined {
  if (echo === undefined || profile?.part !== "echo") return undefined;
  const rate = middle(echo, profile.contender, "perSecond");
  const share = (key: "serverCost" | "generatorCost") => {
    return `${Math.round(middle(echo, profile.contender, key) * rate / 1e4)} %`;
  };
  return `In this run the server used ${share("serverCost")} of one processor and the load ${
    share("generatorCost")
  }.`;
}

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
        ...(["attached", "detached"] as const).map((key) => (middle(weight, name, key) / 1024).toFixed(2)),
      ];
    });
    parts.push(
      `## Resident memory of one idle session, KiB (${extent.held} sessions)`,
      "After a full collection where the server has a collector; bare, Holdfast and socket.io in each round, the others once. Detached is what stays of a session whose socket is gone; a " +
        "durable one is parked by then.",
      table(["", "attached", "detached"], rows),
    );
  }
  if (broken !== undefined) {
    parts.push(
      `## Caught up after a break, ${MISSED.break} messages missed, milliseconds`,
      "From the dial to the last missed message; for bare, which misses nothing because nothing is kept, to the first echo.",
      recoveryTable(broken),
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
  if (growth !== undefined) parts.push(...growthParts(growth, extent.growth));
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
    "p99",
    "all",
    "×",
    ...costs ? ["server µs", "load µs"] : [],
    "lost",
    "doubled",
    "late",
    "forgotten",
  ], rows);
}

function growthParts(growth: readonly Rounds<Pace>[], sizes: readonly number[]): string[] {
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
    "Each session has at most one message under way, so nothing can be batched within a session.",
    "![](plots/growth.svg)",
    table(["", ...sizes.map((size) => size.toLocaleString("en")), "last to first"], rows),
  ];
}
