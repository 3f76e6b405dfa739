/** The port between sessions and services, in a test's hands: what a service does is recorded, and nothing is waited for. */

import { type BodyValue, decodeBody, encodeBody } from "../../src/protocol/body.ts";
import type { EncodedBody, Metadata } from "../../src/protocol/messages.ts";
import type {
  CallFailure,
  CallOutcome,
  DataKey,
  ServedCall,
  Service,
  ServiceConnection,
  Transaction,
} from "../../src/service/service.ts";

/** What a service did, in order, with its values decoded. */
export type Did =
  | { readonly do: "send" | "send_volatile" | "keep" | "respond" | "item"; readonly value: BodyValue }
  | { readonly do: "fail"; readonly code: string; readonly message: string; readonly data?: BodyValue }
  | { readonly do: "end"; readonly reason: string; readonly detail: string }
  | { readonly do: "bind"; readonly reason: string }
  | { readonly do: "set"; readonly key: DataKey; readonly value: BodyValue };

/** A connection that records. */
export class FakeConnection implements ServiceConnection {
  readonly id = 1;
  readonly session = "session-1";
  readonly principal = "alice";
  readonly service: string;
  readonly did: Did[] = [];
  now = 1_000;
  kept: EncodedBody | null = null;
  writable = true;
  /** What a call of the client's side comes to. */
  outcome: CallOutcome = { ok: true, body: encodeBody(null) };
  /** The calls of the client's side, and the connections that were opened to it. */
  readonly asked: { readonly method: string; readonly value: BodyValue }[] = [];
  readonly opened: { readonly handler: Service; readonly metadata: Metadata | undefined }[] = [];

  constructor(service = "tested") {
    this.service = service;
  }

  send(body: EncodedBody): void {
    this.did.push({ do: "send", value: decodeBody(body) });
  }

  sendVolatile(body: EncodedBody): void {
    this.did.push({ do: "send_volatile", value: decodeBody(body) });
  }

  keep(value: EncodedBody): void {
    this.kept = value;
    this.did.push({ do: "keep", value: decodeBody(value) });
  }

  whenWritable(): Promise<void> {
    return Promise.resolve();
  }

  bindToNode(reason: string): void {
    this.did.push({ do: "bind", reason });
  }

  end(reason = "", detail = ""): void {
    this.did.push({ do: "end", reason, detail });
  }

  openToClient(handler: Service, metadata?: Metadata): ServiceConnection {
    this.opened.push({ handler, metadata });
    return new FakeConnection(handler.name);
  }

  call(method: string, body: EncodedBody): Promise<CallOutcome> {
    this.asked.push({ method, value: decodeBody(body) });
    return Promise.resolve(this.outcome);
  }
}

/** Durable data in memory; a transaction's writes take effect when it is committed. */
export class FakeData {
  readonly values: Map<string, EncodedBody> = new Map();

  /** What a key holds, decoded; null if nothing. */
  read(...key: (string | number | boolean)[]): BodyValue {
    const body = this.values.get(JSON.stringify(key));
    return body === undefined ? null : decodeBody(body);
  }

  /** Begins a transaction on a connection. */
  begin(connection: FakeConnection): { readonly tx: Transaction; commit(): void } {
    const writes = new Map<string, EncodedBody | null>();
    const effects: (() => void)[] = [];
    const tx: Transaction = {
      now: connection.now,
      get: (key) => {
        const name = JSON.stringify(key);
        return Promise.resolve((writes.has(name) ? writes.get(name) : this.values.get(name)) ?? null);
      },
      set: (key, value) => {
        writes.set(JSON.stringify(key), value);
        effects.push(() =>
          connection.did.push({ do: "set", key, value: value === null ? null : decodeBody(value) })
        );
      },
      send: (body) => void effects.push(() => connection.send(body)),
    };
    const commit = () => {
      for (const [name, value] of writes) {
        if (value === null) this.values.delete(name);
        else this.values.set(name, value);
      }
      for (const effect of effects) effect();
    };
    return { tx, commit };
  }
}

/** What a call is made of, where a test cares. */
export interface FakeCallOptions {
  readonly input?: BodyValue;
  /** The argument as bytes, in place of `input`. */
  readonly body?: EncodedBody;
  readonly connection?: FakeConnection;
  readonly metadata?: Metadata;
  readonly deadline?: number;
  readonly again?: boolean;
  readonly itemsSent?: number;
  /** Items that may be sent before {@link FakeCall.grant}; without it, as many as there are. */
  readonly credit?: number;
  readonly data?: FakeData;
  /** Each transaction is run so often; all runs but the last are discarded. */
  readonly runs?: number;
  /** Records nothing of items: for measurements. */
  readonly countOnly?: boolean;
}

/** A call that records; {@link grant}, {@link give}, {@link finish}, {@link breakOff} and {@link over} are the client's side. */
export class FakeCall implements ServedCall {
  readonly connection: FakeConnection;
  readonly method: string;
  readonly body: EncodedBody;
  readonly metadata: Metadata;
  readonly deadline: number | null;
  readonly again: boolean;
  itemsSent: number;
  /** `trySend` calls that were refused for want of credit. */
  refused = 0;
  /** What the last transaction rejected with. */
  defect: unknown = undefined;
  /** Resolves when a transaction that was begun is decided. */
  transacted: Promise<void> = Promise.resolve();
  answered = false;
  #abort: AbortController | null = null;
  #reason: Error | null = null;
  #credit: number;
  #waiting: (() => void)[] = [];
  readonly #items: (EncodedBody | Error | null)[] = [];
  readonly #data: FakeData;
  readonly #runs: number;
  readonly #countOnly: boolean;
  #reading = false;

