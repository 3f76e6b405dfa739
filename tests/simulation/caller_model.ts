/** What a simulated client keeps of its calls and messages in one session: plain, so that a reload or a copy is one clone of it. */

import type { SessionPayload } from "../../src/protocol/messages.ts";
import type { SeededRandom } from "../support/seeded_random.ts";
import { repliesTo } from "./desk.ts";
import type { Ledger, LedgerSession, SentMessage } from "./ledger.ts";
import type { WorkMix } from "./sim_client.ts";

/** Items that one side sends. */
export interface Items {
  readonly channel: number;
  readonly count: number;
  /** Of a download: what came, and what was taken; of an upload: what was sent. */
  moved: number;
  consumed: number;
  /** What was granted at first, and in all. */
  readonly initial: number;
  granted: number;
  over: boolean;
}

export interface LiveCall {
  readonly id: string;
  readonly request: number;
  readonly cancelAt: number | null;
  cancelled: boolean;
  readonly download: Items | null;
  /** Why its download ended. */
  reset: boolean;
  readonly upload: Items | null;
  /** After so many items it is broken off; null: it is finished. */
  readonly breaksAfter: number | null;
}

export type ServiceName = "bank" | "desk";
export type Refuse = "never" | "always" | "again";

export interface CallerConnection extends Conversation {
  readonly refuse: Refuse;
  accepted: boolean;
  earlyMessages: number;
  earlyCalls: number;
  /** Messages that may be sent. */
  credit: number;
  /** What the server may send; null: as much as it likes. */
  readonly grant: { readonly initial: number; granted: number; taken: number } | null;
  /** The message at which the service ends the connection. */
  fatal: number | null;
  calls: LiveCall[];
  requests: number;
  channels: number;
}

export interface CallerState {
  connections: CallerConnection[];
  /** Calls and messages of this session so far. */
  made: number;
  /** Tells what two pages with one session make. */
  page: string;
}

/** What the client's state is told and asks for. */
export interface CallerWorld {
  readonly ledger: Ledger;
  readonly session: LedgerSession;
  readonly random: SeededRandom;
  readonly now: number;
  /** `limits.concurrentCalls`. */
  readonly mostCalls: number;
  readonly mix: WorkMix;
  /** How many accounts there are; at least two. */
  readonly accounts: number;
  /** Numbers a message if the window has room for it. @returns Its number; null: it has not. */
  say(payload: SessionPayload): number | null;
  /** The next connection id. */
  connection(): number;
}

/** Nothing was asked yet. */
export function newCaller(): CallerState {
  return { connections: [], made: 0, page: "" };
}

/** True when everything that was asked is answered. */
export function isQuiet({ connections }: CallerState): boolean {
  return connections.every((connection) =>
    connection.accepted && connection.fatal === null && connection.calls.length === 0 &&
    !awaitsReply(connection)
  );
}

/** What both sides must know of an open connection when all that was said has arrived. */
export interface Books {
  readonly connection: number;
  /** Messages that the client may send, and that the server may; null: nobody counts them. */
  readonly up: number | null;
  readonly down: number | null;
}

/** The client's side of {@link Books}. */
export function booksOf({ connections }: CallerState): Books[] {
  return connections.map(({ id, credit, grant }) => ({
    connection: id,
    up: credit,
    down: grant === null ? null : grant.granted - grant.taken,
  }));
}

/** A connection's messages, and what was taken of their replies. */
export interface Conversation {
  readonly id: number;
  readonly service: ServiceName;
  /** Messages that were sent. */
  messages: number;
  /** The last reply that was taken. */
  last: { readonly n: number; readonly reply: number };
}

/** Takes a reply. @returns What is wrong with it; null: nothing. */
export function takeReply(of: Conversation, { n, reply = 0 }: { n: number; reply?: number }): string | null {
  const expected = nextReply(of, of.last);
  if (n !== expected.n || reply !== expected.reply || n > of.messages) {
    return `reply ${n}.${reply} on connection ${of.id} where ${expected.n}.${expected.reply} was next`;
  }
  of.last = { n, reply };
  return null;
}

function nextReply({ service }: Conversation, { n, reply }: Conversation["last"]) {
  const replies = (each: number) => service === "bank" ? 1 : repliesTo(each);
  if (n > 0 && reply + 1 < replies(n)) return { n, reply: reply + 1 };
  let next = n + 1;
  while (replies(next) === 0) next++;
  return { n: next, reply: 0 };
}

/** True while a message of its has replies that did not come. */
export function awaitsReply(connection: Conversation): boolean {
  return nextReply(connection, connection.last).n <= connection.messages;
}

/** It is over for its client. */
export function remove(caller: CallerState, connection: CallerConnection): void {
  caller.connections = caller.connections.filter((each) => each !== connection);
}

/** Does something with each message that was sent on a connection. */
export function forEachMessage(
  caller: CallerState,
  connection: CallerConnection,
  world: CallerWorld,
  then: (message: SentMessage) => void,
): void {
  for (let n = 1; n <= connection.messages; n++) {
    const message = world.ledger.message(messageId(caller, connection, world, n));
    // The other page with this session may have sent it.
    if (message !== undefined) then(message);
  }
}

/** The name of a message. */
export function messageId(
  caller: CallerState,
  { id }: CallerConnection,
  { session }: CallerWorld,
  n: number,
): string {
  return `b${session.uid}${caller.page}.${id}.${n}`;
}
