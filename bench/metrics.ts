/**
 * What counting costs: `deno run -A bench/metrics.ts`.
 *
 * The page with 10,000 sessions in memory (wanted: at most 10 ms), and an echo with everything counted beside one with
 * nothing counted, in one process over memory conduits, so that nothing but the session layer is measured.
 */

import { cpuUsage } from "node:process";
import { CountedMetrics } from "../src/observe/counted_metrics.ts";
import { type Metrics, NO_METRICS } from "../src/observe/metrics.ts";
import { describeNode } from "../src/observe/node_metrics.ts";
import { encodeBody } from "../src/protocol/body.ts";
import { levelsOf } from "../src/session/node_levels.ts";
import { settle } from "../tests/support/fake_clock.ts";
import { TestClient } from "../tests/support/raw_peer.ts";
import { TestNode } from "../tests/support/test_node.ts";

const SESSIONS = 10_000;
const PAGES = 200;
const ROUNDS = 15;
const TURNS = 200;
const PER_TURN = 100;
const BODY = encodeBody("x".repeat(100));

function median(values: number[]): number {
  return values.sort((a, b) => a - b)[Math.floor(values.length / 2)]!;
}

async function page(): Promise<void> {
  const metrics = new CountedMetrics();
  const node = new TestNode({ metrics });
  for (let n = 0; n < SESSIONS; n++) {
    const client = new TestClient({ durability: "ephemeral" });
    client.acks = n % 2 === 0;
    client.dial(node);
    if (n % 500 === 0) await settle();
  }
  await settle();
  const process = { resident: 1, heap: 1, startedAt: 1 };
  const took: number[] = [];
  let text = "";
  for (let n = 0; n < PAGES; n++) {
    const begun = performance.now();
    text = describeNode(metrics, levelsOf(node.registry), process);
    took.push(performance.now() - begun);
  }
  const [longest] = [...took].sort((a, b) => b - a);
  console.log(
    `/metrics with ${node.registry.size} sessions: median ${median(took).toFixed(2)} ms, longest ${
      longest!.toFixed(2)
    } ms, ${text.length} bytes`,
  );
}

/** What the process computed so far, microseconds: what else the machine does, counts less. */
function computed(): number {
  const { user, system } = cpuUsage();
  return user + system;
}

/** Nanoseconds that one echoed message took to compute. */
async function echo(metrics: Metrics): Promise<() => Promise<number>> {
  const node = new TestNode({ metrics });
  const client = new TestClient({ durability: "ephemeral" });
  const peer = await client.connect(node);
  peer.send({ seq: 1, payload: { kind: "open", connection: 1, service: "echo" } });
  await settle();
  let sent = 1;
  peer.behave = () => {};
  return async () => {
    const begun = computed();
    for (let turn = 0; turn < TURNS; turn++) {
      const frame = Array.from({ length: PER_TURN }, () => {
        return { seq: ++sent, payload: { kind: "message", connection: 1, body: BODY } } as const;
      });
      peer.send(...frame);
      await settle();
      peer.messages.length = 0;
      peer.send({ kind: "ack", received: sent });
    }
    return (computed() - begun) * 1e3 / (TURNS * PER_TURN);
  };
}

await page();
const counted = await echo(new CountedMetrics());
const uncounted = await echo(NO_METRICS);
const withCounts: number[] = [];
const without: number[] = [];
for (let round = -3; round < ROUNDS; round++) {
  // In turns, each first in every other round; the rounds below 0 warm up.
  const first = round % 2 === 0 ? counted : uncounted;
  const one = await first();
  const two = await (first === counted ? uncounted : counted)();
  if (round < 0) continue;
  withCounts.push(first === counted ? one : two);
  without.push(first === counted ? two : one);
}
console.log(
  `one echoed message, fastest of ${ROUNDS} rounds (median): ${Math.min(...withCounts).toFixed(0)} ns (${
    median(withCounts).toFixed(0)
  }) with everything counted, ${Math.min(...without).toFixed(0)} ns (${
    median(without).toFixed(0)
  }) with nothing`,
);
