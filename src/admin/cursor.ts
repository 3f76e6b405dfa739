/** Where a listing goes on: opaque to whoever holds it, and good for the same question only. */

import { z } from "zod";
import { fromBase64Url } from "../protocol/base64url.ts";
import { hashOf } from "../system/hash.ts";
import { base64url } from "../system/random.ts";

/** A place in a listing: after this id in this node's memory, or after this key of the store. */
export type Place =
  | { readonly in: "memory"; readonly after: string }
  | { readonly in: "store"; readonly after: readonly string[] };

/** A cursor that this listing did not give, or gave for another question. */
export class InvalidCursor extends Error {
  override readonly name = "InvalidCursor";
}

const ID = z.string().min(1).max(128);
const CURSOR = z.tuple([z.string(), z.enum(["memory", "store"]), z.array(ID).max(2)]);

/** Names a place, for whoever asks `question` again. */
export function encodeCursor(question: string, place: Place): string {
  const after = place.in === "memory" ? [place.after] : place.after;
  return base64url(new TextEncoder().encode(JSON.stringify([digest(question), place.in, after])));
}

/**
 * Reads {@link encodeCursor}. What it names may be gone: a listing goes on after where it was.
 *
 * @throws {InvalidCursor}
 */
export function decodeCursor(question: string, cursor: string): Place {
  const bytes = fromBase64Url(cursor);
  const read = bytes === null ? undefined : CURSOR.safeParse(parsed(new TextDecoder().decode(bytes)));
  if (read?.success !== true) throw new InvalidCursor("the cursor is not one that this listing gave");
  const [asked, where, after] = read.data;
  if (asked !== digest(question)) {
    throw new InvalidCursor("the cursor belongs to a listing with other filters");
  }
  if (where === "store") return { in: "store", after };
  const [last] = after;
  if (last === undefined) throw new InvalidCursor("the cursor is not one that this listing gave");
  return { in: "memory", after: last };
}

function digest(question: string): string {
  return hashOf(question).slice(0, 12);
}

/** Undefined for what is no JSON. */
function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}
