/** Body values by chance, for property tests. */

import fc from "fast-check";
import type { BodyValue } from "../../src/protocol/body.ts";

/** Any body value. */
export const bodyValue: fc.Arbitrary<BodyValue> = fc.letrec<{ value: BodyValue }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 5, depthSize: "small" },
    fc.constantFrom<BodyValue>(null, true, false, NaN, Infinity, -Infinity),
    fc.integer(),
    fc.maxSafeInteger(),
    fc.double(),
    fc.bigInt(-(2n ** 63n), 2n ** 64n - 1n),
    fc.string({ unit: "binary" }),
    fc.string({ unit: "grapheme", maxLength: 300 }),
    fc.uint8Array(),
    fc.array(tie("value")),
    fc.dictionary(
      fc.oneof(fc.string({ unit: "binary" }), fc.constantFrom("$", "$bin", "$$int", "$float")),
      tie("value"),
    )
      .map((map) => Object.fromEntries(Object.entries(map).filter(([key]) => key !== "__proto__"))),
  ),
})).value;

/** What a value is after a journey: small `bigint`s are integers, −0 is 0. */
export function normal(value: BodyValue): BodyValue {
  if (typeof value === "bigint") return Number.isSafeInteger(Number(value)) ? Number(value) : value;
  if (typeof value === "number") return value + 0;
  if (typeof value !== "object" || value === null || value instanceof Uint8Array) return value;
  if (Array.isArray(value)) return value.map(normal);
  return Object.fromEntries(Object.entries(value).map(([key, entry]) => [key, normal(entry)]));
}
