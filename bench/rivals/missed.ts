/** What bounds a target that was missed: said in words, and shown by a profile. */

import { table, type Target } from "../tables.ts";
import type { SelfTime } from "./profile.ts";

/** A missed target and its profile, where one was taken. */
export interface Miss {
  readonly target: Target;
  /** What the measurements themselves say about it. */
  readonly seen?: string;
  readonly profile?: { readonly of: string; readonly functions: readonly SelfTime[] };
}

/** What is known to bound a target, by the beginning of its name. */
const BOUNDS: readonly (readonly [string, string])[] = [
  [
    "echoes/s: ephemeral to socket.io",
    "Sessions of socket.io have no acks, no numbering and no retained messages; what Holdfast does beyond it is bounded by the cost of " +
    "frames, which batching shares among few messages at 8 in flight.",
  ],
  [
    "echoes/s: durable",
    "Each echo is two numbered messages, committed and fsynced in groups before they " +
    "are acked or sent; neither mosquitto (its file is written every 30 minutes) nor JetStream (fsync every 2 minutes) writes " +
    "to the disk for good before it acks. Where the server is busy, most goes to the hand-over of commits to SQLite " +
    "(`op_kv_atomic_write`) and to the garbage of each batch; where it is not, sessions wait for the disk, and for a processor " +
    "that SQLite's thread and the load share.",
  ],
  [
    "caught up after a break",
    "One break is a sequence, not a load: dial, upgrade, `start`, judgement of the token and the counters, for a durable session a " +
    "commit with its fsync before `established` may leave (`resume.committed`), then 100 messages in one frame. Bare has the " +
    "upgrade and one echo. The server is idle most of the time, so its profile says little.",
  ],
  [
    "storm",
    "A storm is processor time at both ends, `server µs` and `load µs` of each session. The HTTP upgrade and the end of the old " +
    "socket, which are all that bare pays, are the runtime's and are paid here as well. On top come the handshake (decode and " +
    "check `start`, hash and compare tokens, make a new one), the client's half of it in the load generator, and the replay of " +
    "what was missed, which bare does not have; a durable session also commits its core twice, for the token that is offered and " +
    "for its proof (`resume.rotate`). The profile, which covers the whole run from opening the sessions on, is flat.",
  ],
  [
    "idle attached session",
    "Resident memory counts what the allocators keep beside the sessions (the store's page cache, the heap's free room), and " +
    "differs by some KiB per session from run to run; the heap itself is in the table of memory at the top.",
  ],
];

/** The chapter on misses; empty if there are none. */
export function missedReport(misses: readonly Miss[]): string {
  const parts: string[] = [];
  const shown = new Set<string>();
  for (const { target, seen, profile } of misses) {
    parts.push(`### Missed: ${target.name}`, `Wanted ${target.wanted}, measured ${target.measured}.`);
    const bound = BOUNDS.find(([name]) => target.name.startsWith(name))?.[1];
    if (bound !== undefined) parts.push(bound);
    if (seen !== undefined) parts.push(seen);
    if (profile === undefined) continue;
    if (shown.has(profile.of)) {
      parts.push(`The profile is the one above, ${profile.of}.`);
      continue;
    }
    shown.add(profile.of);
    const rows = profile.functions.map(({ where, share }) => [where, `${(share * 100).toFixed(1)} %`]);
    parts.push(
      `Where the server's main thread is not idle, ${profile.of} (\`(program)\` is native code: sockets, the runtime):`,
      table(["function, own time", "share"], rows),
    );
  }
  return parts.join("\n\n");
}
