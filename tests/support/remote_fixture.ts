/** Two nodes in process, of which one bridges `remote:NAME` to services of the other; a test cuts what is between them. */

import assert from "node:assert/strict";
import { hostOf } from "../../src/client/connect.ts";
import type { Dial } from "../../src/client/options.ts";
import type { MemoryPipe } from "../../src/conduit/memory_conduit.ts";
import type { Subprotocol } from "../../src/protocol/codec.ts";
import { Remotes } from "../../src/remote/remotes.ts";
import { LINK_LINGER_MS } from "../../src/remote/remote_link.ts";
import { demoService } from "../../src/service/demo.ts";
import { echo } from "../../src/service/echo.ts";
import type { Service } from "../../src/service/service.ts";
import { MemorySessionStore } from "../../src/storage/memory_session_store.ts";
import { FakeClock, settle } from "./fake_clock.ts";
import { SeededRandom } from "./seeded_random.ts";
import { TestLog } from "./test_log.ts";
import { TestNode, type TestNodeOptions } from "./test_node.ts";

/** How long the far server may take to accept, milliseconds. */
export const REMOTE_TIMEOUT_MS = 10_000;

export class RemoteFixture {
  readonly clock = new FakeClock();
  readonly log = new TestLog();
  readonly store = new MemorySessionStore({ clock: this.clock });
  readonly refusals: string[] = [];
  readonly remotes: Remotes;
  readonly near: TestNode;
  readonly #nearOptions: TestNodeOptions;
  far: TestNode;
  readonly #farOptions: TestNodeOptions;
  #pipes: MemoryPipe[] = [];
  /** The far server cannot be reached. */
  away = false;

  /** @param services What the far node serves beside `demo` and `echo`, each as `remote:` and its name. */
  constructor(
    { services = [], far = {}, near = {}, auth }: {
      readonly services?: readonly Service[];
      /** The near node's credentials at the far one. */
      readonly auth?: string;
      readonly far?: TestNodeOptions;
      readonly near?: TestNodeOptions;
    } = {},
  ) {
    const { clock } = this;
    const served = [echo, demoService({ clock }), ...services];
    this.#farOptions = { ...far, clock, store: this.store, services: served };
    this.far = new TestNode(this.#farOptions);
    const random = new SeededRandom(7);
    const names = [...served.map(({ name }) => name), "absent"];
    this.remotes = new Remotes(names.map((name) => ({ name, url: "http://far.test", service: name })), {
      hostFor: (url) =>
        hostOf(url, {
          clock,
          random: random.fork(),
          dial: this.#dial,
          ...(auth === undefined ? {} : { auth: () => auth }),
        }),
      clock,
      log: this.log,
      metrics: { upstreamRefused: (reason) => void this.refusals.push(reason) },
      timeout: REMOTE_TIMEOUT_MS,
    });
    const store = new MemorySessionStore({ clock });
    this.#nearOptions = { ...near, clock, store, services: [echo, ...this.remotes.services] };
    this.near = new TestNode(this.#nearOptions);
  }

  /** A second node with the store of the near one. */
  anotherNear(): TestNode {
    return new TestNode(this.#nearOptions);
  }

  /** Cuts all conduits between the nodes. */
  async cut(): Promise<void> {
    for (const pipe of this.#pipes.splice(0)) pipe.break();
    await settle();
  }

  /** The far node's process is gone, and another one comes with the same store. */
  async restartFar(): Promise<void> {
    await this.far.crash();
    this.far = new TestNode(this.#farOptions);
  }

  /** Lets time pass until the link is up again. */
  async reconnect(): Promise<void> {
    for (let i = 0; i < 20; i++) await this.clock.advance(500);
  }

  /** Fails if anything is left of bridges that are over. */
  async checkNothingLeft(): Promise<void> {
    assert.deepEqual([this.remotes.bridges, this.remotes.heldBytes], [0, 0]);
    await this.clock.advance(LINK_LINGER_MS + 20_000);
    assert.equal(this.remotes.links, 0, "links are left");
    for (const log of [this.log, this.near.log, this.far.log]) log.verify();
  }

  readonly #dial: Dial = (_url, [subprotocol], handler) => {
    const { pipe, end } = this.far.dial(subprotocol as Subprotocol);
    if (this.away) pipe.break();
    this.#pipes.push(pipe);
    end.listen(handler);
    queueMicrotask(() => this.away ? handler.onClose(1006, "") : handler.onOpen());
    return end;
  };
}
