import assert from "node:assert/strict";
import {
  detached,
  type History,
  KEPT_ENTRIES,
  newHistory,
  noted,
  opened,
  over,
  reloaded,
  resumed,
  spans,
} from "../../../routes/page/history_state.ts";

function kinds(history: History): string[] {
  return history.entries.map((entry) => entry.kind);
}

Deno.test("a break and a resume give three spans, and the time apart", () => {
  const history = newHistory();
  opened(history, 1_000);
  detached(history, 4_000, 1006, "cut");
  resumed(history, 4_500, 7);
  assert.deepEqual(spans(history, 0, 6_000), [
    { from: 1_000, to: 4_000, attached: true },
    { from: 4_000, to: 4_500, attached: false },
    { from: 4_500, to: 6_000, attached: true },
  ]);
  assert.deepEqual([history.resumes, history.replayed], [1, 7]);
  assert.deepEqual(history.entries.at(-1), { kind: "resumed", at: 4_500, replayed: 7, apart: 500 });
});

Deno.test("failed attempts to reconnect neither add entries nor move the beginning of the gap", () => {
  const history = newHistory();
  opened(history, 0);
  detached(history, 1_000, 1006, "cut");
  detached(history, 2_000, 1006, "no server");
  resumed(history, 3_000, 0);
  assert.deepEqual(kinds(history), ["opened", "detached", "resumed"]);
  assert.deepEqual(history.entries.at(-1), { kind: "resumed", at: 3_000, replayed: 0, apart: 2_000 });
});

Deno.test("a reload is a gap until the session is resumed", () => {
  const history = newHistory();
  opened(history, 0);
  reloaded(history, 5_000);
  resumed(history, 5_200, 3);
  assert.deepEqual(spans(history, 0, 6_000).map((span) => span.attached), [true, false, true]);
  assert.equal(history.attached, true);
});

Deno.test("after the end nothing is drawn, and notes change nothing", () => {
  const history = newHistory();
  opened(history, 0);
  noted(history, { kind: "cut", at: 500 });
  over(history, 1_000, "ended", "closed");
  assert.deepEqual(spans(history, 0, 9_000), [{ from: 0, to: 1_000, attached: true }]);
});

Deno.test("spans are cut to the times asked for", () => {
  const history = newHistory();
  opened(history, 0);
  detached(history, 10_000, 1006, "cut");
  assert.deepEqual(spans(history, 9_000, 9_500), [{ from: 9_000, to: 9_500, attached: true }]);
  assert.deepEqual(spans(history, 20_000, 20_000), []);
});

Deno.test("old entries fall out and the counts stay", () => {
  const history = newHistory();
  opened(history, 0);
  for (let i = 1; i <= KEPT_ENTRIES; i++) {
    detached(history, i * 10, 1006, "cut");
    resumed(history, i * 10 + 5, 2);
  }
  assert.equal(history.entries.length, KEPT_ENTRIES);
  assert.deepEqual([history.resumes, history.replayed], [KEPT_ENTRIES, 2 * KEPT_ENTRIES]);
});
