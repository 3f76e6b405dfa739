/** Peers that call methods of the service `demo`. Answers may come in another order than calls; each comes once. */

import { decodeBody, encodeBody } from "../src/protocol/body.ts";
import type { Durability, EncodedBody, SessionMessage } from "../src/protocol/messages.ts";
import { TestBody } from "./body.ts";
import { CONNECTION, type PeerOptions, SessionPeer } from "./peers.ts";

/** Calls one method again and again. */
abstract class CallPeer extends SessionPeer {
  readonly #method: string;
  /** When each call that is in flight was made. */
  readonly #calls = new Map<number, number>();
  #request = 0;

  constructor(options: PeerOptions, method: string, durability: Durability) {
    super(options, "demo", { durability });
    this.#method = method;
  }

  override get outstanding(): number {
    return this.#calls.size;
  }

  protected override sendNext(count: number, now: number): void {
    for (; count > 0; count--) {
      const request = ++this.#request;
      this.#calls.set(request, now);
      const body = this.argument(request);
      this.session.put({ kind: "call", connection: CONNECTION, request, method: this.#method, body });
    }
    this.session.flush();
  }

  protected override answered(message: SessionMessage, now: number): number {
    if (message.kind !== "response") {
      this.fail(`the server says ${message.kind}`);
      return 0;
    }
    const { request, ok, body } = message;
    const calledAt = this.#calls.get(request);
    this.#calls.delete(request);
    const wrong = calledAt === undefined
      ? "there is no such call, or it was answered before"
      : ok
      ? this.mismatch(request, body)
      : JSON.stringify(decodeBody(body));
    if (wrong !== null) this.fail(`answer to call ${request}: ${wrong}`);
    this.options.meter.record(now - calledAt!);
    return 1;
  }

  /** Valid until the next call. */
  protected abstract argument(request: number): EncodedBody;

  /** Says what is wrong with a result; null: nothing. */
  protected abstract mismatch(request: number, result: EncodedBody): string | null;
}

/** Calls `echo`. */
export class EchoCallPeer extends CallPeer {
  readonly #body: TestBody;

  constructor(options: PeerOptions, durability: Durability) {
    super(options, "echo", durability);
    this.#body = new TestBody(options.bytes, options.number);
  }

  protected override argument(request: number): EncodedBody {
    return this.#body.number(request);
  }

  protected override mismatch(request: number, result: EncodedBody): string | null {
    return this.#body.mismatch(result, request);
  }
}

/** A total that nobody else adds to than the peers that share this. */
export class Total {
  readonly name: string;
  #results = 0;
  #sum = 0;
  #highest = 0;

  constructor(name: string) {
    this.name = name;
  }

  /** One of them was told what the total is after it added 1. */
  took(total: number): void {
    this.#results++;
    this.#sum += total;
    this.#highest = Math.max(this.#highest, total);
  }

  /** Says what is wrong once nothing is in flight: each addition counts once, so the results are 1 … n in some order. */
  problem(): string | null {
    const count = this.#results;
    return this.#highest === count && this.#sum === count * (count + 1) / 2
      ? null
      : `${count} additions to ${this.name}: the highest result is ${this.#highest}, their sum ${this.#sum}`;
  }
}

/** Adds 1 to a total, in transactions. */
export class AddPeer extends CallPeer {
  readonly #argument: EncodedBody;
  readonly #total: Total;
  readonly #own: boolean;
  #last = 0;

  /** @param own No other peer adds to the total: its results are consecutive. */
  constructor(options: PeerOptions, durability: Durability, total: Total, own: boolean) {
    super(options, "add", durability);
    this.#argument = encodeBody({ name: total.name, by: 1 });
    this.#total = total;
    this.#own = own;
  }

  override close(): Promise<void> {
    const problem = this.#total.problem();
    if (problem !== null) this.fail(problem);
    return super.close();
  }

  protected override argument(): EncodedBody {
    return this.#argument;
  }

  protected override mismatch(_: number, result: EncodedBody): string | null {
    const total = decodeBody(result);
    if (typeof total !== "number") return `${String(total)} is no total`;
    const last = this.#last;
    this.#last = total;
    this.#total.took(total);
    const follows = this.#own ? total === last + 1 : total > last;
    return follows ? null : `the total ${total} after ${last}`;
  }
}
