/** Writes encoded messages, MessagePack, as JSON text. */

import { layoutOfTag } from "./layout.ts";
import { declaredLength, lengthBytes, readCount } from "./scan.ts";
import type { BodyValue } from "./body.ts";
import { toBase64Url } from "./base64url.ts";
import { ValueReader } from "./value.ts";

/**
 * The JSON text of one encoded message.
 *
 * @param encoded What `encodeConduit` or `encodeSession` gave; its body is what `frame.body` allows.
 * @throws {Error} If it is no message of this version.
 */
export function jsonMessage(encoded: Uint8Array): string {
  const head = encoded[0]!;
  const reader = new ValueReader(encoded, 1 + lengthBytes(head));
  const layout = layoutOfTag(readCount(encoded, 1 + lengthBytes(head), encoded.length));
  if (layout === undefined) throw new Error("not an encoded message of this version");
  reader.next();
  let text = `["${layout.kind}"`;
  const count = declaredLength(encoded, 0, head) - 1;
  for (let i = 0; i < count; i++) {
    if (i !== layout.body) {
      text += `,${JSON.stringify(reader.next())}`;
      continue;
    }
    const body = reader.binary();
    if (body === null) throw new Error(`the body of an encoded ${layout.kind} is not binary`);
    text += `,${jsonBody(new ValueReader(encoded, body.from).next())}`;
  }
  return `${text}]`;
}

/** The JSON text of a body value, with the escapes of `frame.body`. */
export function jsonBody(value: BodyValue): string {
  switch (typeof value) {
    case "string":
      return JSON.stringify(value);
    case "number":
      return jsonNumber(value);
    case "bigint":
      return Number.isSafeInteger(Number(value)) ? String(value) : `{"$int":"${value}"}`;
    case "boolean":
      return value ? "true" : "false";
    default:
      if (value === null) return "null";
      if (value instanceof Uint8Array) return `{"$bin":"${toBase64Url(value)}"}`;
      return Array.isArray(value) ? `[${value.map(jsonBody).join()}]` : jsonObject(value as JsonObject);
  }
}

type JsonObject = { readonly [key: string]: BodyValue };

function jsonObject(object: JsonObject): string {
  const keys = Object.keys(object);
  const escape = keys.length === 1 && keys[0]!.startsWith("$") ? "$" : "";
  return `{${keys.map((key) => `${JSON.stringify(escape + key)}:${jsonBody(object[key]!)}`).join()}}`;
}

function jsonNumber(value: number): string {
  if (!Number.isFinite(value)) return `{"$float":"${value}"}`;
  // An exponent tells readers that have integers of their own that this is none.
  return Number.isInteger(value) && !Number.isSafeInteger(value) ? value.toExponential() : String(value);
}
