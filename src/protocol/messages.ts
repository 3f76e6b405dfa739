/**
 * Every message of the protocol, as one discriminated union.
 *
 * The shapes are those of `docs/protocol.md`, "Messages". Bodies stay encoded (`EncodedBody`) until an
 * application asks for the value, so that what is only passed on is never decoded (rule `frame.body`).
 */

import type { ConduitMessage } from "./conduit_messages.ts";
import type { SessionPayload } from "./session_messages.ts";

export type * from "./conduit_messages.ts";
export type * from "./fields.ts";
export type * from "./session_messages.ts";

/** The first field of each message on the wire; below 16 are conduit messages, from 16 on session messages. */
export const TAG = {
  start: 0,
  established: 1,
  refused: 2,
  ack: 3,
  ping: 4,
  pong: 5,
  goaway: 6,
  close: 7,
  volatile: 8,
  authorise: 9,
  authorised: 10,
  open: 16,
  accept: 17,
  reject: 18,
  end: 19,
  message: 20,
  call: 21,
  response: 22,
  cancel: 23,
  item: 24,
  finish: 25,
  reset: 26,
  credit: 27,
} as const;

/** The JSON name of a message, which is also its `kind`. */
export type MessageKind = keyof typeof TAG;

/** The first session tag: from here on messages carry a sequence number. */
export const FIRST_SESSION_TAG = 16;

/** Distributes over the union, so that `kind` still tells the members apart. */
export type Numbered<P> = P extends SessionPayload ? P & { readonly seq: number; readonly cost: number }
  : never;

/** A session message as it was received: its number, and what it cost (`frame.cost`). */
export type SessionMessage = Numbered<SessionPayload>;

/** Anything a frame can hold. */
export type Message = ConduitMessage | SessionMessage;

/** True for the messages that are numbered, kept and replayed. */
export function isSessionMessage(message: Message): message is SessionMessage {
  return "seq" in message;
}
