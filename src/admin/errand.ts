/** What an operator wants done, and what came of it: the same words on this node and between nodes. */

import type { EncodedBody } from "../protocol/messages.ts";
import { pack, unpack } from "../protocol/pack.ts";
import type { PushVerdict } from "../session/push_state.ts";

/** One thing that an operator wants of a session. */
export type SessionWish =
  | { readonly wish: "end"; readonly session: string; readonly detail: string }
  | { readonly wish: "break"; readonly session: string }
  | {
    readonly wish: "push";
    readonly session: string;
    readonly connection: number;
    readonly body: EncodedBody;
    /** The idempotency key, hashed. */
    readonly key: string;
  };

/** What an operator wants of every node: that a principal, if it is blocked by then, has no conduit there. */
export interface KeepOut {
  readonly wish: "keep-out";
  readonly principal: string;
}

/** One thing that an operator wants. */
export type Wish = SessionWish | KeepOut;

/** What came of it. */
export type WishOutcome =
  /** It is committed; `at` in milliseconds since the Unix epoch. */
  | { readonly kind: "ended"; readonly at: number }
  /** `broken` is false if there was no conduit to break. */
  | { readonly kind: "broke"; readonly broken: boolean }
  /** So many conduits were broken. */
  | { readonly kind: "kept-out"; readonly broken: number }
  | {
    readonly kind: "pushed";
    readonly sequence: number;
    readonly at: number;
    /** It was pushed before, under the same key. */
    readonly repeated: boolean;
  }
  | {
    readonly kind: "refused";
    readonly why: Exclude<PushVerdict, "taken"> | "unknown-session" | "key-reused";
  }
  /** It is attached to another node's process. */
  | { readonly kind: "elsewhere"; readonly boot: string }
  /** Nothing is known: it may be done, or yet be done. */
  | { readonly kind: "unanswered" };

/** A wish on its way to another node. */
export interface Errand {
  readonly wish: Wish;
  /** After this nobody waits, and what acts on a session is not run; milliseconds since the Unix epoch. */
  readonly until: number;
}

/** Encodes an errand. */
export function encodeErrand({ wish, until }: Errand): Uint8Array {
  return pack([until, { ...wish }]);
}

/** Reads {@link encodeErrand}. */
export function decodeErrand(bytes: Uint8Array): Errand {
  const [until, wish] = unpack(bytes) as [number, Wish];
  return { until, wish };
}

/** Encodes what came of an errand. */
export function encodeOutcome(outcome: WishOutcome): Uint8Array {
  return pack({ ...outcome });
}

/** Reads {@link encodeOutcome}. */
export function decodeOutcome(bytes: Uint8Array): WishOutcome {
  return unpack(bytes) as WishOutcome;
}
