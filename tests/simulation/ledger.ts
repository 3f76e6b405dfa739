/**
 * What simulated clients asked of services and what they were told, what handlers did, and what the store holds: the one
 * place that sees all of it, and judges whether it fits together.
 */

import type { BodyValue } from "../../src/protocol/body.ts";
import { hashOf } from "../../src/system/hash.ts";
import type { DataWitness } from "./data_witness.ts";
import type { OperationWitness } from "./operation_witness.ts";
import { type Asked, type LedgerSession, METHODS, type SentMessage, type Told } from "./ledger_model.ts";
import type { StoreWitness } from "./store_witness.ts";

export * from "./ledger_model.ts";

interface OperationSeen {
  /** What somebody was told of it, for good. */
  outcome: { readonly variant: string; readonly told: string } | null;
  readonly variants: Set<string>;
  runs: number;
  began: boolean;
}

export interface LedgerHost {
  readonly data: DataWitness;
  readonly store: StoreWitness;
  readonly operations: OperationWitness;
  fail(problem: string): void;
  count(what: string): void;
}

/** Codes that say nothing about the operation, only about this caller. */
const CALLERS_OWN: ReadonlySet<string> = new Set([
  ...["cancelled", "deadline-exceeded", "in-progress", "unavailable"],
]);

export class Ledger {
  readonly #host: LedgerHost;
  readonly #calls = new Map<string, Asked>();
  readonly #messages = new Map<string, SentMessage>();
  readonly #sessions = new Map<string, LedgerSession>();
  readonly #byPlace = new Map<string, Asked>();
  /** Calls of clients that do not tell their numbers. */
  readonly #unplaced: Asked[] = [];
  readonly #operations = new Map<string, OperationSeen>();
  /** Runs of handlers that may not run twice: under which epoch of the session; null: the process had lost it. */
  readonly #runs = new Map<string, (number | null)[]>();
  /** What handlers came to. */
  readonly #results = new Set<string>();
  readonly #opened = new Map<string, number>();
  readonly #transactions = new Map<string, number>();
  readonly #claims = new Set<string>();
  readonly #answered = new Set<string>();
  #uids = 0;

  constructor(host: LedgerHost) {
    this.#host = host;
  }

  get data(): DataWitness {
    return this.#host.data;
  }

  fail(problem: string): void {
    this.#host.fail(problem);
  }

  count(what: string): void {
    this.#host.count(what);
  }

  // What clients do.

  session(durable: boolean, principal: string): LedgerSession {
    const session = {
      uid: `s${++this.#uids}`,
      ...{ durable, principal, id: null, shared: false, over: false },
    };
    this.#sessions.set(session.uid, session);
    return session;
  }

  /** The session of this client's name for it. */
  sessionOf(uid: string): LedgerSession {
    return this.#sessions.get(uid)!;
  }

  /** The session that a server calls so; undefined: its client has not heard of it. */
  named(id: string): LedgerSession | undefined {
    for (const session of this.#sessions.values()) if (session.id === id) return session;
    return undefined;
  }

  asked(call: Asked): void {
    this.#calls.set(call.id, call);
    if (call.request > 0) this.#byPlace.set(placeOf(call.session.uid, call.connection, call.request), call);
    else this.#unplaced.push(call);
    if (call.operation !== null) this.#operation(call.operation.name).variants.add(call.operation.variant);
    this.count("calls");
  }

  call(id: string): Asked {
    return this.#calls.get(id)!;
  }

  sent(message: SentMessage): void {
    this.#messages.set(message.id, message);
    this.count("messages with work");
  }

  /** The client took the answer to a call of its. */
  answered(id: string, told: Told): void {
    const call = this.call(id);
    const word = told.ok ? "ok" : told.code;
    this.count(`answered ${word}`);
    if (call.operation !== null) this.count(`operation calls ${word}`);
    // Each page with this session is told.
    if (call.session.shared) return;
    if (call.status !== "open") return this.fail(`call ${id} was answered, and is ${call.status}`);
    call.status = "answered";
    const problem = this.#problemOf(call, told) ?? this.#operationProblem(call, told);
    if (problem !== null) {
      this.fail(`call ${id} (${call.method} ${JSON.stringify(call.input)}) was answered ${word}: ${problem}`);
    }
  }

  /** The client hears no more of a call. `never`: it was never taken up. */
  over(id: string, never: boolean): void {
    const call = this.call(id);
    if (call.status !== "open") return;
    call.status = "over";
    this.count("calls over with their connection");
    if (never && !call.session.shared && call.operation === null) {
      this.data.refuse(call.effect, "nothing: its connection was rejected");
    }
  }

  /** The session is over for its client. */
  lost(session: LedgerSession): void {
    session.over = true;
  }

  /** Messages that the server must still handle, of one session. */
  unhandled(uid: string): SentMessage[] {
    return [...this.#messages.values()].filter((message) =>
      message.session.uid === uid && message.due === "surely" && !this.#isHandled(message)
    );
  }

  /** Transactions of one session that nobody answered, and that took no effect. */
  undone(uid: string): Asked[] {
    return [...this.#calls.values()].filter(({ session, status, method, effect, timeout, cancelled }) =>
      session.uid === uid && status === "open" && method === "add" && timeout === null && !cancelled &&
      !this.data.effects.has(effect)
    );
  }

  message(id: string): SentMessage | undefined {
    return this.#messages.get(id);
  }

  /** Nothing may come of a message. */
  voided(id: string, why: string): void {
    const message = this.message(id);
    if (message === undefined) return;
    message.due = "never";
    if (!message.session.shared) this.data.refuse(id, `nothing: ${why}`);
  }

  #isHandled({ id, done }: SentMessage): boolean {
    return done > 0 || this.data.effects.has(id);
  }

