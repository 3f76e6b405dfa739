/** Body values as the golden vectors spell them, so that no language's own idea of JSON comes in between. */

import type { BodyValue } from "../../src/protocol/body.ts";

/** A body value with its type said. */
export type TypedValue =
  | { readonly type: "nil" }
  | { readonly type: "boolean"; readonly value: boolean }
  /** Decimal. */
  | { readonly type: "integer"; readonly value: string }
  /** The 64 bits, hexadecimal. */
  | { readonly type: "float64"; readonly bits: string }
  | { readonly type: "string"; readonly value: string }
  | { readonly type: "bytes"; readonly hex: string }
  | { readonly type: "array"; readonly items: readonly TypedValue[] }
  | { readonly type: "map"; readonly entries: readonly (readonly [string, TypedValue])[] };

/** Spells a value out. */
export function typed(value: BodyValue): TypedValue {
  if (value === null) return { type: "nil" };
  switch (typeof value) {
    case "boolean":
      return { type: "boolean", value };
    case "bigint":
      return { type: "integer", value: String(value) };
    case "number":
      return Number.isSafeInteger(value)
        ? { type: "integer", value: String(value) }
        : { type: "float64", bits: hex(float64Bytes(value)) };
    case "string":
      return { type: "string", value };
  }
  if (value instanceof Uint8Array) return { type: "bytes", hex: hex(value) };
  if (Array.isArray(value)) return { type: "array", items: value.map(typed) };
  return { type: "map", entries: Object.entries(value).map(([key, entry]) => [key, typed(entry)]) };
}

/** Reads {@link typed}. */
export function untyped(value: TypedValue): BodyValue {
  switch (value.type) {
    case "nil":
      return null;
    case "boolean":
    case "string":
      return value.value;
    case "integer":
      return Number.isSafeInteger(Number(value.value)) ? Number(value.value) : BigInt(value.value);
    case "float64":
      return new DataView(bytes(value.bits).buffer).getFloat64(0);
    case "bytes":
      return bytes(value.hex);
    case "array":
      return value.items.map(untyped);
    case "map":
      return Object.fromEntries(value.entries.map(([key, entry]) => [key, untyped(entry)]));
    default:
      return value satisfies never;
  }
}

/** Lower-case hexadecimal. */
export function hex(data: Uint8Array): string {
  return Array.from(data, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** Reads {@link hex}; spaces are for people. */
export function bytes(text: string): Uint8Array<ArrayBuffer> {
  const digits = text.replaceAll(" ", "");
  if (!/^(?:[0-9a-f]{2})*$/.test(digits)) throw new TypeError(`not hexadecimal: ${text}`);
  return Uint8Array.from(
    { length: digits.length / 2 },
    (_, i) => parseInt(digits.slice(2 * i, 2 * i + 2), 16),
  );
}

function float64Bytes(value: number): Uint8Array {
  const data = new Uint8Array(8);
  // All NaNs are one value.
  new DataView(data.buffer).setFloat64(0, Number.isNaN(value) ? NaN : value);
  return data;
}
