/** Which promises of the project a contest keeps, and what its figures say of those that it does not. */

import { printed, type Target } from "../tables.ts";
import type { Contest, Rounds, SessionWeight } from "./contest_model.ts";
import { middle, ratio } from "./figures.ts";
import type { Contender, Pace } from "./jobs.ts";

/** A target with where to look when it is missed. */
export interface ContestTarget extends Target {
  /** What to profile. */
  readonly profile: {
    readonly contender: "ephemeral" | "durable";
    readonly part: "echo" | "break" | "storm" | "weight";
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
    profile: ContestTarget["profile"],
  ) => {
    // One of the two was not asked for, or could not be measured; its table says why.
    if (Number.isNaN(value) || Number.isNaN(bound)) return;
    const met = sense === "≥" ? value >= bound : value <= bound;
    targets.push({
      name,
      wanted: `${sense} ${bound.toFixed(unit === "×" ? 1 : 2)} ${unit}`,
      measured: `${printed(value, bound, met)} ${unit}`,
      met,
      profile,
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
      add(`idle attached session, resident: ${contender}, at most socket.io's`, "≤", bound, value, "KiB", {
        contender,
        part: "weight",
      });
    }
  }
  return targets;
}

/** What the figures of a contest say of one target; undefined where its table says it all. */
export function seenOf(contest: Contest, target: ContestTarget): string | undefined {
  const { contender, part } = target.profile;
  switch (part) {
    case "echo":
      return contest.echo === undefined ? undefined : busyness(contest.echo, contender);
    case "weight":
      return contest.weight === undefined ? undefined : weights(contest.weight, contender);
    case "break":
    case "storm":
      return undefined;
    default:
      return part satisfies never;
  }
}

/** How busy both ends were under full load. */
function busyness(echo: Rounds<Pace>, contender: Contender): string {
  const rate = middle(echo, contender, "perSecond");
  const share = (key: "serverCost" | "generatorCost") => {
    return `${Math.round(middle(echo, contender, key) * rate / 1e4)} %`;
  };
  return `In this run the server used ${share("serverCost")} of one processor and the load ${
    share("generatorCost")
  }.`;
}

/** What an idle session's resident memory is made of, as far as the servers tell. */
function weights(weight: Rounds<SessionWeight>, contender: Contender): string {
  const kibibytes = (name: Contender, key: "attached" | "heap" | "external") =>
    middle(weight, name, key) / 1024;
  const parts = (name: Contender) => {
    const [resident, heap, external] = (["attached", "heap", "external"] as const).map((key) => {
      return kibibytes(name, key).toFixed(2).replace("NaN", "?");
    });
    return `${resident} resident, of it used heap ${heap} and external ${external}`;
  };
  const above = kibibytes(contender, "attached") - kibibytes("bare", "attached");
  return [
    `In this run, KiB of one attached session: a bare Deno WebSocket ${parts("bare")}; ${contender} ${
      parts(contender)
    };`,
    `that is ${above.toFixed(2).replace("NaN", "?")} resident above bare. socket.io, on Node: ${
      parts("socket.io")
    }.`,
    "What is resident beyond heap and external is the runtime's native memory and the allocators' room.",
  ].join(" ");
}
