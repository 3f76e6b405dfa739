/** Runs one plan from its beginning to the time when nothing of it is left, and says what must not have happened. */

import { Cluster } from "./cluster.ts";
import { ForeignClient } from "./foreign_client.ts";
import type { Plan, TimedFault } from "./plan.ts";

/** What became of a run. */
export interface RunResult {
  readonly failure: string | null;
  /** Tells two runs apart. */
  readonly hash: string;
  readonly steps: number;
  /** Faults, messages and endings, by name. */
  readonly counts: ReadonlyMap<string, number>;
  /** The last lines of the trace. */
  readonly trace: readonly string[];
}

const CATCH_UP_MS = 240_000;
/** A drain that was under way ends in this time. */
const DRAIN_MS = 5_000;
const CLOSE_MS = 60_000;
const SETTLE_MS = 60_000;
/** What takes longest is handled in this time. */
const HANDLED_MS = 10_000;
/** A lost node is found out, and what it left is done, in this time. */
const TAKEN_UP_MS = 90_000;

/** No row outlives a session for longer. */
const OUTCOMES_MS = 31 * 24 * 3600 * 1000;

/** @param print Is given every line of the trace. */
export async function run(plan: Plan, print: ((line: string) => void) | null = null): Promise<RunResult> {
  const cluster = new Cluster(plan, print);
  const stop = () => cluster.failure !== null;
  const { timeline } = cluster;
  for (const fault of plan.faults) timeline.after(fault.at, () => inject(cluster, fault));
  await pass(cluster, plan.duration);
  if (!stop()) await untilQuiet(cluster);
  if (!stop()) await untilOrphaned(cluster);
  if (!stop()) await untilGone(cluster);
  for (const client of cluster.clients) client.vanish();
  const { messages, handshakes } = cluster.wireWitness;
  const counts = new Map(cluster.counts);
  counts.set("messages down", messages.down).set("messages up", messages.up);
  counts.set("handshakes", handshakes.established).set("commits", cluster.storeWitness.commits);
  const { failure, hash, remembered: trace } = cluster;
  return { failure, hash, steps: timeline.steps, counts, trace };
}

/** Everything works again: each client must find its way back and get what it was promised. */
async function untilQuiet(cluster: Cluster): Promise<void> {
  const { clients } = cluster;
  cluster.trace("healed");
  cluster.heal();
  for (const client of clients) client.rest();
  const stop = () => cluster.failure !== null;
  const behind = () => clients.filter((client) => client.over === null && !client.caughtUp && !client.shared);
  for (
    let waited = 0;
    waited < CATCH_UP_MS && (waited < DRAIN_MS || behind().length > 0) && !stop();
    waited += 1_000
  ) {
    await pass(cluster, 1_000);
    // One that drained while it was healed is back by itself.
    for (const node of cluster.nodes) node.restart();
  }
  for (const client of behind()) cluster.fail(`not caught up: ${client.describe()}`);
  // A message without a reply may be handled again, of which its client hears nothing.
  await pass(cluster, HANDLED_MS);
  for (const client of clients) {
    if (client instanceof ForeignClient && client.caughtUp && !client.shared && !client.isClosing) {
      cluster.judge.books(client);
    }
  }
}

/** Lets time pass, and looks at the nodes each second. */
async function pass(cluster: Cluster, ms: number): Promise<void> {
  const stop = () => cluster.failure !== null;
  for (let passed = 0; passed < ms && !stop(); passed += 1_000) {
    await cluster.timeline.run(Math.min(1_000, ms - passed), stop);
    cluster.judge.look();
  }
}

/** A client leaves work and is never heard of again, and neither is its node: another one must do it (`call.restart`). */
async function untilOrphaned(cluster: Cluster): Promise<void> {
  const { clients, nodes, plan: { seed } } = cluster;
  const client = clients.findLast((client): client is ForeignClient =>
    client instanceof ForeignClient && client.over === null && !client.shared && !client.isClosing &&
    client.spec.work > 0 && client.spec.settings.durability !== "ephemeral"
  );
  if (client === undefined || seed % 3 === 0) return;
  client.leaveWork();
  for (let waited = 0; waited < 10_000 && !client.isSafe && cluster.failure === null; waited += 50) {
    await cluster.timeline.run(50, () => cluster.failure !== null);
  }
  const node = nodes.find(({ process }) => process === client.attachedTo);
  if (!client.isSafe || node === undefined || cluster.failure !== null) return;
  cluster.trace(`${client.spec.name} and ${node.process.name} are gone`);
  cluster.count("clients lost with work");
  client.vanish();
  // Its node may have noticed that, or not.
  if (seed % 2 === 0) await pass(cluster, 2_000);
  node.crash(true);
  if (seed % 3 === 1) node.restart();
  await pass(cluster, TAKEN_UP_MS);
  node.restart();
  const left = [...cluster.ledger.undone(client.uid), ...cluster.ledger.unhandled(client.uid)];
  if (left.length > 0) {
    cluster.fail(`never done: ${left.map(({ id }) => id).join(" ")}: ${client.describe()}`);
  }
}

