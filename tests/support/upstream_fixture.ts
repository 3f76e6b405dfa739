/** The service `upstream:chat` over real sockets, with a clock that a test moves. */

import assert from "node:assert/strict";
import type { Service } from "../../src/service/service.ts";
import { Upstreams } from "../../src/service/upstream.ts";
import { wsUpstreams } from "../../src/service/ws_upstream_socket.ts";
import { FakeClock } from "./fake_clock.ts";
import { TestLog } from "./test_log.ts";
import { Waiters } from "./waiters.ts";

/** Milliseconds. */
export const DIAL_TIMEOUT_MS = 10_000;

/** How long a test waits for what must come, milliseconds. */
const PATIENCE_MS = 10_000;

/** What a test sets. */
export interface UpstreamFixtureOptions {
  readonly payloadBytes?: number;
  readonly closeTimeout?: number;
}

/** See the top of this file. Disposing of it checks that nothing is left. */
export class UpstreamFixture implements AsyncDisposable {
  readonly clock: FakeClock = new FakeClock();
  readonly log: TestLog = new TestLog();
  readonly upstreams: Upstreams;
  readonly service: Service;
  readonly #changes = new Waiters();

  constructor(url: string, { payloadBytes = 64 * 1024, closeTimeout = 50 }: UpstreamFixtureOptions = {}) {
    const failed = (thrown: unknown) => this.log.error("upstream_failed", { error: String(thrown) });
    const dial = wsUpstreams({ payloadBytes, closeTimeout, failed });
    this.upstreams = new Upstreams([{ name: "chat", url }], {
      dial: (url, protocols, handler) =>
        dial(url, protocols, {
          onOpen: (protocol) => handler.onOpen(protocol),
          onMessage: (payload) => handler.onMessage(payload),
          onPong: () => {
            handler.onPong();
            this.pongs++;
            this.#changes.wake();
          },
          onEnd: (end) => handler.onEnd(end),
          onGone: () => {
            handler.onGone();
            this.#changes.wake();
          },
        }),
      clock: this.clock,
      log: this.log,
      failed,
      timeout: DIAL_TIMEOUT_MS,
    });
    this.service = this.upstreams.services[0]!;
  }

  pongs = 0;

  /** Resolves when `condition` holds, which is looked at after each pong and each socket that is gone. */
  async until(what: string, condition: () => boolean): Promise<void> {
    const waiting = this.#changes.within(PATIENCE_MS);
    while (!condition()) if (!await waiting.changed()) assert.fail(`waited in vain: ${what}`);
  }

  /** Resolves when no socket is left. */
  async whenGone(): Promise<void> {
    await this.until("all sockets are gone", () => this.upstreams.sockets === 0);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.upstreams.stop();
    await this.whenGone();
    assert.equal(this.clock.pending, 0, "timers are left");
    this.log.verify();
  }
}
