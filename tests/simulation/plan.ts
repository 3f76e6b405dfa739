/** What one seed means: the cluster, its clients, how the store behaves, and what goes wrong when. */

import { DEFAULT_LIMITS, type Limits } from "../../src/protocol/limits.ts";
import type { RequestedSettings } from "../../src/protocol/messages.ts";
import { SeededRandom } from "../support/seeded_random.ts";
import type { ClientSpec, WorkMix } from "./sim_client.ts";
import type { StoreFaultKind, StoreRates } from "./sim_store.ts";
import type { Sizes } from "./workload.ts";

/** Something that goes wrong at a time; which client or node is drawn by `pick` from those there are. */
export interface TimedFault {
  /** Milliseconds from the beginning. */
  readonly at: number;
  readonly kind: typeof FAULT_KINDS[number];
  /** Chooses whom it hits. */
  readonly pick: number;
  /** How long, how far, how many: by kind. */
  readonly size: number;
}

/** Every kind of {@link TimedFault}. */
export const FAULT_KINDS = [
  "line-break",
  "line-half-open-up",
  "line-half-open-down",
  "line-half-open",
  "line-stall",
  "handshake-cut-up",
  "handshake-cut-down",
  "handshake-storm",
  "frame-cut-up",
  "frame-cut-down",
  "node-crash",
  "node-vanish",
  "node-pause",
  "node-drain",
  "store-away",
  "store-away-from-node",
  "clock-jump",
  "page-reload",
  "tab-copy",
  "client-redial",
  "client-close",
] as const;

/** One run. */
export interface Plan {
  readonly seed: number;
  /** Clock skew of each node, milliseconds. */
  readonly nodes: readonly number[];
  readonly clients: readonly ClientSpec[];
  readonly limits: Limits;
  readonly sizes: Sizes;
  readonly keepalive: { readonly interval: number; readonly timeout: number };
  readonly parkAfter: number;
  readonly handshakeTimeout: number;
  readonly resumeWindow: number;
  readonly lineLatency: { readonly least: number; readonly most: number };
  readonly storeLatency: { readonly least: number; readonly most: number };
  /** Accounts that all clients' transactions share. */
  readonly accounts: number;
  /** How long the store still shows what has expired. */
  readonly expiryLag: number;
  readonly rates: StoreRates;
  /** Atomics that the store takes at once, for the committer. */
  readonly checksPerAtomic: number;
  /** Milliseconds of faults; then everything is healed. */
  readonly duration: number;
  readonly faults: readonly TimedFault[];
}

const RESUME_WINDOW_MS = 900_000;

