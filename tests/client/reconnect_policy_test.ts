import assert from "node:assert/strict";
import * as fc from "fast-check";
import { exponentialBackoff } from "../../src/client/reconnect_policy.ts";

const policy = exponentialBackoff();

Deno.test("the ceiling doubles with each attempt up to the longest delay, and stays there", () => {
  const ceilings = [0, 1, 2, 5, 6, 7, 1000].map((attempt) =>
    policy({ attempt, fraction: 0.999999, retryAfter: null })
  );
  assert.deepEqual(ceilings, [500, 1000, 2000, 16_000, 30_000, 30_000, 30_000]);
});

Deno.test("full jitter: delays spread from the least to the ceiling", () => {
  const delays = [0, 0.25, 0.5, 0.75].map((fraction) => policy({ attempt: 3, fraction, retryAfter: null }));
  assert.deepEqual(delays, [100, 1075, 2050, 3025]);
});

Deno.test("retryAfter is a floor, with the jitter on top", () => {
  assert.equal(policy({ attempt: 0, fraction: 0, retryAfter: 5000 }), 5000);
  assert.equal(policy({ attempt: 0, fraction: 0.5, retryAfter: 5000 }), 5250);
  assert.equal(policy({ attempt: 0, fraction: 0, retryAfter: 0 }), 100);
});

Deno.test("whatever is asked, no delay is shorter than the least or than retryAfter", () => {
  const question = fc.record({
    attempt: fc.nat(),
    fraction: fc.double({ min: 0, max: 0.9999999, noNaN: true }),
    retryAfter: fc.option(fc.nat(86_400_000)),
  });
  fc.assert(fc.property(question, (asked) => {
    const delay = policy(asked);
    assert.ok(delay !== null && delay >= 100 && delay >= (asked.retryAfter ?? 0));
    assert.ok(delay <= 30_000 + Math.max(100, asked.retryAfter ?? 0));
  }));
});

Deno.test("settings that allow a storm are refused", () => {
  assert.throws(() => exponentialBackoff({ least: 0 }), /1 ≤ least ≤ first ≤ most, not least 0/);
  assert.throws(() => exponentialBackoff({ first: 50 }), RangeError);
  assert.throws(() => exponentialBackoff({ most: NaN }), RangeError);
});
