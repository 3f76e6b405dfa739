/** How writes become parts of one atomic. */

import type { SessionWrite } from "./committer.ts";
import type { Atomic, Check, Put, StoreKey, StoreLimits } from "./session_store.ts";
import {
  addCheck,
  addDelete,
  addPut,
  addWeight,
  assertFits,
  fits,
  noWeight,
  type Weight,
} from "./stored_size.ts";

/**
 * What a write takes of the limits of one atomic, what it stages not included.
 *
 * @throws StoreLimitExceeded if it does not fit one atomic, or one of its staged puts does not.
 */
export function weightOf(write: SessionWrite, limits: StoreLimits): Weight {
  const weight = noWeight();
  addCheck(weight, write.core);
  addPut(weight, write.core, limits);
  for (const check of write.checks) addCheck(weight, check);
  for (const put of write.puts) addPut(weight, put, limits);
  for (const key of write.deletes) addDelete(weight, key);
  assertFits(weight, limits);
  for (const put of write.staged) assertFits(weightOfPut(put, limits), limits);
  return weight;
}

/** One atomic that holds all of some writes. */
export function atomicOf(writes: readonly { readonly write: SessionWrite }[]): Atomic {
  const checks: Check[] = [];
  const puts: Put[] = [];
  const deletes: StoreKey[] = [];
  for (const { write } of writes) {
    checks.push(write.core);
    puts.push(write.core);
    for (const check of write.checks) checks.push(check);
    for (const put of write.puts) puts.push(put);
    for (const key of write.deletes) deletes.push(key);
  }
  return { checks, puts, deletes };
}

/** As many of the puts, from `start`, as fit one atomic. */
export function nextPuts(puts: readonly Put[], start: number, limits: StoreLimits): Put[] {
  const total = noWeight();
  let end = start;
  for (; end < puts.length; end++) {
    const weight = weightOfPut(puts[end]!, limits);
    if (!fits(total, weight, limits)) break;
    addWeight(total, weight);
  }
  return puts.slice(start, end);
}

function weightOfPut(put: Put, limits: StoreLimits): Weight {
  const weight = noWeight();
  addPut(weight, put, limits);
  return weight;
}
