/** The engine's collector of garbage, for the moments in which it would come too late by itself. */

import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

type Collect = (options: { readonly type: "minor" }) => void;

/**
 * What collects young garbage: some 20 ms where megabytes are freed. The engine is asked for its collector at the first call only.
 *
 * @param unavailable Called once, and told why, if it cannot be had: Deno below 2.9 has it under `--v8-flags=--expose-gc` alone.
 */
export function collector(unavailable: (why: string) => void): () => void {
  let collect: Collect | null | undefined;
  return () => {
    collect ??= collect === undefined ? exposed(unavailable) : null;
    collect?.({ type: "minor" });
  };
}

function exposed(unavailable: (why: string) => void): Collect | null {
  const { gc } = globalThis as { readonly gc?: Collect };
  if (gc !== undefined) return gc;
  let found: Collect | null = null;
  let why = "the engine does not expose it";
  try {
    setFlagsFromString("--expose-gc");
    // Only a context that is made after this has it.
    found = runInNewContext("globalThis.gc ?? null") as Collect | null;
  } catch (error) {
    // What a runtime lacks it says by an error, which may be another context's.
    why = String(error);
  }
  if (found === null) unavailable(why);
  return found;
}
