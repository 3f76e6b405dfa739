/** Calls and messages that an application of the SDK makes in one session, and what it must be told of them. */

import { type BodyValue, CallError, type Connection, type Session } from "../../src/client/mod.ts";
import type { SeededRandom } from "../support/seeded_random.ts";
import { accountsOf, inputOf, METHODS_OF, operationOf } from "./call_drawing.ts";
import { awaitsReply, type Conversation, type ServiceName, takeReply } from "./caller_model.ts";
import type { Asked, Ledger, LedgerSession, MethodName } from "./ledger.ts";
import type { WorkMix } from "./sim_client.ts";
import type { SimProcess } from "./sim_process.ts";

const MOST_WAITING = 8;
const MOST_CONNECTIONS = 3;

interface Open extends Conversation {
  readonly connection: Connection;
  calls: number;
  /** Messages that the SDK has not numbered. */
  sending: number;
  closed: boolean;
}

/** What these calls need of their client. */
export interface SdkCallsHost {
  readonly process: SimProcess;
  readonly live: Session;
  readonly random: SeededRandom;
  readonly ledger: Ledger;
  readonly session: LedgerSession;
  readonly mix: WorkMix;
  readonly accounts: number;
}

export class SdkCalls {
  readonly #host: SdkCallsHost;
  #open: Open[] = [];
  /** Calls and messages so far. */
  made = 0;

  constructor(host: SdkCallsHost) {
    this.#host = host;
  }

  /** True when everything that was asked is answered. */
  get quiet(): boolean {
    const { ledger, session } = this.#host;
    return this.#open.every((open) => open.calls + open.sending === 0 && !awaitsReply(open)) &&
      ledger.unhandled(session.uid).length === 0;
  }

