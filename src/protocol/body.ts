/** Bodies: the values that applications exchange, and the rule for them, `frame.body`. */

import { type ByteWriter, withWriter } from "./byte_writer.ts";
import { MAX_DEPTH } from "./limits.ts";
import type { EncodedBody } from "./messages.ts";
import { describe, walk } from "./scan.ts";
import { isUtf8 } from "./utf8.ts";
import { readValue } from "./value.ts";

/**
 * What a body can hold. Integers beyond ±(2^53 − 1) are `bigint`, all others `number`; a `number` beyond that range is a
 * float64, and is another value than the `bigint` of the same size.
 */
export type BodyValue =
  | null
  | boolean
  | number
  | bigint
  | string
  | Uint8Array
  | readonly BodyValue[]
  | { readonly [key: string]: BodyValue };

/** A value, or encoded bytes, that are no body. */
export class BodyError extends TypeError {
  /** Where in the value: `$` is the whole, `$.name[2]` a part. */
  readonly path: string;

  /** Builds the error: where, and what is wrong there. */
  constructor(path: string, problem: string) {
    super(`${path}: ${problem} (frame.body)`);
    this.name = "BodyError";
    this.path = path;
  }
}

/**
 * Encodes a value in its shortest form.
 *
 * An integral `number` within ±(2^53 − 1) is an integer, −0 is 0, and so is a `bigint` in that range.
 *
 * @throws {BodyError} Naming the part that has no form: `undefined`, a function, a symbol, an object that is neither plain
 * nor an array nor a `Uint8Array`, a lone surrogate, the key `__proto__`, a `bigint` beyond 64 bits, more than 32 levels.
 */
export function encodeBody(value: BodyValue): EncodedBody {
  return withWriter((writer) => {
    writeValue(writer, value, []);
    return writer.copy();
  });
}

/**
 * Decodes a body. Nothing in the result shares memory with `body`.
 *
 * @throws {BodyError} If it is not one well-formed value.
 */
export function decodeBody(body: EncodedBody): BodyValue {
  const problem = checkBody(body);
  if (problem !== undefined) throw new BodyError("$", problem);
  return readValue(body);
}

/**
 * Says what is wrong with an encoded body, or undefined: one value, well-formed, without trailing bytes, as
 * `frame.body` demands. Builds no values.
 */
export function checkBody(body: EncodedBody): string | undefined {
  return checkBodyAt(body, 0, body.length);
}

/** {@link checkBody} for the bytes `from … to` of a frame. */
export function checkBodyAt(bytes: Uint8Array, from: number, to: number): string | undefined {
  if (from >= to) return "empty: a body is one value";
  const head = bytes[from]!;
  // Short strings and binaries are what most bodies are.
  if (head >= 0xa0 && head < 0xc0 && from + 1 + (head & 0x1f) === to) {
    return isUtf8(bytes, from + 1, to) ? undefined : "a string is not valid UTF-8";
  }
  if (to - from >= 2 && from + 2 + bytes[from + 1]! === to) {
    if (head === 0xd9) return isUtf8(bytes, from + 2, to) ? undefined : "a string is not valid UTF-8";
    if (head === 0xc4) return undefined;
  }
  const end = walk(bytes, from, to);
  if (end < 0) return describe(end);
  return end === to ? undefined : `${to - end} bytes after the value`;
}

type Path = (string | number)[];

function writeValue(writer: ByteWriter, value: unknown, path: Path): void {
  switch (typeof value) {
    case "string":
      if (!writer.string(value)) throw failed(path, "a string with a lone surrogate");
      return;
    case "number":
      if (Number.isSafeInteger(value)) writer.integer(value);
      else writer.float64(value);
      return;
    case "boolean":
      return writer.boolean(value);
    case "bigint":
      if (value < -(2n ** 63n) || value >= 2n ** 64n) throw failed(path, `${value} does not fit 64 bits`);
      return writer.bigint(value);
    case "object":
      if (value === null) return writer.nil();
      return writeObject(writer, value, path);
    case "undefined":
    case "function":
    case "symbol":
      throw failed(path, `${typeof value} has no encoding; take null, or leave it out`);
    default:
      throw failed(path, `${typeof value} has no encoding`);
  }
}

function writeObject(writer: ByteWriter, value: object, path: Path): void {
  if (value instanceof Uint8Array) return writer.binary(value);
  if (path.length === MAX_DEPTH) {
    throw failed(path, `nested deeper than ${MAX_DEPTH} containers, or in itself`);
  }
  if (Array.isArray(value)) {
    writer.array(value.length);
    for (let i = 0; i < value.length; i++) {
      path.push(i);
      writeValue(writer, value[i], path);
      path.pop();
    }
    return;
  }
  if (!isPlain(value)) {
    const name = Object.getPrototypeOf(value)?.constructor?.name ?? "object";
    throw failed(path, `a ${name} has no encoding; take a plain object, an array or a Uint8Array`);
  }
  if (Object.getOwnPropertySymbols(value).length > 0) throw failed(path, "a symbol as a key has no encoding");
  const entries = Object.entries(value);
  writer.map(entries.length);
  for (const [key, entry] of entries) {
    path.push(key);
    if (key === "__proto__") throw failed(path, 'the key "__proto__" is not taken');
    if (!writer.string(key)) throw failed(path, "a key with a lone surrogate");
    writeValue(writer, entry, path);
    path.pop();
  }
}

/** True for what `{}` and `Object.create(null)` make, in any realm. */
function isPlain(value: object): boolean {
  const prototype = Object.getPrototypeOf(value);
  return prototype === null ||
    Object.getPrototypeOf(prototype) === null && Object.hasOwn(prototype, "hasOwnProperty");
}

const IDENTIFIER = /^[A-Za-z_][A-Za-z0-9_]*$/;

function failed(path: Path, problem: string): BodyError {
  let text = "$";
  for (const step of path) {
    if (typeof step === "string" && IDENTIFIER.test(step)) text += `.${step}`;
    else text += `[${JSON.stringify(step)}]`;
  }
  return new BodyError(text, problem);
}
