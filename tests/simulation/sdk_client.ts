/** The real SDK, with its own runner, under an application that must find every reply once and in order, also over reloads. */

import {
  connect,
  type Connection,
  exponentialBackoff,
  type KeyValueStorage,
  type Session,
} from "../../src/client/mod.ts";
import type { SeededRandom } from "../support/seeded_random.ts";
import { SdkCalls } from "./sdk_calls.ts";
import type { ClientHost, ClientSpec, SimClient } from "./sim_client.ts";
import type { SimNode } from "./sim_node.ts";
import { CountedClock, type SimProcess } from "./sim_process.ts";
import { BEGINNING, isComplete, outstanding, type Progress, requestValue, takeReply } from "./workload.ts";

const MOST_OUTSTANDING = 12;
const reconnect = exponentialBackoff({ least: 20, first: 200, most: 4_000 });

export class SdkClient implements SimClient {
  readonly spec: ClientSpec;
  shared = false;
  node: SimNode | null = null;
  over: string | null = null;
  closed = false;
  readonly #host: ClientHost;
  readonly #random: SeededRandom;
  /** What the browser keeps; a reload finds it. */
  #storage: Map<string, string>;
  /** Writes of it that are under way, in order. */
  #writes: (() => void)[] = [];
  #process: SimProcess;
  /** The SDK's own. */
  #clock: CountedClock;
  #live: Session;
  #connection: Connection;
  /** Calls and messages beside the requests; null: none. */
  #calls: SdkCalls | null = null;
  #progress: Progress = BEGINNING;
  #closing = false;
  #resting = false;

