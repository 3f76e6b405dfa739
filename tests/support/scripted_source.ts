/** A source of commits that writes what a test tells it to, and keeps what it was told. */

import type { CommitOutcome, CommitSource, SessionWrite } from "../../src/storage/committer.ts";
import type { Check, Put, StoreKey, Version } from "../../src/storage/session_store.ts";

/** What a {@link ScriptedSource} writes beside its core. */
export interface Extras {
  readonly checks?: readonly Check[];
  readonly puts?: readonly Put[];
  readonly deletes?: readonly StoreKey[];
  readonly staged?: readonly Put[];
}

/** Writes a core that is never equal to an older one, and follows its version. */
export class ScriptedSource implements CommitSource {
  readonly name: string;
  readonly outcomes: CommitOutcome[] = [];
  /** Of the core, as far as it knows. */
  version: Version | null = null;
  /** What the next `prepare` gives beside the core. */
  extras: Extras = {};
  /** The write that is not settled. */
  unsettled: SessionWrite | undefined;
  /** Runs at the end of `settle`. */
  onSettle: ((outcome: CommitOutcome, write: SessionWrite) => void) | undefined;
  prepared = 0;

  constructor(name: string) {
    this.name = name;
  }

  get key(): StoreKey {
    return ["session", this.name];
  }

  prepare(): SessionWrite | null {
    if (this.unsettled !== undefined) {
      throw new Error(`${this.name} was prepared again before it was settled`);
    }
    this.prepared++;
    const { checks = [], puts = [], deletes = [], staged = [] } = this.extras;
    const value = bytes(`${this.name} ${this.prepared}`);
    this.unsettled = { core: { key: this.key, version: this.version, value }, checks, puts, deletes, staged };
    return this.unsettled;
  }

  settle(outcome: CommitOutcome): void {
    const write = this.unsettled;
    if (write === undefined) throw new Error(`${this.name} was settled without a write`);
    this.unsettled = undefined;
    this.outcomes.push(outcome);
    if (outcome.kind === "committed") this.version = outcome.version;
    this.onSettle?.(outcome, write);
  }

  /** The kinds of its outcomes, in order. */
  get kinds(): string[] {
    return this.outcomes.map(({ kind }) => kind);
  }
}

/** A text as bytes. */
export function bytes(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}
