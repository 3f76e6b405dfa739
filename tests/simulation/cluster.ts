/** A whole cluster in one process, as a plan describes it: nodes, clients, the store and the lines between them. */

import type { Subprotocol } from "../../src/protocol/codec.ts";
import { MemorySessionStore } from "../../src/storage/memory_session_store.ts";
import type { StoreKey } from "../../src/storage/session_store.ts";
import { SeededRandom } from "../support/seeded_random.ts";
import { TestAuthenticator } from "../support/test_authenticator.ts";
import { DataWitness } from "./data_witness.ts";
import { servicesOf } from "./desk.ts";
import { FlowWitness } from "./flow_witness.ts";
import { ForeignClient } from "./foreign_client.ts";
import { Ledger } from "./ledger.ts";
import { NodeJudge } from "./node_judge.ts";
import { OperationWitness } from "./operation_witness.ts";
import type { Plan } from "./plan.ts";
import { SdkClient } from "./sdk_client.ts";
import type { ClientHost, ClientSpec, Loss, SimClient, SimDialHandler } from "./sim_client.ts";
import { type Direction, type SimEnd, SimLine } from "./sim_line.ts";
import { SimNode } from "./sim_node.ts";
import { SimProcess } from "./sim_process.ts";
import { SimStore } from "./sim_store.ts";
import { StoreWitness } from "./store_witness.ts";
import { Timeline } from "./timeline.ts";
import { WireWitness } from "./wire_witness.ts";
import { WorkWitness } from "./work_witness.ts";
import { type Sizes, work } from "./workload.ts";

/** A session may end unproven after 60 s; nodes' clocks differ. */
const PROVISIONAL_MS = 45_000;

/** How many lines of the trace are remembered. */
const REMEMBERED = 400;

/** What no session's end removes: what services wrote, and the list of nodes. */
const LASTING = new Set(["data", "node"]);

export class Cluster implements ClientHost {
  readonly plan: Plan;
  readonly timeline = new Timeline();
  readonly nodes: SimNode[];
  readonly clients: SimClient[] = [];
  readonly store: SimStore;
  readonly storeWitness: StoreWitness;
  readonly wireWitness: WireWitness;
  readonly dataWitness: DataWitness;
  readonly workWitness: WorkWitness;
  readonly operationWitness: OperationWitness;
  readonly ledger: Ledger;
  readonly judge = new NodeJudge(this);
  readonly lines = new Set<SimLine>();
  /** Clients that were away for longer than their session waits. */
  readonly overslept = new Set<SimClient>();
  /** What happened, by name. */
  readonly counts = new Map<string, number>();
  /** The first thing that must not happen. */
  failure: string | null = null;
  /** The last lines of the trace. */
  readonly remembered: string[] = [];
  readonly #inner: MemorySessionStore;
  readonly #random: SeededRandom;
  readonly #lineRandom: SeededRandom;
  readonly #print: ((line: string) => void) | null;
  /** Breaks that wait for the next line. */
  readonly #cuts: { readonly direction: Direction; readonly frames: number; readonly fault: string }[] = [];
  readonly #since = new Map<SimClient, number>();
  #lastLine = 0;
  #hash = 0x811c9dc5;