  constructor(spec: ClientSpec, host: ClientHost, storage: Map<string, string> | null = null) {
    this.spec = spec;
    this.#host = host;
    this.#random = host.newRandom();
    this.#storage = storage ?? new Map();
    [this.#process, this.#clock, this.#live, this.#connection] = this.#begin();
  }

  get session(): string | null {
    return this.#live.id;
  }

  /** Timers that the SDK has set; it owns one. */
  get timers(): number {
    return this.#process.alive ? this.#clock.pending : 0;
  }

  get caughtUp(): boolean {
    const done = this.#resting || this.#progress.sent >= this.spec.requests;
    return this.#live.phase === "attached" && done && this.#live.unacked === 0 &&
      isComplete(this.#progress, this.#host.sizes) && (this.#calls?.quiet ?? true);
  }

  rest(): void {
    this.#resting = true;
  }

  reload(): boolean {
    if (!this.spec.stored || this.over !== null) return false;
    this.#process.lose();
    // Of the writes under way some came to be.
    for (const write of this.#writes.splice(0, this.#random.int(this.#writes.length + 1))) write();
    this.#writes = [];
    this.#begin();
    if (this.#closing) void this.#live.close("done");
    return true;
  }

  redial(): void {
    if (this.over !== null) return;
    this.#host.moved(this);
    this.#live.breakConduit();
  }

  close(): void {
    if (this.over !== null) return;
    this.#closing = true;
    void this.#live.close("done");
  }

  vanish(): void {
    this.over ??= "vanished";
    this.#process.lose();
  }

  copy(): SimClient | null {
    if (!this.spec.stored || this.over !== null || this.#live.id === null) return null;
    this.shared = true;
    const copy = new SdkClient(
      { ...this.spec, name: `${this.spec.name}'` },
      this.#host,
      new Map(this.#storage),
    );
    copy.shared = true;
    copy.#resting = this.#resting;
    return copy;
  }

  describe(): string {
    const { id, phase, unacked } = this.#live;
    return `${this.spec.name} ${
      JSON.stringify({ id, phase, unacked, over: this.over, progress: this.#progress })
    } ${this.#calls?.describe() ?? ""}`;
  }

  #begin(): [SimProcess, CountedClock, Session, Connection] {
    const process = this.#process = this.#host.newProcess(this.spec.name);
    const clock = this.#clock = new CountedClock(process.clock);
    const { durability, windowMessages, windowBytes } = this.spec.settings;
    const session = this.#live = connect("ws://cluster", {
      encoding: this.spec.subprotocol === "holdfast.v1.json" ? "json" : "msgpack",
      ...(durability === undefined ? {} : { durability }),
      ...(windowMessages === undefined ? {} : { windowMessages }),
      ...(windowBytes === undefined ? {} : { windowBytes }),
      ...(this.spec.stored ? { storage: this.#storageOf(process) } : {}),
      reconnect,
      ...(this.spec.principal === "" ? {} : { auth: () => this.spec.principal }),
      probe: false,
      clock,
      random: this.#random.fork(),
      dial: (_url, [subprotocol], handler) => this.#host.dial(this, process, subprotocol!, handler),
    });
    session.on("connected", () => this.#host.count("sessions"));
    session.on("resumed", () => this.#host.count("resumes"));
    session.on("error", ({ error }) => this.#host.fail(`${this.spec.name}: ${error.stack}`));
    session.on("taken-over", () => this.#over(process, "taken-over", "4510 on the current conduit"));
    session.on("lost", ({ reason, detail }) => this.#over(process, reason, detail));
    session.on("ended", ({ reason, detail }) => this.#over(process, reason, detail));
    const connection = this.#connection = session.open("work");
    this.#progress = BEGINNING;
    this.#calls = this.#callsIn(process, session);
    void this.#consume(process, connection);
    this.#produceLater(process);
    return [process, clock, session, connection];
  }

  /** A page that may be reloaded would have to claim its calls: only others call. */
  #callsIn(process: SimProcess, live: Session): SdkCalls | null {
    const { stored, work, principal, mix, settings } = this.spec;
    if (stored || work === 0) return null;
    const { ledger, accounts } = this.#host;
    const session = ledger.session(settings.durability !== "ephemeral", principal);
    live.on("connected", ({ session: id }) => void (session.id = id));
    for (const event of ["lost", "ended", "taken-over"] as const) live.on(event, () => ledger.lost(session));
    return new SdkCalls({ process, live, random: this.#random, ledger, session, mix, accounts });
  }

  async #consume(process: SimProcess, connection: Connection): Promise<void> {
    try {
      for await (const value of connection) {
        if (!process.alive) return;
        this.#restoreProgress();
        const progress = takeReply(this.#progress, value, this.#host.sizes);
        this.#host.count("replies");
        if (typeof progress !== "string") this.#keep(progress);
        else if (!this.shared) this.#host.fail(`${this.spec.name}: ${progress}`);
      }
    } catch (error) {
      // The session's own end is told by its events; only a connection that ends by itself is wrong.
      if (process.alive && this.over === null && this.#live.ending === null && !this.shared) {
        this.#host.fail(`${this.spec.name}: its connection ended: ${String(error)}`);
      }
    }
  }

  #produceLater(process: SimProcess): void {
    const { clock } = process;
    clock.wakeAt(clock.now() + this.#random.between(1, 2 * this.spec.pace), () => {
      this.#produce(this.#random.between(1, 4));
      this.#produceLater(process);
    });
  }

  #produce(count: number): void {
    if (this.over !== null || this.#closing || this.#resting || this.#connection.id === 0) return;
    this.#restoreProgress();
    const calls = this.#calls;
    for (let i = 0; i < count && calls !== null && calls.made < this.spec.work; i++) calls.act();
    for (let i = 0; i < count && this.#progress.sent < this.spec.requests; i++) {
      if (outstanding(this.#progress) >= MOST_OUTSTANDING) return;
      const n = this.#progress.sent + 1;
      // A session that ends meanwhile says so by its events.
      this.#connection.send(requestValue(n, this.#host.sizes)).catch(() => {});
      this.#keep({ ...this.#progress, sent: n });
      this.#host.count("requests");
    }
  }

  /** In the same turn as what it counts, so that the two never disagree. */
  #keep(progress: Progress): void {
    this.#progress = progress;
    this.#connection.keep({ ...progress });
  }

  #restoreProgress(): void {
    if (this.#progress === BEGINNING && this.#connection.kept !== undefined) {
      this.#progress = this.#connection.kept as unknown as Progress;
    }
  }

  #storageOf(process: SimProcess): KeyValueStorage {
    const storage = this.#storage;
    const latency = this.spec.storageLatency;
    const perform = <T>(act: () => T): T | Promise<T> => {
      if (latency === null) return act();
      return new Promise((resolve) => {
        const write = () => resolve(act());
        this.#writes.push(write);
        this.#host.timeline.after(this.#random.between(0, latency), () =>
          process.enter(() => {
            // Whatever was asked for earlier is done by then.
            while (this.#writes.includes(write)) this.#writes.shift()!();
          }));
      });
    };
    return {
      get: (key) => perform(() => storage.get(key)),
      set: (key, value) => perform(() => void storage.set(key, value)),
      remove: (key) => perform(() => void storage.delete(key)),
    };
  }

  #over(process: SimProcess, reason: string, detail: string): void {
    if (!process.alive || this.over !== null) return;
    const session = this.#live.id;
    if (this.#closing && reason !== "taken-over") {
      this.over = reason;
      this.closed = true;
      const clock = this.#clock;
      // Once what goes with the end is done.
      this.#host.timeline.after(1, () => {
        if (clock.pending > 0) this.#host.fail(`${this.spec.name}: its session is over, and a timer is left`);
        process.lose();
      });
      return;
    }
    this.#host.lost({ client: this, session, reason, detail });
    process.lose();
    if (this.shared) {
      this.over = reason;
      return;
    }
    this.#storage = new Map();
    this.#begin();
  }
}
