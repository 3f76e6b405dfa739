/** Principals that may not come in: a row of the store each, which every node reads whenever they give credentials. */

import { ANONYMOUS, type Authenticator, type Judgement, OPERATOR } from "../access/authenticator.ts";
import { describeError } from "../observe/json_log.ts";
import type { Log } from "../observe/log.ts";
import { pack, unpack } from "../protocol/pack.ts";
import { blockedKey } from "../storage/keys.ts";
import type { SessionStore } from "../storage/session_store.ts";
import { hashOf } from "../system/hash.ts";

/** Why and since when a principal is blocked; milliseconds since the Unix epoch. */
export interface Block {
  readonly detail: string;
  readonly at: number;
}

/**
 * False for nobody in particular, and for operators: they come in without a look at the store, since they must see a node
 * whose store is away.
 */
export function mayBeBlocked(principal: string): boolean {
  return principal !== ANONYMOUS && principal !== OPERATOR;
}

/** The block of a principal; null: there is none. */
export async function blockOf(store: SessionStore, principal: string): Promise<Block | null> {
  const [row] = await store.get([blockedKey(hashOf(principal))]);
  if (row === null || row === undefined) return null;
  const [detail, at] = unpack(row.value) as [string, number];
  return { detail, at };
}

/** What judging credentials takes. */
export interface JudgePorts {
  readonly authenticator: Authenticator;
  readonly store: SessionStore;
  readonly log: Log;
}

/** Judges credentials: those of a principal that is blocked are refused. Never rejects: a store that fails cannot judge. */
export async function judgeCredentials(
  { authenticator, store, log }: JudgePorts,
  credentials: string,
): Promise<Judgement> {
  const authentication = await authenticator.authenticate(credentials);
  if (!authentication.ok || !mayBeBlocked(authentication.grant.principal)) return authentication;
  try {
    const block = await blockOf(store, authentication.grant.principal);
    return block === null ? authentication : { ok: false, reason: "forbidden", detail: block.detail };
  } catch (error) {
    log.warn("block-not-read", { error: describeError(error) });
    return UNJUDGED;
  }
}

const UNJUDGED: Judgement = {
  ok: false,
  reason: "unavailable",
  detail: "whether the principal is blocked could not be read just now",
  retryAfter: 1_000,
};

/** Blocks a principal, or unblocks one. */
export async function setBlock(store: SessionStore, principal: string, block: Block | null): Promise<void> {
  const key = blockedKey(hashOf(principal));
  await store.atomic(
    block === null
      ? { checks: [], puts: [], deletes: [key] }
      : { checks: [], puts: [{ key, value: pack([block.detail, block.at]) }], deletes: [] },
  );
}
