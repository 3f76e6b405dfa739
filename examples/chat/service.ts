/** A chat: rooms whose history is transaction data, and news that is pushed to everybody who is in them. */

import * as z from "zod";
import { defineService, RpcError, transaction, type TypedConnection } from "../../src/service/mod.ts";
import { ROOMS } from "./rooms.ts";

/** Entries that a room remembers; they are one value, which may have 56 KiB. */
const REMEMBERED = 50;

const room = z.enum(ROOMS);
const name = z.string().trim().min(1).max(32);
const text = z.string().trim().min(1).max(280);

/** What somebody said; a room's ids count from 1 without a gap. */
const entry = z.object({ id: z.int(), at: z.int(), name, text });
export type Entry = z.infer<typeof entry>;

/** Where clients are, on this node: by session and id, the room and the connection. */
const members = new Map<string, { readonly room: string; readonly connection: TypedConnection<"news"> }>();

export const chat = defineService({
  name: "chat",
  receives: z.literal("said"),
  sends: z.literal("news"),
  kept: z.object({ room }),
  methods: {
    /** Says something, exactly once, also across a crash. The speaker then gives the news with a message `said`. */
    say: transaction({ input: z.object({ room, name, text }), output: z.int() }, async (said, tx) => {
      const entries = await tx.get<Entry[]>([said.room]) ?? [];
      const id = (entries.at(-1)?.id ?? 0) + 1;
      const { name, text } = said;
      tx.set([said.room], [...entries, { id, at: tx.now, name, text }].slice(-REMEMBERED));
      return id;
    }),

    /** What was said in a room after an entry. */
    since: transaction(
      { input: z.object({ room, id: z.int() }), output: z.array(entry) },
      async ({ room, id }, tx) => (await tx.get<Entry[]>([room]) ?? []).filter((entry) => entry.id > id),
    ),
  },

  onOpen(connection, metadata) {
    const asked = room.safeParse(metadata["room"]);
    if (!asked.success) throw new RpcError("invalid-argument", `the rooms are ${ROOMS.join(", ")}`);
    connection.keep({ room: asked.data });
    members.set(keyOf(connection), { room: asked.data, connection });
  },

  // It was away, or the server was: it is a member again, and has missed what there was.
  onResume(connection) {
    if (connection.kept === null) return;
    members.set(keyOf(connection), { room: connection.kept.room, connection });
    connection.send("news");
  },

  // A push says that there is news, and the history says what: so one that comes twice, or too late, does no harm.
  onMessage(speaker) {
    for (const { room, connection } of members.values()) {
      if (room === speaker.kept?.room) connection.send("news");
    }
  },

  onEnd: (connection) => void members.delete(keyOf(connection)),
});

function keyOf({ session, id }: { readonly session: string; readonly id: number }): string {
  return `${session}/${id}`;
}
