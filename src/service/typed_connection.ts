/** A connection as the handlers of a defined service see it: values instead of bytes. */

import { type BodyValue, decodeBody, encodeBody } from "../protocol/body.ts";
import type { Metadata } from "../protocol/messages.ts";
import { errorOf, RpcError } from "../protocol/rpc_error.ts";
import { ANYTHING, type Gate } from "./gate.ts";
import type { Service, ServiceConnection } from "./service.ts";

/** What the values of one service's connections must fit. */
export interface ConnectionGates {
  /** The plain messages that the service sends. */
  readonly sends: Gate;
  /** What it keeps with a connection. */
  readonly kept: Gate;
}

/**
 * One connection. On one that is gone every method does nothing. The same connection may be given as different objects: `session`
 * and `id` tell connections apart.
 *
 * What a handler does in one synchronous step is committed together, and leaves after that commit.
 *
 * @typeParam Sends The plain messages that the service sends.
 * @typeParam Keeps What `keep` takes.
 * @typeParam Kept What `kept` gives back.
 */
export interface TypedConnection<Sends = BodyValue, Keeps = BodyValue, Kept = Keeps> {
  /** Its id within the session. */
  readonly id: number;
  /** The session's public id. */
  readonly session: string;
  /** Who the session belongs to. */
  readonly principal: string;
  /** The name it was opened with. */
  readonly service: string;
  /** Milliseconds since the Unix epoch. */
  readonly now: number;
  /** What was kept last; null if nothing was, or what was kept does not fit the service's `kept` any more. */
  readonly kept: Kept | null;
  /**
   * Keeps a small value with the connection; it survives whatever the session survives.
   *
   * @throws TypeError for a value that `kept` refuses, or that is no body value; RangeError for more than 32 KiB.
   */
  keep(value: Keeps): void;
  /**
   * Sends a plain message: delivered exactly once, in order.
   *
   * @throws TypeError for a value that `sends` refuses, or that is no body value.
   */
  send(value: Sends): void;
  /** Sends now or never. @throws TypeError as {@link send} does. */
  sendVolatile(value: Sends): void;
  /** True while a message that is sent now goes out without piling up. */
  readonly writable: boolean;
  /** Resolves when `writable` is true, or the connection is gone. */
  whenWritable(): Promise<void>;
  /** Ends the connection with this reason where its session goes on without this process's memory. */
  bindToNode(reason: string): void;
  /** Ends the connection, after everything that was sent on it. */
  end(reason?: string, detail?: string): void;
  /** Opens a connection to a service that the client serves; it lives as long as this process has the session. */
  openToClient(handler: Service, metadata?: Metadata): TypedConnection;
  /**
   * Calls a method of the client's side of this connection.
   *
   * @throws RpcError (as a rejection) when the call failed; TypeError for an input that is no body value.
   */
  call(method: string, input?: BodyValue, options?: { readonly timeout?: number }): Promise<BodyValue>;
}

/** Puts values on top of a raw connection. */
export class GatedConnection implements TypedConnection<unknown, unknown> {
  readonly #raw: ServiceConnection;
  readonly #gates: ConnectionGates;

  constructor(raw: ServiceConnection, gates: ConnectionGates) {
    this.#raw = raw;
    this.#gates = gates;
  }

  get id(): number {
    return this.#raw.id;
  }

  get session(): string {
    return this.#raw.session;
  }

  get principal(): string {
    return this.#raw.principal;
  }

  get service(): string {
    return this.#raw.service;
  }

  get now(): number {
    return this.#raw.now;
  }

  get kept(): unknown {
    const { kept } = this.#raw;
    if (kept === null) return null;
    try {
      return this.#gates.kept.take(kept);
    } catch (error) {
      if (error instanceof RpcError) return null;
      throw error;
    }
  }

  keep(value: unknown): void {
    this.#raw.keep(this.#gates.kept.store(value));
  }

  send(value: unknown): void {
    this.#raw.send(this.#gates.sends.give(value));
  }

  sendVolatile(value: unknown): void {
    this.#raw.sendVolatile(this.#gates.sends.give(value));
  }

  get writable(): boolean {
    return this.#raw.writable;
  }

  whenWritable(): Promise<void> {
    return this.#raw.whenWritable();
  }

  bindToNode(reason: string): void {
    this.#raw.bindToNode(reason);
  }

  end(reason?: string, detail?: string): void {
    this.#raw.end(reason, detail);
  }

  openToClient(handler: Service, metadata?: Metadata): TypedConnection {
    return new GatedConnection(this.#raw.openToClient(handler, metadata), UNGATED) as TypedConnection;
  }

  async call(
    method: string,
    input: BodyValue = null,
    options?: { readonly timeout?: number },
  ): Promise<BodyValue> {
    const outcome = await this.#raw.call(method, encodeBody(input), options);
    if (!outcome.ok) throw errorOf(outcome.error);
    return decodeBody(outcome.body);
  }
}

/** For connections of whose values nothing is known. */
const UNGATED: ConnectionGates = { sends: ANYTHING, kept: ANYTHING };
