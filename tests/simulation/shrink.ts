/** Makes a failing run smaller: fewer faults, fewer kinds of store faults, fewer clients, as long as it still fails. */

import type { Plan } from "./plan.ts";
import { run } from "./run.ts";
import type { StoreFaultKind, StoreRates } from "./sim_store.ts";

/** What of a seed's plan is kept. */
export interface Reduction {
  /** Indices of timed faults. */
  readonly faults: readonly number[];
  /** Kinds of store faults. */
  readonly store: readonly StoreFaultKind[];
  /** Indices of clients. */
  readonly clients: readonly number[];
}

/** Everything of a plan. */
export function whole(plan: Plan): Reduction {
  return {
    faults: plan.faults.map((_, i) => i),
    store: Object.keys(plan.rates) as StoreFaultKind[],
    clients: plan.clients.map((_, i) => i),
  };
}

/** The plan with no more than a reduction keeps. */
export function reduced(plan: Plan, { faults, store, clients }: Reduction): Plan {
  const rates: { [kind in StoreFaultKind]?: number } = {};
  const given: StoreRates = plan.rates;
  for (const kind of store) if (given[kind] !== undefined) rates[kind] = given[kind];
  return {
    ...plan,
    rates,
    faults: plan.faults.filter((_, i) => faults.includes(i)),
    clients: plan.clients.filter((_, i) => clients.includes(i)),
  };
}

/**
 * @param most Runs that it may take.
 * @returns The smallest reduction found that still fails in the same way.
 */
export async function shrink(plan: Plan, most = 400): Promise<Reduction> {
  let best = whole(plan);
  let left = most;
  const kind = kindOf((await run(plan)).failure);
  const fails = async (candidate: Reduction): Promise<boolean> => {
    if (left-- <= 0 || candidate.clients.length === 0) return false;
    if (kindOf((await run(reduced(plan, candidate))).failure) !== kind) return false;
    best = candidate;
    return true;
  };
  for (let before = ""; before !== JSON.stringify(best) && left > 0;) {
    before = JSON.stringify(best);
    for (const part of ["clients", "store", "faults"] as const) {
      // Whole halves first, then ever smaller parts.
      for (let size = best[part].length; size >= 1; size = size === 1 ? 0 : Math.ceil(size / 2)) {
        for (let from = 0; from < best[part].length;) {
          const kept = [...best[part].slice(0, from), ...best[part].slice(from + size)];
          if (!await fails({ ...best, [part]: kept })) from += size;
        }
      }
    }
  }
  return best;
}

/** A failure without the names and numbers of one run: several failures of one cause are of one kind. */
function kindOf(failure: string | null): string | null {
  return failure?.replace(/\S*\d\S*/g, "#").slice(0, 60) ?? null;
}
