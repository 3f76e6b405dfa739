/** Reads the parts of a stored state; each names what it did not find. */

import { fromBase64Url } from "../protocol/base64url.ts";
import type { Metadata } from "../protocol/messages.ts";

/** The fields of an object. */
export type Fields = { readonly [name: string]: unknown };

export function record(value: unknown, name: string): Fields {
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw damaged(name);
  return value as Fields;
}

export function list(value: unknown, name: string): readonly unknown[] {
  if (!Array.isArray(value)) throw damaged(name);
  return value;
}

export function string(value: unknown, name: string): string {
  if (typeof value !== "string") throw damaged(name);
  return value;
}

export function boolean(value: unknown, name: string): boolean {
  if (typeof value !== "boolean") throw damaged(name);
  return value;
}

export function count(value: unknown, name: string): number {
  if (typeof value !== "number" || !Number.isSafeInteger(value) || value < 0) throw damaged(name);
  return value;
}

/** A time: milliseconds since the Unix epoch. */
export function time(value: unknown, name: string): number {
  if (typeof value !== "number" || !Number.isFinite(value) || value < 0) throw damaged(name);
  return value;
}

/** One of a few words. */
export function oneOf<Word extends string>(value: unknown, words: readonly Word[], name: string): Word {
  const found = words.find((word) => word === value);
  if (found === undefined) throw damaged(name);
  return found;
}

export function bytes(value: unknown, name: string): Uint8Array {
  const decoded = fromBase64Url(string(value, name));
  if (decoded === null) throw damaged(name);
  return decoded;
}

export function metadata(value: unknown, name: string): Metadata {
  const entries = Object.entries(record(value, name));
  return Object.fromEntries(entries.map(([key, entry]) => [key, string(entry, name)]));
}

/** Null stays null; anything else is read. */
export function optional<T>(
  value: unknown,
  read: (value: unknown, name: string) => T,
  name: string,
): T | null {
  return value === null ? null : read(value, name);
}

export function damaged(name: string): Error {
  return new Error(`stored state: ${name} is damaged`);
}
