/** Failures of calls: what handlers throw and callers catch, and its form on the wire (`docs/protocol.md`, Calls). */

import { BodyError, type BodyValue, checkBody, decodeBody, encodeBody } from "./body.ts";
import { withWriter } from "./byte_writer.ts";
import { DETAIL_CHARACTERS } from "./limits.ts";
import type { EncodedBody } from "./messages.ts";
import { isRpcCode, type RpcCode } from "./rpc_codes.ts";

/** What an {@link RpcError} may carry beside its code and message. */
export interface RpcErrorOptions {
  /** A value for programs: it crosses the wire, and nests at most 31 containers. */
  readonly data?: BodyValue;
  /** What led to it: stays in this process. */
  readonly cause?: unknown;
}

/** A call that failed: what a handler throws to answer with this failure, and what the caller's promise rejects with. */
export class RpcError extends Error {
  /** Which of the closed set of failures it is; `adviceFor` says whether to try again. */
  readonly code: RpcCode;
  /** A value for programs; undefined if there is none. */
  readonly data: BodyValue | undefined;

  /** Builds the error. @param message For people; the wire carries its first 512 characters. */
  constructor(code: RpcCode, message: string, options: RpcErrorOptions = {}) {
    super(message, "cause" in options ? { cause: options.cause } : undefined);
    this.name = "RpcError";
    this.code = code;
    this.data = options.data;
  }
}

/** A failure as it is passed on: `data` stays encoded. */
export interface EncodedFailure {
  /** Which of the closed set of failures it is. */
  readonly code: RpcCode;
  /** For people. */
  readonly message: string;
  /** A value for programs. */
  readonly data?: EncodedBody;
}

/** A text that the wire takes as `message` or `detail`: well-formed, and cut where it would be too long. */
export function boundedText(text: string): string {
  if (text.length <= DETAIL_CHARACTERS) return text.toWellFormed();
  return text.slice(0, DETAIL_CHARACTERS - 1).replace(/[\ud800-\udbff]$/, "").toWellFormed() + "…";
}

/**
 * What an error says on the wire.
 *
 * @throws {BodyError} For `data` that is no body value, or nests too deep to be a part of a failure.
 */
export function failureOf(error: RpcError): EncodedFailure {
  const failure = { code: error.code, message: boundedText(error.message) };
  if (error.data === undefined) return failure;
  const data = encodeBody(error.data);
  if (!fits(data)) throw new BodyError("$.data", "nested too deep to be a part of a failure");
  return { ...failure, data };
}

/** The error that a failure stands for. `data` that is no well-formed body is left out. */
export function errorOf(failure: EncodedFailure): RpcError {
  const { code, message, data } = failure;
  if (data === undefined || checkBody(data) !== undefined) return new RpcError(code, message);
  return new RpcError(code, message, { data: decodeBody(data) });
}

/** The body of a `response` that is not ok. `data` that would make it malformed is left out. */
export function encodeFailure({ code, message, data }: EncodedFailure): EncodedBody {
  const known = data !== undefined && fits(data) ? data : undefined;
  return withWriter((writer) => {
    writer.map(known === undefined ? 2 : 3);
    writer.string("code");
    writer.string(code);
    writer.string("message");
    writer.string(boundedText(message));
    if (known !== undefined) {
      writer.string("data");
      writer.raw(known);
    }
    return writer.copy();
  });
}

/**
 * Reads the body of a `response` that is not ok. Never throws: a code that only newer peers know is `internal`, with that
 * code named in the message, and so is a body that is no failure at all.
 */
export function decodeFailure(body: EncodedBody): RpcError {
  if (checkBody(body) !== undefined) return new RpcError("internal", "the peer's failure is malformed");
  const value = decodeBody(body);
  const { code, message, data } = isMap(value) ? value : {};
  if (typeof code !== "string" || typeof message !== "string") {
    return new RpcError("internal", "the peer's failure has no code and message");
  }
  const options = data === undefined ? {} : { data };
  if (!isRpcCode(code)) return new RpcError("internal", boundedText(`${code}: ${message}`), options);
  return new RpcError(code, boundedText(message), options);
}

function isMap(value: BodyValue): value is { readonly [key: string]: BodyValue } {
  return typeof value === "object" && value !== null && !Array.isArray(value) &&
    !(value instanceof Uint8Array);
}

/** True for a body that is still one, one container deeper: the array of one element around it is looked at. */
function fits(data: EncodedBody): boolean {
  const around = new Uint8Array(data.length + 1);
  around[0] = 0x91;
  around.set(data, 1);
  return checkBody(around) === undefined;
}
