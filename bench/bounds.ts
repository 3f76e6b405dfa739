/** What is known to bound the targets of the product's own parts, and what to look at when one of them is missed. */

import { heapProfile } from "./heap_profile.ts";
import type { Bounds, Evidence, Miss, Witness } from "./missed.ts";
import { profileLoad } from "./profiling.ts";
import type { Measurements } from "./report.ts";
import type { Extent, Shape } from "./scenarios.ts";
import type { System } from "./systems.ts";
import type { Target } from "./tables.ts";

/** By the beginning of a target's name. */
export const BOUNDS: Bounds = [
  [
    "ephemeral echo",
    "An echo is two numbered messages that are retained until they are acked. Decoding, encoding and the machines run on one " +
    "thread; what leaves in one frame shares the cost of the socket, which is all that bare pays, and pays for each message.",
  ],
  [
    "durable echo",
    "Each echo is two numbered messages, committed and fsynced in groups before they are acked or sent. The hand-over of commits " +
    "to SQLite (`op_kv_atomic_write`) is the main thread's work, the fsync is the disk's: where the server is not busy, sessions " +
    "wait for it, and for a processor that SQLite's thread and the load share.",
  ],
  [
    "KV mutations per durable message",
    "A commit takes all messages that came while the one before it was on its way to the disk; the faster the disk, or the fewer " +
    "messages are in flight, the fewer share one mutation.",
  ],
  [
    "durable round trip",
    "With one message in flight there is nothing to group: each round trip waits for one commit and its fsync, which " +
    "is the disk's.",
  ],
  [
    "attached idle ephemeral session above a bare socket, resident",
    "Resident memory counts what the allocators keep beside the sessions (the heap's free room), and differs by some KiB per " +
    "session from run to run; the heap itself is the row above.",
  ],
  [
    "attached idle durable session above a bare socket, resident",
    "Resident memory counts what the allocators keep beside the sessions (the store's page cache, the heap's free room), and " +
    "differs by some KiB per session from run to run; the heap itself is the row above.",
  ],
  [
    "attached idle",
    "A session beyond its socket is the state of the delivery machine and of each connection, its runner, its timers, its tokens, " +
    "and for a durable one what was committed last; few of these objects are large, there are many of them.",
  ],
  [
    "parked session",
    "A parked session is in the store and not in memory. What is weighed here is what collections leave behind, and tables that " +
    "grew and do not shrink, divided by the sessions.",
  ],
  [
    "ephemeral call",
    "A call costs what an echo of a session costs, and beyond it what is done with the request: its method is looked up, its " +
    "argument decoded and checked, its handler called, its result encoded.",
  ],
  [
    "transaction",
    "A transaction's writes are part of its session's own commit, so what bounds a durable echo bounds it; on top comes the call, " +
    "and reading what its handler asks for.",
  ],
  [
    "item of an ephemeral download",
    "Each item is a turn of an asynchronous generator, an encoding and a numbered message that is retained until it is acked; " +
    "the credit of the client bounds how many are under way.",
  ],
  [
    "upstream",
    "Where the client has no room the upstream's socket is paused, so what the server holds is what had been read until then " +
    "and what the client has not acked; resident memory also counts the allocators' room.",
  ],
  [
    "connection to",
    "An open connection is its state in the session's machine and what its service keeps of it; one to `demo` also keeps, once " +
    "used, what its calls left.",
  ],
];

/** The loads of this run, for profiles. */
export interface Shapes {
  readonly loaded: Shape;
  readonly single: Shape;
  readonly streams: Shape;
}

/** What to look at, by the beginning of a target's name; nothing where neither time nor a session's heap is the question. */
const LOOKS: readonly (readonly [name: string, system: System, at: keyof Shapes | "heap"])[] = [
  ["ephemeral echo", "ephemeral", "loaded"],
  ["durable echo", "durable", "loaded"],
  ["durable round trip", "durable", "single"],
  ["attached idle ephemeral", "ephemeral", "heap"],
  ["attached idle durable", "durable", "heap"],
  ["ephemeral call", "call-ephemeral", "loaded"],
  ["transaction", "transaction-own", "loaded"],
  ["item of an ephemeral download", "download-ephemeral", "streams"],
];

const FUNCTIONS = 14;

/** What this run says of each missed target; profiles are taken now. */
export async function explain(
  targets: readonly Target[],
  { memory }: Pick<Measurements, "memory">,
  shapes: Shapes,
  extent: Extent,
  witness: Witness,
): Promise<Miss[]> {
  const misses: Miss[] = [];
  for (const target of targets.filter(({ met }) => !met)) {
    const look = LOOKS.find(([name]) => target.name.startsWith(name));
    const seen = memory === undefined ? undefined : weights(target, memory);
    misses.push({
      target,
      ...(seen === undefined ? {} : { seen }),
      ...(look === undefined ? {} : { evidence: await evidenceOf(look, shapes, extent, witness) }),
    });
  }
  return misses;
}

function evidenceOf(
  [, system, at]: typeof LOOKS[number],
  shapes: Shapes,
  extent: Extent,
  witness: Witness,
): Promise<Evidence> {
  if (at === "heap") {
    if (system !== "ephemeral" && system !== "durable") throw new Error(`${system} has no idle sessions`);
    return witness.take(`${system}, idle and attached`, async () => ({ heap: await heapProfile(system) }));
  }
  const { sockets, inFlight } = shapes[at];
  return witness.take(`${system}, ${sockets} × ${inFlight}`, () => {
    return profileLoad(system, shapes[at], extent, FUNCTIONS);
  });
}

/** The figures of memory that a target about an idle session is made of. */
function weights(target: Target, memory: NonNullable<Measurements["memory"]>): string | undefined {
  const [, system] = /^attached idle (ephemeral|durable) /.exec(target.name) ?? [];
  if (system !== "ephemeral" && system !== "durable") return undefined;
  const kibibytes = (bytes: number) => (bytes / 1024).toFixed(2);
  const [own, bare] = [memory[system].attached, memory.bare.attached];
  return `In this run, KiB of each: heap ${kibibytes(own.heap)}, a bare socket's ${
    kibibytes(bare.heap)
  }; resident ${kibibytes(own.resident)}, a bare socket's ${kibibytes(bare.resident)}.`;
}
