/** What simulated clients call, with which arguments and keys. */

import type { BodyValue } from "../../src/protocol/body.ts";
import type { SeededRandom } from "../support/seeded_random.ts";
import type { ServiceName } from "./caller_model.ts";
import type { Asked, LedgerSession, MethodName } from "./ledger.ts";

/** The methods of each service, those that are called more often several times. */
export const METHODS_OF: { readonly [service in ServiceName]: readonly MethodName[] } = {
  bank: [
    ...["add", "add", "add", "add", "add", "add", "move", "move", "move", "move"] as const,
    ...["peek", "peek", "peek", "peek", "toggle", "toggle", "put", "bump", "bump"] as const,
  ],
  desk: ["once", "once", "once", "once", "safe", "safe", "ticks", "ticks", "feed", "sum", "sum"],
};

/** How likely a call has an operation key. */
const KEYED: { readonly [method in MethodName]?: number } = { add: 0.12, once: 0.5, safe: 0.5 };

/** Draws an operation of a method that takes a key, or none. */
export function operationOf(
  method: MethodName,
  { uid, principal }: LedgerSession,
  random: SeededRandom,
): Asked["operation"] {
  if (!random.chance(KEYED[method] ?? 0)) return null;
  const key = `k${random.int(4)}`;
  const name = `o:${principal === "" ? uid : principal}/${method}/${key}`;
  return { key, name, variant: random.chance(0.85) ? "0" : "1" };
}

/** Draws the argument of a call. `count`: its items. */
export function inputOf(
  method: MethodName,
  id: string,
  call: string | null,
  variant: string | null,
  count: number,
  { random, accounts: many }: { readonly random: SeededRandom; readonly accounts: number },
): { readonly [name: string]: BodyValue } {
  const accounts = accountsOf(many);
  switch (method) {
    case "add":
      // The same for all callers of one operation.
      return variant === null
        ? { id, key: random.pick(accounts), by: random.between(1, 9) }
        : { id, key: accounts[id.length % accounts.length]!, by: 1 + Number(variant) };
    case "move": {
      const [from, to] = random.shuffle(accounts);
      return { id, from: from!, to: to!, amount: random.between(1, 12) };
    }
    case "peek":
      return { id, keys: random.shuffle(accounts).slice(0, random.between(1, 3)) };
    case "toggle":
    case "put":
    case "bump":
      return { id, key: `x${random.int(2)}` };
    case "once":
      return { id, call };
    case "safe":
      return { id };
    case "ticks":
    case "feed":
    case "sum":
      return { id, count };
    default:
      return method satisfies never;
  }
}

/** The names of so many accounts. */
export function accountsOf(accounts: number): string[] {
  return Array.from({ length: accounts }, (_, n) => `k${n}`);
}