/** Some clients say goodbye, the others are never heard of again; after all windows nothing may be left of any. */
async function untilGone(cluster: Cluster): Promise<void> {
  const { timeline, clients, plan: { resumeWindow } } = cluster;
  const stop = () => cluster.failure !== null;
  const closing = clients.filter((client, i) => client.over === null && !client.shared && i % 2 === 0);
  const sleeper = clients.find((client): client is ForeignClient =>
    client instanceof ForeignClient && client.over === null && !client.shared && !closing.includes(client) &&
    !client.isClosing && client.spec.settings.durability !== "ephemeral"
  );
  for (const client of closing) client.close();
  sleeper?.sleep();
  for (const client of clients) if (!closing.includes(client) && client !== sleeper) client.vanish();
  const sessions = closing.map((client) => [client, client.session] as const);
  for (
    let waited = 0;
    waited < CLOSE_MS && closing.some(({ over }) => over === null) && !stop();
    waited += 1_000
  ) {
    await timeline.run(1_000, stop);
  }
  for (const [client, session] of sessions) {
    if (client.over === null) cluster.fail(`its end was never confirmed: ${client.describe()}`);
    const record = cluster.storeWitness.sessions.get(session ?? "")?.record;
    if (client.closed && record?.kind === "session") {
      cluster.fail(`${client.spec.name} was told that ${session} is closed; it is not`);
    }
  }
  for (const client of clients) if (client !== sleeper) client.vanish();
  await timeline.run(SETTLE_MS, stop);
  timeline.sleep(resumeWindow + 1_000);
  await timeline.run(SETTLE_MS, stop);
  if (sleeper !== undefined && sleeper.session !== null) {
    cluster.overslept.add(sleeper);
    sleeper.comeBack();
    await timeline.run(SETTLE_MS, stop);
    if (cluster.overslept.size > 0) cluster.fail(`was never told that it expired: ${sleeper.describe()}`);
  }
  sleeper?.vanish();
  if (!stop()) timeline.sleep(resumeWindow + 1_000);
  await timeline.run(SETTLE_MS, stop);
  if (!stop()) await judgeWhatIsLeft(cluster);
}

async function judgeWhatIsLeft(cluster: Cluster): Promise<void> {
  const { timeline, nodes, plan: { expiryLag } } = cluster;
  // Outcomes of operations are kept for a day, and dropped after a month where no node was there to do it.
  timeline.sleep(OUTCOMES_MS + expiryLag);
  await timeline.run(SETTLE_MS, () => cluster.failure !== null);
  const keys = await cluster.keysLeft();
  if (keys.length > 0) cluster.fail(`keys are left: ${keys.map((key) => key.join("/")).join(" ")}`);
  for (const { process, registry } of nodes) {
    if (registry.size > 0) cluster.fail(`${process.name} still holds ${registry.size} sessions`);
    if (registry.conduits > 0) cluster.fail(`${process.name} still holds ${registry.conduits} conduits`);
  }
  let idle = 0;
  for (const { registry } of nodes) void registry.committer.idle().then(() => idle++);
  await timeline.run(100, () => false);
  if (idle < nodes.length) cluster.fail("a committer is not idle");
  cluster.judge.services();
  for (const node of nodes) void node.stopHousekeeping();
  await timeline.run(5_000, () => false);
  for (const { process } of nodes) {
    if (process.timers > 0) cluster.fail(`${process.name} has ${process.timers} timers left`);
  }
  if (timeline.pending > 0) cluster.fail(`${timeline.pending} events are left`);
}

/** Lets one fault happen, and counts it if there is whom it can hit. */
function inject(cluster: Cluster, fault: TimedFault): void {
  cluster.trace(`fault ${fault.kind} ${fault.size}`);
  if (happens(cluster, fault)) cluster.count(fault.kind);
}

/** @returns False if there was nobody whom it could hit; and for cuts, which are counted when they happen. */
function happens(cluster: Cluster, { kind, pick, size }: TimedFault): boolean {
  const { nodes, timeline } = cluster;
  const line = picked(cluster.openLines(), pick);
  const client = picked(cluster.clients.filter(({ over }) => over === null), pick);
  const node = picked(nodes, pick)!;
  switch (kind) {
    case "line-break":
      line?.break();
      return line !== undefined;
    case "line-half-open-up":
      line?.halfOpen("up");
      return line !== undefined;
    case "line-half-open-down":
      line?.halfOpen("down");
      return line !== undefined;
    case "line-half-open":
      line?.halfOpen("up", "down");
      return line !== undefined;
    case "line-stall":
      line?.stall(size);
      return line !== undefined;
    case "handshake-cut-up":
      cluster.cutNext("up", size, kind);
      return false;
    case "handshake-cut-down":
      cluster.cutNext("down", size, kind);
      return false;
    case "handshake-storm":
      for (let i = 0; i < size; i++) cluster.cutNext("down", 0, kind);
      return false;
    case "frame-cut-up":
      line?.breakAfter("up", size, kind);
      return false;
    case "frame-cut-down":
      line?.breakAfter("down", size, kind);
      return false;
    case "node-crash":
    case "node-vanish": {
      const { up } = node;
      node.crash(kind === "node-vanish");
      timeline.after(size, () => node.restart());
      return up;
    }
    case "node-pause": {
      const { up } = node;
      node.process.pause();
      timeline.after(size, () => node.process.resume());
      return up;
    }
    case "node-drain": {
      const { up, draining } = node;
      void node.drain();
      timeline.after(size, () => node.restart());
      return up && !draining;
    }
    case "store-away":
      cluster.store.away("", size);
      return true;
    case "store-away-from-node":
      cluster.store.away(node.process.name, size);
      return node.up;
    case "clock-jump":
      node.jump(size);
      return node.up;
    case "page-reload":
      return client?.reload() ?? false;
    case "tab-copy": {
      const copy = client?.copy() ?? null;
      if (copy !== null) cluster.add(copy);
      return copy !== null;
    }
    case "client-redial":
      client?.redial();
      return client !== undefined;
    case "client-close":
      client?.close();
      return client !== undefined;
    default:
      return kind satisfies never;
  }
}

function picked<T>(from: readonly T[], pick: number): T | undefined {
  return from[pick % Math.max(1, from.length)];
}
