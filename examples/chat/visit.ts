/** What a client of the chat does, whatever it shows the entries in. */

import type { Session } from "../../src/client/mod.ts";
import type { Room } from "./rooms.ts";
import type { chat, Entry } from "./service.ts";

/** Who is where. */
export interface Place {
  readonly room: Room;
  readonly name: string;
}

/** A stay in a room. */
export interface Visit {
  /** Resolves when it was said and shown; waits for the network as long as it takes. */
  say(text: string): Promise<void>;
  /** Rejects when the stay is over for another reason than {@link leave}. */
  readonly over: Promise<void>;
  /** Goes. */
  leave(): void;
}

/** Enters a room. @param show Given every entry once, in order, those of before included. */
export function enter(session: Session, { room, name }: Place, show: (entry: Entry) => void): Visit {
  const connection = session.open<typeof chat>("chat", { metadata: { room } });
  let last = 0;

  async function catchUp(): Promise<void> {
    for (const entry of await connection.call("since", { room, id: last })) {
      // Two of these may be under way.
      if (entry.id <= last) continue;
      last = entry.id;
      show(entry);
    }
  }

  async function stay(): Promise<void> {
    await catchUp();
    // For what a page of before had said when it was reloaded.
    await connection.send("said");
    for await (const _news of connection) await catchUp();
  }

  return {
    over: stay(),
    async say(text) {
      // The key tells two that say the same apart, also over a reload.
      await connection.call("say", { room, name, text }, { operation: crypto.randomUUID() });
      await connection.send("said");
      await catchUp();
    },
    leave: () => connection.close(),
  };
}
