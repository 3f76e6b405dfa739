import assert from "node:assert/strict";
import { gracefulStop } from "../src/graceful_stop.ts";
import { FakeClock } from "./support/fake_clock.ts";
import { TestLog } from "./support/test_log.ts";

Deno.test("a stop runs its steps in order and leaves no timer", async () => {
  const clock = new FakeClock();
  const log = new TestLog();
  const done: string[] = [];
  const clean = await gracefulStop(
    [
      { name: "drain", run: () => Promise.resolve().then(() => void done.push("drain")), within: 100 },
      { name: "store", run: () => void done.push("store"), within: 100 },
    ],
    clock,
    log,
  );
  assert.equal(clean, true);
  assert.deepEqual(done, ["drain", "store"]);
  assert.equal(clock.pending, 0);
  log.verify();
});

Deno.test("a step that hangs, throws or rejects is logged, and the stop goes on within its time", async () => {
  const clock = new FakeClock();
  const log = new TestLog();
  let last = false;
  const stopped = gracefulStop(
    [
      { name: "hangs", run: () => new Promise(() => {}), within: 3_000 },
      {
        name: "throws",
        run: () => {
          throw new Error("sync");
        },
        within: 100,
      },
      { name: "rejects", run: () => Promise.reject(new Error("async")), within: 100 },
      { name: "last", run: () => void (last = true), within: 100 },
    ],
    clock,
    log,
  );
  await clock.advance(3_000);
  assert.equal(await stopped, false);
  assert.equal(last, true);
  assert.deepEqual(log.of("stop_step_failed").map(({ fields }) => fields["step"]), [
    "hangs",
    "throws",
    "rejects",
  ]);
  log.expectError("stop_step_failed");
  log.verify();
  assert.equal(clock.pending, 0);
});

Deno.test("others that are slow are no error of this process; a step of theirs that throws is", async () => {
  const clock = new FakeClock();
  const log = new TestLog();
  const waitsForOthers = true;
  const stopped = gracefulStop(
    [
      { name: "hangs", run: () => new Promise(() => {}), within: 1_000, waitsForOthers },
      { name: "rejects", run: () => Promise.reject(new Error("async")), within: 100, waitsForOthers },
    ],
    clock,
    log,
  );
  await clock.advance(1_000);
  assert.equal(await stopped, false);
  assert.deepEqual(log.of("stop_step_failed").map(({ level, fields }) => [level, fields["step"]]), [
    ["warn", "hangs"],
    ["error", "rejects"],
  ]);
  log.expectError("stop_step_failed");
  log.verify();
});
