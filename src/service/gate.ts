/** What lets one kind of value in and out of a service: its encoding, and the schema that it must fit. */

import * as z from "zod";
import { BodyError, type BodyValue, decodeBody, encodeBody } from "../protocol/body.ts";
import type { EncodedBody } from "../protocol/messages.ts";
import { boundedText, RpcError } from "../protocol/rpc_error.ts";
import { refusalText } from "./refusal_text.ts";

/** A schema of zod, or of zod/mini. It must be synchronous: one with asynchronous parts fails when it is used. */
export type Schema<Output = unknown, Input = unknown> = z.core.$ZodType<Output, Input>;

/** What a schema takes. */
export type SchemaInput<S extends Schema> = S["_zod"]["input"];

/** What a schema makes of what it takes. */
export type SchemaOutput<S extends Schema> = S["_zod"]["output"];

/** The schema of what nothing is said about. */
export type Anything = Schema<BodyValue, BodyValue>;

/** The schema of an argument where a method takes none. */
export type NoInput = Schema<null, null>;

/** The schema of a result where a method gives none. */
export type NoOutput = Schema<void, void>;

/** A gate. At the top level `undefined` and null are one value, null on the wire: a schema is shown the one that it takes. */
export class Gate {
  /** What its values must fit. */
  readonly schema: Schema;
  /** Every value fits: nothing is asked of zod. */
  readonly #open: boolean;
  /** Nothing but null fits, nor is zod asked about that. */
  readonly #empty: boolean;

  /** Builds the gate of a schema. */
  constructor(schema: Schema) {
    this.schema = schema;
    const { type, checks = [] } = schema._zod.def;
    this.#open = checks.length === 0 && (type === "any" || type === "unknown");
    this.#empty = checks.length === 0 && type === "null";
  }

  /**
   * Decodes what came from outside.
   *
   * @returns What the schema makes of it.
   * @throws {RpcError} `invalid-argument`, naming the part that does not fit and what would.
   */
  take(body: EncodedBody): unknown {
    let value: BodyValue;
    try {
      value = decodeBody(body);
    } catch (error) {
      if (error instanceof BodyError) throw new RpcError("invalid-argument", boundedText(error.message));
      throw error;
    }
    return this.#open ? value : this.#checked(value, refusedInput);
  }

  /**
   * Encodes what a handler gives, as the schema makes it.
   *
   * @throws {TypeError} For a value that the schema refuses, or that is no body value.
   */
  give(value: unknown): EncodedBody {
    const checked = this.#open ? value : this.#checked(value, refusedByOwn);
    return encodeBody((checked === undefined ? null : checked) as BodyValue);
  }

  /**
   * Encodes what is kept as it was given: whoever takes it again is given what the schema makes of it.
   *
   * @throws {TypeError} As {@link give} does.
   */
  store(value: unknown): EncodedBody {
    if (!this.#open) this.#checked(value, refusedByOwn);
    return encodeBody((value === undefined ? null : value) as BodyValue);
  }

  #checked(value: unknown, refusal: (text: string) => Error): unknown {
    if (this.#empty && (value === null || value === undefined)) return null;
    const result = z.safeParse(this.schema, value);
    if (result.success) return result.data;
    if (value === null || value === undefined) {
      const other = z.safeParse(this.schema, value === null ? undefined : null);
      if (other.success) return other.data;
    }
    throw refusal(refusalText(result.error.issues));
  }
}

function refusedInput(text: string): Error {
  return new RpcError("invalid-argument", text);
}

function refusedByOwn(text: string): Error {
  return new TypeError(`a value of the service does not fit its own schema: ${text}`);
}

/** The gate of values that nothing is said about. */
export const ANYTHING: Gate = new Gate(z.unknown());

/** The gate of a schema; without one, that of `otherwise`. */
export function gateOf(schema: Schema | undefined, otherwise: Gate): Gate {
  return schema === undefined ? otherwise : new Gate(schema);
}

/** The gate where a method takes, or gives, nothing. */
export const NOTHING: Gate = new Gate(z.null());

/** Null, encoded. */
export const NULL_BODY: EncodedBody = encodeBody(null);
