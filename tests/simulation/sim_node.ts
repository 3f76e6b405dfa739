/** A simulated server node, over all its lives: it crashes, is paused, drains and starts again under a new boot id. */

import { gracefulStop } from "../../src/graceful_stop.ts";
import type { Log, LogFields } from "../../src/observe/log.ts";
import { NodeDirectory } from "../../src/session/node_directory.ts";
import { type RegistryOptions, SessionRegistry } from "../../src/session/session_registry.ts";
import { Sweeper } from "../../src/session/sweeper_runner.ts";
import type { Service } from "../../src/service/service.ts";
import type { SeededRandom } from "../support/seeded_random.ts";
import type { SimLine } from "./sim_line.ts";
import { SimProcess } from "./sim_process.ts";
import type { SimStore } from "./sim_store.ts";
import type { Timeline } from "./timeline.ts";

/** What a node needs of its cluster. */
export interface NodeHost {
  readonly timeline: Timeline;
  readonly store: SimStore;
  readonly random: SeededRandom;
  readonly settings: Omit<
    RegistryOptions,
    "store" | "clock" | "random" | "log" | "node" | "boot" | "services"
  >;
  /** The services, as one process has them. */
  services(process: SimProcess, random: SeededRandom): readonly Service[];
  /** Two pages have a session: they may break rules that each of them keeps. */
  isShared(session: string): boolean;
  fail(problem: string): void;
  trace(line: string): void;
}

/** Errors that say no more than that the store failed. */
const EXPECTED_ERRORS = ["stop_step_failed"];

/** One life of a node. */
interface Life {
  readonly process: SimProcess;
  readonly registry: SessionRegistry;
  readonly directory: NodeDirectory;
  readonly sweeper: Sweeper;
}

export class SimNode {
  readonly name: string;
  readonly lines = new Set<SimLine>();
  readonly #host: NodeHost;
  #skew: number;
  #boots = 0;
  #life: Life;
  #draining = false;

  constructor(name: string, host: NodeHost, skew: number) {
    this.name = name;
    this.#host = host;
    this.#skew = skew;
    this.#life = this.#boot();
  }

  get process(): SimProcess {
    return this.#life.process;
  }

  get registry(): SessionRegistry {
    return this.#life.registry;
  }

  get up(): boolean {
    return this.process.alive;
  }

  get draining(): boolean {
    return this.#draining;
  }

  /** Takes a line that a client dialled. */
  accept(line: SimLine): void {
    this.process.enter(() => {
      if (line.server.gone) return;
      this.lines.add(line);
      line.server.listen(this.registry.accept(line.server));
    });
  }

  /** Ends the process where it stands. @param silent The machine is gone with it, so that no client is told. */
  crash(silent: boolean): void {
    if (!this.up) return;
    const { process, registry } = this.#life;
    process.lose();
    registry.committer.abandon();
    for (const line of this.lines) if (!silent) line.break();
    this.lines.clear();
    this.#draining = false;
  }

  /** Starts again, if it is down. */
  restart(): void {
    if (!this.up) this.#life = this.#boot();
  }

  /** Stops in good order, as far as the store lets it, and exits. */
  async drain(): Promise<void> {
    if (!this.up || this.#draining) return;
    this.#draining = true;
    const { registry, sweeper, directory, process } = this.#life;
    await gracefulStop(
      [
        { name: "drain", run: () => registry.drain(), within: 2_400 },
        { name: "sweeper", run: () => sweeper.stop(), within: 200 },
        { name: "directory", run: () => directory.stop(), within: 200 },
      ],
      process.clock,
      this.#log(process),
    );
    if (process === this.process) this.crash(false);
  }

  /** Sets the wall clock. */
  jump(ms: number): void {
    this.#skew += ms;
    this.process.jump(ms);
  }

  /** Ends sweeper and directory, so that no timer of theirs is left. */
  async stopHousekeeping(): Promise<void> {
    await this.#life.sweeper.stop();
    await this.#life.directory.stop();
  }

  #boot(): Life {
    const { timeline, store, random, settings, services } = this.#host;
    const process = new SimProcess(`${this.name}.${++this.#boots}`, timeline, this.#skew);
    const log = this.#log(process);
    const registry = new SessionRegistry({
      ...settings,
      services: services(process, random.fork()),
      store: store.viewOf(process),
      clock: process.clock,
      random: random.fork(),
      log,
      node: this.name,
      boot: process.name,
    });
    const directory = new NodeDirectory(
      registry.options.store,
      process.clock,
      log,
      registry.boot,
      this.name,
    );
    const sweeper = new Sweeper(registry, directory);
    directory.start();
    sweeper.start();
    this.#host.trace(`${process.name} started`);
    return { process, registry, directory, sweeper };
  }

  #log(process: SimProcess): Log {
    const line = (level: string) => (event: string, fields: LogFields = {}) => {
      // Conduits are counted per process of the test, stacks are not the same everywhere.
      const { conduit: _, error, ...same } = fields;
      const told = { ...same, ...(error === undefined ? {} : { error: String(error).split("\n")[0] }) };
      this.#host.trace(`${process.name} ${level} ${event} ${JSON.stringify(told)}`);
      const byDesign = event === "service-failed" && String(error).includes("SimHandlerError");
      if (level === "error" && !EXPECTED_ERRORS.includes(event) && !byDesign) {
        this.#host.fail(`${process.name} logged the error ${event} ${JSON.stringify(fields)}`);
      }
      if (event === "protocol-error" && !this.#host.isShared(String(fields.session))) {
        this.#host.fail(`${process.name} found a protocol error: ${JSON.stringify(fields)}`);
      }
    };
    return { debug: line("debug"), info: line("info"), warn: line("warn"), error: line("error") };
  }
}