  // What handlers do.

  /** A service is asked whether it takes a connection. @returns How often it was asked. */
  opened(session: string, connection: number): number {
    const place = `${session} ${connection}`;
    const times = (this.#opened.get(place) ?? 0) + 1;
    this.#opened.set(place, times);
    return times;
  }

  /** A transaction's function runs. */
  transacts(effect: string): void {
    const runs = (this.#transactions.get(effect) ?? 0) + 1;
    this.#transactions.set(effect, runs);
    this.count(runs === 1 ? "transactions" : "transactions run again");
  }

  /** The handler of a method that may not run twice begins. `call`: of which call, or of which operation. */
  begins(effect: string, call: string | null, process: string, again: boolean): void {
    this.count("plain handlers");
    if (call === null) {
      const seen = this.#operation(effect.split("=")[0]!);
      if (++seen.runs > 1) this.fail(`operation ${effect} runs for the ${seen.runs}. time, on ${process}`);
      return;
    }
    const asked = this.#calls.get(call);
    if (asked === undefined) return this.fail(`nobody made the call ${call}`);
    if (again) this.fail(`call ${call} is run again on ${process}`);
    const { session: { id, shared }, seq } = asked;
    if (shared) return;
    const seen = this.#host.store.sessions.get(id ?? "");
    const epoch = seen?.owners.at(-1)?.boot === process ? seen.epoch : null;
    const before = this.#runs.get(effect) ?? [];
    this.#runs.set(effect, [...before, epoch]);
    if (before.length === 0) return;
    // Who loses the session before its commit has begun what nobody accepts: the client makes the call again.
    const accepted = this.#host.store.acceptedBy(id ?? "", seq);
    if (
      accepted !== undefined && epoch !== null &&
      before.some((each) => each !== null && each >= accepted.epoch)
    ) {
      return this.fail(`call ${call} runs once more on ${process}; ${accepted.boot} had accepted it`);
    }
    this.count("plain handlers run again, since their call was not accepted");
  }

  /** What a handler gives as its result: only what some run gave may be answered. */
  result(value: string): void {
    this.#results.add(value);
  }

  /** A message's handler begins, and finds this number kept. */
  handles(id: string, n: number, kept: number, process: string): void {
    const message = this.#messages.get(id);
    if (message === undefined) return this.fail(`nobody sent the message ${id}`);
    if (message.session.shared) return;
    if (kept !== n - 1) this.fail(`message ${id} is handled when ${kept} is kept`);
    // Of what a process that lost the session handles nothing comes.
    if (message.due !== "never" || this.#ownerOf(message.session) !== process) return;
    this.fail(`message ${id} is handled on ${process}, of which nothing may come`);
  }

  /** The process that committed last for a session. */
  #ownerOf({ id }: LedgerSession): string | undefined {
    return this.#host.store.sessions.get(id ?? "")?.owners.at(-1)?.boot;
  }

  /** It is done, as far as it knows. */
  handled(id: string): void {
    const message = this.#messages.get(id);
    if (message !== undefined) message.done++;
  }

  // What goes over the wire.

  /** A client says a call for the first time. */
  callLeaves(session: string, seq: number, connection: number, request: number, input: BodyValue): void {
    const known = this.named(session);
    const { id } = (input ?? {}) as { readonly id?: string };
    const same = this.#unplaced.filter((call) =>
      call.session === known && call.connection === connection && call.effect === id
    );
    // One that was in progress elsewhere is made again.
    const call = same.find((each) => each.request === 0) ?? same.find(({ status }) => status === "open");
    if (call === undefined) return;
    call.request = request;
    call.seq = seq;
    this.#byPlace.set(placeOf(call.session.uid, connection, request), call);
  }

  /** A server says the answer to a call for the first time. */
  answerLeaves(session: string, connection: number, request: number, told: Told): void {
    const known = this.named(session);
    if (known === undefined || known.shared) return;
    const place = placeOf(known.uid, connection, request);
    const call = this.#byPlace.get(place);
    if (call === undefined) return this.fail(`the answer to ${place}, which nobody made, leaves`);
    if (this.#answered.has(place)) this.fail(`a second answer to ${call.id} leaves`);
    this.#answered.add(place);
    if (call.operation === null || CALLERS_OWN.has(told.code) || told.code === "conflict") return;
    const owner = known.principal === "" ? `session ${session}` : `principal ${known.principal}`;
    const hash = hashOf(owner, METHODS[call.method], call.method, call.operation.key);
    const record = this.#host.operations.records.get(hash);
    if (record === undefined || record.state === "running") {
      this.fail(`the outcome of ${call.operation.name} leaves before its commit (call.operation)`);
    }
  }

  // Judging.

  #problemOf(call: Asked, told: Told): string | null {
    if (told.ok) return this.#resultProblem(call, told.value);
    const { method, operation, timeout, cancelled, session } = call;
    const transaction = METHODS[method] === "bank";
    switch (told.code) {
      case "cancelled":
        if (!cancelled && !call.broken) return "nobody cancelled it";
        break;
      case "deadline-exceeded":
        if (timeout === null) return "it had no deadline";
        break;
      case "indeterminate": {
        if (operation !== null) return null;
        if (transaction || method === "safe" || method === "ticks") return "it can always run again";
        const seen = this.#host.store.sessions.get(session.id ?? "");
        const accepted = this.#host.store.acceptedBy(session.id ?? "", call.seq);
        return seen !== undefined && accepted !== undefined && seen.epoch > accepted.epoch
          ? null
          : "its node was not lost";
      }
      case "failed-precondition":
        if (method !== "move") return "it has no precondition";
        return this.#moveProblem(call, told.value);
      case "internal":
        return method === "once" ? null : "its handler never throws";
      case "conflict":
      case "in-progress":
        return operation !== null ? null : "it has no operation key";
      case "unavailable":
        if (operation === null && !transaction) return "it needs nobody";
        break;
      default:
        return "that is no answer to it";
    }
    if (transaction && operation === null) this.data.refuse(call.effect, told.code);
    return null;
  }

  #resultProblem(call: Asked, value: BodyValue): string | null {
    const { method, input, effect, broken } = call;
    switch (method) {
      case "add": {
        const entry = this.data.entryOf(effect, input.key as string);
        return entry === undefined
          ? "it is not in the store"
          : entry.total === value
          ? null
          : `not ${value}: ${entry.total}`;
      }
      case "move":
        return this.data.effects.has(effect) ? null : "it is not in the store";
      case "peek": {
        const totals = new Map(Object.entries(value as { readonly [key: string]: number }));
        return this.data.wereEver(totals, call.since, this.data.tick)
          ? null
          : `never was ${JSON.stringify(value)}`;
      }
      case "toggle": {
        if (value === null) return null;
        if (this.#claims.has(value as string)) return `${value} was claimed twice`;
        this.#claims.add(value as string);
        return null;
      }
      case "put":
      case "bump":
      case "ticks":
      case "feed":
        return null;
      case "once":
      case "safe":
        return this.#results.has(value as string) ? null : `no handler gave ${value}`;
      case "sum": {
        const count = input.count as number;
        return !broken && value === count * (count + 1) / 2
          ? null
          : `${value} of ${count} items, broken off: ${broken}`;
      }
      default:
        return method satisfies never;
    }
  }

  #moveProblem({ input, since }: Asked, value: BodyValue): string | null {
    const { data } = value as { readonly data?: { readonly has: number } };
    if (data === undefined || data.has >= (input.amount as number)) return `with ${JSON.stringify(data)}`;
    const totals = new Map([[input.from as string, data.has]]);
    return this.data.wereEver(totals, since, this.data.tick) ? null : `it never had ${data.has}`;
  }

