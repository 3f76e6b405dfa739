/** A node in process: registry, directory and sweeper over a given store and clock, and a way to lose it without a word. */

import type { ConduitPeer } from "../../src/conduit/conduit.ts";
import { type MemoryConduit, MemoryPipe } from "../../src/conduit/memory_conduit.ts";
import type { Subprotocol } from "../../src/protocol/codec.ts";
import { DEFAULT_LIMITS, type Limits } from "../../src/protocol/limits.ts";
import type { Service } from "../../src/service/service.ts";
import { echo } from "../../src/service/echo.ts";
import { NodeDirectory } from "../../src/session/node_directory.ts";
import { type RegistryOptions, SessionRegistry } from "../../src/session/session_registry.ts";
import { Sweeper } from "../../src/session/sweeper_runner.ts";
import { MemorySessionStore } from "../../src/storage/memory_session_store.ts";
import type { Range, SessionStore } from "../../src/storage/session_store.ts";
import type { Clock } from "../../src/system/clock.ts";
import { FakeClock, settle } from "./fake_clock.ts";
import { SeededRandom } from "./seeded_random.ts";
import { TestLog } from "./test_log.ts";

/** What a {@link TestNode} may be told; the rest has the defaults of the settings. */
export interface TestNodeOptions
  extends Partial<Omit<RegistryOptions, "clock" | "store" | "log" | "limits" | "services">> {
  readonly clock?: FakeClock;
  readonly store?: SessionStore;
  readonly limits?: Partial<Limits>;
  readonly services?: readonly Service[];
  /** Whether the directory and the sweeper run; by default not, so that only a test's own time passes. */
  readonly sweeps?: boolean;
}

let boots = 0;

export class TestNode {
  readonly clock: FakeClock;
  readonly store: SessionStore;
  readonly log = new TestLog();
  readonly registry: SessionRegistry;
  readonly directory: NodeDirectory;
  readonly sweeper: Sweeper;
  readonly boot: string;
  readonly #timers = new Set<() => void>();
  readonly #pipes: MemoryPipe[] = [];
  #crashed = false;

  constructor(options: TestNodeOptions = {}) {
    const { clock, store, limits, services, sweeps, ...rest } = options;
    this.clock = clock ?? new FakeClock();
    this.store = store ?? new MemorySessionStore({ clock: this.clock });
    this.boot = rest.boot ?? `boot-${++boots}`;
    this.registry = new SessionRegistry({
      random: new SeededRandom(1000 + boots),
      node: this.boot,
      resumeWindow: 3_600_000,
      idleTimeout: null,
      parkAfter: 10_000,
      handshakeTimeout: 10_000,
      keepalive: { interval: 25_000, timeout: 10_000 },
      tokenReuse: "keep",
      ...rest,
      boot: this.boot,
      clock: this.#ownClock(),
      store: this.#ownStore(),
      log: this.log,
      limits: { ...DEFAULT_LIMITS, ...limits },
      services: services ?? [echo],
    });
    const { registry } = this;
    this.directory = new NodeDirectory(
      registry.options.store,
      registry.clock,
      this.log,
      this.boot,
      this.boot,
    );
    this.sweeper = new Sweeper(registry, this.directory);
    if (sweeps === true) {
      void this.directory.start();
      this.sweeper.start();
    }
  }

  /** Timers that this node has set. */
  get timers(): number {
    return this.#timers.size;
  }

  /** Joins a conduit to the node; the client's end. */
  dial(
    subprotocol: Subprotocol,
    peer?: ConduitPeer,
  ): { readonly pipe: MemoryPipe; readonly end: MemoryConduit } {
    const pipe = new MemoryPipe({
      subprotocol,
      onError: (error) => this.log.error("conduit-error", { error: String(error) }),
    });
    this.#pipes.push(pipe);
    if (this.#crashed) pipe.break();
    else pipe.right.listen(this.registry.accept(pipe.right, peer));
    return { pipe, end: pipe.left };
  }

  /** The process is gone: nothing of it acts any more. Its clients find their conduits broken. */
  async crash(): Promise<void> {
    this.freeze();
    for (const { left } of this.#pipes) left.cut();
    await settle();
  }

  /** As {@link crash}, but the conduits only fall silent. */
  freeze(): void {
    this.#crashed = true;
    this.registry.committer.abandon();
    for (const cancel of this.#timers) cancel();
    this.#timers.clear();
    for (const pipe of this.#pipes) pipe.stall();
  }

  /** Everything that a range of the store holds, by key. */
  async rows(prefix: Range["prefix"]): Promise<string[]> {
    const entries = await this.store.list({ prefix }, { limit: 10_000 });
    return entries.map(({ key }) => key.join("/"));
  }

  #ownClock(): Clock {
    return {
      now: () => this.clock.now(),
      wakeAt: (at, wake) => {
        if (this.#crashed) return () => {};
        const cancelTimer = this.clock.wakeAt(at, () => {
          this.#timers.delete(cancel);
          wake();
        });
        const cancel = () => {
          this.#timers.delete(cancel);
          cancelTimer();
        };
        this.#timers.add(cancel);
        return cancel;
      },
    };
  }

  /** The store as a process sees it: after its end no answer arrives, and nothing new is asked. */
  #ownStore(): SessionStore {
    const heard = async <T>(ask: () => Promise<T>): Promise<T> => {
      if (this.#crashed) await never();
      try {
        return await ask();
      } finally {
        if (this.#crashed) await never();
      }
    };
    const { store } = this;
    return {
      limits: store.limits,
      atomic: (atomic) => heard(() => store.atomic(atomic)),
      get: (keys) => heard(() => store.get(keys)),
      list: (range, options) => heard(() => store.list(range, options)),
      close: () => {},
    };
  }
}

function never(): Promise<never> {
  return new Promise(() => {});
}
