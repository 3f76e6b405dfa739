/** A transaction as the handlers of a defined service see it: values instead of bytes. */

import { type BodyValue, decodeBody, encodeBody } from "../protocol/body.ts";
import type { Gate } from "./gate.ts";
import type { DataKey, ServiceConnection, Transaction } from "./service.ts";

/**
 * The service's durable data, read and written inside one transaction. The handler may be run several times, also after a crash,
 * and must do nothing else than read and write here. At most 8 keys are read, and 8 written.
 */
export interface TypedTransaction {
  /** Milliseconds since the Unix epoch. */
  readonly now: number;
  /** The session that the call, or the message, came from, … */
  readonly session: string;
  /** … who it belongs to, … */
  readonly principal: string;
  /** … and the id of the connection in it. */
  readonly connection: number;
  /**
   * What a key holds, the transaction's own writes included; null if nothing.
   *
   * @typeParam T What the service knows to have written there: it is not checked.
   * @throws RangeError (as a rejection) for the ninth key, or one that is too long.
   */
  get<T = BodyValue>(key: DataKey): Promise<T | null>;
  /**
   * Writes a key when the transaction commits. Null removes it.
   *
   * @throws TypeError for a value that is no body value; RangeError for the ninth key, one that is too long, or a value of more
   * than 56 KiB.
   */
  set(key: DataKey, value: BodyValue): void;
  /** Removes a key when the transaction commits. */
  delete(key: DataKey): void;
  /** Sends a plain message on the connection, with the commit. @throws TypeError for a value that the service's `sends` refuses. */
  send(value: BodyValue): void;
}

/** Puts values on top of a raw transaction. */
export class GatedTransaction implements TypedTransaction {
  readonly #raw: Transaction;
  readonly #from: ServiceConnection;
  readonly #sends: Gate;

  constructor(raw: Transaction, from: ServiceConnection, sends: Gate) {
    this.#raw = raw;
    this.#from = from;
    this.#sends = sends;
  }

  get now(): number {
    return this.#raw.now;
  }

  get session(): string {
    return this.#from.session;
  }

  get principal(): string {
    return this.#from.principal;
  }

  get connection(): number {
    return this.#from.id;
  }

  async get<T = BodyValue>(key: DataKey): Promise<T | null> {
    const body = await this.#raw.get(key);
    return body === null ? null : decodeBody(body) as T;
  }

  set(key: DataKey, value: BodyValue): void {
    this.#raw.set(key, value === null ? null : encodeBody(value));
  }

  delete(key: DataKey): void {
    this.#raw.set(key, null);
  }

  send(value: BodyValue): void {
    this.#raw.send(this.#sends.give(value));
  }
}
