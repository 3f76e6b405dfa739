/**
 * The load generator of the contest, a process of its own: it holds sessions with one system and measures one thing.
 *
 * Its one argument is an `Assignment` as JSON; its last line is JSON. It runs on Deno as it is and, bundled, on Node,
 * where the npm clients are at home and faster.
 */

import process from "node:process";
import { cpuTime } from "../cpu.ts";
import { type Conversation, MISSED_AFTER_MS } from "./conversation.ts";
import { Crowd, eachOf, pause, quantile, settle } from "./crowd.ts";
import type {
  Assignment,
  BreakJob,
  EchoJob,
  GrowthJob,
  HoldJob,
  KillJob,
  Pace,
  Recovery,
  StormJob,
} from "./jobs.ts";
import type { Window } from "./profile.ts";

/** How long nothing may come before what is missing counts as lost. Milliseconds. */
const LOST_AFTER_MS = 2_000;
const LOST_BY_ONE_MS = 300;
/** How long a server may send what is missed, and is left to notice that its client is gone. */
const NOTICED_MS = 200;
/** How long an echo that nobody asked for is listened for. */
const STRAY_MS = 50;
/** Where echoes are slow, measuring goes on until there are so many, or for so long. */
const ENOUGH_ECHOES = 400;
const ENOUGH_MS = 10_000;
/** Between two attempts to reach a server that was killed. */
const RETRY_MS = 20;
/** A contest has no use for a server that does not come back. */
const GIVE_UP_MS = 20_000;

async function echo(crowd: Crowd, { sessions, inFlight, ...rest }: EchoJob): Promise<Pace> {
  await crowd.open(sessions);
  return await pace(crowd, rest, () => {
    for (const member of crowd.members) member.send(inFlight);
  }, (member) => member);
}

async function growth(crowd: Crowd, { sessions, inFlight, within, ...rest }: GrowthJob): Promise<Pace> {
  await crowd.open(sessions, 1, within);
  let turn = 0;
  const next = () => crowd.members[turn++ % sessions]!;
  return await pace(crowd, rest, () => {
    for (let n = 0; n < inFlight; n++) next().send(1);
  }, next);
}

/** Moments of this process's `performance` as a profile of another one needs them. */
function windowOf(from: number, to: number): Window {
  return [performance.timeOrigin + from, performance.timeOrigin + to];
}

/** Says when it did what a profile is to show. */
function say(windows: readonly Window[]): void {
  console.log(`windows ${JSON.stringify(windows)}`);
}

/** Processor time of both ends, milliseconds. */
function momentOf(server: number) {
  return {
    at: performance.now(),
    server: cpuTime(server) ?? NaN,
    generator: cpuTime(process.pid) ?? NaN,
  };
}

/** Keeps messages in flight for a while. @param next Who sends when an echo came. */
async function pace(
  crowd: Crowd,
  { warmUp, duration, pid }: { readonly warmUp: number; readonly duration: number; readonly pid: number },
  begin: () => void,
  next: (member: Conversation) => Conversation,
): Promise<Pace> {
  const trips: number[] = [];
  let measuring = false;
  let sending = true;
  crowd.onEcho = (member, roundTrip) => {
    if (measuring) trips.push(roundTrip);
    if (sending) next(member).send(1);
  };
  begin();
  await pause(warmUp);
  measuring = true;
  const from = momentOf(pid);
  await pause(duration);
  while (trips.length < ENOUGH_ECHOES && performance.now() - from.at < ENOUGH_MS) await pause(STRAY_MS);
  const to = momentOf(pid);
  measuring = false;
  sending = false;
  if (!await settle(crowd.members, LOST_AFTER_MS)) {
    throw new Error("messages were lost although nothing broke");
  }
  await pause(STRAY_MS);
  const { doubled, late } = crowd.faults();
  if (doubled + late > 0) {
    throw new Error(`${doubled} messages doubled and ${late} late although nothing broke`);
  }
  const cost = (ms: number) => ms * 1000 / trips.length;
  return {
    perSecond: trips.length / (to.at - from.at) * 1000,
    p50: quantile(trips, 0.5),
    p99: quantile(trips, 0.99),
    serverCost: cost(to.server - from.server),
    generatorCost: cost(to.generator - from.generator),
  };
}

async function hold(crowd: Crowd, { sessions, from }: HoldJob): Promise<null> {
  await crowd.open(sessions, from);
  await crowd.useEach();
  console.log("held");
  await line();
  for (const member of crowd.members) member.cut();
  console.log("dropped");
  await line();
  return null;
}

function line(): Promise<void> {
  return new Promise((resolve) => process.stdin.once("data", () => resolve()));
}

/** The times at which members had everything that they missed, since `begun`. */
class CaughtUp {
  readonly times: number[] = [];
  /** When it was that each was taken up. */
  readonly windows: Window[] = [];
  /** Milliseconds from the dial, of those whose client can tell. */
  readonly opened: number[] = [];
  readonly established: number[] = [];
  /** Since when each is. */
  readonly #waiting = new Map<Conversation, number>();

  /** @param probing Members that miss nothing send a message, whose echo says that they are back. */
  constructor(private readonly crowd: Crowd, private readonly probing: boolean) {
    crowd.onEcho = (member) => this.#look(member);
  }

  begin(members: readonly Conversation[]): void {
    const now = performance.now();
    for (const member of members) this.#waiting.set(member, now);
  }

  async resume(member: Conversation): Promise<void> {
    await this.crowd.resume(member);
    if (this.probing) member.send(1);
    this.#look(member);
  }

