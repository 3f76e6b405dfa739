/** Operations as an operator sees them (`call.operation`): what is remembered of one, and how it is forgotten. */

import { decodeNode } from "../session/node_directory.ts";
import {
  decodeOperation,
  operationHash,
  type OperationRecord,
  type OperationWords,
  ownerOf,
} from "../session/operation_record.ts";
import type { SessionRegistry } from "../session/session_registry.ts";
import { decodeDatum } from "../storage/data_cache.ts";
import * as keys from "../storage/keys.ts";
import type { SessionStore, StoredEntry } from "../storage/session_store.ts";

/** An operation that others write to all the time is looked at again; not for ever. */
const MOST_DECISIONS = 8;

/** By what a caller knows an operation. Its key is the caller's secret: it is never in a URL. */
export type OperationName =
  & Omit<OperationWords, "owner">
  & ({ readonly principal: string } | { readonly session: string });

/** What is remembered of an operation: no argument, no answer. */
export interface OperationView {
  /** Its id: a hash of its name, which grants nothing. */
  readonly operation: string;
  readonly state: OperationRecord["state"];
  /** Of the argument: a call with another one is a `conflict`. */
  readonly fingerprint: string;
  /** When it is forgotten, milliseconds since the Unix epoch; null: nothing is stored of it yet. */
  readonly expiresAt: number | null;
  /** Who runs it. A node that is not live any more was lost: callers are told `indeterminate`. */
  readonly node: { readonly boot: string; readonly name: string | null; readonly live: boolean } | null;
  /** What callers are answered: a result, or a failure with this code. */
  readonly outcome: { readonly ok: boolean; readonly code: string | null; readonly bytes: number } | null;
}

/** What came of the wish to forget one. `running`: its node is there, and forgetting would have it run twice. */
export type Forgetting =
  | { readonly kind: "forgotten"; readonly was: OperationRecord["state"] }
  | { readonly kind: "unknown" }
  | { readonly kind: "running" }
  | { readonly kind: "unanswered" };

interface Found {
  readonly entry: StoredEntry;
  readonly record: OperationRecord;
}

/**
 * Nodes remember the records of transactions (`data_cache.ts`), and need not be told when one is forgotten: what they answer
 * from memory is committed with a check of the record's version, so that the answer is refuted and the transaction runs anew.
 */
export class Operations {
  readonly #registry: SessionRegistry;
  readonly #store: SessionStore;

  constructor(registry: SessionRegistry) {
    this.#registry = registry;
    this.#store = registry.options.store;
  }

  /** The id of an operation. */
  idOf(name: OperationName): string {
    const { service, method, key } = name;
    const owner = "session" in name ? ownerOf("", name.session) : ownerOf(name.principal, "");
    return operationHash({ owner, service, method, key });
  }

  /** Shows an operation; null: nobody remembers it. */
  async show(operation: string): Promise<OperationView | null> {
    const found = await this.#find(operation);
    if (found === null) return this.#unwritten(operation);
    const { record } = found;
    const { state, fingerprint, expiresAt } = record;
    const node = state === "running" ? await this.#nodeOf(operation, record.boot) : null;
    const outcome = state === "finished" ? await this.#outcomeOf(operation, record) : null;
    return { operation, state, fingerprint, expiresAt, node, outcome };
  }

  /** Forgets an operation: the next call with its key runs. */
  async forget(operation: string): Promise<Forgetting> {
    for (let decision = 0; decision < MOST_DECISIONS; decision++) {
      const found = await this.#find(operation);
      if (this.#registry.operations.fingerprintOf(operation) !== undefined) return { kind: "running" };
      if (found === null) return { kind: "unknown" };
      const { entry: { key, version }, record } = found;
      if (record.state === "running" && (await this.#nodeOf(operation, record.boot)).live) {
        return { kind: "running" };
      }
      const deletes = [key, ...partsOf(operation, record)];
      const { ok } = await this.#store.atomic({ checks: [{ key, version }], puts: [], deletes });
      if (ok) return { kind: "forgotten", was: record.state };
    }
    return { kind: "unanswered" };
  }

  async #find(operation: string): Promise<Found | null> {
    const [entry] = await this.#store.get([keys.operationKey(operation)]);
    if (entry === null || entry === undefined) return null;
    const record = decodeOperation(decodeDatum(entry.value));
    return record.expiresAt <= this.#registry.clock.now() ? null : { entry, record };
  }

  /** One that is safe to run again is written down when it is over. */
  #unwritten(operation: string): OperationView | null {
    const { boot, node: name, operations } = this.#registry;
    const fingerprint = operations.fingerprintOf(operation);
    if (fingerprint === undefined) return null;
    const node = { boot, name, live: true };
    return { operation, state: "running", fingerprint, expiresAt: null, node, outcome: null };
  }

  async #nodeOf(operation: string, boot: string): Promise<NonNullable<OperationView["node"]>> {
    const { clock, node, operations } = this.#registry;
    if (boot === this.#registry.boot) {
      return { boot, name: node, live: operations.fingerprintOf(operation) !== undefined };
    }
    const [row] = await this.#store.get([keys.nodeKey(boot)]);
    if (row === null || row === undefined) return { boot, name: null, live: false };
    const { name, expiresAt } = decodeNode(row.value);
    return { boot, name, live: expiresAt > clock.now() };
  }

  async #outcomeOf(
    operation: string,
    record: Extract<OperationRecord, { readonly state: "finished" }>,
  ): Promise<OperationView["outcome"]> {
    const { ok, reason, body } = record;
    const parts = body === null ? await this.#store.get(partsOf(operation, record)) : [];
    const bytes = parts.reduce((sum, part) => sum + (part?.value.length ?? 0), body?.length ?? 0);
    return { ok, code: ok ? null : reason, bytes };
  }
}

/** The further values that an outcome has. */
function partsOf(operation: string, record: OperationRecord) {
  if (record.state !== "finished") return [];
  const { parts, stamp } = record;
  return Array.from({ length: parts }, (_, part) => keys.outcomeKey(operation, stamp, part));
}
