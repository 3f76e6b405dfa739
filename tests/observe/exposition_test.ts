import assert from "node:assert/strict";
import { CountByName, CountedMetrics, Histogram } from "../../src/observe/counted_metrics.ts";
import { Exposition } from "../../src/observe/exposition.ts";
import { describeNode, type NodeLevels } from "../../src/observe/node_metrics.ts";
import { parseExposition, valueOf } from "../support/exposition_parser.ts";

const LEVELS: NodeLevels = {
  attached: 3,
  detached: 2,
  conduits: 4,
  draining: true,
  operators: 1,
  work: 3,
  heldBytes: 500,
  operations: 1,
  upstreamSockets: 2,
  remotes: { connections: 3, sessions: 1 },
  outboxBytes: 77,
  commits: { atomics: 9, writes: 8, mutations: 7, conflicts: 6, unknown: 5 },
};
const PROCESS = { resident: 1_000, heap: 500, startedAt: 1_500 };

Deno.test("a page with every kind of metric is what a scraper reads", () => {
  const page = new Exposition();
  page.counter("things_total", "Things.", 3);
  page.counters("seen_total", "Seen.", "what", [['a "b"\\\n', 1], ["c", 2.5]]);
  page.gauge("level", "A level, with \\ and\na second line.", -1);
  const histogram = new Histogram([1, 5]);
  for (const value of [1, 2, 5, 6]) histogram.observe(value);
  page.histogram("took_seconds", "Took.", histogram, 0.001);
  const families = parseExposition(page.text);
  assert.equal(valueOf(families, "things_total"), 3);
  assert.equal(valueOf(families, "seen_total", { what: 'a "b"\\\n' }), 1);
  assert.equal(valueOf(families, "level"), -1);
  assert.equal(valueOf(families, "took_seconds_bucket", { le: "0.001" }), 1);
  assert.equal(valueOf(families, "took_seconds_bucket", { le: "0.005" }), 3);
  assert.equal(valueOf(families, "took_seconds_bucket", { le: "+Inf" }), 4);
  assert.equal(valueOf(families, "took_seconds_sum"), 0.014);
});

Deno.test("the page of a node that did nothing yet, and of one that did everything, is what a scraper reads", () => {
  const counted = new CountedMetrics();
  const names = [...parseExposition(describeNode(counted, LEVELS, PROCESS)).keys()];
  counted.frameIn(10);
  counted.frameOut(20);
  counted.moved(3, 2, 1);
  counted.sent(4);
  counted.windowFull();
  counted.established(false, 0);
  counted.established(true, 12);
  counted.caughtUp(1_234);
  counted.upgradeRefused(403);
  counted.refused("stale-token");
  counted.ended("superseded");
  counted.protocolError("delivery.gap");
  counted.tokenTheftSuspected();
  counted.committed(20_000, 99_999);
  counted.swept(2_500);
  counted.sweepFailed();
  counted.called("demo", "add", "ok", 3);
  const families = parseExposition(describeNode(counted, LEVELS, PROCESS));
  assert.deepEqual([...families.keys()], names);
  for (
    const [name, labels, value] of [
      ["holdfast_sessions", { state: "attached" }, 3],
      ["holdfast_sessions", { state: "detached" }, 2],
      ["holdfast_conduits", {}, 4],
      ["holdfast_draining", {}, 1],
      ["holdfast_frames_total", { direction: "in" }, 1],
      ["holdfast_frame_bytes_total", { direction: "out" }, 20],
      ["holdfast_messages_total", { direction: "in" }, 3],
      ["holdfast_messages_total", { direction: "out" }, 4],
      ["holdfast_messages_deduplicated_total", {}, 2],
      ["holdfast_messages_acked_total", {}, 1],
      ["holdfast_messages_replayed_total", {}, 12],
      ["holdfast_window_waits_total", {}, 1],
      ["holdfast_established_total", { kind: "new" }, 1],
      ["holdfast_established_total", { kind: "resumed" }, 1],
      ["holdfast_resume_caught_up_seconds_sum", {}, 1.234],
      ["holdfast_upgrades_refused_total", { status: "403" }, 1],
      ["holdfast_refused_total", { reason: "stale-token" }, 1],
      ["holdfast_ended_total", { reason: "superseded" }, 1],
      ["holdfast_protocol_errors_total", { rule: "delivery.gap" }, 1],
      ["holdfast_token_theft_suspected_total", {}, 1],
      ["holdfast_commit_seconds_count", {}, 1],
      ["holdfast_commit_sessions_bucket", { le: "+Inf" }, 1],
      ["holdfast_commit_attempts_total", {}, 9],
      ["holdfast_commit_unanswered_total", {}, 5],
      ["holdfast_sweeps_total", {}, 1],
      ["holdfast_sweep_failures_total", {}, 1],
      ["holdfast_sweeper_lag_seconds", {}, 2.5],
      ["holdfast_outbox_bytes", {}, 77],
      ["process_start_time_seconds", {}, 1.5],
    ] as const
  ) assert.equal(valueOf(families, name, labels), value, name);
});

Deno.test("a count by name begins at 0 for the names given, and takes others", () => {
  const count = new CountByName<"a" | "b">(["a"]);
  count.add("b");
  count.add("b");
  assert.deepEqual([...count.counts], [["a", 0], ["b", 2]]);
});

Deno.test("the reader refuses what a scraper would, or a person", () => {
  const head = (name: string, type: string) => `# HELP ${name} Text.\n# TYPE ${name} ${type}\n`;
  const wrong = [
    `${head("a_total", "counter")}a_total 1`,
    `${head("a", "counter")}a 1\n`,
    `${head("a_total", "gauge")}a_total 1\n`,
    `${head("a_total", "counter")}a_total -1\n`,
    `${head("a_total", "counter")}a_total one\n`,
    `${head("a_total", "counter")}a_total 1\na_total 2\n`,
    `${head("a_total", "counter")}b_total 1\n`,
    `${head("a_total", "counter")}a_total{} 1\n`,
    `${head("a_total", "counter")}a_total{x="1",} 1\n`,
    `${head("a_total", "counter")}a_total{x="1",x="2"} 1\n`,
    `${head("a_total", "counter")}a_total{x="\\t"} 1\n`,
    `${head("a_total", "counter")}a_total 1\n${head("a_total", "counter")}`,
    `${head("a", "summary")}a 1\n`,
    `${head("a_ms", "gauge")}a_ms 1\n`,
    "a_total 1\n",
    "# TYPE a_total counter\na_total 1\n",
    "# HELP a_total Text.\n",
    `${head("a", "histogram")}a_bucket{le="1"} 1\na_sum 1\na_count 1\n`,
    `${head("a", "histogram")}a_bucket{le="1"} 2\na_bucket{le="+Inf"} 1\na_sum 1\na_count 1\n`,
    `${
      head("a", "histogram")
    }a_bucket{le="2"} 1\na_bucket{le="1"} 1\na_bucket{le="+Inf"} 1\na_sum 1\na_count 1\n`,
    `${head("a", "histogram")}a_bucket{le="+Inf"} 1\na_sum 1\na_count 2\n`,
    `${head("a", "histogram")}a_bucket{le="+Inf"} 1\na_count 1\n`,
  ];
  for (const text of wrong) assert.throws(() => parseExposition(text), Error, text);
});
