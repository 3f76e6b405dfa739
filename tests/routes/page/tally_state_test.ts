import assert from "node:assert/strict";
import fc from "fast-check";
import {
  inFlight,
  isFlawless,
  KEPT_GAPS,
  lost,
  newTally,
  tallyEcho,
  tallySent,
} from "../../../routes/page/tally_state.ts";

function tallyOf(sent: number, echoes: readonly unknown[]) {
  const tally = newTally();
  for (let i = 0; i < sent; i++) tallySent(tally);
  for (const echo of echoes) tallyEcho(tally, echo);
  return tally;
}

Deno.test("messages that come back once and in order leave a flawless tally", () => {
  const tally = tallyOf(3, [1, 2, 3]);
  assert.deepEqual([tally.sent, tally.echoed, inFlight(tally), lost(tally)], [3, 3, 0, 0]);
  assert.equal(isFlawless(tally), true);
});

Deno.test("a message that did not come back yet is in flight, not lost", () => {
  const tally = tallyOf(3, [1]);
  assert.deepEqual([inFlight(tally), lost(tally)], [2, 0]);
});

Deno.test("a number that is skipped is lost as soon as a later one comes back", () => {
  const tally = tallyOf(5, [1, 4]);
  assert.deepEqual([tally.echoed, lost(tally), inFlight(tally)], [2, 2, 1]);
  assert.equal(isFlawless(tally), false);
});

Deno.test("a lost number that comes late is out of order and no longer lost", () => {
  const tally = tallyOf(5, [1, 5, 3]);
  assert.deepEqual([lost(tally), tally.outOfOrder, tally.doubled, tally.echoed], [2, 1, 0, 3]);
  assert.deepEqual(tally.gaps, [{ first: 2, last: 2 }, { first: 4, last: 4 }]);
});

Deno.test("a number that comes again is doubled, also when it first came late", () => {
  const tally = tallyOf(3, [1, 1, 3, 2, 2]);
  assert.deepEqual([tally.doubled, tally.outOfOrder, lost(tally), tally.echoed], [2, 1, 0, 3]);
});

Deno.test("an echo of something that was never sent is counted by itself", () => {
  const tally = tallyOf(1, [2, 0, -1, 1.5, "1", null]);
  assert.deepEqual([tally.unknown, tally.echoed, lost(tally)], [6, 0, 0]);
  assert.equal(isFlawless(tally), false);
});

Deno.test("whatever comes back, each number sent is echoed once, lost or in flight", () => {
  fc.assert(fc.property(fc.array(fc.integer({ min: 1, max: 12 }), { maxLength: 40 }), (echoes) => {
    const tally = tallyOf(12, echoes);
    assert.equal(tally.echoed + lost(tally) + inFlight(tally), 12);
    assert.equal(tally.echoed, new Set(echoes).size);
    assert.equal(tally.doubled, echoes.length - new Set(echoes).size);
  }));
});

Deno.test("a tally goes through JSON unchanged and counts on", () => {
  const tally = JSON.parse(JSON.stringify(tallyOf(3, [1, 3])));
  tallyEcho(tally, 2);
  assert.deepEqual([lost(tally), tally.outOfOrder], [0, 1]);
});

Deno.test("a tally stays small, however many gaps there are, and forgets none of the lost", () => {
  const echoes = Array.from({ length: 3 * KEPT_GAPS }, (_, i) => 2 * i + 2);
  const tally = tallyOf(6 * KEPT_GAPS, echoes);
  assert.equal(tally.gaps.length, KEPT_GAPS);
  assert.equal(lost(tally), 3 * KEPT_GAPS);
  tallyEcho(tally, 1);
  assert.equal(tally.doubled, 1, "a number that comes this late is a flaw all the same");
});