  /** What still waits, for people. */
  describe(): string {
    const { ledger, session } = this.#host;
    const waiting = this.#open.map(({ id, service, calls, sending, messages, last }) =>
      `${id} ${service} calls ${calls} messages ${messages} (${sending}) ${last.n}`
    );
    return JSON.stringify({ waiting, unhandled: ledger.unhandled(session.uid).map(({ id }) => id) });
  }

  /** Does one thing. */
  act(): void {
    const { random, mix: { opens, ends, messages } } = this.#host;
    const roll = random.float();
    if (this.#open.length === 0 || roll < opens && this.#open.length < MOST_CONNECTIONS) return this.#begin();
    const open = random.pick(this.#open);
    if (roll >= opens && roll < opens + ends) return this.#close(open);
    if (roll < opens + ends + messages) return this.#send(open);
    if (open.calls < MOST_WAITING) this.#call(open, random.pick(METHODS_OF[open.service]));
  }

  #begin(): void {
    const { random, live, mix, ledger } = this.#host;
    const service: ServiceName = random.chance(mix.bank) ? "bank" : "desk";
    const messageCredit = random.chance(0.4) ? { messageCredit: random.pick([16, 40]) } : {};
    const connection = live.open(service, messageCredit);
    const conversation = { id: connection.id, service, messages: 0, last: { n: 0, reply: 0 } };
    const open: Open = { ...conversation, connection, calls: 0, sending: 0, closed: false };
    this.#open.push(open);
    ledger.count("connections with work");
    void this.#consume(open);
  }

  async #consume(open: Open): Promise<void> {
    const { process, ledger } = this.#host;
    try {
      for await (const said of open.connection) {
        if (!process.alive || open.closed) return;
        const problem = takeReply(open, said as unknown as { n: number; reply?: number });
        if (problem !== null) ledger.fail(`${this.#host.session.uid}: ${problem}`);
      }
    } catch (error) {
      if (process.alive && !this.#isOver(open)) {
        ledger.fail(`connection ${open.id} of ${this.#host.session.uid} ended: ${String(error)}`);
      }
    }
  }

  #close(open: Open): void {
    open.closed = true;
    this.#open = this.#open.filter((each) => each !== open);
    open.connection.close();
    this.#host.ledger.count("connections ended with work");
  }

  #send(open: Open): void {
    const { random, ledger, session, accounts, process } = this.#host;
    if (open.messages - open.last.n >= MOST_WAITING) return;
    const n = ++open.messages;
    const id = `b${session.uid}.${open.id}.${n}`;
    const value: BodyValue = open.service === "bank"
      ? { id, n, key: random.pick(accountsOf(accounts)), by: random.between(1, 9) }
      : { id, n, fails: false };
    ledger.sent({ id, session, connection: open.id, n, due: "maybe", done: 0 });
    this.made++;
    open.sending++;
    open.connection.send(value).then(() => {
      open.sending--;
      // It will arrive; a connection that its service never accepted is gone with what came before.
      if (!process.alive || open.closed) return;
      open.connection.opened.then(() => ledger.message(id)!.due = "surely", () => {});
    }, () => void open.sending--);
  }

  #call(open: Open, method: MethodName): void {
    const { random, ledger, session, accounts } = this.#host;
    const operation = operationOf(method, session, random);
    const id = `${session.uid}.${open.id}.${++this.made}`;
    const effect = operation === null
      ? `${method === "move" ? "m" : "c"}${id}`
      : `${operation.name}=${operation.variant}`;
    const count = random.between(0, 24);
    const own = operation === null ? id : null;
    const input = inputOf(method, effect, own, operation?.variant ?? null, count, { random, accounts });
    const timeout = random.chance(0.12) ? random.pick([50, 500, 4_000]) : null;
    const call: Asked = {
      ...{ id, session, connection: open.id, request: 0, seq: 0, method, input, effect, operation, timeout },
      ...{ since: ledger.data.tick, cancelled: false, broken: false, status: "open" },
    };
    ledger.asked(call);
    open.calls++;
    const abort = new AbortController();
    if (random.chance(0.12)) this.#cancelLater(call, abort);
    const options = { signal: abort.signal, ...(timeout === null ? {} : { timeout }) };
    this.#perform(open, call, count, options).then(
      (value) => this.#over(open, call, value, null),
      (error: unknown) => this.#over(open, call, null, error),
    );
  }

  async #perform(
    { connection }: Open,
    { method, input, operation, id }: Asked,
    count: number,
    options: { readonly signal: AbortSignal; readonly timeout?: number },
  ): Promise<BodyValue> {
    if (method === "sum") return await connection.upload(method, input, numbers(count), options);
    if (method !== "ticks" && method !== "feed") {
      return await connection.call(method, input, {
        ...options,
        ...(operation === null ? {} : { operation: operation.key }),
      });
    }
    const { random, ledger } = this.#host;
    const credit = random.chance(0.5) ? { credit: random.between(1, 6) } : {};
    let came = 0;
    for await (const item of connection.download(method, input, { ...options, ...credit })) {
      if (item !== ++came) ledger.fail(`item ${String(item)} of ${id} where ${came} was next`);
    }
    if (came !== count) ledger.fail(`${came} of ${count} items of ${id}`);
    return null;
  }

  #cancelLater(call: Asked, abort: AbortController): void {
    const { process: { clock }, random, ledger } = this.#host;
    clock.wakeAt(clock.now() + random.pick([0, 20, 300, 3_000]), () => {
      if (call.status !== "open") return;
      call.cancelled = true;
      ledger.count("cancels");
      abort.abort();
    });
  }

  #over(open: Open, call: Asked, value: BodyValue, error: unknown): void {
    const { process, ledger } = this.#host;
    if (!process.alive) return;
    open.calls--;
    if (error === null) return ledger.answered(call.id, { ok: true, value, code: "" });
    if (!(error instanceof CallError)) return ledger.fail(`call ${call.id} failed with ${String(error)}`);
    const { code, data } = error;
    // The SDK itself waits no longer: what becomes of the call is not known.
    const own = code === "cancelled" || code === "deadline-exceeded";
    if (own || this.#isOver(open)) return ledger.over(call.id, code === "unavailable");
    ledger.answered(call.id, { ok: false, value: { code, data: data ?? null }, code });
  }

  #isOver({ closed }: Open): boolean {
    return closed || this.#host.live.ending !== null || this.#host.live.phase === "ended";
  }
}

function* numbers(count: number): Iterable<number> {
  for (let n = 1; n <= count; n++) yield n;
}
