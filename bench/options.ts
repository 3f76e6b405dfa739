/** What `deno task bench` is asked for: its command line, read and checked. */

import { parseArgs } from "node:util";
import type { ContestPart } from "./rivals/contest.ts";
import { readParts, readSystems } from "./rivals/head_to_head.ts";
import type { Contender } from "./rivals/jobs.ts";
import { type System, SYSTEMS } from "./systems.ts";

/** The product's own parts. */
export const PARTS = ["loaded", "single", "memory", "calls", "streams", "upstream", "connections"] as const;

/** One of {@link PARTS}. */
export type Part = typeof PARTS[number];

/** The checked command line. */
export interface Options {
  readonly parts: readonly Part[];
  /** Empty without `--peers`. */
  readonly contestParts: readonly ContestPart[];
  readonly systems: readonly Contender[];
  readonly quick: boolean;
  readonly gigabyte: boolean;
  readonly write: boolean;
  readonly strict: boolean;
  /** Instead of their own. */
  readonly rounds?: number;
  readonly minutes?: number;
  /** Nothing is measured, these are profiled. */
  readonly profile?: readonly System[];
}

/** What a command line asks for. */
export type Asked =
  | { readonly kind: "run"; readonly options: Options }
  | { readonly kind: "help"; readonly text: string }
  /** One line. */
  | { readonly kind: "refused"; readonly why: string };

const USAGE = `deno task bench [OPTIONS]: the speed and the memory of sessions, beside a bare WebSocket echo

  --peers            also beside other systems, which sh bench/install.sh installs
  --quick            fewer and shorter rounds; figures are rough
  --only PARTS       some of the parts: ${PARTS.join(",")}
                     and with --peers: ${readParts().join(",")}
  --systems NAMES    some of the contest's systems: ${(readSystems() ?? []).join(",")}
  --rounds N         another number of rounds
  --minutes N        how long the contest may take before what is left of it is skipped, in place of 30
  --gigabyte         in the part upstream a gigabyte instead of 64 MB
  --profile SYSTEMS  nothing is measured; says where a server's time goes under these loads
  --write            with --peers: writes RESULTS.md, RESULTS.json and plots/ in bench/
  --strict           ends with exit code 1 if a target is missed
  --help             says this

deno task bench --peers --write makes bench/RESULTS.md.`;

const OPTIONS = {
  peers: { type: "boolean", default: false },
  quick: { type: "boolean", default: false },
  only: { type: "string" },
  systems: { type: "string" },
  rounds: { type: "string" },
  minutes: { type: "string" },
  write: { type: "boolean", default: false },
  strict: { type: "boolean", default: false },
  gigabyte: { type: "boolean", default: false },
  profile: { type: "string" },
  help: { type: "boolean", short: "h", default: false },
} as const;

const refused = (why: string): Asked => ({ kind: "refused", why });

/** Reads a command line. */
export function readOptions(args: readonly string[]): Asked {
  const values = valuesOf(args);
  if (typeof values === "string") return refused(values);
  if (values.help) return { kind: "help", text: USAGE };
  const { peers, quick, gigabyte, write, strict } = values;
  const wanted = values.only?.split(",");
  const contestParts = peers ? readParts(wanted) : [];
  const known = [...PARTS, ...(peers ? readParts() : [])];
  const unknown = wanted?.find((part) => !known.some((name) => name === part));
  if (unknown !== undefined) return refused(`--only ${unknown}: the parts are ${known.join(", ")}`);
  const systems = readSystems(values.systems?.split(","));
  if (systems === null) return refused(`--systems ${values.systems}: one of them is unknown`);
  const rounds = numberOf(values.rounds);
  if (rounds !== undefined && !(Number.isInteger(rounds) && rounds >= 1)) {
    return refused(`--rounds ${values.rounds}: a number of rounds from 1 on`);
  }
  const minutes = numberOf(values.minutes);
  if (minutes !== undefined && !(minutes > 0)) {
    return refused(`--minutes ${values.minutes}: a number of minutes above 0`);
  }
  if (write && (!peers || wanted !== undefined || values.systems !== undefined)) {
    return refused("--write wants --peers and neither --only nor --systems: RESULTS.md is about everything");
  }
  const profile = values.profile?.split(",");
  const profiled = profile?.filter((name): name is System => SYSTEMS.some((system) => system === name));
  if (profiled?.length !== profile?.length) {
    return refused(`--profile ${values.profile}: the systems are ${SYSTEMS.join(", ")}`);
  }
  return {
    kind: "run",
    options: {
      parts: PARTS.filter((part) => wanted === undefined || wanted.includes(part)),
      ...{ contestParts, systems, quick, gigabyte, write, strict },
      ...(rounds === undefined ? {} : { rounds }),
      ...(minutes === undefined ? {} : { minutes }),
      ...(profiled === undefined ? {} : { profile: profiled }),
    },
  };
}

const numberOf = (text: string | undefined) => text === undefined ? undefined : Number(text);

/** What was given, or what is wrong with it, in one line. */
function valuesOf(args: readonly string[]) {
  try {
    return parseArgs({ args: [...args], options: OPTIONS }).values;
  } catch (error) {
    const code = error instanceof Error && "code" in error ? String(error.code) : "";
    if (!(error instanceof Error) || !code.startsWith("ERR_PARSE_ARGS")) throw error;
    return `${error.message.split("\n")[0]} (--help says what there is)`;
  }
}
