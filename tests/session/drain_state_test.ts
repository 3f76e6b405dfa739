import assert from "node:assert/strict";
import fc from "fast-check";
import { nextWave } from "../../src/session/drain_state.ts";

// @rule end.goaway
Deno.test("without a window everybody is asked at once, to move at once", () => {
  assert.deepEqual(nextWave({ window: 0, elapsed: 0, asked: 0, waiting: 7 }), {
    ask: 7,
    after: 0,
    over: true,
  });
});

// @rule end.goaway
Deno.test("few clients are spread over the window as many are", () => {
  const asked: number[] = [];
  for (let elapsed = 0; elapsed < 30_000; elapsed += 100) {
    const { ask } = nextWave({ window: 30_000, elapsed, asked: asked.length, waiting: 4 - asked.length });
    for (let i = 0; i < ask; i++) asked.push(elapsed);
  }
  assert.deepEqual(asked, [0, 6_000, 12_000, 18_000]);
});

// @rule end.goaway
Deno.test("whatever the window and however many, each is asked once, in time to move before it is over", () => {
  fc.assert(fc.property(
    fc.integer({ min: 0, max: 60_000 }),
    fc.integer({ min: 0, max: 2_000 }),
    fc.integer({ min: 1, max: 5_000 }),
    (window, total, look) => {
      let asked = 0;
      for (let elapsed = 0;; elapsed = Math.min(elapsed + look, window)) {
        const { ask, after, over } = nextWave({ window, elapsed, asked, waiting: total - asked });
        assert.ok(ask >= 0 && asked + ask <= total);
        assert.ok(after >= 0 && elapsed + after <= window);
        asked += ask;
        assert.equal(over, elapsed === window);
        if (over) break;
      }
      assert.equal(asked, total);
    },
  ));
});

// @rule end.goaway
Deno.test("of a thousand clients no tenth of the window sees many more than a tenth", () => {
  const perTenth: number[] = new Array(10).fill(0);
  let asked = 0;
  for (let elapsed = 0; elapsed < 10_000; elapsed += 100) {
    const { ask } = nextWave({ window: 10_000, elapsed, asked, waiting: 1_000 - asked });
    asked += ask;
    perTenth[Math.floor(elapsed / 1_000)]! += ask;
  }
  assert.equal(asked, 1_000);
  assert.ok(Math.max(...perTenth) <= 130, `${perTenth}`);
});
