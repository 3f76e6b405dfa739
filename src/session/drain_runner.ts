/** Lets go of all of a node's sessions in good order, and takes that back. */

import { OPERATOR } from "../access/authenticator.ts";
import type { Clock } from "../system/clock.ts";
import { nextWave } from "./drain_state.ts";
import type { SessionRunner } from "./session_runner.ts";

/** How often a drain looks who is left. Milliseconds. */
export const DRAIN_LOOK_MS = 100;

/** What a drain needs of its node. */
export interface DrainHost {
  readonly clock: Clock;
  readonly committer: { idle(): Promise<void> };
  /** The sessions in memory. */
  sessions(): Iterable<SessionRunner>;
  /** Refuses every handshake that is under way. */
  refuseHandshakes(): void;
}

/** One drain under way. */
interface Run {
  /** Begins anew when the window becomes shorter. */
  since: number;
  window: number;
  /** Conduits asked since `since`. */
  asked: number;
  stopped: boolean;
  wake: () => void;
}

/** See the top of this file. */
export class Drain {
  readonly #host: DrainHost;
  #active = false;
  /** Attached conduits that were asked, by this drain or one before it: none is asked twice (`end.goaway`). */
  #told = new Set<number>();
  #run: { readonly state: Run; readonly done: Promise<void> } | null = null;

  constructor(host: DrainHost) {
    this.#host = host;
  }

  /** True from {@link begin} until {@link takeBack}: handshakes are refused. */
  get active(): boolean {
    return this.#active;
  }

  /**
   * Clients are asked to move, evenly spread over the window; then what is pending is committed, what is still attached
   * is closed with 4400, and sessions are left detached for whoever takes them. It is over earlier when nobody is left.
   *
   * While one is under way, another call can only make its window shorter.
   *
   * @param window Milliseconds; 0: everybody is asked, and let go of, at once.
   * @returns Settles when the node has let go of everything, or the drain was taken back.
   */
  begin(window: number): Promise<void> {
    const now = this.#host.clock.now();
    this.#active = true;
    const running = this.#run;
    if (running !== null) {
      const { state } = running;
      if (now + window < state.since + state.window) {
        Object.assign(state, { since: now, window, asked: 0 });
        state.wake();
      }
      return running.done;
    }
    const state: Run = {
      since: now,
      window,
      asked: 0,
      stopped: false,
      wake: () => {},
    };
    const done = this.#perform(state).finally(() => {
      if (this.#run?.state === state) this.#run = null;
    });
    this.#run = { state, done };
    return done;
  }

  /** Handshakes are taken again. Clients that were asked to move do; nobody else is asked or closed. */
  takeBack(): void {
    this.#active = false;
    const running = this.#run;
    this.#run = null;
    if (running === null) return;
    running.state.stopped = true;
    running.state.wake();
  }

  async #perform(run: Run): Promise<void> {
    while (!this.#ask(run)) {
      await this.#wait(run);
      if (run.stopped) return;
    }
    const runners = [...this.#host.sessions()].filter((runner) => !isOperators(runner));
    await Promise.all(runners.map((runner) => runner.whenCommitted()));
    if (run.stopped) return;
    for (const runner of runners) runner.breakConduit("draining");
    this.#host.refuseHandshakes();
    await Promise.all(runners.map((runner) => runner.whenCommitted()));
    await this.#host.committer.idle();
  }

  /** @returns Whether it is time to close what is left, be it that nothing is. */
  #ask(run: Run): boolean {
    const { clock } = this.#host;
    const waiting: SessionRunner[] = [];
    const told = new Set<number>();
    let attached = 0;
    for (const runner of this.#host.sessions()) {
      const conduit = runner.state.attached?.conduit;
      if (conduit === undefined || isOperators(runner)) continue;
      attached++;
      if (this.#told.has(conduit)) told.add(conduit);
      else waiting.push(runner);
    }
    // Whoever has calls under way comes last: on another node some of them could only be told `indeterminate`.
    waiting.sort((a, b) => Number(a.working) - Number(b.working));
    const { window, since, asked } = run;
    const wave = nextWave({ window, elapsed: clock.now() - since, asked, waiting: waiting.length });
    for (const runner of waiting.slice(0, wave.ask)) {
      told.add(runner.state.attached!.conduit);
      run.asked++;
      runner.goAway("draining", wave.after);
    }
    this.#told = told;
    return wave.over || attached === 0;
  }

  #wait(run: Run): Promise<void> {
    const { clock } = this.#host;
    const now = clock.now();
    return new Promise((resolve) => {
      const cancel = clock.wakeAt(Math.min(now + DRAIN_LOOK_MS, run.since + run.window), resolve);
      run.wake = () => {
        cancel();
        resolve();
      };
    });
  }
}

/** An operator watches the drain, and comes to nothing by its end: those sessions are in no store. */
function isOperators({ state }: SessionRunner): boolean {
  return state.principal === OPERATOR;
}
