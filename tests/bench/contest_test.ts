import assert from "node:assert/strict";
import { Conversation } from "../../bench/rivals/conversation.ts";
import { judgeContest } from "../../bench/rivals/contest_report.ts";
import { FULL_CONTEST } from "../../bench/rivals/contest_model.ts";
import { topFunctions } from "../../bench/rivals/profile.ts";
import { Fate, indexOf, textOf } from "../../bench/rivals/text.ts";

Deno.test("a message that never came stays outstanding, one that came again is doubled, one that came after a later one is late", () => {
  const fate = new Fate();
  for (const index of [0, 1, 1, 4, 2, 2]) fate.took(index);
  assert.deepEqual(
    { arrived: fate.arrived, doubled: fate.doubled, late: fate.late, highest: fate.highest },
    { arrived: 4, doubled: 2, late: 1, highest: 4 },
  );
});

Deno.test("a text tells its number, and a changed or foreign one is nobody's", () => {
  const text = textOf(17, 4_321);
  assert.equal(indexOf(17, text), 4_321);
  assert.equal(indexOf(1, text), null);
  assert.equal(indexOf(17, `${text.slice(0, -1)}!`), null);
  assert.equal(indexOf(17, text.slice(1)), null);
});

/** Answers as the test says. */
class Told extends Conversation {
  readonly delivered: string[] = [];

  override open = () => Promise.resolve();
  override cut() {}
  override resume = () => Promise.resolve(true);
  override close = () => Promise.resolve();
  answer(text: string) {
    this.took(text);
  }
  protected override deliver(texts: readonly string[]) {
    this.delivered.push(...texts);
  }
  protected override missed = () => Promise.resolve();
}

Deno.test("a conversation counts what is out, and fails on an echo of what it never sent", () => {
  const failures: string[] = [];
  const told = new Told({ url: "", number: 3, breaks: false }, {
    echoed() {},
    broke() {},
    failed: (error) => void failures.push(error.message),
  });
  told.send(3);
  for (const text of [told.delivered[0]!, told.delivered[0]!, told.delivered[2]!]) told.answer(text);
  assert.equal(told.outstanding, 1);
  assert.equal(told.fate.doubled, 1);
  assert.deepEqual(failures, []);
  told.answer(textOf(3, 3));
  told.answer(textOf(4, 0));
  assert.equal(failures.length, 2);
});

Deno.test("a target is judged by the median of the ratios within a round, and left out where one side is missing", () => {
  const pace = (perSecond: number) => ({ perSecond, p50: 1, p99: 1, serverCost: 1, generatorCost: 1 });
  const targets = judgeContest({
    extent: FULL_CONTEST,
    echo: {
      bare: [pace(10), pace(100), pace(10)],
      ephemeral: [pace(19), pace(300), pace(21)],
      durable: [pace(9), pace(90), pace(9)],
      "socket.io": [{ why: "it failed" }],
    },
  });
  assert.deepEqual(targets.map(({ name, measured, met }) => ({ name, measured, met })), [
    { name: "echoes/s: ephemeral to bare", measured: "2.10 ×", met: true },
    { name: "echoes/s: durable to bare", measured: "0.90 ×", met: false },
  ]);
});

Deno.test("a profile's shares are of the time that is not idle, after the start", () => {
  const frame = (functionName: string) => ({ functionName, url: "file:///x/src/a.ts", lineNumber: 1 });
  const profile = JSON.stringify({
    nodes: [
      { id: 1, callFrame: { ...frame("(idle)"), url: "" } },
      { id: 2, callFrame: frame("step") },
      { id: 3, callFrame: frame("join") },
    ],
    samples: [3, 1, 2, 3, 2],
    timeDeltas: [1_000, 5_000, 3_000, 2_000, 3_000],
  });
  assert.deepEqual(topFunctions(profile, 1.5, 2), [
    { where: "step src/a.ts:2", share: 0.75 },
    { where: "join src/a.ts:2", share: 0.25 },
  ]);
});
