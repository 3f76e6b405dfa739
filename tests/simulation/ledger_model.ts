/** What a ledger of calls and messages is made of: types. */

import type { BodyValue } from "../../src/protocol/body.ts";

/** The methods of the simulated services. */
export const METHODS = {
  ...{ add: "bank", move: "bank", peek: "bank", toggle: "bank", put: "bank", bump: "bank" },
  ...{ once: "desk", safe: "desk", ticks: "desk", feed: "desk", sum: "desk" },
} as const;

export type MethodName = keyof typeof METHODS;

/** A session as its client knows it. */
export interface LedgerSession {
  readonly uid: string;
  readonly durable: boolean;
  readonly principal: string;
  /** The public id; null until a server gave one. */
  id: string | null;
  /** Two pages have it: what holds for one does not hold for the two. */
  shared: boolean;
  /** Its client knows that it is over. */
  over: boolean;
}

/** A call, as its client made it. */
export interface Asked {
  /** Never the same for two calls. */
  readonly id: string;
  readonly session: LedgerSession;
  readonly connection: number;
  /** 0 until it left, where its client does not say. */
  request: number;
  seq: number;
  readonly method: MethodName;
  readonly input: { readonly [name: string]: BodyValue };
  /** The name of its effect. */
  readonly effect: string;
  /** `name`: whose key, of which method. `variant`: which argument. */
  readonly operation: { readonly key: string; readonly name: string; readonly variant: string } | null;
  readonly timeout: number | null;
  /** The tick of the data when it was made. */
  readonly since: number;
  cancelled: boolean;
  /** Its upload was broken off. */
  broken: boolean;
  status: "open" | "answered" | "over";
}

/** What a call came to, for its client. */
export interface Told {
  readonly ok: boolean;
  readonly value: BodyValue;
  readonly code: string;
}

/** A plain message that a client sent. */
export interface SentMessage {
  readonly id: string;
  readonly session: LedgerSession;
  readonly connection: number;
  readonly n: number;
  /** Nothing may come of it, something may, or it must have been handled. */
  due: "never" | "maybe" | "surely";
  /** How often its handling came to its end. */
  done: number;
}
