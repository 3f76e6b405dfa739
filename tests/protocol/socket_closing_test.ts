import assert from "node:assert/strict";
import fc from "fast-check";
import { closingDetail, fitsClose, readClosing } from "../../src/protocol/socket_closing.ts";

Deno.test("a close code and reason are read as they were written, whatever the reason holds", () => {
  const reason = fc.string({ unit: "binary", maxLength: 123 }).filter(fitsClose);
  fc.assert(fc.property(fc.integer({ min: 3_000, max: 4_999 }), reason, (code, reason) => {
    assert.deepEqual(readClosing(closingDetail({ code, reason })), { code, reason });
  }));
  assert.equal(closingDetail({ code: 1005, reason: "" }), "1005");
  assert.deepEqual(readClosing("1006"), { code: 1006, reason: "" });
  assert.deepEqual(readClosing("4001  two\nlines "), { code: 4001, reason: " two\nlines " });
});

Deno.test("what is no close code with a reason that fits is not read", () => {
  for (
    const detail of [
      "",
      "1000 ",
      "999",
      "5000",
      "10000",
      "1e3",
      " 1000",
      "1000x",
      "1005 why",
      "1006 why",
      `4000 ${"x".repeat(124)}`,
      `4000 ${"é".repeat(62)}`,
      "4000 \ud800",
    ]
  ) {
    assert.equal(readClosing(detail), null, JSON.stringify(detail));
  }
  assert.notEqual(readClosing(`4000 ${"é".repeat(61)}`), null);
});
