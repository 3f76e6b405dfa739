/** What idle sessions are made of on a server's heap: the difference of two heap snapshots, summed by constructor. */

import { dirname } from "node:path";
import { Held, Server } from "./processes.ts";

/** The part of a V8 heap snapshot that is used. */
export interface HeapSnapshot {
  readonly snapshot: {
    readonly meta: {
      /** What the numbers of a node are, in order. */
      readonly node_fields: readonly string[];
      /** For the field `type`, the names of its values; the rest is of no use here. */
      readonly node_types: readonly [readonly string[], ...unknown[]];
    };
  };
  /** Numbers of all nodes, one after the other. */
  readonly nodes: readonly number[];
  readonly strings: readonly string[];
}

/** All objects of one constructor: of a snapshot, or of one session. */
export interface HeapShare {
  readonly constructor: string;
  readonly objects: number;
  /** Their own bytes, without what they refer to. */
  readonly bytes: number;
}

/** What one session is made of. */
export interface HeapProfile {
  /** Bytes of all constructors. */
  readonly bytes: number;
  /** Those with most bytes, most first. */
  readonly shares: readonly HeapShare[];
}

/** Sessions that are looked at; a snapshot holds every object of all of them. */
const SESSIONS = 1_000;

/** Constructors that are shown. */
const SHOWN = 12;

/** Looks at idle attached sessions, or at bare sockets, in a server of their own. */
export async function heapProfile(system: "bare" | "ephemeral" | "durable"): Promise<HeapProfile> {
  await using server = await Server.start(system === "bare" ? "bare" : "holdfast");
  // As many are there before, so that what grows once has grown.
  await using _ballast = await Held.open(system, server.url, SESSIONS);
  const before = byConstructor(await snapshotOf(server));
  await using _held = await Held.open(system, server.url, SESSIONS);
  return difference(before, byConstructor(await snapshotOf(server)), SESSIONS, SHOWN);
}

async function snapshotOf(server: Server): Promise<HeapSnapshot> {
  const answer = await fetch(`${server.statsUrl}/heap`);
  if (!answer.ok) throw new Error(`no heap snapshot: ${answer.status} ${await answer.text()}`);
  const file: string = await answer.json();
  try {
    return JSON.parse(await Deno.readTextFile(file));
  } finally {
    await Deno.remove(dirname(file), { recursive: true });
  }
}

/** Sums a snapshot by constructor. What has none is summed by what V8 calls it, `(closure)` for example. */
export function byConstructor({ snapshot: { meta }, nodes, strings }: HeapSnapshot): Map<string, HeapShare> {
  const { node_fields: fields, node_types: [types] } = meta;
  const at = (name: string) => fields.indexOf(name);
  const [type, name, size] = [at("type"), at("name"), at("self_size")];
  const shares = new Map<string, { constructor: string; objects: number; bytes: number }>();
  for (let node = 0; node < nodes.length; node += fields.length) {
    const kind = types[nodes[node + type]!] ?? "unknown";
    const own = strings[nodes[node + name]!] ?? "";
    const constructor = /^(object|native|array|hidden)$/.test(kind) && own !== "" ? own : `(${kind})`;
    let share = shares.get(constructor);
    if (share === undefined) shares.set(constructor, share = { constructor, objects: 0, bytes: 0 });
    share.objects++;
    share.bytes += nodes[node + size]!;
  }
  return shares;
}

/** What came between two snapshots, for each of `count` sessions. @param shown How many constructors. */
export function difference(
  before: ReadonlyMap<string, HeapShare>,
  after: ReadonlyMap<string, HeapShare>,
  count: number,
  shown: number,
): HeapProfile {
  const shares = [...after.values()].map(({ constructor, objects, bytes }) => {
    const earlier = before.get(constructor);
    return {
      constructor,
      objects: (objects - (earlier?.objects ?? 0)) / count,
      bytes: (bytes - (earlier?.bytes ?? 0)) / count,
    };
  });
  return {
    bytes: shares.reduce((sum, { bytes }) => sum + bytes, 0),
    shares: shares.toSorted((a, b) => b.bytes - a.bytes).slice(0, shown),
  };
}
