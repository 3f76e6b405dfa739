import assert from "node:assert/strict";
import { Conversation } from "../../bench/rivals/conversation.ts";
import { CONTEST_BOUNDS } from "../../bench/rivals/bounds.ts";
import { CONTEST_PARTS, orderOf, whyNot } from "../../bench/rivals/contest.ts";
import { judgeContest, seenOf } from "../../bench/rivals/contest_judge.ts";
import { type Contest, FULL_CONTEST } from "../../bench/rivals/contest_model.ts";
import { contestReport } from "../../bench/rivals/contest_report.ts";
import { Crowd } from "../../bench/rivals/crowd.ts";
import { CONTENDERS } from "../../bench/rivals/jobs.ts";
import { boundOf } from "../../bench/missed.ts";
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

Deno.test("a profile's shares are of the time that is not idle, within the windows of the job", () => {
  const frame = (functionName: string) => ({ functionName, url: "file:///x/src/a.ts" });
  const profile = {
    nodes: [
      { id: 1, callFrame: { ...frame("(idle)"), url: "" } },
      { id: 2, callFrame: frame("step") },
      { id: 3, callFrame: frame("join") },
    ],
    samples: [3, 1, 2, 3, 2, 3],
    timeDeltas: [1_000, 5_000, 3_000, 2_000, 3_000, 4_000],
  };
  // The samples are at 101, 106, 109, 111, 114 and 118.
  assert.deepEqual(topFunctions({ began: 100, profile }, [[105, 112], [113, 115]], 2), [
    { where: "step src/a.ts", share: 0.75 },
    { where: "join src/a.ts", share: 0.25 },
  ]);
});

Deno.test("a system's own reason goes before that the time is over, and each system takes part in growth or has a reason", () => {
  const turn = { round: 0, over: true };
  assert.equal(whyNot({ ...turn, part: "growth", contender: "jetstream-publish" }), "it has no session");
  assert.match(whyNot({ ...turn, part: "growth", contender: "jetstream" }) ?? "", /time of the run was over/);
  assert.equal(whyNot({ ...turn, part: "growth", contender: "mosquitto-qos2", over: false }), undefined);
  for (const part of CONTEST_PARTS) {
    assert.deepEqual(orderOf(part, CONTENDERS).toSorted(), CONTENDERS.toSorted(), part);
  }
  assert.deepEqual(orderOf("growth", ["jetstream", "river", "durable"]), ["durable", "river", "jetstream"]);
});

Deno.test("sessions that cannot be opened in time are a reason that says how many were", async () => {
  const job = {
    kind: "growth",
    sessions: 3,
    inFlight: 1,
    within: 5,
    warmUp: 1,
    duration: 1,
    pid: 0,
  } as const;
  const silent = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const accepting = silent.accept();
  const { port } = silent.addr as Deno.NetAddr;
  const crowd = new Crowd({ contender: "bare", url: `http://127.0.0.1:${port}`, job });
  crowd.onBreak = () => {};
  await assert.rejects(crowd.open(1, 1, 5), /^Error: opened 0 of 1 sessions within 0\.005 s$/);
  (await accepting).close();
  silent.close();
  await assert.rejects(crowd.open(1, 1), /^Error: opened 0 of 1 sessions, not one more: /);
});

/** Everything is missed by far. */
const MISSED: Contest = (() => {
  const slow = { perSecond: 1, p50: 9, p99: 9, serverCost: 1, generatorCost: 1 };
  const late = { sessions: 1, p50: 900, p99: 900, all: 900, lost: 0, doubled: 0, late: 0, forgotten: 0 };
  const fast = { ...slow, perSecond: 1_000 };
  const soon = { ...late, p50: 9, all: 90 };
  return {
    extent: FULL_CONTEST,
    echo: {
      ...Object.fromEntries(CONTENDERS.map((name) => [name, [fast]])),
      ephemeral: [slow],
      durable: [slow],
    },
    break: {
      bare: [{ ...soon, opened: 1.5 }],
      ephemeral: [{ ...late, opened: 1.25, established: 2.5 }],
      durable: [late],
    },
    storm: { bare: [soon], ephemeral: [late], durable: [late] },
    weight: {
      bare: [{ attached: 1_024, heap: 512, external: 256, detached: 0 }],
      ephemeral: [{ attached: 4_096, heap: 3_072, external: 512, detached: -64 }],
      durable: [{ attached: 8_192, heap: 3_072, external: 512, detached: 0 }],
      "socket.io": [{ attached: 2_048, heap: 1_536, external: 0, detached: 0 }],
    },
  };
})();

Deno.test("each target of the contest that can be missed has an explanation", () => {
  const targets = judgeContest(MISSED);
  assert.equal(targets.length, 12);
  for (const target of targets) {
    assert.equal(target.met, false, target.name);
    assert.notEqual(boundOf(CONTEST_BOUNDS, target), undefined, target.name);
  }
});

Deno.test("a missed target about resident memory says what the sessions of the run weigh, and bare's, and socket.io's", () => {
  const target = judgeContest(MISSED).find(({ name }) =>
    name.startsWith("idle attached session, resident: eph")
  )!;
  const seen = seenOf(MISSED, target) ?? "";
  assert.match(seen, /bare Deno WebSocket 1\.00 resident, of it used heap 0\.50 and external 0\.25/);
  assert.match(
    seen,
    /ephemeral 4\.00 resident, of it used heap 3\.00 and external 0\.50; that is 3\.00 resident above bare/,
  );
  assert.match(seen, /socket\.io, on Node: 2\.00 resident/);
});

Deno.test("the tables of breaks have the ratios of p50 and of all, and the moments of those who can tell", () => {
  const text = contestReport(MISSED, new Map());
  const [head] = /\|.*p50 ×.*/.exec(text) ?? [""];
  assert.deepEqual(head.split("|").map((cell) => cell.trim()).slice(2, 7), [
    "p50",
    "p50 ×",
    "p99",
    "all",
    "all ×",
  ]);
  assert.match(text, /\| ephemeral \| +900 \| +100\.00 \| +900 \| +900 \| +10\.00 \|/);
  assert.match(text, /\| bare +\| +1\.50 \| +– \| +9\.00 \|\n\| ephemeral +\| +1\.25 \| +2\.50 \| +900 \|$/m);
  assert.match(text, /below zero is a small one/);
});