/** Makes the plan of a seed. */
export function planOf(seed: number): Plan {
  const random = new SeededRandom(seed);
  const usual = random.pick(SIZES);
  // Drawn apart, so that the other plans stay what they were.
  const more = new SeededRandom(seed ^ 0x7d1c3a55);
  const long = more.chance(0.1);
  const short = random.between(15_000, 90_000);
  const within = more.chance(0.5) ? EDGES.filter((edge) => edge + 100 < usual.bodyBytes) : [];
  const sizes = within.length === 0
    ? { ...usual, edges: within }
    : { ...usual, edges: within, atTheEdge: 2 * usual.atTheEdge };
  const duration = long ? more.between(200_000, 400_000) : short;
  const work = new SeededRandom(seed ^ 0x2f6b19d3);
  // In some plans nobody has any work.
  const works = work.chance(0.85);
  const mix = work.pick(MIXES);
  const clients = Array.from(
    { length: random.between(1, 4) + (works && work.chance(0.3) ? 2 : 0) },
    (_, i) => ({
      ...clientSpec(random, i, sizes, duration),
      ...workSpec(work, works ? mix : null, duration),
    }),
  );
  const spread = random.pick([0, 200, 2_000]);
  return {
    seed,
    nodes: Array.from({ length: random.between(2, 3) }, () => random.between(-spread, spread)),
    clients,
    limits: {
      ...DEFAULT_LIMITS,
      // The smallest that a server can be set to, with its body.
      ...(more.chance(0.3) ? { frameBytes: sizes.bodyBytes + 8 * 1024 } : {}),
      bodyBytes: sizes.bodyBytes,
      windowMessages: sizes.windowMessages,
      windowBytes: sizes.windowBytes,
      storedBytes: Math.max(1024 * 1024, 80 * sizes.bodyBytes),
      concurrentCalls: work.pick([2, 8, 64]),
    },
    sizes,
    keepalive: random.pick([{ interval: 3_000, timeout: 2_000 }, { interval: 8_000, timeout: 4_000 }]),
    parkAfter: random.pick([300, 2_000, 10_000]),
    handshakeTimeout: random.pick([2_500, 10_000]),
    resumeWindow: RESUME_WINDOW_MS,
    lineLatency: random.pick([{ least: 1, most: 5 }, { least: 5, most: 60 }, { least: 1, most: 400 }]),
    storeLatency: random.pick([{ least: 0, most: 2 }, { least: 1, most: 15 }, { least: 5, most: 150 }]),
    accounts: work.pick([2, 3]),
    expiryLag: random.pick([0, 0, 30_000, 600_000]),
    rates: {
      ...storeRates(random),
      ...(more.chance(0.3) ? { conflict: more.pick([0.005, 0.02]) } : {}),
    },
    checksPerAtomic: random.pick([10, 100]),
    duration,
    faults: timedFaults(random, duration).map((fault) =>
      // Minutes, where a run has them.
      long && fault.kind.startsWith("store-away")
        ? { ...fault, size: more.between(fault.size, 300_000) }
        : fault
    ),
  };
}

const SIZES = [
  { bodyBytes: 200, atTheEdge: 200, windowMessages: 4, windowBytes: 600 },
  { bodyBytes: 1_000, atTheEdge: 100, windowMessages: 16, windowBytes: 4_000 },
  { bodyBytes: 1_000, atTheEdge: 10, windowMessages: 1024, windowBytes: 1024 * 1024 },
  { bodyBytes: 20_000, atTheEdge: 60, windowMessages: 64, windowBytes: 64_000 },
  { bodyBytes: 200_000, atTheEdge: 15, windowMessages: 1024, windowBytes: 1024 * 1024 },
] as const;

/**
 * Where a body is treated in another way: what stays in the core, waits in a connection's record, is kept, is a part of a
 * segment, fits a value of the store, fills a frame.
 */
const EDGES = [8, 16, 32, 48, 60, 64, 128].map((kib) => kib * 1024);

function clientSpec(
  random: SeededRandom,
  index: number,
  sizes: Sizes,
  duration: number,
): Omit<ClientSpec, "principal" | "work" | "mix"> {
  const kind = random.chance(0.5) ? "sdk" : "foreign";
  const large = sizes.bodyBytes > 10_000;
  const settings: RequestedSettings = {
    ...(random.chance(0.2) ? { durability: "ephemeral" } : {}),
    ...(random.chance(0.3) ? { windowMessages: random.between(1, 20) } : {}),
    ...(random.chance(0.3) ? { windowBytes: 2 * sizes.bodyBytes + random.between(0, 100) } : {}),
  };
  const pace = random.pick([20, 100, 500]);
  return {
    name: `${kind === "sdk" ? "s" : "f"}${index + 1}`,
    kind,
    subprotocol: random.chance(0.25) ? "holdfast.v1.json" : "holdfast.v1.msgpack",
    settings,
    stored: random.chance(0.5),
    storageLatency: random.pick([null, 5, 200]),
    pace,
    requests: Math.min(large ? 40 : 150, Math.ceil(duration / pace)),
  };
}