  #look(member: Conversation): void {
    const begun = this.#waiting.get(member);
    if (begun === undefined || member.outstanding > 0) return;
    this.#waiting.delete(member);
    const now = performance.now();
    this.times.push(now - begun);
    this.windows.push(windowOf(begun, now));
    if (member.opened >= begun) this.opened.push(member.opened - begun);
    if (member.established >= begun) this.established.push(member.established - begun);
  }
}

function recovery(crowd: Crowd, times: readonly number[]): Recovery {
  return {
    ...crowd.faults(),
    sessions: crowd.members.length,
    p50: quantile(times, 0.5),
    p99: quantile(times, 0.99),
    all: quantile(times, 1),
  };
}

/** Each time by a session of its own, so that a loss of one does not spoil the next. */
async function breaks(crowd: Crowd, { times, missed }: BreakJob, probing: boolean): Promise<Recovery> {
  await crowd.open(times);
  await crowd.useEach();
  const caughtUp = new CaughtUp(crowd, probing);
  for (const member of crowd.members) {
    await member.miss(missed);
    await pause(NOTICED_MS);
    caughtUp.begin([member]);
    await caughtUp.resume(member);
    await settle([member], LOST_BY_ONE_MS);
  }
  await settle(crowd.members, LOST_AFTER_MS);
  const { opened, established, windows } = caughtUp;
  say(windows);
  return {
    ...recovery(crowd, caughtUp.times),
    ...(opened.length === 0 ? {} : { opened: quantile(opened, 0.5) }),
    ...(established.length === 0 ? {} : { established: quantile(established, 0.5) }),
  };
}

async function storm(
  crowd: Crowd,
  { missed, dials, sessions, pid }: StormJob,
  probing: boolean,
): Promise<Recovery> {
  await crowd.open(sessions);
  await crowd.useEach();
  await eachOf(crowd.members, sessions, (member) => member.miss(missed));
  await pause(5 * MISSED_AFTER_MS);
  const caughtUp = new CaughtUp(crowd, probing);
  const from = momentOf(pid);
  caughtUp.begin(crowd.members);
  await eachOf(crowd.members, dials, (member) => caughtUp.resume(member));
  await settle(crowd.members, LOST_AFTER_MS);
  const to = momentOf(pid);
  say([windowOf(from.at, to.at)]);
  return {
    ...recovery(crowd, caughtUp.times),
    serverCost: (to.server - from.server) * 1000 / sessions,
    generatorCost: (to.generator - from.generator) * 1000 / sessions,
  };
}

async function kill(crowd: Crowd, { sessions, inFlight, before, pid }: KillJob): Promise<Recovery> {
  await crowd.open(sessions);
  await crowd.useEach();
  let sending = true;
  let killedAt = 0;
  const times: number[] = [];
  /** The first message that each sent after it was back. */
  const proofs = new Map<Conversation, number>();
  const recovering: Promise<void>[] = [];
  crowd.onEcho = (member) => {
    const proof = proofs.get(member);
    if (proof !== undefined && member.fate.highest >= proof) {
      proofs.delete(member);
      times.push(performance.now() - killedAt);
    }
    if (sending) member.send(1);
  };
  crowd.onBreak = (member) => {
    if (killedAt === 0) throw new Error(`conversation ${member.number}: its transport broke before the kill`);
    recovering.push(comeBack(member));
  };
  const comeBack = async (member: Conversation) => {
    for (;;) {
      await pause(RETRY_MS);
      try {
        await crowd.resume(member);
        break;
      } catch (error) {
        if (performance.now() - killedAt > GIVE_UP_MS) throw error;
      }
    }
    proofs.set(member, member.sent);
    member.send(inFlight);
  };
  for (const member of crowd.members) member.send(inFlight);
  await pause(before);
  killedAt = performance.now();
  process.kill(pid, "SIGKILL");
  while (times.length < sessions) {
    if (performance.now() - killedAt > GIVE_UP_MS) {
      throw new Error(`${times.length} of ${sessions} sessions were back after ${GIVE_UP_MS} ms`);
    }
    await pause(5);
  }
  sending = false;
  await Promise.all(recovering);
  await settle(crowd.members, LOST_AFTER_MS);
  await pause(STRAY_MS);
  return recovery(crowd, times);
}

async function run(assignment: Assignment): Promise<Pace | Recovery | null> {
  const crowd = new Crowd(assignment);
  const { job, contender } = assignment;
  // Where nothing is kept nothing is missed: being back is an echo.
  const probing = contender === "bare";
  const result = await (() => {
    switch (job.kind) {
      case "echo":
        return echo(crowd, job);
      case "growth":
        return growth(crowd, job);
      case "hold":
        return hold(crowd, job);
      case "break":
        return breaks(crowd, job, probing);
      case "storm":
        return storm(crowd, job, probing);
      case "kill":
        return kill(crowd, job);
      default:
        return job satisfies never;
    }
  })();
  // Nothing else is measured on a server whose sessions grew in number, and taking leave of them all takes its time.
  if (job.kind !== "growth") await crowd.close();
  return result;
}

/** Anything that makes the run worthless becomes its result. */
function fail(error: unknown): never {
  console.log(JSON.stringify({ failed: error instanceof Error ? error.message : String(error) }));
  process.exit(1);
}

process.on("uncaughtException", fail);
process.on("unhandledRejection", fail);
console.log(JSON.stringify(await run(JSON.parse(process.argv[2] ?? "{}"))));
process.exit(0);
