/** What is known to bound the targets of the contest. */

import type { Bounds } from "../missed.ts";

const DURABLE =
  "Each echo is two numbered messages, committed and fsynced in groups before they are acked or sent; neither mosquitto (its " +
  "file is written every 30 minutes) nor JetStream (fsync every 2 minutes) writes to the disk for good before it acks. Where " +
  "the server is busy, most goes to the hand-over of commits to SQLite (`op_kv_atomic_write`) and to the garbage of each batch; " +
  "where it is not, sessions wait for the disk, and for a processor that SQLite's thread and the load share.";

/** By the beginning of a target's name. */
export const CONTEST_BOUNDS: Bounds = [
  [
    "echoes/s: ephemeral to socket.io",
    "Sessions of socket.io have no acks, no numbering and no retained messages; what Holdfast does beyond it is bounded by the cost of " +
    "frames, which batching shares among few messages at 8 in flight.",
  ],
  [
    "echoes/s: ephemeral",
    "An echo is two numbered messages that are retained until they are acked. Decoding, encoding and the machines run on one " +
    "thread; what leaves in one frame shares the cost of the socket, which is all that bare pays, and pays for each message.",
  ],
  ["echoes/s: durable", DURABLE],
  [
    "caught up after a break",
    "One break is a sequence, not a load: dial, upgrade, `start`, judgement of the token and the counters, for a durable session a " +
    "commit with its fsync before `established` may leave (`resume.committed`), then 100 messages in one frame. Bare has the " +
    "upgrade and one echo. The table of moments below the break's says how long each step takes; the profile covers the time " +
    "from each dial to the last missed message and nothing else.",
  ],
  [
    "storm",
    "A storm is processor time at both ends, `server µs` and `load µs` of each session. The HTTP upgrade and the end of the old " +
    "socket, which are all that bare pays, are the runtime's and are paid here as well. On top come the handshake (decode and " +
    "check `start`, hash and compare tokens, make a new one), the client's half of it in the load generator, and the replay of " +
    "what was missed, which bare does not have; a durable session also commits its core twice, for the token that is offered and " +
    "for its proof (`resume.rotate`). The profile covers the storm and nothing before or after it.",
  ],
  [
    "idle attached session",
    "Resident memory counts what the allocators keep beside the sessions (the store's page cache, the heap's free room), and " +
    "differs by some KiB per session from run to run. A session pays for the runtime's socket as bare does; socket.io's is " +
    "Node's and `ws`.",
  ],
];
