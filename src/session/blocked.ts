/** Principals that may not come in: a row of the store each, which every node reads at each of their handshakes. */

import { ANONYMOUS, OPERATOR } from "../access/authenticator.ts";
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

/** Blocks a principal, or unblocks one. */
export async function setBlock(store: SessionStore, principal: string, block: Block | null): Promise<void> {
  const key = blockedKey(hashOf(principal));
  await store.atomic(
    block === null
      ? { checks: [], puts: [], deletes: [key] }
      : { checks: [], puts: [{ key, value: pack([block.detail, block.at]) }], deletes: [] },
  );
}
