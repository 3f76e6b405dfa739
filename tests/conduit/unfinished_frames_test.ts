import assert from "node:assert/strict";
import {
  FRAME_PATIENCE_MS,
  type FrameHolder,
  UnfinishedFrames,
  type UnfinishedLimits,
} from "../../src/conduit/unfinished_frames.ts";
import { GARBAGE_BYTES } from "../../src/system/litter.ts";
import { FakeClock } from "../support/fake_clock.ts";

function holders(limits: UnfinishedLimits) {
  const clock = new FakeClock();
  const events: string[] = [];
  const unfinished = new UnfinishedFrames(limits, clock, () => void events.push("garbage is collected"));
  const holder = (name: string): FrameHolder => ({
    pause: () => void events.push(`${name} waits`),
    resume: () => void events.push(`${name} goes on`),
    abandon: () => void events.push(`${name} is given up`),
  });
  const heard = () => events.splice(0);
  return { clock, unfinished, heard, a: holder("a"), b: holder("b"), c: holder("c") };
}

Deno.test("unfinished frames within the bound wait for nothing and need no timer", () => {
  const { clock, unfinished, heard, a, b } = holders({ wait: 100, most: 1_000_000 });
  unfinished.hold(a, 40, true);
  unfinished.hold(b, 60, true);
  unfinished.hold(a, 30, true);
  assert.deepEqual([heard(), unfinished.bytes, clock.pending], [[], 90, 0]);
  unfinished.hold(a, 0, true);
  unfinished.hold(b, 0, false);
  unfinished.hold(b, 0, false);
  assert.equal(unfinished.bytes, 0);
});

Deno.test("above the bound all but the first frame wait, and go on as soon as there is room", () => {
  const { clock, unfinished, heard, a, b, c } = holders({ wait: 100, most: 1_000_000 });
  unfinished.hold(a, 60, true);
  unfinished.hold(b, 60, true);
  unfinished.hold(c, 10, true);
  unfinished.hold(a, 80, false);
  assert.deepEqual(heard(), ["b waits", "c waits"]);
  unfinished.hold(a, 0, true);
  // b is now the first and must be able to end; what c may have read ahead still counts.
  assert.deepEqual(heard(), ["b goes on"]);
  unfinished.hold(b, 0, true);
  assert.deepEqual([heard(), clock.pending], [["c goes on"], 0]);
  unfinished.hold(c, 0, true);
  assert.deepEqual([unfinished.bytes, clock.pending], [0, 0]);
});

Deno.test("a frame that keeps others waiting is given up when it is too old, and no other with it", async () => {
  const { clock, unfinished, heard, a, b } = holders({ wait: 100, most: 1_000_000 });
  unfinished.hold(a, 60, true);
  await clock.advance(1_000);
  unfinished.hold(b, 60, true);
  await clock.advance(FRAME_PATIENCE_MS - 1_001);
  assert.deepEqual(heard(), ["b waits"]);
  await clock.advance(1);
  assert.deepEqual(heard(), ["a is given up", "b goes on"]);
  await clock.advance(10 * FRAME_PATIENCE_MS);
  assert.deepEqual([heard(), unfinished.bytes, clock.pending], [[], 60, 0]);
});

Deno.test("above the second bound the first frames are given up at once, and no more than must be", () => {
  const { unfinished, heard, a, b, c } = holders({ wait: 100, most: 300_000 });
  unfinished.hold(a, 90, true);
  unfinished.hold(b, 90, true);
  unfinished.hold(c, 90, true);
  assert.deepEqual(heard(), ["b waits", "c waits"]);
  unfinished.hold(c, 100_000, false);
  assert.deepEqual(heard(), ["a is given up", "b goes on"]);
});

Deno.test("garbage of unfinished frames is collected before it is much; honest frames never cause that", () => {
  const third = GARBAGE_BYTES / 3;
  const { unfinished, heard, a, b } = holders({ wait: 12 * third, most: 24 * third });
  for (let frame = 0; frame < 100; frame++) {
    for (let part = 1; part <= 3; part++) unfinished.hold(a, part * third, part === 1);
    unfinished.hold(a, 0, true);
  }
  assert.deepEqual(heard(), [], "frames that end");
  for (let line = 0; line < 7; line++) {
    unfinished.hold(a, third, true);
    unfinished.hold(a, 0, false);
  }
  assert.deepEqual(heard(), ["garbage is collected", "garbage is collected"], "lines that end in a frame");
  unfinished.hold(a, 7 * third, true);
  unfinished.hold(b, third, true);
  unfinished.hold(b, 2 * third, false);
  assert.deepEqual(heard(), ["garbage is collected"], "what comes while half of the room is taken");
  unfinished.hold(b, 6 * third, false);
  assert.deepEqual(heard(), ["garbage is collected", "b waits"]);
  unfinished.hold(b, 24 * third, false);
  assert.deepEqual(
    heard(),
    ["garbage is collected", "a is given up", "garbage is collected", "b goes on"],
    "a frame that is given up",
  );
});