  #operationProblem({ operation, method }: Asked, told: Told): string | null {
    if (operation === null) return null;
    const { name, variant } = operation;
    const seen = this.#operation(name);
    if (CALLERS_OWN.has(told.code)) return null;
    if (told.code === "conflict") {
      return seen.variants.size > 1 && (seen.outcome === null || seen.outcome.variant !== variant)
        ? null
        : `the key was used with ${[...seen.variants].join(" and ")}, and came to ${
          JSON.stringify(seen.outcome)
        }`;
    }
    const word = told.ok ? JSON.stringify(told.value) : told.code;
    if (seen.outcome === null) seen.outcome = { variant, told: word };
    else if (seen.outcome.variant !== variant) return `another argument was answered ${seen.outcome.told}`;
    else if (seen.outcome.told !== word) return `others were told ${seen.outcome.told}, this one ${word}`;
    if (word === "indeterminate" && method !== "once") return "it can always run again";
    return null;
  }

  #operation(name: string): OperationSeen {
    const known = this.#operations.get(name);
    if (known !== undefined) return known;
    const seen: OperationSeen = { outcome: null, variants: new Set(), runs: 0, began: false };
    this.#operations.set(name, seen);
    return seen;
  }
}

function placeOf(uid: string, connection: number, request: number): string {
  return `${uid} ${connection} ${request}`;
}