  constructor(plan: Plan, print: ((line: string) => void) | null = null) {
    this.plan = plan;
    this.#print = print;
    this.#random = new SeededRandom(plan.seed ^ 0x51ed270b);
    this.#lineRandom = this.#random.fork();
    const { timeline } = this;
    const fail = (problem: string) => this.fail(problem);
    this.storeWitness = new StoreWitness(fail);
    this.dataWitness = new DataWitness(fail);
    this.workWitness = new WorkWitness(fail);
    this.operationWitness = new OperationWitness(fail, (what) => this.count(what));
    const ledger = this.ledger = new Ledger({
      data: this.dataWitness,
      store: this.storeWitness,
      operations: this.operationWitness,
      fail,
      count: (what) => this.count(what),
    });
    const flow = new FlowWitness(ledger);
    this.wireWitness = new WireWitness(this.storeWitness, flow, fail, (line) => this.trace(line));
    this.#inner = new MemorySessionStore({
      clock: { now: () => timeline.now - plan.expiryLag, wakeAt: () => () => {} },
      limits: { checks: plan.checksPerAtomic },
    });
    this.store = new SimStore({
      inner: this.#inner,
      timeline,
      random: this.#random.fork(),
      rates: plan.rates,
      latency: plan.storeLatency,
      asked: (atomic) => this.storeWitness.asked(atomic),
      applied: (atomic, version, by) => {
        this.trace(
          `applied ${version} by ${by.name}: ${atomic.puts.map(({ key }) => key.join("/")).join(" ")}${
            atomic.deletes.filter(([table]) => table === "data").map((key) => ` -${key.join("/")}`).join("")
          }`,
        );
        try {
          this.storeWitness.applied(atomic, version, timeline.now);
          this.dataWitness.applied(atomic);
          this.workWitness.applied(atomic);
          this.operationWitness.applied(atomic, by, timeline.now);
        } catch (error) {
          this.fail(
            `what ${by.name} wrote cannot be read: ${error instanceof Error ? error.stack : String(error)}`,
          );
        }
      },
      refused: (atomic) => {
        if (atomic.checks.some(({ key }) => key[0] === "data")) {
          this.count("commits with data whose checks failed");
        }
      },
      count: (fault) => this.count(fault),
    });
    const { limits, resumeWindow, parkAfter, handshakeTimeout, keepalive } = plan;
    const authenticator = new TestAuthenticator().grant("", "").grant("ada", "ada").grant("eve", "eve");
    const settings = {
      authenticator,
      limits,
      resumeWindow,
      idleTimeout: null,
      parkAfter,
      handshakeTimeout,
      keepalive,
      tokenReuse: "keep",
    } as const;
    this.nodes = plan.nodes.map((skew, i) =>
      new SimNode(`n${i + 1}`, {
        timeline,
        store: this.store,
        random: this.#random.fork(),
        settings,
        services: (process, random) => [work, ...servicesOf({ process, random, ledger })],
        isShared: (session) => ledger.named(session)?.shared ?? false,
        fail,
        trace: (line) => this.trace(line),
      }, skew)
    );
    for (const spec of plan.clients) this.clients.push(this.#client(spec));
  }

  /** Tells two runs apart; the same for the same plan. */
  get hash(): string {
    return `${(this.#hash >>> 0).toString(16).padStart(8, "0")}-${this.timeline.steps}`;
  }

  /** Lines that are open at an end at least. */
  openLines(): SimLine[] {
    for (const line of this.lines) if (!line.open) this.lines.delete(line);
    return [...this.lines];
  }

  /** The next line that is dialled breaks after so many frames, which counts as `fault` when it does. */
  cutNext(direction: Direction, frames: number, fault: string): void {
    this.#cuts.push({ direction, frames, fault });
  }

  /** Nothing goes wrong from here on, except what has gone wrong already. */
  heal(): void {
    this.#cuts.length = 0;
    this.store.heal();
    for (const node of this.nodes) {
      node.process.resume();
      node.restart();
    }
  }

  /** All keys that the store still has, but for what lasts. */
  async keysLeft(): Promise<StoreKey[]> {
    const entries = await this.#inner.list({ prefix: [] }, { limit: 1_000 });
    return entries.map(({ key }) => key).filter(([table]) => !LASTING.has(String(table)));
  }

  // ClientHost

  get limits(): Plan["limits"] {
    return this.plan.limits;
  }

  get accounts(): number {
    return this.plan.accounts;
  }

  get sizes(): Sizes {
    return this.plan.sizes;
  }

  get windows(): { readonly messages: number; readonly bytes: number } {
    return { messages: this.plan.limits.windowMessages, bytes: this.plan.limits.windowBytes };
  }

  newProcess(name: string): SimProcess {
    return new SimProcess(name, this.timeline, 0);
  }

  newRandom(): SeededRandom {
    return this.#random.fork();
  }

  dial(
    client: SimClient,
    process: SimProcess,
    subprotocol: Subprotocol,
    handler: SimDialHandler,
  ): SimEnd {
    const { timeline, plan: { lineLatency } } = this;
    if (!this.#since.has(client)) this.#since.set(client, timeline.now);
    const node = this.#nodeFor(client);
    const line = new SimLine({
      id: ++this.#lastLine,
      subprotocol,
      timeline,
      random: this.#lineRandom.fork(),
      client: process,
      server: node.process,
      witness: this.wireWitness,
      latency: lineLatency,
      count: (fault) => this.count(fault),
      onError: (error) =>
        this.fail(`a handler threw ${error instanceof Error ? error.stack : String(error)}`),
    });
    this.lines.add(line);
    this.trace(`${line.id} dialled by ${process.name} to ${node.process.name}`);
    const cut = this.#cuts.shift();
    if (cut !== undefined) line.breakAfter(cut.direction, cut.frames, cut.fault);
    line.client.listen(handler);
    const travel = () => this.#lineRandom.between(lineLatency.least, lineLatency.most);
    timeline.after(travel(), () => {
      if (!node.up || node.process !== line.options.server) {
        return void timeline.after(travel(), () => line.client.cut());
      }
      node.process.enter(() => {
        node.accept(line);
        timeline.after(travel(), () =>
          process.enter(() => {
            if (!line.client.gone) handler.onOpen();
          }));
      });
    });
    return line.client;
  }

  moved(client: SimClient): void {
    if (client.spec.settings.durability !== "ephemeral") client.node = null;
  }

  fail(problem: string): void {
    this.trace(`FAILURE ${problem}`);
    this.failure ??= problem;
  }

  trace(line: string): void {
    const text = `${this.timeline.now - Date.UTC(2030, 0, 1)} ${line}`;
    for (let i = 0; i < text.length; i++) this.#hash = Math.imul(this.#hash ^ text.charCodeAt(i), 0x01000193);
    this.remembered.push(text);
    if (this.remembered.length > 2 * REMEMBERED) this.remembered.splice(0, REMEMBERED);
    this.#print?.(text);
  }

  count(what: string): void {
    this.counts.set(what, (this.counts.get(what) ?? 0) + 1);
  }

  lost({ client, session, reason, detail }: Loss): void {
    const since = this.#since.get(client) ?? this.timeline.now;
    this.#since.delete(client);
    client.node = null;
    this.trace(`${client.spec.name} lost ${session}: ${reason}: ${detail}`);
    this.count(`lost: ${reason}`);
    if (client.shared) return;
    if (this.overslept.delete(client)) {
      // A session that was never proven leaves no memory of itself.
      const told = this.storeWitness.sessions.get(session ?? "")?.proven === true
        ? "expired"
        : "unknown-session";
      if (reason !== told) this.fail(`${client.spec.name} came back too late and was told ${reason}`);
      client.vanish();
      return;
    }
    const unproven = session === null || this.storeWitness.sessions.get(session)?.proven !== true;
    if (unproven && this.timeline.now - since > PROVISIONAL_MS) return;
    if (client.spec.settings.durability === "ephemeral") {
      const boot = session === null ? undefined : this.wireWitness.firstBoot.get(session);
      const alive = this.nodes.some(({ up, draining, process }) => up && !draining && process.name === boot);
      if (!alive) return;
    }
    this.fail(`${client.spec.name} lost its session ${session}: ${reason}: ${detail}`);
  }

  /** Another client, that came to be by itself. */
  add(client: SimClient): void {
    this.clients.push(client);
  }

  #client(spec: ClientSpec): SimClient {
    return spec.kind === "sdk" ? new SdkClient(spec, this) : new ForeignClient(spec, this);
  }

  /** A durable session goes anywhere; an ephemeral one is only where it was made. */
  #nodeFor(client: SimClient): SimNode {
    const random = this.#lineRandom;
    const ephemeral = client.spec.settings.durability === "ephemeral";
    if (client.node !== null && (ephemeral || random.chance(0.6))) return client.node;
    // What balances the load knows of most nodes that are down.
    const up = this.nodes.filter((node) => node.up && !node.draining);
    return client.node = random.pick(up.length === 0 || random.chance(0.1) ? this.nodes : up);
  }
}
