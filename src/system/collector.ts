/** The engine's collector of garbage, for the moments in which it would come too late by itself. */

import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

type Collect = (options: { readonly type: "minor" }) => void;

/**
 * What collects young garbage: some 20 ms where megabytes are freed. The engine is asked for its collector at the first call only.
 *
 * @param unavailable Called once if it cannot be had: Deno below 2.9 has it under `--v8-flags=--expose-gc` alone.
 */
export function collector(unavailable: () => void): () => void {
  let collect: Collect | null | undefined;
  return () => {
    if (collect === undefined) {
      collect = exposed();
      if (collect === null) unavailable();
    }
    collect?.({ type: "minor" });
  };
}

function exposed(): Collect | null {
  const { gc } = globalThis as { readonly gc?: Collect };
  if (gc !== undefined) return gc;
  setFlagsFromString("--expose-gc");
  // Only a context that is made after this has it.
  return runInNewContext("globalThis.gc ?? null") as Collect | null;
}