  constructor(method: string, options: FakeCallOptions = {}) {
    this.method = method;
    this.body = options.body ?? encodeBody(options.input ?? null);
    this.connection = options.connection ?? new FakeConnection();
    this.metadata = options.metadata ?? {};
    this.deadline = options.deadline ?? null;
    this.again = options.again ?? false;
    this.itemsSent = options.itemsSent ?? 0;
    this.#credit = options.credit ?? Infinity;
    this.#data = options.data ?? new FakeData();
    this.#runs = options.runs ?? 1;
    this.#countOnly = options.countOnly ?? false;
  }

  /** What was done on the call and its connection. */
  get did(): readonly Did[] {
    return this.connection.did;
  }

  /** True once somebody asked for the signal. */
  get signalRead(): boolean {
    return this.#abort !== null;
  }

  get signal(): AbortSignal {
    this.#abort ??= new AbortController();
    if (this.#reason !== null && !this.#abort.signal.aborted) this.#abort.abort(this.#reason);
    return this.#abort.signal;
  }

  respond(body: EncodedBody): void {
    if (this.#closed()) return;
    this.answered = true;
    this.connection.did.push({ do: "respond", value: decodeBody(body) });
  }

  fail({ code, message, data }: CallFailure): void {
    if (this.#closed()) return;
    this.answered = true;
    const told = { do: "fail", code, message } as const;
    this.connection.did.push(data === undefined ? told : { ...told, data: decodeBody(data) });
  }

  trySend(item: EncodedBody): boolean {
    if (this.#closed()) return true;
    if (this.#credit === 0) {
      this.refused++;
      return false;
    }
    this.#credit--;
    this.itemsSent++;
    if (!this.#countOnly) this.connection.did.push({ do: "item", value: decodeBody(item) });
    return true;
  }

  async whenCredit(): Promise<void> {
    while (this.#credit === 0 && this.#reason === null) await this.#something();
  }

  async nextItem(): Promise<EncodedBody | null> {
    if (this.#reading) throw new Error("one item at a time");
    this.#reading = true;
    try {
      while (this.#items.length === 0 && this.#reason === null) await this.#something();
      if (this.#reason !== null) throw this.#reason;
      const item = this.#items[0]!;
      if (item instanceof Uint8Array) this.#items.shift();
      if (item instanceof Error) throw item;
      return item;
    } finally {
      this.#reading = false;
    }
  }

  transact(run: (tx: Transaction) => Promise<EncodedBody | CallFailure>): void {
    this.transacted = this.#transact(run);
  }

  /** Grants credit for more items. */
  grant(items: number): void {
    this.#credit += items;
    this.#wake();
  }

  /** Sends items on the upload. */
  give(...values: BodyValue[]): void {
    this.#items.push(...values.map(encodeBody));
    this.#wake();
  }

  /** Ends the upload. */
  finish(): void {
    this.#items.push(null);
    this.#wake();
  }

  /** Resets the upload. */
  breakOff(): void {
    this.#items.push(named("reset"));
    this.#wake();
  }

  /** The call is over without an answer of its handler. */
  over(name = "cancelled"): void {
    this.#reason ??= named(name);
    this.#abort?.abort(this.#reason);
    this.#wake();
  }

  /** How many items of the upload nobody took. */
  get left(): number {
    return this.#items.filter((item) => item !== null).length;
  }

  async #transact(run: (tx: Transaction) => Promise<EncodedBody | CallFailure>): Promise<void> {
    for (let left = this.#runs; left > 0; left--) {
      const { tx, commit } = this.#data.begin(this.connection);
      try {
        const result = await run(tx);
        if (left > 1) continue;
        if (!(result instanceof Uint8Array)) {
          this.fail(result);
        } else if (!this.#closed()) {
          commit();
          this.respond(result);
        }
      } catch (error) {
        this.defect = error;
        this.fail({ code: "internal", message: "the service failed" });
      }
    }
  }

  #closed(): boolean {
    return this.answered || this.#reason !== null;
  }

  #something(): Promise<void> {
    return new Promise((resolve) => void this.#waiting.push(resolve));
  }

  #wake(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const wake of waiting) wake();
  }
}

/**
 * Has a call served as a session would: a handler's defect is answered `internal`.
 *
 * @returns The defect; undefined if there was none.
 */
export async function serve(service: Service, call: FakeCall): Promise<unknown> {
  let defect: unknown = undefined;
  try {
    await service.onCall?.(call);
  } catch (error) {
    defect = error;
    call.fail({ code: "internal", message: "the service failed" });
  }
  await call.transacted;
  return defect ?? call.defect;
}

function named(name: string): Error {
  const error = new Error(`the call is over: ${name}`);
  error.name = name;
  return error;
}