function workSpec(
  random: SeededRandom,
  mix: WorkMix | null,
  duration: number,
): Pick<ClientSpec, "principal" | "work" | "mix"> {
  const principal = random.pick(["", "ada", "ada", "eve"]);
  const work = random.pick([20, 60, 150]);
  return {
    principal,
    work: mix === null ? 0 : Math.min(work, Math.ceil(duration / 100)),
    mix: mix ?? MIXES[0],
  };
}

/** Everything; transactions that contend; calls and messages before an accept. */
const MIXES: readonly [WorkMix, ...WorkMix[]] = [
  { bank: 0.55, opens: 0.08, ends: 0.008, messages: 0.3 },
  { bank: 0.55, opens: 0.08, ends: 0.008, messages: 0.3 },
  { bank: 1, opens: 0.02, ends: 0.002, messages: 0.2 },
  { bank: 0.1, opens: 0.25, ends: 0.1, messages: 0.1 },
];

function storeRates(random: SeededRandom): StoreRates {
  const intensity = random.pick([0, 0.01, 0.05, 0.15]);
  const rates: { [kind in StoreFaultKind]?: number } = {};
  for (
    const kind of ["fail-before", "fail-after", "apply-late", "lie-conflict", "slow", "read-fail"] as const
  ) {
    if (random.chance(0.6)) rates[kind] = intensity * random.float();
  }
  return rates;
}

/** How often each kind is drawn, and between which sizes. */
const DRAWN: { readonly [kind in TimedFault["kind"]]: { weight: number; least: number; most: number } } = {
  "line-break": { weight: 20, least: 0, most: 0 },
  "line-half-open-up": { weight: 4, least: 0, most: 0 },
  "line-half-open-down": { weight: 4, least: 0, most: 0 },
  "line-half-open": { weight: 6, least: 0, most: 0 },
  "line-stall": { weight: 5, least: 50, most: 12_000 },
  // Frames that get through before the next dialled line breaks.
  "handshake-cut-up": { weight: 6, least: 0, most: 3 },
  "handshake-cut-down": { weight: 8, least: 0, most: 3 },
  // Answers in a row that are lost.
  "handshake-storm": { weight: 2, least: 3, most: 7 },
  "frame-cut-up": { weight: 6, least: 0, most: 5 },
  "frame-cut-down": { weight: 6, least: 0, most: 5 },
  // Milliseconds until it is there again.
  "node-crash": { weight: 8, least: 50, most: 15_000 },
  "node-vanish": { weight: 3, least: 50, most: 40_000 },
  "node-pause": { weight: 4, least: 50, most: 25_000 },
  "node-drain": { weight: 3, least: 3_000, most: 10_000 },
  "store-away": { weight: 3, least: 200, most: 60_000 },
  "store-away-from-node": { weight: 3, least: 200, most: 40_000 },
  "clock-jump": { weight: 2, least: -3_000, most: 3_000 },
  "page-reload": { weight: 10, least: 0, most: 0 },
  "tab-copy": { weight: 1, least: 0, most: 0 },
  "client-redial": { weight: 12, least: 0, most: 0 },
  "client-close": { weight: 1, least: 0, most: 0 },
};

function timedFaults(random: SeededRandom, duration: number): TimedFault[] {
  const every = random.pick([1_000, 2_500, 6_000]);
  // Each run leaves some kinds out, so that others are seen alone.
  const kinds = FAULT_KINDS.filter(() => random.chance(0.6));
  const bag = kinds.flatMap((kind) => Array.from({ length: DRAWN[kind].weight }, () => kind));
  const faults: TimedFault[] = [];
  for (let at = random.between(0, 500); at < duration && bag.length > 0; at += random.between(1, 2 * every)) {
    const kind = random.pick(bag);
    const { least, most } = DRAWN[kind];
    faults.push({ at, kind, pick: random.uint32(), size: random.between(least, most) });
    // Much goes wrong at once where something goes wrong.
    if (random.chance(0.25)) at -= every;
  }
  return faults.filter(({ at }) => at >= 0).sort((a, b) => a.at - b.at);
}
