/** Says what a schema has against a value, for whoever sent it. */

import type * as z from "zod";
import { boundedText } from "../protocol/rpc_error.ts";

/** More issues than these are counted only. */
const SHOWN = 3;

const IDENTIFIER = /^[A-Za-z_][A-Za-z0-9_]*$/;

/** Names each part that does not fit, and what is allowed there: `$.by: Invalid input: expected int, received string`. */
export function refusalText(issues: readonly z.core.$ZodIssue[]): string {
  const shown = issues.slice(0, SHOWN).map((issue) => `${pathText(issue.path)}: ${messageOf(issue)}`);
  const more = issues.length - shown.length;
  return boundedText(shown.join("; ") + (more > 0 ? `; and ${more} more` : ""));
}

/** Of a union the first issue of each of its alternatives: its own message names none. */
function messageOf(issue: z.core.$ZodIssue): string {
  if (issue.code !== "invalid_union" || issue.errors.length === 0) return issue.message;
  const alternatives = issue.errors.flatMap(([first]) =>
    first === undefined ? [] : [
      (first.path.length === 0 ? "" : `${pathText(first.path)}: `) + messageOf(first),
    ]
  );
  return alternatives.length === 0 ? issue.message : [...new Set(alternatives)].join(", or ");
}

/** A path in the way of `BodyError`: `$` is the whole, `$.name[2]` a part. */
function pathText(path: readonly PropertyKey[]): string {
  return path.reduce<string>((text, step) => {
    if (typeof step === "string") {
      return text + (IDENTIFIER.test(step) ? `.${step}` : `[${JSON.stringify(step)}]`);
    }
    return `${text}[${String(step)}]`;
  }, "$");
}
