/** What bounds a target that was missed: said in words, by this run's own figures, and by a profile taken for it. */

import type { HeapProfile } from "./heap_profile.ts";
import type { SelfTime } from "./rivals/profile.ts";
import { table, type Target } from "./tables.ts";

/** What is known to bound targets, by the beginning of their names; the first that fits is said. */
export type Bounds = readonly (readonly [name: string, text: string])[];

/** Where the time of a server goes, or what its heap holds; `of` says which server under what. */
export type Evidence =
  | { readonly kind: "time"; readonly of: string; readonly functions: readonly SelfTime[] }
  | { readonly kind: "heap"; readonly of: string; readonly heap: HeapProfile }
  /** It could not be taken. */
  | { readonly kind: "none"; readonly of: string; readonly why: string };

/** A missed target. */
export interface Miss {
  readonly target: Target;
  /** What the measurements themselves say about it. */
  readonly seen?: string;
  readonly evidence?: Evidence;
}

/** Takes evidence, each only once. @param progress Is told of each. */
export class Witness {
  readonly #taken = new Map<string, Evidence>();

  constructor(private readonly progress: (text: string) => void) {}

  /** One that fails is said, and does not take the whole report with it. */
  async take(
    of: string,
    look: () => Promise<{ readonly functions: readonly SelfTime[] } | { readonly heap: HeapProfile }>,
  ): Promise<Evidence> {
    let evidence = this.#taken.get(of);
    if (evidence === undefined) {
      this.progress(`profile: ${of}`);
      this.#taken.set(of, evidence = await this.#look(of, look));
    }
    return evidence;
  }

  async #look(of: string, look: Parameters<Witness["take"]>[1]): Promise<Evidence> {
    try {
      const found = await look();
      return "heap" in found ? { kind: "heap", of, ...found } : { kind: "time", of, ...found };
    } catch (error) {
      return { kind: "none", of, why: error instanceof Error ? error.message : String(error) };
    }
  }
}

/** What is known to bound a target; undefined if nothing is. */
export function boundOf(bounds: Bounds, target: Target): string | undefined {
  return bounds.find(([name]) => target.name.startsWith(name))?.[1];
}

/** The chapter on misses; empty if there are none. */
export function missedReport(misses: readonly Miss[], bounds: Bounds): string[] {
  const parts: string[] = [];
  const said = new Map<string, string>();
  const shown = new Set<string>();
  for (const { target, seen, evidence } of misses) {
    parts.push(`### Missed: ${target.name}`, `Wanted ${target.wanted}, measured ${target.measured}.`);
    const bound = boundOf(bounds, target);
    if (bound !== undefined) {
      const before = said.get(bound);
      parts.push(before === undefined ? bound : `What bounds it is said above, at “${before}”.`);
      if (before === undefined) said.set(bound, target.name);
    }
    if (seen !== undefined) parts.push(seen);
    if (evidence === undefined) continue;
    if (shown.has(evidence.of)) {
      parts.push(`The profile is the one above, ${evidence.of}.`);
      continue;
    }
    shown.add(evidence.of);
    parts.push(...evidenceText(evidence));
  }
  return parts;
}

function evidenceText(evidence: Evidence): string[] {
  switch (evidence.kind) {
    case "time": {
      const rows = evidence.functions.map(({ where, share }) => [where, `${(share * 100).toFixed(1)} %`]);
      return [
        `While that is measured and the server's main thread is not idle, ${evidence.of} (\`(program)\` is native code: ` +
        "sockets, the runtime):",
        table(["function, own time", "share"], rows),
      ];
    }
    case "heap": {
      const { bytes, shares } = evidence.heap;
      const rows = shares.map(({ constructor, objects, bytes }) => {
        return [constructor, objects.toFixed(1), bytes.toFixed(0)];
      });
      return [
        `What one more is made of on the heap, ${evidence.of}, from two heap snapshots: ${
          bytes.toFixed(0)
        } bytes in all, of these constructors most (each object's own bytes):`,
        table(["constructor", "objects", "bytes"], rows),
      ];
    }
    case "none":
      return [`Its profile (${evidence.of}) could not be taken: ${evidence.why}.`];
    default:
      return evidence satisfies never;
  }
}
