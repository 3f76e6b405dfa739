/** What a client says to the service `demo`: every method, with arguments and channels that fit, or are refused in band. */

import { RPC_CODES } from "../../src/protocol/rpc_codes.ts";
import type { SeededRandom } from "../support/seeded_random.ts";
import { bodyValue, type Loose, type Position } from "./loose_message.ts";

/** How a method is called. */
interface DemoMethod {
  readonly upload?: true;
  readonly download?: true;
  readonly argument: (random: SeededRandom) => unknown;
}

/** Shared by all peers, so that their transactions meet. */
const totalName = (random: SeededRandom) => `total ${random.int(12)}`;

/** The methods by name: those of `src/service/demo.ts`, all of them. */
export const DEMO_METHODS: ReadonlyMap<string, DemoMethod> = new Map<string, DemoMethod>([
  ["echo", { argument: bodyValue }],
  ["add", { argument: (random) => ({ name: totalName(random), by: random.between(-9, 9) }) }],
  ["get", { argument: (random) => ({ name: totalName(random) }) }],
  ["ticks", {
    download: true,
    argument: (random) => ({
      count: random.pick([0, 1, 5, 40, 1_000_000]),
      ...(random.chance(0.3) ? { interval: random.int(20) } : {}),
    }),
  }],
  ["sum", { upload: true, argument: () => null }],
  ["pipe", { upload: true, download: true, argument: () => null }],
  // A minute is longer than any session of a fuzz run lives.
  ["slow", { argument: (random) => ({ ms: random.pick([0, 1, 20, 100, 60_000]) }) }],
  ["fail", { argument: (random) => random.chance(0.5) ? {} : { code: random.pick(RPC_CODES) } }],
  ["whoami", { argument: () => null }],
]);

const NAMES = [...DEMO_METHODS.keys()];
/** The share of calls that the service refuses: of no method, with a wrong argument, other channels or another option. */
const REFUSED = 0.15;

/** The next messages on an open connection to `demo`; the first has the number `at.seq`, and all fit where `at` is right. */
export function demoTraffic(random: SeededRandom, at: Position): Loose[] {
  const { seq, connection, calls } = at;
  const { requests, uploads, downloads } = calls;
  const draw = random.float();
  if (draw < 0.25 && uploads.length > 0) {
    const channel = random.pick(uploads);
    const items = Math.min(calls.creditOf(channel), random.between(1, 6));
    const sent = Array.from({ length: items }, (_, n): Loose => {
      // One of the wrong type fails its call.
      const item = random.chance(0.03) ? "seven" : random.int(1_000) / 4;
      return ["item", seq + n, connection, channel, item];
    });
    if (items > 0 && random.chance(0.7)) return sent;
    return [
      ...sent,
      random.chance(0.8)
        ? ["finish", seq + items, connection, channel]
        : ["reset", seq + items, connection, channel, { reason: "cancelled" }],
    ];
  }
  if (draw < 0.45 && downloads.length > 0) {
    return [["credit", seq, connection, random.pick(downloads), random.pick([0, 1, 8, 64, 500])]];
  }
  if (requests.length > 0 && (draw < 0.55 || !calls.hasRoom)) {
    // One that is answered already may be cancelled too.
    const request = random.chance(0.8) ? random.pick(requests) : random.between(1, calls.request);
    return [["cancel", seq, connection, request]];
  }
  return [call(random, at)];
}

function call(random: SeededRandom, { seq, connection, calls }: Position): Loose {
  const name = random.pick(NAMES);
  const method = DEMO_METHODS.get(name)!;
  const wrong = random.chance(REFUSED) ? random.int(4) : -1;
  let [upload, download] = [method.upload === true, method.download === true];
  if (wrong === 2) [upload, download] = [download, !upload];
  let channel = calls.channel;
  const keyed = wrong === 3 || !upload && !download && random.chance(0.4);
  const options = {
    // Few keys, so that some are used twice, for one method and argument or for others.
    ...(keyed ? { operation: `key ${random.int(4)}` } : {}),
    ...(random.chance(0.15) ? { timeout: random.pick([0, 1, 50, 5_000]) } : {}),
    ...(upload ? { upload: channel += 2 } : {}),
    ...(download ? { download: channel += 2 } : {}),
    ...(download && random.chance(0.6) ? { credit: random.int(40) } : {}),
  };
  return [
    "call",
    seq,
    connection,
    calls.request + random.pick([1, 1, 1, 7]),
    wrong === 0 ? random.pick(["", "adds", "__proto__", "toString", "constructor"]) : name,
    wrong === 1 ? bodyValue(random) : method.argument(random),
    options,
  ];
}
